"""Words for a terminal: texts of strangers made harmless, times and sizes as people say them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

_PICTURES: Final = {code: 0x2400 + code for code in range(0x20) if code not in (0x09, 0x0A)} | {0x7F: 0x2421}
_BIDI: Final = dict.fromkeys([0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
_OTHERS: Final = dict.fromkeys([*range(0x80, 0xA0), 0x2028, 0x2029, *range(0xD800, 0xE000)], 0xFFFD)
_TAGS: Final = dict.fromkeys(range(0xE0000, 0xE0080))
_WEEK_S: Final = 7 * 86_400
_HARMLESS: Final = {**_PICTURES, **_BIDI, **_OTHERS, **_TAGS}
_SUSPECT: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
)


def harmless(text: str) -> str:
    """Return *text* so that a terminal only shows it: lines and tabs stay, nothing else steers the cursor or the direction.

    Control characters become their pictures (␛), what turns the direction of writing is left out, the rest that no text
    needs becomes U+FFFD.
    """
    text = text.replace("\r\n", "\n")
    return text.translate(_HARMLESS) if _SUSPECT.search(text) else text


def one_line(text: str) -> str:
    """Return *text* harmless, with every run of white space as one blank."""
    return harmless(" ".join(text.split()))


def json_safe(text: str) -> str:
    """Return JSON with what steers a terminal escaped. It means the same, for those characters only stand in strings."""
    return _SUSPECT.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def age(at: datetime, now: datetime) -> str:
    """Return how long ago *at* was, for a column: ``4 min``; after a week the day, in local time."""
    seconds = (now - at).total_seconds()
    if seconds < 1:
        return "now"
    return _span(seconds) if seconds < _WEEK_S else day(at, now)


def ago(at: datetime, now: datetime) -> str:
    """Return how long ago *at* was, in a sentence: ``4 min ago``, ``on 3 Nov``."""
    told = age(at, now)
    if told == "now":
        return "just now"
    return f"{told} ago" if (now - at).total_seconds() < _WEEK_S else f"on {told}"


def until(at: datetime, now: datetime) -> str:
    """Return how long it is until *at*: ``in 4 min``."""
    seconds = (at - now).total_seconds()
    return "now" if seconds < 1 else f"in {_span(seconds)}"


def _span(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s"


def day(at: datetime, now: datetime) -> str:
    """Return the local day, with its year if it is not this one: ``21 Nov``."""
    at, now = at.astimezone(), now.astimezone()
    return f"{at.day} {at:%b}" if at.year == now.year else f"{at.day} {at:%b %Y}"


def minute(at: datetime, now: datetime) -> str:
    """Return the local time, with the day if it is not today: ``21 Nov 14:05``."""
    return f"{at.astimezone():%H:%M}" if is_today(at, now) else f"{day(at, now)} {at.astimezone():%H:%M}"


def is_today(at: datetime, now: datetime) -> bool:
    """Return whether it is still the same local day."""
    return at.astimezone().date() == now.astimezone().date()


def size(count: int) -> str:
    """Return a number of bytes as people say it: ``1.4 MB``."""
    if count < 1_024:
        return f"{count} B"
    amount = count / 1_024
    for unit in ("KB", "MB"):
        if amount < 999.5:
            return f"{amount:.0f} {unit}" if amount >= 10 else f"{amount:.1f} {unit}"
        amount /= 1_024
    return f"{amount:.1f} GB"


def counted(count: int, one: str, many: str = "") -> str:
    """Return ``1 file`` or ``3 files``."""
    return f"{count} {one if count == 1 else many or one + 's'}"
