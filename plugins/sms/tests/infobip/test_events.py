"""What Infobip's words mean, where no recording says it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fernamt import (
    DeliveryState,
    Ignored,
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
from fernamt_sms.infobip.codes import DUPLICATE, ERRORS, STATUSES, of_answer, of_failure
from fernamt_sms.infobip.events import messages, receipts
from fernamt_sms.outcome import Class, Meaning, error

from ..anything import values
from ..sentences import check_sentences
from .fake import error as problem

ID = "817355170000000001"
IN: dict[str, Any] = {
    "messageId": ID,
    "from": "4915112345678",
    "to": "493023125000",
    "text": "Hallo",
    "receivedAt": "2026-11-30T13:00:00.000+0100",
}
OUT: dict[str, Any] = {
    "messageId": "k1",
    "to": "4915112345678",
    "status": {"groupId": 3, "name": "DELIVERED_TO_HANDSET"},
    "error": {"groupId": 0, "name": "NO_ERROR"},
    "doneAt": "2026-11-30T13:00:00.000+0100",
}


def told(*results: Any) -> list[Any]:
    return [*receipts(orjson.dumps({"results": results}))]


def came(*results: Any) -> list[Any]:
    return [*messages(orjson.dumps({"results": results}), "")]


BROKEN: dict[str, Any] = {
    "no id": {**IN, "messageId": None},
    "no sender": {**IN, "from": ""},
    "no words": {**IN, "text": None},
    "words that are none": {**IN, "text": {"no": "text"}},
    "nothing": {},
    "a text": "4915112345678",
}


@pytest.mark.parametrize("said", BROKEN.values(), ids=BROKEN)
def test_what_is_no_message_is_kept_and_spoils_nothing_beside_it(said: Any) -> None:
    first, second, third = came(IN, said, {**IN, "messageId": "2"})
    assert isinstance(second, Unparsed)
    assert "4915112345678" not in second.reason
    assert [type(first), type(third)] == [Received, Received]


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"results": {}}', b'"x"', b"{"])
def test_a_call_without_a_list_is_kept_whole(body: bytes) -> None:
    with pytest.raises(Unparsable):
        messages(body, "")
    with pytest.raises(Unparsable):
        receipts(body)


def test_an_empty_list_is_no_fault() -> None:
    assert came() == told() == []


@pytest.mark.parametrize(
    ("group", "name", "state"),
    [
        (3, "DELIVERED_TO_OPERATOR", DeliveryState.SENT),
        (3, "DELIVERED_TO_HANDSET", DeliveryState.DELIVERED),
        (2, "UNDELIVERABLE_NOT_DELIVERED", DeliveryState.FAILED),
        (4, "EXPIRED_EXPIRED", DeliveryState.FAILED),
        (5, "REJECTED_NETWORK", DeliveryState.FAILED),
        ("5", "REJECTED_SOURCE", DeliveryState.FAILED),
        (5, "REJECTED_BY_MOON", DeliveryState.FAILED),
    ],
)
def test_a_status_is_a_receipt(group: Any, name: str, state: DeliveryState) -> None:
    [found] = told({**OUT, "status": {"groupId": group, "name": name}})
    assert isinstance(found, Receipt)
    assert (found.state, found.id, found.message_key, found.error is not None) == (
        state,
        "k1",
        "k1",
        state is DeliveryState.FAILED,
    )


@pytest.mark.parametrize(
    ("group", "name"), [(1, "PENDING_ACCEPTED"), (1, "PENDING_NEW_WORD"), (4, "EXPIRED_DLR_UNKNOWN")]
)
def test_a_status_that_says_nothing_new_is_no_receipt(group: int, name: str) -> None:
    assert told({**OUT, "status": {"groupId": group, "name": name}}) == [Ignored(reason=f"the status {name}")]


def test_a_group_that_we_do_not_know_is_kept() -> None:
    [found] = told({**OUT, "status": {"groupId": 7, "name": "DELIVERED_TO_HANDSET"}})
    assert isinstance(found, Unparsed)


def test_what_is_first_with_the_operator_and_then_on_the_telephone_is_two_receipts() -> None:
    operator = {**OUT, "status": {"groupId": 3, "name": "DELIVERED_TO_OPERATOR"}}
    first, second = told(operator, OUT)
    assert (first.state, second.state) == (DeliveryState.SENT, DeliveryState.DELIVERED)
    assert first.key != second.key


FAILURES: list[tuple[str, str, type[Exception], str]] = [
    ("UNDELIVERABLE_NOT_DELIVERED", "EC_ABSENT_SUBSCRIBER", Rejected, "off or out of reach"),
    ("UNDELIVERABLE_REJECTED_OPERATOR", "EC_CONTENT_BLOCKED", OptedOut, "wrote STOP"),
    ("REJECTED_DESTINATION_BLOCKLISTED", "EC_BLACKLISTED_DESTINATIONADDRESS", Rejected, "on a list"),
    ("REJECTED_SOURCE", "", NeedsLogin, "from this sender"),
    ("REJECTED_SYSTEM_ERROR", "NO_ERROR", Unreachable, "did not take it"),
    ("UNDELIVERABLE_REJECTED_OPERATOR", "EC_LIMIT_REACHED", Throttled, "from this sender"),
    ("REJECTED_BY_MOON", "EC_MOON", Rejected, "was not delivered"),
]


@pytest.mark.parametrize(("status", "name", "kind", "says"), FAILURES)
def test_a_failure_has_a_class_and_a_sentence(status: str, name: str, kind: type[Exception], says: str) -> None:
    found = error(*of_failure(status, name))
    assert type(found) is kind
    assert says in found.reason


ANSWERS: list[tuple[int, str, type[Exception], str]] = [
    (400, "E400", Rejected, "refused the message"),
    (401, "E401", NeedsLogin, "does not accept"),
    (403, "E403", NeedsLogin, "does not accept"),
    (429, "E429", Throttled, "more requests"),
    (500, "E500", Unreachable, "has trouble"),
    (302, "", Unreachable, "not Infobip"),
]


@pytest.mark.parametrize(("http", "code", "kind", "says"), ANSWERS)
def test_an_answer_has_a_class_and_a_sentence(http: int, code: str, kind: type[Exception], says: str) -> None:
    meaning, read = of_answer(http, orjson.loads(problem(code)) if code else None)
    found = error(meaning, read)
    assert (type(found), read) == (kind, code)
    assert says in found.reason


@pytest.mark.parametrize("said", [{"errorCode": 5}, {"errorCode": "Ann 0151"}, {"errorCode": "E" * 9}, [], None])
def test_a_code_of_another_form_is_not_repeated(said: Any) -> None:
    assert of_answer(400, said)[1] == ""


@pytest.mark.parametrize("table", [STATUSES, ERRORS], ids=["statuses", "errors"])
def test_every_name_has_a_sentence(table: Mapping[str, Meaning]) -> None:
    assert len(table) > 20
    check_sentences(table, "Infobip")
    for name, meaning in table.items():
        assert name.isupper()
        assert meaning.klass is not Class.UNCERTAIN
    assert DUPLICATE not in table


def test_nobody_is_stopped_but_by_a_name_that_says_so() -> None:
    stopped = {name for table in (STATUSES, ERRORS) for name, it in table.items() if it.klass is Class.OPTED_OUT}
    assert stopped == {"EC_CONTENT_BLOCKED"}


_VALUES = st.one_of(
    values(["1", "3", "DELIVERED_TO_OPERATOR", "EXPIRED_DLR_UNKNOWN"], fields=["groupId", "name"]),
    st.dictionaries(st.sampled_from(["groupId", "name"]), st.integers(0, 6) | st.text(max_size=5)),
)
_CHANGED = st.dictionaries(st.sampled_from([*IN, *OUT]), _VALUES)


@given(st.lists(_CHANGED, max_size=3))
def test_nothing_but_an_event_comes_of_any_element(changed: list[dict[str, Any]]) -> None:
    for found in (came(*({**IN, **one} for one in changed)), told(*({**OUT, **one} for one in changed))):
        assert len(found) == len(changed)
        assert all(isinstance(one, Received | Receipt | Unparsed | Ignored) for one in found)


@given(st.one_of(st.binary(max_size=60), _VALUES.map(orjson.dumps)))
def test_nothing_but_unparsable_comes_of_any_bytes(body: bytes) -> None:
    with contextlib.suppress(Unparsable):
        messages(body, "DE")
    with contextlib.suppress(Unparsable):
        receipts(body)
