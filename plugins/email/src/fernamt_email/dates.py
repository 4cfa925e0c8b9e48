"""Dates of mails: those of the standard, and those that programs write instead. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

_MONTHS: Final = {
    "mär": "Mar", "mrz": "Mar", "mai": "May", "okt": "Oct", "dez": "Dec", "fév": "Feb", "avr": "Apr", "aoû": "Aug",
    "déc": "Dec", "ene": "Jan", "abr": "Apr", "ago": "Aug", "dic": "Dec", "gen": "Jan", "mag": "May", "giu": "Jun",
    "lug": "Jul", "set": "Sep", "ott": "Oct", "maj": "May",
}  # fmt: skip
"""The first three letters of months in other languages, where they differ from the English ones."""
_DAY = re.compile(r"\A\s*[^\W\d]{2,12}\.?\s*,\s*")
_MONTH = re.compile(r"(?<![^\W\d_])([^\W\d_]{3})[^\W\d_]*\.?")
_DOTTED_TIME = re.compile(r"\b(\d{1,2})\.(\d{2})(?:\.(\d{2}))?(?=\s|\Z)")
_GERMAN = re.compile(r"\b(\d{1,2})\.(\d{1,2})\.(\d{4})[,\s]+(\d{1,2}):(\d{2})(?::(\d{2}))?")
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2})?(?:\.\d{1,6})?\s*(?:Z|[+-]\d{2}:?\d{2})?")
_COMMENT = re.compile(r"\([^()]*\)")
_MAX: Final = 200


def date_in(written: str) -> datetime | None:
    """Return the time that a Date field names, in UTC; ``None`` if it names none."""
    written = written[:_MAX]
    if not written.strip():
        return None
    return _standard(written) or _iso(written) or _standard(_translated(written)) or _german(written)


def _standard(written: str) -> datetime | None:
    try:
        return _utc(parsedate_to_datetime(written))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _iso(written: str) -> datetime | None:
    found = _ISO.search(written)
    try:
        return _utc(datetime.fromisoformat(found[0].replace(" ", "T", 1).replace(" ", ""))) if found else None
    except (ValueError, OverflowError):
        return None


def _german(written: str) -> datetime | None:
    found = _GERMAN.search(written)
    if found is None:
        return None
    day, month, year, hour, minute = (int(found[n]) for n in range(1, 6))
    try:
        return datetime(year, month, day, hour, minute, int(found[6] or 0), tzinfo=UTC)
    except ValueError:
        return None


def _translated(written: str) -> str:
    """Return it in the words of the standard: months in English, times with colons, no name of the day."""
    without_day = _DAY.sub("", _COMMENT.sub(" ", written))
    timed = _DOTTED_TIME.sub(lambda at: f"{at[1]}:{at[2]}:{at[3] or '00'}", without_day)
    return _MONTH.sub(lambda word: _MONTHS.get(word[1].lower(), word[1]), timed.replace(".", " "), count=1)


def _utc(at: datetime) -> datetime:
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
