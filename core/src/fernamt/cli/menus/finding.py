"""The menu that a command is about: a file, or ``<plugin>.<name>``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fernamt.cli.outcome import USAGE, Failure

if TYPE_CHECKING:
    from fernamt.menus import BuiltMenu


def is_file(name: str) -> bool:
    """Say whether a file is meant."""
    return name.endswith(".toml") or "/" in name


def found_menu(name: str, configuration: Path) -> BuiltMenu:
    """Return a menu, built; *configuration* is where ``menus.d`` lies beside.

    Raises:
        ConfigErrors: With all mistakes of a file.
        Failure: There is no such menu.
    """
    if is_file(name):
        from fernamt._runtime.menufolder import nodes_of
        from fernamt.menus import read_menu

        return read_menu(Path(name), nodes=nodes_of(Path(name), even_of_failed=True))
    return _of_plugin(name, configuration)


def _of_plugin(name: str, configuration: Path) -> BuiltMenu:
    from fernamt._runtime.installed import discover
    from fernamt._runtime.loader import load
    from fernamt.menus import BuiltMenu
    from fernamt.settings import did_you_mean

    plugin, _, short = name.partition(".")
    loaded = load([plugin], discover(beside=configuration))
    for fault in loaded.faults:
        if fault.name in (plugin, name):
            raise Failure(f"{fault} A file is named by its path: ./{name}.toml", USAGE)
    menus = loaded.offers[plugin].menus
    known = [f"{plugin}.{one}" for one in menus]
    if short not in menus:
        raise Failure(f"There is no menu {name!r}. {did_you_mean(name, known) or 'That plugin offers none.'}", USAGE)
    menu = menus[short]
    if not isinstance(menu, BuiltMenu):
        raise Failure(f"{name} is written in Python of its own, so nothing is known of its nodes.")
    return menu
