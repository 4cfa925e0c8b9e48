"""The codec: bytes in, values out, and back; and whatever the bytes are, nothing but its own error."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fernamt_sms.smpp import tlv
from fernamt_sms.smpp.codec import MAX_BYTES, Framer, PduError, decode, encode
from fernamt_sms.smpp.command import Command, name_of, response_to
from fernamt_sms.smpp.pdu import Bind, Body, Bound, Message, Nothing, Opaque, Party, Pdu, Queried, Query, Taken
from fernamt_sms.smpp.status import Status

_OCTET = st.integers(0, 255)
_TEXT = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=30)
_PARTY = st.builds(Party, _TEXT, _OCTET, _OCTET)
_TLVS = st.dictionaries(st.integers(0, 0xFFFF), st.binary(max_size=40), max_size=4)
_DATA = {"source": _PARTY, "dest": _PARTY, "service_type": _TEXT, "esm_class": _OCTET, "registered": _OCTET}
_MESSAGE = st.builds(
    Message,
    **_DATA,
    protocol_id=_OCTET,
    priority=_OCTET,
    schedule=_TEXT,
    validity=_TEXT,
    replace=_OCTET,
    data_coding=_OCTET,
    canned=_OCTET,
    text=st.binary(max_size=255),
    tlvs=_TLVS,
)
_BIND = st.builds(
    Bind,
    system_id=_TEXT,
    password=_TEXT,
    system_type=_TEXT,
    interface_version=_OCTET,
    ton=_OCTET,
    npi=_OCTET,
    address_range=_TEXT,
)
_TAKEN = st.builds(Taken, _TEXT, _TLVS)
_BODIES: dict[int, st.SearchStrategy[Body]] = {
    Command.BIND_TRANSCEIVER: _BIND,
    Command.BIND_RECEIVER: _BIND,
    response_to(Command.BIND_TRANSCEIVER): st.builds(Bound, _TEXT, _TLVS),
    Command.SUBMIT_SM: _MESSAGE,
    Command.DELIVER_SM: _MESSAGE,
    Command.DATA_SM: st.builds(Message, **_DATA, data_coding=_OCTET, tlvs=_TLVS),
    response_to(Command.SUBMIT_SM): _TAKEN,
    response_to(Command.DELIVER_SM): _TAKEN,
    Command.QUERY_SM: st.builds(Query, _TEXT, _PARTY),
    response_to(Command.QUERY_SM): st.builds(Queried, _TEXT, _TEXT, _OCTET, _OCTET),
    Command.ENQUIRE_LINK: st.just(Nothing()),
    Command.UNBIND: st.just(Nothing()),
    Command.CANCEL_SM: st.builds(Opaque, st.binary(max_size=60)),
    0x7777: st.builds(Opaque, st.binary(max_size=60)),
}
_NUMBER = st.integers(0, 0xFFFFFFFF)
_PDUS = st.sampled_from(sorted(_BODIES)).flatmap(
    lambda command: st.builds(Pdu, st.just(command), _NUMBER, _BODIES[command], _NUMBER)
)


@given(_PDUS)
def test_whatever_is_written_is_read_as_it_was(pdu: Pdu) -> None:
    assert decode(encode(pdu)) == pdu


@given(st.lists(_PDUS, max_size=4), st.integers(1, 50))
def test_a_stream_that_comes_in_pieces_has_the_same_frames(pdus: list[Pdu], size: int) -> None:
    framer, stream, found = Framer(), b"".join(map(encode, pdus)), list[bytes]()

    for at in range(0, len(stream), size):
        found += framer.feed(stream[at : at + size])

    assert found == [encode(one) for one in pdus]


@given(st.sampled_from(sorted(_BODIES)), st.binary(max_size=120))
def test_any_body_of_any_command_is_read_or_refused_with_the_error_of_the_codec(command: int, body: bytes) -> None:
    frame = (16 + len(body)).to_bytes(4, "big") + command.to_bytes(4, "big") + bytes(8) + body

    with contextlib.suppress(PduError):
        assert decode(frame).command == command


@given(st.binary(max_size=200))
def test_any_bytes_are_a_stream_or_refused_with_the_error_of_the_codec(data: bytes) -> None:
    with contextlib.suppress(PduError):
        for frame in Framer().feed(data):
            decode(frame)
    with contextlib.suppress(PduError):
        decode(data)


@given(_PDUS, st.data())
def test_a_pdu_with_changed_bytes_is_read_or_refused_with_the_error_of_the_codec(pdu: Pdu, data: st.DataObject) -> None:
    frame = bytearray(encode(pdu))
    for at in data.draw(st.lists(st.integers(8, len(frame) - 1), max_size=5)):
        frame[at] = data.draw(_OCTET)

    with contextlib.suppress(PduError):
        decode(bytes(frame))


@pytest.mark.parametrize("length", [0, 15, MAX_BYTES + 1, 0xFFFFFFFF])
def test_a_length_that_no_pdu_has_is_refused_before_anything_of_it_is_kept(length: int) -> None:
    framer = Framer()

    with pytest.raises(PduError) as why:
        list(framer.feed(length.to_bytes(4, "big")))

    assert why.value.status == Status.RINVCMDLEN


def test_what_is_wrong_with_a_pdu_names_its_sequence_so_that_it_can_be_answered() -> None:
    frame = encode(Pdu(Command.DELIVER_SM, 77, Opaque(b"\0\1\1without an end")))

    with pytest.raises(PduError) as why:
        decode(frame)

    assert (why.value.command, why.value.sequence, why.value.status) == (Command.DELIVER_SM, 77, Status.RINVCMDLEN)


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b"", ""), (b"id1", "id1"), (b"id1\0", "id1"), (b"\0", "")],
    ids=["no body", "no NUL", "a NUL", "empty"],
)
def test_an_answer_is_read_with_and_without_its_last_nul(body: bytes, expected: str) -> None:
    frame = encode(Pdu(response_to(Command.SUBMIT_SM), 1, Opaque(body)))

    assert decode(frame).body == Taken(expected)


@pytest.mark.parametrize("value", [b"id1", b"id1\0", b"id1\0\0", b" id1 \0"])
def test_a_string_in_an_optional_parameter_may_end_with_nul_or_not(value: bytes) -> None:
    assert tlv.text({tlv.RECEIPTED_MESSAGE_ID: value}, tlv.RECEIPTED_MESSAGE_ID) == "id1"


def test_a_short_message_that_does_not_fit_is_refused_by_us_and_not_cut_off() -> None:
    message = Message(source=Party("1"), dest=Party("2"), text=bytes(256))

    with pytest.raises(ValueError, match="255"):
        encode(Pdu(Command.SUBMIT_SM, 1, message))


def test_a_nul_in_a_field_of_ours_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        encode(Pdu(Command.SUBMIT_SM, 1, Message(source=Party("1\0002"), dest=Party("2"))))


def test_words_and_passwords_stand_in_no_repr() -> None:
    bind = Bind(system_id="me", password="geheim")
    message = Message(source=Party("1"), dest=Party("2"), text=b"geheim", tlvs={tlv.MESSAGE_PAYLOAD: b"geheim"})

    assert "geheim" not in f"{bind!r} {Pdu(Command.SUBMIT_SM, 1, message)!r} {Opaque(b'geheim')!r}"


def test_a_pdu_has_the_bytes_of_the_specification() -> None:
    message = Message(source=Party("1234", 3, 0), dest=Party("49301", 1, 1), registered=1, text=b"Hi")

    head = bytes.fromhex("0000002c 00000004 00000000 00000007")
    addresses = b"\0\x03\x001234\0\x01\x0149301\0"
    assert encode(Pdu(Command.SUBMIT_SM, 7, message)) == head + addresses + b"\0\0\0\0\0\1\0\0\0\2Hi"


@pytest.mark.parametrize(
    ("command", "name"),
    [(0x80000000, "generic_nack"), (0x80000004, "submit_sm_resp"), (0x15, "enquire_link"), (0x7777, "0x00007777")],
)
def test_a_command_has_the_name_of_the_specification(command: int, name: str) -> None:
    assert name_of(command) == name
