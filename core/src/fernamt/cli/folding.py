"""The words of an entry for a terminal: what its reader knows already is folded to one line."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Final

from fernamt.model import Json

SHORTEST: Final = 4
"""Fewer lines are shown, faint: to fold them saves nothing."""
_NOTES: Final = {
    "en": {"quote": "[{} quoted lines; --full shows them]", "signature": "[{} lines of signature; --full shows them]"},
    "de": {"quote": "[{} zitierte Zeilen; --full zeigt sie]", "signature": "[{} Zeilen Signatur; --full zeigt sie]"},
}


_MARKS: Final = {
    "en": {
        "signed": "signed, not verified",
        "encrypted": "encrypted",
        "machine": "written by a machine",
        "opt-out": "opt-out",
        "incomplete": "incomplete",
    },
    "de": {
        "signed": "signiert, nicht geprüft",
        "encrypted": "verschlüsselt",
        "machine": "von einer Maschine geschrieben",
        "opt-out": "Abmeldung",
        "incomplete": "unvollständig",
    },
}


def shown_marks(data: Mapping[str, Json], *, language: str) -> str:
    """Return what a reader should know beside the words, ``""`` if there is nothing."""
    marks = data.get("marks")
    known = _MARKS[language]
    is_note_of_a_machine = data.get("silent") is True and data.get("automatic") is True
    said = [*(["machine"] if is_note_of_a_machine else []), *(marks if isinstance(marks, list) else ())]
    return ", ".join(known.get(mark, mark) for mark in map(str, said))


def shown_notice(data: Mapping[str, Json], *, language: str) -> str:
    """Return which notice an entry is, and of which order, ``""`` if it is none."""
    if "notice" not in data:
        return ""
    order = f", {'Bestellung' if language == 'de' else 'order'} {data['order']}" if "order" in data else ""
    return f"{data['notice']}{order} ({'Lauf' if language == 'de' else 'run'} {data.get('run')})"


def language() -> str:
    """Return the language of whoever sits at the terminal, ``de`` or ``en``."""
    named = (os.environ.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return "de" if next(filter(None, named), "").lower().startswith("de") else "en"


def shown_lines(text: str, data: Mapping[str, Json], *, full: bool, language: str) -> Iterator[tuple[str, bool]]:
    """Yield each line that is shown, and whether it is faint.

    Args:
        text: Of the entry.
        data: Of the entry; ``folded`` in it holds first line, line behind the last, and kind, as ``Received.folded`` does.
        full: Nothing is folded.
        language: Of the notes.
    """
    lines = text.split("\n")
    at = 0
    for first, end, kind in sorted(_known(data, len(lines))):
        if first < at:
            continue
        yield from ((line, line.startswith(">")) for line in lines[at:first])
        if full or end - first < SHORTEST:
            yield from ((line, True) for line in lines[first:end])
        else:
            notes = _NOTES[language]
            yield notes.get(kind, notes["quote"]).format(end - first), True
        at = end
    yield from ((line, line.startswith(">")) for line in lines[at:])


def _known(data: Mapping[str, Json], count: int) -> Iterator[tuple[int, int, str]]:
    folded = data.get("folded")
    for one in folded if isinstance(folded, list) else ():
        match one:
            case [int(first), int(end), str(kind)] if 0 <= first < end <= count:
                yield first, end, kind
            case _:
                continue
