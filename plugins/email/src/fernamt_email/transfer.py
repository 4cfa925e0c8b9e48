"""Transfer encodings (RFC 2045, 6) undone, also where they are broken or not what they claim to be. Pure, never raises."""

from __future__ import annotations

import binascii
import re
from typing import Final

_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_SPACES: Final = b"\r\n\t \v\f"
_EXPECTED: Final = _ALPHABET + _SPACES
_OTHERS: Final = bytes(set(range(256)) - set(_ALPHABET))
_WHOLE_LINE = re.compile(rb"[A-Za-z0-9+/=]+\Z")
_UNPADDED = re.compile(rb"[^=]+")
_SOFT_BREAK = re.compile(rb"=[ \t]{1,100}\r?\n")
_UU_BEGIN = re.compile(rb"^begin [0-7]{3,4} ([^\r\n]{1,200})\r?\n", re.MULTILINE)
_UU_LINE = re.compile(rb"([^\r\n]*)(?:\r?\n|\r|\Z)")
_UU_NAMES: Final = frozenset({"x-uuencode", "uuencode", "x-uue", "uue"})


def undone(data: bytes, encoding: str) -> bytes:
    """Return the bytes that *data* stands for in that transfer encoding; in one that nobody knows *data* itself."""
    name = encoding.partition(";")[0].strip(" \"'").replace("_", "-")
    if name in ("base64", "base-64", "b64"):
        return _base64(data)
    if name in ("quoted-printable", "quoted printable", "quotedprintable", "qp"):
        if b"= " in data or b"=\t" in data:
            data = _SOFT_BREAK.sub(b"", data)  # with blanks behind it the library does not see it
        return binascii.a2b_qp(data)
    if name in _UU_NAMES:
        found = uuencoded(data)
        return found[0][1] if found else data
    return data


def _base64(data: bytes) -> bytes:
    if data.translate(None, _EXPECTED):
        lines = data.splitlines()
        if not any(len(line) >= 4 and _WHOLE_LINE.match(line.strip()) for line in lines):
            return data  # a text that only claims to be encoded
        # Between and behind the lines stands what servers and lists add; within a line it is dirt.
        data = b"".join(line for line in lines if line.count(b" ") < 3 or _WHOLE_LINE.match(line.replace(b" ", b"")))
        data = data.translate(None, _OTHERS)
    clean = data.translate(None, _SPACES)
    if clean.find(b"=", 0, len(clean) - 2) < 0:
        return _quads(clean.rstrip(b"="))
    done = bytearray()  # several, one behind the other
    for piece in _UNPADDED.finditer(clean):
        done += _quads(piece[0])
    return bytes(done)


def _quads(clean: bytes) -> bytes:
    over = len(clean) % 4
    try:
        if over == 1:
            clean = clean[:-1]
        return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))
    except binascii.Error:
        return b""


def uuencoded(data: bytes) -> list[tuple[str, bytes, int, int]]:
    """Return the files that were uuencoded in a text: name, content, where the block begins and where it ends."""
    found: list[tuple[str, bytes, int, int]] = []
    at = 0
    while (begin := _UU_BEGIN.search(data, at)) is not None:
        content, at = _uu_lines(data, begin.end())
        if content is not None:
            found.append((begin[1].decode("utf-8", "replace"), content, begin.start(), at))
    return found


def _uu_lines(data: bytes, start: int) -> tuple[bytes | None, int]:
    """Return what the lines from *start* to the end of the block stand for, and where that is; ``None``: it is no block."""
    done: list[bytes] = []
    for line in _UU_LINE.finditer(data, start):
        text = line[1]
        if text.rstrip() == b"end":
            return b"".join(done), line.end()
        if not text.strip(b" `"):
            continue
        needed = 1 + (((text[0] - 32) & 63) + 2) // 3 * 4
        if not 0x20 <= text[0] <= 0x60 or len(text) > needed + 2:
            return None, line.start()
        try:
            done.append(binascii.a2b_uu(text[:needed]))
        except binascii.Error:
            return None, line.start()
    return (b"".join(done) if done else None), len(data)
