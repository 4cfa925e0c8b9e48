"""What lies in ``menus.d`` beside the configuration is a plugin called ``menus``."""

from __future__ import annotations

from pathlib import Path

import pytest

from fernamt import BuiltMenu
from fernamt._runtime.installed import discover
from fernamt._runtime.loader import load
from fernamt.registry import Draft, OfferRefused

from .test_loading import TOML, Quiz


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    (tmp_path / "menus.d").mkdir()
    return tmp_path / "fernamt.toml"


def test_a_file_is_a_menu_of_its_name_and_callers_are_none(configuration: Path) -> None:
    folder = configuration.with_name("menus.d")
    for name in ("shop.toml", "shop.calls.toml", ".hidden.toml", "_draft.toml"):
        (folder / name).write_text(TOML if name == "shop.toml" else "not = 'a menu'")
    loaded = load(["menus"], discover([], beside=configuration))

    assert loaded.failures == ()
    assert loaded.menus("menus") == ("menus.shop",)
    assert isinstance(loaded.offers["menus"].menus["shop"], BuiltMenu)


def test_without_menus_there_is_no_such_plugin(configuration: Path) -> None:
    assert discover([], beside=configuration) == ()


def test_a_menu_with_a_mistake_says_where_it_is_and_who_tells_more(configuration: Path) -> None:
    (configuration.parent / "menus.d" / "shop.toml").write_text(TOML.replace('entry = "main"', 'entry = "mein"'))
    [failure] = load(["menus"], discover([], beside=configuration)).failures

    assert "shop.toml:4: entry: there is no node 'mein'" in failure.cause
    assert "fernamt menu check menus.d/NAME.toml" in failure.remedy


def test_a_plugin_offers_nodes_under_its_own_name_and_nothing_that_is_none() -> None:
    draft = Draft("acme")
    draft.node("acme.quiz", Quiz)
    for kind, node in (
        ("acme.quiz", Quiz),
        ("other.quiz", Quiz),
        ("acme", Quiz),
        ("acme.Quiz", Quiz),
        ("acme.str", str),
    ):
        with pytest.raises(OfferRefused):
            draft.node(kind, node)

    assert draft.finished().nodes == {"acme.quiz": Quiz}
