"""The plugins of this environment as their metadata describes them: nothing is imported to know them.

A plugin of one file, for trying things, lies in the folder ``plugins.d`` beside the configuration and is called like its file.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterable
from importlib.metadata import EntryPoint, PackageMetadata
from pathlib import Path
from types import ModuleType
from typing import Final

from attrs import field, frozen
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from fernamt._runtime import menufolder
from fernamt._runtime.menufolder import MenuFolder

GROUP: Final = "fernamt"
FOLDER: Final = "plugins.d"
_ISSUES: Final = {"issues", "issue tracker", "bug tracker", "tracker", "bugs"}


@frozen
class OneFile:
    """Where a plugin of one file is: what an entry point is to an installed one."""

    path: Path

    @property
    def value(self) -> str:
        """The name of its module; no other plugin can have it."""
        return f"fernamt_plugins_d.{self.path.stem}"

    def load(self) -> ModuleType:
        """Import the file, anew each time. Raises whatever that import raises."""
        spec = importlib.util.spec_from_file_location(self.value, self.path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[self.value] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[self.value]
            raise
        return module


@frozen(kw_only=True)
class Installed:
    """A plugin as its metadata describes it: nothing of it is imported."""

    name: str
    """The entry point's: the first part of every kind that it offers."""
    distribution: str
    version: str
    summary: str = ""
    requires: tuple[str, ...] = ()
    issues: str = ""
    """Where its faults are reported, if it says so."""
    entry_point: EntryPoint | OneFile | MenuFolder = field(repr=False, eq=False)

    def unfit(self, ours: Version) -> tuple[str, str] | None:
        """Return why the plugin was not written for the core of version *ours*, and the remedy; ``None``: it was.

        The range stands in its requirements. Of a pre-release counts the version that it leads to: what is said of 1.0
        counts for 1.0.dev1.
        """
        ours = Version(ours.base_version) if ours.is_prerelease else ours
        try:
            requirements = [Requirement(text) for text in self.requires]
        except InvalidRequirement as why:
            return f"its requirements cannot be read: {' '.join(str(why).split())}", "Use another version of it"
        ranges = [
            it.specifier
            for it in requirements
            if canonicalize_name(it.name) == "fernamt" and (it.marker is None or it.marker.evaluate({"extra": ""}))
        ]
        if not ranges:
            fix = "Its pyproject.toml must say dependencies = ['fernamt>=1,<2']"
            return "it does not say for which versions of fernamt it was written", fix
        for bounds in ranges:
            if not bounds.contains(ours, prereleases=True):
                fix = f"Install a version of {self.distribution} that was written for fernamt {ours}"
                return f"it was written for fernamt{bounds}, and this is {ours}", fix
        return None


def discover(entry_points: Iterable[EntryPoint] | None = None, *, beside: Path | None = None) -> tuple[Installed, ...]:
    """Return every installed plugin, by name, without importing any. Without *entry_points*: of this environment.

    *beside* is the configuration: the plugins of one file that lie beside it are told, too, and its menus.
    """
    found = importlib.metadata.entry_points(group=GROUP) if entry_points is None else entry_points
    folder = None if beside is None else beside.absolute().parent
    alone = [] if folder is None else [*_alone(folder / FOLDER), *_menus(folder / menufolder.FOLDER)]
    return tuple(sorted([*map(_described, found), *alone], key=lambda one: (one.name, one.distribution)))


def _alone(folder: Path) -> list[Installed]:
    return [
        Installed(
            name=path.stem,
            distribution=f"{FOLDER}/{path.name}",
            version="",
            summary="One file, for trying things",
            requires=("fernamt",),
            entry_point=OneFile(path),
        )
        for path in folder.glob("*.py")
        if not path.name.startswith((".", "_"))
    ]


def _menus(folder: Path) -> list[Installed]:
    if not menufolder.menu_files(folder):
        return []
    return [
        Installed(
            name=menufolder.PLUGIN,
            distribution=menufolder.FOLDER,
            version="",
            summary="Menus of this company",
            requires=("fernamt",),
            entry_point=MenuFolder(folder),
        )
    ]


def _described(entry_point: EntryPoint) -> Installed:
    try:
        assert entry_point.dist is not None
        said = entry_point.dist.metadata
        urls = [url.partition(",") for url in said.get_all("Project-URL") or ()]
        return Installed(
            name=entry_point.name,
            distribution=_first(said, "Name"),
            version=_first(said, "Version"),
            summary=_first(said, "Summary"),
            requires=tuple(entry_point.dist.requires or ()),
            issues=next((url.strip() for label, _, url in urls if label.strip().lower() in _ISSUES), ""),
            entry_point=entry_point,
        )
    except Exception:  # noqa: BLE001 - a stranger's damaged metadata: it states no range, and is refused for that
        return Installed(name=entry_point.name, distribution="", version="", entry_point=entry_point)


def _first(said: PackageMetadata, name: str) -> str:
    return str((said.get_all(name) or [""])[0])
