"""``fernamt sms count``: what a person and a program are told."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from pathlib import Path

import pytest

from fernamt import FernamtError
from fernamt_sms.count import count

LONG = "„Ihr Paket“ ist da – bitte holen Sie es bis Freitag um 18 Uhr ab, sonst geht es zurück."


def test_a_person_reads_why_a_text_is_long_and_what_it_costs(capsys: pytest.CaptureFixture[str]) -> None:
    assert count(LONG, price=Decimal("0.075")) == 0

    assert capsys.readouterr().out.splitlines() == [
        "encoding  UCS-2, 16 bits",
        "because   „ U+201E DOUBLE LOW-9 QUOTATION MARK",
        "because   “ U+201C LEFT DOUBLE QUOTATION MARK",
        "because   – U+2013 EN DASH",
        "parts     2 (70 units in one, 67 in each of several)",
        "units     87, and 47 more fit into the last part",
        "advice    1 part with --plain-characters, plain_characters = true",
        "cost      0.150 (2 at 0.075)",
    ]


def test_what_is_replaced_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert count(LONG, plain_characters=True) == 0

    assert capsys.readouterr().out.splitlines() == [
        "encoding  GSM alphabet, 7 bits",
        "replaced  „ U+201E DOUBLE LOW-9 QUOTATION MARK by '\"', once",
        "replaced  “ U+201C LEFT DOUBLE QUOTATION MARK by '\"', once",
        "replaced  – U+2013 EN DASH by '-', once",
        "parts     1 (160 units in one, 153 in each of several)",
        "units     87, and 73 more fit into the last part",
    ]


def test_of_many_reasons_a_few_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    count("абвгдежзиклм\x1b\u0308")

    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("because")][-1] == (
        "because   of 6 more characters"
    )


def test_a_program_reads_the_same(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(LONG))

    assert count("-", price=Decimal(0), json=True) == 0

    said = json.loads(capsys.readouterr().out)
    assert {**said, "parts": [part["units"] for part in said["parts"]], "forcing": len(said["forcing"])} == {
        "encoding": "ucs-2",
        "parts": [67, 20],
        "units": 87,
        "left": 47,
        "forcing": 3,
        "replaced": [],
        "plain_parts": 1,
        "price": "0",
        "cost": "0",
        "costs": [],
    }


PRICES = """
[channels.shop-sms]
kind = "sms.http"
[channels.shop-sms.prices]
currency = "EUR"
"+49" = "0.0750"
"+436" = "0.09"
"+" = "0.15"
[channels.free-sms]
kind = "sms.http"
[channels.home-sms]
kind = "sms.http"
[channels.home-sms.prices]
currency = "CHF"
"+41" = "0.05"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "fernamt.toml"
    file.write_text(PRICES)
    return file


def costs(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line[10:] for line in capsys.readouterr().out.splitlines() if line.startswith("cost")]


def test_what_a_channel_costs_is_said_for_a_number_or_for_all(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    count(LONG, channel="shop-sms", to="+49 170 1234567", config=config)
    assert costs(capsys) == ["0.1500 EUR to +49 (2 at 0.0750)"]
    count(LONG, channel="shop-sms", to="+436601234567", config=config)
    assert costs(capsys) == ["0.18 EUR to +436 (2 at 0.09)"]
    count(LONG, channel="shop-sms", to="+4312345678", config=config)
    assert costs(capsys) == ["0.30 EUR to all others (2 at 0.15)"]
    count(LONG, channel="shop-sms", config=config)
    assert costs(capsys) == [
        "0.1500 EUR to +49 (2 at 0.0750)",
        "0.18 EUR to +436 (2 at 0.09)",
        "0.30 EUR to all others (2 at 0.15)",
    ]


def test_a_program_reads_the_costs_exactly(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    count(LONG, channel="shop-sms", to="+491701234567", config=config, json=True)
    assert json.loads(capsys.readouterr().out)["costs"] == [
        {"beginning": "+49", "price": "0.0750", "cost": "0.1500", "currency": "EUR"}
    ]


@pytest.mark.parametrize(
    ("channel", "to", "says"),
    [
        ("", "+491701234567", "say by which channel"),
        ("free-sms", "", "the channel has no prices: write"),
        ("home-sms", "+491701234567", "no price of"),
        ("home-sms", "0170 1234567", "no country code"),
        ("shop", "", "there is no such channel"),
    ],
)
def test_a_cost_that_cannot_be_said_is_an_error_with_the_remedy(channel: str, to: str, says: str, config: Path) -> None:
    with pytest.raises(FernamtError, match=says):
        count(LONG, channel=channel, to=to, config=config)


@pytest.mark.parametrize("as_json", [False, True])
def test_nothing_of_a_text_steers_the_terminal(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    count("\x1b[2J\u202e\x07\ud800", json=as_json)

    assert not set(capsys.readouterr().out) & {"\x1b", "\u202e", "\x07", "\ud800"}
