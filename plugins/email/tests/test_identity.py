"""Whose mail it is: our addresses, tokens in them, and the ids of our own mails."""

from __future__ import annotations

import pytest
from attrs import evolve

from fernamt import ChannelId
from fernamt_email.address import normalised
from fernamt_email.identity import Identity

US = Identity(
    channel=ChannelId("support-mail"),
    address="support@example.org",
    aliases=frozenset({"info@example.org", "@shop.example"}),
    delimiter="+",
)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Ann@Example.ORG", "ann@example.org"),
        (" ann@example.org. ", "ann@example.org"),
        ("jörg@müller.example", "jörg@xn--mller-kva.example"),
        ("jo\u0308rg@example.org", "jörg@example.org"),
        ("ann@a..b", "ann@a..b"),
    ],
)
def test_one_person_has_one_spelling(written: str, expected: str) -> None:
    assert normalised(written) == expected


@pytest.mark.parametrize(
    ("address", "ours", "token"),
    [
        ("support@example.org", True, ""),
        ("Support+AB-12@Example.org", True, "ab-12"),
        ("info+ab-12@example.org", True, "ab-12"),
        ("anybody@shop.example", True, ""),
        ("anybody+t0@shop.example", True, "t0"),
        ("support+news letter@example.org", True, ""),
        (f"support+{'a' * 41}@example.org", True, ""),
        ("support2@example.org", False, ""),
        ("ann+ab-12@example.org", False, ""),
        ("support@other.example", False, ""),
        ("support", False, ""),
        ("@example.org", False, ""),
        ("", False, ""),
    ],
)
def test_our_addresses_and_their_tokens_are_known(address: str, ours: bool, token: str) -> None:
    assert (US.is_ours(address), US.token_in(address)) == (ours, token)


def test_our_name_may_hold_the_delimiter_itself() -> None:
    us = Identity(channel=ChannelId("m"), address="it-help@example.org", aliases=frozenset(), delimiter="-")
    assert us.token_in(us.reply_address("c1-9f")) == "c1-9f"
    assert not us.is_ours("it@example.org")


def test_a_reply_address_brings_its_token_back() -> None:
    assert US.reply_address("c1-9f") == "support+c1-9f@example.org"
    assert US.token_in(US.reply_address("c1-9f")) == "c1-9f"


def test_without_a_delimiter_there_are_no_reply_addresses() -> None:
    plain = Identity(channel=ChannelId("m"), address="a+b@example.org", aliases=frozenset(), delimiter="")
    assert plain.reply_address("c1") == "a+b@example.org"
    assert plain.is_ours("a+b@example.org")
    assert not plain.is_ours("a@example.org")
    assert plain.token_in("a+b@example.org") == ""


def test_our_message_ids_are_fixed_and_known_again() -> None:
    made = US.message_id("e1x")
    assert made == US.message_id("e1x")
    assert made != US.message_id("e2x")
    assert made.startswith("<e1x.")
    assert made.endswith("@example.org>")
    assert US.made(made)


@pytest.mark.parametrize(
    "other",
    ["<e1x.0000000000000000@example.org>", "<a@b>", "", "<e1x@example.org>", "<e1x.12345@example.org> <a@b>"],
)
def test_ids_of_others_are_not_ours(other: str) -> None:
    assert not US.made(other)


def test_another_channel_of_ours_makes_other_ids() -> None:
    sales = Identity(channel=ChannelId("sales"), address="support@example.org", aliases=frozenset(), delimiter="+")
    assert not US.made(sales.message_id("e1x"))


def test_who_knows_an_id_of_ours_cannot_make_the_next_one() -> None:
    guessed = evolve(US, secret="a guess").message_id("e2x")
    assert not evolve(US, secret="of the store").made(guessed)
    assert not evolve(US, secret="of the store").made(US.of_a_probe().message_id("e2x"))
    assert "of the store" not in repr(evolve(US, secret="of the store"))
