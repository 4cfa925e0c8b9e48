"""Bytes of mails become text, whatever charset they claim to be in. Nothing here raises."""

from __future__ import annotations

import codecs
import re
from typing import Final

from charset_normalizer import from_bytes

ALIASES: Final = {
    "ansi-x3.4-1968": "ascii",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso-8859-1": "cp1252",  # what mailers mean by it: the quotation marks of Windows are in there
    "iso-8859-8-i": "iso-8859-8",
    "iso-gb2312": "gb18030",
    "ks-c-5601-1987": "cp949",
    "latin1": "cp1252",
    "unicode-1-1-utf-7": "utf-7",
    "windows-31j": "cp932",
    "x-gbk": "gb18030",
    "x-sjis": "cp932",
    "x-windows-949": "cp949",
}
"""Names in the wild, in small letters with hyphens, and the codec that reads what is meant."""

_NO_CHARSETS: Final = frozenset(
    {"idna", "mbcs", "oem", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"}
)
"""Codecs of Python that are no charsets of mails; some are slow on purpose-made input."""

_GUESS_BYTES: Final = 65_536


def decoded(data: bytes, *declared: str) -> str:
    """Return *data* as text: by the first declared charset that fits, else UTF-8, else by a guess, else as Latin-1."""
    for name in dict.fromkeys((*map(_codec, declared), "utf-8")):
        try:
            return data.decode(name)
        except (UnicodeError, LookupError):  # LookupError: a codec that is not for text
            continue
    guess = from_bytes(data[:_GUESS_BYTES]).best()
    return data.decode(guess.encoding if guess else "latin-1", "replace")


def _codec(declared: str) -> str:
    name = re.sub(r"[\s\"'_]+", "-", declared.strip(" \"'").lower().removesuffix("(sic)"))
    name = ALIASES.get(name, name)
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):  # ValueError: a NUL in the name
        return "utf-8"
    return "utf-8" if found.replace("_", "-") in _NO_CHARSETS else found
