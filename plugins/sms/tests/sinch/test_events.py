"""What Sinch's words mean, where no recording says it."""

from __future__ import annotations

import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fernamt import (
    DeliveryState,
    Ignored,
    NeedsLogin,
    Receipt,
    Received,
    Rejected,
    Throttled,
    Unparsable,
    Unparsed,
    Unreachable,
)
from fernamt_sms.outcome import Class, Meaning, error
from fernamt_sms.sinch.codes import ANSWERS, RECEIPTS, of_answer
from fernamt_sms.sinch.events import listed, read

from ..anything import values
from ..sentences import check_sentences
from .fake import error as problem

ID = "01FC66621XXXXX119Z8PMV1QPQ"
IN: dict[str, Any] = {
    "type": "mo_text",
    "id": ID,
    "from": "4915112345678",
    "to": "493023125000",
    "body": "Hallo",
    "received_at": "2026-11-30T12:00:00.000Z",
}
MEDIA: dict[str, Any] = {**IN, "type": "mo_media", "body": {"media": []}}
OUT: dict[str, Any] = {
    "type": "recipient_delivery_report_sms",
    "batch_id": ID,
    "recipient": "4915112345678",
    "status": "Delivered",
    "code": 0,
    "at": "2026-11-30T12:00:00.000Z",
    "client_reference": "k1",
}


def meant(said: Any) -> Any:
    [found] = read(orjson.dumps(said), "")
    return found


BROKEN: dict[str, Any] = {
    "no id": {**IN, "id": None},
    "no sender": {**IN, "from": ""},
    "no words": {**IN, "body": None},
    "words that are none": {**IN, "body": {"no": "text"}},
    "a picture in words": {**MEDIA, "body": "text"},
    "another type": {**IN, "type": "mo_telex"},
    "no type": {**IN, "type": None},
    "no batch": {**OUT, "batch_id": None},
    "another status": {**OUT, "status": "Evaporated"},
    "a list": [IN],
}


@pytest.mark.parametrize("said", BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_read_is_kept_and_quoted_nowhere(said: Any) -> None:
    found = meant(said)
    assert isinstance(found, Unparsed)
    assert "4915112345678" not in found.reason


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("Dispatched", DeliveryState.SENT),
        ("DISPATCHED", DeliveryState.SENT),
        ("Delivered", DeliveryState.DELIVERED),
        ("Aborted", DeliveryState.FAILED),
        ("Cancelled", DeliveryState.FAILED),
        ("Rejected", DeliveryState.FAILED),
        ("Deleted", DeliveryState.FAILED),
        ("Failed", DeliveryState.FAILED),
        ("Expired", DeliveryState.FAILED),
    ],
)
def test_a_status_is_a_receipt(status: str, state: DeliveryState) -> None:
    found = meant({**OUT, "status": status})
    assert isinstance(found, Receipt)
    assert (found.state, found.id, found.message_key, found.error is not None) == (
        state,
        ID,
        "k1",
        state is DeliveryState.FAILED,
    )


@pytest.mark.parametrize("status", ["Queued", "Unknown"])
def test_a_status_that_says_nothing_new_is_no_receipt(status: str) -> None:
    assert meant({**OUT, "status": status}) == Ignored(reason=f"the status {status.upper()}")


def test_a_call_and_the_list_give_the_same() -> None:
    assert [meant(IN), meant(OUT)] == listed([IN, OUT], "")


def test_one_bad_element_of_a_list_spoils_nothing() -> None:
    assert [type(one) for one in listed([IN, {}, OUT], "")] == [Received, Unparsed, Receipt]


@pytest.mark.parametrize("said", [IN, MEDIA, OUT], ids=["a message", "a picture", "a report"])
def test_what_we_read_is_what_sinchs_library_reads(said: dict[str, Any]) -> None:
    from .theirs import SmsSinchEvent

    theirs: Any = SmsSinchEvent().parse_event(orjson.dumps(said).decode())
    ours = meant(said)
    assert ours.id == (theirs.id if isinstance(ours, Received) else theirs.batch_id)
    assert ours.at == (theirs.received_at if isinstance(ours, Received) else theirs.at)


ANSWERS_SEEN: list[tuple[int, str, type[Exception], str]] = [
    (400, "syntax_constraint_violation", Rejected, "not as Sinch wants it"),
    (400, "new_code", Rejected, "refused the message"),
    (401, "", NeedsLogin, "does not accept"),
    (402, "", NeedsLogin, "balance"),
    (403, "forbidden", NeedsLogin, "may not do that"),
    (403, "missing_callback_url", NeedsLogin, "public_url"),
    (429, "too_many_requests", Throttled, "more messages"),
    (429, "", Throttled, "more requests"),
    (500, "", Unreachable, "has trouble"),
    (503, "forbidden", Unreachable, "has trouble"),
    (302, "", Unreachable, "not Sinch"),
]


@pytest.mark.parametrize(("http", "code", "kind", "says"), ANSWERS_SEEN)
def test_an_answer_has_a_class_and_a_sentence(http: int, code: str, kind: type[Exception], says: str) -> None:
    found = error(*of_answer(http, orjson.loads(problem(code)) if code else None))
    assert type(found) is kind
    assert says in found.reason
    assert not isinstance(found, Unreachable) or not found.certain


@pytest.mark.parametrize("table", [ANSWERS, RECEIPTS], ids=["answers", "receipts"])
def test_every_code_has_a_sentence(table: dict[str, Meaning]) -> None:
    check_sentences(table, "Sinch")
    assert not any(it.klass is Class.UNCERTAIN for it in table.values())


_VALUES = st.one_of(
    values(
        [ID, "mo_media", "mo_binary", "recipient_delivery_report_mms", "Aborted", "2026-11-30T12:00:00Z"],
        fields=["media", "message", "subject", "url", "content_type"],
    ),
    values([ID], fields=["url", "content_type"]).map(lambda it: {"media": it, "message": "x"}),
)
_CHANGED = st.dictionaries(st.sampled_from([*IN, *OUT]), _VALUES)


@given(_CHANGED, st.sampled_from([IN, MEDIA, OUT]))
def test_nothing_but_an_event_comes_of_any_json(changed: dict[str, Any], base: dict[str, Any]) -> None:
    assert isinstance(meant({**base, **changed}), Received | Receipt | Unparsed | Ignored)


@given(st.one_of(st.binary(max_size=60), _VALUES.map(orjson.dumps)))
def test_nothing_but_unparsable_comes_of_any_bytes(body: bytes) -> None:
    with contextlib.suppress(Unparsable):
        read(body, "DE")
