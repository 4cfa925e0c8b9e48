"""What Kannel tells us: the get-url of an sms-service, and the dlr-url that we gave along. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from fernamt import (
    ChannelError,
    DeliveryState,
    Ignored,
    InboundEvent,
    Part,
    Receipt,
    Received,
    Request,
    Unparsable,
)
from fernamt_sms.number import NAME_SCHEME, sender
from fernamt_sms.outcome import Class, Meaning, error

_MAX_FIELDS: Final = 50
_STATES: Final = {
    "1": DeliveryState.DELIVERED,
    "2": DeliveryState.FAILED,
    "8": DeliveryState.SENT,
    "16": DeliveryState.FAILED,
}
_WAITS: Final = "4"
_BINARY: Final = "1"
_UCS2: Final = "2"
_CODE: Final = re.compile(r"NACK/(0x[0-9a-fA-F]{1,8}|[0-9]{1,10})")
_NACKS: Final[Mapping[int, Meaning]] = {
    0x0A: Meaning(Class.ACCOUNT, "the operator does not let us send from this sender"),
    0x0B: Meaning(Class.BAD_NUMBER, "the operator says that nobody has this number"),
    0x14: Meaning(Class.CERTAIN, "the queue at the operator was full"),
    0x58: Meaning(Class.CERTAIN, "more messages than the operator takes"),
}
_REFUSED: Final = Meaning(Class.REFUSED, "the operator refused it")
_NOT_DELIVERED: Final = Meaning(Class.REFUSED, "it was not delivered")


def incoming(region: str, *, plus_missing: bool) -> Callable[[Request], Sequence[InboundEvent]]:
    """Return what reads a message, and raises ``Unparsable``.

    *region* is the country of numbers without a country code; *plus_missing*: others come without their +.
    """

    def read(request: Request) -> Sequence[InboundEvent]:
        said = _fields(request)
        id_, who = _text(said.get("id", b"")), _text(said.get("from", b""))
        if not id_ or not who:
            raise Unparsable("the call names no id or no sender: see get-url in the page on Kannel")
        if "text" not in said:
            raise Unparsable("the call has no text: see get-url in the page on Kannel")
        coding = _text(said.get("coding", b""))
        if coding == _BINARY:
            raise Unparsable("the message is binary")
        address = sender(who, region, international=plus_missing)
        received = Received(
            key=id_,
            id=id_,
            part=_part(who, said.get("udh", b"")),
            sender=address,
            text=_words(said["text"], coding, _text(said.get("charset", b""))),
            automatic=address.scheme == NAME_SCHEME,
        )
        return [received]

    return read


def told(request: Request) -> Sequence[InboundEvent]:
    """Return what a delivery report means; raises ``Unparsable``."""
    said = {name: _text(value) for name, value in _fields(request).items()}
    key, part, status = said.get("key", ""), said.get("part", ""), said.get("status", "")
    if not key or not part.isdecimal():
        raise Unparsable("the report names no message of ours")
    if status == _WAITS:
        return [Ignored(reason="Kannel keeps it in its queue")]
    if status not in _STATES:
        raise Unparsable("the report has a status that we do not know")
    id_ = name_of(key, int(part))
    why = _why(status, said.get("answer", "")) if _STATES[status] is DeliveryState.FAILED else None
    return [Receipt(key=f"{status}:{id_}", id=id_, message_key=key, state=_STATES[status], error=why)]


def name_of(key: str, part: int) -> str:
    """Return the id of a part: Kannel gives none, so it is ours."""
    return f"{key}-{part}"


def _why(status: str, answer: str) -> ChannelError:
    found = _CODE.search(answer)
    if status == "16":
        code = int(found[1], 0) if found else 0
        return error(_NACKS.get(code, _REFUSED), f"0x{code:02x}" if found else "")
    stat = re.search(r"\bstat:([A-Z]{1,8})\b", answer)
    return error(_NOT_DELIVERED, stat[1] if stat else "")


def _fields(request: Request) -> Mapping[str, bytes]:
    """Return what stands in the query as bytes: Kannel writes them as they came from the network."""
    query = urlsplit(request.url).query.encode("utf-8", "surrogateescape").decode("latin-1")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_FIELDS, encoding="latin-1")
    except ValueError as why:
        raise Unparsable(f"the query cannot be read: {why}") from None
    return {name: value.encode("latin-1") for name, value in reversed(pairs)}


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _words(text: bytes, coding: str, charset: str) -> str:
    """Return the words of a message. Its charset is not always what it says: what is no UTF-8 is Latin-1 then."""
    if coding == _UCS2 or charset.upper().startswith("UTF-16"):
        # Half a surrogate pair stays: the other half begins the next piece.
        whole = text[: len(text) & ~1].decode("utf-16-be", "surrogatepass")
        return f"{whole}\ufffd" if len(text) % 2 else whole
    try:
        return text.decode(charset or "utf-8")
    except (LookupError, UnicodeError):
        return text.decode("latin-1")


def _part(who: str, udh: bytes) -> Part | None:
    """Return which piece of a long message it is, if Kannel did not join it; ``None``: it is whole."""
    at = 1
    while at + 1 < len(udh):
        element, length = udh[at], udh[at + 1]
        value = udh[at + 2 : at + 2 + length]
        if (element, length) in {(0x00, 3), (0x08, 4)} and len(value) == length:
            *reference, total, number = value
            if 0 < number <= total > 1:
                return Part(group=f"{who}:{bytes(reference).hex()}:{total}", number=number, total=total)
        at += 2 + length
    return None
