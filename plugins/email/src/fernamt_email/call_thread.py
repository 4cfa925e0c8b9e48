"""A thread for a library that blocks: calls go in from the event loop, results come back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

_R = TypeVar("_R")


class CallThread:
    """A thread that makes one call after the other. It is a daemon: a call that hangs never holds up the end of the process."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        Thread(target=self._work, name=name, daemon=True).start()

    def run(self, function: Callable[[], _R]) -> asyncio.Future[_R]:
        """Return what will be the outcome of *function*. Cancelling it leaves the call running."""
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[_R] = loop.create_future()

        def tell(setter: Callable[[Any], None], value: Any) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(lambda: None if outcome.done() else setter(value))

        def call() -> None:
            try:
                result = function()
            except BaseException as why:  # noqa: BLE001  handed to who waits for it
                tell(outcome.set_exception, why)
            else:
                tell(outcome.set_result, result)

        self._calls.put(call)
        return outcome

    def end(self, last: Callable[[], _R]) -> asyncio.Future[_R]:
        """Make one more call, and end after it."""
        outcome = self.run(last)
        self._calls.put(None)
        return outcome

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
