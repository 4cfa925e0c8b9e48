"""The header fields of a mail or of one of its parts, read so that a broken one never raises.

The standard library parses a field when it is touched, and raises on many that real mailers write (a line break in an
address, a charset that does not exist, an encoded word cut in two). So the raw fields are taken and read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from fernamt_email.address_list import addresses_in
from fernamt_email.charset import decoded
from fernamt_email.dates import date_in
from fernamt_email.encoded_words import readable

MAX_FIELDS: Final = 1_000
MAX_VALUE: Final = 65_536
"""Bytes of one field that are looked at."""
MAX_ADDRESSES: Final = 1_000
MAX_BLANK: Final = 100
"""Bytes of blank lines above a head."""

_FIELD = re.compile(rb"([!-9;-~]{1,200})[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)\n?")
_BLANK = re.compile(rb"[ \t]*\r?\n")
_KNOWN_FIELD = re.compile(
    rb"(?:from|sender|reply-to|to|cc|subject|date|message-id|in-reply-to|references|received|return-path|mime-version"
    rb"|content-[a-z-]+)[ \t]*:",
    re.IGNORECASE,
)
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?([\w.:+()-]{1,60})", re.IGNORECASE)
_ID = re.compile(r"<[^<>\s]{1,900}>")
_FOLDED_ID = re.compile(r"<\s*([^<>@\s]{1,450}\s*@\s*[^<>@\s]{1,450})\s*>")
_BARE_ID = re.compile(r"[^<>\s,;]{1,450}@[^<>\s,;]{1,450}")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")
_SEPARATOR = re.compile(rb">?From (?![ \t]*:)[^\n]*\n")
"""Before each mail in a mailbox file."""


class Headers:
    """The fields of one part, in their order. Names are case-insensitive, values are read when asked for."""

    __slots__ = ("_charset", "_values")

    def __init__(self, fields: Sequence[tuple[str, bytes]]) -> None:
        self._values: dict[str, list[bytes]] = {}
        for name, value in fields:
            self._values.setdefault(name, []).append(value)
        self._charset: str | None = None

    def raw(self, name: str) -> str:
        """Return the first field of that name, unfolded, encoded words as they are; ``""`` if there is none."""
        values = self._values.get(name)
        return self._unfolded(values[0]) if values else ""

    def all_raw(self, name: str) -> Iterator[str]:
        """Yield every field of that name, unfolded, encoded words as they are; of fields without end as much as of one."""
        left = MAX_VALUE
        for value in self._values.get(name, ()):
            yield self._unfolded(value[:left])
            left -= len(value)
            if left <= 0:
                return

    def has(self, name: str) -> bool:
        """Return whether there is such a field, be it empty."""
        return name in self._values

    def text(self, name: str) -> str:
        """Return the first field of that name that says anything, as a person reads it, on one line."""
        return next(filter(None, map(readable, self.all_raw(name))), "")

    def addresses(self, *names: str) -> list[tuple[str, str]]:
        """Return (display name, address) of all fields of these names, in the order of *names*; only usable addresses."""
        found: list[tuple[str, str]] = []
        for name in names:
            for value in self.all_raw(name):
                found += addresses_in(value)
                if len(found) >= MAX_ADDRESSES:
                    return found[:MAX_ADDRESSES]
        return found

    def ids(self, name: str) -> list[str]:
        """Return the message ids in all fields of that name, as ``<id>``, in the order written."""
        found: list[str] = []
        for value in self.all_raw(name):
            written = _ID.findall(value)
            if not written and "<" in value:
                written = ["<" + "".join(one.split()) + ">" for one in _FOLDED_ID.findall(value)]
            found += written or [f"<{word}>" for word in value.split() if _BARE_ID.fullmatch(word)]
        return found

    def date(self) -> datetime | None:
        """Return the Date field in UTC; without one when the last server on the way took the mail, else ``None``."""
        for value in self.all_raw("date"):
            if (at := date_in(value)) is not None:
                return at
        return date_in(self.raw("received").rpartition(";")[2])

    def _unfolded(self, value: bytes) -> str:
        """Return the value on one line; bytes beyond ASCII are in the charset of the text, if they are no UTF-8."""
        if value.isascii() and b"\x1b" not in value:
            text = value.decode("ascii")
        else:
            text = decoded(value, self._of_the_text())
        return _CONTROLS.sub(" ", text).strip() if not text.isprintable() else text.strip()

    def _of_the_text(self) -> str:
        if self._charset is None:
            found = _CHARSET.search(self._values.get("content-type", [b""])[0])
            self._charset = found[1].decode("ascii", "replace") if found else ""
        return self._charset


def head(source: bytes, start: int, end: int, *, whole: bool = True) -> tuple[Headers, int]:
    """Read the fields at *start*, and return them with the place where the content begins.

    *whole*: it is that of a mail, before which there may be rubbish; that of a part may be empty.

    A line that is no field is passed over if fields of a mail come after it; else it is the first line of the text.
    """
    fields: list[tuple[str, bytes]] = []
    at = _first_line(source, start, end) if whole else start
    last_known = -1
    while at < end:
        found = _FIELD.match(source, at, end)
        if found is not None:
            if len(fields) < MAX_FIELDS:
                fields.append((found[1].decode("ascii").lower(), found[2][:MAX_VALUE]))
            at = found.end()
            continue
        after = _after_line(source, at, end)
        if source.startswith((b"\n", b"\r\n"), at):
            return Headers(fields), after
        if last_known < at:
            last_known = _last_known_field(source, at, end)
        if last_known < at:  # the text begins without a blank line before it
            break
        if fields and fields[-1][0] == "subject" and source[at : at + 1] > b" ":
            fields[-1] = ("subject", fields[-1][1] + b" " + source[at:after][:MAX_VALUE])
        at = after
    return Headers(fields), at


def _first_line(source: bytes, start: int, end: int) -> int:
    """Return where the first field may begin: behind a mark, blank lines, and the separator of a mailbox file."""
    at = start + 3 if source.startswith(b"\xef\xbb\xbf", start) else start
    top = at
    while at - start < MAX_BLANK and (blank := _BLANK.match(source, at, end)) is not None:
        at = blank.end()
    if at > top and _KNOWN_FIELD.match(source, at, end) is None:
        return top  # it has no head at all
    separator = _SEPARATOR.match(source, at, end)
    return separator.end() if separator is not None else at


def _after_line(source: bytes, at: int, end: int) -> int:
    found = source.find(b"\n", at, end)
    return end if found < 0 else found + 1


def _last_known_field(source: bytes, at: int, end: int) -> int:
    """Return where the last field of a mail begins before the next blank line, -1 if none does."""
    stops = (source.find(b"\n\n", at, end), source.find(b"\r\n\r\n", at, end))
    stop = min((n for n in stops if n >= 0), default=-1)
    last = -1
    while stop >= 0 and at < stop:
        if _KNOWN_FIELD.match(source, at, stop):
            last = at
        at = _after_line(source, at, stop)
    return last
