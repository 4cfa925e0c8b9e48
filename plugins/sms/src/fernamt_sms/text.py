"""How long a text message is: its encoding, its parts, and the octets of each. Pure.

A part ends where a reader would let it end: never inside an escape pair or a surrogate pair, and not inside what is seen as
one character (an emoji joined of several, a letter with its marks, a flag) unless that alone is longer than a part.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache
from typing import Final, Literal, TypeAlias

import regex
from attrs import frozen

from fernamt_sms.alphabet import has, to_septets

_OCTETS: Final = 140
_MOST_PARTS: Final = 255
_HEADER_OCTETS: Final = {8: 6, 16: 7}
_CLUSTER: Final = regex.compile(r"\X")

ReferenceBits: TypeAlias = Literal[8, 16]


class Encoding(StrEnum):
    """How the characters are written: the choice is for the whole message."""

    GSM = "gsm-7"
    """The GSM default alphabet; a unit is a septet."""
    UCS2 = "ucs-2"
    """UTF-16, big endian; a unit is two octets, and what lies beyond the basic plane takes two."""


@frozen(kw_only=True)
class Segments:
    """A text as it goes out."""

    encoding: Encoding
    parts: tuple[str, ...]
    """Together the text; an empty text is one empty part."""
    units: int
    """Of all parts, without their headers."""
    left: int
    """How many more units the last part holds before the message becomes one part longer."""
    reference_bits: ReferenceBits
    """The size of the reference in the header that joins several parts."""


def encoding_of(text: str) -> Encoding:
    """Return the cheapest encoding that keeps every character."""
    return Encoding.GSM if has(text) else Encoding.UCS2


def units_of(text: str, encoding: Encoding) -> int:
    """Return the length of a text in units of an encoding that has all of its characters."""
    if encoding is Encoding.GSM:
        return len(to_septets(text))
    return len(text.encode("utf-16-be", "surrogatepass")) // 2


def capacity(encoding: Encoding, *, header_octets: int = 0) -> int:
    """Return how many units a part holds beside a header of so many octets."""
    free = _OCTETS - header_octets
    return free * 8 // 7 if encoding is Encoding.GSM else free // 2


@lru_cache(maxsize=512)  # what is sent is counted a few times before that, together with up to 256 others
def segment(text: str, *, reference_bits: ReferenceBits = 8, encoding: Encoding | None = None) -> Segments:
    """Return the parts of a text, in an *encoding* that has its characters; ``None``: in the cheapest that keeps every one."""
    encoding = encoding or encoding_of(text)
    units, whole = units_of(text, encoding), capacity(encoding)
    if units <= whole:
        return Segments(
            encoding=encoding, parts=(text,), units=units, left=whole - units, reference_bits=reference_bits
        )
    room = capacity(encoding, header_octets=_HEADER_OCTETS[reference_bits])
    parts = tuple(_parts(text, encoding, room))
    left = room - units_of(parts[-1], encoding)
    return Segments(encoding=encoding, parts=parts, units=units, left=left, reference_bits=reference_bits)


def _parts(text: str, encoding: Encoding, room: int) -> Iterator[str]:
    part: list[str] = []
    free = room
    for piece in _pieces(text, encoding, room):
        units = units_of(piece, encoding)
        if units > free:
            yield "".join(part)
            part, free = [], room
        part.append(piece)
        free -= units
    yield "".join(part)


def _pieces(text: str, encoding: Encoding, room: int) -> Iterator[str]:
    """Yield what is not split: what is seen as one character, or each of its code points if it fills more than a part."""
    for cluster in _CLUSTER.findall(text):
        if len(cluster) > 1 and units_of(cluster, encoding) > room:
            yield from cluster
        else:
            yield cluster


def octets(segments: Segments, *, reference: int | None) -> tuple[bytes, ...]:
    """Return the octets of each part: its header if there are several parts, and its text.

    GSM text is one septet in each octet, not packed: the exchange packs it. So a part may have up to 160 octets here.

    Args:
        segments: The parts.
        reference: The same for all parts, another one for the next message to the same recipient; what does not fit into
            ``reference_bits`` wraps around. ``None``: no header, because the parts are joined by other means.

    Raises:
        ValueError: There are more than 255 parts.
    """
    total = len(segments.parts)
    if total > _MOST_PARTS:
        raise ValueError(f"a message has at most {_MOST_PARTS} parts, and this one has {total}")
    texts = [_encoded(part, segments.encoding) for part in segments.parts]
    if total == 1 or reference is None:
        return tuple(texts)
    return tuple(
        header(reference, total, number, reference_bits=segments.reference_bits) + text
        for number, text in enumerate(texts, 1)
    )


def header(reference: int, total: int, number: int, *, reference_bits: ReferenceBits = 8) -> bytes:
    """Return the user data header of part *number* of *total* (3GPP TS 23.040, 9.2.3.24.1 and 9.2.3.24.8)."""
    if reference_bits == 8:
        return bytes([5, 0x00, 3, reference & 0xFF, total, number])
    return bytes([6, 0x08, 4, *(reference & 0xFFFF).to_bytes(2, "big"), total, number])


def _encoded(part: str, encoding: Encoding) -> bytes:
    # Half a surrogate pair is nothing that anybody can read, and no reason to lose the words around it.
    return to_septets(part) if encoding is Encoding.GSM else part.encode("utf-16-be", "surrogatepass")
