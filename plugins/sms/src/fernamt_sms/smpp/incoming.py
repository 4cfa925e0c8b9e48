"""What a deliver_sm or data_sm brings: a customer's message, a part of one, or a receipt. Nothing here is asked of anybody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Final

from attrs import evolve, frozen

from fernamt import Address, Attachment, Ignored, InboundEvent, Part, Receipt, Received, Unparsed
from fernamt_sms import number
from fernamt_sms.german import spoken
from fernamt_sms.smpp import tlv
from fernamt_sms.smpp.codec import encode
from fernamt_sms.smpp.coding import text_of
from fernamt_sms.smpp.ids import Habit, Ids
from fernamt_sms.smpp.outgoing import reference_id
from fernamt_sms.smpp.pdu import Message, Party, Pdu
from fernamt_sms.smpp.receipt import Report, is_receipt, report_of
from fernamt_sms.smpp.repeats import Place, Repeats, Seen
from fernamt_sms.smpp.session import Broken
from fernamt_sms.smpp.settings import SmppSettings

_UDHI: Final = 0x40
_NATIONAL: Final = 2
_BINARY: Final = "application/octet-stream"
_REFERENCE_SIZE: Final = {0x00: 3, 0x08: 4}
"""The elements of a header that join parts, and their lengths."""
_PORTS: Final = frozenset({0x04, 0x05})
"""Elements that address a program and not a person."""


@frozen
class Read:
    """What came of one PDU."""

    events: tuple[InboundEvent, ...]
    seen: Seen | None = None
    """The customer's message that it is, for a repeat to be known."""

    def kept(self, now: float) -> None:
        """Say that it is on disk, and that the answer which says so is written."""
        if self.seen is not None:
            self.seen.answered_at = now

    def refused(self) -> None:
        """Say that it could not be kept, and that the answer says so."""
        if self.seen is not None:
            self.seen.refused = True


class Incoming:
    """Reads PDUs; remembers only what came before, to know repeats, and which ids answers gave."""

    def __init__(self, settings: SmppSettings, *, told: Callable[[Habit], None] = lambda _habit: None) -> None:
        """*told* hears once how receipts write ids, where that is not as answers do."""
        self._settings = settings
        self.ids = Ids(settings.receipt_ids)
        self._repeats = Repeats(settings.repeat_s)
        self._told = told
        self._said = self.ids.found

    def read(self, pdu: Pdu | Broken, place: Place, now: float) -> Read:
        """Return what it is about; *now* is the loop's time."""
        if isinstance(pdu, Broken):
            return Read((_unparsed(pdu.frame, pdu.reason),))
        message = pdu.body
        assert isinstance(message, Message)
        try:
            if is_receipt(message):
                return Read(tuple(spoken(self._receipt(pdu, message), self._settings.house_language)))
            return self._message(message, place, now)
        except ValueError as why:
            return Read((_unparsed(encode(pdu), str(why), known_by=_identity(message)),))

    # ---- a message
    def _message(self, message: Message, place: Place, now: float) -> Read:
        content, part, is_for_program = _body(message)
        # A header stands before packed septets, and moves where they begin.
        skip = len(message.content) - len(content)
        text = (
            None
            if is_for_program
            else text_of(content, message.data_coding, self._settings.default_alphabet, skip=skip)
        )
        seen = self._repeats.seen(blake2b(_identity(message), digest_size=16).hexdigest(), place, now)
        who = _sender(message.source, self._settings.region)
        event = Received(
            key=f"mo:{seen.key}",
            key_valid_s=self._settings.repeat_s,
            part=part,
            sender=who,
            text=text or "",
            attachments=(Attachment(name="message.bin", media_type=_BINARY, content=content),) if text is None else (),
            # Nobody can answer a name: a shop or a network wrote, by a machine.
            automatic=who.scheme == number.NAME_SCHEME,
        )
        return Read((event,), seen)

    # ---- a receipt
    def _receipt(self, pdu: Pdu, message: Message) -> tuple[InboundEvent, ...]:
        report = report_of(message)
        named = self.ids.receipted(report.id, message.source.value)
        if self.ids.found != self._said and self.ids.found is not None:
            self._said = self.ids.found
            if self.ids.found != "same":
                self._told(self.ids.found)
        state = report.meaning
        if state is None:
            why = f"a receipt says {report.state!r}, which is no state"
            return (_unparsed(encode(pdu), why, known_by=_identity(message)),)
        if not named.is_last and report.why is None:
            return (Ignored(reason="a receipt of a part that is not the last one"),)
        receipt = Receipt(key=_receipt_key(named.id, report, message), state=state, id=named.id, error=report.why)
        if report.reference is None or named.is_known or not self._settings.references:
            return (receipt,)
        # The answer with the id may have been lost, or be on its way: our own number has been known since before it went out.
        own = reference_id(report.reference, message.source.value)
        found = evolve(receipt, key=_receipt_key(own, report, message), id=own)
        return (receipt, found) if report.id else (found,)


def _receipt_key(name: str, report: Report, message: Message) -> str:
    """Return what one receipt has alone: an SMSC that counts anew gives an id again, to another number or at another time."""
    said = f"{name}:{report.state}:{report.error}:{report.is_final}:{message.source.value}:"
    return f"dlr:{blake2b(said.encode() + message.content, digest_size=16).hexdigest()}"


def _identity(message: Message) -> bytes:
    """Return what stays the same when an SMSC offers a message again: not the priority, not a time, not its own parameters."""
    parts: Sequence[bytes] = (
        message.source.value.encode(),
        message.dest.value.encode(),
        bytes((message.esm_class, message.data_coding)),
        *(
            message.tlvs.get(tag, b"")
            for tag in (
                tlv.RECEIPTED_MESSAGE_ID,
                tlv.MESSAGE_STATE,
                tlv.SAR_MSG_REF_NUM,
                tlv.SAR_TOTAL_SEGMENTS,
                tlv.SAR_SEGMENT_SEQNUM,
            )
        ),
        message.content,
    )
    return b"".join(len(one).to_bytes(4, "big") + one for one in parts)


def _unparsed(raw: bytes, reason: str, *, known_by: bytes = b"") -> Unparsed:
    return Unparsed(key=f"bad:{blake2b(known_by or raw, digest_size=16).hexdigest()}", reason=reason, raw=raw)


def _sender(source: Party, region: str) -> Address:
    return number.sender(source.value, region, international=source.ton != _NATIONAL)


# ---- the header of a part
def _body(message: Message) -> tuple[bytes, Part | None, bool]:
    """Return the octets without their header, which part of a message they are, and whether a program is meant."""
    content, part, is_for_program = message.content, None, False
    if message.esm_class & _UDHI:
        content, part, is_for_program = _without_header(message)
    total = tlv.number(message.tlvs, tlv.SAR_TOTAL_SEGMENTS)
    at = tlv.number(message.tlvs, tlv.SAR_SEGMENT_SEQNUM)
    reference = tlv.number(message.tlvs, tlv.SAR_MSG_REF_NUM)
    if part is None and total is not None and at is not None and reference is not None:
        part = _part(message, reference, total, at)
    return content, part, is_for_program


def _without_header(message: Message) -> tuple[bytes, Part | None, bool]:
    content = message.content
    end = content[0] + 1 if content else 1
    if end > len(content):
        raise ValueError("the header of a text is longer than the text")
    part, is_for_program, at = None, False, 1
    while at + 1 < end:
        kind, size = content[at], content[at + 1]
        value = content[at + 2 : at + 2 + size]
        if len(value) < size or at + 2 + size > end:
            raise ValueError("an element of a text's header is cut off")
        if _REFERENCE_SIZE.get(kind) == size and part is None:
            part = _part(message, int.from_bytes(value[:-2], "big"), value[-2], value[-1])
        is_for_program = is_for_program or kind in _PORTS
        at += 2 + size
    return content[end:], part, is_for_program


def _part(message: Message, reference: int, total: int, at: int) -> Part | None:
    """Return which part it is; ``None``: of one that is whole, or of numbers that make no sense."""
    if total < 2 or not 1 <= at <= total:
        return None
    return Part(group=f"{message.source.value}:{message.dest.value}:{reference}:{total}", number=at, total=total)
