"""Commands of plugins: ``fernamt <plugin> <command>``. That one plugin is imported, and no other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import CycloptsError

from fernamt.cli.frame import called, frame
from fernamt.cli.options import COMMON
from fernamt.cli.outcome import USAGE, Failure
from fernamt.errors import FernamtError

if TYPE_CHECKING:
    from cyclopts import App

    from fernamt._runtime.installed import Installed
    from fernamt.registry import Offers


def known() -> tuple[Installed, ...]:
    """Return the plugins that a command may name: the installed ones, and those of one file beside the configuration."""
    from fernamt._runtime.installed import discover

    return discover(beside=Path(os.environ.get("FERNAMT_CONFIG") or COMMON.config))


def is_plugin(name: str) -> bool:
    """Return whether there is a plugin of this name. Imports none."""
    return any(one.name == name for one in known())


def offered(name: str) -> Offers:
    """Return what the plugin offers, importing it. Raises ``PluginFailed``, which says why it cannot be used."""
    from fernamt._runtime.loader import load_one

    return load_one(name, known())


def call(name: str, words: Sequence[str]) -> int:
    """Run ``fernamt <name> <words...>`` and return its exit code.

    Raises:
        PluginFailed: The plugin cannot be used.
        Failure: It offers no commands, or the command broke.
        CycloptsError: The words are not what the command takes.
    """
    offers = offered(name)
    if not offers.commands:
        raise Failure(f"Plugin {name} has no commands of its own. fernamt plugins lists what it offers.", USAGE)
    try:
        return called(_mounted(offers), words)
    except (FernamtError, CycloptsError, OSError):
        raise
    except Exception as why:
        said = " ".join(str(why).split()).rstrip(".")
        raise Failure(f"Plugin {_origin(name)} failed: {type(why).__name__}: {said}. -v shows where.") from why


def _mounted(offers: Offers) -> App:
    app = frame(f"fernamt {offers.plugin}", f"Commands of the plugin {offers.plugin}.")
    for name, run in sorted(offers.commands.items()):
        app.command(run, name=name)
    return app


def _origin(name: str) -> str:
    found = (f"{name} ({one.distribution} {one.version}".rstrip() + ")" for one in known() if one.name == name)
    return next(found, name)
