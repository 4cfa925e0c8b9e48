"""`fernamt menu` and `fernamt new menu`: what an author sees."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from fernamt.cli import main
from fernamt.cli.menus.drawing import mermaid, svg
from fernamt.menus import read_menu


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def shop(here: Path) -> Path:
    assert main(["new", "menu", "shop"]) == 0
    return here / "shop.toml"


def spoilt(shop: Path, right: str, wrong: str) -> None:
    text = shop.read_text()
    assert right in text
    shop.write_text(text.replace(right, wrong, 1))


def test_a_new_menu_is_right_and_its_callers_see_all_of_it(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["menu", "check", "shop.toml"]) == 0
    assert main(["menu", "test", "shop.toml", "--whole"]) == 0
    assert "8 callers, 0 problems; nodes 4 of 4, exits 9 of 9." in capsys.readouterr().err


def test_a_new_menu_overwrites_nothing(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = shop.read_text()
    assert main(["new", "menu", "shop"]) == 1
    assert main(["new", "menu", "Sh op"]) == 2
    assert shop.read_text() == before
    assert "is there already" in capsys.readouterr().err


def test_a_flaw_is_told_with_file_line_key_remedy_and_rule(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoilt(shop, ', en = "Thank you, we will be in touch."', "")
    line = 1 + shop.read_text()[: shop.read_text().index('done = { de = "Danke, wir melden uns."')].count("\n")
    capsys.readouterr()

    assert main(["menu", "check", "shop.toml"]) == 1
    told = capsys.readouterr()
    assert told.out.startswith(
        f"shop.toml:{line}: nodes.message.done: it says nothing in 'en'. Write it in every language [lang"
    )
    assert main(["menu", "check", "shop.toml", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["flaws"][0]["rule"], found["flaws"][0]["line"]) == (False, "language", line)


def test_mistakes_that_keep_it_from_running_are_flaws_too(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoilt(shop, 'to = "callback"', 'to = "calback"')
    spoilt(shop, "failed = ", "faild = ")
    capsys.readouterr()

    assert main(["menu", "check", "shop.toml"]) == 1
    told = capsys.readouterr().out
    assert "there is no node 'calback'. Did you mean 'callback'? [runs]" in told
    assert "nodes.message.faild: unknown key. Did you mean 'failed'? [runs]" in told


def test_what_a_channel_lacks_is_told(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["menu", "check", "shop.toml", "--without", "record"]) == 1
    assert "nodes.message: this channel cannot record" in capsys.readouterr().out


def test_callers_that_end_elsewhere_or_hear_something_else_are_told(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["menu", "test", "shop.toml", "--record"]) == 0
    spoilt(shop, "Danke, wir melden uns.", "Danke!")
    calls = shop.with_name("shop.calls.toml")
    calls.write_text(
        calls.read_text().replace(
            'does = ["press 1", "press 1"]\nends = "call-back"', 'does = ["press 2"]\nends = "person"'
        )
    )
    capsys.readouterr()

    assert main(["menu", "test", "shop.toml"]) == 1
    told = capsys.readouterr().out
    assert "german-callback: it ends as going on, and should as person" in told
    assert "+  de: Danke!" in told
    assert main(["menu", "test", "shop.toml", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["coverage"]["nodes_seen"] == 4
    assert [one["name"] for one in found["calls"] if one["problem"]] == ["german-callback"]


def test_what_nobody_has_seen_is_named(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop.with_name("few.toml").write_text('[calls.one]\ndoes = ["press 1", "press 1"]\nends = "call-back"\n')

    assert main(["menu", "test", "shop.toml", "--calls", "few.toml"]) == 0
    assert "nobody has seen: main option 2" in capsys.readouterr().out
    assert main(["menu", "test", "shop.toml", "--calls", "few.toml", "--whole"]) == 1


def test_callers_are_read_with_every_mistake(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop.with_name("bad.toml").write_text('[calls.one]\ndos = ["press 1"]\n[cals.two]\n')

    assert main(["menu", "test", "shop.toml", "--calls", "bad.toml"]) == 78
    told = capsys.readouterr().err
    assert "calls.one.dos: unknown key. Did you mean 'does'?" in told
    assert "cals: unknown key" in told


def test_a_menu_is_played_in_the_terminal(
    shop: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("\nnonsense\n/dance\n2\n/record\n"))

    assert main(["menu", "try", "shop.toml", "--language", "en"]) == 0
    told = capsys.readouterr()
    assert "I did not hear anything" in told.out
    assert "I did not understand that" in told.out
    assert "'dance' is nothing that a caller can do" in told.err
    assert told.err.endswith("It is over: message.\n")


def test_in_the_terminal_its_author_is_every_service(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import io

    (here / "hours.toml").write_text(
        'id = "hours"\nlanguages = ["de"]\nentry = "open"\nfallback = "bye"\n'
        '[nodes.open]\nkind = "hours"\nopen = "hello"\nclosed = "bye"\n'
        '[nodes.hello]\nkind = "hang-up"\nprompt.de = "Offen."\n[nodes.bye]\nkind = "hang-up"\nprompt.de = "Zu."\n'
    )
    heard = []
    for answer in ("true", "false", "", "open\n3\n{ is_open = true }"):
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{answer}\n"))
        assert main(["menu", "try", "hours.toml"]) == 0
        heard.append(capsys.readouterr().out.splitlines()[-2].strip())

    assert heard == ["de: Offen.", "de: Zu.", "de: Zu.", "de: Offen."]


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ('hours = "open"', "'open' is no answer to hours: write true, false, or { is_open = false"),
        ("hours = { open = true }", "is no answer to hours"),
        ('hours = { is_open = false, changes_at = "tomorrow" }', "is no answer to hours"),
        ("hours = true", ""),
        ('hours = { is_open = false, reason = "closed", changes_at = 2026-12-01T08:00:00+01:00 }', ""),
    ],
)
def test_an_answer_that_no_service_would_give_is_told_with_how_it_is_written(
    here: Path, capsys: pytest.CaptureFixture[str], answers: str, problem: str
) -> None:
    (here / "hours.toml").write_text(
        'id = "hours"\nlanguages = ["de"]\nentry = "open"\nfallback = "bye"\n'
        '[nodes.open]\nkind = "hours"\nopen = "bye"\nclosed = "bye"\n[nodes.bye]\nkind = "hang-up"\nprompt.de = "Zu."\n'
    )
    (here / "hours.calls.toml").write_text(f'[calls.one]\ndoes = []\nends = "goodbye"\nanswers = {{ {answers} }}\n')

    assert main(["menu", "test", "hours.toml"]) == (1 if problem else 0)
    assert problem in capsys.readouterr().out


def test_a_menu_is_shown_as_mermaid_as_svg_and_as_json(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["menu", "show", "shop.toml"]) == 0
    drawn = capsys.readouterr().out
    assert drawn.startswith("flowchart LR\n")
    assert 'n0 -->|"1 Rückruf"| n1' in drawn
    assert main(["menu", "show", "shop.toml", "--svg", "shop.svg"]) == 0
    texts = [one.text for one in ET.parse(shop.with_name("shop.svg")).iter("{http://www.w3.org/2000/svg}text")]
    assert {"main", "callback", "message", "goodbye"} <= {*texts}
    capsys.readouterr()
    assert main(["menu", "show", "shop.toml", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["nodes"][0]["exits"]["option 1"] == "callback"


def test_boxes_of_a_picture_lie_apart_and_every_node_has_one(shop: Path) -> None:
    definition = read_menu(shop).definition
    boxes = [
        (float(one.get("x", 0)), float(one.get("y", 0)))
        for one in ET.fromstring(svg(definition)).iter("{http://www.w3.org/2000/svg}rect")
    ]

    assert len(boxes) == len(set(boxes)) == len(definition.nodes)
    assert mermaid(definition) == mermaid(definition)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("no-such.toml", "there is no such file"),
        ("nowhere.main", "it is not installed"),
        ("nowhere", "it is not installed"),
    ],
)
def test_a_menu_that_is_not_there_is_told(name: str, says: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["menu", "show", name]) in (2, 78)
    assert says in capsys.readouterr().err


def test_whoever_runs_the_daemon_needs_no_pytest_to_play_a_menu() -> None:
    command = "import sys, fernamt.testing, fernamt.cli.menus.trying; print('pytest' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)

    assert said.stdout == "False\n"


LINE = """
from attrs import frozen
from fernamt import Capabilities, OutboundMessage, Registry, Sent, Unsupported, Voice, hookimpl

@frozen(kw_only=True)
class Settings:
    pass

class Line:
    def __init__(self, channel, context):
        pass
    def capabilities(self):
        return Capabilities(voice=Voice(transfer=True, record=False, speech=True))
    async def send(self, message: OutboundMessage) -> Sent:
        raise Unsupported("a telephone")

@hookimpl
def fernamt_register(registry: Registry) -> None:
    registry.connector("line", settings=Settings, factory=Line, about="A line")
"""


def test_what_a_bound_channel_cannot_do_is_told(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder, name, text in (("plugins.d", "line.py", LINE), ("menus.d", "shop.toml", shop.read_text())):
        shop.with_name(folder).mkdir()
        (shop.with_name(folder) / name).write_text(text)
    for menu in ("menus.shop", "menus.other"):
        shop.with_name("fernamt.toml").write_text(f'[channels.trunk]\nkind = "line"\nmenu = "{menu}"\n')
        capsys.readouterr()
        code = main(["menu", "check", "menus.d/shop.toml"])
        told = capsys.readouterr().out
        assert (code, "trunk cannot record" in told) == ((1, True) if menu == "menus.shop" else (0, False))
    assert main(["menu", "check", "menus.shop"]) == 0
