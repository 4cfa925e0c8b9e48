"""Bytes of mails become text, whatever charset they claim to be in. Nothing here raises.

What is declared is believed only as far as it fits: mailers name charsets that do not exist, and more often name the wrong
one. UTF-8 betrays itself, so it is tried first on everything beyond ASCII; then what was declared; then a guess.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache
from typing import Final

from charset_normalizer import from_bytes

ALIASES: Final = {
    "ansi-x3.4-1968": "ascii",
    "big5": "cp950",
    "big5-eten": "cp950",
    "cn-big5": "cp950",
    "cn-gb": "gb18030",
    "euc-kr": "cp949",
    "euckr": "cp949",
    "gb2312": "gb18030",
    "gb-2312": "gb18030",
    "gb2312-80": "gb18030",
    "gb-2312-80": "gb18030",
    "gbk": "gb18030",
    "hebrew": "cp1255",
    "iso-8859-1": "cp1252",  # what mailers mean by it: the quotation marks of Windows are in there
    "iso-8859-8": "cp1255",
    "iso-8859-8-e": "cp1255",
    "iso-8859-8-i": "cp1255",
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "iso-gb2312": "gb18030",
    "ks-c-5601": "cp949",
    "ks-c-5601-1987": "cp949",
    "ksc5601": "cp949",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "macintosh": "mac-roman",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "tis-620": "cp874",
    "unicode": "utf-16",
    "unicode-1-1-utf-7": "utf-7",
    "unicode-2-0-utf-7": "utf-7",
    "utf-8mb4": "utf-8",
    "utf8mb4": "utf-8",
    "windows-31j": "cp932",
    "windows-874": "cp874",
    "x-euc-jp": "euc-jp",
    "x-gbk": "gb18030",
    "x-mac-roman": "mac-roman",
    "x-ms-cp932": "cp932",
    "x-sjis": "cp932",
    "x-utf-7": "utf-7",
    "x-windows-949": "cp949",
    "x-x-big5": "cp950",
}
"""Names in the wild, in small letters with hyphens, and the codec that reads what is meant."""

_NO_CHARSETS: Final = frozenset(
    {"idna", "mbcs", "oem", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"}
)
"""Codecs of Python that are no charsets of mails; some are slow on purpose-made input."""
_INSIDE = re.compile(
    r"utf-?8|utf-?16(?:-?[lb]e)?|utf-?7|windows-?125\d|cp-?125\d|iso-?8859-?\d{1,2}|koi8-?[ru]|iso-?2022-?jp|gb-?(?:2312|k|18030)"
)
"""A name within a name: ``"windows-1252http-equivcontent-type"``."""

_MORE_THAN_ASCII: Final = frozenset(
    {"utf-7", "hz", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"}
)
"""Beside the family of ISO 2022: what writes other letters with bytes below 128."""
_MARKS: Final = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_TWO_BYTES: Final = frozenset({"gb18030", "cp950", "big5hkscs", "cp949", "cp932", "euc_jp", "euc_jis_2004", "johab"})
_SURE_UTF_8: Final = 8
"""So many bytes beyond ASCII that are UTF-8 are it, even where a charset of two bytes is declared."""
_GUESSED: Final = ("cp1252", "cp1251", "koi8_r", "cp1253", "cp1250", "cp1254", "cp932", "euc_jp", "gb18030", "big5",
                   "cp949", "cp1255", "cp1256")  # fmt: skip
_GUESS_BYTES: Final = 16_384
_WESTERN: Final = frozenset(
    "äöüßÄÖÜéèêëàâáãåæçñíìîïóòôõøúùûÉÈÊÀÂÁÅÆÇÑÓÔØÚ§°€£«»„“”‘’‚–—…·´¿¡®©™ºª²³½µ\xa0\xad".encode("cp1252")
)
_CUT = re.compile(rb"(?:[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})\Z")
"""A letter of UTF-8 without its end, as the last."""
_HIGH = re.compile(rb"[\x80-\xff]+")
_CENTRAL = re.compile(rb"[a-z][\x9c\x9f\xb3\xb9\xbf][a-z]")
"""Letters of Polish and its neighbours that are signs in the West, within a word."""
_JAPANESE = re.compile(rb"\x1b(\$[@B]|\([BJI]|\$\([DOPQ])")
_LONE = {0xDC00 + byte: bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(0x80, 0x100)}
"""What a byte that is no UTF-8 stands for in a text that else is."""


def decoded(data: bytes, *declared: str) -> str:
    """Return *data* as text: by what it shows itself to be, by the first declared charset that fits, else by a guess."""
    names = [_codec(name) for name in declared if name]
    if data.isascii() and b"\x1b" not in data and b"\x00" not in data:
        if not any(name in _MORE_THAN_ASCII for name in names):
            return data.decode("ascii")
    elif marked := _marked(data):
        return data.decode(marked, "replace").removeprefix("\ufeff")
    elif not any(name in _MORE_THAN_ASCII for name in names):
        if b"\x1b" in data and _JAPANESE.search(data):
            return _japanese(data)
        if names[:1] == ["utf-8"] or not (names and names[0] in _TWO_BYTES and _high_bytes(data) < _SURE_UTF_8):
            try:
                return data.decode("utf-8")
            except UnicodeDecodeError:
                pass
    for name in names:
        text = _fitting(data, name)
        if text is not None:
            return text
    return _guessed(data)


def _fitting(data: bytes, codec: str) -> str | None:
    """Return the text in that charset, or ``None`` if it is in another; a letter cut off or broken is no other charset."""
    if codec == "cp1252":
        return _western(data)
    for name in (codec, "big5hkscs") if codec == "cp950" else (codec,):
        try:
            return data.decode(name)
        except (UnicodeError, LookupError):  # LookupError: a codec that is not for text
            continue
    if codec == "utf-8":
        return _mostly_utf_8(data)
    if codec in _TWO_BYTES or codec in _MORE_THAN_ASCII:
        text = data.decode(codec, "replace")
        return text if text.count("\ufffd") * 20 <= len(text) else None
    return None


def _mostly_utf_8(data: bytes) -> str | None:
    """Return a text of UTF-8 with a few bytes of another charset in it: a footer of a list, a letter cut in two."""
    text = _CUT.sub(b"\xef\xbf\xbd", data).decode("utf-8", "surrogateescape")
    lone = sum(1 for character in text if "\udc80" <= character <= "\udcff")
    whole = sum(1 for character in text if character > "\x7f") - lone
    return text.translate(_LONE) if lone <= whole else None


def _western(data: bytes) -> str:
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:  # five bytes stand for nothing there
        return data.decode("latin-1").translate({byte: _LONE[0xDC00 + byte] for byte in range(0x80, 0xA0)})


def _marked(data: bytes) -> str:
    """Return the codec that a byte order mark names, or two bytes a letter of which one is always NUL; else ``""``."""
    for mark, codec in _MARKS:
        if data.startswith(mark):
            return codec
    if data.count(b"\0") * 4 >= len(data) > 3:
        first, second = data[0::2].count(b"\0"), data[1::2].count(b"\0")
        if second > 4 * first:
            return "utf-16-le"
        if first > 4 * second:
            return "utf-16-be"
    return ""


def _guessed(data: bytes) -> str:
    if (text := _mostly_utf_8(data)) is not None:
        return text
    sample = data[:_GUESS_BYTES]
    runs = _HIGH.findall(sample)
    letters = [byte for run in runs for byte in run]
    if _CENTRAL.search(sample):
        return data.decode("cp1250", "replace")
    known = sum(1 for byte in letters if byte in _WESTERN)
    if known * 10 >= len(letters) * 9 and len(letters) < 2 * len(runs) and len(letters) * 4 <= len(sample) + 8:
        return _western(data)
    best = from_bytes(sample, cp_isolation=list(_GUESSED)).best() if len(letters) > 3 else None
    if best is None or best.encoding in ("ascii", "utf_8", "cp1252"):
        return _western(data)
    return data.decode(best.encoding, "replace")


def _high_bytes(data: bytes) -> int:
    return sum(map(len, _HIGH.findall(data[:_GUESS_BYTES])))


def _japanese(data: bytes) -> str:
    """Return a text of ISO-2022-JP, with the letters of Windows in it that its own codec does not know."""
    for codec in ("iso2022_jp", "iso2022_jp_ext"):
        try:
            return data.decode(codec)
        except UnicodeDecodeError:
            continue
    done: list[str] = []
    mode = b"(B"
    for at, piece in enumerate(_JAPANESE.split(data)):
        if at % 2:
            mode = piece
        elif mode.startswith(b"(I"):
            done.append(bytes(byte | 0x80 for byte in piece).decode("cp932", "replace"))
        elif mode.startswith(b"("):
            done.append(piece.decode("ascii", "replace"))
        else:
            done.append(_rows(piece))
    return "".join(done)


def _rows(piece: bytes) -> str:
    """Return rows and cells of JIS X 0208 as text, by way of Shift JIS, where those of Windows are."""
    shifted = bytearray()
    for row, cell in zip(piece[0::2], piece[1::2], strict=False):
        if row < 0x21 or cell < 0x21:
            shifted += bytes((row, cell))
            continue
        lead = (row + 1) // 2 + (0x70 if row < 0x5F else 0xB0)
        trail = cell + 0x7E if row % 2 == 0 else cell + (0x20 if cell >= 0x60 else 0x1F)
        shifted += bytes((lead & 0xFF, trail & 0xFF))
    return shifted.decode("cp932", "replace")


@lru_cache(maxsize=256)
def _codec(declared: str) -> str:
    """Return the name of Python's codec for a declared name; of an unknown one ``utf-8``."""
    name = re.sub(r"[\s\"'_]+", "-", declared[:100].strip(" \"'\t").lower().removesuffix("(sic)")).strip("-")
    name = ALIASES.get(name, name)
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):  # ValueError: a NUL in the name
        inside = _INSIDE.search(name)
        if inside is None or inside[0] == name:
            return "utf-8"
        return _codec(inside[0])
    known = ALIASES.get(found.replace("_", "-"), found)
    if found.replace("_", "-") in _NO_CHARSETS:
        return "utf-8"
    return codecs.lookup(known).name
