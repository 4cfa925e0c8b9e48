"""A writer without a thread: groups, commits, fails and dies when the dice say so."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from fernamt._store.claims import Claim
from fernamt._store.writer import GROUP_MAX, Committer, Operation, Wanted, resolve

if TYPE_CHECKING:
    from .runner import Runner
    from .world import World

_P = TypeVar("_P")
_R = TypeVar("_R")
_ALSO_WHEN_LOST = {"finish", "renew"}
"""The operations that a holder may write when somebody else holds its claim: what they write is judged by its effect."""


class Crashed(BaseException):
    """The runner is gone, at this very point."""


class InlineWriter:
    """Stands where the daemon has its :class:`fernamt._store.writer.Writer`."""

    def __init__(self, world: World, runner: Runner) -> None:
        self._world = world
        self._runner = runner
        self._committer = Committer(world.store, self._told)
        self._queue: list[Wanted[Any, Any]] = []
        self._busy = False
        self._commits = 0
        self._fate = ""

    def write(self, operation: Operation[_P, _R], payload: _P) -> asyncio.Future[_R]:
        future: asyncio.Future[_R] = self._world.loop.create_future()
        if self._runner.dead:
            future.cancel()
            return future
        self._queue.append(Wanted(operation, payload, future))
        if not self._busy:
            self._next()
        return future

    def close(self) -> None:
        self._committer.close()
        for wanted in self._queue:
            wanted.future.cancel()

    def _next(self) -> None:
        self._busy = True
        self._world.loop.call_later(self._world.delay_s(self._runner, "commit", self._commits), self._flush)

    def _flush(self) -> None:
        if self._runner.dead:
            return
        group, self._queue = self._queue[:GROUP_MAX], self._queue[GROUP_MAX:]
        self._commits += 1
        self._fate = self._world.fate_of_commit(self._runner, self._commits)
        try:
            outcomes = self._committer.commit(group)
        except Crashed:
            self._world.model.observe(f"{self._runner.name}, dying")
            self._runner.crash(self._fate)
            return
        self._world.model.observe(self._runner.name)
        topics, self._committer.topics = sorted(self._committer.topics), set()
        for wanted, outcome in zip(group, outcomes, strict=True):
            self._judge(wanted, outcome)
        self._world.loop.call_later(
            self._world.delay_s(self._runner, "committed", self._commits), self._told_callers, group, outcomes, topics
        )

    def _told(self, point: str) -> None:
        if self._world.is_out():
            raise OSError("the store is away")
        if self._fate != point and not self._fate.endswith(f" {point}"):
            return
        fate, self._fate = self._fate, ""
        self._world.say(self._runner.name, fate)
        if fate.startswith("crash"):
            raise Crashed
        raise OSError("the store went away")

    def _told_callers(self, group: list[Wanted[Any, Any]], outcomes: list[Any], topics: list[str]) -> None:
        if self._runner.dead:
            for wanted in group:
                wanted.future.cancel()
            return
        resolve(group, outcomes)
        self._runner.hub.told(topics)
        self._busy = False
        if self._queue:
            self._next()

    def _judge(self, wanted: Wanted[Any, Any], outcome: Any) -> None:
        """Nothing that a stale holder writes may count."""
        claim = getattr(wanted.payload, "claim", None)
        name = getattr(wanted.operation, "__name__", "")
        if isinstance(claim, Claim) and not isinstance(outcome, Exception) and name not in _ALSO_WHEN_LOST:
            self._world.model.held(claim, f"{name} by {self._runner.name}")
