"""What a menu says: phrases with values in them, in each language, and differently when somebody did not understand."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, get_args

from attrs import field, frozen

from fernamt.session import Prompt

PHRASE_MAX: Final = 1_000
Style: TypeAlias = Literal["plain", "digits", "number", "amount", "date", "time"]
"""How a value is said; without one, as its variable's type is."""
STYLES: Final[tuple[str, ...]] = get_args(Style)
Miss: TypeAlias = Literal["", "no_input", "no_match", "help"]
_PLACE: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_VALUE: Final = re.compile(r"([a-z][a-z0-9_]*)(?::([a-z]+))?")


@frozen
class Audio:
    """A recording, and what it says: a channel without it, and one that is read, use the text."""

    file: str
    text: str


@frozen
class Value:
    """The value of a variable."""

    name: str
    style: Style | None = None


Segment: TypeAlias = str | Audio | Value
Phrase: TypeAlias = tuple[Segment, ...]


def phrase(said: str | Sequence[Any]) -> Phrase:
    """Return a phrase: from text with ``{variable}`` or ``{variable:style}`` in it, or from a list of texts and recordings.

    A tuple is a phrase already.

    Raises:
        ValueError: A place for a value is none.
    """
    if isinstance(said, str):
        return _parsed(said)
    if isinstance(said, tuple):
        return said
    found: list[Segment] = []
    for one in said:
        found += _parsed(one) if isinstance(one, str) else (one,)
    return tuple(found)


def _parsed(text: str) -> Phrase:
    if len(text) > PHRASE_MAX:
        raise ValueError(f"has {len(text)} characters, at most {PHRASE_MAX} are said at once")
    segments: list[Segment] = []
    plain, end = "", 0
    for found in _PLACE.finditer(text):
        plain += text[end : found.start()]
        end = found.end()
        if found[0] in ("{{", "}}"):
            plain += found[0][0]
            continue
        if plain:
            segments.append(plain)
        segments.append(_value(found[0], found[1]))
        plain = ""
    plain += text[end:]
    return (*segments, plain) if plain else tuple(segments)


def _value(place: str, inner: str | None) -> Value:
    named = _VALUE.fullmatch(inner or "")
    if named is None:
        raise ValueError(
            f"{place} is no place for a value: write {{variable}} or {{variable:style}}, and {{{{ for a brace"
        )
    style: Any = named[2]
    if style is not None and style not in STYLES:
        raise ValueError(f"{place} has no known style: choose one of {', '.join(STYLES)}")
    return Value(named[1], style)


def _phrases(said: Sequence[Any]) -> tuple[Phrase, ...]:
    if isinstance(said, str):
        return (phrase(said),)
    return tuple(phrase(one) for one in said)


def _read(said: Any) -> Wording | None:
    if said is None or isinstance(said, Wording):
        return said
    return Wording(said) if said else None


@frozen
class Wording:
    """Everything that one prompt says in one language.

    The lists are by count, as VoiceXML's events are: the first time the first phrase, and the last one for ever after.
    """

    first: Phrase = field(converter=phrase)
    """What is said."""
    again: Phrase = field(default=(), converter=phrase, kw_only=True)
    """When it is said once more in a row; else ``first``."""
    no_input: tuple[Phrase, ...] = field(default=(), converter=_phrases, kw_only=True)
    """After silence; else ``again``."""
    no_match: tuple[Phrase, ...] = field(default=(), converter=_phrases, kw_only=True)
    """After what was not understood; else ``again``."""
    help: Phrase = field(default=(), converter=phrase, kw_only=True)
    """When somebody asks for help; else ``first``."""
    written: Wording | None = field(default=None, converter=_read, kw_only=True)
    """Where it is read, with the options below it; else what is said. A prompt, or a table of its own: ``first``, ``no_match`` ..."""

    def chosen(self, miss: Miss = "", count: int = 0, *, written: bool = False) -> Phrase:
        """Return what is said the *count*-th time after that miss; without one, *count* is how often it was said before."""
        if written and self.written is not None:
            return self.written.chosen(miss, count)
        if misses := _misses(self, miss):
            return misses[min(count, len(misses)) - 1]
        if miss == "help" and self.help:
            return self.help
        return self.again if self.again and (count or miss) else self.first

    def tells(self, miss: Miss) -> bool:
        """Say whether it has words of its own for a miss, where it is read."""
        return bool(_misses(self.written or self, miss))

    @property
    def phrases(self) -> tuple[Phrase, ...]:
        """All that it can say."""
        return (*self.spoken, *(self.written.spoken if self.written is not None else ()))

    @property
    def spoken(self) -> tuple[Phrase, ...]:
        """All that it says where it is heard."""
        return tuple(filter(None, (self.first, self.again, self.help, *self.no_input, *self.no_match)))

    @property
    def read(self) -> tuple[Phrase, ...]:
        """All that it says where it is read."""
        return (self.written or self).spoken


def _misses(of: Wording, miss: Miss) -> tuple[Phrase, ...]:
    return of.no_input if miss == "no_input" else of.no_match if miss == "no_match" else ()


Prompts: TypeAlias = Mapping[str, Wording]
"""By language."""


def prompts(said: Mapping[str, Any]) -> dict[str, Wording]:
    """Return prompts in which a mere text became a :class:`Wording`."""
    return {language: one if isinstance(one, Wording) else Wording(one) for language, one in said.items()}


def fixed(of: Phrase, language: str, *, written: bool) -> tuple[Prompt, ...] | None:
    """Return the prompts of a phrase that says the same every time; ``None`` if there is a value in it."""
    if any(isinstance(one, Value) for one in of):
        return None
    return joined([spoken_as(one, language, written=written) for one in of if not isinstance(one, Value)])


def spoken_as(segment: str | Audio, language: str, *, written: bool) -> Prompt:
    """Return a text or a recording as a line plays it."""
    if isinstance(segment, str):
        return Prompt(text=segment, language=language)
    return Prompt(text=segment.text, language=language, audio="" if written else segment.file)


def joined(said: Sequence[Prompt]) -> tuple[Prompt, ...]:
    """Return the prompts with neighbours of mere text in one."""
    found: list[Prompt] = []
    for one in said:
        if found and not one.audio and not found[-1].audio:
            found[-1] = Prompt(text=found[-1].text + one.text, language=one.language)
        else:
            found.append(one)
    return tuple(found)
