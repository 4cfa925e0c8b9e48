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

    assert loaded.faults == ()
    assert loaded.menus("menus") == ("menus.shop",)
    assert isinstance(loaded.offers["menus"].menus["shop"], BuiltMenu)


def test_without_menus_there_is_no_such_plugin(configuration: Path) -> None:
    assert discover([], beside=configuration) == ()


def test_a_file_with_a_mistake_says_where_and_takes_no_other_down(configuration: Path) -> None:
    folder = configuration.with_name("menus.d")
    (folder / "shop.toml").write_text(TOML)
    (folder / "front.toml").write_text(TOML.replace('entry = "main"', 'entry = "mein"'))
    (folder / "bytes.toml").write_bytes(b"\xff\xfe")
    (folder / "My shop.toml").write_text(TOML)
    loaded = load(["menus"], discover([], beside=configuration))
    unread = {one.name: one for one in loaded.unread}

    assert (loaded.failures, list(loaded.offers["menus"].menus)) == ((), ["shop"])
    assert unread.keys() == {"menus.bytes", "menus.front", "menus.My shop"}
    assert "front.toml:4: entry: there is no node 'mein'" in unread["menus.front"].cause
    assert "fernamt menu check menus.d/front.toml" in unread["menus.front"].remedy
    # A channel that names one of them runs all the same: whoever writes there is handed to a person.
    assert loaded.menus("menus") == ("menus.shop", *unread)


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
