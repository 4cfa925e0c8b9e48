"""IVR menus for Fernamt, German and English: a reception, an order line, a survey. The telephone lines themselves are to come."""

from pathlib import Path
from typing import Final

from fernamt import Registry, hookimpl, read_menu

MENUS: Final = ("reception", "order-status", "survey")
_FOLDER: Final = Path(__file__).parent / "menus"


@hookimpl
def fernamt_register(registry: Registry) -> None:
    """Offer the menus."""
    for name in MENUS:
        registry.menu(name, read_menu(_FOLDER / f"{name}.toml"))
