"""Services: typed questions that one plugin answers and others ask, without knowing each other."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Generic, TypeVar

from attrs import field, frozen

from fernamt.model import Address, Json

_A_co = TypeVar("_A_co", covariant=True)


class Question(Generic[_A_co]):
    """A service is one frozen question type, answered with an ``A`` by one plugin; subclass ``Question[A]``."""


@frozen
class FaqAnswer:
    """One answer of a collection; *confidence* is between 0 and 1, *source* a link that a customer may open."""

    text: str
    confidence: float
    source: str


@frozen(kw_only=True)
class FaqQuestion(Question[tuple[FaqAnswer, ...]]):
    """What does our collection of answers say? Best first."""

    text: str = field(repr=False)
    language: str


@frozen(kw_only=True)
class Hours:
    """Whether we are open; *reason* is for people, in the language of the question: ``closed``, ``Tag der Deutschen Einheit``."""

    is_open: bool
    reason: str
    changes_at: datetime | None
    occasion: str = ""
    """Why it is not as usual: ``holiday`` or ``special``, a day of the company's own."""


@frozen(kw_only=True)
class HoursQuestion(Question[Hours]):
    """Are we open at that time, by that calendar? *language* is that of whoever asks; empty: nobody knows."""

    calendar: str
    at: datetime
    language: str = ""


@frozen(kw_only=True)
class CustomerCard(Question[Mapping[str, Json]]):
    """What does the company's own record say of the customer?"""

    addresses: tuple[Address, ...]
