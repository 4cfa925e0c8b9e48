"""Who waits for what: a commit says what it touched, and whoever waits for that is woken."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterator
from typing import Final

EVERYTHING: Final = "*"
"""The topic that wakes everybody: so much happened, or so little is known of it."""
COALESCED_S: Final = 0.05
"""Other runners are told at most so often, of everything since the last time."""
_PENDING_MAX: Final = 2_000


class Hub:
    """Wakes those who wait in this process, and passes on what they in other processes may wait for.

    A topic is a text such as ``conversation:12`` or ``send:3``. Waking is a hint and no promise: another process may die
    before it tells, so whoever waits also looks by himself from time to time. For one loop.
    """

    def __init__(self, publish: Callable[[Collection[str]], None] | None = None) -> None:
        """*publish* tells the other runners and blocks: it is called in a thread, one call at a time."""
        self._publish = publish
        # In the order in which they came: who is woken first must not depend on where it lies in memory.
        self._waiting: dict[str, dict[Callable[[], None], None]] = {}
        self._pending: set[str] = set()
        self._publishing: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def waking(self, wake: Callable[[], None], *topics: str) -> Iterator[None]:
        """Call *wake* whenever one of the topics is told, until the block is left; a second time does no harm to it."""
        for topic in topics:
            self._waiting.setdefault(topic, {})[wake] = None
        try:
            yield
        finally:
            for topic in topics:
                waiting = self._waiting.get(topic, {})
                waiting.pop(wake, None)
                if not waiting:
                    self._waiting.pop(topic, None)

    def wake(self, topics: Collection[str]) -> None:
        """Wake who waits here."""
        waiting = self._waiting
        # Of a thousand topics a second hardly one is waited for.
        for topic in waiting.keys() & topics:
            for one in tuple(waiting[topic]):
                one()
        if EVERYTHING in topics:
            for one in dict.fromkeys(wake for wakes in waiting.values() for wake in wakes):
                one()

    def told(self, topics: Collection[str]) -> None:
        """Take what a commit touched: wake who waits here, and pass it on."""
        if not topics:
            return
        self.wake(topics)
        if self._publish is None:
            return
        self._pending.update(topics)
        if len(self._pending) > _PENDING_MAX:
            self._pending = {EVERYTHING}
        if self._publishing is None or self._publishing.done():
            self._publishing = asyncio.create_task(self._passed_on(self._publish), name="hub-publish")

    async def _passed_on(self, publish: Callable[[Collection[str]], None]) -> None:
        while self._pending:
            topics, self._pending = self._pending, set()
            await asyncio.to_thread(publish, topics)
            await asyncio.sleep(COALESCED_S)

    async def flushed(self) -> None:
        """Return when what was told so far has been passed on."""
        if self._publishing is not None:
            await self._publishing
