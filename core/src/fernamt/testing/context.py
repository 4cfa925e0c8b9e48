"""What a connector is given, for tests: an intake that remembers, blobs in memory, a clock that a test owns, a log that is kept."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import structlog
from attrs import define, field, frozen

from fernamt.connector import Channel, FeedItem, Tables
from fernamt.errors import BadSignature, NotStored, Unsupported
from fernamt.http import Http
from fernamt.inbound import Accepted, Cursor, InboundEvent, Received
from fernamt.model import Address, Blob, ChannelId, ConversationId
from fernamt.services import Question
from fernamt.session import SessionEvent, Turn

NOON: Final = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
_PIECE: Final = 65_536
_WAIT_S: Final = 15.0


class FakeClock:
    """A clock that stands still until :meth:`advance`; who sleeps wakes when his time has come."""

    def __init__(self, at: datetime = NOON) -> None:
        self._at = at
        self._sleepers: list[tuple[datetime, asyncio.Future[None]]] = []
        self.slept: list[float] = []
        """Every sleep that was asked for, in seconds."""

    def now(self) -> datetime:
        """See :class:`fernamt.Clock`."""
        return self._at

    async def sleep(self, seconds: float) -> None:
        """See :class:`fernamt.Clock`."""
        self.slept.append(seconds)
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        until = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._at + timedelta(seconds=seconds), until))
        await until

    def skewed(self, by_s: float) -> SkewedClock:
        """Return the clock of somebody else, which runs with this one, and is wrong by so many seconds."""
        return SkewedClock(self, by_s)

    def advance(self, seconds: float) -> None:
        """Let so much time pass, and wake whoever slept until then."""
        self._at += timedelta(seconds=seconds)
        woken = [one for one in self._sleepers if one[0] <= self._at]
        self._sleepers = [one for one in self._sleepers if one[0] > self._at]
        for _, until in sorted(woken, key=lambda one: one[0]):
            if not until.done():
                until.set_result(None)


@frozen
class SkewedClock:
    """A clock that is wrong: ahead of the true one by so many seconds, or behind it."""

    true: FakeClock
    by_s: float

    def now(self) -> datetime:
        """See :class:`fernamt.Clock`."""
        return self.true.now() + timedelta(seconds=self.by_s)

    async def sleep(self, seconds: float) -> None:
        """See :class:`fernamt.Clock`."""
        await self.true.sleep(seconds)


@frozen(kw_only=True)
class Taken:
    """One call of ``accept`` that was committed."""

    events: tuple[InboundEvent, ...]
    raw: bytes | Blob | None
    cursor: Cursor | None


@define
class FakeIntake:
    """Remembers what it took, and knows repeats by their keys."""

    taken: list[Taken] = field(factory=list)
    refuse: int = 0
    """So many calls raise ``NotStored`` first, those with ``wait=True`` among them."""
    hold: asyncio.Event | None = None
    """If set: nothing is stored before this event is."""
    dies: bool = False
    """The next call commits, and then everything ends as if the process were gone."""
    entered: asyncio.Event = field(factory=asyncio.Event)
    _changed: asyncio.Condition = field(factory=asyncio.Condition)
    _numbers: dict[str, int] = field(factory=dict)

    @property
    def events(self) -> list[InboundEvent]:
        """Every event that was taken, repeats too."""
        return [event for taken in self.taken for event in taken.events]

    @property
    def keys(self) -> list[str]:
        """The keys of the events, each once: what a store would have."""
        return list(dict.fromkeys(getattr(event, "key", "") for event in self.events))

    def cursor(self, name: str) -> str:
        """Return what was last committed under *name*."""
        stored = [taken.cursor.value for taken in self.taken if taken.cursor and taken.cursor.name == name]
        return stored[-1] if stored else ""

    async def accept(
        self,
        events: Sequence[InboundEvent],
        *,
        raw: bytes | Blob | None = None,
        cursor: Cursor | None = None,
        wait: bool = False,
    ) -> tuple[Accepted, ...]:
        """See :class:`fernamt.Intake`."""
        self.entered.set()
        if self.hold is not None:
            await self.hold.wait()
        if self.refuse:
            self.refuse -= 1
            raise NotStored("the store is full", after_s=3.0)
        known = set(self.keys)
        accepted = tuple(self._accepted(event, known) for event in events)
        self.taken.append(Taken(events=tuple(events), raw=raw, cursor=cursor))
        async with self._changed:
            self._changed.notify_all()
        if self.dies:
            self.dies = False
            raise asyncio.CancelledError
        return accepted

    def _accepted(self, event: InboundEvent, known: Collection[str]) -> Accepted:
        """Return what the store would say, were there one conversation in which each message is the next entry."""
        key = getattr(event, "key", "")
        if not isinstance(event, Received):
            return Accepted(conversation=None, n=None, repeat=key in known)
        if key not in self._numbers:
            self._numbers[key] = len(self._numbers) + 1
        return Accepted(conversation=ConversationId("1"), n=self._numbers[key], repeat=key in known)

    async def until(self, enough: Callable[[FakeIntake], bool], *, within_s: float = _WAIT_S) -> None:
        """Return when *enough* is true; raises ``TimeoutError`` if it does not become so."""
        async with self._changed, asyncio.timeout(within_s):
            await self._changed.wait_for(lambda: enough(self))


@define
class FakeBlobs:
    """Blobs in memory."""

    kept: dict[str, bytes] = field(factory=dict)
    refuse: int = 0
    """So many calls of :meth:`put` raise ``NotStored`` first."""

    def add(self, content: bytes) -> Blob:
        """Keep *content*, and return what a message names it by."""
        digest = hashlib.sha256(content).hexdigest()
        self.kept[digest] = content
        return Blob(digest, len(content))

    async def put(self, chunks: AsyncIterable[bytes], *, max_bytes: int) -> Blob:
        """See :class:`fernamt.Blobs`."""
        if self.refuse:
            self.refuse -= 1
            raise NotStored("the disk is full", after_s=3.0)
        pieces = [chunk async for chunk in chunks]
        if any(len(piece) > _PIECE for piece in pieces):
            raise AssertionError(f"a piece is longer than {_PIECE} bytes: a file is a stream, never held whole")
        content = b"".join(pieces)
        if len(content) > max_bytes:
            raise ValueError(f"it is longer than {max_bytes} bytes")
        return self.add(content)

    async def open(self, blob: Blob) -> AsyncIterator[bytes]:
        """See :class:`fernamt.Blobs`."""
        if blob.digest not in self.kept:
            raise FileNotFoundError(blob.digest)
        content = self.kept[blob.digest]
        for start in range(0, len(content), _PIECE):
            yield content[start : start + _PIECE]


class Absent:
    """Stands where a test gives nothing: to touch it is a mistake of the test or of the connector."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"this test gives no {self._what}, and {name} of it was used")


@define(kw_only=True)
class FakeContext:
    """A :class:`fernamt.ConnectorContext` for tests.

    ::

        context = FakeContext()
        connector = Courier(channel, context)
        ...
        assert [event.key for event in context.intake.events] == ["m-1"]

    *http* is absent unless given, for instance by :func:`loopback_http`.
    """

    settings: Any = None
    http: Http = field(factory=lambda: Absent("http"))
    tables: Tables = field(factory=lambda: Absent("tables"))
    clock: FakeClock = field(factory=FakeClock)
    blobs: FakeBlobs = field(factory=FakeBlobs)
    intake: FakeIntake = field(factory=FakeIntake)
    states: list[tuple[str, str]] = field(factory=list)
    """What ``report_state`` was told, in order."""
    logged: list[Mapping[str, Any]] = field(factory=list)
    """What was logged, as it was given: nothing is taken out."""
    cursors: dict[str, str] = field(factory=dict)
    """What an earlier run committed."""
    channels: Sequence[Channel[Any]] = ()
    """The channels of the plugin."""
    reported: asyncio.Event = field(factory=asyncio.Event)
    log: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.log = structlog.wrap_logger(None, [self._keep], wrapper_class=structlog.make_filtering_bound_logger(0))

    def _keep(self, _logger: object, method: str, event: Mapping[str, Any]) -> Mapping[str, Any]:
        self.logged.append({**event, "level": method})
        raise structlog.DropEvent

    def channel(self, name: ChannelId) -> Channel[Any]:
        """See :class:`fernamt.PluginContext`."""
        for one in self.channels:
            if one.id == name:
                return one
        raise Unsupported(f"this test gives no channel {name!r}")

    async def look_up(self, question: Question[Any], *, timeout_s: float = 4.0) -> Any:
        """See :class:`fernamt.PluginContext`; nobody answers."""
        raise Unsupported("nobody answers here")

    async def cursor(self, name: str) -> str:
        """See :class:`fernamt.ConnectorContext`."""
        return self.intake.cursor(name) or self.cursors.get(name, "")

    async def feed(self, reader: Address, *, since: str = "") -> AsyncIterator[FeedItem]:
        """See :class:`fernamt.ConnectorContext`; nothing ever comes."""
        nothing: tuple[FeedItem, ...] = ()
        await asyncio.get_running_loop().create_future()
        for item in nothing:
            yield item

    async def turn(self, event: SessionEvent) -> Turn:
        """See :class:`fernamt.ConnectorContext`; there is no menu here."""
        raise Unsupported("this test has no menu")

    def sign(self, value: str, *, valid: timedelta | None) -> str:
        """See :class:`fernamt.ConnectorContext`."""
        return f"{value}.signed"

    def unsign(self, token: str) -> str:
        """See :class:`fernamt.ConnectorContext`."""
        value, dot, mark = token.rpartition(".")
        if not dot or mark != "signed":
            raise BadSignature("this token is not ours")
        return value

    def report_state(self, state: Literal["up", "degraded"], reason: str = "") -> None:
        """See :class:`fernamt.ConnectorContext`."""
        self.states.append((state, reason))
        self.reported.set()

    async def ready(self, *, within_s: float = _WAIT_S) -> None:
        """Return when the connector has reported how it is."""
        async with asyncio.timeout(within_s):
            await self.reported.wait()
