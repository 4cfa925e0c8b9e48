"""Encoded words (RFC 2047), which let a header field hold more than ASCII, read wherever mailers put them. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Final

from fernamt_email.charset import decoded

_WORD = re.compile(r"=\?\s{0,3}([^?\s]{1,60})\s{0,3}\?\s{0,3}([BbQq])\s{0,3}\?((?:[^?]|\?(?!=))*)\?=")
"""Some are longer than RFC 2047, 2 allows, and some were folded where nothing may be folded."""
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_SPACES = re.compile(r"\s+")
_QUADS: Final = 4


def readable(value: str) -> str:
    """Return a raw value as a person reads it: encoded words decoded, one line, no control characters."""
    if "=?" in value:
        value = "".join(_pieces(value))
    if not value.isprintable():
        value = _CONTROLS.sub(" ", value)
    return _SPACES.sub(" ", value).strip()


def _pieces(value: str) -> Iterator[str]:
    """Yield the text between encoded words and what the words stand for.

    Neighbours of one charset are decoded together, because mailers cut words inside a letter; space between words belongs to
    the folding (RFC 2047, 6.2).
    """
    charset, word, rest, end = "", b"", "", 0
    for found in _WORD.finditer(value, 0, value.rfind("?=") + 2):  # behind it the search would never end
        between = value[end : found.start()]
        name = found[1].partition("*")[0].lower()  # RFC 2231, 5: a language may follow
        goes_on = end > 0 and not between.strip() and name == charset
        if not goes_on:
            if rest:
                word, rest = word + _base64(rest), ""
            if word:
                yield decoded(word, charset)
                word = b""
            if between.strip() or not end:
                yield between
        charset, end = name, found.end()
        if found[2] in "Qq":
            word, rest = word + (_base64(rest) if rest else b"") + _quoted(found[3]), ""
        else:
            rest += re.sub(r"\s+", "", found[3])  # some cut the letters of base64, not the bytes
            if len(rest) % _QUADS == 0 or "=" in rest:
                word, rest = word + _base64(rest), ""
    if rest:
        word += _base64(rest)
    if word:
        yield decoded(word, charset)
    yield value[end:]


def _quoted(text: str) -> bytes:
    return binascii.a2b_qp(text.encode("utf-8", "replace"), header=True)


def _base64(text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    try:
        return base64.b64decode(data + b"=" * (-len(data) % _QUADS))
    except binascii.Error:
        return data
