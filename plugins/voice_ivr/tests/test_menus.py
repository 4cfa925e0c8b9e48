"""Every shipped menu keeps every rule, and callers see all of it, in both languages."""

from pathlib import Path

import fernamt_voice_ivr
from fernamt import BuiltMenu, read_menu
from fernamt.testing import MenuConformance

CALLS = Path(__file__).parent / "calls"
MENUS = Path(fernamt_voice_ivr.__file__).parent / "menus"


class TestReception(MenuConformance):
    calls = CALLS / "reception.calls.toml"

    def menu(self) -> BuiltMenu:
        return read_menu(MENUS / "reception.toml")


class TestOrderStatus(MenuConformance):
    calls = CALLS / "order-status.calls.toml"

    def menu(self) -> BuiltMenu:
        return read_menu(MENUS / "order-status.toml")


class TestSurvey(MenuConformance):
    calls = CALLS / "survey.calls.toml"

    def menu(self) -> BuiltMenu:
        return read_menu(MENUS / "survey.toml")


def test_every_menu_that_is_offered_is_proved_here() -> None:
    proved = {one.calls.name.removesuffix(".calls.toml") for one in (TestReception, TestOrderStatus, TestSurvey)}

    assert proved == set(fernamt_voice_ivr.MENUS)
