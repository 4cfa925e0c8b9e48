"""The way in: bounded, durable before it returns, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from hashlib import sha256
from secrets import token_hex
from typing import Final

import attrs
import structlog
from attrs import evolve

from fernamt._runtime.consent_words import with_consents
from fernamt._runtime.storable import QUICK_HTML, storable, storable_text
from fernamt._runtime.turns import Turns
from fernamt._store.blobs import BlobStore
from fernamt._store.opting import Opting
from fernamt._store.reception import Line, Reception, Submission
from fernamt._store.writer import Writes
from fernamt.connector import Clock
from fernamt.errors import NotStored
from fernamt.inbound import Accepted, Cursor, Ignored, InboundEvent, Received, Unparsed
from fernamt.model import INLINE_MAX_BYTES, Attachment, Blob, Remote
from fernamt.outbound import Capabilities
from fernamt.session import SessionEvent, Turn

EVENTS_MAX: Final = 2_048
BYTES_MAX: Final = 64 * 1024 * 1024
_EVENT_BYTES: Final = 512
"""What an event costs beside its words."""
_PLAIN: Final = Capabilities()
_log = structlog.get_logger()


class Room:
    """How much the daemon has taken and not yet stored, over all channels."""

    def __init__(self, events_max: int = EVENTS_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._events = self._events_max = events_max
        self._bytes = self._bytes_max = bytes_max
        self._freed = asyncio.Event()
        self.cleaning = asyncio.Lock()
        """Large HTML is cleaned one at a time, so that it never takes all threads."""

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
        self,
        line: Line,
        *,
        writer: Writes,
        reception: Reception,
        blobs: BlobStore,
        room: Room,
        clock: Clock,
        turns: Turns | None = None,
    ) -> None:
        """*turns* takes the session events; without it they are quarantined."""
        self._line = line
        self._writer = writer
        self._reception = reception
        self._blobs = blobs
        self._room = room
        self._clock = clock
        self._turns = turns
        self.can: Callable[[], Capabilities] = lambda: _PLAIN
        """What the channel can do, as it says by now."""

    @property
    def line(self) -> Line:
        """The channel, as far as the store needs to know it."""
        return self._line

    def brings(self, *, pages: bool, media: bool) -> None:
        """Say what the channel's connector can be asked for: it is planned together with what names it."""
        self._line = evolve(self._line, fetches=pages, brings_media=media)

    async def accept(
        self,
        events: Sequence[InboundEvent],
        *,
        raw: bytes | Blob | None = None,
        cursor: Cursor | None = None,
        wait: bool = False,
    ) -> tuple[Accepted, ...]:
        events = tuple(events)
        if self.can().opt_out_words and (said := with_consents(events)) is not events:
            accepted = await self.accept(said, raw=raw, cursor=cursor, wait=wait)
            return tuple([one for one, event in zip(accepted, said, strict=True) if type(event) is not Opting])
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

    async def turn(self, event: SessionEvent) -> Turn:
        """See :meth:`fernamt.ConnectorContext.turn`."""
        if self._turns is None or not self._room.take(1, _EVENT_BYTES):
            raise NotStored("intake is full", after_s=1.0)
        try:
            return await self._turns.turn(event)
        finally:
            self._room.give(1, _EVENT_BYTES)

    async def _store(
        self, events: Sequence[InboundEvent], raw: bytes | Blob | None, cursor: Cursor | None
    ) -> tuple[Accepted, ...]:
        kinds = {type(event) for event in events}
        if kinds == {SessionEvent}:
            raw = None  # a caller's digits would stand in it
        if isinstance(raw, bytes) and len(raw) > INLINE_MAX_BYTES:
            raw = await self._blobs.put(_once(raw), max_bytes=len(raw))
        if cursor is not None:
            cursor = Cursor(storable_text(cursor.name), storable_text(cursor.value))
        clean = [await self._made_storable(event, index, raw) for index, event in enumerate(events)]
        submission = Submission(line=self._line, events=tuple(clean), raw=raw, cursor=cursor)
        if self._turns is not None and SessionEvent in kinds:
            return await self._with_turns(self._turns, submission)
        return await self._written(submission)

    async def _with_turns(self, turns: Turns, submission: Submission) -> tuple[Accepted, ...]:
        """Take session events one by one; what else came, and the cursor, after them."""
        taken: dict[int, Accepted] = {}
        others: list[InboundEvent] = []
        for at, event in enumerate(submission.events):
            if type(event) is not SessionEvent:
                others.append(event)
                continue
            try:
                taken[at] = await turns.accept(event)
            except NotStored:
                raise
            except Exception as why:  # noqa: BLE001 - no code foresaw it
                others.append(self._unparsed(event, at, submission.raw, why))
        left = evolve(submission, events=tuple(others))
        rest = iter(await self._written(left) if others or left.cursor is not None else ())
        return tuple([taken[at] if at in taken else next(rest) for at in range(len(submission.events))])

    async def _written(self, submission: Submission, first: int = 0) -> tuple[Accepted, ...]:
        """Write the events, the first of which is number *first*; what the store refuses must not stop its neighbours."""
        events, raw = submission.events, submission.raw
        try:
            return await self._writer.write(self._reception, submission)
        except NotStored:
            raise
        except Exception as why:
            if not events:
                raise
            if len(events) == 1:
                unparsed = self._unparsed(events[0], first, raw, why)
                return await self._writer.write(self._reception, evolve(submission, events=(unparsed,)))
        # One of them is to blame: each by itself, so that the others are stored as what they are.
        accepted: tuple[Accepted, ...] = ()
        for index, event in enumerate(events, first):
            cursor = submission.cursor if index == first + len(events) - 1 else None
            accepted += await self._written(evolve(submission, events=(event,), cursor=cursor), index)
        return accepted

    async def _made_storable(self, event: InboundEvent, index: int, raw: bytes | Blob | None) -> InboundEvent:
        try:
            if type(event) is Received and event.part is not None:
                # It may end with half a character, whose other half begins the next piece.
                clean = await self._cleaned(evolve(event, text=""))
                return evolve(clean, text=event.text.replace("\0", "\N{REPLACEMENT CHARACTER}"))
            if type(event) is Received:
                return await self._cleaned(event) if event.html or event.attachments else storable(event)
            if type(event) is Ignored:
                _log.info("event_ignored", channel=self._line.id, reason=event.reason)
            return storable(event)
        except NotStored:
            raise
        except Exception as why:  # noqa: BLE001 - what a connector made of a message must not stop it or its neighbours
            return self._unparsed(event, index, raw, why)

    async def _cleaned(self, event: Received) -> Received:
        if len(event.html) > QUICK_HTML:
            async with self._room.cleaning:
                clean = await asyncio.to_thread(storable, event)
            if not clean.html:
                _log.warning("html_not_kept", channel=self._line.id, characters=len(event.html))
        else:
            clean = storable(event)
        return evolve(clean, attachments=tuple([await self._in_store(file) for file in clean.attachments]))

    def _unparsed(self, event: InboundEvent, index: int, raw: bytes | Blob | None, why: Exception) -> Unparsed:
        _log.error("event_not_storable", channel=self._line.id, error=type(why).__name__, exc_info=why)
        key = getattr(event, "key", "")
        if not key or not isinstance(key, str):
            # Never a name that another event could have: as a repeat of that it would be lost.
            whole = raw.digest if isinstance(raw, Blob) else sha256(raw).hexdigest() if raw else token_hex(16)
            key = f"unstorable:{whole}:{index}"
        reason = f"this could not be stored as a message: {type(why).__name__}"
        if type(why) is ValueError:
            reason += f", {why}"
        return Unparsed(key=storable_text(key), reason=storable_text(reason), raw=b"" if raw else _dump(event))

    async def _in_store(self, file: Attachment) -> Attachment:
        match file.content:
            case bytes(content):
                return evolve(file, content=await self._blobs.put(_once(content), max_bytes=len(content)))
            case Blob() | Remote():
                return file
        raise ValueError("an attachment has no content")


def _dump(event: object) -> bytes:
    """Return all of an event that has no raw bytes, for a person to read; of a call not what the caller said or pressed."""
    if isinstance(event, SessionEvent):
        event = {"key": event.key, "session": event.session, "what": type(event.what).__name__}
    return repr(attrs.asdict(event) if attrs.has(type(event)) else event).encode(errors="backslashreplace")  # type: ignore[arg-type]


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _size(events: Sequence[InboundEvent], raw: bytes | Blob | None) -> int:
    size = _length(raw) + _EVENT_BYTES * len(events)
    for event in events:
        if type(event) is Received:
            size += _length(event.text) + _length(event.html)
            if event.attachments:
                size += sum(_length(file.content) for file in event.attachments)
        elif type(event) is Unparsed:
            size += _length(event.raw)
    return size


def _length(content: object) -> int:
    return len(content) if isinstance(content, str | bytes) else 0
