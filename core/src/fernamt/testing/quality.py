"""``quality.toml`` of a plugin: where its conformance tests stand, and which rules it waives, each with a sentence."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
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
    waived: Mapping[str, str] = field(factory=dict)
    """Why a rule is not kept, by its id."""

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read a file; raises ``ValueError`` if it is none."""
        said: dict[str, Any] = tomllib.loads(file.read_text("utf-8"))
        waived = said.get("waived", {})
        if not isinstance(waived, dict) or not all(isinstance(why, str) for why in waived.values()):
            raise ValueError(f"[waived] of {file} must give each rule a sentence: write 'in.repeat-same-key = \"...\"'")
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
