"""Plain characters in place of typographic ones, where that makes a message cheaper. Pure."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import regex
from attrs import frozen

from fernamt_sms.alphabet import SEPTETS
from fernamt_sms.text import Encoding, encoding_of, segment

_CLUSTER: Final = regex.compile(r"\X")


def _each(characters: str, plain: str) -> dict[str, str]:
    return dict.fromkeys(characters, plain)


_PLAIN: Final[Mapping[str, str]] = MappingProxyType(
    _each("“”„‟«»″‶〃", '"')
    | _each("‘’‚‛‹›′‵´`ʹʼˈ", "'")
    | _each("‐‑‒–—―−⁃﹘", "-")
    | _each("•‣◦▪", "-")
    | _each("\t\v\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " ")
    | _each("\u0085\u2028\u2029", "\n")
    # Nobody sees them: a soft hyphen, joiners, marks of direction, the mark at the beginning of a file.
    | _each("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff", "")
    | {"…": "...", "‥": "..", "⁄": "/", "∕": "/", "⁓": "~", "∼": "~", "×": "x", "·": ".", "ﬁ": "fi", "ﬂ": "fl"}
)
"""What a reader takes for the same. No letters: a name without its marks is another name."""


@frozen(kw_only=True)
class Replacement:
    """One character that is written in plain, and how often."""

    old: str
    new: str
    count: int


@frozen(kw_only=True)
class Plain:
    """A text as it goes out, and what was replaced in it; nothing, if that would not have made it cheaper."""

    text: str
    replaced: tuple[Replacement, ...] = ()


def plain(text: str) -> Plain:
    """Return a text in the GSM alphabet if typographic characters alone stand against that, and if it saves a part.

    Where anything else (an emoji, a letter of another script) needs UCS-2 in any case, or where it saves nothing, nothing is
    replaced: it would only look worse.
    """
    if encoding_of(text) is Encoding.GSM:
        return Plain(text=text)
    pieces: list[str] = []
    replaced: Counter[tuple[str, str]] = Counter()
    for cluster in _CLUSTER.findall(text):
        written = cluster if all(character in SEPTETS for character in cluster) else _written(cluster)
        if written is None:
            return Plain(text=text)
        if written != cluster:
            replaced[cluster, written] += 1
        pieces.append(written)
    found = "".join(pieces)
    if len(segment(found).parts) >= len(segment(text).parts):
        return Plain(text=text)
    changes = (Replacement(old=old, new=new, count=count) for (old, new), count in replaced.items())
    return Plain(text=found, replaced=tuple(changes))


def _written(cluster: str) -> str | None:
    """Return what is seen as one character in the alphabet: composed, if that is all it takes; ``None``: there is nothing."""
    composed = unicodedata.normalize("NFC", cluster)
    pieces = [character if character in SEPTETS else _PLAIN.get(character) for character in composed]
    return "".join(piece for piece in pieces if piece is not None) if None not in pieces else None
