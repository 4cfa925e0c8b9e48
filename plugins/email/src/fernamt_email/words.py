"""The words of one part of a mail, whatever kind of text they are written in. Pure."""

from __future__ import annotations

import re
from html import unescape
from typing import Final

from attrs import field, frozen

from fernamt_email.calendar import summary_of
from fernamt_email.charset import decoded
from fernamt_email.enriched import text_of_enriched
from fernamt_email.file_names import file_name, type_of
from fernamt_email.files import File, file_of
from fernamt_email.flowed import unflowed
from fernamt_email.mime import Part
from fernamt_email.rtf import text_of_rtf
from fernamt_email.sealed import cleartext, is_armoured, notice
from fernamt_email.transfer import uuencoded

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_CONTROL_BYTES: Final = bytes({*range(0x20), 0x7F} - {*b"\t\n\r"})
_DECLARED_INSIDE = re.compile(rb"<meta[^>]{1,200}?charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)
_IS_PAGE = re.compile(rb"\s{0,20}<(?:!doctype html|html[\s>])", re.IGNORECASE)
"""Some programs call a page plain text."""
_TAG = re.compile(r"<[a-zA-Z/!]")
"""What has none was written as plain text, whatever it is called: its lines count."""
_MARKED_UP: Final = frozenset({"text/enriched", "text/richtext"})
_RICH: Final = frozenset({"text/rtf", "application/rtf", "application/x-rtf"})
_CALENDAR: Final = frozenset({"text/calendar", "application/ics"})


@frozen(kw_only=True)
class Words:
    """Text, or HTML whose words were not looked for yet, and what was found among them."""

    text: str = field(default="", repr=False)
    html: str = field(default="", repr=False)
    files: tuple[File, ...] = ()
    invitation: str = field(default="", repr=False)
    signed: bool = False
    encrypted: bool = False


def words_of(part: Part, *, is_file: bool) -> Words | None:
    """Return what a part without parts says; ``None``: it says nothing, it is a file."""
    kind = part.kind
    if kind in _CALENDAR:
        return _invitation(part)
    if is_file:
        return None
    if kind == "text/html" or (kind == "text/plain" and _IS_PAGE.match(part.content)):
        page = _page(part)
        return Words(html=page) if _TAG.search(page) else Words(text=lines(unescape(page)))
    if kind == "text/plain":
        return _plain(part)
    if kind in _MARKED_UP or kind in _RICH:
        return _rich(part, kind)
    return None


def lines(text: str, source: bytes = b"\0") -> str:
    r"""Return *text* with ``\n`` at the end of lines and without control characters.

    *source*: the bytes that it was decoded from; in them it is seen much faster that there are none.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if len(source.translate(None, _CONTROL_BYTES)) == len(source) else _CONTROLS.sub("", text)


def _plain(part: Part) -> Words:
    content = part.content
    files: tuple[File, ...] = ()
    if b"begin " in content:
        content, files = _without_uuencoded(content)
    text = lines(decoded(content, part.charset), content)
    if part.parameters.get("format", "").lower() == "flowed":
        text = unflowed(text, del_sp=part.parameters.get("delsp", "").lower() == "yes")
    if "-----BEGIN PGP" in text:
        if (bare := cleartext(text)) is not None:
            return Words(text=bare, files=files, signed=True)
        if is_armoured(text):
            message = File(name="message.asc", media_type="application/pgp-encrypted", data=text.encode())
            return Words(text=notice("OpenPGP"), files=(*files, message), encrypted=True)
    return Words(text=text, files=files)


def _without_uuencoded(content: bytes) -> tuple[bytes, tuple[File, ...]]:
    """Return the text without the files that were written into it, and these."""
    kept: list[bytes] = []
    files: list[File] = []
    at = 0
    for written, data, start, end in uuencoded(content):
        name = file_name(written, "application/octet-stream")
        files.append(File(name=name, media_type=type_of(name), data=data))
        kept.append(content[at:start])
        at = end
    return b"".join([*kept, content[at:]]), tuple(files)


def _page(part: Part) -> str:
    content = part.content
    declared = part.charset
    if not declared and not content.isascii() and (inside := _DECLARED_INSIDE.search(content, 0, 2_000)) is not None:
        declared = inside[1].decode("ascii", "replace")
    return decoded(content, declared)


def _rich(part: Part, kind: str) -> Words | None:
    content = part.content
    if kind in _RICH or content.lstrip()[:5] == b"{\\rtf":
        text = lines(text_of_rtf(content))
        return Words(text=text) if text.strip() else None
    return Words(text=text_of_enriched(lines(decoded(content, part.charset)), richtext=kind == "text/richtext"))


def _invitation(part: Part) -> Words:
    name = part.file_name or "invite.ics"
    return Words(
        invitation=lines(summary_of(part.content, part.charset)),
        files=(file_of(part, name=name if "." in name else f"{name}.ics"),),
    )
