"""The PDUs of SMPP 3.4: frozen values."""

from __future__ import annotations

from typing import Final, TypeAlias

from attrs import field, frozen

from fernamt_sms.smpp import tlv
from fernamt_sms.smpp.command import response_to
from fernamt_sms.smpp.tlv import Tlvs

VERSION: Final = 0x34


# ---- bodies
@frozen
class Nothing:
    """A body that has no fields."""


@frozen
class Opaque:
    """A body that nobody here reads."""

    content: bytes = field(repr=False)


@frozen(kw_only=True)
class Bind:
    """Of bind_transmitter, bind_receiver and bind_transceiver."""

    system_id: str
    password: str = field(repr=False)
    system_type: str = ""
    interface_version: int = VERSION
    ton: int = 0
    npi: int = 0
    address_range: str = ""


@frozen
class Bound:
    """Of the answer to a bind: who the SMSC is."""

    system_id: str
    tlvs: Tlvs = tlv.NONE


@frozen
class Party:
    """An address: type of number, numbering plan, and what was dialled."""

    value: str
    ton: int = 0
    npi: int = 0


@frozen(kw_only=True, slots=False)  # each message makes one
class Message:
    """Of submit_sm and deliver_sm, and of data_sm, which has no text of its own and fewer fields."""

    source: Party
    dest: Party
    service_type: str = ""
    esm_class: int = 0
    protocol_id: int = 0
    priority: int = 0
    schedule: str = ""
    validity: str = ""
    registered: int = 0
    replace: int = 0
    data_coding: int = 0
    canned: int = 0
    """sm_default_msg_id"""
    text: bytes = field(default=b"", repr=False)
    """short_message"""
    tlvs: Tlvs = field(default=tlv.NONE, repr=False)

    @property
    def content(self) -> bytes:
        """What was written: short_message, or message_payload where that is empty."""
        return self.text or self.tlvs.get(tlv.MESSAGE_PAYLOAD, b"")


@frozen
class Taken:
    """Of the answers to submit_sm, deliver_sm and data_sm."""

    message_id: str = ""
    tlvs: Tlvs = tlv.NONE


@frozen
class Query:
    """Of query_sm."""

    message_id: str
    source: Party


@frozen
class Queried:
    """Of the answer to query_sm."""

    message_id: str
    final_date: str
    state: int
    error: int


Body: TypeAlias = Nothing | Opaque | Bind | Bound | Message | Taken | Query | Queried
NOTHING: Final = Nothing()


@frozen(slots=False)
class Pdu:
    """One PDU."""

    command: int
    sequence: int
    body: Body = NOTHING
    status: int = 0

    def answer(self, body: Body = NOTHING, status: int = 0) -> Pdu:
        """Return the answer to this request."""
        return Pdu(response_to(self.command), self.sequence, body, status)
