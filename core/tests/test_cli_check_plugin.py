"""`fernamt plugins check`: a plugin in a folder, its rules, waivers and tier."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from fernamt.cli import main, plugincheck
from fernamt.testing.rules import RULES

PROJECT = """
[project]
name = "fernamt-imagined"
version = "1.0"
"""
TESTS = """
from core.tests.conformance import mutants
from core.tests.conformance.right import RightSuite
from core.tests.conformance.right import Right

class TestImagined(RightSuite):
    connector = {connector}
"""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "tests").mkdir()
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", str(root))
    conformance = root / "core" / "tests" / "conformance"
    for name in ("recordings", "sent"):
        (tmp_path / "tests" / name).symlink_to(conformance / name)
    return tmp_path


def checked(
    plugin: Path, capsys: pytest.CaptureFixture[str], connector: str
) -> tuple[int, dict[str, dict[str, str]], str]:
    (plugin / "tests" / "test_conformance.py").write_text(TESTS.format(connector=connector))
    code = main(["plugins", "check", str(plugin), "--json"])
    said = json.loads(capsys.readouterr().out)
    assert said["trouble"] == ""
    assert len(said["rules"]) == len(RULES)
    return code, {one["rule"]: one for one in said["rules"]}, said["tier"]


def test_a_broken_silver_rule_leaves_bronze_and_says_what_to_do(
    plugin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (plugin / "quality.toml").write_text('[waived]\n"out.gives-ids" = ""\n"out.retry-after" = " "\n')

    code, rules, tier = checked(plugin, capsys, "mutants.WaitsAsItLikes")

    assert (code, tier) == (1, "none")
    assert "without a sentence" in rules["out.gives-ids"]["said"]
    assert {name for name, one in rules.items() if one["state"] == "broken"} == {"out.gives-ids", "out.retry-after"}


def test_a_waiver_with_a_sentence_counts_as_kept_and_is_shown(plugin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (plugin / "quality.toml").write_text('[waived]\n"out.retry-after" = "It only knows minutes."\n')

    code, rules, tier = checked(plugin, capsys, "mutants.WaitsAsItLikes")

    assert (code, tier) == (0, "silver")
    assert (rules["out.retry-after"]["state"], rules["out.retry-after"]["said"]) == ("waived", "It only knows minutes.")


def test_a_waiver_of_a_rule_that_there_is_not_leaves_no_tier(plugin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (plugin / "quality.toml").write_text('[waived.right]\n"out.retry-afer" = "It only knows minutes."\n')
    (plugin / "tests" / "test_conformance.py").write_text(TESTS.format(connector="Right"))

    assert main(["plugins", "check", str(plugin), "--badge"]) == 1
    assert capsys.readouterr().out == "fernamt conformance: none\n"


@pytest.mark.parametrize(
    ("project", "needed"),
    [
        ('[project.optional-dependencies]\ndev = ["pytest-asyncio>=1.4"]', r"install -e '.*\[dev\]'"),
        ('[dependency-groups]\ntest = ["pytest-asyncio>=1.4", {include-group = "x"}]', "install 'pytest-asyncio>=1.4'"),
        ("", "See them: pytest "),
    ],
)
def test_tests_that_lack_something_are_told_with_what_brings_it(tmp_path: Path, project: str, needed: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f"{PROJECT}{project}\n")
    shown = "ERROR: Unknown config option: asyncio_mode\n"

    said = plugincheck._why_not(tmp_path, tmp_path / "tests" / "test_conformance.py", shown)

    assert re.match(rf"The tests did not run: ERROR: Unknown config option: asyncio_mode\. .*{needed}", said)


def test_a_rule_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    for rule in RULES:
        assert main(["plugins", "check", "--explain", rule.id]) == 0
        assert "Why." in capsys.readouterr().out
    assert main(["plugins", "check", "--explain", "in.repeat-sam-key"]) == 2
    assert "Did you mean 'in.repeat-same-key'?" in capsys.readouterr().err


def test_what_cannot_be_checked_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "check", "fernamt-nowhere"]) == 1
    assert "fernamt-nowhere is not installed. Install it from its source first: " in capsys.readouterr().err
    assert main(["plugins", "check", str(tmp_path / "courier.py")]) == 2
    assert "a single file is tried with fernamt dev FILE" in capsys.readouterr().err
    assert main(["plugins", "check", str(tmp_path)]) == 2
    assert "its pyproject.toml names no project" in capsys.readouterr().err
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    assert main(["plugins", "check", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "has no conformance tests" in said
    assert "MenuConformance" in said
    (tmp_path / "pyproject.toml").write_text(f'{PROJECT}[project.entry-points.fernamt]\nimagined = "imagined"\n')
    assert main(["plugins", "check", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "fernamt-imagined is not installed here" in said
    assert re.search(rf"Install it first: .*pip install .*{tmp_path}$", said.strip())
