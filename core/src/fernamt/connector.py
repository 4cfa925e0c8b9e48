"""What a connector is: one required method, optional abilities beside it, and what it is given to work with."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, Protocol, TypeVar, runtime_checkable

from attrs import frozen

from fernamt.http import Http
from fernamt.inbound import OK, Handshake, InboundEvent, Intake, Request, Response
from fernamt.model import Address, Blob, ChannelId, Entry
from fernamt.outbound import Capabilities, OutboundMessage, Sent
from fernamt.services import Question
from fernamt.session import SessionEvent, Turn

if TYPE_CHECKING:
    import sqlalchemy as sa
    from aiohttp import web
    from structlog.typing import FilteringBoundLogger

_A = TypeVar("_A")
_S = TypeVar("_S")
_S_co = TypeVar("_S_co", covariant=True)


# ---- what a plugin is given
class Clock(Protocol):
    """The time, so that tests own it."""

    def now(self) -> datetime:
        """Return the time, aware, in UTC."""

    async def sleep(self, seconds: float) -> None:
        """Return after *seconds* seconds."""


class Blobs(Protocol):
    """Content above 64 KB, by digest: streams in, streams out."""

    async def put(self, chunks: AsyncIterable[bytes], *, max_bytes: int) -> Blob:
        """Store the stream. What no commit names within a day is swept.

        Raises:
            ValueError: It is longer than *max_bytes*; nothing of it is kept.
            NotStored: The disk or the database does not take it.
        """

    def open(self, blob: Blob) -> AsyncIterator[bytes]:
        """Yield the content in pieces of at most 64 KB. Raises ``FileNotFoundError`` if it was erased."""


class Tables(Protocol):
    """The plugin's own tables (``registry.tables``) in the core's database.

    *fn* is a plain function: it runs in a thread, in one short transaction of its own. Raises what *fn* raises, ``Unsupported``
    if no tables were declared, ``NotStored`` if the database is not there or another transaction was in the way.
    """

    async def read(self, fn: Callable[[sa.Connection], _A]) -> _A:
        """Return what *fn* returns; it sees one state and changes nothing."""

    async def write(self, fn: Callable[[sa.Connection], _A]) -> _A:
        """Commit what *fn* writes, one at a time, nothing if it raises; ``TimeoutError``: a statement ran for 5 s.

        On SQLite nobody else writes meanwhile, the core neither: wait for nothing inside. Cancelled, the outcome is unknown.
        """


class PluginContext(Protocol[_S_co]):
    """What any plugin is given."""

    @property
    def settings(self) -> _S_co:
        """The plugin's own section, ``[plugins.<name>]``."""

    @property
    def http(self) -> Http: ...
    @property
    def log(self) -> FilteringBoundLogger: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def blobs(self) -> Blobs: ...
    @property
    def tables(self) -> Tables: ...

    def channel(self, name: ChannelId) -> Channel[Any]:
        """Return one of the plugin's own channels: a job needs the settings of the line that it is about.

        Raises ``Unsupported`` if there is none of that name, or not any more.
        """

    async def look_up(self, question: Question[_A], *, timeout_s: float = 4.0) -> _A:
        """Ask whichever plugin answers questions of this type.

        Raises:
            Unsupported: Nobody offers it, or two do.
            ChannelError: The other plugin could not answer; ``Unreachable`` if it failed, or not in time.
        """


@frozen(kw_only=True)
class Channel(Generic[_S]):
    """One configured line of communication."""

    id: ChannelId
    """The name of its section, ``[channels.<id>]``: it never changes."""
    name: str
    """For people."""
    kind: str
    settings: _S
    url: str
    """Public, ends in ``/in/<id>/``."""


@frozen(kw_only=True)
class FeedItem:
    """An entry that a reader may see, and where he stands when he has seen it."""

    position: str
    """Give it to ``feed`` as *since* to go on behind it. At most 16 KB of ``[a-z0-9.-]``; it says nothing else."""
    entry: Entry


class ConnectorContext(PluginContext[Any], Protocol):
    """What a connector is given beside that."""

    @property
    def intake(self) -> Intake: ...

    async def cursor(self, name: str) -> str:
        """Return the value that was last committed under *name* for this channel, ``""`` at first."""

    def feed(self, reader: Address, *, since: str = "") -> AsyncIterator[FeedItem]:
        """Yield what *reader* may see on this channel, from *since* on (``""``: the beginning), and then whatever comes, for ever.

        That is what came in and what was sent to him, in his own conversations and those in which he takes part; never a
        note, never another channel's. An answer is seen once its sending has begun, so never if it was refused. Inside a
        conversation *n* says the order: an answer that was held back may come after what is behind it. Nothing is ever
        skipped, whichever runner stored it; after a fault an entry may come twice. Cancel it or close it when he is gone.
        """

    async def turn(self, event: SessionEvent) -> Turn:
        """Return what shall happen on the line after *event*, committed: render it, or do it.

        The first event of a session begins it. A repeat gives the same turn; :class:`Polled` and an event that answers an
        overtaken turn give the current one, and no step is made. Without actions the exchange is over, and nothing is said.

        Raises:
            NotStored: Nothing is committed; offer the event again after ``after_s`` seconds.
            ValueError: The event has no key, no session or no address.
        """

    def sign(self, value: str, *, valid: timedelta | None) -> str:
        """Return *value* with a signature that this channel can check until *valid* is over.

        ``None``: for ever, and then it is the same each time: a secret of this channel and store, for ids that nobody may guess.
        """

    def unsign(self, token: str) -> str:
        """Return what :meth:`sign` was given; raises ``BadSignature`` if it is not ours, of another channel, or too old."""

    def report_state(self, state: Literal["up", "degraded"], reason: str = "") -> None:
        """Say how the line is. The supervisor sets the other states: starting, needs-login, down."""


# ---- the connector: one method
class Connector(Protocol):
    """What a channel must do. Constructed with ``(channel, context)``; construction does no I/O."""

    async def send(self, message: OutboundMessage) -> Sent:
        """Make one attempt, with no retry inside: the core repeats what may be repeated.

        Raises:
            ChannelError: Its class says what happens next. Any other exception leaves the message *uncertain*.

        Cancelled, the outcome is unknown and the message becomes uncertain.
        """


# ---- abilities, found once by isinstance
@runtime_checkable
class Describes(Protocol):
    """Says what the channel can do; without it: plain text, 1,600 characters."""

    def capabilities(self) -> Capabilities:
        """Return the document; asked after the start and again whenever the channel comes up."""


@runtime_checkable
class Measures(Protocol):
    """Counts as the provider counts, for length and rate."""

    def units(self, message: OutboundMessage) -> int:
        """Return the length of the message. Pure.

        Raises ``Rejected`` for one that can never go, say to a number that cannot be: it is refused without an attempt, and a
        preview of notices names it.
        """


@runtime_checkable
class ChoosesId(Protocol):
    """Fixes the provider's id before the first attempt, so that replies and receipts find a message whose answer was lost."""

    def id_for(self, message: OutboundMessage) -> str:
        """Return the id, the same on every attempt. Pure; committed before ``send`` is called.

        Ids that differ in the last two characters alone, or in the last two before an ``@``, stand side by side in the store:
        one that counts up there costs least.
        """


@runtime_checkable
class Receives(Protocol):
    """Polls, streams or binds."""

    async def run(self) -> None:
        """Run until cancelled, on one runner at a time.

        Raising decides the channel's state: ``NeedsLogin`` stops it, anything else restarts it with back-off. Returning is
        legal and means that there is nothing (more) to run.
        """


@frozen(kw_only=True)
class Webhook:
    """One address below ``/in/<channel>/`` that a provider calls."""

    path: str
    verify: Callable[[Request], None]
    """Pure, on the raw bytes, before anything is parsed; raises ``BadSignature``."""
    parse: Callable[[Request], Handshake | Sequence[InboundEvent]]
    """Pure: every element of a batch, bytes in, values out; raises ``Unparsable``."""
    done: Response = OK
    """The answer after the commit."""
    sign: Callable[[Request], Request] | None = None
    """What the provider does: returns the request such that ``verify`` takes it, at ``request.at``. For tests, replays and
    ``fernamt dev`` only: the daemon never calls it."""


@runtime_checkable
class Webhooks(Protocol):
    """Is called by its provider."""

    def webhooks(self) -> Sequence[Webhook]:
        """Return the addresses; asked once at the start."""


@runtime_checkable
class Serves(Protocol):
    """Has handlers of its own, for instance a WebSocket."""

    def routes(self) -> Sequence[web.RouteDef]:
        """Return aiohttp routes below ``/in/<channel>/``; asked once at the start."""


@runtime_checkable
class Answers(Protocol):
    """Renders a turn for a provider that wants instructions back."""

    def answer(self, turn: Turn) -> Response:
        """Return the turn's actions in the provider's language. Pure: a repeat renders the same bytes."""


@runtime_checkable
class Performs(Protocol):
    """Brings a turn to a line that no request of the provider waits for."""

    async def perform(self, turn: Turn) -> None:
        """Tell the provider what shall happen now. Errors as in ``send``."""


@runtime_checkable
class Dials(Protocol):
    """Calls people."""

    async def dial(self, to: Address, *, session: str) -> Sent:
        """Start a call. Errors as in ``send``; *session* is unique, so it settles an uncertain dial."""


@runtime_checkable
class Verifies(Protocol):
    """Proves that the settings work."""

    async def verify(self) -> str:
        """Make a real round trip and return whom the provider says we are. Errors as in ``send``."""


@runtime_checkable
class Reconciles(Protocol):
    """Asks the provider what became of a message."""

    async def lookup(self, message: OutboundMessage) -> Sent | Literal["not_sent", "unknown"]:
        """Answer for one message; ``not_sent`` counts only with ``Capabilities.full_lookup``."""


@frozen(kw_only=True)
class Page:
    """A piece of the provider's history; *next* is the cursor of the following one, ``""``: that was all."""

    events: tuple[InboundEvent, ...]
    next: str = ""


@runtime_checkable
class Backfills(Protocol):
    """Can be asked again for what came in."""

    async def fetch(self, cursor: str) -> Page:
        """Return the page at *cursor*; ``""``: from the beginning."""


@runtime_checkable
class FetchesMedia(Protocol):
    """Brings attachments that are still at the provider."""

    def fetch_media(self, ref: str) -> AsyncIterator[bytes]:
        """Yield the content of ``Remote(ref)``. Errors as in ``send``."""


@runtime_checkable
class ShowsTyping(Protocol):
    """Can show that somebody writes."""

    async def show_typing(self, to: Address, *, reply_to: str) -> None:
        """Show it for a moment, where *reply_to* stands (see ``OutboundMessage``); best effort."""


@runtime_checkable
class MarksRead(Protocol):
    """Can tell the provider that we read something."""

    async def mark_read(self, ids: Sequence[str]) -> None:
        """Mark the messages with these provider ids; best effort."""


@runtime_checkable
class KnowsZones(Protocol):
    """Knows where its people are, so that none is disturbed at night."""

    def zones(self, to: Address) -> Sequence[str]:
        """Return the time zones in which *to* may be, as in ``Europe/Berlin``; none: nobody knows. Pure."""


ABILITIES: Final[tuple[type, ...]] = (
    Describes,
    Measures,
    ChoosesId,
    Receives,
    Webhooks,
    Serves,
    Answers,
    Performs,
    Dials,
    Verifies,
    Reconciles,
    Backfills,
    FetchesMedia,
    ShowsTyping,
    MarksRead,
    KnowsZones,
)


def abilities_of(connector: Connector) -> frozenset[type]:
    """Return which of :data:`ABILITIES` the connector has."""
    return frozenset(ability for ability in ABILITIES if isinstance(connector, ability))
