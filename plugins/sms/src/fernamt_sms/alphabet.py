"""The alphabet of a text message: GSM 03.38 (3GPP TS 23.038, 6.2.1), one octet a septet as SMPP and gateways want it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

_DEFAULT: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_ESCAPE: Final = 0x1B
_EXTENDED: Final[Mapping[int, str]] = MappingProxyType(
    {
        0x0A: "\f",
        0x14: "^",
        0x28: "{",
        0x29: "}",
        0x2F: "\\",
        0x3C: "[",
        0x3D: "~",
        0x3E: "]",
        0x40: "|",
        0x65: "€",
    }
)
SEPTETS: Final[Mapping[str, bytes]] = MappingProxyType(
    {character: bytes([code]) for code, character in enumerate(_DEFAULT) if code != _ESCAPE}
    | {character: bytes([_ESCAPE, code]) for code, character in _EXTENDED.items()}
)
"""The septets of each character that there are any for: one, or the escape and one more."""


_WRITTEN: Final = str.maketrans({character: octets.decode("latin-1") for character, octets in SEPTETS.items()})
_FOREIGN: Final = re.compile(f"[^{re.escape(''.join(SEPTETS))}]")


def has(text: str) -> bool:
    """Say whether the alphabet has every character of a text."""
    return _septets(text) is not None


def foreign(text: str) -> str:
    """Return the characters that the alphabet lacks, each once, in the order in which they come."""
    return "".join(dict.fromkeys(_FOREIGN.findall(text)))


def to_septets(text: str) -> bytes:
    """Return the septets of a text, one in each octet; raises ``ValueError`` if the alphabet lacks a character."""
    if (octets := _septets(text)) is None:
        raise ValueError(f"the GSM alphabet has no U+{ord(foreign(text)[0]):04X}")
    return octets


@lru_cache(maxsize=512)  # asked a few times of what is sent
def _septets(text: str) -> bytes | None:
    return text.translate(_WRITTEN).encode("latin-1") if _FOREIGN.search(text) is None else None


def from_septets(octets: bytes) -> str:
    """Return the text that somebody wrote in the alphabet, one septet in each octet.

    An escape before something unknown shows what stands there without it, as 23.038 asks; one at the end is a space. The
    eighth bit is not looked at.
    """
    text: list[str] = []
    escaped = False
    for octet in octets:
        code = octet & 0x7F
        if code == _ESCAPE and not escaped:
            escaped = True
            continue
        character = " " if code == _ESCAPE else _DEFAULT[code]
        text.append(_EXTENDED.get(code, character) if escaped else character)
        escaped = False
    return "".join(text) + (" " if escaped else "")
