"""The file for the homeserver, and the tokens in it; and that the page for people says what the code does."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path
from typing import Any

import attrs
import pytest

from fernamt import Secret
from fernamt_matrix.registration import registration
from fernamt_matrix.settings import MatrixSettings, PluginSettings

US = "@support:example.org"
URL = "https://desk.example.org/in/rooms/"


def test_the_registration_has_the_tokens_of_the_channel_and_is_private(tmp_path: Path) -> None:
    assert registration(US, URL, tmp_path) == 0
    written = (tmp_path / "registration.yaml").read_text()
    for name in ("as", "hs"):
        token = (tmp_path / f"{name}-token.txt").read_text().strip()
        assert len(token) > 40
        assert f'{name}_token: "{token}"' in written
    assert 'id: "fernamt-support"' in written
    assert 'url: "https://desk.example.org/in/rooms"\n' in written
    assert r'regex: "@support:example\\.org"' in written
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}


def test_what_is_there_is_not_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "hs-token.txt").write_text("ours")
    assert registration(US, URL, tmp_path) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["hs-token.txt"]
    assert "hs-token.txt: there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("user", "url", "said"),
    [
        ("support", URL, "no user"),
        ("@Support:example.org", URL, "no user"),
        ("@support:example.org\nx", URL, "no user"),
        (US, "https://desk.example.org", "no address"),
        (US, "desk.example.org/in/rooms", "no address"),
    ],
)
def test_what_cannot_be_is_refused(
    user: str, url: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert registration(user, url, tmp_path) == 2
    assert said in capsys.readouterr().err
    assert [*tmp_path.iterdir()] == []


def channel(**more: Any) -> MatrixSettings:
    tokens = {"as_token": Secret("a"), "hs_token": Secret("h")}
    known: dict[str, Any] = {"homeserver": "https://matrix.example.org", "user": US} | tokens | more
    return MatrixSettings(**known)


def test_a_channel_knows_its_parts() -> None:
    found = channel(user="@support:example.org:8448")
    assert (found.localpart, found.server, found.service) == ("support", "example.org:8448", "fernamt-support")


@pytest.mark.parametrize(
    "wrong", [{"homeserver": "matrix.example.org"}, {"homeserver": "https://a/b"}, {"user": "support"}]
)
def test_a_mistake_in_a_section_is_told_with_what_it_should_look_like(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="it must look like"):
        channel(**wrong)


def test_we_cannot_leave_before_it_is_solved() -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        PluginSettings(leave_after_h=-1)


@pytest.fixture(scope="module")
def readme() -> str:
    beside = Path(__file__).parents[1] / "README.md"
    if beside.exists():
        return beside.read_text()
    return importlib.metadata.metadata("fernamt-matrix")["Description"]  # the tests run alone, beside a wheel


def test_every_setting_is_in_a_table_and_the_example_is_complete(readme: str) -> None:
    rows = set(re.findall(r"^\| `(\w+)` \| *(?:`(.*?)`|required)? *\| (.*) \|$", readme, re.MULTILINE))
    fields = [field for section in (MatrixSettings, PluginSettings) for field in attrs.fields(section)]
    shown = {True: "true", 24.0: "24", attrs.NOTHING: "", "": ""}
    assert rows == {
        (field.name, shown.get(field.default, f"{field.default}"), field.metadata["help"]) for field in fields
    }
    [example] = re.findall(r"```toml\n(.*?)```", readme, re.DOTALL)
    written = tomllib.loads(example)["channels"]["rooms"]
    assert (written.pop("kind"), written.pop("name")) == ("matrix", "Chat")
    assert channel(**written | {"as_token": Secret("a"), "hs_token": Secret("h")}).user == US
