"""A configuration is wrong in several places, some of which only a plugin can see: one round tells all of them."""

import sys
from pathlib import Path

import pytest

from fernamt._runtime.clock import SystemClock
from fernamt._runtime.plan import checked
from fernamt._store.engine import Store
from fernamt.settings import ConfigErrors

PLUGIN = """
from attrs import frozen
from fernamt import hookimpl

@frozen(kw_only=True)
class LineSettings:
    number: int

@hookimpl
def fernamt_register(registry):
    registry.connector("testline", settings=LineSettings, factory="nowhere:Line", about="a line")
"""


def test_the_cores_mistakes_and_the_plugins_are_told_in_one_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "fernamt_testline-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: fernamt-testline\nVersion: 1.0\nRequires-Dist: fernamt\n"
    )
    (info / "entry_points.txt").write_text("[fernamt]\ntestline = testline_of_a_plan\n")
    (tmp_path / "testline_of_a_plan.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "testline_of_a_plan", raising=False)
    file = tmp_path / "fernamt.toml"
    file.write_text(
        'lissten = "x"\n[channels.one]\nkind = "testline"\nhold_s = -1\nnumbr = 3\n[channels.two]\nkind = "testline"\n'
    )

    with pytest.raises(ConfigErrors) as caught:
        checked(file)

    assert [mistake.key for mistake in caught.value.mistakes] == [
        "lissten",
        "channels.one.number",
        "channels.one.hold_s",
        "channels.one.numbr",
        "channels.two.number",
    ]


def test_a_store_of_ours_is_for_us_alone(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/fernamt.db", SystemClock())

    store.migrate()

    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    store.close()
