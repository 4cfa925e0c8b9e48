"""``fernamt sms count``: what a person and a program are told."""

from __future__ import annotations

import io
import json
from decimal import Decimal

import pytest

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
    }


@pytest.mark.parametrize("as_json", [False, True])
def test_nothing_of_a_text_steers_the_terminal(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    count("\x1b[2J\u202e\x07\ud800", json=as_json)

    assert not set(capsys.readouterr().out) & {"\x1b", "\u202e", "\x07", "\ud800"}
