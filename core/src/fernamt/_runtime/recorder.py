"""Recording how attempts ended: what a provider said is written whatever else ends, and again until the store takes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import structlog
from attrs import evolve

from fernamt._runtime.claims import stop_task
from fernamt._store.deliveries import Result, finish
from fernamt._store.writer import Operation, Writes
from fernamt.connector import Clock
from fernamt.errors import NotStored
from fernamt.model import DeliveryState

_P = TypeVar("_P")
_R = TypeVar("_R")
_log = structlog.get_logger()


class Recorder:
    """The results of one channel on their way into the store."""

    def __init__(self, writer: Writes, clock: Clock, finished: Callable[[Result, DeliveryState], None]) -> None:
        """*finished* is told of each result when it is committed, and of the state that follows."""
        self._writer = writer
        self._clock = clock
        self._told = finished
        self.pending: set[asyncio.Future[Any]] = set()
        """What is not committed yet. Nobody waits for it but who wants everything to have ended."""

    async def close(self) -> None:
        """Give up what could not be recorded: the store is away, and so are we."""
        for task in tuple(self.pending):
            await stop_task(task)

    def record(self, result: Result) -> None:
        """Write a result. It was known before any cancellation that comes now, and would be lost, so nobody can cancel it."""
        writing = self._writer.write(finish, result)
        self.pending.add(writing)
        writing.add_done_callback(partial(self._written, result))

    def _written(self, result: Result, writing: asyncio.Future[DeliveryState]) -> None:
        self.pending.discard(writing)
        if writing.cancelled():
            return
        if (why := writing.exception()) is None:
            self._told(result, writing.result())
        else:
            task = asyncio.create_task(self._again(result, why), name=f"record-{result.delivery}")
            self.pending.add(task)
            task.add_done_callback(self.pending.discard)

    async def _again(self, result: Result, why: BaseException) -> None:
        try:
            if not isinstance(why, NotStored):
                raise why
            await self._clock.sleep(why.after_s)
            state = await self.written(finish, result)
        except Exception as problem:  # noqa: BLE001 - the outcome itself can be stored, whatever it is about the rest
            _log.exception("result_not_storable", delivery=result.delivery, error=type(problem).__name__)
            state = await self.written(finish, evolve(result, ids=(), reason=type(problem).__name__, code=""))
        self._told(result, state)

    async def written(self, operation: Operation[_P, _R], payload: _P) -> _R:
        """Write what must not be given up while the store is away."""
        while True:
            try:
                return await self._writer.write(operation, payload)
            except NotStored as full:
                await self._clock.sleep(full.after_s)

    async def all_written(self, operation: Operation[_P, _R], payloads: Sequence[_P]) -> list[_R | BaseException]:
        """Write several in as few transactions as may be; return what each gave or raised."""
        writing = [self._writer.write(operation, payload) for payload in payloads]
        return await asyncio.gather(*writing, return_exceptions=True)
