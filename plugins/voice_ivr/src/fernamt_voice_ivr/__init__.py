"""IVR menus for Fernamt, German and English: a reception, an order line, a survey, and the services that they ask.

The telephone lines themselves are to come.
"""

from pathlib import Path
from typing import Final

from fernamt import FaqQuestion, HoursQuestion, OrderQuestion, Registry, hookimpl, read_menu
from fernamt_voice_ivr import services
from fernamt_voice_ivr.settings import Services

MENUS: Final = ("reception", "order-status", "survey")
_FOLDER: Final = Path(__file__).parent / "menus"


@hookimpl
def fernamt_register(registry: Registry) -> None:
    """Offer the menus, and default services: another plugin that answers the same question goes before them."""
    registry.settings(Services)
    registry.service(HoursQuestion, services.hours, default=True)
    registry.service(FaqQuestion, services.answers, default=True)
    registry.service(OrderQuestion, services.order, default=True)
    for name in MENUS:
        registry.menu(name, read_menu(_FOLDER / f"{name}.toml"))
