"""`[quiet_hours]`: when nobody is to be disturbed by what they did not ask for."""

from __future__ import annotations

import re
from typing import Final
from zoneinfo import ZoneInfo

from attrs import field, frozen

_TIME: Final = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d")


def _time(_: object, __: object, value: str) -> None:
    if not _TIME.fullmatch(value):
        raise ValueError("must be a time of the day, for instance 20:00")


def _zone(_: object, __: object, value: str) -> None:
    try:
        if value:
            ZoneInfo(value)
    except (ValueError, OSError, LookupError) as why:
        raise ValueError("must be the name of a time zone, for instance Europe/Berlin") from why


@frozen(kw_only=True)
class QuietHours:
    """From *begin* to *end* outreach waits, in the recipient's time; where both are the same it never does."""

    begin: str = field(default="20:00", validator=_time)
    end: str = field(default="08:00", validator=_time)
    zone: str = field(default="", validator=_zone)
    """Of recipients whose channel does not know theirs; empty: this machine's."""
    notices: bool = False
    """Notices wait, too. Replies never do."""
