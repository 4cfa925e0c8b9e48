"""What a configuration asks for: a plugin that fails takes its own channels with it, a mistake stops the start."""

import importlib.metadata
import sys
from pathlib import Path

import pytest

from fernamt._runtime.clock import SystemClock
from fernamt._runtime.installed import Installed, discover
from fernamt._runtime.plan import Plan, plan
from fernamt._store.engine import Store
from fernamt.model import ChannelId
from fernamt.settings import ChannelSection, ConfigErrors, Settings

PLUGIN = """
from attrs import frozen
from fernamt import Secret, hookimpl

@frozen(kw_only=True)
class Own:
    desk: str

@frozen(kw_only=True)
class Line:
    host: str
    token: Secret
    port: int = 25

class Phone:
    def __init__(self, channel, context): ...
    async def send(self, message): ...

@hookimpl
def fernamt_register(registry):
    registry.settings(Own)
    registry.connector("planned", settings=Line, factory=Phone, about="a line")
    registry.connector("planned.lazy", settings=Line, factory="nowhere_at_all:Phone", about="a line")
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Installed, ...]:
    info = tmp_path / "fernamt_planned-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: fernamt-planned\nVersion: 1.0\nRequires-Dist: fernamt\n"
    )
    (info / "entry_points.txt").write_text("[fernamt]\nplanned = planned_of_a_test\n")
    (tmp_path / "planned_of_a_test.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "planned_of_a_test", raising=False)
    monkeypatch.setenv("TOKEN", "secret")
    found = importlib.metadata.distributions(path=[str(tmp_path)])
    return discover(point for one in found for point in one.entry_points if point.group == "fernamt")


def planned(installed: tuple[Installed, ...], *sections: ChannelSection, **plugins: dict[str, object]) -> Plan:
    settings = Settings(file=Path("fernamt.toml"), channels=sections, plugin_sections=plugins)
    return plan(settings, installed)


def line(name: str, kind: str, **options: object) -> ChannelSection:
    return ChannelSection(id=ChannelId(name), kind=kind, options={"host": "h", "token": "env:TOKEN"} | options)


def test_a_channel_gets_its_factory_and_its_settings(installed: tuple[Installed, ...]) -> None:
    found = planned(installed, line("a", "planned", port=26), planned={"desk": "d"})
    [one] = found.channels
    assert one.failure is None
    assert one.factory is not None
    assert (one.settings.host, one.settings.port, one.settings.token.reveal()) == ("h", 26, "secret")
    assert found.plugin_settings["planned"].desk == "d"


def test_what_fails_is_planned_with_its_reason_and_its_neighbours_work(installed: tuple[Installed, ...]) -> None:
    found = planned(
        installed,
        line("a", "planned"),
        line("b", "planned.lazy"),
        line("c", "planned.other"),
        line("d", "nobody"),
        planned={"desk": "d"},
    )
    reasons = [str(one.failure) if one.failure else "" for one in found.channels]
    assert [one.factory is not None for one in found.channels] == [True, False, False, False]
    assert reasons[0] == ""
    assert "nowhere_at_all" in reasons[1]
    assert "offers no kind 'planned.other'" in reasons[2]
    assert "pip install fernamt-nobody" in reasons[3]


def test_all_mistakes_of_all_sections_are_told_at_once(installed: tuple[Installed, ...]) -> None:
    with pytest.raises(ConfigErrors) as raised:
        planned(installed, line("a", "planned", port="x"), line("b", "planned", hots="h"), planned={})
    places = sorted(mistake.key for mistake in raised.value.mistakes)
    assert places == ["channels.a.port", "channels.b.hots", "plugins.planned.desk"]


def test_nothing_at_all_is_a_plan(installed: tuple[Installed, ...]) -> None:
    found = planned(installed)
    assert (found.channels, dict(found.plugin_settings), found.loaded.failures) == ((), {}, ())


def test_a_plugin_whose_tables_cannot_be_migrated_is_refused_by_name_and_the_rest_runs(
    installed: tuple[Installed, ...], tmp_path: Path
) -> None:
    source = tmp_path / "planned_of_a_test.py"
    source.write_text(f'{PLUGIN}    registry.tables(prefix="planned", migrations="planned_scripts")\n')
    (tmp_path / "planned_scripts").mkdir()
    (tmp_path / "planned_scripts" / "first.py").write_text(
        "revision = '1'\ndown_revision = None\ndef upgrade(): raise SystemExit('no')"
    )
    store = Store.open(f"sqlite:///{tmp_path}/fernamt.db", SystemClock())
    found = planned(installed, line("a", "planned"), line("b", "nobody"), planned={"desk": "d"}).migrated(store)
    store.close()

    [first, second] = found.channels
    assert first.factory is None
    assert "plugin planned (fernamt-planned 1.0): its tables cannot be migrated: SystemExit: no" in str(first.failure)
    assert "pip install fernamt-nobody" in str(second.failure)
    assert (found.loaded.plugins.names, dict(found.loaded.offers)) == ((), {})
