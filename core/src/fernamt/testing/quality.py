"""``quality.toml`` of a plugin: where its conformance tests stand, and which rules it waives, each with a sentence."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

from attrs import field, frozen

FILE: Final = "quality.toml"


@frozen(kw_only=True)
class Quality:
    """What a ``quality.toml`` says."""

    file: Path | None = None
    conformance: str = "tests/test_conformance.py"
    """The tests that hold the conformance classes, beside the file."""
    waived: Mapping[str, str | Mapping[str, str]] = field(factory=dict)
    """Why a rule is not kept, by its id; a table, named for a kind, holds those of this kind alone."""

    def why(self, rule: str, kind: str) -> str | None:
        """Return why *rule* is waived for *kind*, ``None`` if it is not."""
        alone = self.waived.get(kind, {})
        found = alone.get(rule, self.waived.get(rule)) if isinstance(alone, Mapping) else None
        return found if isinstance(found, str) else None

    def waivers(self) -> Iterator[str]:
        """Yield the id of every rule that is waived."""
        for name, why in self.waived.items():
            yield from why if isinstance(why, Mapping) else (name,)

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read a file; raises ``ValueError`` if it is none."""
        said: dict[str, Any] = tomllib.loads(file.read_text("utf-8"))
        waived = said.get("waived", {})
        sentences = [one for why in waived.values() for one in (why.values() if isinstance(why, dict) else (why,))]
        if not all(isinstance(one, str) for one in sentences):
            raise ValueError(
                f'[waived] of {file} must give each rule a sentence: write \'"in.repeat-same-key" = "..."\''
            )
        return cls(file=file, conformance=said.get("conformance", cls().conformance), waived=waived)

    @classmethod
    def above(cls, folder: Path) -> Self:
        """Read the nearest file at *folder* or above it; without one nothing is waived."""
        for one in (folder, *folder.parents):
            if (one / FILE).is_file():
                return cls.read(one / FILE)
            if (one / "pyproject.toml").is_file():
                break
        return cls()
