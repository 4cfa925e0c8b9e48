"""Signed and encrypted mails (S/MIME, RFC 8551; OpenPGP, RFC 3156 and 9580): what can be read of them without any key. Pure.

No signature is checked here: whoever shows the words says so.
"""

from __future__ import annotations

import re
from typing import Final

MAX_LEVELS: Final = 12
"""Of values within values in a signed message; those that hold the content are five deep."""

_ENVELOPED: Final = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_SIGNED_DATA: Final = bytes.fromhex("06092a864886f70d010702")
_DATA: Final = bytes.fromhex("06092a864886f70d010701")
_CLEAR = re.compile(
    r"^-----BEGIN PGP SIGNED MESSAGE-----[ \t]*\n(?:[A-Za-z]{1,40}: [^\n]*\n){0,20}[ \t]*\n(.*?)^-----BEGIN PGP SIGNATURE-----[^\n]*\n"
    r".*?^-----END PGP SIGNATURE-----[ \t]*\n?",
    re.MULTILINE | re.DOTALL,
)
_DASHED = re.compile(r"^- ", re.MULTILINE)
_ARMOURED: Final = "-----BEGIN PGP MESSAGE-----"


def notice(how: str) -> str:
    """Return what an agent reads in place of encrypted words: what it is and what to do."""
    return (
        f"[Diese Mail ist verschlüsselt ({how}) und kann hier nicht gelesen werden. Öffnen Sie die angehängte Datei mit dem"
        " Programm, das den Schlüssel hat, oder bitten Sie den Absender, unverschlüsselt zu schreiben.]\n"
        f"[This mail is encrypted ({how}) and cannot be read here. Open the attached file with the program that has the key,"
        " or ask the sender to write without encryption.]\n"
    )


def is_enveloped(kind: str, parameters: dict[str, str], name: str) -> bool:
    """Return whether a part is an S/MIME message as one lump, signed or encrypted."""
    if kind in _ENVELOPED:
        return parameters.get("smime-type", "").lower() != "certs-only"
    return kind == "application/octet-stream" and name.lower().endswith((".p7m", ".p7z"))


def content_of_signed(data: bytes) -> bytes | None:
    """Return the mail within a CMS SignedData (RFC 5652, 5); ``None`` if it is none, or holds no content."""
    start = data.find(_SIGNED_DATA, 0, 40)
    inner = data.find(_DATA, start + len(_SIGNED_DATA), start + 400) if start >= 0 else -1
    if inner < 0:
        return None
    tag, begin, end = _value(data, inner + len(_DATA), len(data))
    if tag != 0xA0:
        return None
    octets = bytearray()
    if not _octets(data, begin, end, octets, 0):
        return None
    return bytes(octets)


def cleartext(text: str) -> str | None:
    """Return a text without the frame of its OpenPGP signature (RFC 9580, 7); ``None`` if it has none."""
    if (
        not 0 < text.count("-----BEGIN PGP SIGNED MESSAGE-----") <= MAX_LEVELS
        or "-----END PGP SIGNATURE-----" not in text
    ):
        return None
    bare, count = _CLEAR.subn(lambda found: _DASHED.sub("", found[1]), text)
    return bare if count else None


def is_armoured(text: str) -> bool:
    """Return whether a text begins with an OpenPGP message: encrypted, as a rule."""
    return text.lstrip()[: len(_ARMOURED)] == _ARMOURED and "-----END PGP MESSAGE-----" in text


def _octets(data: bytes, at: int, end: int, done: bytearray, level: int) -> bool:
    """Add the bytes of an OCTET STRING, be it whole or in pieces, of known length or not; say whether it was one."""
    while at < end:
        tag, begin, stop = _value(data, at, end)
        if tag == 0x04:
            done += data[begin:stop]
        elif tag == 0x24 and level < MAX_LEVELS:
            if not _octets(data, begin, stop, done, level + 1):
                return False
        else:
            return tag == 0 and bool(done)  # the end of contents of unknown length
        at = stop
        if tag == 0x24 and data.startswith(b"\0\0", stop):
            at += 2
    return bool(done)


def _value(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Return tag, begin and end of the value at *at* (X.690, 8.1); of unknown length it reaches to *end*; tag -1: none."""
    if at + 2 > end:
        return -1, end, end
    tag, length = data[at], data[at + 1]
    at += 2
    if length == 0x80:
        return tag, at, end
    if length & 0x80:
        size = length & 0x7F
        if size > 4 or at + size > end:
            return -1, end, end
        length, at = int.from_bytes(data[at : at + size], "big"), at + size
    return tag, at, min(at + length, end)
