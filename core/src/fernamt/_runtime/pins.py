"""The menus that sessions began with: kept by their digests, so that a change of the file disturbs nobody who is under way."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson
import structlog
from attrs import evolve

from fernamt._runtime.menufolder import nodes_of
from fernamt._runtime.walk import PinnedMenu
from fernamt._store.engine import Store
from fernamt._store.transaction import Transaction
from fernamt.errors import FernamtError
from fernamt.menus import BuiltMenu, read_menu

_PREFIX: Final = "menu:"
_log = structlog.get_logger()


class Pins:
    """Finds a menu as it was when a session began with it. Only what was read from files can be kept."""

    def __init__(self, menus: Mapping[str, PinnedMenu], store: Store) -> None:
        """*menus* are those that were loaded, by name."""
        self._menus = menus
        self._store = store
        self._older: dict[str, PinnedMenu | None] = {}

    def menu_of(self, name: str, digest: str) -> PinnedMenu | None:
        """Return the menu of that name and *digest*, the present one if that is empty; ``None``: it is not to be had. Blocks."""
        current = self._menus.get(name)
        if current is not None and digest in ("", current.digest):
            return current
        if not digest:
            return None
        if digest not in self._older:
            self._older[digest] = self._read(name, digest)
        return self._older[digest]

    def pin(self, tx: Transaction, pinned: PinnedMenu) -> None:
        """Keep what a session begins with."""
        if isinstance(pinned.menu, BuiltMenu) and pinned.menu.sources:
            value = orjson.dumps(pinned.menu.sources).decode()
            tx.do.one(
                "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING", (_PREFIX + pinned.digest, value)
            )

    def _read(self, name: str, digest: str) -> PinnedMenu | None:
        with self._store.read() as connection:
            rows = self._store.statements(connection).rows("SELECT value FROM meta WHERE name = ?", (_PREFIX + digest,))
        current = self._menus.get(name)
        questions = current.menu.questions if current is not None and isinstance(current.menu, BuiltMenu) else {}
        if not rows:
            return None
        try:
            menu = _rebuilt(orjson.loads(rows[0][0]), questions)
        except (FernamtError, OSError) as why:
            # A plugin whose node it has was taken away, or this version reads menus otherwise.
            _log.warning("older_menu_not_read", menu=name, reason=str(why))
            return None
        if menu.digest != digest:
            return None
        made = PinnedMenu(name, name.partition(".")[0], menu, digest)
        return made if current is None else evolve(current, menu=menu, digest=digest)


def _rebuilt(sources: Mapping[str, str], questions: Mapping[str, Any]) -> BuiltMenu:
    with tempfile.TemporaryDirectory() as folder:
        for name, text in sources.items():
            (Path(folder) / Path(name).name).write_text(text, "utf-8")
        first = Path(folder) / Path(next(iter(sources))).name
        return read_menu(first, nodes=nodes_of(first), questions=questions)
