"""What plugin code may ask for without doing it: subscribers, jobs and menus return effects, and the core commits them once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Generic, TypeAlias, TypeVar

from attrs import field, frozen

from fernamt.model import NOTHING, Address, Attachment, Button, ChannelId, Conversation, Customer, Entry, Json, Template

_S_co = TypeVar("_S_co", covariant=True)


@frozen(kw_only=True)
class Reply:
    """Write to the customer. The message is marked as automatic."""

    text: str = field(repr=False)
    to: Address | None = None
    """``None``: who wrote last."""
    channel: ChannelId | None = None
    """``None``: where the customer wrote last."""
    buttons: tuple[Button, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    template: Template | None = None
    """Used when the reply window is closed."""


@frozen(kw_only=True)
class AddEntry:
    """Add an entry: a ``note``, a ``solved``, or a kind of the plugin's own. The conversation's state follows from its kind."""

    kind: str
    text: str = field(default="", repr=False)
    data: Mapping[str, Json] = NOTHING


@frozen(kw_only=True)
class Timer:
    """Tell the subscriber again later, with ``Told.timer``. Setting a name again in the same conversation replaces it."""

    name: str
    after: timedelta | None
    """``None``: cancelled."""


@frozen(kw_only=True)
class Job:
    """Run the plugin's job of that name: once at a time, again after an error by that error's rule."""

    name: str
    data: Mapping[str, Json] = field(default=NOTHING, repr=False)


@frozen
class Remember:
    """Replace this subscriber's memory of this conversation; at most 8 KB of JSON."""

    memory: Mapping[str, Json] = field(repr=False)


Effect: TypeAlias = Reply | AddEntry | Timer | Job | Remember


@frozen(kw_only=True)
class Told(Generic[_S_co]):
    """What a subscriber is told."""

    entry: Entry
    """With a timer: the entry that set it."""
    timer: str = ""
    conversation: Conversation
    customer: Customer
    memory: Mapping[str, Json] = field(repr=False)
    """What :class:`Remember` kept last, else empty."""
    settings: _S_co
    """Of the subscriber's plugin."""


Subscriber: TypeAlias = Callable[[Told[Any]], Sequence[Effect]]
"""Synchronous and pure. Its effects and its position commit together, so nothing is done twice and nothing is left out."""
