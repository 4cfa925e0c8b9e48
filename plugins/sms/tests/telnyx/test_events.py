"""What Telnyx's words mean, where no recording says it."""

from __future__ import annotations

import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fernamt import (
    Consent,
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
    Unsupported,
)
from fernamt_sms.outcome import Class, error
from fernamt_sms.telnyx.codes import CODES, of_answer, of_error
from fernamt_sms.telnyx.events import read

from ..anything import values
from ..lines import URL
from ..sentences import check_sentences
from .fake import errors

RECEIPTS = f"{URL}receipts"
ID = "7ee4241c-f127-47e5-9c34-3aac291f8058"
IN: dict[str, Any] = {"id": ID, "type": "SMS", "from": {"phone_number": "+4915112345678"}, "text": "Hallo", "media": []}
OUT: dict[str, Any] = {
    "id": ID,
    "to": [{"phone_number": "+4915112345678", "status": "delivered"}],
    "webhook_url": f"{RECEIPTS}?key=k1",
    "errors": [],
}


def meant(payload: Any, kind: Any = "message.received") -> Any:
    return read(orjson.dumps({"data": {"event_type": kind, "payload": payload}}), "", receipts=RECEIPTS)


BROKEN: dict[str, tuple[Any, Any]] = {
    "no id": ({**IN, "id": None}, "message.received"),
    "no sender": ({**IN, "from": {}}, "message.received"),
    "no words": ({**IN, "text": None}, "message.received"),
    "another channel": ({**IN, "type": "WHATSAPP"}, "message.received"),
    "a picture without an address": ({**IN, "media": [{}]}, "message.received"),
    "another event": (IN, "message.evaporated"),
    "no event": (IN, None),
    "no payload": (None, "message.received"),
    "nobody": ({**OUT, "to": []}, "message.finalized"),
    "several": ({**OUT, "to": OUT["to"] * 2}, "message.finalized"),
    "another status": ({**OUT, "to": [{"status": "evaporated"}]}, "message.finalized"),
}


@pytest.mark.parametrize(("payload", "kind"), BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_read_is_kept_and_quoted_nowhere(payload: Any, kind: Any) -> None:
    [found] = meant(payload, kind)
    assert isinstance(found, Unparsed)
    assert "4915112345678" not in found.reason


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("sent", DeliveryState.SENT),
        ("delivery_unconfirmed", DeliveryState.SENT),
        ("delivered", DeliveryState.DELIVERED),
        ("sending_failed", DeliveryState.FAILED),
        ("delivery_failed", DeliveryState.FAILED),
        ("expired", DeliveryState.FAILED),
    ],
)
def test_a_status_is_a_receipt(status: str, state: DeliveryState) -> None:
    [found] = meant({**OUT, "to": [{"status": status}]}, "message.finalized")
    assert isinstance(found, Receipt)
    assert (found.state, found.id, found.message_key, found.error is not None) == (
        state,
        ID,
        "k1",
        state is DeliveryState.FAILED,
    )


@pytest.mark.parametrize("status", ["queued", "sending"])
def test_a_status_on_the_way_is_no_receipt(status: str) -> None:
    assert meant({**OUT, "to": [{"status": status}]}, "message.sent") == [Ignored(reason=f"the status {status}")]


@pytest.mark.parametrize(
    "address",
    ["", RECEIPTS, "https://other.example/?key=k1", f"{RECEIPTS}?other=1", f"{RECEIPTS}-of-others?key=k1"],
    ids=["none", "without a key", "of others", "another parameter", "like ours"],
)
def test_a_key_counts_only_in_our_own_address(address: str) -> None:
    [found] = meant({**OUT, "webhook_url": address}, "message.finalized")
    assert found.message_key == ""


def test_of_several_errors_the_first_counts_that_we_know() -> None:
    said = {**OUT, "to": [{"status": "delivery_failed"}], "errors": [{"code": "99999"}, {"code": "40002"}]}
    [found] = meant(said, "message.finalized")
    assert str(found.error) == "the network or Telnyx took it for spam (40002)"
    [found] = meant({**said, "errors": [{"code": "99999"}]}, "message.finalized")
    assert str(found.error) == "it was not delivered (99999)"


ANSWERS: list[tuple[int, str, str, type[Exception], str]] = [
    (400, "40300", "Blocked due to STOP message", OptedOut, "wrote STOP"),
    (403, "40300", "Blocked due to STOP message", OptedOut, "wrote STOP"),
    (403, "40300", "Forbidden", Rejected, "blocks messages"),
    (400, "40310", "", Rejected, "no telephone number"),
    (400, "40305", "", NeedsLogin, "from this sender"),
    (400, "40308", "", Unsupported, "no pictures"),
    (401, "10009", "", NeedsLogin, "api_key"),
    (403, "20100", "", NeedsLogin, "balance"),
    (422, "99999", "", Rejected, "refused the message"),
    (429, "10011", "", Throttled, "more messages"),
    (429, "", "", Throttled, "more requests"),
    (409, "", "", Unreachable, "not done with it"),
    (500, "10007", "", Unreachable, "has trouble"),
    (503, "40310", "", Unreachable, "has trouble"),
    (302, "", "", Unreachable, "not Telnyx"),
]


@pytest.mark.parametrize(("http", "code", "title", "kind", "says"), ANSWERS)
def test_an_answer_has_a_class_and_a_sentence(
    http: int, code: str, title: str, kind: type[Exception], says: str
) -> None:
    meaning, read_code = of_answer(http, orjson.loads(errors(code, title)) if code else None)
    found = error(meaning, read_code)
    assert type(found) is kind
    assert says in found.reason
    assert not isinstance(found, Unreachable) or not found.certain


def test_every_code_has_a_sentence_and_none_but_that_of_stop_stops_anybody() -> None:
    assert len(CODES) > 50
    check_sentences(CODES, "Telnyx")
    for code, meaning in CODES.items():
        assert code.isdecimal()
        assert meaning.klass is not Class.OPTED_OUT
    stopped = of_error("40300", "Blocked due to STOP message")
    assert stopped is not None
    assert stopped.klass is Class.OPTED_OUT


@pytest.mark.parametrize(
    "said", [None, [], {}, {"errors": []}, {"errors": [1]}, {"errors": {"code": "1"}}, {"errors": [{"code": {}}]}]
)
def test_an_answer_of_another_form_is_judged_by_its_status(said: Any) -> None:
    assert of_answer(400, said)[0].klass is Class.REFUSED


_VALUES = values(
    [ID, "MMS", "STOP", "message.finalized", "delivery_failed", f"{RECEIPTS}?key=%ff", "https://[", RECEIPTS],
    fields=["phone_number", "status", "url", "code", "title"],
)
_PAYLOAD = st.dictionaries(st.sampled_from([*IN, *OUT, "autoresponse_type", "received_at"]), _VALUES)
_KINDS = st.sampled_from(["message.received", "message.finalized", "message.sent", "x", None])


@given(_PAYLOAD, _KINDS)
def test_nothing_but_an_event_comes_of_any_payload(payload: dict[str, Any], kind: str | None) -> None:
    for base in (IN, OUT):
        for event in meant({**base, **payload}, kind):
            assert isinstance(event, Received | Receipt | Consent | Unparsed | Ignored)


@given(st.one_of(st.binary(max_size=60), _VALUES.map(orjson.dumps), _VALUES.map(lambda it: orjson.dumps({"data": it}))))
def test_nothing_but_unparsable_comes_of_any_bytes(body: bytes) -> None:
    with contextlib.suppress(Unparsable):
        read(body, "DE", receipts=RECEIPTS)
