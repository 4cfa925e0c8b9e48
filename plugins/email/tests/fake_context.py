"""What a connector is given, for tests: an intake that remembers, blobs in memory, a clock that does not wait."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import structlog
from attrs import define, field, frozen

from fernamt import (
    Accepted,
    Address,
    Blob,
    Channel,
    ChannelId,
    Cursor,
    FeedItem,
    Http,
    InboundEvent,
    NotStored,
    OutboundMessage,
    Question,
    SessionEvent,
    Tables,
    Turn,
    Unsupported,
)

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


@frozen(kw_only=True)
class Taken:
    """One call of ``accept`` that went through."""

    events: tuple[InboundEvent, ...]
    raw: bytes | Blob | None
    cursor: Cursor | None


@define
class FakeIntake:
    """Remembers what it accepted. ``refuse`` says how many calls raise ``NotStored`` first."""

    taken: list[Taken] = field(factory=list)
    refuse: int = 0
    hold: asyncio.Event | None = None
    """If set: nothing is stored before this event is."""
    entered: asyncio.Event = field(factory=asyncio.Event)
    _changed: asyncio.Condition = field(factory=asyncio.Condition)

    @property
    def events(self) -> list[InboundEvent]:
        return [event for taken in self.taken for event in taken.events]

    @property
    def keys(self) -> list[str]:
        """The keys of all events, each once: what a store would have."""
        return list(dict.fromkeys(getattr(event, "key", "") for event in self.events))

    async def accept(
        self,
        events: Sequence[InboundEvent],
        *,
        raw: bytes | Blob | None = None,
        cursor: Cursor | None = None,
        wait: bool = False,
    ) -> tuple[Accepted, ...]:
        self.entered.set()
        if self.hold is not None:
            await self.hold.wait()
        if self.refuse:
            self.refuse -= 1
            raise NotStored("the store is full", after_s=3.0)
        known = set(self.keys)
        self.taken.append(Taken(events=tuple(events), raw=raw, cursor=cursor))
        async with self._changed:
            self._changed.notify_all()
        return tuple(Accepted(conversation=None, n=None, repeat=getattr(event, "key", "") in known) for event in events)

    async def until(self, enough: Callable[[FakeIntake], bool]) -> None:
        """Return when *enough* is true."""
        async with self._changed, asyncio.timeout(15):
            await self._changed.wait_for(lambda: enough(self))


@define
class FakeBlobs:
    """Blobs in memory. ``refuse`` says how many calls raise ``NotStored`` first."""

    kept: dict[str, bytes] = field(factory=dict)
    refuse: int = 0

    async def put(self, chunks: AsyncIterable[bytes], *, max_bytes: int) -> Blob:
        if self.refuse:
            self.refuse -= 1
            raise NotStored("the disk is full", after_s=3.0)
        pieces = [chunk async for chunk in chunks]
        assert all(len(piece) <= 65_536 for piece in pieces)
        content = b"".join(pieces)
        if len(content) > max_bytes:
            raise ValueError("too long")
        return self.add(content)

    def add(self, content: bytes) -> Blob:
        digest = hashlib.sha256(content).hexdigest()
        self.kept[digest] = content
        return Blob(digest, len(content))

    async def open(self, blob: Blob) -> AsyncIterator[bytes]:
        if blob.digest not in self.kept:
            raise FileNotFoundError(blob.digest)
        content = self.kept[blob.digest]
        for start in range(0, len(content), 65_536):
            yield content[start : start + 65_536]


@define
class FakeClock:
    """Stands still; a sleep returns at once and is remembered."""

    slept: list[float] = field(factory=list)

    def now(self) -> datetime:
        return NOW

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


class Unused:
    """Mail needs no HTTP and no tables: touching them fails the test."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a mail channel used what it does not need: {name}")


@define
class FakeContext:
    """A ``fernamt.ConnectorContext``."""

    settings: Any = None
    http: Http = field(factory=Unused)
    tables: Tables = field(factory=Unused)
    log: Any = field(factory=structlog.get_logger)
    clock: FakeClock = field(factory=FakeClock)
    blobs: FakeBlobs = field(factory=FakeBlobs)
    intake: FakeIntake = field(factory=FakeIntake)
    states: list[tuple[str, str]] = field(factory=list)
    reported: asyncio.Event = field(factory=asyncio.Event)
    cursors: dict[str, str] = field(factory=dict)
    """What a store would have had from an earlier run."""

    def channel(self, name: ChannelId) -> Channel[Any]:
        raise Unsupported(f"{name} has no job")

    async def look_up(self, question: Question[Any], *, timeout_s: float = 4.0) -> Any:
        raise Unsupported("nobody answers here")

    async def cursor(self, name: str) -> str:
        stored = [taken.cursor.value for taken in self.intake.taken if taken.cursor and taken.cursor.name == name]
        return stored[-1] if stored else self.cursors.get(name, "")

    def feed(self, reader: Address, *, since: str = "") -> AsyncIterator[FeedItem]:
        raise AssertionError("a mail channel shows nobody a feed")

    async def turn(self, event: SessionEvent) -> Turn:
        raise AssertionError("a mail is no call")

    def sign(self, value: str, *, valid: timedelta) -> str:
        return f"{value}.signed"

    def unsign(self, token: str) -> str:
        return token.removesuffix(".signed")

    def report_state(self, state: Literal["up", "degraded"], reason: str = "") -> None:
        self.states.append((state, reason))
        self.reported.set()

    async def ready(self) -> None:
        """Return when the channel has reported how it is."""
        async with asyncio.timeout(15):
            await self.reported.wait()


CHANNEL = ChannelId("support-mail")


def message(**changes: Any) -> OutboundMessage:
    """Return an outbound message with what a test leaves open filled in."""
    values: dict[str, Any] = {
        "key": "k1",
        "entry_key": "e1",
        "attempt": 1,
        "to": Address("email", "ann@customer.test"),
        "text": "Guten Tag,\n\nIhre Bestellung ist unterwegs.\n",
        "subject": "Meine Bestellung",
    }
    return OutboundMessage(**{**values, **changes})
