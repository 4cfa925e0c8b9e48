"""The content of a mail: what is read, and the files beside it. Pure."""

from __future__ import annotations

import html
import mimetypes
import re
import unicodedata
from email.message import Message
from typing import Final

from attrs import field, frozen

from fernamt_email.charset import decoded
from fernamt_email.headers import Headers, children, readable
from fernamt_email.html_text import text_of_html

MAX_NAME: Final = 200

_ENDINGS: Final = {
    "message/delivery-status": ".txt",
    "message/disposition-notification": ".txt",
    "text/rfc822-headers": ".txt",
}
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")


@frozen(kw_only=True)
class File:
    """An attachment, decoded."""

    name: str
    media_type: str
    data: bytes = field(repr=False)
    content_id: str = ""


@frozen(kw_only=True)
class Body:
    """What a mail says, as text and, if there is any, as its own HTML."""

    text: str = field(default="", repr=False)
    html: str = field(default="", repr=False)
    files: tuple[File, ...] = ()


def body_of(part: Message) -> Body:
    """Return the content of a parsed mail, all levels of it."""
    kind = part.get_content_type()
    if not part.is_multipart():
        return _leaf(part, kind)
    if kind.startswith("message/"):
        return Body(files=(_file(part, kind, _serialised(part)),))
    bodies = [body_of(child) for child in children(part)]
    return _best(bodies) if kind == "multipart/alternative" else _joined(bodies)


def file_name(written: str, media_type: str) -> str:
    """Return a name for people: what is invisible goes first, then look-alikes and everything that points to a folder."""
    visible = "".join(c for c in written if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
    plain = unicodedata.normalize("NFKC", visible).replace("\\", "/").rpartition("/")[2]
    name = " ".join(plain.split()).strip(". ")
    if not name:
        return "file" + (_ENDINGS.get(media_type) or mimetypes.guess_extension(media_type) or ".bin")
    stem, dot, ending = name.rpartition(".")
    return name if len(name) <= MAX_NAME else (stem or name)[: MAX_NAME - 20] + dot + ending[:19]


def _leaf(part: Message, kind: str) -> Body:
    data = part.get_payload(decode=True)
    content = data if isinstance(data, bytes) else b""
    is_file = part.get_content_disposition() == "attachment" or bool(_written_name(part))
    if kind == "text/plain" and not is_file:
        return Body(text=_lines(decoded(content, _charset(part))))
    if kind == "text/html" and not is_file:
        source = decoded(content, _charset(part))
        return Body(text=text_of_html(source), html=source)
    if kind.startswith("multipart/"):  # it said so, but its boundary never came: the bytes are all that there is
        return Body(text=_lines(decoded(content, _charset(part))))
    return Body(files=(_file(part, kind, content),))


def _best(bodies: list[Body]) -> Body:
    """Of the alternatives: the words of the plain one unless it is blank, the HTML of the richest, all files."""
    plain = next((body.text for body in bodies if body.text.strip() and not body.html), "")
    rich = next((body for body in reversed(bodies) if body.html), Body())
    return Body(text=plain or rich.text, html=rich.html, files=tuple(file for body in bodies for file in body.files))


def _joined(bodies: list[Body]) -> Body:
    texts = [body.text for body in bodies if body.text.strip()]
    any_html = any(body.html for body in bodies)
    pages = [body.html or f"<pre>{html.escape(body.text)}</pre>" for body in bodies if body.html or body.text.strip()]
    return Body(
        text="\n\n".join(texts),
        html="\n".join(pages) if any_html else "",
        files=tuple(file for body in bodies for file in body.files),
    )


def _file(part: Message, kind: str, content: bytes) -> File:
    media_type = kind if _MEDIA_TYPE.fullmatch(kind) else "application/octet-stream"
    written = _written_name(part)
    if kind == "message/rfc822":
        written = re.sub(r"\.eml$", "", written or _inner_subject(part) or "message") + ".eml"
    name = file_name(written, media_type)
    return File(
        name=name, media_type=media_type, data=content, content_id=Headers(part).raw("content-id").strip("<> ")[:200]
    )


def _inner_subject(part: Message) -> str:
    inner = next(iter(children(part)), None)
    return re.sub(r"[/\\]", "-", Headers(inner).text("subject")) if inner else ""


def _serialised(part: Message) -> bytes:
    """Return the inner mail of a message/rfc822 part, or the blocks of another message/... part, as bytes."""
    pieces: list[bytes] = []
    for child in children(part):
        try:
            pieces.append(child.as_bytes())
        except (ValueError, LookupError, TypeError, AttributeError):  # the generator refuses what the parser let in
            pieces.append(str(child.get_payload()).encode("utf-8", "surrogateescape"))
    return b"\n".join(pieces)


def _written_name(part: Message) -> str:
    headers, readable_part = Headers(part), Message()
    for name in ("content-disposition", "content-type"):
        readable_part[name] = headers.raw(name)  # the parser's own value has lost what was not ASCII
    try:
        return readable(readable_part.get_filename() or "")
    except (ValueError, LookupError, TypeError, AttributeError):  # RFC 2231 pieces that do not fit together
        return ""


def _charset(part: Message) -> str:
    try:
        return part.get_content_charset() or ""
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""


def _lines(text: str) -> str:
    return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
