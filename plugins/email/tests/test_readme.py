"""The page that people read says what the code does."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from fernamt import Secret
from fernamt_email.settings import (
    ImapSettings,
    LayoutSettings,
    ListenerSettings,
    MailSettings,
    OAuthSettings,
    SmtpSettings,
)

KINDS: dict[str, type[MailSettings]] = {"email.imap": ImapSettings, "email.listener": ListenerSettings}


@pytest.fixture(scope="module")
def readme() -> str:
    beside = Path(__file__).parents[1] / "README.md"
    if beside.exists():
        return beside.read_text()
    return importlib.metadata.metadata("fernamt-email")["Description"]  # the tests run alone, beside a wheel


def filled(section: type[Any], values: dict[str, Any]) -> Any:
    """Return the section, its secrets as the core would give them."""
    known: dict[str, Callable[[Any], Any]] = {
        "password": Secret,
        "smtp": lambda smtp: filled(SmtpSettings, smtp),
        "aliases": tuple,
    }
    return section(**{name: known[name](value) if name in known else value for name, value in values.items()})


def test_the_examples_are_complete(readme: str) -> None:
    examples = re.findall(r"```toml\n(.*?)```", readme, re.DOTALL)
    kinds = []
    for example in examples:
        [channel] = tomllib.loads(example)["channels"].values()
        kinds.append(channel.pop("kind"))
        assert channel.pop("name")
        assert filled(KINDS[kinds[-1]], channel).address == "support@example.org"
    assert kinds == list(KINDS)


def test_the_layout_can_be_written_as_it_is_shown(readme: str) -> None:
    [example] = re.findall(r"```toml layout\n(.*?)```", readme, re.DOTALL)
    layout = tomllib.loads(example)["channels"]["support-mail"]["layout"]
    found = LayoutSettings(**{**layout, "agent_names": tuple(layout["agent_names"])})
    assert found.text_de.startswith("{text}\n\nMit")


def test_every_setting_is_in_a_table_with_its_default(readme: str) -> None:
    rows = {(key, said) for key, said in re.findall(r"^\| `(\w+)` \|[^|]*\| (.*) \|$", readme, re.MULTILINE)}
    fields = [
        field
        for section in (*KINDS.values(), SmtpSettings, OAuthSettings, LayoutSettings)
        for field in attrs.fields(section)
    ]
    assert rows == {(field.name, field.metadata["help"]) for field in fields}
    for field in fields:
        if isinstance(field.default, bool):
            assert re.search(rf"^\| `{field.name}` \| `{str(field.default).lower()}` \|", readme, re.MULTILINE), (
                field.name
            )
        elif isinstance(field.default, str | int | float) and field.default != "":
            shown = f'"{field.default}"' if isinstance(field.default, str) else f"{field.default:.10g}"
            assert re.search(rf"^\| `{field.name}` \| `{re.escape(shown)}` \|", readme, re.MULTILINE), field.name
        if field.default is attrs.NOTHING:
            assert re.search(rf"^\| `{field.name}` \| required \|", readme, re.MULTILINE), field.name
