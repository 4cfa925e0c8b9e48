"""What Vonage's words mean, where no recording says it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fernamt import (
    Consent,
    DeliveryState,
    NeedsLogin,
    OptedOut,
    Receipt,
    Received,
    Rejected,
    Throttled,
    Unparsable,
    Unparsed,
    Unreachable,
)
from fernamt_sms.outcome import Class, Meaning, error
from fernamt_sms.vonage.codes import ANSWERS, MESSAGES, RECEIPTS, of_answer, of_sms_answer
from fernamt_sms.vonage.events import messages, receipts, sms, statuses

from ..anything import values
from ..lines import ANN
from ..sentences import check_sentences
from .fake import problem

UUID = "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab"
IN: dict[str, Any] = {
    "channel": "sms",
    "message_uuid": UUID,
    "from": "4915112345678",
    "to": "493023125000",
    "timestamp": "2026-11-30T12:00:00.000Z",
    "message_type": "text",
    "text": "Hallo",
}
STATUS: dict[str, Any] = {"message_uuid": UUID, "status": "delivered", "client_ref": "k1"}
SMS = {"msisdn": "4915112345678", "to": "493023125000", "messageId": "0A1", "text": "Hallo", "type": "text"}
PIECE = {**SMS, "concat": "true", "concat-ref": "7", "concat-total": "3", "concat-part": "1"}
RECEIPT = {"msisdn": "4915112345678", "messageId": "0A1", "status": "delivered", "err-code": "0", "client-ref": "k1"}

BROKEN: dict[str, dict[str, Any]] = {
    "no id": {**IN, "message_uuid": None},
    "no sender": {**IN, "from": ""},
    "no words": {**IN, "text": None},
    "words that are none": {**IN, "text": {"no": "text"}},
    "another channel": {**IN, "channel": "viber_service"},
    "another type": {**IN, "message_type": "location"},
    "a picture without an address": {**IN, "channel": "mms", "message_type": "image", "image": {"name": "a.jpg"}},
}


@pytest.mark.parametrize("said", BROKEN.values(), ids=BROKEN)
def test_what_is_no_message_is_kept_and_quoted_nowhere(said: dict[str, Any]) -> None:
    [found] = messages(orjson.dumps(said), "")
    assert isinstance(found, Unparsed)
    assert "4915112345678" not in found.reason


BROKEN_SMS: dict[str, dict[str, Any]] = {
    "no id": {**SMS, "messageId": ""},
    "no sender": {**SMS, "msisdn": ""},
    "no words": {name: value for name, value in SMS.items() if name != "text"},
    "bytes": {**SMS, "type": "binary"},
    "a piece without a number": {**PIECE, "concat-part": "0"},
    "a piece of too many": {**PIECE, "concat-total": "256"},
    "a piece of nothing": {**PIECE, "concat-ref": ""},
}


@pytest.mark.parametrize("said", BROKEN_SMS.values(), ids=BROKEN_SMS)
def test_what_is_no_sms_is_kept_and_quoted_nowhere(said: dict[str, Any]) -> None:
    with pytest.raises(Unparsable) as why:
        sms(said, "")
    assert "4915112345678" not in str(why.value)


def test_two_people_whose_telephones_count_alike_are_not_mixed() -> None:
    [one], [other] = sms(PIECE, ""), sms({**PIECE, "msisdn": "4915187654321"}, "")
    assert isinstance(one, Received)
    assert isinstance(other, Received)
    assert one.part is not None
    assert other.part is not None
    assert one.part.group != other.part.group


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("submitted", DeliveryState.SENT),
        ("delivered", DeliveryState.DELIVERED),
        ("read", DeliveryState.READ),
        ("rejected", DeliveryState.FAILED),
        ("undeliverable", DeliveryState.FAILED),
    ],
)
def test_a_status_of_the_messages_api_is_a_receipt(said: str, state: DeliveryState) -> None:
    [found] = statuses(orjson.dumps({**STATUS, "status": said}))
    assert isinstance(found, Receipt)
    assert (found.state, found.message_key, found.error is not None) == (state, "k1", state is DeliveryState.FAILED)


def test_a_status_that_we_do_not_know_is_kept() -> None:
    [found] = statuses(orjson.dumps({**STATUS, "status": "evaporated"}))
    assert isinstance(found, Unparsed)
    with pytest.raises(Unparsable):
        receipts({**RECEIPT, "status": "evaporated"})


@pytest.mark.parametrize("title", ["1000", 1000], ids=["text", "number"])
def test_a_code_may_stand_in_the_title_alone(title: Any) -> None:
    said = {**STATUS, "status": "rejected", "error": {"type": "about:blank", "title": title}}
    [found] = statuses(orjson.dumps(said))
    assert isinstance(found, Receipt)
    assert isinstance(found.error, Throttled)


@pytest.mark.parametrize("at", ["2026-13-30 12:00:00", "0001-01-01 00:00:00", "soon", ""])
def test_a_time_that_is_none_spoils_nothing(at: str) -> None:
    [found] = sms({**SMS, "message-timestamp": at}, "")
    assert isinstance(found, Received)
    assert found.at is None


ANSWER_CASES: list[tuple[int, str, type[Exception], str]] = [
    (401, "unauthorized", NeedsLogin, "does not accept"),
    (402, "low-balance", NeedsLogin, "balance"),
    (403, "account-suspended", NeedsLogin, "suspended"),
    (422, "1120", NeedsLogin, "from this sender"),
    (422, "1240", OptedOut, "wrote STOP"),
    (422, "1170", Rejected, "this number"),
    (422, "1470", Rejected, "Fraud Defender"),
    (422, "9999", Rejected, "refused the message"),
    (429, "1000", Throttled, "more messages"),
    (429, "", Throttled, "more requests"),
    (500, "1030", Unreachable, "has trouble"),
    (503, "1240", Unreachable, "has trouble"),
    (302, "", Unreachable, "not Vonage"),
]


@pytest.mark.parametrize(("http", "code", "kind", "says"), ANSWER_CASES)
def test_an_answer_has_a_class_and_a_sentence(http: int, code: str, kind: type[Exception], says: str) -> None:
    meaning, read = of_answer(http, orjson.loads(problem(code)) if code else None)
    found = error(meaning, read)
    assert (type(found), read) == (kind, code)
    assert says in found.reason
    assert not isinstance(found, Unreachable) or not found.certain


def test_an_answer_of_the_sms_api_that_we_do_not_know_is_uncertain() -> None:
    found = error(of_sms_answer("77"), "77")
    assert isinstance(found, Unreachable)
    assert not found.certain


@pytest.mark.parametrize("table", [ANSWERS, RECEIPTS, MESSAGES])
def test_every_code_has_a_sentence(table: dict[str, Meaning]) -> None:
    assert len(table) > 20
    check_sentences(table, "Vonage")
    assert all(map(str.isdecimal, table))


def test_nobody_is_stopped_but_by_a_code_that_says_so() -> None:
    stopped = {
        code for table in (ANSWERS, RECEIPTS, MESSAGES) for code, it in table.items() if it.klass is Class.OPTED_OUT
    }
    assert stopped == {"9", "1240"}
    assert ANSWERS["9"].klass is Class.ACCOUNT


_VALUES = values(
    [UUID, ANN, "mms", "image", "content", "true", "rejected", "2026-11-30T12:00:00Z"],
    fields=["url", "caption", "type", "title"],
)
_MESSAGE = st.dictionaries(st.sampled_from([*IN, "image", "content"]), _VALUES).map(lambda it: {**IN, **it})
_STATUS = st.dictionaries(st.sampled_from([*STATUS, "error", "timestamp"]), _VALUES).map(lambda it: {**STATUS, **it})


@given(st.one_of(_MESSAGE, _STATUS, _VALUES))
def test_nothing_but_an_event_comes_of_any_json(said: Any) -> None:
    body = orjson.dumps(said)
    for event in (*messages(body, "DE"), *statuses(body)):
        assert isinstance(event, Received | Receipt | Unparsed | Consent)
        assert event.key


@given(st.binary(max_size=60))
def test_nothing_but_unparsable_comes_of_any_bytes(body: bytes) -> None:
    reads: list[Callable[[], object]] = [lambda: messages(body, ""), lambda: statuses(body)]
    for read in reads:
        with contextlib.suppress(Unparsable):
            read()


_FIELDS = st.dictionaries(st.sampled_from([*PIECE, *RECEIPT, "message-timestamp"]), st.text(max_size=10))


@given(_FIELDS.map(lambda it: {**PIECE, **it}), _FIELDS.map(lambda it: {**RECEIPT, **it}))
def test_nothing_but_unparsable_comes_of_any_parameters(piece: dict[str, str], receipt: dict[str, str]) -> None:
    reads: list[Callable[[], object]] = [lambda: sms(piece, ""), lambda: receipts(receipt)]
    for read in reads:
        with contextlib.suppress(Unparsable):
            read()
