"""What comes in: the events that a connector hands to intake. Each key is the same on every repeat of its event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol, TypeAlias

from attrs import field, frozen

from fernamt.errors import ChannelError
from fernamt.model import Address, Attachment, Blob, ConversationId, DeliveryState
from fernamt.session import SessionEvent


@frozen(kw_only=True)
class Thread:
    """Where an event belongs, by strength: *token*, then *references*, then *place*; the first that is known wins.

    A reference joins a conversation only for one of its participants: a forged sender alone joins nothing.
    """

    token: str = ""
    """A reply token that ``OutboundMessage.reply_token`` gave out; the core checks its signature."""
    references: tuple[str, ...] = ()
    """Provider ids, nearest first."""
    hint: str = ""
    """The beginning of a reply token, six characters of its signature or more: joins like a reference, after them."""
    place: str = ""
    """A post, ticket or subject line of its own; ``""``: all that this sender writes on this channel."""
    learns: bool = False
    """The nearest and the farthest reference, if unknown, become ids of what the event joins: what refers to them later joins
    too. Only where ``ChoosesId`` fixes our own ids before they can be seen."""
    shared: bool = False
    """Whoever writes at this place joins the one conversation there: a room or a group, where all read every answer. Only
    where the provider itself says who writes there, and never without a place."""


@frozen(kw_only=True)
class Part:
    """One of several pieces of a message that the provider delivers singly (long SMS, albums).

    Each is on disk when it is accepted; they become one entry when all are there, or after half an hour with visible gaps.
    """

    group: str
    """The same for all pieces of a message of this sender; it may come again in a later message."""
    number: int
    """From 1 to *total*."""
    total: int | None = None
    """``None``: nobody says; a short silence ends it."""


@frozen(kw_only=True)
class Acknowledgement:
    """What somebody hears at once who opens a conversation. It never holds words of theirs."""

    text: str
    """``{number}`` stands for the number of the conversation, here and in the subject."""
    subject: str = ""


@frozen
class Lines:
    """Lines of a text, which end with a line feed and nothing else, that a reader knows already: shown folded, never cut off."""

    first: int
    """The first of them; the first of the text is 0."""
    end: int
    """The line behind the last of them."""
    kind: str = "quote"
    """``quote``: was said before; ``signature``: who writes, or on what."""


_UNTHREADED = Thread()


# Without slots where each message makes one: its construction takes half the time.
@frozen(kw_only=True, slots=False)
class Received:
    """A person wrote, sent a file, or pressed a button."""

    key: str
    key_valid_s: float | None = None
    """Set it if the provider gives no id: equal keys further apart than this are two messages."""
    part: Part | None = None
    sender: Address
    text: str = field(default="", repr=False)
    folded: tuple[Lines, ...] = ()
    """Of the text, in their order, none within another: new words may lie between them."""
    id: str = ""
    """The provider's id, for later references, edits and receipts."""
    aliases: tuple[Address, ...] = ()
    """Other handles of the sender that the provider itself vouches for."""
    sender_name: str = field(default="", repr=False)
    cc: tuple[Address, ...] = ()
    subject: str = field(default="", repr=False)
    html: str = field(default="", repr=False)
    """As it came: the core keeps a cleaned copy."""
    choice: str = ""
    """The value of the button that was pressed."""
    attachments: tuple[Attachment, ...] = ()
    thread: Thread = _UNTHREADED
    at: datetime | None = None
    """The provider's time. The order of entries is the order of arrival."""
    window_until: datetime | None = None
    """Until when the provider lets us answer freely."""
    marks: tuple[str, ...] = ()
    """What a reader should know beside the words, in short words of the channel: ``signed`` (nobody checked by whom),
    ``encrypted``, and what the provider says of it: ``spam``, ``dmarc=fail``."""
    automatic: bool = False
    """An out-of-office note, a list, a bounce: starts no menu and gets no automatic reply."""
    silent: bool = False
    """Shown, and nobody has to look: it reopens nothing and leaves the state as it is, as an out-of-office note does."""
    acknowledgement: Acknowledgement | None = None
    """Sent if this opens a conversation and nobody's machine wrote it, once in 24 hours to one person; it is no answer yet."""
    by_us: bool = False
    """An echo: a colleague wrote it in the provider's own app."""


@frozen(kw_only=True)
class Changed:
    """A message that we know was edited, deleted or reacted to: an entry about an entry."""

    key: str
    id: str
    kind: Literal["edited", "deleted", "reaction"]
    text: str = field(default="", repr=False)
    sender: Address | None = None


@frozen(kw_only=True)
class Receipt:
    """The provider says what became of a message: named by its id, by our key, or by address and time."""

    key: str
    state: DeliveryState
    """SENT, DELIVERED, READ or FAILED."""
    id: str = ""
    message_key: str = ""
    address: Address | None = None
    up_to: datetime | None = None
    """Everything sent to *address* until then."""
    error: ChannelError | None = None
    """With FAILED: why. ``OptedOut`` stops the address; whatever it is, nothing is sent again by itself. With SENT: why it is late."""
    at: datetime | None = None


@frozen(kw_only=True)
class Consent:
    """The provider says that a person allows or stops messages. Words such as STOP are the core's to find."""

    key: str
    address: Address
    allowed: bool
    scope: str = ""
    """``""``: everything; else for instance ``marketing``, which outreach needs."""
    evidence: str = field(default="", repr=False)
    """The words that were agreed to, and where they can be seen."""


@frozen(kw_only=True)
class Renamed:
    """The provider gave a person another handle."""

    key: str
    old: Address
    new: Address


@frozen(kw_only=True)
class Unparsed:
    """One bad element of a batch: it is quarantined, its neighbours go on."""

    key: str
    reason: str
    raw: bytes = field(default=b"", repr=False)
    """``b""``: the raw bytes of the whole count."""


@frozen(kw_only=True)
class Ignored:
    """Understood and of no interest: counted by reason."""

    reason: str


@frozen
class Fetch:
    """The provider only says that there is something: ``Backfills.fetch(cursor)`` brings it."""

    cursor: str


InboundEvent: TypeAlias = Received | Changed | Receipt | Consent | Renamed | Unparsed | Ignored | Fetch | SessionEvent


@frozen(kw_only=True, slots=False)
class Accepted:
    """What became of an event; for a *repeat* these are the numbers of the first one."""

    conversation: ConversationId | None
    """``None``: it made no entry (a receipt, a piece that waits for others, something ignored or quarantined)."""
    n: int | None
    """``None`` also for a session event: what follows from it is a turn."""
    repeat: bool


@frozen
class Cursor:
    """A position in the provider's stream, written only together with the events that it stands for."""

    name: str
    value: str


class Intake(Protocol):
    """The way into the store."""

    async def accept(
        self,
        events: Sequence[InboundEvent],
        *,
        raw: bytes | Blob | None = None,
        cursor: Cursor | None = None,
        wait: bool = False,
    ) -> tuple[Accepted, ...]:
        """Return when all of *events* is on disk, in the order given: only then may the provider be told so.

        Args:
            events: What arrived; may be empty, to move only the cursor.
            raw: The bytes from which the events were read; they are kept with them. Above 64 KB it is a ``Blob``.
            cursor: Committed in the same transaction, so it never runs ahead of what it stands for.
            wait: Pause while intake is full or the store cannot be written, instead of raising.

        Raises:
            NotStored: Nothing of it is committed; offer all of it again after ``after_s`` seconds.

        Cancelled, the outcome is unknown: offer it again, a repeat makes no second entry.
        """


# Webhooks: bytes in, values out.
@frozen(kw_only=True, slots=False)
class Request:
    """An HTTP request to a channel's webhook, its body read within the limit."""

    method: str
    url: str
    """The public address from the settings, never from the Host header: what a signature is computed over."""
    path: str
    """Below the webhook's own path."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names are case-insensitive; a request with a signature header twice never gets here."""
    body: bytes = field(repr=False)
    at: datetime


@frozen(kw_only=True)
class Response:
    """What the provider gets."""

    status: int = 200
    body: bytes = b""
    media_type: str = "text/plain"


OK = Response()


@frozen
class Handshake:
    """The provider only checks that we are here: answered at once, nothing is stored."""

    response: Response
