"""Where an author works: the folder of a distribution, or one file for ``plugins.d``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from attrs import frozen

_WATCHED: Final = ("*.py", "*.toml", "*.json")
_IGNORED: Final = {".venv", ".git", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", "dist"}


@frozen
class Place:
    """What is worked on."""

    path: Path

    @property
    def is_file(self) -> bool:
        """It is a plugin of one file."""
        return self.path.is_file()

    @property
    def folder(self) -> Path:
        """The folder against which its files are named."""
        return self.path.parent if self.is_file else self.path

    @property
    def recordings(self) -> Path:
        """Where its recordings are."""
        return self.folder / "recordings" if self.is_file else self.folder / "tests" / "recordings"

    def saved(self) -> Iterator[tuple[Path, float]]:
        """Yield the files that a version is made of, with their times."""
        for file in self._files():
            if not _IGNORED & {*file.relative_to(self.folder).parts}:
                with contextlib.suppress(FileNotFoundError):
                    yield file, file.stat().st_mtime

    def _files(self) -> Iterator[Path]:
        if self.is_file:
            yield self.path
            yield from self.recordings.glob("*.json")
            return
        for pattern in _WATCHED:
            yield from self.folder.rglob(pattern)
