"""The menus that a business writes itself: the files in ``menus.d`` beside the configuration, as the offers of one plugin."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from attrs import frozen

from fernamt.errors import FernamtError
from fernamt.hookspecs import hookimpl
from fernamt.registry import Registry

FOLDER: Final = "menus.d"
PLUGIN: Final = "menus"
_CALLERS: Final = ".calls.toml"


@frozen
class MenuFolder:
    """Where they are: what an entry point is to an installed plugin."""

    path: Path

    @property
    def value(self) -> str:
        """What it is called where an entry point names its module."""
        return FOLDER

    def load(self) -> SimpleNamespace:
        """Return the plugin that offers them: ``reception.toml`` as ``menus.reception``. Raises nothing for a file with mistakes.

        Its ``unread`` has the reason for each file that is no menu, by the file's name, once it was asked what it offers: one bad
        file takes no other down.
        """
        unread: dict[str, Exception] = {}

        @hookimpl
        def fernamt_register(registry: Registry) -> None:
            from fernamt.menus import read_menu

            for file in menu_files(self.path):
                try:
                    registry.menu(file.stem, read_menu(file, nodes=nodes_of(file)))
                except (FernamtError, OSError, ValueError) as why:
                    unread[file.name] = why

        return SimpleNamespace(fernamt_register=fernamt_register, unread=unread)


def menu_files(folder: Path) -> tuple[Path, ...]:
    """Return the menus of a folder; those who call them lie beside them."""
    files = sorted(folder.glob("*.toml"))
    return tuple(one for one in files if not one.name.endswith(_CALLERS) and not one.name.startswith((".", "_")))


def nodes_of(file: Path, *, even_of_failed: bool = False) -> Mapping[str, type[Any]]:
    """Return the nodes of the plugins whose kinds stand in a menu. What cannot be loaded is missing, and told by its reader.

    *even_of_failed*: those, too, of a plugin that failed after it had offered them. Its own menu may be why.
    """
    try:
        tables = tomllib.loads(file.read_text("utf-8")).get("nodes", {})
    except (OSError, ValueError):
        return {}
    if not isinstance(tables, Mapping):
        return {}
    kinds = [str(one.get("kind", "")) for one in tables.values() if isinstance(one, Mapping)]
    plugins = {kind.partition(".")[0] for kind in kinds if "." in kind} - {PLUGIN}
    if not plugins:
        return {}
    from fernamt._runtime.loader import load

    loaded = load(plugins)
    found: list[Mapping[str, type[Any]]] = [offers.nodes for offers in loaded.offers.values()]
    if even_of_failed:
        found += [failure.nodes for failure in loaded.failures]
    return {kind: node for nodes in found for kind, node in nodes.items()}
