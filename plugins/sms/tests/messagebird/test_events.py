"""What Bird's words mean: tables of cases, beside the models of Bird's own library."""

from __future__ import annotations

import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fernamt import (
    Address,
    ChannelError,
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
from fernamt_sms.messagebird.codes import ANSWERS, FAILURES, of_answer
from fernamt_sms.messagebird.events import listed, read
from fernamt_sms.outcome import Meaning, error

from ..anything import values
from ..lines import ANN, US
from ..sentences import check_sentences
from .fake import error as problem

ID = "sms_01krdgeqcxet5s7t44vh8rt9mg"
AT = "2026-11-30T12:00:00Z"
TEMPLATES: dict[str, Any] = dict.fromkeys(
    ("requested_language", "resolved_language", "template_id", "template_version_id", "template_content_hash")
)
SEGMENTS = {"count": 1, "encoding": "GSM_7BIT", "characters": 5}
DATA: dict[str, Any] = {
    "sms_id": ID,
    "workspace_id": "ws_01krdgeqcxet5s7t44vh8rt9mg",
    "to": ANN,
    "from": US,
    "tags": None,
    "metadata": {"fernamt": "k1"},
    **TEMPLATES,
}
IN: dict[str, Any] = {
    "type": "sms.received",
    "timestamp": AT,
    "data": {**DATA, "to": US, "from": ANN, "metadata": None, "text": "Hallo", "segments": SEGMENTS},
}
OUT: dict[str, Any] = {"type": "sms.delivered", "timestamp": AT, "data": DATA}
STOPPED: dict[str, Any] = {
    "type": "sms_suppression.created",
    "timestamp": AT,
    "data": {
        "suppression_id": "ssu_01krdgeqcxet5s7t44vh8rt9mg",
        "destination": ANN,
        "originator": US,
        "reason": "keyword_stop",
        "workspace_id": "ws_01krdgeqcxet5s7t44vh8rt9mg",
    },
}
KEPT: dict[str, Any] = {
    "id": ID,
    "direction": "outbound",
    "status": "delivered",
    "to": ANN,
    "from": US,
    "text": "Ihr Paket ist da",
    "category": "service",
    "metadata": {"fernamt": "k1"},
    "segments": SEGMENTS,
    "created_at": "2026-11-30T11:59:58Z",
    "sent_at": "2026-11-30T11:59:59Z",
    "delivered_at": AT,
    **TEMPLATES,
}


def failed(code: str, status: str = "failed") -> dict[str, Any]:
    why = {"code": code, "description": f"It cannot go to {ANN}.", "carrier_error_code": None, "occurred_at": AT}
    return {"type": f"sms.{status}", "timestamp": AT, "data": {**DATA, "error": why}}


def meant(said: Any, *, ours: str = US) -> Any:
    [found] = read(orjson.dumps(said), "", ours=ours)
    return found


def within(said: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**said, "data": {**said["data"], **more}}


# ---- what comes in
def test_a_message_is_what_a_person_wrote() -> None:
    found = meant(IN)
    assert (found.key, found.id, found.sender, found.text) == (f"in:{ID}", ID, Address("phone", ANN), "Hallo")
    assert (found.marks, found.automatic, found.at.isoformat()) == ((), False, "2026-11-30T12:00:00+00:00")


def test_a_message_of_pictures_alone_says_that_something_is_missing() -> None:
    found = meant(within(IN, text=None))
    assert (found.text, found.marks) == ("", ("incomplete",))


def test_nobody_can_answer_a_name_so_a_machine_wrote() -> None:
    found = meant(within(IN, **{"from": "Vodafone"}))
    assert (found.sender, found.automatic) == (Address("sms", "Vodafone"), True)


@pytest.mark.parametrize("said", [IN, OUT, STOPPED], ids=["a message", "a receipt", "an opt-out"])
def test_what_concerns_another_sender_of_the_workspace_is_left_to_it(said: dict[str, Any]) -> None:
    assert meant(said, ours="+493099999999") == Ignored(reason="of another sender of the workspace")
    assert not isinstance(meant(said, ours=""), Ignored)


def test_who_wrote_stop_is_stopped() -> None:
    assert meant(STOPPED) == Consent(
        key="consent:ssu_01krdgeqcxet5s7t44vh8rt9mg", address=Address("phone", ANN), allowed=False
    )


@pytest.mark.parametrize("kind", ["email.delivered", "whatsapp.received", "sms_suppression.ended", "domain.verified"])
def test_what_an_endpoint_is_told_beside_sms_is_of_no_interest(kind: str) -> None:
    assert meant({**OUT, "type": kind}) == Ignored(reason="an event of another kind")


# ---- what became of ours
STATES: dict[str, DeliveryState | None] = {
    "accepted": None,
    "scheduled": None,
    "sent": DeliveryState.SENT,
    "delivered": DeliveryState.DELIVERED,
    "undelivered": DeliveryState.FAILED,
    "failed": DeliveryState.FAILED,
    "rejected": DeliveryState.FAILED,
    "expired": DeliveryState.FAILED,
    "canceled": DeliveryState.FAILED,
}


def test_the_table_has_every_status_and_event_of_birds_library() -> None:
    from .theirs import SMSEventType, SMSMessageStatus

    events = {one.value.removeprefix("sms.") for one in SMSEventType}
    assert {one.value for one in SMSMessageStatus} - {"received"} == STATES.keys()
    assert events <= STATES.keys()


@pytest.mark.parametrize(("status", "state"), STATES.items(), ids=STATES)
def test_a_status_is_a_receipt_or_says_nothing_new(status: str, state: DeliveryState | None) -> None:
    called = meant({**OUT, "type": f"sms.{status}"})
    [kept] = listed([{**KEPT, "status": status}], "")
    for found in (called, kept):
        if state is None:
            assert found == Ignored(reason=f"the status {status}")
        else:
            assert isinstance(found, Receipt)
            assert (found.key, found.id, found.message_key, found.state) == (f"{status}:{ID}", ID, "k1", state)
            assert (found.error is not None) is (state is DeliveryState.FAILED)


REASONS: dict[str, tuple[type[ChannelError], str]] = {
    "invalid_destination": (Rejected, "nobody has this number"),
    "unreachable": (Rejected, "off or out of reach"),
    "blocked_by_carrier": (Rejected, "took it for spam"),
    "blocked_by_fraud_protection": (Rejected, "for fraud"),
    "blocked_by_recipient": (Rejected, "blocks such messages"),
    "landline_unreachable": (Rejected, "landline"),
    "content_rejected": (Rejected, "refused the text"),
    "sender_unregistered": (Rejected, "registered before"),
    "recipient_opted_out": (OptedOut, "wrote STOP"),
    "provider_unavailable": (Unreachable, "could not hand it to any network"),
    "insufficient_balance": (NeedsLogin, "balance at Bird is not enough"),
    "unknown": (Rejected, "it was not delivered"),
}


def test_the_table_has_every_code_of_birds_library() -> None:
    from .theirs import SMSErrorCode

    assert {one.value for one in SMSErrorCode} == REASONS.keys() == {*FAILURES, "unknown"}


@pytest.mark.parametrize(("code", "expected"), REASONS.items(), ids=REASONS)
def test_a_failure_has_a_class_and_a_sentence(code: str, expected: tuple[type[ChannelError], str]) -> None:
    kind, says = expected
    why: Any = meant(failed(code)).error
    assert type(why) is kind
    assert says in why.reason
    assert why.code == ("" if code == "unknown" else code)
    assert not isinstance(why, Unreachable) or why.certain


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (failed("new_reason"), "it was not delivered"),
        (within(failed("x"), error=None), "it was not delivered"),
        ({**OUT, "type": "sms.expired"}, "its time was over before it could be delivered"),
        ({**OUT, "type": "sms.canceled"}, "it was cancelled at Bird"),
    ],
    ids=["a new reason", "no reason", "expired", "cancelled"],
)
def test_a_failure_that_says_no_reason_is_one_all_the_same(said: dict[str, Any], says: str) -> None:
    assert str(meant(said).error) == says


def test_a_call_and_the_list_give_the_same() -> None:
    came = {
        **KEPT,
        "direction": "inbound",
        "status": "received",
        "from": ANN,
        "to": US,
        "text": "Hallo",
        "created_at": AT,
    }
    assert listed([came, KEPT], "") == [meant(IN), meant(OUT)]


def test_one_bad_element_of_a_list_spoils_nothing() -> None:
    found = listed([KEPT, {}, {**KEPT, "direction": "sideways"}, KEPT], "")
    assert [type(one) for one in found] == [Receipt, Unparsed, Unparsed, Receipt]


@pytest.mark.parametrize(
    ("said", "model"),
    [
        (IN, "EventSMSReceived"),
        (OUT, "EventSMSDelivered"),
        (failed("unreachable"), "EventSMSFailed"),
        (STOPPED, "EventSMSSuppressionCreated"),
        (KEPT, "SMSMessage"),
    ],
    ids=["a message", "a receipt", "a failure", "an opt-out", "of a list"],
)
def test_what_these_tests_say_is_what_birds_library_reads(said: dict[str, Any], model: str) -> None:
    from . import theirs

    read_by_them = getattr(theirs, model).model_validate(said)
    assert read_by_them.model_dump(mode="json", by_alias=True, exclude_unset=True) == said


BROKEN: dict[str, Any] = {
    "no id": within(IN, sms_id=None),
    "no sender": within(IN, **{"from": ""}),
    "words that are none": within(IN, text={"no": "text"}),
    "a number for data": {**IN, "data": 7},
    "no type": {**IN, "type": None},
    "no id of a receipt": within(OUT, sms_id=""),
    "another status": {**OUT, "type": "sms.evaporated"},
    "metadata that is none": within(OUT, metadata="k1"),
    "an opt-out of nobody": within(STOPPED, destination=""),
    "an opt-out without an id": within(STOPPED, suppression_id=None),
    "a list": [IN],
}


@pytest.mark.parametrize("said", BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_read_is_kept_and_quoted_nowhere(said: Any) -> None:
    found = meant(said)
    assert isinstance(found, Unparsed)
    assert ANN not in found.reason


# ---- what an answer means
ANSWERS_SEEN: list[tuple[int, str, type[Exception], str]] = [
    (400, "InvalidRequest", Rejected, "not as Bird wants it"),
    (422, "ValidationError", Rejected, "not as Bird wants it"),
    (422, "SMSInvalidRecipient", Rejected, "no telephone number"),
    (422, "SMSSenderNotConfigured", NeedsLogin, "from this sender"),
    (422, "SMSNoEligibleSender", NeedsLogin, "from this sender"),
    (422, "SenderCategoryNotPermitted", NeedsLogin, "category"),
    (422, "SMSUnsupportedFeature", Unsupported, "does not offer"),
    (422, "SomethingNew", Rejected, "refused the message"),
    (401, "Unauthorized", NeedsLogin, "does not accept the login"),
    (402, "BillingError", NeedsLogin, "balance"),
    (403, "Forbidden", NeedsLogin, "does not accept the login"),
    (409, "RequestInProgress", Unreachable, "not done with it in time"),
    (409, "IdempotencyKeyReuse", Unreachable, "in other words"),
    (409, "SomethingNew", Unreachable, "not done with it in time"),
    (421, "Misdirected", NeedsLogin, "another place"),
    (429, "RateLimited", Throttled, "more requests"),
    (500, "InternalError", Unreachable, "has trouble"),
    (503, "ValidationError", Unreachable, "has trouble"),
    (302, "", Unreachable, "not Bird"),
]


@pytest.mark.parametrize(("http", "name", "kind", "says"), ANSWERS_SEEN)
def test_an_answer_has_a_class_and_a_sentence(http: int, name: str, kind: type[Exception], says: str) -> None:
    found = error(*of_answer(http, orjson.loads(problem("E01001", name)) if name else None))
    assert type(found) is kind
    assert says in found.reason
    assert getattr(found, "code", "") == ("E01001" if name else "")
    assert not isinstance(found, Unreachable) or not found.certain


@pytest.mark.parametrize(
    "said", [None, [], {"error": 7}, {"error": {"code": ["x"], "name": {}}}, {"error": {"code": ANN}}]
)
def test_an_error_of_another_form_is_judged_by_its_status_and_quoted_nowhere(said: Any) -> None:
    meaning, code = of_answer(422, said)
    assert (meaning.says, code) == ("Bird refused the message", "")


@pytest.mark.parametrize("table", [ANSWERS, FAILURES], ids=["answers", "failures"])
def test_every_code_has_a_sentence(table: dict[str, Meaning]) -> None:
    check_sentences(table, "Bird")


# ---- anything else
_VALUES = values(
    [ID, ANN, US, "sms.sent", "sms.received", "sms_suppression.created", "inbound", AT],
    fields=["fernamt", "code", "sms_id", "to", "from"],
)
_CHANGED = st.dictionaries(st.sampled_from([*IN, *DATA, *KEPT, "error", "last_error"]), _VALUES)


@given(_CHANGED, st.sampled_from([IN, OUT, STOPPED, failed("unreachable")]))
def test_nothing_but_an_event_comes_of_any_json(changed: dict[str, Any], base: dict[str, Any]) -> None:
    for said in ({**base, **changed}, within(base, **changed)):
        assert isinstance(meant(said), Received | Receipt | Consent | Unparsed | Ignored)


@given(_CHANGED)
def test_nothing_but_an_event_comes_of_any_list(changed: dict[str, Any]) -> None:
    [found] = listed([{**KEPT, **changed}], "")
    assert isinstance(found, Received | Receipt | Unparsed | Ignored)


@given(st.one_of(st.binary(max_size=60), _VALUES.map(orjson.dumps)))
def test_nothing_but_unparsable_comes_of_any_bytes(body: bytes) -> None:
    with contextlib.suppress(Unparsable):
        read(body, "DE", ours=US)
