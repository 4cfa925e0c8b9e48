"""The loader: imports what is named, and a plugin that breaks in any way stands beside a healthy one that works.

The broken plugins are tiny installed distributions, a module and its ``.dist-info``, in a folder on ``sys.path``.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fernamt._runtime.installed import Installed, discover
from fernamt._runtime.loader import Loaded, PluginFailed, load, load_one, wanted
from fernamt._runtime.menufolder import nodes_of
from fernamt.settings import ChannelSection, Settings

HEAD = """
import attrs
from fernamt import Secret, hookimpl

@attrs.frozen
class Line:
    host: str = ""

class Phone:
    def __init__(self, channel, context): ...
    async def send(self, message): ...
"""
HEALTHY = """
@hookimpl
def fernamt_register(registry):
    registry.connector("{name}", settings=Line, factory=Phone, about="A line")
    registry.connector("{name}.lazy", settings=Line, factory="{module}_lazy:Phone", about="A line")
    registry.command("hello", lambda: 0)
"""
REGISTER = HEAD + "@hookimpl\ndef fernamt_register(registry):\n"


class Site:
    """A folder of installed distributions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(
        self,
        name: str,
        source: str | None = None,
        *,
        distribution: str = "",
        module: str = "",
        requires: tuple[str, ...] = ("fernamt>=1,<2",),
        target: str = "",
    ) -> None:
        distribution = distribution or f"fernamt-{name}"
        module = module or f"loader_{name}"
        info = self.folder / f"{distribution.replace('-', '_')}-1.2.0.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.4", f"Name: {distribution}", "Version: 1.2.0", f"Summary: {name} lines"]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        lines += ["Project-URL: Issues, https://example.org/issues"]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        (info / "entry_points.txt").write_text(f"[fernamt]\n{name} = {target or module}\n")
        source = HEAD + HEALTHY.format(name=name, module=module) if source is None else source
        (self.folder / f"{module}.py").write_text(source)

    def installed(self) -> tuple[Installed, ...]:
        distributions = importlib.metadata.distributions(path=[str(self.folder)])
        return discover(point for it in distributions for point in it.entry_points if point.group == "fernamt")

    def load(self, *names: str, core_version: str = "1.0.0.dev1") -> Loaded:
        return load(names, self.installed(), core_version=core_version)

    def imported(self) -> set[str]:
        return {name for name in sys.modules if name.startswith("loader_")}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    site = Site(tmp_path)
    yield site
    for name in site.imported():
        del sys.modules[name]


# ---- what works
def test_only_what_is_named_is_imported(site: Site) -> None:
    for name in ("one", "two", "three"):
        site.install(name)
    loaded = site.load("two")

    assert site.imported() == {"loader_two"}
    assert (set(loaded.offers), loaded.failures, loaded.plugins.names) == ({"two"}, (), ("two",))


def test_metadata_is_read_without_an_import(site: Site) -> None:
    site.install("one", "raise SystemExit('imported')")
    [one] = site.installed()

    assert (one.name, one.distribution, one.version, one.summary) == ("one", "fernamt-one", "1.2.0", "one lines")
    assert (one.requires, one.issues) == (("fernamt>=1,<2",), "https://example.org/issues")
    assert site.imported() == set()


def test_the_installed_plugins_of_this_environment_are_found_when_nothing_is_given(site: Site) -> None:
    site.install("one")

    assert "one" in {plugin.name for plugin in discover()}
    assert load_one("one").connectors["one"].about == "A line"


def test_a_kind_gives_its_offer_and_its_factory_is_imported_only_then(site: Site) -> None:
    site.install("one")
    (site.folder / "loader_one_lazy.py").write_text("class Phone: ...\n")
    loaded = site.load("one")

    assert loaded.connector("one").about == "A line"
    assert "loader_one_lazy" not in site.imported()
    assert loaded.factory("one.lazy").__name__ == "Phone"
    assert "loader_one_lazy" in site.imported()


def test_the_settings_name_the_plugins_that_are_wanted() -> None:
    channels = (ChannelSection(id="a", kind="sms.smpp"), ChannelSection(id="b", kind="matrix"))  # type: ignore[arg-type]

    assert wanted(Settings(file=Path("f"), channels=channels, plugins_enabled=("csat", "sms"))) == (
        "csat",
        "matrix",
        "sms",
    )


def test_what_is_offered_after_the_registration_does_not_count(site: Site) -> None:
    site.install(
        "one",
        REGISTER
        + "    global late\n"
        + "    late = registry\n"
        + "    registry.connector('one', settings=Line, factory=Phone, about='')\n",
    )
    offers = site.load("one").offers["one"]
    sys.modules["loader_one"].late.command("late", lambda: 0)
    sys.modules["loader_one"].late.connector("one.late", settings=object, factory="a:b", about="")

    assert (list(offers.connectors), list(offers.commands)) == (["one"], [])


def test_a_plugin_that_only_has_other_hooks_offers_nothing_and_is_loaded(site: Site) -> None:
    site.install("policy", HEAD + "@hookimpl\ndef fernamt_stopping(): ...\n")
    loaded = site.load("policy")

    assert (loaded.plugins.names, loaded.failures) == (("policy",), ())
    assert loaded.offers["policy"].connectors == {}


@pytest.mark.parametrize(
    ("requires", "core_version"),
    [
        ("fernamt>=1,<2", "1.0.0.dev1"),
        ("fernamt>=1,<2", "1.0.0rc1"),
        ("fernamt>=1,<2", "1.9.3"),
        ("Fernamt (>=1.0)", "1.0.0"),
        ("fernamt>=1.0.0.dev0,<2", "1.0.0.dev1"),
        ("fernamt>=1,<2; python_version>='3'", "1.0.0"),
    ],
)
def test_a_contract_range_that_contains_the_core_fits(requires: str, core_version: str, site: Site) -> None:
    site.install("one", requires=("attrs", requires))

    assert site.load("one", core_version=core_version).failures == ()


# ---- what fails, each beside a healthy one
@pytest.mark.parametrize(
    ("requires", "core_version", "cause"),
    [
        (("fernamt>=2",), "1.9.0", "it was written for fernamt>=2, and this is 1.9.0"),
        (("fernamt<1",), "1.0.0.dev1", "it was written for fernamt<1, and this is 1.0.0"),
        (("fernamt>=1", "fernamt<1.5"), "1.5.0", "it was written for fernamt<1.5, and this is 1.5.0"),
        ((), "1.0.0", "it does not say for which versions of fernamt it was written"),
        (("fernamt-one>=1",), "1.0.0", "it does not say for which versions of fernamt it was written"),
        (("fernamt>=1; extra=='x'",), "1.0.0", "it does not say for which versions of fernamt it was written"),
        (("fernamt >=> 1",), "1.0.0", "its requirements cannot be read: "),
    ],
)
def test_a_contract_range_that_does_not_fit_is_refused_before_the_import(
    requires: tuple[str, ...], core_version: str, cause: str, site: Site
) -> None:
    site.install("one", requires=requires)
    [failure] = site.load("one", core_version=core_version).failures

    assert failure.cause.startswith(cause)
    assert site.imported() == set()


BROKEN = {
    "its module is missing": (None, "its module 'loader_gone' is not there", "Install fernamt-broken again"),
    "a dependency is missing": (
        "import no_such_module_anywhere",
        "it needs the module 'no_such_module_anywhere', which is missing",
        "Install fernamt-broken again, with its dependencies",
    ),
    "its import raises": (
        "x = 1\nraise RuntimeError('no\\nluck')",
        "importing 'loader_broken' failed: RuntimeError: no luck (loader_broken.py:2)",
        "Report it to its author: https://example.org/issues",
    ),
    "its import ends the process": (
        "import sys\nsys.exit(3)",
        "importing 'loader_broken' failed: SystemExit: 3 (loader_broken.py:2)",
        "Report it",
    ),
    "its import raises what nobody catches": (
        "class Odd(BaseException):\n    def __str__(self): raise ValueError\nraise Odd",
        "importing 'loader_broken' failed: Odd: (its text cannot be read) (loader_broken.py:3)",
        "Report it",
    ),
    "its syntax is wrong": (
        "x = 1\ndef f(:\n    pass",
        "loader_broken.py, line 2 is no Python that this interpreter reads: invalid syntax",
        "Report it",
    ),
    "it marks no hook": ("def fernamt_register(registry): ...", "it marks nothing with @hookimpl", "Report it"),
    "it misspells a hook": (
        HEAD + "@hookimpl\ndef fernamt_registre(registry): ...",
        "there is no hook 'fernamt_registre'",
        "Did you mean 'fernamt_register'?",
    ),
    "it takes a wrong argument": (
        HEAD + "@hookimpl\ndef fernamt_register(registri): ...",
        "fernamt_register(registri) takes what the hook does not give",
        "It may take: registry",
    ),
    "its hook is async": (
        HEAD + "@hookimpl\nasync def fernamt_register(registry): ...",
        "'fernamt_register' must be a plain function, neither async nor a wrapper",
        "Report it",
    ),
    "its hook wraps others": (
        HEAD + "@hookimpl(wrapper=True)\ndef fernamt_register(registry):\n    return (yield)",
        "'fernamt_register' must be a plain function, neither async nor a wrapper",
        "Report it",
    ),
    "its registration raises": (
        REGISTER + "    registry.connector('broken', settings=Line, factory=Phone, about='')\n    1 / 0",
        "fernamt_register failed: ZeroDivisionError: division by zero (loader_broken.py:15)",
        "Report it",
    ),
    "its registration ends the process": (
        REGISTER + "    raise SystemExit",
        "fernamt_register failed: SystemExit: ",
        "Report it",
    ),
    "it offers a kind of somebody else": (
        REGISTER + "    registry.connector('healthy.x', settings=Line, factory=Phone, about='')",
        "kind 'healthy.x' must be 'broken' or begin with 'broken.'",
        "Report it",
    ),
    "its settings are no class": (
        REGISTER + "    registry.connector('broken', settings=dict, factory=Phone, about='')",
        "fernamt_register failed: TypeError: <class 'dict'> is no attrs class. Report",
        "Report it",
    ),
    "its settings cannot be filled": (
        HEAD
        + "@attrs.frozen\nclass Odd:\n    when: 'Never'\n"
        + "@hookimpl\ndef fernamt_register(registry):\n    registry.settings(Odd)",
        "fernamt_register failed: NameError: name 'Never' is not defined",
        "Report it",
    ),
    "its node cannot be filled": (
        HEAD
        + "@attrs.frozen\nclass Odd:\n    when: complex\n    exits: dict[str, str]\n"
        + "    def enter(self, visit): ...\n    def resume(self, visit, event): ...\n"
        + "@hookimpl\ndef fernamt_register(registry):\n    registry.node('broken.odd', Odd)",
        "fernamt_register failed: StructureHandlerNotFoundError: Unsupported type: <class 'complex'>",
        "Report it",
    ),
    "its settings take a key of the core": (
        HEAD
        + "@attrs.frozen\nclass Odd:\n    name: str\n    kind: str\n"
        + "@hookimpl\ndef fernamt_register(registry):\n"
        + "    registry.connector('broken', settings=Odd, factory=Phone, about='')",
        "the settings of 'broken' have keys that are the core's: kind, name",
        "Report it",
    ),
}


QUIZ = """
@attrs.frozen
class Quiz:
    exits: dict[str, str]
    def enter(self, visit): ...
    def resume(self, visit, event): ...

@hookimpl
def fernamt_register(registry):
    registry.node("acme.quiz", Quiz)
    raise ValueError("its own menu has a mistake")
"""


def test_a_menu_is_checked_with_the_nodes_of_the_plugin_that_it_keeps_from_loading(site: Site, tmp_path: Path) -> None:
    site.install("acme", HEAD + QUIZ)
    menu = tmp_path / "menu.toml"
    menu.write_text('[nodes.quiz]\nkind = "acme.quiz"\n')

    assert set(nodes_of(menu, even_of_failed=True)) == {"acme.quiz"}
    assert nodes_of(menu) == {}


@pytest.mark.parametrize("way", BROKEN)
def test_a_plugin_that_breaks_is_named_and_the_healthy_one_beside_it_works(way: str, site: Site) -> None:
    source, cause, remedy = BROKEN[way]
    site.install("broken", source or "", target="loader_gone" if source is None else "")
    site.install("healthy")
    loaded = site.load("broken", "healthy")
    [failure] = loaded.failures

    assert str(failure).startswith(f"plugin broken (fernamt-broken 1.2.0): {cause}")
    assert failure.remedy.startswith(remedy)
    assert (set(loaded.offers), loaded.plugins.names) == ({"healthy"}, ("healthy",))
    assert loaded.connector("healthy").kind == "healthy"
    with pytest.raises(PluginFailed, match=r"^plugin broken \(fernamt-broken 1\.2\.0\): "):
        loaded.connector("broken.anything")
    with pytest.raises(PluginFailed):
        load_one("broken", site.installed())


def test_a_keyboard_interrupt_at_import_is_not_swallowed(site: Site) -> None:
    site.install("one", "raise KeyboardInterrupt")

    with pytest.raises(KeyboardInterrupt):
        site.load("one")


def test_two_distributions_that_claim_one_name_are_both_refused_by_name(site: Site) -> None:
    site.install("twin", distribution="fernamt-twin", module="loader_a")
    site.install("twin", distribution="other-twin", module="loader_b")
    site.install("healthy")
    loaded = site.load("twin", "healthy")

    assert site.imported() == {"loader_healthy"}
    assert [failure.distribution for failure in loaded.failures] == ["fernamt-twin", "other-twin"]
    assert {failure.cause for failure in loaded.failures} == {
        "fernamt-twin 1.2.0 and other-twin 1.2.0 claim the same name"
    }


def test_one_module_under_two_names_is_taken_once(site: Site) -> None:
    site.install("one", HEAD + "@hookimpl\ndef fernamt_stopping(): ...", module="loader_same")
    site.install("two", HEAD + "@hookimpl\ndef fernamt_stopping(): ...", module="loader_same")
    loaded = site.load("one", "two")

    assert loaded.plugins.names == ("one",)
    assert [failure.cause for failure in loaded.failures] == ["'loader_same' is the plugin of another name already"]


def test_a_name_that_is_not_installed_is_answered_with_the_likely_one(site: Site) -> None:
    site.install("matrix")

    assert [str(failure) for failure in site.load("matirx", "signal").failures] == [
        "plugin matirx: it is not installed. Did you mean 'matrix'?",
        "plugin signal: it is not installed. Install its distribution, for instance: pip install fernamt-signal",
    ]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("one.lasy", "plugin one (fernamt-one 1.2.0): it offers no kind 'one.lasy'. Did you mean 'one.lazy'?"),
        ("oen", "plugin oen: it is not installed. Did you mean 'one'?"),
    ],
)
def test_a_kind_that_nobody_offers_is_answered_with_the_likely_one(kind: str, said: str, site: Site) -> None:
    site.install("one")

    with pytest.raises(PluginFailed) as caught:
        site.load("one").connector(kind)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        (None, "its module 'loader_one_lazy' is not there"),
        ("raise SystemExit", "importing 'loader_one_lazy' failed: SystemExit: "),
        ("", "importing 'loader_one_lazy' failed: AttributeError: module 'loader_one_lazy' has no attribute 'Phone'"),
        ("Phone = 1", "the factory of 'one.lazy' cannot be called"),
    ],
)
def test_a_factory_that_cannot_be_had_is_named(source: str | None, cause: str, site: Site) -> None:
    site.install("one")
    if source is not None:
        (site.folder / "loader_one_lazy.py").write_text(source)

    with pytest.raises(PluginFailed) as caught:
        site.load("one").factory("one.lazy")
    assert caught.value.failure.cause.startswith(cause)


@pytest.mark.parametrize("name", ["Capital", "with.dot"])
def test_an_entry_point_that_no_kind_could_name_is_refused(name: str, site: Site) -> None:
    site.install(name, module="loader_odd")

    assert "is not made of small letters" in site.load(name).failures[0].cause


def test_the_cores_own_name_is_no_plugins(site: Site) -> None:
    site.install("core", module="loader_odd")

    assert site.load("core").failures[0].cause == "'core' is the core's own name"


def test_damaged_metadata_refuses_its_plugin_only(site: Site) -> None:
    site.install("damaged")
    site.install("healthy")
    shutil.rmtree(site.folder / "fernamt_damaged-1.2.0.dist-info")
    (site.folder / "fernamt_damaged-1.2.0.dist-info").mkdir()
    (site.folder / "fernamt_damaged-1.2.0.dist-info/entry_points.txt").write_text(
        "[fernamt]\ndamaged = loader_damaged\n"
    )
    loaded = site.load("damaged", "healthy")

    assert loaded.plugins.names == ("healthy",)
    assert loaded.failures[0].cause == "it does not say for which versions of fernamt it was written"


def test_the_hooks_are_called_in_the_order_of_the_names(site: Site) -> None:
    for name in ("c", "a", "b"):
        site.install(name, HEAD + f"said = []\n@hookimpl\ndef fernamt_stopping(): order.append({name!r})\n")
    loaded = site.load("b", "c", "a")
    order: list[str] = []
    for name in "abc":
        vars(sys.modules[f"loader_{name}"])["order"] = order
    loaded.plugins.stopping()

    assert order == ["a", "b", "c"]
