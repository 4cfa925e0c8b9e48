"""A collection of questions and answers in a TOML file, and which of them fits what somebody asks. Pure but for the reading."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from fernamt import FaqAnswer, Unsupported

BEST_MAX: Final = 3
FLOOR: Final = 0.3
"""What fits less is no answer."""
_WORD: Final = re.compile(r"[a-z0-9]+")
_UMLAUTS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})
_COMMON: Final = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "at",
        "can",
        "do",
        "does",
        "for",
        "have",
        "how",
        "i",
        "in",
        "is",
        "it",
        "my",
        "of",
        "on",
        "or",
        "the",
        "to",
        "we",
        "what",
        "when",
        "where",
        "which",
        "with",
        "you",
        "your",
        "aber",
        "als",
        "am",
        "auf",
        "bei",
        "bin",
        "das",
        "dem",
        "den",
        "der",
        "des",
        "die",
        "ein",
        "eine",
        "einen",
        "er",
        "es",
        "fuer",
        "gibt",
        "habe",
        "haben",
        "ich",
        "ihr",
        "ihre",
        "im",
        "in",
        "ist",
        "kann",
        "man",
        "mein",
        "meine",
        "mich",
        "mir",
        "mit",
        "oder",
        "sie",
        "sind",
        "und",
        "von",
        "wann",
        "was",
        "welche",
        "wie",
        "wir",
        "wo",
        "zu",
        "zum",
        "zur",
    ]
)


@frozen
class Known:
    """One answer and the words of each way to ask for it."""

    answer: str
    source: str
    language: str
    asked: tuple[frozenset[str], ...]


def read_answers(file: Path) -> tuple[Known, ...]:
    """Read a collection: tables ``[[answers]]`` with ``questions``, ``answer``, and, if wanted, ``language`` and ``source``.

    Raises:
        Unsupported: It is none; the text says where.
    """
    try:
        tables: Any = tomllib.loads(file.read_text("utf-8")).get("answers", [])
    except (OSError, ValueError) as why:
        raise Unsupported(f"{file.name} cannot be read: {why}") from why
    return tuple(_known(file, number, one) for number, one in enumerate(tables, 1))


def _known(file: Path, number: int, table: Mapping[str, Any]) -> Known:
    questions, answer = table.get("questions"), table.get("answer")
    if (
        not isinstance(answer, str)
        or not isinstance(questions, list)
        or not all(isinstance(it, str) for it in questions)
    ):
        raise Unsupported(f"{file.name}: answer {number} needs questions, a list of texts, and answer, a text")
    asked = tuple(words for one in questions if (words := words_of(one)))
    return Known(answer, str(table.get("source", "")), str(table.get("language", "")), asked)


def words_of(text: str) -> frozenset[str]:
    """Return the words of a text that say what it is about, without case, accents and endings."""
    plain = unicodedata.normalize("NFKD", text.casefold().translate(_UMLAUTS))
    words = _WORD.findall("".join(one for one in plain if not unicodedata.combining(one)))
    return frozenset(_stem(word) for word in words if word not in _COMMON)


def _stem(word: str) -> str:
    for ending in ("ungen", "ung", "en", "er", "es", "e", "n", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word


def best(known: tuple[Known, ...], text: str, language: str) -> tuple[FaqAnswer, ...]:
    """Return the answers that fit, the best first. The confidence is how much of both questions is the same."""
    said = words_of(text)
    scored = [
        (max((_likeness(said, asked) for asked in one.asked), default=0.0), one)
        for one in known
        if one.language in ("", language, language.partition("-")[0])
    ]
    fitting = sorted((it for it in scored if it[0] >= FLOOR), key=lambda it: -it[0])
    return tuple(FaqAnswer(one.answer, round(score, 3), one.source) for score, one in fitting[:BEST_MAX])


def _likeness(said: frozenset[str], asked: frozenset[str]) -> float:
    shared = len(said & asked)
    if not shared:
        return 0.0
    # All words of the known question in a longer one count for more than half of them in a short one.
    return 0.75 * shared / len(asked) + 0.25 * shared / len(said)
