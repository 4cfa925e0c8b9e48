"""Rich text (RTF) as the plain text that stands for it, and as the HTML that Outlook packs into it. Pure and linear."""

from __future__ import annotations

import re
from typing import Final

from fernamt_email.charset import decoded

MAX_BYTES: Final = 2_000_000
MAX_GROUPS: Final = 200
"""Levels of groups in groups that are told apart."""

_TOKEN = re.compile(
    rb"(?P<word>\\([a-z]{1,32})(-?\d{1,10})?[ ]?)|(?P<octet>\\'([0-9a-fA-F]{2}))|(?P<sign>\\([^a-z']))|(?P<brace>[{}])|[\r\n]+"
    rb"|(?P<plain>[^\\{}\r\n]+)",
    re.DOTALL,
)
_SKIPPED: Final = frozenset(
    b"fonttbl colortbl stylesheet info pict object header footer headerl headerr footerl footerr listtable"
    b" listoverridetable rsidtbl generator themedata colorschememapping datastore latentstyles xmlnstbl fldinst".split()
)
_WORDS: Final = {
    b"par": "\n", b"line": "\n", b"sect": "\n", b"page": "\n", b"row": "\n", b"tab": "\t", b"cell": "  ", b"emdash": "—",
    b"endash": "–", b"lquote": "‘", b"rquote": "’", b"ldblquote": "“", b"rdblquote": "”", b"bullet": "•", b"emspace": " ",
    b"enspace": " ",
}  # fmt: skip
_SIGNS: Final = {b"~": "\xa0", b"_": "-", b"{": "{", b"}": "}", b"\\": "\\", b"\n": "\n", b"\r": "\n"}


def text_of_rtf(source: bytes) -> str:
    """Return the words of a document, line by line; of anything else ``""``."""
    return _read(source, as_html=False).strip("\n")


def html_of_rtf(source: bytes) -> str:
    r"""Return the HTML from which a document was made (``\fromhtml1``); ``""`` if it was made from none."""
    return _read(source, as_html=True) if b"\\fromhtml" in source[:2_000] else ""


class _Group:
    """What holds until the next closing brace."""

    __slots__ = ("html", "no_html", "skipped", "stand_ins")

    def __init__(self, above: _Group | None = None) -> None:
        self.skipped: bool = above.skipped if above else False
        self.no_html: bool = above.no_html if above else False
        """What is for those only who do not read HTML."""
        self.html: bool = above.html if above else False
        self.stand_ins: int = above.stand_ins if above else 1
        """So many letters stand behind a Unicode one for programs that know none."""


def _read(source: bytes, *, as_html: bool) -> str:
    if source.lstrip()[:5] != b"{\\rtf":
        return ""
    return _Document(as_html=as_html).read(source[:MAX_BYTES])


class _Document:
    """Reads token by token."""

    def __init__(self, *, as_html: bool) -> None:
        self._as_html = as_html
        self._done: list[str] = []
        self._octets = bytearray()
        self._charset = "cp1252"
        self._left_out = 0
        self._groups = [_Group()]
        self._begins = False
        """Whether the next word says what kind of group this is."""

    def read(self, source: bytes) -> str:
        for found in _TOKEN.finditer(source):
            kind = found.lastgroup
            if kind == "brace":
                self._brace(found[0])
                continue
            if kind == "word":
                self._word(found[2], found[3])
            elif kind == "sign":
                self._sign(found[7])
            elif kind == "octet":
                self._plain(bytes.fromhex(found[5].decode()))
            elif kind == "plain":
                self._plain(found[0])
            else:
                continue
            self._begins = False
        self._flush()
        # A letter that was written as two halves is one.
        return "".join(self._done).encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def _brace(self, brace: bytes) -> None:
        if brace == b"}":
            if len(self._groups) > 1:
                self._groups.pop()
        elif len(self._groups) < MAX_GROUPS:
            self._groups.append(_Group(self._groups[-1]))
        self._begins = brace == b"{"

    def _word(self, word: bytes, number: bytes | None) -> None:
        here = self._groups[-1]
        if word == b"htmltag":
            here.skipped, here.html = not self._as_html, self._as_html
        elif self._begins and word in _SKIPPED:
            here.skipped = True
        elif word == b"htmlrtf":
            here.no_html = number != b"0"
        elif word == b"ansicpg" and number:
            self._charset = f"cp{int(number)}"
        elif word == b"uc" and number:
            here.stand_ins = min(abs(int(number)), 10)
        elif word == b"u" and number:
            self._say(chr(int(number) % 0x10000))
            self._left_out = here.stand_ins
        elif word in _WORDS:
            self._say(_WORDS[word])

    def _sign(self, sign: bytes) -> None:
        if sign == b"*":
            self._groups[-1].skipped = True
        elif sign in _SIGNS:
            self._say(_SIGNS[sign])

    def _plain(self, octets: bytes) -> None:
        left_out = min(self._left_out, len(octets))
        self._left_out -= left_out
        if self._is_shown():
            self._octets += octets[left_out:]

    def _say(self, text: str) -> None:
        if self._is_shown():
            self._flush()
            self._done.append(text)

    def _is_shown(self) -> bool:
        here = self._groups[-1]
        return not here.skipped and not (self._as_html and here.no_html and not here.html)

    def _flush(self) -> None:
        if self._octets:
            self._done.append(decoded(bytes(self._octets), self._charset))
            self._octets.clear()


RAW_PREFIX: Final = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans SerifSymbol"
    rb"ArialTimes New RomanCourier{\colortbl\red0\green0\blue0"
    b"\r\n"
    rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)
"""What every decompressor has read before the first byte (MS-OXRTFCP, 2.1.2.1)."""


def decompressed(data: bytes, *, max_bytes: int = MAX_BYTES) -> bytes:
    """Return the document in compressed form (MS-OXRTFCP) as it was, at most *max_bytes* of it; what is broken ends it."""
    if len(data) < 16:
        return b""
    size = min(int.from_bytes(data[4:8], "little"), max_bytes)
    kind, content = data[8:12], data[16:]
    if kind == b"MELA":
        return content[:size]
    if kind != b"LZFu":
        return b""
    done = bytearray(RAW_PREFIX)
    first, at = len(done), 0
    limit = first + size
    while at < len(content) and len(done) < limit:
        flags, at = content[at], at + 1
        for bit in range(8):
            if not flags >> bit & 1:
                done += content[at : at + 1]
                at += 1
                continue
            if at + 2 > len(content):
                return bytes(done[first:limit])
            reference, at = int.from_bytes(content[at : at + 2], "big"), at + 2
            offset, length = reference >> 4, (reference & 15) + 2
            back = (len(done) - offset) % 4_096
            if back == 0:  # it points at where it stands: the end
                return bytes(done[first:limit])
            start = len(done) - back
            for n in range(length):
                done.append(done[start + n] if 0 <= start + n < len(done) else 0x20)
    return bytes(done[first:limit])
