"""The words of customer service as values: frozen, no I/O. Times are aware UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NewType, TypeAlias

from attrs import field, frozen

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
ChannelId = NewType("ChannelId", str)
CustomerId = NewType("CustomerId", str)
ConversationId = NewType("ConversationId", str)

NOTHING: Final[Mapping[str, Json]] = MappingProxyType({})

INLINE_MAX_BYTES: Final = 65_536
"""An attachment may travel as ``bytes`` up to this size; above it the content is a :class:`Blob`."""


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def microseconds(at: datetime) -> int:
    """Return an aware time as microseconds since 1970, exactly."""
    return (at - _EPOCH) // _MICROSECOND


def moment(at_us: int) -> datetime:
    """Return the aware time, in UTC, that :func:`microseconds` was given."""
    return _EPOCH + timedelta(microseconds=at_us)


@frozen
class Address:
    """A normalised handle of a person; ``str()`` gives ``email:ann@example.org``.

    The connector normalises: two spellings of one handle are two addresses to the core.
    """

    scheme: str
    value: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.value}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``scheme:value``; raises ``ValueError`` if there is no scheme or no value."""
        scheme, colon, value = text.partition(":")
        if not (scheme and colon and value):
            raise ValueError(f"{text!r} is no address: write it as scheme:value, for instance email:ann@example.org")
        return cls(scheme, value)


@frozen
class Blob:
    """Content that is in the store: open it with ``context.blobs``. *digest* is the SHA-256 in hexadecimal."""

    digest: str
    size: int


@frozen
class Remote:
    """Content that is still at the provider; ``FetchesMedia.fetch_media(ref)`` brings it."""

    ref: str


@frozen(kw_only=True)
class Attachment:
    """A file beside a text. Inbound it may be bytes (up to 64 KB), outbound it is always a :class:`Blob`."""

    name: str
    media_type: str
    content: bytes | Blob | Remote = field(repr=False)
    content_id: str = ""
    """For pictures inside HTML: what ``cid:`` names."""


@frozen
class Button:
    """A choice that the recipient may press: *label* is shown, *value* comes back as ``Received.choice``."""

    label: str
    value: str


@frozen(kw_only=True)
class Template:
    """A text that the provider approved beforehand, for instance for a closed reply window."""

    name: str
    language: str
    values: tuple[str, ...] = ()


@frozen(kw_only=True)
class Customer:
    """A person or company, with every address that is known to be theirs."""

    id: CustomerId
    name: str
    addresses: tuple[Address, ...]
    language: str
    plan: str


class ConversationState(StrEnum):
    """Whose turn it is: ours (``open``), the customer's (``waiting``), or nobody's: it is ``solved``, or we only ``told`` them."""

    OPEN = "open"
    WAITING = "waiting"
    SOLVED = "solved"
    TOLD = "told"
    """Nothing but notices went out: nobody asked, and nobody has to answer."""


@frozen(kw_only=True)
class Conversation:
    """One concern of one customer."""

    id: ConversationId
    customer: CustomerId
    kind: str
    """support, service, care, complaint, or a plugin's own."""
    state: ConversationState
    language: str
    last_n: int


@frozen(kw_only=True)
class Entry:
    """One thing that happened in a conversation. *n* counts 1, 2, 3 ... without a gap and never moves."""

    conversation: ConversationId
    n: int
    kind: str
    """received, sent, notice, note, solved, reopened, edited ... The set is open: have an else."""
    at: datetime
    author: str
    """An address, ``agent:<name>`` or ``plugin:<name>``."""
    channel: ChannelId | None
    text: str
    attachments: tuple[Attachment, ...] = ()
    data: Mapping[str, Json] = NOTHING
    """What else is known of it, for instance ``subject`` and ``sender_name`` of a mail."""
    key: str = ""
    """received: its event key; sent: the ``OutboundMessage.key`` for this reader."""


STATE_AFTER: Final[Mapping[str, ConversationState]] = MappingProxyType(
    {
        "received": ConversationState.OPEN,
        "call": ConversationState.OPEN,
        "handover": ConversationState.OPEN,
        "reopened": ConversationState.OPEN,
        "sent": ConversationState.WAITING,
        "solved": ConversationState.SOLVED,
    }
)
"""The conversation's state follows from its entries: an entry of any other kind leaves it as it is."""


class DeliveryState(StrEnum):
    """Where one outbound entry to one recipient stands, from the lowest to the highest: see :func:`fold`."""

    QUEUED = "queued"
    SENDING = "sending"
    UNCERTAIN = "uncertain"
    SENT = "sent"
    REFUSED = "refused"
    FAILED = "failed"
    DELIVERED = "delivered"
    READ = "read"


class Purpose(StrEnum):
    """Why a message goes out, the most urgent first: it decides whose turn it is and whose consent it needs."""

    REPLY = "reply"
    """Answers somebody."""
    NOTICE = "notice"
    """Of an order, a delivery, an appointment: needs no consent, and waits for replies."""
    OUTREACH = "outreach"
    """Advertising: needs recorded consent, and tells its reader how to stop it. Waits for everything else."""


_HEIGHT: Final[Mapping[DeliveryState, int]] = MappingProxyType({state: at for at, state in enumerate(DeliveryState)})


def fold(state: DeliveryState, fact: DeliveryState) -> DeliveryState:
    """Return the state after a fact became known, in whatever order facts arrive: the higher of the two.

    A state is never lowered, so a late ``sent`` changes nothing of ``delivered``, and a ``failed`` that contradicts a
    ``delivered`` loses: what demonstrably arrived did not fail. Only an *attempt* may take a delivery from ``sending`` back
    to ``queued`` (when it certainly did not happen); that is not a fact of the provider's and not this function's business.
    """
    return fact if _HEIGHT[fact] > _HEIGHT[state] else state
