"""The parts of a mail (RFC 2045, 2046): where each begins and ends in the bytes that came, and what it says it is.

Nothing is copied until somebody asks for the content of a part, and every byte is looked at a bounded number of times: the
parser of the standard library works line by line, several times slower, and needs minutes for mails made to cost them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Final

from fernamt import Unparsable
from fernamt_email.headers import head
from fernamt_email.parameters import content_type, parameters
from fernamt_email.transfer import undone

MAX_PARTS: Final = 200
MAX_DEPTH: Final = 30
"""Levels of parts within parts; a mail with more is made to cost time."""
MAX_FIELDS_BLOCKS: Final = 200

_GUESSED = re.compile(
    rb"^--([!-~](?:[ -~]{0,98}[!-~])?)[ \t]*\r?\n(?=content-[a-z-]{1,40}[ \t]*:)", re.IGNORECASE | re.MULTILINE
)
_REST = re.compile(rb"(--)?[ \t]{0,200}\r?(?:\n|\Z)")
_BLANK_LINES = re.compile(rb"\r?\n(?:[ \t]*\r?\n)+")
MAILS: Final = frozenset({"message/rfc822", "message/global"})
_REPORTS: Final = frozenset(
    {
        "message/delivery-status",
        "message/global-delivery-status",
        "message/disposition-notification",
        "message/feedback-report",
    }
)


class Count:
    """How many parts a mail has had so far."""

    def __init__(self) -> None:
        self._left = MAX_PARTS

    def another(self) -> None:
        """Count one more. Raises ``Unparsable`` beyond the limit."""
        self._left -= 1
        if self._left < 0:
            raise Unparsable(f"the mail has more than {MAX_PARTS} parts")


class Part:
    """A mail, or a part of one."""

    def __init__(
        self,
        source: bytes,
        start: int = 0,
        end: int | None = None,
        *,
        count: Count | None = None,
        depth: int = 0,
        default: str = "text/plain",
        whole: bool = True,
    ) -> None:
        """Read the head of the part that lies from *start* to *end* in *source*.

        *default*: its type, if it names none; *whole*: it is a mail, not a piece of one.

        Raises:
            Unparsable: The mail has more parts than any mail needs.
        """
        self.source = source
        self.start = start
        self.end = len(source) if end is None else end
        self.depth = depth
        self._count = count or Count()
        self._count.another()
        self.headers, self.content_start = head(source, start, self.end, whole=whole)
        said = content_type(self.headers.raw("content-type"), default)
        self.kind = said.kind
        """Its media type in small letters, ``text/plain`` if it names none that could be one."""
        self.parameters = said.parameters
        """What the media type is told beside: ``charset``, ``boundary``, ``format``; names in small letters."""

    @property
    def charset(self) -> str:
        return self.parameters.get("charset", "")

    @cached_property
    def disposition(self) -> str:
        """``attachment``, ``inline`` or what else it names; ``""`` without a Content-Disposition."""
        return re.split(r"[\s;]", self.headers.raw("content-disposition").lower(), maxsplit=1)[0]

    @cached_property
    def file_name(self) -> str:
        """The name as its sender wrote it, decoded; ``""`` without one. It may hold anything."""
        raw = self.headers.raw("content-disposition")
        named = parameters(raw.partition(";")[2]).get("filename", "") if raw else ""
        return named or self.parameters.get("name", "")

    @property
    def content_id(self) -> str:
        return self.headers.raw("content-id").strip("<> ")[:200]

    @property
    def encoding(self) -> str:
        """The transfer encoding in small letters; ``""`` without one."""
        return self.headers.raw("content-transfer-encoding").strip("\"' ").lower()

    @cached_property
    def content(self) -> bytes:
        """The bytes that it holds, their transfer encoding undone."""
        return undone(self.source[self.content_start : self.end], self.encoding)

    @cached_property
    def children(self) -> tuple[Part, ...]:
        """The parts of a multipart, the mail in a message, the blocks of fields in a report; of all others none."""
        kind = self.kind
        if self.holds_parts:
            return tuple(self._parts())
        if self.depth >= MAX_DEPTH:
            return ()
        if kind in MAILS:
            source, start, end = self._opened()
            return (self._child(source, start, end),) if end > start else ()
        if kind in _REPORTS:
            return tuple(self._blocks())
        return ()

    def opened(self, source: bytes) -> Part:
        """Return the mail that was wrapped in the content of this part."""
        return self._child(source, 0, len(source))

    def walk(self) -> Iterator[Part]:
        """Yield this part and all below it, in their order."""
        yield self
        for child in self.children:
            yield from child.walk()

    @cached_property
    def holds_parts(self) -> bool:
        """Whether it is a multipart, or a mail whose Content-Type was lost on the way and that begins with a boundary."""
        if self.kind.startswith("multipart/"):
            return True
        if self.depth or self.headers.has("content-type"):
            return False
        start = self.content_start
        return self.source.startswith(b"--", start) and _GUESSED.match(self.source, start, self.end) is not None

    def _child(self, source: bytes, start: int, end: int, default: str = "") -> Part:
        if self.depth >= MAX_DEPTH:
            raise Unparsable(f"the mail has parts within parts, more than {MAX_DEPTH} levels of them")
        return Part(
            source,
            start,
            end,
            count=self._count,
            depth=self.depth + 1,
            default=default or "text/plain",
            whole=not default,
        )

    def _opened(self) -> tuple[bytes, int, int]:
        """Return where the content lies; the standard forbids to encode what has parts, and some do it."""
        if self.encoding in ("base64", "quoted-printable", "x-uuencode"):
            content = self.content
            return content, 0, len(content)
        return self.source, self.content_start, self.end

    def _parts(self) -> Iterator[Part]:
        default = "message/rfc822" if self.kind == "multipart/digest" else "text/plain"
        source, start, end = self.source, self.content_start, self.end
        pieces = self._pieces(source, start, end)
        if not pieces and self.encoding in ("base64", "quoted-printable"):
            source, start, end = self._opened()
            pieces = self._pieces(source, start, end)
        for piece in pieces:
            yield self._child(source, *piece, default)

    def _pieces(self, source: bytes, start: int, end: int) -> list[tuple[int, int]]:
        """Return where each part lies: by the boundary that is named, else by one that is seen."""
        named = self.parameters.get("boundary", "").encode("utf-8", "surrogateescape").rstrip()
        found = _between(source, start, end, named) if named else []
        if not found and (seen := _GUESSED.search(source, start, end)) is not None:
            found = _between(source, start, end, seen[1])
        return found

    def _blocks(self) -> Iterator[Part]:
        source, start, end = self._opened()
        for n, block in enumerate(_BLANK_LINES.split(source[start:end].lstrip(b"\r\n"))):
            if n < MAX_FIELDS_BLOCKS and block.strip():
                text = block + b"\r\n"
                yield Part(text, depth=MAX_DEPTH)


def _between(source: bytes, start: int, end: int, boundary: bytes) -> list[tuple[int, int]]:
    """Return what lies between the lines of a boundary; the last piece ends with the source if its end is missing."""
    line = b"--" + boundary
    pieces: list[tuple[int, int]] = []
    begun = -1
    at = source.find(line, start, end)
    while at >= 0:
        after = at + len(line)
        found = _REST.match(source, after, end) if at == start or source[at - 1] == 0x0A else None
        if found is not None:
            last = bool(found[1])
            if begun >= 0:
                pieces.append((begun, max(begun, _line_end_before(source, at))))
                if len(pieces) > MAX_PARTS:
                    raise Unparsable(f"the mail has more than {MAX_PARTS} parts")
            begun = -1 if last else found.end()
            if last:
                break
        at = source.find(line, after, end)
    if begun >= 0 and begun < end:
        pieces.append((begun, end))
    return pieces


def _line_end_before(source: bytes, at: int) -> int:
    """Return where the line before *at* ends: its line break belongs to the boundary."""
    if source.startswith(b"\r\n", at - 2):
        return at - 2
    return at - 1
