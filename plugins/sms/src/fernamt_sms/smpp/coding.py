"""What data_coding says of the octets of a message: which text they are, or that they are none. Pure."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from fernamt_sms.alphabet import from_septets, to_septets

DefaultAlphabet: TypeAlias = Literal["gsm", "gsm-packed", "latin-1"]
"""What data_coding 0 stands for is a matter of the SMSC: GSM 03.38 in octets or packed into them, or Latin-1."""

GSM: Final = 0x00
UCS2: Final = 0x08
_BINARY: Final = frozenset({0x02, 0x04, 0x09})
_CODECS: Final[Mapping[int, str]] = MappingProxyType(
    {
        0x01: "ascii",
        0x03: "latin-1",
        0x05: "shift_jis",
        0x06: "iso8859-5",
        0x07: "iso8859-8",
        0x0A: "iso2022_jp",
        0x0D: "euc_jp",
        0x0E: "euc_kr",
    }
)
"""SMPP 3.4, 5.2.19."""


def text_of(data: bytes, coding: int, alphabet: DefaultAlphabet, *, skip: int = 0) -> str | None:
    """Return the text of a message, ``None``: it is none, but the octets of a program.

    *skip* octets of a header stand before *data*: packed septets begin at a septet's boundary behind it.

    What cannot be in the alphabet becomes U+FFFD: a message that is wrong in one place can still be read.
    """
    if coding == GSM:
        return _default(data, alphabet, skip)
    if coding in _BINARY:
        return None
    if coding == UCS2:
        return _ucs2(data)
    if (codec := _CODECS.get(coding)) is not None:
        return data.decode(codec, "replace")
    return _by_class(data, coding, alphabet, skip)


def _by_class(data: bytes, coding: int, alphabet: DefaultAlphabet, skip: int) -> str | None:
    """Read a data coding scheme of the networks (3GPP TS 23.038, 4), which some SMSCs hand on as it is."""
    group = coding >> 4
    if group == 0xF:
        return None if coding & 0x04 else _default(data, alphabet, skip)
    if group in {0xC, 0xD}:
        return _default(data, alphabet, skip)
    if group == 0xE:
        return _ucs2(data)
    if group < 0x8:
        compressed, kind = coding & 0x20, coding & 0x0C
        if compressed or kind == 0x04:
            return None
        return _ucs2(data) if kind == 0x08 else _default(data, alphabet, skip)
    return None


def _default(data: bytes, alphabet: DefaultAlphabet, skip: int) -> str:
    match alphabet:
        case "latin-1":
            return data.decode("latin-1")
        case "gsm-packed":
            return from_septets(unpacked(data, skip=skip))
        case "gsm":
            return from_septets(data)


def _ucs2(data: bytes) -> str:
    """Read UTF-16, big endian unless a mark says otherwise; half a character at the end is left away."""
    if data.startswith(codecs.BOM_UTF16_LE):
        return data[2:].decode("utf-16-le", "replace")
    data = data.removeprefix(codecs.BOM_UTF16_BE)
    # Half a surrogate pair stays: the other half begins the next part.
    return data[: len(data) & ~1].decode("utf-16-be", "surrogatepass")


# ---- packed septets
def _fill(skip: int) -> int:
    """Return how many bits stand between a header of *skip* octets and the first septet."""
    return -skip * 8 % 7


def packed(septets: bytes, *, skip: int = 0) -> bytes:
    """Return septets, one an octet, packed into octets, behind a header of *skip* octets (3GPP TS 23.038, 6.1.2)."""
    bits = fill = _fill(skip)
    value = 0
    for one in septets:
        value |= (one & 0x7F) << bits
        bits += 7
    if (bits - fill) % 56 == 49 and not fill:
        value |= 0x0D << bits  # seven bits are left, and zeros would be an @
    return value.to_bytes((bits + 7) // 8, "little") if septets else b""


def unpacked(data: bytes, *, skip: int = 0) -> bytes:
    """Return packed septets, one an octet."""
    fill = _fill(skip)
    value, count = int.from_bytes(data, "little") >> fill, max(len(data) * 8 - fill, 0) // 7
    septets = bytes([(value >> 7 * at) & 0x7F for at in range(count)])
    full = count and (count * 7 + fill) == len(data) * 8
    return septets[:-1] if full and septets[-1] in {0x0D, 0x00} else septets


def written(text: str, alphabet: DefaultAlphabet, *, skip: int = 0) -> bytes:
    """Return a text of the GSM alphabet as data_coding 0 wants it. ``ValueError``: it has a character that this cannot say."""
    match alphabet:
        case "latin-1":
            return text.encode("latin-1")
        case "gsm-packed":
            return packed(to_septets(text), skip=skip)
        case "gsm":
            return to_septets(text)
