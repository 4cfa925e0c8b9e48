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

_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")
_KNOWN_FIELD = re.compile(
    rb"(?:from|sender|reply-to|to|cc|subject|date|message-id|in-reply-to|references|received|return-path|mime-version"
    rb"|content-[a-z-]+)[ \t]*:",
    re.IGNORECASE,
)
_BLANK_BEFORE_COLON = re.compile(rb"^([!-9;-~]+)[ \t]+:")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:+()-]{1,60})", re.IGNORECASE)
_ENCODED_WORD = re.compile(
    r"=\?([^?\s]{1,60})\?([BbQq])\?(.{0,2000}?)\?="
)  # RFC 2047, 2; some are longer than it allows
_ID = re.compile(r"<[^<>\s]{1,900}>")
_BARE_ID = re.compile(r"[^<>\s]{1,450}@[^<>\s]{1,450}")
_ANY_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"@]{1,255}@[^\s<>()\[\],;:\"@]{1,255}")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")
_SPACES = re.compile(r"\s+")


def mended(raw: bytes) -> bytes:
    """Return the mail with a head that the standard library reads to its end.

    It takes the first line that is no field for the beginning of the text. So such a line becomes a field of its own if
    fields of a mail come after it, and blanks before a colon (RFC 5322, 4.5) go.
    """
    end = raw.find(b"\n\n")
    end = min((n for n in (end, raw.find(b"\r\n\r\n")) if n >= 0), default=-1)
    if end < 0:
        return raw
    lines = raw[:end].split(b"\n")
    last = max((n for n, line in enumerate(lines) if _KNOWN_FIELD.match(line)), default=0)
    for n, line in enumerate(lines[:last]):
        if not (_FIELD.match(line) or line[:1] in (b" ", b"\t") or (n == 0 and line.startswith(b"From "))):
            lines[n] = b"X-Unreadable: " + line
    return b"\n".join(_BLANK_BEFORE_COLON.sub(rb"\1:", line) for line in lines) + raw[end:]


class Headers:
    """The fields of one part, in their order. Names are case-insensitive, values are read when asked for."""

    def __init__(self, part: Message) -> None:
        self._fields = [(name.lower(), str(value)[:MAX_VALUE]) for name, value in part.raw_items()][:MAX_FIELDS]
        self._charset = ""
        """Of the text: what bare bytes in the fields are in, if they are no UTF-8."""
        for name, value in self._fields:
            if name == "content-type" and (found := _CHARSET.search(value)):
                self._charset = found[1]

    def raw(self, name: str) -> str:
        """Return the first field of that name, unfolded, encoded words as they are; ``""`` if there is none."""
        return next(self.all_raw(name), "")

    def all_raw(self, name: str) -> Iterator[str]:
        """Yield every field of that name, unfolded, encoded words as they are."""
        for field, value in self._fields:
            if field == name:
                yield self._unfolded(value)

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

    def _unfolded(self, value: str) -> str:
        """Return the value on one line; bytes beyond ASCII, which the parser kept as surrogates, are decoded."""
        text = value if value.isascii() else decoded(value.encode("utf-8", "surrogateescape"), "utf-8", self._charset)
        return _CONTROLS.sub(" ", text).strip()


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


def _addresses(value: str) -> list[tuple[str, str]]:
    try:
        pairs = getaddresses([value])
    except (ValueError, IndexError, TypeError):
        pairs = []
    found = [(readable(name), address) for name, address in pairs if _ANY_ADDRESS.fullmatch(address)]
    return found or [("", address) for address in _ANY_ADDRESS.findall(value)]
