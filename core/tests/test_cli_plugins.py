"""The commands that know plugins: check, plugins, demo, and the commands of plugins themselves."""

import importlib
import importlib.metadata
import json
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from fernamt._runtime import installed
from fernamt._runtime.clock import SystemClock
from fernamt._runtime.installed import Installed
from fernamt._store.engine import Store
from fernamt.cli import main

ACME = '''
    from attrs import frozen
    from fernamt import Registry, Sent, Unreachable, hookimpl


    @frozen(kw_only=True)
    class AcmeSettings:
        account: str
        answers: bool = True


    class Acme:
        def __init__(self, channel, context):
            self.settings = channel.settings

        async def send(self, message):
            return Sent()

        async def verify(self):
            if not self.settings.answers:
                raise Unreachable("no route to acme", certain=True)
            return f"{self.settings.account}@acme"


    class Mute:
        def __init__(self, channel, context):
            pass

        async def send(self, message):
            return Sent()


    def demo(*, port: int = 1, fail: str = "") -> int:
        """Show it.

        Args:
            port: Where it listens.
            fail: How it goes wrong.
        """
        if fail == "bug":
            raise KeyError("lost")
        if fail == "known":
            raise Unreachable("the demo is closed", certain=True)
        print(f"demo on {port}")
        return 3


    @hookimpl
    def fernamt_register(registry: Registry) -> None:
        registry.connector("acme", settings=AcmeSettings, factory=Acme, about="Acme messages")
        registry.connector("acme.mute", settings=AcmeSettings, factory=Mute, about="Acme, unchecked")
        registry.command("demo", demo)
'''
PLAIN = """
    from fernamt import Registry, hookimpl


    @hookimpl
    def fernamt_register(registry: Registry) -> None:
        pass
"""
BROKEN = "import a_module_that_nobody_has\n"
LINE = '[channels.line]\nkind = "acme"\naccount = "support"\n'


class Shelf:
    """A folder of installed distributions, a configuration, and the command line."""

    def __init__(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.site = tmp_path / "site"
        self.here = tmp_path / "here"
        self.here.mkdir()
        self.capsys = capsys
        self.err = ""

    def install(self, name: str, code: str, version: str = "1.2.3") -> None:
        """Lay a distribution down as pip does it."""
        about = self.site / f"strange_{name}-{version}.dist-info"
        about.mkdir(parents=True)
        (self.site / f"strange_{name}.py").write_text(textwrap.dedent(code))
        (about / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: strange-{name}\nVersion: {version}\nSummary: Strange {name}\nRequires-Dist: fernamt>=1,<2\n"
        )
        (about / "entry_points.txt").write_text(f"[fernamt]\n{name} = strange_{name}\n")
        importlib.invalidate_caches()

    def one_file(self, name: str, code: str) -> None:
        (self.here / "plugins.d").mkdir(exist_ok=True)
        (self.here / "plugins.d" / f"{name}.py").write_text(textwrap.dedent(code))

    def configure(self, text: str) -> None:
        (self.here / "fernamt.toml").write_text(textwrap.dedent(text))

    def called(self, *words: str, code: int = 0) -> str:
        self.capsys.readouterr()
        ended = main(words)
        out, self.err = self.capsys.readouterr()
        assert ended == code, (out, self.err)
        assert "Traceback" not in self.err
        return out


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shelf]:
    shelf, real = Shelf(tmp_path, capsys), installed.discover

    def discover(_entry_points: object = None, *, beside: Path | None = None) -> tuple[Installed, ...]:
        # The plugins of this workspace may be installed as well, or not: they do not count here.
        found = importlib.metadata.distributions(path=[str(shelf.site)])
        return real([entry for one in found for entry in one.entry_points], beside=beside)

    monkeypatch.syspath_prepend(shelf.site)
    monkeypatch.setattr("fernamt._runtime.installed.discover", discover)
    monkeypatch.setattr("fernamt._runtime.loader.discover", discover)
    monkeypatch.setattr("fernamt._runtime.plan.discover", discover)
    monkeypatch.chdir(shelf.here)
    monkeypatch.delenv("FERNAMT_CONFIG", raising=False)
    yield shelf
    for name in [name for name in sys.modules if name.startswith("strange_")]:
        del sys.modules[name]


@pytest.fixture
def acme(shelf: Shelf) -> Shelf:
    """A plugin that works, one that is not named, and a store."""
    shelf.install("acme", ACME)
    shelf.install("plain", PLAIN)
    store = Store.open(f"sqlite:///{shelf.here}/fernamt.db", SystemClock())
    store.migrate()
    store.close()
    shelf.configure(LINE)
    return shelf


def _imported() -> set[str]:
    return {name for name in sys.modules if name.startswith("strange_")}


# ---- check
def test_a_good_configuration_is_found_good(acme: Shelf) -> None:
    out = acme.called("check")
    assert [line.split()[:3] for line in out.splitlines()] == [
        ["ok", "settings", "fernamt.toml"],
        ["ok", "plugin", "acme"],
        ["ok", "store", "sqlite"],
    ]
    assert "strange-acme 1.2.3" in out
    assert acme.err == "The providers were not asked: fernamt check --online\n"
    assert _imported() == {"strange_acme"}


def test_all_mistakes_are_told_at_once_by_file_line_key_and_remedy(acme: Shelf) -> None:
    acme.configure("""
        [channels.one]
        kind = "acme"
        acount = "x"

        [channels.two]
        kind = "acme"
        account = 7
    """)
    out = acme.called("check", code=78)
    assert out.startswith("fernamt.toml:2: channels.one.account: is missing. ")
    assert "\nfernamt.toml:4: channels.one.acount: unknown key. Did you mean 'account'?\n" in out
    assert "\nfernamt.toml:8: channels.two.account: must be text. " in out
    found = json.loads(acme.called("check", "--json", code=78))
    assert found["ok"] is False
    assert [(one["line"], one["key"]) for one in found["mistakes"]] == [
        (2, "channels.one.account"),
        (4, "channels.one.acount"),
        (8, "channels.two.account"),
    ]
    assert list(found["mistakes"][0]) == ["file", "line", "key", "problem", "fix"]


def test_a_mistake_that_is_seen_without_plugins_imports_none(acme: Shelf) -> None:
    acme.configure("stor = 1")
    assert acme.called("check", code=78).startswith("fernamt.toml:1: stor: unknown key. Did you mean 'store'?")
    assert _imported() == set()


def test_a_plugin_that_cannot_be_used_is_told_beside_one_that_can(acme: Shelf) -> None:
    acme.install("broken", BROKEN)
    acme.configure(f'{LINE}\n[channels.other]\nkind = "broken"\n[channels.third]\nkind = "nowhere"\n')
    out = acme.called("check", code=78)
    assert re.search(
        r"\nfailed +plugin +broken +strange-broken 1.2.3: it needs the module 'a_module_that_nobody_has'", out
    )
    assert re.search(r"\nfailed +plugin +nowhere +it is not installed\. ", out)
    assert re.search(r"\nok +plugin +acme +strange-acme", out)


def test_a_kind_that_its_plugin_does_not_offer_is_told(acme: Shelf) -> None:
    acme.configure('[channels.line]\nkind = "acme.mutt"\naccount = "x"')
    assert "it offers no kind 'acme.mutt'. Did you mean 'acme.mute'?" in acme.called("check", code=78)


def test_a_store_that_is_not_there_yet_is_no_mistake_and_is_not_made(acme: Shelf) -> None:
    (acme.here / "fernamt.db").unlink()
    found = json.loads(acme.called("check", "--json"))
    [store] = [one for one in found["findings"] if one["what"] == "store"]
    assert (found["ok"], store["state"]) == (True, "new")
    assert not (acme.here / "fernamt.db").exists()


@pytest.mark.parametrize(
    ("store", "code", "says"),
    [
        ("sqlite:///nowhere/fernamt.db", 78, "is not there. Make it"),
        ("postgresql://nobody@127.0.0.1:1/none", 69, "Is its server up?"),
    ],
)
def test_a_store_that_cannot_be_had_is_told(acme: Shelf, store: str, code: int, says: str) -> None:
    acme.configure(f'store = "{store}"')
    assert says in acme.called("check", code=code)


def test_the_password_of_a_store_is_not_shown(acme: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FERNAMT_STORE", "postgresql://nobody:hunter2@127.0.0.1:1/none")
    assert "hunter2" not in acme.called("check", code=69) + acme.err


def test_online_every_channel_that_can_logs_in_at_its_provider(acme: Shelf) -> None:
    acme.configure("""
        [channels.good]
        kind = "acme"
        account = "support"

        [channels.mute]
        kind = "acme.mute"
        account = "x"
    """)
    out = acme.called("check", "--online")
    assert "ok       channel   good" in out
    assert "support@acme" in out
    assert "skipped  channel   mute" in out
    acme.configure(f"{LINE}answers = false")
    out = acme.called("check", "--online", code=69)
    assert "failed  channel   line" in out
    assert "no route to acme" in out


# ---- plugins
def test_plugins_are_listed_without_being_imported(shelf: Shelf) -> None:
    shelf.install("broken", BROKEN)
    shelf.install("plain", PLAIN)
    out = shelf.called("plugins")
    assert [line.split()[:3] for line in out.splitlines()] == [
        ["plugin", "distribution", "version"],
        ["broken", "strange-broken", "1.2.3"],
        ["plain", "strange-plain", "1.2.3"],
    ]
    assert "not named, not imported. Strange plain" in out
    assert "There is no fernamt.toml" in shelf.err
    assert _imported() == set()


def test_of_the_named_plugins_it_is_shown_what_they_offer_or_why_not(acme: Shelf) -> None:
    acme.install("broken", BROKEN)
    acme.configure(f'{LINE}\n[plugins]\nenabled = ["broken", "nowhere"]')
    lines = json.loads(acme.called("plugins", "--json"))
    offers = ["kinds", "commands", "menus", "subscribers", "jobs", "services"]
    assert list(lines[0]) == ["name", "distribution", "version", "summary", "named", *offers, "failure"]
    assert [(one["name"], one["distribution"], one["named"], bool(one["failure"])) for one in lines] == [
        ("acme", "strange-acme", True, False),
        ("broken", "strange-broken", True, True),
        ("nowhere", "", True, True),
        ("plain", "strange-plain", False, False),
    ]
    assert lines[0]["kinds"] == [
        {"kind": "acme", "about": "Acme messages"},
        {"kind": "acme.mute", "about": "Acme, unchecked"},
    ]
    assert lines[0]["commands"] == ["demo"]
    out = acme.called("plugins")
    assert "acme: Acme messages" in out
    assert "fernamt acme demo" in out
    assert "failed: it needs the module 'a_module_that_nobody_has'" in out
    assert "strange_plain" not in _imported()


def test_without_plugins_it_is_said_how_to_get_one(shelf: Shelf) -> None:
    assert shelf.called("plugins") == ""
    assert "pip install fernamt-email" in shelf.err
    assert json.loads(shelf.called("plugins", "--json")) == []


def test_a_configuration_that_was_named_must_be_there(shelf: Shelf) -> None:
    shelf.called("plugins", "-c", "there.toml", code=78)


# ---- plugins of one file
def test_a_plugin_of_one_file_is_called_like_its_file_and_works_like_any_other(acme: Shelf) -> None:
    acme.one_file("tryout", ACME.replace('"acme', '"tryout'))
    acme.configure(f'{LINE}\n[channels.mine]\nkind = "tryout"\naccount = "x"\n')
    out = acme.called("plugins")
    assert re.search(r"\ntryout +plugins.d/tryout.py +- +tryout: Acme messages", out)
    assert re.search(r"\nok +plugin +tryout +plugins.d/tryout.py", acme.called("check"))
    assert acme.called("tryout", "demo", "--port", "7", code=3) == "demo on 7\n"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (BROKEN, "it needs the module 'a_module_that_nobody_has', which is missing. Install what it needs into"),
        ("x = 1\ndef (", "tryout.py, line 2 is no Python that this interpreter reads"),
        ("raise SystemExit('no')", "SystemExit: no (tryout.py:1). Correct plugins.d/tryout.py"),
        (
            PLAIN.replace("pass", "registry.connector('acme', settings=str, factory='a:b', about='')"),
            "kind 'acme' must",
        ),
    ],
)
def test_a_plugin_of_one_file_that_breaks_stands_beside_one_that_works(acme: Shelf, source: str, says: str) -> None:
    acme.one_file("tryout", source)
    acme.one_file("_not_one", BROKEN)
    acme.configure(f'{LINE}\n[plugins]\nenabled = ["tryout"]\n')
    out = acme.called("check", code=78)
    assert re.search(r"\nfailed +plugin +tryout +plugins.d/tryout.py", out)
    assert says in out
    assert re.search(r"\nok +plugin +acme", out)
    assert "_not_one" not in acme.called("plugins")


def test_a_file_and_a_distribution_that_claim_one_name_are_both_refused(acme: Shelf) -> None:
    acme.one_file("acme", ACME)
    said = "plugins.d/acme.py and strange-acme 1.2.3 claim the same name. Uninstall one, or remove its file"
    assert acme.called("check", code=78).count(said) == 2


def test_nobody_imports_a_file_that_is_not_named(acme: Shelf) -> None:
    acme.one_file("tryout", "raise SystemExit('imported')")
    assert "tryout" in acme.called("plugins")
    acme.called("check")


# ---- commands of plugins
def test_a_plugin_s_command_imports_that_plugin_alone(acme: Shelf) -> None:
    assert acme.called("acme", "demo", "--port", "7", code=3) == "demo on 7\n"
    assert _imported() == {"strange_acme"}


def test_the_commands_of_a_plugin_have_help(acme: Shelf) -> None:
    assert "demo: Show it." in acme.called("acme", "--help")
    assert "--port INT: Where it listens." in acme.called("acme", "demo", "--help")


def test_a_command_of_the_core_goes_before_a_plugin_of_that_name(shelf: Shelf) -> None:
    shelf.install("inbox", BROKEN)
    shelf.called("inbox", "--help")
    assert _imported() == set()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["acme", "demo", "--prot", "7"], 2, "--port"),
        (["acme", "dem"], 2, 'Did you mean "demo"'),
        (["plain", "demo"], 2, "Plugin plain has no commands of its own"),
        (["broken", "demo"], 1, "plugin broken (strange-broken 1.2.3): it needs the module"),
        (["acme", "demo", "--fail", "bug"], 1, "Plugin acme (strange-acme 1.2.3) failed: KeyError: 'lost'."),
        (["acme", "demo", "--fail", "known"], 1, "the demo is closed"),
        (["nobody", "demo"], 2, 'Unknown command "nobody"'),
    ],
    ids=str,
)
def test_what_a_plugin_s_command_gets_wrong_is_told(acme: Shelf, words: list[str], code: int, says: str) -> None:
    acme.install("broken", BROKEN)
    assert acme.called(*words, code=code) == ""
    assert says in acme.err


def test_the_demo_is_the_first_plugin_s_that_has_one(acme: Shelf) -> None:
    acme.install("aaa", BROKEN)
    assert acme.called("demo", "--port", "8", code=3) == "demo on 8\n"
    assert acme.called("demo", "acme", "--port", "9", code=3) == "demo on 9\n"
    assert "strange_plain" not in _imported()


def test_without_a_demo_it_is_said_which_package_has_one(shelf: Shelf) -> None:
    shelf.install("broken", BROKEN)
    shelf.install("plain", PLAIN)
    assert shelf.called("demo", code=1) == ""
    assert "pip install fernamt-email" in shelf.err
    assert "plugin broken (strange-broken 1.2.3)" in shelf.err


# ---- run
def test_run_refuses_a_wrong_configuration_whole(acme: Shelf) -> None:
    acme.configure('[channels.line]\nkind = "acme"\nacount = "x"')
    assert acme.called("run", code=78) == ""
    assert acme.err.count("fernamt.toml:") == 2


@pytest.mark.slow
def test_run_stays_up_until_it_is_told_to_stop(tmp_path: Path) -> None:
    (tmp_path / "fernamt.toml").write_text('listen = "127.0.0.1:0"\n[log]\nformat = "json"\n')
    argv = [sys.executable, "-m", "fernamt", "run"]
    with subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as daemon:
        assert daemon.stderr is not None
        assert any(b"daemon_ready" in line for line in daemon.stderr)
        daemon.send_signal(signal.SIGTERM)
        out, _ = daemon.communicate()
    assert (daemon.returncode, out) == (0, b"")
    assert (tmp_path / "fernamt.db").exists()
