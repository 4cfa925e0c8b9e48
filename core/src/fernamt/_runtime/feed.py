"""The feed: what readers may see, as it comes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from fernamt._runtime.hub import Hub
from fernamt._store.engine import Store
from fernamt._store.feed import Page, Position, read_feed
from fernamt._store.names import Names
from fernamt._store.reception import Line
from fernamt.connector import FeedItem
from fernamt.errors import NotStored
from fernamt.model import Address

POLL_S: Final = 5.0
"""Another process may have died before it told what it stored: so soon it is found at the latest."""
_READING_MAX: Final = 2
"""A thousand readers who are woken at once wait for each other, and do not keep messages from being stored."""


class Feeds:
    """The feeds of one daemon."""

    def __init__(self, store: Store, hub: Hub) -> None:
        self._store = store
        self._hub = hub
        self._reading = asyncio.Semaphore(_READING_MAX)

    async def feed(self, line: Line, names: Names, reader: Address, since: str) -> AsyncIterator[FeedItem]:
        """See :meth:`fernamt.ConnectorContext.feed`."""
        position, changed = Position.parse(since), asyncio.Event()
        topics: frozenset[str] = frozenset()
        while True:
            with self._hub.waking(changed.set, *topics):
                changed.clear()
                try:
                    async with self._reading:
                        page = await asyncio.to_thread(self._read, line, names, reader, position)
                except NotStored as away:
                    await self._store.clock.sleep(away.after_s)
                    continue
                position = page.position
                for item in page.items:
                    yield item
                # What happened before we listened for it was perhaps not read: once more, then.
                if page.topics <= topics and not page.more:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(POLL_S):
                            await changed.wait()
            topics = page.topics

    def _read(self, line: Line, names: Names, reader: Address, position: Position) -> Page:
        with self._store.read() as connection:
            return read_feed(self._store.statements(connection), names, line, reader, position)
