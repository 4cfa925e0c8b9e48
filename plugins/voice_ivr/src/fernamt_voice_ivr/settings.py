"""The section ``[plugins.voice_ivr]``: what the services of this plugin answer from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, time
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo

from attrs import field, frozen

from fernamt import Secret

_SPAN: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_LAND: Final = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")
_NONE: Final[Mapping[str, Any]] = MappingProxyType({})
DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def minutes_of(span: str) -> tuple[int, int]:
    """Return a span such as ``08:00-17:30`` in minutes since midnight; raises ``ValueError``."""
    found = _SPAN.fullmatch(span)
    if found is None:
        raise ValueError(f"{span!r} is no span of hours: write it as '08:00-17:30'")
    begin, end = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
    if not begin < end <= 24 * 60:
        raise ValueError(f"{span!r} must end after it begins, on the same day")
    return begin, end


def _spans(_: object, __: object, value: tuple[str, ...]) -> None:
    for one in value:
        minutes_of(one)


def _zone(_: object, __: object, value: str) -> None:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError("is no time zone, such as Europe/Berlin") from None


def _land(_: object, __: object, value: str) -> None:
    if not value:
        return
    if not _LAND.fullmatch(value):
        raise ValueError("is a country, or a country and one of its parts, such as DE-BY")
    import holidays

    try:
        country, _dash, part = value.partition("-")
        holidays.country_holidays(country, subdiv=part or None)
    except NotImplementedError:
        raise ValueError(f"{value!r} is not known: see the list of the package holidays") from None


def _days(_: object, __: object, value: Mapping[str, tuple[str, ...]]) -> None:
    for day, spans in value.items():
        try:
            date.fromisoformat(day)
        except ValueError:
            raise ValueError(f"{day!r} is no day: write it as '2026-12-24'") from None
        for one in spans:
            minutes_of(one)


@frozen(kw_only=True)
class Calendar:
    """When somebody is there."""

    zone: str = field(default="Europe/Berlin", validator=_zone)
    """Whose clock the hours mean."""
    holidays: str = field(default="", validator=_land)
    """The country, and its part, whose public holidays are days off: ``DE-BY``; empty: none is."""
    monday: tuple[str, ...] = field(default=(), validator=_spans)
    """The hours of that day: ``["08:00-12:00", "13:00-17:00"]``; without them it is closed."""
    tuesday: tuple[str, ...] = field(default=(), validator=_spans)
    """As ``monday``."""
    wednesday: tuple[str, ...] = field(default=(), validator=_spans)
    """As ``monday``."""
    thursday: tuple[str, ...] = field(default=(), validator=_spans)
    """As ``monday``."""
    friday: tuple[str, ...] = field(default=(), validator=_spans)
    """As ``monday``."""
    saturday: tuple[str, ...] = field(default=(), validator=_spans)
    """As ``monday``."""
    sunday: tuple[str, ...] = field(default=(), validator=_spans)
    """As ``monday``."""
    days: Mapping[str, tuple[str, ...]] = field(default=_NONE, validator=_days)
    """Days that are not as usual, before holidays too: ``"2026-12-24" = ["09:00-12:00"]``; ``[]`` is closed."""


@frozen(kw_only=True)
class Services:
    """``[plugins.voice_ivr]``."""

    calendars: Mapping[str, Calendar] = _NONE
    """Opening hours by the names of calendars; a menu asks for ``default`` where it names none."""
    answers: Path | None = None
    """A TOML file with questions and their answers."""
    orders_url: str = ""
    """Where the shop says how an order stands: ``https://shop.example/orders/{number}``."""
    orders_token: Secret | None = None
    """Sent there as ``Authorization: Bearer``."""


def at_minute(minute: int) -> time:
    """Return a minute of a day as a time; the last one is the first of the next day."""
    return time(minute // 60 % 24, minute % 60)
