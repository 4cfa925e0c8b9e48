"""Receipts: what an SMSC says of a message that we sent, in optional parameters or in a text. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from attrs import frozen

from fernamt import ChannelError, DeliveryState, Rejected, Unreachable
from fernamt_sms.smpp import tlv
from fernamt_sms.smpp.coding import UCS2
from fernamt_sms.smpp.pdu import Message

_TYPE: Final = 0x3C
_FINAL: Final = 0x04
_ACKNOWLEDGED: Final = 0x08
"""The recipient's own device says so, in the same form."""
_INTERMEDIATE: Final = 0x20
_TEXT_MAX: Final = 1_024

_STATES: Final[Mapping[int, str]] = MappingProxyType(
    {
        0: "SCHEDULED",
        1: "ENROUTE",
        2: "DELIVRD",
        3: "EXPIRED",
        4: "DELETED",
        5: "UNDELIV",
        6: "ACCEPTD",
        7: "UNKNOWN",
        8: "REJECTD",
        9: "SKIPPED",
    }
)
"""message_state, as the text calls it."""
_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        name: state
        for state, names in {
            "SCHEDULED": "SCHEDULED SCHEDLD",
            "ENROUTE": "ENROUTE ENRTE EN_ROUTE BUFFERED BUFFRED BUFFERD QUEUED PENDING SENT",
            "ACCEPTD": "ACCEPTD ACCEPTED ACKED",
            "DELIVRD": "DELIVRD DELIVERED DELIVERD DELIVRED DLVRD DELIV OK SUCCESS",
            "EXPIRED": "EXPIRED EXPIRD EXPRD",
            "DELETED": "DELETED DELETD CANCELED CANCELLED",
            "UNDELIV": "UNDELIV UNDELIVERED UNDELIVRD UNDELIVERABLE UNDELIVD UNDLVRD FAILED FAIL ERROR ABSENT",
            "UNKNOWN": "UNKNOWN UNKNWN UNKOWN",
            "REJECTD": "REJECTD REJECTED REJECT BLOCKED",
            "SKIPPED": "SKIPPED",
        }.items()
        for name in names.split()
    }
)
_ON_ITS_WAY: Final = frozenset({"ENROUTE", "ACCEPTD", "SCHEDULED", "UNKNOWN"})
_WHY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "EXPIRED": "the phone could not be reached in time",
        "DELETED": "the SMSC deleted the message",
        "UNDELIV": "the network could not deliver it to this number",
        "REJECTD": "the network refused the message",
        "SKIPPED": "the SMSC left the message out",
    }
)
_FIELD: Final = re.compile(r"(?i)(?:^|(?<=[\s;,]))(id|sub|dlvrd|submit[ _]?date|done[ _]?date|stat|err|text)\s*[:=]")


@frozen(kw_only=True)
class Report:
    """What a receipt says."""

    id: str
    """As it stands there."""
    state: str
    """``DELIVRD`` and its like, in the specification's spelling; another word as it stands there."""
    error: str = ""
    reference: int | None = None
    """Our own number of the message, given back."""
    is_final: bool = True

    @property
    def meaning(self) -> DeliveryState | None:
        """What it says of the message; ``None``: nobody knows the word."""
        if self.state == "DELIVRD":
            return DeliveryState.DELIVERED
        if self.state in _WHY:
            return DeliveryState.FAILED if self.is_final else DeliveryState.SENT
        return DeliveryState.SENT if self.state in _ON_ITS_WAY else None

    @property
    def why(self) -> ChannelError | None:
        """Why it failed, or is late."""
        code = f"{self.state} {self.error}".strip()
        if self.state == "UNKNOWN":
            return Unreachable("the SMSC does not know what became of it", certain=False, code=code)
        if self.state not in _WHY:
            return None
        if self.meaning == DeliveryState.FAILED:
            return Rejected(_WHY[self.state], code=code)
        return Unreachable(f"not yet: {_WHY[self.state]}", certain=False, code=code)


def is_receipt(message: Message) -> bool:
    """Say whether a deliver_sm is about a message of ours.

    Whatever it says in words, a customer may say so, too. Where esm_class does not call it one, optional parameters do, which no
    customer can write: but some SMSCs add an id to everything, so that alone says nothing.
    """
    kind = message.esm_class & _TYPE
    if kind or tlv.RECEIPTED_MESSAGE_ID not in message.tlvs:
        # Some set both bits of a receipt.
        return bool(kind & (_FINAL | _INTERMEDIATE)) or kind == _ACKNOWLEDGED
    if tlv.MESSAGE_STATE in message.tlvs:
        return True
    said = _said(message)
    return "stat" in said and said.get("id") == tlv.text(message.tlvs, tlv.RECEIPTED_MESSAGE_ID)


def report_of(message: Message) -> Report:
    """Return what a receipt says: what optional parameters say goes before the text. ``ValueError``: it names no message."""
    said = _said(message)
    name = tlv.text(message.tlvs, tlv.RECEIPTED_MESSAGE_ID) or said.get("id", "")
    number = tlv.number(message.tlvs, tlv.MESSAGE_STATE)
    state = _STATES.get(number) if number is not None else None
    reference = tlv.number(message.tlvs, tlv.USER_MESSAGE_REFERENCE)
    if not name and reference is None:
        raise ValueError("a receipt does not say of which message it is")
    return Report(
        id=name,
        state=state or _state_of(said.get("stat", "")),
        error=_error_of(message, said),
        reference=reference,
        is_final=message.esm_class & _TYPE != _INTERMEDIATE,
    )


def _said(message: Message) -> Mapping[str, str]:
    """Return the fields of a receipt's text, in whichever of both codings an SMSC writes it."""
    codec = "utf-16-be" if message.data_coding == UCS2 else "latin-1"
    return fields_of(message.content[:_TEXT_MAX].decode(codec, "replace"))


def fields_of(text: str) -> Mapping[str, str]:
    """Return the fields of a receipt's text by name (``submit date`` as ``submit_date``), in whatever order and case they are."""
    found: dict[str, str] = {}
    marks = []
    for one in _FIELD.finditer(text):
        marks.append(one)
        if one[1].lower() == "text":
            break  # what stands behind it is a customer's, and may look like anything
    for at, one in enumerate(marks):
        end = marks[at + 1].start() if at + 1 < len(marks) else len(text)
        name = one[1].lower().replace(" ", "_")
        found.setdefault(name, text[one.end() : end].strip(" \t\r\n\0;,"))
    return found


def _state_of(word: str) -> str:
    word = word.upper()
    if word.isdecimal() and len(word) == 1:
        return _STATES.get(int(word), word)
    return _WORDS.get(word, word[:16])


def _error_of(message: Message, said: Mapping[str, str]) -> str:
    if error := said.get("err", ""):
        return error[:16]
    network = message.tlvs.get(tlv.NETWORK_ERROR_CODE, b"")
    return str(int.from_bytes(network[1:], "big")) if len(network) == 3 else ""
