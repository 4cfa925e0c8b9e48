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

    async def run(self, function: Callable[[], _R]) -> _R:
        """Return or raise what *function* does. Cancelling leaves it running."""
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
        return await outcome

    async def end(self, last: Callable[[], None]) -> None:
        """Make the last call and let the thread end. Cancelling leaves both to the thread."""
        try:
            await self.run(last)
        finally:
            self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
