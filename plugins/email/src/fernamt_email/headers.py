"""The header fields of a mail or of one of its parts, read so that a broken one never raises.

The standard library parses a field when it is touched, and raises on many that real mailers write (a line break in an
address, a charset that does not exist, an encoded word cut in two). So the raw fields are taken and read here.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime
from typing import Final

from fernamt_email.charset import decoded

MAX_FIELDS: Final = 1_000
MAX_VALUE: Final = 65_536
"""Characters of one field that are looked at."""

_ENCODED_WORD = re.compile(
    r"=\?([^?\s]{1,60})\?([BbQq])\?(.{0,2000}?)\?="
)  # RFC 2047, 2; some are longer than it allows
_ID = re.compile(r"<[^<>\s]{1,900}>")
_BARE_ID = re.compile(r"[^<>\s]{1,450}@[^<>\s]{1,450}")
_ANY_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"@]{1,255}@[^\s<>()\[\],;:\"@]{1,255}")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")
_SPACES = re.compile(r"\s+")


class Headers:
    """The fields of one part, in their order. Names are case-insensitive, values are read when asked for."""

    def __init__(self, part: Message) -> None:
        self._fields = [(name.lower(), str(value)[:MAX_VALUE]) for name, value in part.raw_items()][:MAX_FIELDS]

    def raw(self, name: str) -> str:
        """Return the first field of that name, unfolded, encoded words as they are; ``""`` if there is none."""
        return next(self.all_raw(name), "")

    def all_raw(self, name: str) -> Iterator[str]:
        """Yield every field of that name, unfolded, encoded words as they are."""
        for field, value in self._fields:
            if field == name:
                yield _unfolded(value)

    def has(self, name: str) -> bool:
        """Return whether there is such a field, be it empty."""
        return any(field == name for field, _ in self._fields)

    def text(self, name: str) -> str:
        """Return the first field of that name as a person reads it, on one line."""
        return readable(self.raw(name))

    def addresses(self, *names: str) -> list[tuple[str, str]]:
        """Return (display name, address) of all fields of these names, in the order of *names*; only usable addresses."""
        found: list[tuple[str, str]] = []
        for name in names:
            for value in self.all_raw(name):
                found += _addresses(value)
        return found

    def ids(self, name: str) -> list[str]:
        """Return the message ids in all fields of that name, as ``<id>``, in the order written."""
        found: list[str] = []
        for value in self.all_raw(name):
            found += _ID.findall(value) or [f"<{word}>" for word in value.split() if _BARE_ID.fullmatch(word)]
        return found

    def date(self) -> datetime | None:
        """Return the Date field in UTC; ``None`` if it is missing or no date."""
        try:
            written = parsedate_to_datetime(self.raw("date"))
            return (written if written.tzinfo else written.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None


def children(part: Message) -> list[Message]:
    """Return the parts of a part; none, if it only claims to have any."""
    payload = part.get_payload()
    return [child for child in payload if isinstance(child, Message)] if isinstance(payload, list) else []


def readable(value: str) -> str:
    """Return a raw value as a person reads it: encoded words decoded, one line, no control characters."""
    return _SPACES.sub(" ", _CONTROLS.sub(" ", "".join(_pieces(value)))).strip()


def _pieces(value: str) -> Iterator[str]:
    """Yield the text between encoded words and what the words stand for.

    Neighbours of one charset are decoded together, because mailers cut words inside a character; space between words
    belongs to the folding (RFC 2047, 6.2).
    """
    charset, word, end = "", b"", 0
    for found in _ENCODED_WORD.finditer(value):
        between = value[end : found.start()]
        name = found[1].partition("*")[0]  # RFC 2231, 5: a language may follow
        if word and (between.strip() or name != charset):
            yield decoded(word, charset)
            word = b""
        if between.strip() or not end:
            yield between
        charset, word, end = name, word + _word_bytes(found[2], found[3]), found.end()
    if word:
        yield decoded(word, charset)
    yield value[end:]


def _word_bytes(encoding: str, text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    if encoding in "Qq":
        return binascii.a2b_qp(data, header=True)
    try:
        return base64.b64decode(data + b"=" * (-len(data) % 4))
    except binascii.Error:
        return data


def _unfolded(value: str) -> str:
    """Return the value on one line; bytes beyond ASCII, which the parser kept as surrogates, are decoded."""
    text = decoded(value.encode("utf-8", "surrogateescape")) if not value.isascii() else value
    return _CONTROLS.sub(" ", text).strip()


def _addresses(value: str) -> list[tuple[str, str]]:
    try:
        pairs = getaddresses([value])
    except (ValueError, IndexError, TypeError):
        pairs = []
    found = [(readable(name), address) for name, address in pairs if _ANY_ADDRESS.fullmatch(address)]
    return found or [("", address) for address in _ANY_ADDRESS.findall(value)]
