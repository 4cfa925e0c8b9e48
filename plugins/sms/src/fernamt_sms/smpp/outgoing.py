"""A message of ours as submit_sm: its parts, in the order in which they go. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from fernamt import OutboundMessage
from fernamt_sms.line import Line
from fernamt_sms.number import is_name
from fernamt_sms.smpp import coding, tlv
from fernamt_sms.smpp.pdu import Message, Party
from fernamt_sms.smpp.settings import SmppSettings
from fernamt_sms.smpp.tlv import Tlvs
from fernamt_sms.text import Encoding, Segments, header, segment

_UDHI: Final = 0x40
_STORE_AND_FORWARD: Final = 0x00
_RECEIPT: Final = 1
_RECEIPT_OF_FAILURE: Final = 2
_INTERNATIONAL: Final = Party("", 1, 1)
_NETWORK: Final = Party("", 3, 0)
_UNKNOWN: Final = Party("", 0, 1)
_NAME: Final = Party("", 5, 0)


def party_of(value: str, ton: int | None, npi: int | None) -> Party:
    """Return a number, a short code or a name as the SMSC wants it; *ton* and *npi*: as the operator says."""
    if value.startswith("+"):
        form = _INTERNATIONAL
    elif is_name(value):
        form = _NAME
    else:
        form = _NETWORK if len(value) <= 6 else _UNKNOWN
    return Party(value.removeprefix("+"), form.ton if ton is None else ton, form.npi if npi is None else npi)


def number_of(message: OutboundMessage) -> int:
    """Return our own number of a message, 1 to 65535: the same on every attempt, and another one for the 65,534 after it.

    Keys count up in base 36. Two parts that the core made of one text have keys that are far apart.
    """
    return int(message.key, 36) % 0xFFFF + 1


@lru_cache(maxsize=512)  # asked for before a message goes, and again when it went
def reference_id(number: int, recipient: str) -> str:
    """Return the id by which a receipt finds a message that gives our own number back, and the recipient as its sender.

    What counts up stands before an @: see ``ChoosesId``.
    """
    return f"ref-{number:04x}@{blake2b(recipient.lstrip('+0').encode(), digest_size=12).hexdigest()}"


class Outgoing:
    """Makes the parts of a message."""

    def __init__(self, settings: SmppSettings) -> None:
        self._settings = settings
        self._line = Line(settings, settings.sender)
        self._source = party_of(settings.sender, settings.sender_ton, settings.sender_npi)

    @property
    def source(self) -> Party:
        """Whom we write as."""
        return self._source

    def recipient(self, message: OutboundMessage) -> str:
        """Return whom it goes to. Raises ``Rejected``."""
        return self._line.recipient(message)

    def segments(self, message: OutboundMessage) -> Segments:
        """Return the text as it is split, in an encoding that this SMSC has for it."""
        text, bits = self._line.text(message), self._settings.reference_bits
        found = segment(text, reference_bits=bits)
        if self._settings.default_alphabet == "latin-1" and found.encoding is Encoding.GSM and not _is_latin(text):
            return segment(text, reference_bits=bits, encoding=Encoding.UCS2)
        return found

    def parts(self, message: OutboundMessage, recipient: str) -> tuple[Message, ...]:
        """Return what is submitted, one after the other. Raises ``Rejected``."""
        segments = self.segments(message)
        dest = party_of(recipient, self._settings.dest_ton, self._settings.dest_npi)
        own = number_of(message)
        reference = {tlv.USER_MESSAGE_REFERENCE: own.to_bytes(2, "big")} if self._settings.references else {}
        pieces = [*self._pieces(segments, own)]
        return tuple(
            [
                Message(
                    service_type=self._settings.service_type,
                    source=self._source,
                    dest=dest,
                    esm_class=_STORE_AND_FORWARD | esm_class,
                    registered=self._registered(is_last=at == len(pieces)),
                    data_coding=coding.GSM if segments.encoding is Encoding.GSM else coding.UCS2,
                    text=text,
                    tlvs={**reference, **tlvs},
                )
                for at, (text, esm_class, tlvs) in enumerate(pieces, 1)
            ]
        )

    def _registered(self, *, is_last: bool) -> int:
        """Ask what became of the last part, and of the others only if they failed: the last one speaks for the message."""
        if not self._settings.receipts:
            return 0
        return _RECEIPT if is_last else _RECEIPT_OF_FAILURE

    def _pieces(self, segments: Segments, own: int) -> Iterator[tuple[bytes, int, Tlvs]]:
        """Yield short_message, esm_class and what more there is of each part."""
        total = len(segments.parts)
        how = self._settings.long_messages if total > 1 else ""
        if how == "payload":
            yield b"", 0, {tlv.MESSAGE_PAYLOAD: self._octets("".join(segments.parts), segments.encoding)}
            return
        for at, part in enumerate(segments.parts, 1):
            match how:
                case "udh":
                    head = header(own, total, at, reference_bits=segments.reference_bits)
                    yield head + self._octets(part, segments.encoding, skip=len(head)), _UDHI, {}
                case "sar":
                    sar = {
                        tlv.SAR_MSG_REF_NUM: own.to_bytes(2, "big"),
                        tlv.SAR_TOTAL_SEGMENTS: bytes((total,)),
                        tlv.SAR_SEGMENT_SEQNUM: bytes((at,)),
                    }
                    yield self._octets(part, segments.encoding), 0, sar
                case _:
                    yield self._octets(part, segments.encoding), 0, {}

    def _octets(self, text: str, encoding: Encoding, *, skip: int = 0) -> bytes:
        if encoding is Encoding.UCS2:
            return text.encode("utf-16-be", "surrogatepass")
        return coding.written(text, self._settings.default_alphabet, skip=skip)


def _is_latin(text: str) -> bool:
    """Say whether Latin-1 has every character: of the GSM alphabet it lacks the euro and the Greek ones."""
    return not text or max(text) <= "\xff"
