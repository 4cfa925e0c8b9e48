"""What a message is on the wire, and what the wire makes of a message: alphabets, headers, parts, addresses."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from attrs import define, evolve
from hypothesis import given
from hypothesis import strategies as st

from fernamt import (
    DeliveryState,
    Ignored,
    Part,
    Receipt,
    Received,
    Unparsed,
)
from fernamt.testing import FakeContext
from fernamt_sms.alphabet import SEPTETS, to_septets
from fernamt_sms.smpp import tlv
from fernamt_sms.smpp.codec import PduError, decode, encode
from fernamt_sms.smpp.coding import packed, text_of, unpacked
from fernamt_sms.smpp.command import Command
from fernamt_sms.smpp.incoming import Incoming
from fernamt_sms.smpp.outgoing import Outgoing, number_of, party_of, reference_id
from fernamt_sms.smpp.pdu import Message, Opaque, Party, Pdu
from fernamt_sms.smpp.session import Broken
from fernamt_sms.smpp.settings import StatusSettings

from .given import channel, message, settings
from .smsc import ANN, US, changed, from_ann, receipt

LONG = "Ihr Paket ist da. " * 20
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@define(eq=False)
class Place:
    heard_at: float = 0.0


def parts(text: str, *, to: str = f"+{ANN}", **more: Any) -> tuple[Message, ...]:
    return Outgoing(settings(**more)).parts(message(text), to)


def read(one: Message, command: int = Command.DELIVER_SM, **more: Any) -> Any:
    """Return the only event of a deliver_sm."""
    [event] = Incoming(settings(**more)).read(Pdu(command, 1, one), Place(), 0.0).events
    return event


# ---- alphabets
@pytest.mark.parametrize(
    ("data", "coding", "alphabet", "text"),
    [
        (to_septets("Grüße €[]"), 0, "gsm", "Grüße €[]"),
        (bytes.fromhex("c8329bfd065ddf723619"), 0, "gsm-packed", "Hello World"),
        ("Grüße".encode("latin-1"), 0, "latin-1", "Grüße"),
        (b"Hi", 1, "gsm", "Hi"),
        ("Grüße".encode("latin-1"), 3, "gsm", "Grüße"),
        ("Привет".encode("iso8859-5"), 6, "gsm", "Привет"),
        ("Größe 🐤".encode("utf-16-be"), 8, "gsm", "Größe 🐤"),
        (b"\xfe\xff" + "Hi".encode("utf-16-be"), 8, "gsm", "Hi"),
        (b"\xff\xfe" + "Hi".encode("utf-16-le"), 8, "gsm", "Hi"),
        ("Hi".encode("utf-16-be") + b"\0", 8, "gsm", "Hi"),
        (b"", 8, "gsm", ""),
        (b"Hi", 0xF0, "gsm", "Hi"),
        (b"Hi", 0x11, "gsm", "Hi"),
        ("Hi".encode("utf-16-be"), 0x18, "gsm", "Hi"),
        ("Hi".encode("utf-16-be"), 0xE0, "gsm", "Hi"),
        (b"Hi", 0xC8, "gsm", "Hi"),
        (b"\1\2", 4, "gsm", None),
        (b"\1\2", 2, "gsm", None),
        (b"\1\2", 0xF5, "gsm", None),
        (b"\1\2", 0x14, "gsm", None),
        (b"\1\2", 0x90, "gsm", None),
    ],
)
def test_each_coding_is_read(data: bytes, coding: int, alphabet: Any, text: str | None) -> None:
    assert text_of(data, coding, alphabet) == text


@given(st.binary(max_size=160), st.integers(0, 255), st.sampled_from(["gsm", "gsm-packed", "latin-1"]))
def test_any_octets_of_any_coding_are_text_or_none(data: bytes, coding: int, alphabet: Any) -> None:
    assert isinstance(text_of(data, coding, alphabet), str | None)


@given(st.binary(max_size=160).map(lambda data: bytes(one & 0x7F for one in data)), st.sampled_from([0, 6, 7]))
def test_packed_septets_are_unpacked_as_they_were(septets: bytes, skip: int) -> None:
    found = unpacked(packed(septets, skip=skip), skip=skip)

    assert found == septets or (septets and found == septets[:-1] and septets[-1] in {0, 0x0D})


@given(st.text(st.sampled_from([one for one in SEPTETS if one not in "\r@"]), max_size=400))
def test_a_text_of_the_alphabet_comes_back_packed_as_it_went(text: str) -> None:
    found = ""
    for one in parts(text, default_alphabet="gsm-packed"):
        head = one.text[0] + 1 if one.esm_class & 0x40 else 0
        found += text_of(one.text[head:], one.data_coding, "gsm-packed", skip=head) or ""

    assert found == text


# ---- out
@given(st.text(max_size=500), st.sampled_from(["udh", "sar", "payload"]), st.sampled_from([8, 16]))
def test_whatever_we_send_is_what_another_esme_would_read(text: str, how: str, bits: Any) -> None:
    incoming, found = Incoming(settings()), {}
    for number, one in enumerate(parts(text, long_messages=how, reference_bits=bits)):
        wire = decode(encode(Pdu(Command.SUBMIT_SM, 1, one)))
        assert isinstance(wire.body, Message)
        [event] = incoming.read(wire, Place(), 0.0).events
        assert isinstance(event, Received)
        at = event.part.number if event.part else number + 1
        found[at] = event.text

    joined = "".join(found[at] for at in sorted(found)).encode("utf-16-be", "surrogatepass")
    assert joined == text.encode("utf-16-be", "surrogatepass")


def test_parts_share_a_reference_which_an_attempt_does_not_change_and_another_message_does() -> None:
    first, again = (Outgoing(settings()).parts(message(LONG, attempt=one), f"+{ANN}") for one in (1, 2))
    other = Outgoing(settings()).parts(message(LONG, key="k2"), f"+{ANN}")

    assert first == again
    assert {one.text[3] for one in first} == {number_of(message(LONG)) & 0xFF}
    assert first[0].text[:4] != other[0].text[:4]


def test_two_messages_that_the_core_made_of_one_text_have_two_references() -> None:
    assert number_of(message("first half", key="x7d1b2")) != number_of(message("second half", key="x7p021b2"))


def test_no_message_gets_the_number_of_one_of_the_thousands_before_it() -> None:
    tails = ["".join(four) for four in product(DIGITS, repeat=4)][20_000 : 20_000 + 0xFFFF]
    numbers = [number_of(message(key=f"ab12cd34d{tail}")) for tail in tails]

    assert len({*numbers}) == len(numbers) == 0xFFFF
    assert (min(numbers), max(numbers)) == (1, 0xFFFF)


def test_ids_of_messages_that_follow_one_another_differ_only_in_the_end_of_what_stands_before_the_at_sign() -> None:
    ids = [reference_id(number, f"+4915{number}") for number in range(0x1200, 0x1300)]

    assert {one.partition("@")[0][:-2] for one in ids} == {"ref-12"}
    assert len({*ids}) == 256


def test_only_the_last_part_is_asked_about_and_the_others_only_if_they_fail() -> None:
    assert [one.registered for one in parts(LONG)] == [2, 2, 1]
    assert [one.registered for one in parts("Hallo")] == [1]
    assert [one.registered for one in parts(LONG, receipts=False)] == [0, 0, 0]


def test_a_payload_is_one_message_whatever_its_length() -> None:
    [one] = parts(LONG, long_messages="payload")

    assert (one.text, one.tlvs[tlv.MESSAGE_PAYLOAD]) == (b"", to_septets(LONG))


def test_a_text_that_the_smscs_alphabet_cannot_say_goes_in_ucs_2_and_is_counted_so() -> None:
    euros = "129,90 € " * 10
    [plain], longer = parts("Grüße", default_alphabet="latin-1"), parts(euros, default_alphabet="latin-1")

    assert (plain.data_coding, plain.text) == (0, "Grüße".encode("latin-1"))
    assert {one.data_coding for one in longer} == {8}
    assert len(longer) == channel(1, FakeContext(), default_alphabet="latin-1").units(message(euros)) == 2
    assert channel(1, FakeContext()).units(message(euros)) == 1


@pytest.mark.parametrize(
    ("value", "party"),
    [
        ("+4930123456", Party("4930123456", 1, 1)),
        ("72345", Party("72345", 3, 0)),
        ("4930123456", Party("4930123456", 0, 1)),
        ("Shop", Party("Shop", 5, 0)),
    ],
)
def test_the_form_of_a_sender_says_its_type(value: str, party: Party) -> None:
    assert party_of(value, None, None) == party
    assert party_of(value, 0, 9) == Party(party.value, 0, 9)


# ---- in
@pytest.mark.parametrize(
    ("source", "region", "sender"),
    [
        (Party(ANN, 1, 1), "", f"phone:+{ANN}"),
        (Party(f"+{ANN}", 0, 1), "", f"phone:+{ANN}"),
        (Party(ANN, 0, 0), "DE", f"phone:+{ANN}"),
        (Party("015112345678", 2, 1), "DE", f"phone:+{ANN}"),
        (Party("015112345678", 0, 1), "DE", f"phone:+{ANN}"),
        (Party("72345", 3, 0), "", "phone:72345"),
        (Party("DHL Paket", 5, 0), "", "sms:DHL Paket"),
        (Party("", 0, 0), "", "sms:unknown"),
    ],
)
def test_who_wrote_is_an_address(source: Party, region: str, sender: str) -> None:
    assert str(read(changed(from_ann(), source=source), region=region).sender) == sender


@pytest.mark.parametrize(
    ("header", "tlvs", "part"),
    [
        ("050003cc0201", {}, Part(group=f"{ANN}:{US}:204:2", number=1, total=2)),
        ("06080412340302", {}, Part(group=f"{ANN}:{US}:4660:3", number=2, total=3)),
        ("0b05040b8423f00003050202", {}, Part(group=f"{ANN}:{US}:5:2", number=2, total=2)),
        ("050003cc0101", {}, None),
        ("050003cc0203", {}, None),
        ("050003cc0200", {}, None),
        ("032501aa", {}, None),
        (
            "",
            {tlv.SAR_MSG_REF_NUM: b"\x12\x34", tlv.SAR_TOTAL_SEGMENTS: b"\2", tlv.SAR_SEGMENT_SEQNUM: b"\2"},
            Part(group=f"{ANN}:{US}:4660:2", number=2, total=2),
        ),
        ("", {tlv.SAR_MSG_REF_NUM: b"\x12\x34", tlv.SAR_TOTAL_SEGMENTS: b"\2"}, None),
    ],
)
def test_a_part_says_of_what_it_is_one(header: str, tlvs: dict[int, bytes], part: Part | None) -> None:
    head = bytes.fromhex(header)
    one = from_ann(esm_class=0x40 if head else 0, data_coding=0, text=head + b"Hallo", tlvs=tlvs)

    assert read(one).part == part


def test_what_is_meant_for_a_program_is_a_file_and_no_text() -> None:
    header = bytes.fromhex("0605040b8423f0")
    found = read(from_ann(esm_class=0x40, data_coding=0xF5, text=header + b"\1\2\3"))

    assert found.text == ""
    assert [one.content for one in found.attachments] == [b"\1\2\3"]


def test_a_long_text_may_come_as_a_payload() -> None:
    one = from_ann(text=b"", tlvs={tlv.MESSAGE_PAYLOAD: "Größe 38".encode("utf-16-be")})

    assert read(one).text == "Größe 38"
    assert read(one, Command.DATA_SM).text == "Größe 38"


@pytest.mark.parametrize("header", ["05", "050003cc02", "0500", "ff", "0400030102ff"])
def test_a_header_that_makes_no_sense_is_kept_and_shown(header: str) -> None:
    found = read(from_ann(esm_class=0x40, text=bytes.fromhex(header)))

    assert isinstance(found, Unparsed)
    assert b"".join([bytes.fromhex(header)]) in found.raw


def test_what_cannot_be_read_at_all_is_kept_and_shown() -> None:
    frame = encode(Pdu(Command.DELIVER_SM, 7, Opaque(b"\0\1\1no end")))
    with pytest.raises(PduError) as why:
        decode(frame)

    [event] = Incoming(settings()).read(Broken(frame, why.value.reason, Pdu(5, 7)), Place(), 0.0).events

    assert isinstance(event, Unparsed)
    assert event.raw == frame


@pytest.mark.parametrize(
    "more",
    [
        {"priority": 3},
        {"protocol_id": 9},
        {"service_type": "CMT"},
        {"tlvs": {0x1400: b"a time of the SMSC"}},
        {"source": Party(ANN, 0, 0)},
    ],
)
def test_what_an_smsc_changes_when_it_offers_a_message_again_makes_no_other_key(more: dict[str, Any]) -> None:
    assert read(from_ann()).key == read(from_ann(**more)).key


@pytest.mark.parametrize("more", [{"dest": Party("4930999999", 1, 1)}, {"text": b"\0!"}, {"data_coding": 0}])
def test_another_message_has_another_key(more: dict[str, Any]) -> None:
    assert read(from_ann()).key != read(from_ann(**more)).key


def test_an_equal_message_counts_as_the_same_for_a_while_only() -> None:
    assert read(from_ann(), repeat_s=90.0).key_valid_s == 90.0


@pytest.mark.parametrize(("source", "automatic"), [(Party("MyBank", 5, 0), True), (Party(ANN, 1, 1), False)])
def test_who_writes_under_a_name_is_a_machine(source: Party, *, automatic: bool) -> None:
    assert read(from_ann(source=source)).automatic == automatic


# ---- receipts
def receipts(incoming: Incoming, one: Message) -> tuple[Any, ...]:
    return incoming.read(Pdu(Command.DELIVER_SM, 1, one), Place(), 0.0).events


def test_a_receipt_names_the_message_by_the_id_that_the_answer_gave() -> None:
    incoming = Incoming(settings())
    name = incoming.ids.submitted("00001A2B", ANN)

    [found] = receipts(incoming, receipt("6699"))

    assert found == Receipt(key=found.key, id=name, state=DeliveryState.DELIVERED)


def test_a_receipt_may_have_the_addresses_of_the_message_that_it_is_about() -> None:
    incoming = Incoming(settings())
    name = incoming.ids.submitted("00001A2B", ANN)

    [found] = receipts(incoming, receipt("6699", source=Party(US, 1, 1), dest=Party(ANN, 1, 1)))

    assert found.id == name


def test_a_receipt_whose_answer_we_never_got_finds_the_message_by_our_own_number() -> None:
    sent = message("Hallo")
    own = number_of(sent).to_bytes(2, "big")

    by_id, by_number = receipts(Incoming(settings()), receipt("abc", tlvs={tlv.USER_MESSAGE_REFERENCE: own}))

    assert by_id.id == "abc"
    assert by_number.id == reference_id(number_of(sent), sent.to.value)
    assert by_id.key != by_number.key


def test_a_receipt_that_both_sides_know_is_told_once() -> None:
    incoming = Incoming(settings())
    incoming.ids.submitted("abc", ANN)

    assert len(receipts(incoming, receipt("abc", tlvs={tlv.USER_MESSAGE_REFERENCE: b"\1\2"}))) == 1


def test_a_part_that_arrived_says_nothing_of_the_whole_and_one_that_failed_does() -> None:
    incoming = Incoming(settings())
    incoming.ids.submitted("first", ANN, is_last=False)

    [arrived] = receipts(incoming, receipt("first"))
    [failed] = receipts(incoming, receipt("first", "UNDELIV"))

    assert isinstance(arrived, Ignored)
    assert failed.state == DeliveryState.FAILED


def test_each_state_of_a_message_has_a_key_of_its_own() -> None:
    found = [
        receipts(Incoming(settings()), receipt("abc", state))[0].key for state in ("ENROUTE", "DELIVRD", "ENROUTE")
    ]

    assert found[0] == found[2] != found[1]


def test_an_id_that_the_smsc_gives_again_is_no_repeat_of_the_first_ones_receipt() -> None:
    first, again, other = (
        receipts(Incoming(settings()), one)[0].key
        for one in (
            receipt("1"),
            receipt("1", priority=1),
            receipt("1", source=Party("4915199999999", 1, 1)),
        )
    )
    later = receipt("1")
    [second] = receipts(Incoming(settings()), evolve(later, text=later.text.replace(b"2611301201", b"2612011201")))

    assert first == again
    assert len({first, other, second.key}) == 3


@pytest.mark.parametrize("one", [receipt("abc", "GONE"), receipt("", "DELIVRD")], ids=["no state", "no id"])
def test_a_receipt_that_nobody_understands_is_kept_and_shown(one: Message) -> None:
    [found] = receipts(Incoming(settings()), one)

    assert isinstance(found, Unparsed)


def test_how_receipts_write_ids_is_told_once() -> None:
    told: list[str] = []
    incoming = Incoming(settings(), told=told.append)
    for name, decimal in (("1a2b", "6699"), ("1a2c", "6700")):
        incoming.ids.submitted(name, ANN)
        receipts(incoming, receipt(decimal))

    assert told == ["decimal"]


_ANY = st.builds(
    Message,
    source=st.builds(Party, st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=21)),
    dest=st.just(Party(US)),
    esm_class=st.integers(0, 255),
    data_coding=st.integers(0, 255),
    text=st.binary(max_size=255),
    tlvs=st.dictionaries(
        st.sampled_from([0x1E, 0x204, 0x20C, 0x20E, 0x20F, 0x424, 0x423, 0x427]), st.binary(max_size=9), max_size=8
    ),
)


@given(_ANY)
def test_any_message_becomes_an_event(one: Message) -> None:
    for event in receipts(Incoming(settings(region="DE")), one):
        assert isinstance(event, Received | Receipt | Ignored | Unparsed)


# ---- settings
@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"host": " "}, "host is empty"),
        ({"system_id": ""}, "system_id is empty"),
        ({"system_id": "x" * 16}, "at most 15"),
        ({"system_type": "x" * 13}, "at most 12"),
        ({"port": 0}, "port is 0"),
        ({"sender": "Ein sehr langer Name"}, "sender is"),
        ({"sender_ton": 256}, "sender_ton is 256"),
        ({"window": 0}, "window is 0"),
        ({"answer_s": 0.0}, "answer_s is 0"),
        ({"reference_bits": 7}, "8 or 16"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_name_and_what_to_write(more: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        settings(**more)


@pytest.mark.parametrize("name", ["abc", "0", "0x100000000", "-1"])
def test_what_is_no_status_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"throttled: '{name}' is no status"):
        StatusSettings(throttled=(name,))
