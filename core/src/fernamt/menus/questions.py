"""Questions that menus ask and no channel answers: of orders, and of places in a queue."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Final

from attrs import field, frozen

from fernamt.model import Address
from fernamt.services import CustomerCard, Question


@frozen(kw_only=True)
class OrderStatus:
    """Where an order is. *state* is open: ``received``, ``packed``, ``sent``, ``delivered``, ``cancelled``, or another word."""

    state: str
    expected_on: date | None = None
    total: str = ""
    """``59.90``."""
    carrier: str = ""
    link: str = ""
    """Where the parcel can be followed."""


@frozen(kw_only=True)
class OrderQuestion(Question[OrderStatus | None]):
    """Where is that order? ``None``: there is none, or it is none of this customer's business."""

    number: str = field(repr=False)
    addresses: tuple[Address, ...] = ()
    """Who asks: an answer that tells more than the state should depend on it."""
    code: str = field(default="", repr=False)
    """What proves that the order is theirs, for instance a postcode."""


@frozen(kw_only=True)
class Place:
    """A place in a queue."""

    position: int
    """1: the next one; 0: somebody is there now, at *agent*."""
    wait_s: float | None = None
    """About how long it takes; ``None``: nobody can say."""
    agent: str = ""
    """Whom to connect the caller with."""


@frozen(kw_only=True)
class PlaceQuestion(Question[Place]):
    """Keep a place in a queue, and where is it now? Asked again and again by one ticket; the place is given up by silence."""

    queue: str
    ticket: str
    """The same as long as the caller waits."""
    since: datetime
    priority: int = 0
    skills: tuple[str, ...] = ()


QUESTIONS: Final[Mapping[str, type[Question[Any]]]] = MappingProxyType(
    {"order": OrderQuestion, "customer": CustomerCard}
)
"""Those that a ``lookup`` node may name."""
FILLED: Final = frozenset({"addresses", "language", "at", "calendar"})
"""Fields of a question that are filled by themselves, from the exchange."""
