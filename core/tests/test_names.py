"""The names that we give out: nobody can make one, and each says what it is of."""

import base64
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fernamt._runtime.context import FOR_EVER
from fernamt._store.engine import Keys
from fernamt._store.names import Names, id_hash, sent_hash
from fernamt._store.reception import Line, key_hash
from fernamt.errors import BadSignature

OURS = Names(Keys(salt="ab12cd34", secret=b"s" * 32))
OTHERS = Names(Keys(salt="ffffffff", secret=b"t" * 32))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
numbers = st.integers(min_value=1, max_value=2**53)


@given(numbers)
def test_a_message_key_names_its_delivery_and_no_other_stores(number: int) -> None:
    key = OURS.message_key(number)
    assert key.isalnum()
    assert key == key.lower()
    assert OURS.delivery_of(key) == number
    assert OTHERS.delivery_of(key) == 0
    assert OURS.delivery_of(OURS.entry_key(number)) == 0


@pytest.mark.parametrize("key", ["", "ab12cd34", "ab12cd34d", "ab12cd34d-1", "ab12cd34d" + "z" * 13, "ab12cd34dÄ"])
def test_what_is_no_message_key_names_nothing(key: str) -> None:
    assert OURS.delivery_of(key) == 0


@given(numbers, st.booleans())
def test_a_reply_token_names_its_conversation_in_any_spelling(number: int, upper: bool) -> None:
    token = OURS.reply_token(number)
    assert len(token) <= 40
    assert all(letter in "abcdefghijklmnopqrstuvwxyz0123456789-" for letter in token)
    assert OURS.conversation_of(token.upper() if upper else token) == number
    assert OTHERS.conversation_of(token) == 0


@given(st.text(max_size=60))
def test_no_text_is_a_reply_token_by_chance(token: str) -> None:
    assert OURS.conversation_of(token) == 0


def test_a_signature_is_base32_as_the_library_writes_it() -> None:
    for number in range(200):
        name, _, mac = OURS.reply_token(number).partition("-")
        digest = hmac.digest(b"s" * 32, f"reply:{name}".encode(), "sha256")
        assert mac == base64.b32encode(digest[:10]).decode().lower()


def test_the_mac_of_one_conversation_does_not_open_another() -> None:
    _, mac = OURS.reply_token(1).split("-")
    assert OURS.conversation_of(f"2-{mac}") == 0
    assert OURS.conversation_of(f"01-{mac}") == 0
    assert OURS.conversation_of("1-\ud800") == 0


@given(st.text(max_size=40))
def test_what_was_signed_comes_back_in_time(value: str) -> None:
    token = OURS.sign(value, "channel:mail", NOW + timedelta(hours=1))
    assert OURS.unsign(token, "channel:mail", NOW) == value


def test_a_signed_value_is_refused_late_elsewhere_or_changed() -> None:
    token = OURS.sign("value", "channel:mail", NOW + timedelta(hours=1))
    for names, text, purpose, now in (
        (OURS, token, "channel:mail", NOW + timedelta(hours=1, seconds=1)),
        (OURS, token, "channel:chat", NOW),
        (OTHERS, token, "channel:mail", NOW),
        (OURS, f"{token}x", "channel:mail", NOW),
        (OURS, "", "channel:mail", NOW),
        (OURS, "ä.ö.ü", "channel:mail", NOW),
        (OURS, "\ud800.1.2", "channel:mail", NOW),
    ):
        with pytest.raises(BadSignature):
            names.unsign(text, purpose, now)


def test_an_events_key_and_a_providers_id_are_told_apart_by_channel_and_kind() -> None:
    lines = [Line(number=number, id="any") for number in (1, 2, 11)]
    hashes = {key_hash(line, "a") for line in lines} | {id_hash(1, "a"), id_hash(2, "a"), key_hash(lines[0], "1:a")}
    assert len(hashes) == 6


def test_what_is_signed_for_ever_is_the_same_each_time_and_holds_for_ever() -> None:
    token = OURS.sign("ids", "channel:mail", FOR_EVER)
    assert token == OURS.sign("ids", "channel:mail", FOR_EVER) != OTHERS.sign("ids", "channel:mail", FOR_EVER)
    assert OURS.unsign(token, "channel:mail", datetime(9999, 1, 1, tzinfo=UTC)) == "ids"


@pytest.mark.parametrize(
    ("one", "next_one", "side_by_side"),
    [
        ("000000a1f3", "000000a1f4", True),
        ("<ab12cd34e1k@shop.example>", "<ab12cd34e1m@shop.example>", True),
        ("ref-00a1@7f3c", "ref-00a2@d94e", True),
        ("000000a1f3", "000000b1f3", False),
        ("SM9b1c", "SM44f0", False),
        ("a", "b", True),
        ("", "@", True),
    ],
)
def test_ids_of_sent_messages_that_follow_one_another_stand_side_by_side(
    one: str, next_one: str, side_by_side: bool
) -> None:
    hashes = [sent_hash(1, one), sent_hash(1, next_one)]

    assert len({*hashes}) == 2
    assert (hashes[0][:4] == hashes[1][:4]) is side_by_side
    assert [it[4:] for it in hashes] == [id_hash(1, one), id_hash(1, next_one)]
    assert sent_hash(2, one)[:4] != hashes[0][:4]
