"""What a menu says as a text with numbered choices or buttons, and what somebody's own text means to its question. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from fernamt.model import Button, Entry
from fernamt.outbound import Capabilities
from fernamt.session import Gather, Hold, LineAction, Pressed, Prompt, Said, Say

_NUMBER: Final = re.compile(r"[0-9*#]{1,3}")
_KEYS: Final = re.compile(r"\W*?([0-9*#]{1,20})[\s.,;:!)]*")
_MARK: Final = ":"
_QUOTED: Final = re.compile(r"^[>|\s]+", re.MULTILINE)
_TELLING: Final = 8
"""A shorter question may be somebody's own words."""


@frozen
class Written:
    """A message of a menu."""

    text: str
    buttons: tuple[Button, ...] = ()


def written_out(said: Sequence[LineAction], can: Capabilities, tag: str) -> Written:
    """Return what is written for what a line would say: choices as buttons where all of them fit, else numbered.

    A button brings back its value behind *tag*, so that one of an older question is known as such.
    """
    paragraphs = [text for action in said if (text := _text(getattr(action, "prompts", ())))]
    choices = buttons_of(said)
    if not choices:
        return Written("\n\n".join(paragraphs))
    if len(choices) <= can.buttons and all(len(one.label) <= can.button_units for one in choices):
        tagged = tuple(Button(one.label, f"{tag}{_MARK}{one.value}") for one in choices)
        return Written("\n\n".join(paragraphs), tagged)
    labels = {one.value: one.label for one in choices}
    lines = [f"{number} {labels[value]}" for number, value in numbers(choices).items()]
    return Written("\n\n".join([*paragraphs, "\n".join(lines)]))


def _text(prompts: Sequence[Prompt]) -> str:
    return "\n".join(text for one in prompts if (text := one.text.strip()))


def buttons_of(said: Sequence[LineAction]) -> tuple[Button, ...]:
    """Return the choices of the question that is asked last, none if there are none."""
    asked = said[-1] if said else None
    return asked.buttons if isinstance(asked, Gather) else ()


def numbers(choices: Sequence[Button]) -> Mapping[str, str]:
    """Return the values of choices by the numbers under which they are read: their own where those are keys."""
    values = [one.value for one in choices]
    if all(_NUMBER.fullmatch(value) for value in values):
        return {value: value for value in values}
    return {str(number): value for number, value in enumerate(values, 1)}


def own_words(entry: Entry) -> str:
    """Return what somebody wrote, without what was said before and the signature; the names of files where there are no words."""
    text, folded = entry.text, entry.data.get("folded")
    if isinstance(folded, list):
        away = {line for span in folded if isinstance(span, list) for line in range(*_ends(span))}
        text = "\n".join(line for at, line in enumerate(text.split("\n")) if at not in away)
    return text.strip() or ", ".join(one.name for one in entry.attachments)


def _ends(span: Sequence[Any]) -> tuple[int, int]:
    return int(span[0]), int(span[1])


def repeats(words: str, asked: LineAction | None) -> bool:
    """Say whether somebody sends our own question back: then no word in it is theirs for certain.

    A connector that tells quotes from new words has taken them away already, unless nothing else was there.
    """
    if not isinstance(asked, Gather) or not (asked.buttons or asked.max_keys):
        return False
    theirs = " ".join(_QUOTED.sub("", words).split())
    labels = {one.value: one.label for one in asked.buttons}
    choices = sum(f"{number} {labels[value]}" in theirs for number, value in numbers(asked.buttons).items())
    questions = (" ".join(one.text.split()) for one in asked.prompts)
    return choices > 1 or any(one in theirs for one in questions if len(one) >= _TELLING)


def is_stale(entry: Entry, tag: str) -> bool:
    """Say whether it is a button of another question than the one with *tag*."""
    choice = str(entry.data.get("choice", ""))
    return bool(choice) and not choice.startswith(f"{tag}{_MARK}")


def answered(entry: Entry, asked: LineAction | None) -> Pressed | Said:
    """Return what a message says to the question that was *asked*: keys where its first line is nothing else, or words."""
    if choice := str(entry.data.get("choice", "")):
        return Pressed(choice.partition(_MARK)[2])
    words = own_words(entry)
    found = _KEYS.fullmatch(words.partition("\n")[0].strip())
    if found is None and repeats(words, asked):
        return Said("")
    if found is None or not isinstance(asked, Gather):
        return Said(words)
    keys = found[1]
    if asked.buttons:
        return Pressed(numbers(asked.buttons).get(keys, keys))
    return Pressed(keys) if 0 < len(keys) <= asked.max_keys else Said(words)


def spoken(actions: Sequence[LineAction]) -> tuple[LineAction, ...]:
    """Return those actions that have words."""
    return tuple(one for one in actions if isinstance(one, Say | Gather | Hold))
