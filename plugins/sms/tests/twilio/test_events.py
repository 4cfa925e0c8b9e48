"""What Twilio's words mean, where no recording says it."""

from __future__ import annotations

import contextlib
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fernamt import (
    Channel,
    ChannelId,
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
from fernamt.testing import FakeContext
from fernamt_sms.outcome import Class, error
from fernamt_sms.twilio.codes import CODES, of_answer
from fernamt_sms.twilio.connector import Twilio
from fernamt_sms.twilio.events import incoming, listed, status

from ..lines import ANN, URL, US
from ..sentences import check_sentences
from .given import call, settings

LINE = Twilio(
    Channel(id=ChannelId("shop"), name="Shop", kind="sms.twilio", settings=settings(), url=URL), FakeContext()
)
SID = "SM" + "0" * 31 + "1"
IN = {"MessageSid": SID, "From": ANN, "To": US, "Body": "Hallo", "NumMedia": "0"}
LISTED: dict[str, Any] = {
    "sid": SID,
    "direction": "inbound",
    "from": ANN,
    "to": US,
    "body": "Hallo",
    "status": "received",
    "error_code": None,
    "date_created": "Mon, 30 Nov 2026 12:00:00 +0000",
    "date_sent": "Mon, 30 Nov 2026 12:00:01 +0000",
    "num_media": "0",
}


BROKEN: dict[str, dict[str, str]] = {
    "no id": {"From": ANN, "Body": "Hallo"},
    "an id that is none": {**IN, "MessageSid": "SM1"},
    "the id of a call": {**IN, "MessageSid": "CA" + "0" * 32},
    "no sender": {**IN, "From": ""},
    "another channel": {**IN, "From": f"whatsapp:{ANN}"},
    "a number of pictures that is none": {**IN, "NumMedia": "many"},
    "a picture without an address": {**IN, "NumMedia": "1"},
}


@pytest.mark.parametrize("form", BROKEN.values(), ids=BROKEN)
def test_what_is_no_message_is_kept_for_a_person(form: dict[str, str]) -> None:
    with pytest.raises(Unparsable):
        incoming(form)


def test_the_reason_holds_neither_number_nor_words() -> None:
    with pytest.raises(Unparsable) as why:
        incoming({**IN, "From": f"whatsapp:{ANN}", "Body": "geheim"})
    assert ANN not in str(why.value)
    assert "geheim" not in str(why.value)


def test_a_message_is_the_same_in_a_call_and_in_the_list() -> None:
    [called], [seen] = incoming(IN), listed(LISTED)
    assert isinstance(called, Received)
    assert isinstance(seen, Received)
    assert (called.key, called.id, called.sender, called.text) == (seen.key, seen.id, seen.sender, seen.text)
    assert seen.at is not None
    assert seen.at.isoformat() == "2026-11-30T12:00:01+00:00"


def test_a_receipt_is_the_same_in_a_call_and_in_the_list() -> None:
    [called] = status({"MessageSid": SID, "MessageStatus": "undelivered", "ErrorCode": "30006"}, message_key="")
    [seen] = listed({**LISTED, "direction": "outbound-api", "status": "undelivered", "error_code": 30006})
    assert isinstance(called, Receipt)
    assert isinstance(seen, Receipt)
    assert (called.key, called.state, str(called.error)) == (seen.key, seen.state, str(seen.error))


LISTED_BROKEN: dict[str, dict[str, Any]] = {
    "no id": {**LISTED, "sid": None},
    "no sender": {**LISTED, "from": None},
    "words that are none": {**LISTED, "body": {"no": "text"}},
    "a date that is none": {**LISTED, "date_sent": "soon"},
    "nothing": {},
}


@pytest.mark.parametrize("message", LISTED_BROKEN.values(), ids=LISTED_BROKEN)
def test_an_element_of_the_list_that_cannot_be_read_is_kept_with_its_bytes(message: dict[str, Any]) -> None:
    [found] = listed(message)
    assert isinstance(found, Unparsed)
    assert found.raw


@pytest.mark.parametrize("said", ["accepted", "scheduled", "queued", "sending", "receiving", "received"])
def test_a_status_on_the_way_is_no_receipt(said: str) -> None:
    assert status({"MessageSid": SID, "MessageStatus": said}, message_key="") == [Ignored(reason=f"the status {said}")]


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("sent", DeliveryState.SENT),
        ("partially_delivered", DeliveryState.SENT),
        ("delivered", DeliveryState.DELIVERED),
        ("read", DeliveryState.READ),
        ("undelivered", DeliveryState.FAILED),
        ("failed", DeliveryState.FAILED),
        ("canceled", DeliveryState.FAILED),
    ],
)
def test_a_final_status_is_a_receipt(said: str, state: DeliveryState) -> None:
    [found] = status({"MessageSid": SID, "MessageStatus": said}, message_key="k1")
    assert isinstance(found, Receipt)
    assert (found.state, found.id, found.message_key, found.error is not None) == (
        state,
        SID,
        "k1",
        state is DeliveryState.FAILED,
    )


def test_a_status_that_we_do_not_know_is_kept() -> None:
    with pytest.raises(Unparsable):
        status({"MessageSid": SID, "MessageStatus": "evaporated"}, message_key="")


ANSWERS: list[tuple[int, str, type[Exception], str]] = [
    (400, "21211", Rejected, "no telephone number"),
    (400, "21610", OptedOut, "wrote STOP"),
    (400, "21614", Rejected, "takes no SMS"),
    (400, "21621", Unsupported, "cannot send pictures"),
    (400, "21606", NeedsLogin, "does not let this account send"),
    (401, "20003", NeedsLogin, "does not accept"),
    (401, "", NeedsLogin, "does not accept"),
    (403, "", NeedsLogin, "does not accept"),
    (429, "20429", Throttled, "more requests"),
    (429, "", Throttled, "more requests"),
    (400, "29999", Rejected, "refused the message"),
    (500, "20500", Unreachable, "has trouble"),
    (503, "21211", Unreachable, "has trouble"),
    (302, "", Unreachable, "not Twilio"),
]


@pytest.mark.parametrize(("http", "code", "kind", "says"), ANSWERS)
def test_an_answer_has_a_class_and_a_sentence(http: int, code: str, kind: type[Exception], says: str) -> None:
    found = error(of_answer(http, code), code)
    assert type(found) is kind
    assert says in found.reason
    assert not isinstance(found, Unreachable) or not found.certain


def test_every_code_has_a_sentence_and_only_delivery_codes_are_tried_again() -> None:
    assert len(CODES) > 60
    check_sentences(CODES, "Twilio")
    for code, meaning in CODES.items():
        assert code.isdecimal()
        if meaning.klass is Class.CERTAIN:
            assert code.startswith(("3", "6"))


_TEXTS = st.text(max_size=20)
_FIELDS = st.sampled_from(
    ["MessageSid", "SmsSid", "From", "Body", "NumMedia", "MediaUrl0", "MessageStatus", "ErrorCode", "OptOutType"]
)
_VALUES = st.one_of(_TEXTS, st.sampled_from([SID, ANN, "1", "99", "delivered", "failed", "30003", "STOP"]))


@given(st.dictionaries(_FIELDS, _VALUES))
def test_nothing_but_unparsable_comes_of_any_form(form: dict[str, str]) -> None:
    for read in (incoming, lambda it: status(it, message_key="")):
        try:
            for event in read(form):
                assert getattr(event, "key", "x")
        except Unparsable:
            pass


@given(
    st.one_of(
        st.binary(max_size=80),
        st.dictionaries(_FIELDS, st.binary(max_size=9)).map(
            lambda it: "&".join(f"{name}={quote_from_bytes(value)}" for name, value in it.items()).encode()
        ),
    )
)
def test_nothing_but_unparsable_comes_of_any_bytes(body: bytes) -> None:
    for hook in LINE.webhooks():
        with contextlib.suppress(Unparsable):
            hook.parse(call(body))


_JSON = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), _VALUES, st.lists(_VALUES, max_size=1))


@given(st.dictionaries(st.sampled_from([*LISTED]), _JSON))
def test_nothing_of_a_list_spoils_its_neighbours(changed: dict[str, Any]) -> None:
    assert listed({**LISTED, **changed})
