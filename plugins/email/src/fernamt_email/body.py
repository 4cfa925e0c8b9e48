"""The content of a mail: what is read, and the files beside it. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import Final

from attrs import evolve, field, frozen

from fernamt_email.charset import decoded
from fernamt_email.files import File, file_of, packed_file
from fernamt_email.html_text import text_of_html
from fernamt_email.mime import Part
from fernamt_email.sealed import content_of_signed, is_enveloped, notice
from fernamt_email.tnef import unpacked
from fernamt_email.words import Words, lines, words_of

_TNEF: Final = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
_SKIPPED: Final = frozenset({"text/x-amp-html", "text/watch-html"})
"""Alternatives with the same words again, for a program that draws them in its own way."""
_ELSEWHERE = re.compile(
    r"(?i)\bhtml\b.{0,200}\b(?:view|read|display|support|client|programm?|browser|anzeigen|lesen|darstell|unterst)"
    r"|\b(?:view|open|read) (?:this|it|the) (?:e-?mail |message )?(?:in|with|online)|im browser (?:an|öffnen|lesen)",
    re.DOTALL,
)
"""A plain alternative that only says that there is another one."""
_STUB: Final = 300
_MAX_LOCATIONS: Final = 100


@frozen(kw_only=True)
class Body:
    """What a mail says, as text and, if there is any, as its own HTML."""

    text: str = field(default="", repr=False)
    html: str = field(default="", repr=False)
    files: tuple[File, ...] = ()
    signed: bool = False
    """It bears a signature, which nobody has checked."""
    encrypted: bool = False
    """Some of it cannot be read without a key; *text* says so."""

    @property
    def marks(self) -> tuple[str, ...]:
        """What a reader should know beside the words, as ``Received.marks`` wants it."""
        return tuple(filter(None, ("signed" * self.signed, "encrypted" * self.encrypted)))


@frozen(kw_only=True)
class _Piece:
    """What a part says. HTML without a text means: its words were not looked for, because another part may have them."""

    words: Words = field(factory=Words)
    files: tuple[File, ...] = ()
    spare: Words | None = None
    """Words that count if there are no others."""
    invitation: str = ""
    signed: bool = False
    encrypted: bool = False


def body_of(mail: Part) -> Body:
    """Return the content of a mail, all levels of it."""
    piece = _piece(mail)
    words = piece.words
    if piece.spare is not None and not (words.text.strip() or words.html):
        words = piece.spare
    text = words.text or text_of_html(words.html)
    if piece.invitation:
        text = f"{text.rstrip()}\n\n{piece.invitation}" if text.strip() else piece.invitation
    return Body(text=text, html=words.html, files=piece.files, signed=piece.signed, encrypted=piece.encrypted)


def _piece(part: Part) -> _Piece:
    children = part.children
    if part.holds_parts:
        return _container(part, children) if children else _lost(part)
    kind, name = part.kind, part.file_name
    if is_enveloped(kind, part.parameters, name):
        return _enveloped(part)
    if kind in _TNEF or name.lower() == "winmail.dat":
        return _packed(part)
    is_file = part.disposition == "attachment" or (bool(name) and part.depth > 0)
    words = words_of(part, is_file=is_file)
    if words is None:
        return _as_file(part)
    return _Piece(
        words=evolve(words, files=(), invitation="") if words.files or words.invitation else words,
        files=words.files,
        invitation=words.invitation,
        signed=words.signed,
        encrypted=words.encrypted,
    )


def _lost(part: Part) -> _Piece:
    """It said that it has parts, but their boundary never came: the bytes are all that there is."""
    text = lines(decoded(part.content, part.charset))
    boundary = part.parameters.get("boundary", "")
    if boundary and text.strip() in (f"--{boundary}", f"--{boundary}--"):
        return _Piece()
    return _Piece(words=Words(text=text))


def _container(part: Part, children: Sequence[Part]) -> _Piece:
    match part.kind.removeprefix("multipart/"):
        case "alternative":
            return _best([_piece(child) for child in children if child.kind not in _SKIPPED])
        case "related":
            return _related(part, children)
        case "signed":
            return evolve(_joined([_piece(children[0]), *map(_as_file, children[1:])]), signed=True)
        case "encrypted":
            how = "OpenPGP" if "pgp" in part.parameters.get("protocol", "pgp").lower() else "S/MIME"
            files = tuple(file_of(child) for child in children if child.kind != "application/pgp-encrypted")
            return _Piece(words=Words(text=notice(how)), files=files, encrypted=True)
        case "appledouble" if len(children) > 1:  # the first is what only a Mac of old needs
            return _joined([_as_file(child) for child in children[1:]])
        case "text/plain" if sorted(child.kind for child in children) == ["text/html", "text/plain"]:
            return _best([_piece(child) for child in children])  # its own type was lost
        case _:
            return _joined([_piece(child) for child in children])


def _best(pieces: list[_Piece]) -> _Piece:
    """Of the alternatives: the words of the plain one unless it is blank, the HTML of the richest, all files."""
    rich = next((piece.words for piece in reversed(pieces) if piece.words.html), Words())
    plain = next((one.words.text for one in pieces if one.words.text.strip() and not one.words.html), "")
    if rich.html and len(plain) < _STUB < len(rich.html) and _ELSEWHERE.search(plain):
        plain = ""
    return _together(pieces, Words(text=plain or rich.text, html=rich.html))


def _joined(pieces: list[_Piece]) -> _Piece:
    """Of parts that stand one below the other: the words of all."""
    said = [piece.words for piece in pieces if piece.words.text.strip() or piece.words.html.strip()]
    words = said[0] if said else Words()
    if len(said) > 1:
        texts = [one.text or text_of_html(one.html) for one in said]
        pages = [one.html or f"<pre>{html.escape(one.text)}</pre>" for one in said]
        words = Words(
            text="\n\n".join(text for text in texts if text.strip()),
            html="\n".join(pages) if any(one.html for one in said) else "",
        )
    return _together(pieces, words)


def _together(pieces: Sequence[_Piece], words: Words) -> _Piece:
    return _Piece(
        words=words,
        files=tuple(file for piece in pieces for file in piece.files),
        spare=next((piece.spare for piece in pieces if piece.spare is not None), None),
        invitation="\n\n".join(dict.fromkeys(piece.invitation for piece in pieces if piece.invitation)),
        signed=any(piece.signed for piece in pieces),
        encrypted=any(piece.encrypted for piece in pieces),
    )


def _related(part: Part, children: Sequence[Part]) -> _Piece:
    """A page and what it shows: pictures that it names by their place get the id by which they are found."""
    start = part.parameters.get("start", "").strip("<> ")
    root = next((child for child in children if start and child.content_id == start), children[0])
    page = _piece(root)
    beside: list[_Piece] = []
    source = page.words.html
    for n, child in enumerate(one for one in children if one is not root):
        location = child.headers.raw("content-location")
        if child.holds_parts:
            beside.append(_piece(child))
            continue
        if not (location or child.content_id or child.kind.startswith("text/")):
            beside.append(_piece(child))
            continue
        shown = bool(location or child.content_id)
        piece = _as_file(child) if shown else _piece(child)
        if source and location and not child.content_id and piece.files and n < _MAX_LOCATIONS:
            name = f"part{n}.{len(source)}@content-location.invalid"
            named = source.replace(f'"{location}"', f'"cid:{name}"').replace(f"'{location}'", f"'cid:{name}'")
            if named != source:
                source = named
                piece = evolve(piece, files=(evolve(piece.files[0], content_id=name),))
        beside.append(piece)
    if source != page.words.html:
        page = evolve(page, words=evolve(page.words, html=source))
    return _joined([page, *beside])


def _as_file(part: Part) -> _Piece:
    return _Piece(files=(file_of(part),))


def _enveloped(part: Part) -> _Piece:
    """S/MIME as one lump: what was only signed can be read."""
    kept = file_of(part, name=part.file_name or "smime.p7m")
    inner = content_of_signed(part.content)
    if inner is not None:
        read = _piece(part.opened(inner))
        return evolve(read, files=(*read.files, kept), signed=True)
    kind = part.parameters.get("smime-type", "").lower()
    if "signed" in kind or "compressed" in kind:
        return _Piece(files=(kept,), signed="signed" in kind)
    return _Piece(words=Words(text=notice("S/MIME")), files=(kept,), encrypted=True)


def _packed(part: Part) -> _Piece:
    """A winmail.dat; what cannot be unpacked is kept as the file that it is."""
    found = unpacked(part.content)
    if found is None or not (found.text or found.html or found.files):
        return _as_file(part)
    spare = Words(text=found.text.replace("\r\n", "\n").replace("\r", "\n"), html=found.html)
    return _Piece(files=tuple(packed_file(one) for one in found.files), spare=spare)
