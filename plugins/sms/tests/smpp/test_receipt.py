"""Receipts: in words and in parameters, in every form that SMSCs make of them, and the ids by which they find a message."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from fernamt import DeliveryState, Rejected, Unreachable
from fernamt_sms.smpp import tlv
from fernamt_sms.smpp.ids import Habit, Ids, Named, canonical, translated
from fernamt_sms.smpp.pdu import Message, Party
from fernamt_sms.smpp.receipt import fields_of, is_receipt, report_of

SENT, DELIVERED, FAILED = DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.FAILED
ANN = Party("4915112345678", 1, 1)
US = Party("4930123456", 1, 1)


def told(text: str, *, esm_class: int = 4, **tlvs: bytes) -> Message:
    found = {getattr(tlv, name.upper()): value for name, value in tlvs.items()}
    return Message(source=ANN, dest=US, esm_class=esm_class, text=text.encode("latin-1"), tlvs=found)


@pytest.mark.parametrize(
    ("text", "name", "state", "error"),
    [
        (
            "id:0123456789 sub:001 dlvrd:001 submit date:2611301200 done date:2611301201 stat:DELIVRD err:000 text:Hallo",
            "0123456789",
            "DELIVRD",
            "000",
        ),
        ("ID:AB-12 SUB:001 STAT:delivered ERR:0 TEXT:", "AB-12", "DELIVRD", "0"),
        ("id: 77 stat: UNDELIV err: 27", "77", "UNDELIV", "27"),
        ("stat:EXPIRED id:77", "77", "EXPIRED", ""),
        ("id:77;stat:REJECTD;err:9;text:x", "77", "REJECTD", "9"),
        ("id=77 stat=ENROUTE", "77", "ENROUTE", ""),
        ("id:77 submit_date:261130120000 done_date:261130120000 stat:2 err:", "77", "DELIVRD", ""),
        ("id:77 sub:1 stat:UNDELIVERABLE\0", "77", "UNDELIV", ""),
        (
            "id:f0e1d2c3-0000-4000-8000-00000000abcd stat:ACCEPTED",
            "f0e1d2c3-0000-4000-8000-00000000abcd",
            "ACCEPTD",
            "",
        ),
        ("id:77 err:001 text:stat:DELIVRD id:1", "77", "", "001"),
        ("id:77\r\nstat:FAILED", "77", "UNDELIV", ""),
    ],
)
def test_a_receipt_in_words_is_read_in_every_form(text: str, name: str, state: str, error: str) -> None:
    found = report_of(told(text))

    assert (found.id, found.state, found.error) == (name, state, error)


@pytest.mark.parametrize("value", [b"id1", b"id1\0"])
def test_parameters_go_before_words(value: bytes) -> None:
    text = "id:other stat:ENROUTE err:000"

    found = report_of(told(text, receipted_message_id=value, message_state=b"\x02"))

    assert (found.id, found.state) == ("id1", "DELIVRD")


def test_a_receipt_of_parameters_alone_has_the_error_of_the_network() -> None:
    found = report_of(
        told("", receipted_message_id=b"id1\0", message_state=b"\x05", network_error_code=b"\x03\x00\x1b")
    )

    assert (found.state, found.error, found.meaning) == ("UNDELIV", "27", FAILED)
    assert isinstance(found.why, Rejected)
    assert found.why.code == "UNDELIV 27"


def test_a_receipt_may_be_written_in_ucs_2() -> None:
    text = "id:00AB sub:001 dlvrd:001 stat:DELIVRD err:000 text:Grüße".encode("utf-16-be")

    found = report_of(evolve(told(""), data_coding=8, text=text))

    assert (found.id, found.state, found.error) == ("00AB", "DELIVRD", "000")


def test_our_own_number_is_enough() -> None:
    found = report_of(told("stat:DELIVRD", user_message_reference=b"\x12\x34"))

    assert (found.id, found.reference) == ("", 0x1234)


def test_a_receipt_that_names_no_message_is_refused() -> None:
    with pytest.raises(ValueError, match="of which message"):
        report_of(told("stat:DELIVRD err:000"))


@pytest.mark.parametrize(
    ("word", "state", "error"),
    [
        ("SCHEDULED", SENT, None),
        ("ENROUTE", SENT, None),
        ("BUFFRED", SENT, None),
        ("ACCEPTD", SENT, None),
        ("DELIVRD", DELIVERED, None),
        ("Delivered", DELIVERED, None),
        ("EXPIRED", FAILED, Rejected),
        ("DELETED", FAILED, Rejected),
        ("UNDELIV", FAILED, Rejected),
        ("UNDELIVERED", FAILED, Rejected),
        ("REJECTD", FAILED, Rejected),
        ("REJECTED", FAILED, Rejected),
        ("SKIPPED", FAILED, Rejected),
        ("UNKNOWN", SENT, Unreachable),
        ("GONE", None, None),
    ],
)
def test_each_state_means_what_the_specification_says(
    word: str, state: DeliveryState | None, error: type[Exception] | None
) -> None:
    found = report_of(told(f"id:1 stat:{word} err:5"))

    assert found.meaning == state
    assert type(found.why) is (error or type(None))


def test_an_intermediate_notice_of_a_failure_is_no_end() -> None:
    found = report_of(told("id:1 stat:UNDELIV err:5", esm_class=0x20))

    assert found.meaning == SENT
    assert "not yet" in str(found.why)


@pytest.mark.parametrize(
    ("message", "is_one"),
    [
        (told("id:1 stat:DELIVRD"), True),
        (told("id:1 stat:DELIVRD", esm_class=0x20), True),
        (told("id:1 stat:DELIVRD", esm_class=0x44), True),
        (told("id:1 stat:DELIVRD", esm_class=0x24), True),
        (told("", esm_class=0, receipted_message_id=b"1", message_state=b"\2"), True),
        (told("id:1 stat:DELIVRD", esm_class=0, receipted_message_id=b"1\0"), True),
        (told("Hallo", esm_class=0, receipted_message_id=b"1"), False),
        (told("id:1 stat:DELIVRD", esm_class=0, receipted_message_id=b"2"), False),
        (told("id:1 stat:DELIVRD", esm_class=0), False),
        (told("Hallo", esm_class=0x10), False),
        (told("Hallo", esm_class=0x18), False),
    ],
    ids=[
        "final",
        "intermediate",
        "with a header",
        "both at once",
        "by its parameters",
        "by its id, twice",
        "an id alone",
        "another id",
        "a customer's words",
        "a person's own",
        "the end of a dialogue",
    ],
)
def test_words_alone_make_no_receipt(message: Message, *, is_one: bool) -> None:
    assert is_receipt(message) == is_one


@given(st.text(max_size=300), st.dictionaries(st.integers(0, 0xFFFF), st.binary(max_size=20), max_size=4))
def test_whatever_a_receipt_says_it_is_read_or_refused(text: str, tlvs: dict[int, bytes]) -> None:
    message = evolve(told(""), text=text.encode("utf-8")[:255], tlvs=tlvs)
    try:
        found = report_of(message)
    except ValueError:
        return
    assert found.id or found.reference is not None
    assert found.meaning in {SENT, DELIVERED, FAILED, None}
    assert len(found.error) <= 16


@given(st.text(max_size=400))
def test_fields_are_found_in_any_text(text: str) -> None:
    assert {*fields_of(text)} <= {"id", "sub", "dlvrd", "submit_date", "done_date", "stat", "err", "text"}


# ---- ids
@pytest.mark.parametrize(
    ("answer", "receipt", "habit"),
    [
        ("id1", "id1", "same"),
        ("id1", "ID1", "same"),
        ("00012ab", "12AB", "same"),
        ("12ab", "000000012ab", "same"),
        ("id1", "id1\0", "same"),
        ("0", "0000", "same"),
        ("f0e1d2c3-0000-4000-8000-00000000abcd", "F0E1D2C3-0000-4000-8000-00000000ABCD", "same"),
        ("1A2B", "6699", "decimal"),
        ("00001a2b", "0000006699", "decimal"),
        ("6699", "1A2B", "hexadecimal"),
        ("0000006699", "0001a2b", "hexadecimal"),
        ("not-a-number", "NOT-A-NUMBER", "decimal"),
    ],
)
@pytest.mark.parametrize("set_to", ["as it is", "auto"])
def test_both_forms_of_an_id_meet(answer: str, receipt: str, habit: Habit, set_to: str) -> None:
    ids = Ids("auto" if set_to == "auto" else habit)

    name = ids.submitted(answer, "+4915112345678")

    assert ids.receipted(receipt, "4915112345678").id == name


@pytest.mark.parametrize(("answer", "receipt", "habit"), [("1A2B", "6699", "decimal"), ("6699", "1a2b", "hexadecimal")])
def test_what_is_found_out_holds_for_ids_of_an_earlier_run(answer: str, receipt: str, habit: Habit) -> None:
    ids = Ids("auto")
    assert ids.found is None
    ids.submitted(answer, "49151")
    ids.receipted(receipt, "49151")

    assert ids.found == habit
    assert ids.receipted("100", "49151").id == ("64" if habit == "decimal" else "256")


def test_an_id_of_another_base_is_not_taken_for_that_of_another_number() -> None:
    ids = Ids("auto")
    ids.submitted("1a2b", "4915100000001")

    assert ids.receipted("6699", "4915100000002").id == "6699"
    assert ids.found is None


def test_when_receipts_are_known_to_write_ids_as_answers_do_no_other_base_is_tried() -> None:
    ids = Ids("auto")
    for name in ("16", "17"):
        ids.submitted(name, "49151")
    ids.receipted("17", "49151")

    assert (ids.found, ids.receipted("10", "49151")) == ("same", Named("10"))


def test_a_part_that_is_not_the_last_one_is_known_as_that() -> None:
    ids = Ids()
    ids.submitted("a", "1", is_last=False)
    ids.submitted("b", "1")

    assert [ids.receipted(one, "1").is_last for one in "ab"] == [False, True]


def test_an_endless_id_is_not_computed() -> None:
    endless = "9" * 5000

    assert translated(endless, "decimal") == endless


@given(st.text(max_size=40), st.sampled_from(["auto", "same", "decimal", "hexadecimal"]))
def test_any_id_is_named(text: str, habit: Habit) -> None:
    assert isinstance(Ids(habit).receipted(text, "1").id, str)
    assert canonical(canonical(text)) == canonical(text)
