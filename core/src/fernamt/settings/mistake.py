"""What is wrong in a configuration: where, what, and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from fernamt.errors import FernamtError

if TYPE_CHECKING:
    from fernamt.settings.file import Settings


class Wrong(ValueError):
    """One value cannot be taken. Neither *problem* nor *fix* contains the value of a secret."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix


@frozen
class Finding:
    """A mistake whose line is not looked up yet: *path* leads to the key, from the top of the file."""

    path: tuple[str, ...]
    problem: str
    fix: str


@frozen
class Mistake:
    """One thing to correct; ``str()`` is a line that an editor can jump to. Line 0: the whole, or no file at all."""

    file: Path
    line: int
    key: str
    problem: str
    fix: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else str(self.file)
        return ": ".join(filter(None, (place, self.key, f"{self.problem}. {self.fix}")))


class ConfigErrors(FernamtError):
    """All mistakes of a configuration, in the order of their lines.

    *seen* is what could be read all the same: enough to look for the mistakes that only a plugin can see.
    """

    def __init__(self, mistakes: Iterable[Mistake], seen: Settings | None = None) -> None:
        self.seen = seen
        self.mistakes = tuple(sorted(mistakes, key=lambda mistake: (str(mistake.file), mistake.line, mistake.key)))
        super().__init__("\n".join(map(str, self.mistakes)))


def did_you_mean(word: str, known: Collection[str]) -> str:
    """Return the sentence that helps somebody who wrote *word* where only *known* words mean something; may be ``""``."""
    near = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"Known here: {', '.join(sorted(known))}." if known else ""
