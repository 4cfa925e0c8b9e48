"""The line of a bicycle workshop: a menu, and the node in it that lets somebody choose a day."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from fernamt import BuiltMenu, Node, Registry, hookimpl, read_menu
from fernamt_repairs.day import Day

NODES: Final[Mapping[str, type[Node]]] = MappingProxyType({Day.kind: Day})
WORKSHOP: Final = Path(__file__).parent / "menus" / "workshop.toml"


def workshop() -> BuiltMenu:
    """Return the menu."""
    return read_menu(WORKSHOP, nodes=NODES)


@hookimpl
def fernamt_register(registry: Registry) -> None:
    """Offer the menu, and its node to whoever writes another one."""
    for kind, node in NODES.items():
        registry.node(kind, node)
    registry.menu("workshop", workshop())
