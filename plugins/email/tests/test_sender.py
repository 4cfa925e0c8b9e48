"""Whom a mail is from: who wrote, who asks for answers elsewhere, and whose mail a colleague passes on."""

from __future__ import annotations

import time

import pytest

from fernamt_email.forward import Forwarded, forwarded
from fernamt_email.mime import Part
from fernamt_email.sender import sender_of

ANN = ("Ann", "ann@customer.test")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("From: Ann <ann@customer.test>", ANN),
        ("From: Ann <ann@customer.test>\nReply-To: ann@customer.test", ANN),
        ("From: Shop form <form@shop.test>\nReply-To: Ann <ann@customer.test>", ANN),
        ("From: Ann <form@shop.test>\nReply-To: ann@customer.test", ANN),
        ("From: Ann <ann@customer.test>\nReply-To: a@x.test, b@x.test", ANN),
        ("From: Ann <ann@customer.test>\nReply-To: elsewhere@x.test\nAuto-Submitted: auto-replied", ANN),
        ("From: Ann <ann@customer.test>\nReply-To: all@list.test\nList-Id: <all.list.test>", ANN),
        ("From: 'Ann' via All <all@list.test>\nList-Id: <x>\nX-Original-From: Ann <ann@customer.test>", ANN),
        ("From: Ann via All <all@list.test>\nList-Id: <x>\nReply-To: ann@customer.test", ANN),
        (
            "From: Ann via All <all@list.test>\nTo: other@list.test\nList-Id: <x>\nReply-To: other@list.test",
            ("Ann via All", "all@list.test"),
        ),
        ("Reply-To: Ann <ann@customer.test>", ANN),
        ("Subject: nobody", ("", "")),
    ],
)
def test_who_gets_the_answer(fields: str, expected: tuple[str, str]) -> None:
    found = sender_of(Part(f"{fields}\n\nHi\n".encode()).headers)
    assert (found.name, found.address) == expected


@pytest.mark.parametrize(
    ("subject", "text", "expected"),
    [
        (
            "WG: Paket",
            (
                "Bitte übernehmen.\n\n________________________________\nVon: Ann Weber <ann@customer.test>\n"
                "Gesendet: Montag, 30. November 2026 10:00\nAn: Chef <chef@example.org>\nBetreff: Paket\n\nWo ist es?\n"
            ),
            Forwarded("Ann Weber", "ann@customer.test", "Paket"),
        ),
        (
            "Fwd: Parcel",
            "---------- Forwarded message ---------\nFrom: Ann Weber <ann@customer.test>\nDate: Mon\n\nHi\n",
            Forwarded("Ann Weber", "ann@customer.test", "Parcel"),
        ),
        (
            "Fwd: Parcel",
            'Begin forwarded message:\n\n> From: "Weber, Ann" <ann@customer.test>\n> Subject: Parcel\n',
            Forwarded("Weber, Ann", "ann@customer.test", "Parcel"),
        ),
        (
            "FW: Parcel",
            "From: Ann [mailto:ann@customer.test]\nSent: Monday\n",
            Forwarded("Ann", "ann@customer.test", "Parcel"),
        ),
        ("FW: Parcel", "*From:* Ann <ann@customer.test>\n", Forwarded("Ann", "ann@customer.test", "Parcel")),
        (
            "TR: Colis",
            "Pouvez-vous répondre ?\n\n---------- Message transféré ---------\nDe : Ann <ann@customer.test>\n",
            Forwarded("Ann", "ann@customer.test", "Colis"),
        ),
        (
            "Pakket",
            "---------- Doorgestuurd bericht ---------\nVan: Ann <ann@customer.test>\n",
            Forwarded("Ann", "ann@customer.test", "Pakket"),
        ),
        (
            "WG: Paket",
            "Siehe unten: bob@example.org\n\nVon: Ann <ann@customer.test>\n",
            Forwarded("Ann", "ann@customer.test", "Paket"),
        ),
        ("Re: Parcel", "Yes.\n\nVon: Ann <ann@customer.test>\nGesendet: Montag\n", None),
        ("WG: Paket", "Kein Kopf.\n", None),
        ("WG: Paket", "Von: Ann\n", None),
    ],
)
def test_who_wrote_what_is_passed_on(subject: str, text: str, expected: Forwarded | None) -> None:
    assert forwarded(subject, text) == expected


@pytest.mark.parametrize("text", ["-" * 60_000, "> " * 30_000, "From: " + "a" * 60_000, "From: @" * 9_000])
def test_a_text_that_was_made_to_keep_us_busy_does_not(text: str) -> None:
    began = time.process_time()
    forwarded("WG: x", text)
    assert time.process_time() - began < 1.0
