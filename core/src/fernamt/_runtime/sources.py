"""What a channel's provider still has, brought by its connector: pages of history, and media of messages."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final

import structlog
from attrs import evolve

from fernamt._runtime.intake import ChannelIntake
from fernamt._runtime.marking import marking
from fernamt._runtime.work import Ending, Handler, Worker
from fernamt._store.blobs import BlobStore
from fernamt._store.engine import Store
from fernamt._store.reception import Line
from fernamt._store.sources import keep_media, note_result, progress_of, remote_ref, turn_page
from fernamt._store.tasks import Task
from fernamt._store.transaction import Transaction
from fernamt._store.writer import Writes
from fernamt.connector import Backfills, Connector, FetchesMedia, Page
from fernamt.errors import NeedsLogin, Rejected

_MB: Final = 1_048_576
_log = structlog.get_logger()


class Sources:
    """The tasks of one channel that ask its provider, for a :class:`fernamt._runtime.work.Worker`."""

    def __init__(
        self,
        line: Line,
        connector: Connector,
        intake: ChannelIntake,
        *,
        store: Store,
        blobs: BlobStore,
        media_max_mb: float,
    ) -> None:
        self._line = line
        self._connector = connector
        self._intake = intake
        self._store = store
        self._blobs = blobs
        self._media_max_bytes = int(media_max_mb * _MB)
        intake.brings(pages=isinstance(connector, Backfills), media=isinstance(connector, FetchesMedia))

    def worker(
        self,
        writer: Writes,
        redact: Callable[[str], str],
        needs_login: Callable[[NeedsLogin], None],
        reached: Callable[[str], None],
    ) -> Worker | None:
        """Return what carries out the tasks that the connector is able to; ``None``: it has none of these abilities."""
        handlers: dict[str, Handler] = {**marking(self._line, self._connector, self._store)}
        if isinstance(self._connector, Backfills):
            handlers |= {"fetch": self._fetch, "backfill": self._fetch}
        if isinstance(self._connector, FetchesMedia):
            handlers["media"] = self._bring
        if not handlers:
            return None
        return Worker(
            f"channel:{self._line.id}",
            handlers,
            store=self._store,
            writer=writer,
            redact=redact,
            needs_login=needs_login,
            reached=reached,
        )

    async def _fetch(self, task: Task) -> Ending:
        """Take one page: what it brings is committed before the place of the next one is, so a crash reads it again."""
        assert isinstance(self._connector, Backfills)
        progress = progress_of(task)
        page = await self._connector.fetch(progress.cursor)
        if not isinstance(page, Page):
            raise TypeError(f"fetch returned a {type(page).__name__}, no Page")
        if page.next and page.next == progress.cursor:
            raise Rejected(f"the page at {progress.cursor!r} names itself as the next one")
        accepted = await self._intake.accept(page.events, wait=True)
        come = evolve(
            progress,
            cursor=page.next,
            pages=progress.pages + 1,
            events=progress.events + len(accepted),
            new=progress.new + sum(one.n is not None and not one.repeat for one in accepted),
        )

        def turned(tx: Transaction) -> None:
            if page.next:
                turn_page(tx, task, come)
            elif task.kind == "backfill":
                note_result(tx, self._line.number, come)

        if not page.next:
            _log.info("pages_fetched", channel=self._line.id, pages=come.pages, events=come.events, new=come.new)
        return Ending(turned)

    async def _bring(self, task: Task) -> Ending:
        """Stream one file into the blob store; what it is called there is committed with the end of the task."""
        ref = await asyncio.to_thread(self._ref, task)
        if not ref:
            return Ending()
        blob = await self._blobs.put(self._content(ref), max_bytes=self._media_max_bytes)
        return Ending(lambda tx: keep_media(tx, task, ref, blob))

    def _ref(self, task: Task) -> str:
        with self._store.read() as connection:
            return remote_ref(self._store.statements(connection), task.data["entry"], task.data["at"])

    async def _content(self, ref: str) -> AsyncIterator[bytes]:
        assert isinstance(self._connector, FetchesMedia)
        size = 0
        content = self._connector.fetch_media(ref)
        async with contextlib.AsyncExitStack() as stack:
            if (close := getattr(content, "aclose", None)) is not None:
                stack.push_async_callback(close)
            async for chunk in content:
                size += len(chunk)
                if size > self._media_max_bytes:
                    raise Rejected(f"it is larger than media_max_mb = {self._media_max_bytes / _MB:g} allows")
                yield chunk
