"""Business hours: weekly hours, public holidays, days that are not as usual. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from fernamt import Hours
from fernamt_voice_ivr.settings import DAYS, Calendar, at_minute, minutes_of

_LOOK_AHEAD_DAYS: Final = 60


_CLOSED: Final[Mapping[str, tuple[str, str]]] = {
    "de": ("geschlossen", "heute geschlossen"),
    "en": ("closed", "closed today"),
}


def hours_at(calendar: Calendar, at: datetime, language: str = "") -> Hours:
    """Say whether somebody is there at that time, why not in that language, and when that changes."""
    zone = ZoneInfo(calendar.zone)
    here = at.astimezone(zone)
    spans, occasion, reason = _day(calendar, here.date(), language)
    minute = here.hour * 60 + here.minute
    for begin, end in spans:
        if begin <= minute < end:
            return Hours(is_open=True, reason="", changes_at=_moment(here.date(), end, zone), occasion=occasion)
    return Hours(
        is_open=False,
        reason=reason or _closed(language)[0],
        changes_at=_opens(calendar, here, zone, language),
        occasion=occasion,
    )


def _day(calendar: Calendar, day: date, language: str) -> tuple[tuple[tuple[int, int], ...], str, str]:
    """Return the hours of a day, and why they are not as usual."""
    special = calendar.days.get(day.isoformat())
    if special is not None:
        return tuple(sorted(map(minutes_of, special))), "special", _closed(language)[1]
    if calendar.holidays and (name := _holiday(calendar.holidays, day, language)):
        return (), "holiday", name
    usual: tuple[str, ...] = getattr(calendar, DAYS[day.weekday()])
    return tuple(sorted(map(minutes_of, usual))), "", ""


@lru_cache(maxsize=256)
def _holiday(land: str, day: date, language: str) -> str:
    import holidays

    country, _, part = land.partition("-")
    known = holidays.country_holidays(country, subdiv=part or None, years=day.year, language=_spoken(country, language))
    return str(known.get(day) or "")


@lru_cache(maxsize=64)
def _spoken(country: str, language: str) -> str | None:
    """Return in which of the languages that the names of its holidays are known in they are said: this one, else the country's own."""
    import holidays

    land = holidays.country_holidays(country)
    tongue = language.partition("-")[0].lower()
    found = (one for one in land.supported_languages if tongue and one.partition("_")[0] == tongue)
    own: str | None = land.default_language  # without one, the language of this machine would be taken
    return next(found, own)


def _closed(language: str) -> tuple[str, str]:
    return _CLOSED.get(language.partition("-")[0], _CLOSED["en"])


def _opens(calendar: Calendar, here: datetime, zone: ZoneInfo, language: str) -> datetime | None:
    minute = here.hour * 60 + here.minute
    for ahead in range(_LOOK_AHEAD_DAYS):
        day = here.date() + timedelta(days=ahead)
        for begin, _ in _day(calendar, day, language)[0]:
            if ahead or begin > minute:
                return _moment(day, begin, zone)
    return None


def _moment(day: date, minute: int, zone: ZoneInfo) -> datetime:
    day += timedelta(days=minute // (24 * 60))
    return datetime.combine(day, at_minute(minute), zone)
