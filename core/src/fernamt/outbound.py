"""What goes out: one message to one recipient, what the provider said, and what a channel can do."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from attrs import field, frozen

from fernamt.model import Address, Attachment, Button, DeliveryState, Purpose, Template


@frozen(kw_only=True)
class Answered:
    """The message that the recipient sees above or below our answer, in channels that quote."""

    sender: Address
    sender_name: str = field(repr=False)
    text: str = field(repr=False)
    at: datetime
    """When it was written, if its channel said so, else when it came."""


@frozen(kw_only=True, slots=False)  # as Received: each message makes one
class OutboundMessage:
    """One attempt to bring one entry to one recipient."""

    key: str
    """Ours, ``[a-z0-9]``, the same on every attempt: give it to the provider as the idempotency key if it takes one."""
    entry_key: str
    """The same for every recipient of this entry."""
    attempt: int
    """1 for the first."""
    to: Address
    text: str = field(repr=False)
    html: str = field(default="", repr=False)
    subject: str = field(default="", repr=False)
    cc: tuple[Address, ...] = ()
    """Shown to the reader; each has a delivery of its own."""
    attachments: tuple[Attachment, ...] = ()
    buttons: tuple[Button, ...] = ()
    template: Template | None = None
    reply_to: str = ""
    """The provider's id of what is answered."""
    references: tuple[str, ...] = ()
    """The provider's ids of this conversation on this channel, oldest first."""
    reply_token: str = ""
    """Signed, ``[a-z0-9-]``, at most 40 characters: whoever brings it back joins the conversation."""
    automatic: bool = False
    """Written by a machine."""
    purpose: Purpose = Purpose.REPLY
    author: str = ""
    """``agent:<name>`` or ``plugin:<name>``."""
    language: str = ""
    """Of the customer, as in ``de``; ``""``: nobody knows."""
    answered: Answered | None = None
    """What the customer wrote last on this channel, with ``Capabilities.quotes``."""
    sent_ids: tuple[str, ...] = ()
    """Parts that earlier attempts got through: skip so many."""


@frozen(kw_only=True)
class Sent:
    """The provider took the message."""

    ids: tuple[str, ...] = ()
    """The provider's, one per part; receipts name them."""
    cost: Decimal | None = None
    """In the account's currency."""


@frozen(kw_only=True)
class Files:
    """One kind of attachment that a channel takes; the first of ``Capabilities.files`` that fits counts."""

    media_types: tuple[str, ...] = ("*/*",)
    max_bytes: int
    max_count: int = 1
    caption: int | None = None
    """How much text may ride along; ``None``: as much as in any message, 0: none, so that the text goes first."""


@frozen(kw_only=True)
class Voice:
    """What a channel that carries calls can do."""

    speech: bool = False
    """The provider recognises speech."""
    record: bool = False
    transfer: bool = False
    languages: tuple[str, ...] = ()


@frozen(kw_only=True)
class Capabilities:
    """What this channel can do (this channel, not this kind): the core splits, degrades or refuses by it."""

    max_units: int = 1600
    """The length of one message, in *unit*."""
    unit: Literal["character", "utf16", "byte", "measured"] = "character"
    """``measured``: the connector counts (``Measures.units``)."""
    html: bool = False
    subject: bool = False
    files: tuple[Files, ...] = ()
    buttons: int = 0
    button_units: int = 20
    receipts: frozenset[DeliveryState] = frozenset()
    reply_window: timedelta | None = None
    """After the customer's last words, unless an event said otherwise."""
    templates: bool = False
    idempotent: bool = False
    """A repeat with the same key or id makes no second copy, so an unknown outcome may simply be repeated."""
    opt_out_words: bool = False
    """People end its messages by a word such as STOP: the core finds it and confirms it, unless the provider tells in the
    same breath (``Consent``). For what is texted; not where the provider keeps such words from us."""
    quotes: bool = False
    """Wants ``OutboundMessage.answered``."""
    threads: bool = True
    """``send`` uses ``reply_to``, ``references`` or ``reply_token``. Without, they are empty there, and nobody has to look for
    them; ``lookup`` gets them all the same."""
    automatic_per_day: int | None = None
    """So many automatic messages at most to one person within 24 hours, whatever asks for them; ``None``: no limit."""
    full_lookup: bool = False
    """``Reconciles`` answering ``not_sent`` can be believed."""
    in_flight: int = 1
    """How many sends may be under way at the same time."""
    units_per_s: float | None = None
    """How fast the provider takes them: messages, or with ``unit="measured"`` what ``Measures.units`` counts."""
    voice: Voice | None = None
