"""What a configuration asks for: a plugin that fails takes its own channels with it, a mistake stops the start."""

import importlib.metadata
import sys
from pathlib import Path

import pytest
from attrs import evolve

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
    assert one.channel is not None
    assert (one.channel.id, one.channel.kind, one.channel.url) == ("a", "planned", "http://127.0.0.1:8080/in/a/")
    assert (one.channel.settings.host, one.channel.settings.port) == ("h", 26)
    assert one.channel.settings.token.reveal() == "secret"
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


MENUS = """
from fernamt import hookimpl

class Main:
    digest = "1"
    def step(self, state, event, *, at, language): ...

@hookimpl
def fernamt_register(registry):
    registry.menu("main", Main())
"""


@pytest.fixture
def menus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: tuple[Installed, ...]) -> tuple[Installed, ...]:
    """Beside the line, a plugin with a menu, and one with a menu that cannot be imported."""
    for name, source in (("shop", MENUS), ("brokenshop", "import no_such_module")):
        info = tmp_path / "more" / f"fernamt_{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: fernamt-{name}\nVersion: 1.0\nRequires-Dist: fernamt\n"
        )
        (info / "entry_points.txt").write_text(f"[fernamt]\n{name} = {name}_of_a_test\n")
        (tmp_path / f"{name}_of_a_test.py").write_text(source)
        monkeypatch.delitem(sys.modules, f"{name}_of_a_test", raising=False)
    found = importlib.metadata.distributions(path=[str(tmp_path / "more")])
    return installed + discover(point for one in found for point in one.entry_points if point.group == "fernamt")


def test_a_channel_that_names_a_menu_loads_its_plugin(menus: tuple[Installed, ...]) -> None:
    found = planned(menus, evolve(line("a", "planned"), menu="shop.main"), planned={"desk": "d"})
    assert found.channels[0].factory is not None
    assert set(found.loaded.offers) == {"planned", "shop"}


def test_a_menu_that_is_not_there_is_a_mistake_with_a_remedy(menus: tuple[Installed, ...]) -> None:
    with pytest.raises(ConfigErrors) as raised:
        planned(menus, evolve(line("a", "planned"), menu="shop.mian"), planned={"desk": "d"})
    [mistake] = raised.value.mistakes
    assert (mistake.key, mistake.problem) == ("channels.a.menu", "there is no menu 'shop.mian'")
    assert mistake.fix == "Did you mean 'shop.main'?"


def test_a_channel_is_down_with_the_plugin_of_its_menu(menus: tuple[Installed, ...]) -> None:
    sections = [evolve(line("a", "planned"), menu=menu) for menu in ("brokenshop.main", "nobody.main")]
    reasons = [str(planned(menus, one, planned={"desk": "d"}).channels[0].failure) for one in sections]
    assert "no_such_module" in reasons[0]
    assert "pip install fernamt-nobody" in reasons[1]


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
