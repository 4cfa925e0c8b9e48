"""Media types and what they are told beside (RFC 2045, 5; RFC 2231), however they are written. Pure and linear."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from attrs import frozen

from fernamt_email.charset import decoded
from fernamt_email.encoded_words import readable

MAX_LENGTH: Final = 8_192
MAX_SECTIONS: Final = 100

_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
_PARAMETER = re.compile(
    r"""([^\s=;"]{1,80})\ ?=\ ?(?:"((?:[^"\\]|\\.|\\\Z)*)(?:"|\Z)|((?:[^;\ ]|\ (?![\w*-]{1,60}\ ?=))*))""", re.DOTALL
)
_SECTION = re.compile(r"([^*]+)\*(?:(\d{1,3})(\*)?)?")
_ESCAPED = re.compile(r"\\([\"\\])")
_ALONE: Final = {"text": "text/plain", "html": "text/html", "multipart": "multipart/mixed", "text/text": "text/plain"}
"""Types that are none, and what is meant."""


@frozen
class ContentType:
    """What a Content-Type says."""

    kind: str
    parameters: dict[str, str]


def content_type(written: str, default: str) -> ContentType:
    """Return what a Content-Type field says; of one that names no type, *default*."""
    if not written:
        return ContentType(default, {})
    name, _, rest = written[:MAX_LENGTH].partition(";")
    words = name.lower().split()
    kind = words[0].strip("\"'") if words else ""
    if not _TYPE.fullmatch(kind):
        joined = "".join(words)
        kind = _ALONE.get(kind) or (joined if _TYPE.fullmatch(joined) else default)
    kind = _ALONE.get(kind, kind)
    if len(words) > 1 and "=" in name:  # the semicolon is missing
        rest = f"{name.split(None, 1)[1]};{rest}"
    return ContentType(kind, parameters(rest) if "=" in rest else {})


def parameters(written: str) -> dict[str, str]:
    """Return ``name=value; name2="value 2"``, decoded; of a name that comes twice the first counts."""
    plain: dict[str, str] = {}
    pieces: dict[str, dict[int, tuple[str, bool]]] = {}
    for found in _PARAMETER.finditer(" ".join(written[:MAX_LENGTH].split())):
        name = found[1].lower()
        value = _ESCAPED.sub(r"\1", found[2]) if found[2] is not None else (found[3] or "").strip()
        section = _SECTION.fullmatch(name)
        if section is None:
            plain.setdefault(name, readable(value) if "=?" in value else value)
        elif len(pieces.setdefault(section[1], {})) < MAX_SECTIONS:
            encoded = section[2] is None or section[3] is not None
            pieces[section[1]].setdefault(int(section[2] or 0), (value, encoded))
    continued = {name: joined for name, sections in pieces.items() if (joined := _joined(sections))}
    return {**plain, **continued}


def _joined(sections: dict[int, tuple[str, bool]]) -> str:
    """Return the value that was cut in sections (RFC 2231, 3 and 4), with all of it that came."""
    charset = ""
    octets = bytearray()
    for n, (written, encoded) in sorted(sections.items()):
        value = written
        if encoded and n == min(sections) and written.count("'") >= 2:
            charset, _, value = written.split("'", 2)
        octets += unquote_to_bytes(value) if encoded else value.encode("utf-8", "surrogateescape")
    text = decoded(bytes(octets), charset)
    return readable(text) if "=?" in text else text
