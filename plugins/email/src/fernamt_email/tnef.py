"""What Outlook packs into ``winmail.dat`` (MS-OXTNEF): a body and attachments. Pure; what is broken ends the reading.

Every length is held against what is there before anything is taken, so it needs no more memory than the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from attrs import field, frozen

from fernamt_email.charset import decoded
from fernamt_email.rtf import decompressed, html_of_rtf, text_of_rtf

SIGNATURE: Final = b"\x78\x9f\x3e\x22"
MAX_FILES: Final = 200
MAX_ATTRIBUTES: Final = 5_000
MAX_LEVELS: Final = 3
"""Of mails within mails."""

_BODY, _SUBJECT, _CODEPAGE, _PROPERTIES = 0x800C, 0x8004, 0x9007, 0x9003
_NEW_FILE, _TITLE, _DATA, _FILE_PROPERTIES = 0x9002, 0x8010, 0x800F, 0x9005
_P_BODY, _P_RTF, _P_HTML, _P_SUBJECT = 0x1000, 0x1009, 0x1013, 0x0037
_P_DATA, _P_SHORT_NAME, _P_LONG_NAME, _P_TYPE, _P_ID, _P_SHOWN_NAME = 0x3701, 0x3704, 0x3707, 0x370E, 0x3712, 0x3001
_FIXED: Final = {0x02: 4, 0x03: 4, 0x04: 4, 0x05: 8, 0x06: 8, 0x07: 8, 0x0A: 4, 0x0B: 4, 0x14: 8, 0x40: 8, 0x48: 16}
_UNICODE, _OBJECT, _BINARY, _TEXT = 0x1F, 0x0D, 0x0102, 0x1E
_NAMED: Final = 0x8000
_WITH_LENGTH: Final = frozenset({_UNICODE, _OBJECT, _BINARY, _TEXT})


@frozen(kw_only=True)
class Packed:
    """A file that was packed."""

    name: str
    media_type: str
    """``""``: it is not named."""
    data: bytes = field(repr=False)
    content_id: str = ""


@frozen(kw_only=True)
class Unpacked:
    """What was in there."""

    subject: str = field(default="", repr=False)
    text: str = field(default="", repr=False)
    html: str = field(default="", repr=False)
    files: tuple[Packed, ...] = ()


def unpacked(data: bytes, *, level: int = 0) -> Unpacked | None:
    """Return what a ``winmail.dat`` holds, as far as it is whole; ``None`` if it is none."""
    if not data.startswith(SIGNATURE):
        return None
    mail = _Mail()
    for attribute, content in _attributes(data):
        mail.take(attribute, content, level)
    return mail.closed()


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 6
    for _ in range(MAX_ATTRIBUTES):
        if at + 9 > len(data):
            return
        number, length = struct.unpack_from("<xII", data, at)
        if length > len(data) - at - 9:
            length = len(data) - at - 9  # cut off: what came of it
        yield number & 0xFFFF, data[at + 9 : at + 9 + length]
        at += 9 + length + 2


class _Mail:
    """What was read so far."""

    def __init__(self) -> None:
        self._codepage = "cp1252"
        self._subject = self._text = self._html = ""
        self._files: list[dict[str, str | bytes]] = []
        self._inner: list[Packed] = []

    def take(self, attribute: int, content: bytes, level: int) -> None:
        if attribute == _CODEPAGE and len(content) >= 4:
            self._codepage = f"cp{int.from_bytes(content[:4], 'little')}"
        elif attribute == _BODY:
            self._text = self._text or self._string(content)
        elif attribute == _SUBJECT:
            self._subject = self._string(content)
        elif attribute == _PROPERTIES:
            self._take_properties(content)
        elif attribute == _NEW_FILE and len(self._files) < MAX_FILES:
            self._files.append({})
        elif self._files and attribute == _TITLE:
            self._files[-1].setdefault("name", self._string(content))
        elif self._files and attribute == _DATA:
            self._files[-1]["data"] = content
        elif self._files and attribute == _FILE_PROPERTIES:
            self._take_file(content, level)

    def closed(self) -> Unpacked:
        packed = [
            Packed(
                name=str(one.get("long") or one.get("name") or ""),
                media_type=str(one.get("type", "")),
                data=data,
                content_id=str(one.get("id", "")),
            )
            for one in self._files
            if isinstance(data := one.get("data"), bytes)
        ]
        return Unpacked(
            subject=self._subject, text=self._text, html=self._html, files=(*packed, *self._inner)[:MAX_FILES]
        )

    def _take_properties(self, content: bytes) -> None:
        for name, kind, value in _properties(content):
            if name == _P_BODY:
                self._text = self._string(value, kind) or self._text
            elif name == _P_SUBJECT:
                self._subject = self._string(value, kind) or self._subject
            elif name == _P_HTML:
                self._html = decoded(value.rstrip(b"\0"), "utf-16-le" if kind == _UNICODE else self._codepage)
            elif name == _P_RTF:
                rich = decompressed(value)
                self._html = self._html or html_of_rtf(rich)
                self._text = self._text or text_of_rtf(rich)

    def _take_file(self, content: bytes, level: int) -> None:
        one = self._files[-1]
        for name, kind, value in _properties(content):
            if name == _P_LONG_NAME:
                one["long"] = self._string(value, kind)
            elif name in (_P_SHORT_NAME, _P_SHOWN_NAME):
                one.setdefault("name", self._string(value, kind))
            elif name == _P_TYPE:
                one["type"] = self._string(value, kind).lower()
            elif name == _P_ID:
                one["id"] = self._string(value, kind).strip("<> ")
            elif name == _P_DATA and kind == _BINARY:
                one.setdefault("data", value)
            elif name == _P_DATA and value[16 : 16 + len(SIGNATURE)] == SIGNATURE:
                self._take_mail(value[16:], level)

    def _take_mail(self, data: bytes, level: int) -> None:
        """A mail within the mail: its text is a file of its own, its files stand beside it."""
        inner = unpacked(data, level=level + 1) if level < MAX_LEVELS else None
        if inner is None:
            return
        title = inner.subject or "message"
        if inner.html:
            self._inner.append(Packed(name=f"{title}.html", media_type="text/html", data=inner.html.encode()))
        elif inner.text:
            self._inner.append(Packed(name=f"{title}.txt", media_type="text/plain", data=inner.text.encode()))
        self._inner.extend(inner.files)

    def _string(self, value: bytes, kind: int = _TEXT) -> str:
        if kind == _UNICODE:
            return value.decode("utf-16-le", "replace").rstrip("\0")
        return decoded(value.rstrip(b"\0"), self._codepage)


def _properties(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield (name, type, value) of a list of MAPI properties; of those with many values none."""
    at, count = 4, int.from_bytes(data[:4], "little")
    for _ in range(min(count, MAX_ATTRIBUTES)):
        if at + 4 > len(data):
            return
        kind, name = struct.unpack_from("<HH", data, at)
        at = _after_name(data, at + 4) if name >= _NAMED else at + 4
        single, many = kind & 0x0FFF, bool(kind & 0x1000)
        if single not in _WITH_LENGTH and single not in _FIXED:
            return
        values = 1
        if many or single in _WITH_LENGTH:
            values, at = int.from_bytes(data[at : at + 4], "little"), at + 4
        for n in range(min(values, MAX_ATTRIBUTES)):
            length = _FIXED.get(single)
            if length is None:
                length, at = int.from_bytes(data[at : at + 4], "little"), at + 4
            if at + length > len(data):
                return
            if n == 0 and not many:
                yield name, single, data[at : at + length]
            at += _padded(length)


def _after_name(data: bytes, at: int) -> int:
    """Return the place behind the name that a property has beside its number: it says nothing to us."""
    if at + 24 > len(data):
        return len(data)
    spelled, length = struct.unpack_from("<II", data, at + 16)
    return at + 24 + (_padded(length) if spelled else 0)


def _padded(length: int) -> int:
    return length + -length % 4
