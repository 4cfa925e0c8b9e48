"""What people say and type, made comparable, and the words for what every menu can do."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final, Generic, TypeVar

_T = TypeVar("_T")
SAID_MAX: Final = 500
_UMLAUTS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "ø": "oe"})
_DECIMAL: Final = re.compile(r"[^\W\D0-9]")
"""A digit of another script."""
_WORD: Final = re.compile(r"[^\W_]+|[*#]")
_DIGITS: Final[Mapping[str, str]] = {
    **dict(
        zip(
            ["null", "eins", "zwei", "drei", "vier", "fuenf", "sechs", "sieben", "acht", "neun"],
            "0123456789",
            strict=True,
        )
    ),
    **dict(
        zip(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"], "0123456789", strict=True)
    ),
    "zwo": "2",
    "stern": "*",
    "star": "*",
    "raute": "#",
    "hash": "#",
    "pound": "#",
}

RESERVED_WORDS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "repeat": {
        "de": ("wiederholen", "nochmal", "noch einmal", "noch mal"),
        "en": ("repeat", "again", "say that again"),
    },
    "back": {"de": ("zurück",), "en": ("back", "go back")},
    "top": {"de": ("hauptmenü", "von vorn"), "en": ("main menu", "start over")},
    "operator": {
        "de": ("mitarbeiter", "mitarbeiterin", "mensch", "vermittlung", "zentrale"),
        "en": ("operator", "agent", "human", "representative", "real person"),
    },
    "help": {"de": ("hilfe",), "en": ("help",)},
    "language": {"de": ("sprache", "english", "englisch"), "en": ("language", "deutsch", "german")},
}
"""What everybody may say at every question, unless an option of it has the same words."""
YES: Final[Mapping[str, tuple[str, ...]]] = {
    "de": ("ja", "jawohl", "richtig", "genau", "stimmt", "gerne"),
    "en": ("yes", "yeah", "yep", "correct", "right", "sure"),
}
NO: Final[Mapping[str, tuple[str, ...]]] = {
    "de": ("nein", "nee", "falsch", "nicht", "stimmt nicht"),
    "en": ("no", "nope", "wrong", "not"),
}


def words_of(text: str) -> tuple[str, ...]:
    """Return the words of a text, comparable: no case, no punctuation, no accents, ``ä`` as ``ae``, digits as digits."""
    text = text[:SAID_MAX]
    if text.isascii():
        plain = text.lower()
    else:
        composed = unicodedata.normalize("NFC", text).casefold().translate(_UMLAUTS)
        apart = "".join(one for one in unicodedata.normalize("NFKD", composed) if not unicodedata.combining(one))
        plain = _DECIMAL.sub(lambda found: str(unicodedata.decimal(found[0])), apart)
    return tuple(_DIGITS.get(word, word) for word in _WORD.findall(plain))


def digits_of(text: str) -> str:
    """Return the digits that somebody said or typed: ``vier 7 eins eins`` as ``4711``. Other words are left out."""
    return "".join(word for word in words_of(text) if word.strip("*#").isdigit() or word in ("*", "#"))


class Words(Generic[_T]):
    """Phrases that mean something; the longest one that is in what was said counts, if it means one thing only."""

    def __init__(self, meanings: Iterable[tuple[str, _T]]) -> None:
        """Of two meanings of the same phrase, the first one counts."""
        self._known: dict[tuple[str, ...], _T] = {}
        for said, meaning in meanings:
            if words := words_of(said):
                self._known.setdefault(words, meaning)
        self._lengths = sorted({len(words) for words in self._known}, reverse=True)

    def whole(self, said: tuple[str, ...]) -> _T | None:
        """Return what these words mean if nothing else was said."""
        return self._known.get(said)

    def meaning(self, said: tuple[str, ...]) -> _T | None:
        """Return what these words mean; ``None``: nothing, or more than one thing."""
        whole = self._known.get(said)
        if whole is not None:
            return whole
        for length in self._lengths:
            found = [
                self._known[part]
                for at in range(len(said) - length + 1)
                if (part := said[at : at + length]) in self._known
            ]
            if found:
                return found[0] if all(one == found[0] for one in found) else None
        return None


def by_language(words: Mapping[str, tuple[str, ...]], language: str) -> tuple[str, ...]:
    """Return the words of a language, or of all where it has none."""
    own = words.get(language.partition("-")[0])
    return own if own is not None else tuple(one for some in words.values() for one in some)


def reserved_words(language: str) -> Words[str]:
    """Return what the words mean that everybody may say at every question: ``@operator`` and its like."""
    return Words((word, f"@{what}") for what, words in RESERVED_WORDS.items() for word in by_language(words, language))
