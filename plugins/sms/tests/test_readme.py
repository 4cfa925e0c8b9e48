"""The page that people read says what the code does."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path

import attrs
import pytest

from fernamt.testing import settings_table
from fernamt_sms.http.settings import (
    ErrorSettings,
    HttpSettings,
    InboundSettings,
    MessageSettings,
    ReceiptSettings,
    SendSettings,
)
from fernamt_sms.infobip.settings import InfobipSettings
from fernamt_sms.kannel.settings import KannelSettings
from fernamt_sms.messagebird.settings import MessageBirdSettings
from fernamt_sms.settings import SmsSettings
from fernamt_sms.sinch.settings import SinchSettings
from fernamt_sms.smpp.settings import SmppSettings, StatusSettings
from fernamt_sms.telnyx.settings import TelnyxSettings
from fernamt_sms.twilio.settings import TwilioSettings
from fernamt_sms.vonage.settings import VonageSettings

KINDS: dict[str, type[SmsSettings]] = {
    "sms.http": HttpSettings,
    "sms.infobip": InfobipSettings,
    "sms.kannel": KannelSettings,
    "sms.messagebird": MessageBirdSettings,
    "sms.sinch": SinchSettings,
    "sms.smpp": SmppSettings,
    "sms.telnyx": TelnyxSettings,
    "sms.twilio": TwilioSettings,
    "sms.vonage": VonageSettings,
}
TABLES: dict[str, type[object]] = {
    "send": SendSettings,
    "inbound": InboundSettings,
    "message": MessageSettings,
    "receipt": ReceiptSettings,
    "errors": ErrorSettings,
}


@pytest.fixture(scope="module")
def readme() -> str:
    beside = Path(__file__).parents[1] / "README.md"
    if beside.exists():
        return beside.read_text()
    return importlib.metadata.metadata("fernamt-sms")["Description"]  # the tests run alone, beside a wheel


def own(kind: type[SmsSettings]) -> str:
    """Return the table of what a kind has beside the keys of every kind."""
    common = {field.name for field in attrs.fields(SmsSettings)}
    rows = settings_table(kind).splitlines()
    return "\n".join(row for row in rows if not any(row.startswith(f"| `{name}` ") for name in common))


def test_the_table_of_every_kind_is_current(readme: str) -> None:
    table = settings_table(SmsSettings)
    assert table in readme, f"put this into README.md:\n{table}"


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_of_a_kind_is_current(kind: str, readme: str) -> None:
    table = own(KINDS[kind])
    assert f"Of `{kind}`:\n\n{table}" in readme, f"put this into README.md:\n{table}"


@pytest.mark.parametrize("name", TABLES)
def test_the_table_of_a_table_is_current(name: str, readme: str) -> None:
    table = settings_table(TABLES[name])
    assert f"Of the table `{name}` of `sms.http`:\n\n{table}" in readme, f"put this into README.md:\n{table}"


def test_the_table_of_statuses_is_current(readme: str) -> None:
    table = settings_table(StatusSettings)
    assert f"Of the table `errors` of `sms.smpp`:\n\n{table}" in readme, f"put this into README.md:\n{table}"


@pytest.mark.parametrize("kind", KINDS)
def test_there_is_an_example_of_a_kind_that_names_what_it_needs(kind: str, readme: str) -> None:
    channels = [
        channel
        for block in re.findall(r"```toml\n(.*?)```", readme, re.DOTALL)
        for channel in tomllib.loads(block).get("channels", {}).values()
    ]
    [example] = [one for one in channels if one.get("kind") == kind]
    needed = {field.name for field in attrs.fields(KINDS[kind]) if field.default is attrs.NOTHING}
    assert needed <= set(example) <= {field.name for field in attrs.fields(KINDS[kind])} | {"kind", "name"}
