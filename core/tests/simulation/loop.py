"""An event loop without waiting: its clock jumps to the next timer. What belongs to a runner can be frozen, as SIGSTOP does."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextvars import Context, ContextVar
from typing import Any, Protocol, Self, TypeVar, TypeVarTuple

_Ts = TypeVarTuple("_Ts")
_T = TypeVar("_T")
START_S = 1_000.0
_HORIZON_S = 1_000_000.0
"""Nothing in a script lasts so long: whoever gets there waits for what never comes."""


class Owner(Protocol):
    """Whoever's callbacks may be held back."""

    paused: bool
    backlog: list[Slot]
    tasks: dict[asyncio.Task[Any], None]


OWNER: ContextVar[Owner | None] = ContextVar("OWNER", default=None)


class Slot:
    """A callback of an owner: run when its owner is not paused, and unless it was cancelled meanwhile."""

    __slots__ = ("args", "callback", "handle", "owner")

    def __init__(self, owner: Owner, callback: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.owner = owner
        self.callback = callback
        self.args = args
        self.handle: asyncio.Handle

    def run(self) -> None:
        if self.owner.paused:
            self.owner.backlog.append(self)
        elif not self.handle.cancelled():
            self.callback(*self.args)


class _Task(asyncio.Task[Any]):
    """A task whose place in a set is the same in every run."""

    def __new__(cls, _coro: object, *, loop: VirtualLoop, **_more: object) -> Self:
        self = super().__new__(cls)
        self.number = next(loop.numbers)
        return self

    number: int

    def __hash__(self) -> int:
        return self.number


class _Future(asyncio.Future[Any]):
    """The same for a future."""

    def __new__(cls, *, loop: VirtualLoop) -> Self:
        self = super().__new__(cls)
        self.number = next(loop.numbers)
        return self

    number: int

    def __hash__(self) -> int:
        return self.number


class _Selector:
    """Instead of waiting for the network: there is none, so the next timer is due."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None or self._loop.now_s > _HORIZON_S:
            raise RuntimeError("everybody waits, and nothing will ever happen")
        if timeout > 0:
            self._loop.now_s = self._loop.next_timer_s()
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs what is scheduled, in an order that follows from the order in which it was scheduled."""

    _selector: _Selector
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self) -> None:
        super().__init__()
        self.now_s = START_S
        self.numbers = itertools.count()
        self._selector = _Selector(self)

    def next_timer_s(self) -> float:
        return max(self.now_s, self._scheduled[0].when())

    def time(self) -> float:
        return self.now_s

    def _process_events(self, _events: object) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    def create_future(self) -> asyncio.Future[Any]:
        return _Future(loop=self)

    def create_task(self, coro: Any, *, name: object = None, context: Context | None = None) -> asyncio.Task[Any]:
        task = _Task(coro, loop=self, name=None if name is None else str(name), context=context)
        owner = OWNER.get() if context is None else context.get(OWNER)
        if owner is not None:
            owner.tasks[task] = None
            task.add_done_callback(lambda done: owner.tasks.pop(done, None), context=Context())
        return task

    def call_soon(
        self, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None
    ) -> asyncio.Handle:
        owner = OWNER.get() if context is None else context.get(OWNER)
        if owner is None:
            return super().call_soon(callback, *args, context=context)
        slot = Slot(owner, callback, args)
        slot.handle = super().call_soon(slot.run, context=context)
        return slot.handle

    def call_at(
        self, when: float, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        owner = OWNER.get() if context is None else context.get(OWNER)
        if owner is None:
            return super().call_at(when, callback, *args, context=context)
        slot = Slot(owner, callback, args)
        slot.handle = handle = super().call_at(when, slot.run, context=context)
        return handle

    def go_on(self, owner: Owner) -> None:
        """Let a paused owner run again: what came meanwhile comes now, in the order in which it came."""
        owner.paused = False
        backlog, owner.backlog = owner.backlog, []
        for slot in backlog:
            super().call_soon(slot.run, context=slot.handle._context)  # type: ignore[attr-defined]

    def run_in_executor(self, executor: Executor | None, func: Callable[[*_Ts], _T], *args: *_Ts) -> asyncio.Future[_T]:
        """Run it here and now: a thread would only bring another order, which the seed is to choose."""
        future: asyncio.Future[_T] = self.create_future()
        try:
            result = func(*args)
        except Exception as why:  # noqa: BLE001 - it belongs to whoever asked
            future.set_exception(why)
        else:
            future.set_result(result)
        return future

    def play(self, story: Coroutine[Any, Any, None]) -> None:
        """Run *story* to its end and close."""
        try:
            self.run_until_complete(story)
        finally:
            self.close()
