"""One bad neighbour hurts nobody: a plugin that breaks in each way beside one that works."""

from collections.abc import Iterator

import pytest

from fernamt.testing import free_port
from tests.story.daemon import Daemon, post, running, until
from tests.story.plugins import HEALTHY, install

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

OFFER = 'registry.connector("{name}", settings=Nothing, factory={factory}, about="it breaks")'


def broken(name: str, line: str, *, register: str = "") -> str:
    """A plugin like the healthy one, with one line of its connector replaced."""
    register = register or OFFER.format(name=name, factory="Line")
    return f"""
from attrs import frozen
from fernamt import hookimpl

@frozen
class Nothing:
    pass

class Line:
    {line}
    async def send(self, message):
        raise RuntimeError("never")

@hookimpl
def fernamt_register(registry):
    {register}
"""


# What breaks, its source, and what `channels` says of it.
BROKEN = {
    "missing": ("import no_such_module", ["no_such_module", "Install fernamt-missing"]),
    "syntax": ("def broken(:\n", ["syntax_plugin.py, line 1"]),
    "raises": ('raise RuntimeError("at import")', ["RuntimeError: at import"]),
    "leaves": ("import sys; sys.exit(3)", ["SystemExit"]),
    "silent": ("", ["marks nothing with @hookimpl"]),
    "registers": (broken("registers", "pass", register='raise ValueError("no")'), ["ValueError: no"]),
    "offers": (broken("offers", "pass", register=OFFER.format(name="healthy", factory="Line")), ["offers"]),
    "factory": (
        broken("factory", "pass", register=OFFER.format(name="factory", factory='"no_module:Line"')),
        ["no_module"],
    ),
    "builds": (
        broken("builds", 'def __init__(self, channel, context): raise OSError("no")'),
        ["no"],
    ),
    "runs": (
        broken(
            "runs",
            "def __init__(self, channel, context): pass\n    async def run(self): raise KeyError('gone')",
        ),
        ["KeyError"],
    ),
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("neighbours")
    plugins = folder / "plugins"
    install(plugins, "healthy", HEALTHY)
    for name, (source, _) in BROKEN.items():
        install(plugins, name, source)
    install(plugins, "old", HEALTHY, requires="fernamt<1")
    install(plugins, "twice", HEALTHY)
    install(plugins / "other", "twice", HEALTHY, distribution="fernamt-twice-again")
    channels = ["healthy", *BROKEN, "old", "twice", "nobody"]
    configuration = "".join(f'[channels.{name}]\nkind = "{name}"\n' for name in channels)
    with running(Daemon(folder, free_port(), configuration, plugins, plugins / "other")) as daemon:
        yield daemon


def standing(daemon: Daemon) -> dict[str, dict[str, str]]:
    return {channel["id"]: channel for channel in daemon.told("channels")}


@pytest.fixture(scope="module")
def channels(daemon: Daemon) -> dict[str, dict[str, str]]:
    """What the operator is shown once every channel has had its chance."""
    until(lambda: standing(daemon)["runs"]["state"] == "down")
    return standing(daemon)


def test_the_healthy_one_works(daemon: Daemon) -> None:
    assert post(f"{daemon.url}/in/healthy/hook", b"k1 hello", {}) == 200
    assert post(f"{daemon.url}/in/healthy/hook", b"k1 hello", {}) == 200
    assert [line["channel"] for line in daemon.told("inbox")] == ["healthy"]
    assert daemon.say("reply", "1", "hello back", "--wait").returncode == 0
    assert standing(daemon)["healthy"]["state"] == "up"


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_one_is_named_with_its_version_its_cause_and_the_next_step(
    channels: dict[str, dict[str, str]], name: str
) -> None:
    reason = channels[name]["reason"]

    assert channels[name]["state"] == "down"
    assert all(words in reason for words in BROKEN[name][1]), reason
    if name not in {"builds", "runs"}:  # these fail as channels, not as plugins
        assert f"fernamt-{name} 1.2" in reason


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("old", "written for fernamt<1"),
        ("twice", "fernamt-twice 1.2 and fernamt-twice-again 1.2 claim the same name"),
        ("nobody", "pip install fernamt-nobody"),
    ],
)
def test_what_its_metadata_says_refuses_it_before_it_is_imported(
    channels: dict[str, dict[str, str]], name: str, cause: str
) -> None:
    assert cause in channels[name]["reason"]


def test_the_list_of_plugins_says_the_same_without_the_daemon(daemon: Daemon) -> None:
    shown = daemon.say("plugins").stdout

    assert "no_such_module" in shown
    assert "fernamt-twice-again" in shown
