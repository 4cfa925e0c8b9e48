"""The way in: bounded, durable before it returns, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

import structlog
from attrs import evolve

from fernamt._runtime.storable import storable
from fernamt._store.blobs import BlobStore
from fernamt._store.reception import Line, Reception, Submission
from fernamt._store.writer import Writer
from fernamt.connector import Clock
from fernamt.errors import NotStored
from fernamt.inbound import Accepted, Cursor, Ignored, InboundEvent, Received, Unparsed
from fernamt.model import INLINE_MAX_BYTES, Attachment, Blob

EVENTS_MAX: Final = 2_048
BYTES_MAX: Final = 64 * 1024 * 1024
_EVENT_BYTES: Final = 512
"""What an event costs beside its words."""
_log = structlog.get_logger()


class Room:
    """How much the daemon has taken and not yet stored, over all channels."""

    def __init__(self, events_max: int = EVENTS_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._events = self._events_max = events_max
        self._bytes = self._bytes_max = bytes_max
        self._freed = asyncio.Event()

    def take(self, events: int, size: int) -> bool:
        """Reserve room, or return ``False``. Something larger than all the room passes when there is nothing else."""
        if (self._events < events or self._bytes < size) and not self._is_empty():
            return False
        self._events -= events
        self._bytes -= size
        return True

    def _is_empty(self) -> bool:
        return self._events == self._events_max and self._bytes == self._bytes_max

    def give(self, events: int, size: int) -> None:
        """Give room back."""
        self._events += events
        self._bytes += size
        self._freed.set()

    async def freed(self) -> None:
        """Return when room was given back."""
        self._freed.clear()
        await self._freed.wait()


class ChannelIntake:
    """The intake of one channel; see :class:`fernamt.Intake`."""

    def __init__(
        self, line: Line, *, writer: Writer, reception: Reception, blobs: BlobStore, room: Room, clock: Clock
    ) -> None:
        self._line = line
        self._writer = writer
        self._reception = reception
        self._blobs = blobs
        self._room = room
        self._clock = clock

    async def accept(
        self,
        events: Sequence[InboundEvent],
        *,
        raw: bytes | Blob | None = None,
        cursor: Cursor | None = None,
        wait: bool = False,
    ) -> tuple[Accepted, ...]:
        count = len(events) or 1
        size = _size(events, raw)
        while True:
            while not self._room.take(count, size):
                if not wait:
                    raise NotStored("intake is full", after_s=1.0)
                await self._room.freed()
            try:
                return await self._store(events, raw, cursor)
            except NotStored as full:
                if not wait:
                    raise
                after_s = full.after_s
            finally:
                self._room.give(count, size)
            await self._clock.sleep(after_s)

    async def _store(
        self, events: Sequence[InboundEvent], raw: bytes | Blob | None, cursor: Cursor | None
    ) -> tuple[Accepted, ...]:
        if isinstance(raw, bytes) and len(raw) > INLINE_MAX_BYTES:
            raw = await self._blobs.put(_once(raw), max_bytes=len(raw))
        clean = []
        for event in events:
            one = storable(event)
            if type(one) is Ignored:
                _log.info("event_ignored", channel=self._line.id, reason=one.reason)
            elif type(one) is Received and one.attachments:
                one = evolve(one, attachments=tuple([await self._in_store(file) for file in one.attachments]))
            clean.append(one)
        submission = Submission(line=self._line, events=tuple(clean), raw=raw, cursor=cursor)
        try:
            return await self._writer.write(self._reception, submission)
        except NotStored:
            raise
        except Exception as why:  # noqa: BLE001 - a message that no code foresaw must neither be lost nor stop its channel
            _log.exception("event_not_storable", channel=self._line.id, error=type(why).__name__)
            reason = f"this could not be stored as a message: {type(why).__name__}"
            kept = tuple(Unparsed(key=getattr(event, "key", "") or "nameless", reason=reason) for event in clean)
            return await self._writer.write(self._reception, evolve(submission, events=kept))

    async def _in_store(self, file: Attachment) -> Attachment:
        if not isinstance(file.content, bytes):
            return file
        return evolve(file, content=await self._blobs.put(_once(file.content), max_bytes=INLINE_MAX_BYTES))


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _size(events: Sequence[InboundEvent], raw: bytes | Blob | None) -> int:
    size = len(raw) if isinstance(raw, bytes) else 0
    for event in events:
        size += _EVENT_BYTES
        if type(event) is Received:
            size += len(event.text) + len(event.html)
            for file in event.attachments:
                if isinstance(file.content, bytes):
                    size += len(file.content)
    return size
