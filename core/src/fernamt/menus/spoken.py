"""How a value is said, or written: digits one by one, dates with their month, amounts with their currency."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, tzinfo
from typing import Any, Final

from fernamt.menus.variables import moment
from fernamt.menus.wording import Style

_MONTHS: Final[Mapping[str, tuple[str, ...]]] = {
    "de": (
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ),
    "en": (
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ),
}
_DAYS: Final[Mapping[str, tuple[str, ...]]] = {
    "de": ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"),
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
}
_FLAGS: Final[Mapping[str, tuple[str, str]]] = {"de": ("nein", "ja"), "en": ("no", "yes")}


def spoken(value: Any, style: Style, *, language: str, zone: tzinfo, currency: str, written: bool = False) -> str:
    """Return the words for a value; what is not known is said as nothing. It never raises."""
    if value is None:
        return ""
    tongue = language.partition("-")[0]
    if isinstance(value, bool):
        return _FLAGS.get(tongue, _FLAGS["en"])[value]
    text = str(value)
    match style:
        case "digits":
            return text if written else " ".join(text)
        case "number" | "plain":
            return _decimal(text, tongue) if isinstance(value, float) else text
        case "amount":
            return _amount(text, tongue, currency, written=written)
        case "date":
            return _date(text, tongue, zone)
        case "time":
            return _time(text, tongue, zone)


def _decimal(text: str, tongue: str) -> str:
    return text.replace(".", ",") if tongue == "de" else text


def _amount(text: str, tongue: str, currency: str, *, written: bool) -> str:
    names = {"EUR": ("€", "Euro"), "CHF": ("CHF", "Franken"), "USD": ("$", "Dollar"), "GBP": ("£", "Pfund")}
    sign, name = names.get(currency, (currency, currency))
    if written or tongue != "de":
        shown = {"EUR": "euros", "CHF": "francs", "USD": "dollars", "GBP": "pounds"}.get(currency, currency)
        return f"{_decimal(text, tongue)} {sign if written else shown}"
    return f"{_decimal(text.removesuffix('.00'), tongue)} {name}"


def _date(text: str, tongue: str, zone: tzinfo) -> str:
    at = moment(text)
    try:
        day = at.astimezone(zone).date() if at is not None else date.fromisoformat(text)
    except (ValueError, OverflowError):
        return text
    return f"{_day(day, tongue)} {day.year}" if tongue in _MONTHS else day.isoformat()


def _day(day: date, tongue: str) -> str:
    return f"{day.day}{'.' if tongue == 'de' else ''} {_MONTHS[tongue][day.month - 1]}"


def _time(text: str, tongue: str, zone: tzinfo) -> str:
    at = moment(text)
    if at is None:
        return text
    try:
        here: datetime = at.astimezone(zone)
    except (ValueError, OverflowError):
        return text
    if tongue not in _MONTHS:
        return f"{here:%Y-%m-%d %H:%M}"
    weekday = _DAYS[tongue][here.weekday()]
    minute = f"{here:%H:%M}" if here.minute or tongue != "de" else str(here.hour)
    return f"{weekday}, {_day(here.date(), tongue)}, {minute}{' Uhr' if tongue == 'de' else ''}"
