"""PDUs and bytes, both ways. Nothing but :class:`PduError` is ever raised for what came in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from struct import Struct
from types import MappingProxyType
from typing import Final

from fernamt_sms.smpp import tlv
from fernamt_sms.smpp.command import RESPONSE, Command, response_to
from fernamt_sms.smpp.pdu import (
    NOTHING,
    Bind,
    Body,
    Bound,
    Message,
    Nothing,
    Opaque,
    Party,
    Pdu,
    Queried,
    Query,
    Taken,
)
from fernamt_sms.smpp.status import Status
from fernamt_sms.smpp.tlv import Tlvs

HEAD_BYTES: Final = 16
MAX_BYTES: Final = 70_000
"""A message_payload has at most 64 KB, and the rest of a PDU little."""
_HEAD: Final = Struct(">LLLL")
_MARKS: Final = Struct("BBB")
_TWO: Final = Struct("BB")
_FOUR: Final = Struct("BBBB")


class PduError(Exception):
    """What came is no PDU. *status* is what a generic_nack says of it, *sequence* 0 where even that is not known."""

    def __init__(self, reason: str, status: Status, *, command: int = 0, sequence: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.command = command
        self.sequence = sequence


# ---- bytes in
class Framer:
    """Cuts a stream into frames. What is not yet whole waits in a buffer, which never holds more than one frame of legal size."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield each whole frame; raises ``PduError`` at a length that no PDU has: nothing behind that can be found again."""
        if self._rest:
            data, self._rest = self._rest + data, b""
        start, end = 0, len(data)
        while end - start >= 4:
            length = int.from_bytes(data[start : start + 4], "big")
            if not HEAD_BYTES <= length <= self._max_bytes:
                raise PduError(f"a PDU says that it has {length} bytes", Status.RINVCMDLEN)
            if end - start < length:
                break
            yield data[start : start + length]
            start += length
        self._rest = data[start:]


def decode(frame: bytes) -> Pdu:
    """Return the PDU that a frame is; raises ``PduError``."""
    if len(frame) < HEAD_BYTES:
        raise PduError("a PDU is shorter than its head", Status.RINVCMDLEN)
    length, command, status, sequence = _HEAD.unpack_from(frame)
    if length != len(frame):
        raise PduError("a PDU is not as long as it says", Status.RINVCMDLEN, command=command, sequence=sequence)
    read = _READERS.get(command)
    if read is None:
        return Pdu(command, sequence, Opaque(frame[HEAD_BYTES:]), status)
    if len(frame) == HEAD_BYTES and command & RESPONSE:
        # An answer that refuses needs no body, and many have none.
        return Pdu(command, sequence, _EMPTY.get(command, NOTHING), status)
    try:
        return Pdu(command, sequence, read(frame), status)
    except (ValueError, IndexError) as why:
        if command & RESPONSE and status:
            # What refuses does so whatever its body is: unread, it would leave a message of which nobody knows.
            return Pdu(command, sequence, _EMPTY.get(command, NOTHING), status)
        reason = str(why) if type(why) is ValueError else "a PDU ends before its fields do"
        bad = Status.RINVOPTPARSTREAM if "optional parameter" in reason else Status.RINVCMDLEN
        raise PduError(reason, bad, command=command, sequence=sequence) from None


def _string(data: bytes, start: int) -> tuple[str, int]:
    """Return a C-octet string, and where the next field begins. ``ValueError``: it does not end."""
    end = data.find(b"\0", start)
    if end < 0:
        raise ValueError("a string of a PDU has no end")
    return data[start:end].decode("latin-1"), end + 1


def _last_string(data: bytes, start: int) -> tuple[str, int]:
    """Return a C-octet string that may lack its NUL where the PDU ends: some SMSCs leave it away."""
    end = data.find(b"\0", start)
    return (data[start:].decode("latin-1"), len(data)) if end < 0 else _string(data, start)


def _hanging(data: bytes, start: int) -> Tlvs:
    """Return what hangs on an answer; nothing, where it cannot be read: the answer is the id before it."""
    try:
        return tlv.read(data, start)
    except ValueError:
        return tlv.NONE


def _party(data: bytes, start: int) -> tuple[Party, int]:
    ton, npi = data[start], data[start + 1]
    value, at = _string(data, start + 2)
    return Party(value, ton, npi), at


def _read_nothing(_data: bytes) -> Nothing:
    return NOTHING


def _read_bind(data: bytes) -> Bind:
    system_id, at = _string(data, HEAD_BYTES)
    password, at = _string(data, at)
    system_type, at = _string(data, at)
    version, ton, npi = data[at], data[at + 1], data[at + 2]
    address_range, _ = _last_string(data, at + 3)
    return Bind(
        system_id=system_id,
        password=password,
        system_type=system_type,
        interface_version=version,
        ton=ton,
        npi=npi,
        address_range=address_range,
    )


def _read_bound(data: bytes) -> Bound:
    system_id, at = _last_string(data, HEAD_BYTES)
    return Bound(system_id, _hanging(data, at))


def _read_message(data: bytes) -> Message:
    service_type, at = _string(data, HEAD_BYTES)
    source, at = _party(data, at)
    dest, at = _party(data, at)
    esm_class, protocol_id, priority = data[at], data[at + 1], data[at + 2]
    schedule, at = _string(data, at + 3)
    validity, at = _string(data, at)
    registered, replace, data_coding, canned, length = data[at], data[at + 1], data[at + 2], data[at + 3], data[at + 4]
    at += 5
    text = data[at : at + length]
    if len(text) != length:
        raise ValueError("a short_message is cut off")
    return Message(
        service_type=service_type,
        source=source,
        dest=dest,
        esm_class=esm_class,
        protocol_id=protocol_id,
        priority=priority,
        schedule=schedule,
        validity=validity,
        registered=registered,
        replace=replace,
        data_coding=data_coding,
        canned=canned,
        text=text,
        tlvs=tlv.read(data, at + length),
    )


def _read_data(data: bytes) -> Message:
    service_type, at = _string(data, HEAD_BYTES)
    source, at = _party(data, at)
    dest, at = _party(data, at)
    return Message(
        service_type=service_type,
        source=source,
        dest=dest,
        esm_class=data[at],
        registered=data[at + 1],
        data_coding=data[at + 2],
        tlvs=tlv.read(data, at + 3),
    )


def _read_taken(data: bytes) -> Taken:
    message_id, at = _last_string(data, HEAD_BYTES)
    return Taken(message_id, _hanging(data, at))


def _read_query(data: bytes) -> Query:
    message_id, at = _string(data, HEAD_BYTES)
    return Query(message_id, _party(data, at)[0])


def _read_queried(data: bytes) -> Queried:
    message_id, at = _string(data, HEAD_BYTES)
    final_date, at = _string(data, at)
    return Queried(message_id, final_date, data[at], data[at + 1])


_READERS: Final[Mapping[int, Callable[[bytes], Body]]] = MappingProxyType(
    {
        RESPONSE: _read_nothing,
        Command.BIND_RECEIVER: _read_bind,
        Command.BIND_TRANSMITTER: _read_bind,
        Command.BIND_TRANSCEIVER: _read_bind,
        response_to(Command.BIND_RECEIVER): _read_bound,
        response_to(Command.BIND_TRANSMITTER): _read_bound,
        response_to(Command.BIND_TRANSCEIVER): _read_bound,
        Command.SUBMIT_SM: _read_message,
        Command.DELIVER_SM: _read_message,
        Command.DATA_SM: _read_data,
        response_to(Command.SUBMIT_SM): _read_taken,
        response_to(Command.DELIVER_SM): _read_taken,
        response_to(Command.DATA_SM): _read_taken,
        Command.QUERY_SM: _read_query,
        response_to(Command.QUERY_SM): _read_queried,
        Command.UNBIND: _read_nothing,
        response_to(Command.UNBIND): _read_nothing,
        Command.ENQUIRE_LINK: _read_nothing,
        response_to(Command.ENQUIRE_LINK): _read_nothing,
    }
)
_EMPTY: Final[Mapping[int, Body]] = MappingProxyType(
    {
        command: made
        for commands, made in (
            ((Command.BIND_RECEIVER, Command.BIND_TRANSMITTER, Command.BIND_TRANSCEIVER), Bound("")),
            ((Command.SUBMIT_SM, Command.DELIVER_SM, Command.DATA_SM), Taken()),
            ((Command.QUERY_SM,), Queried("", "", 0, 0)),
        )
        for command in map(response_to, commands)
    }
)


# ---- bytes out
def encode(pdu: Pdu) -> bytes:
    """Return a PDU as it goes over the wire. Raises ``ValueError`` if a field of ours cannot stand in it."""
    body = _WRITERS[type(pdu.body)](pdu.body, pdu.command)
    return _HEAD.pack(HEAD_BYTES + len(body), pdu.command, pdu.status, pdu.sequence) + body


def _ended(*texts: str) -> bytes:
    """Return C-octet strings."""
    found = "\0".join((*texts, "")).encode("latin-1")
    if found.count(b"\0") != len(texts):
        raise ValueError("a string of a PDU cannot hold a NUL")
    return found


def _parties(*parties: Party) -> bytes:
    return b"".join([_TWO.pack(one.ton, one.npi) + _ended(one.value) for one in parties])


def _write_nothing(_body: Nothing, _command: int) -> bytes:
    return b""


def _write_opaque(body: Opaque, _command: int) -> bytes:
    return body.content


def _write_bind(body: Bind, _command: int) -> bytes:
    return (
        _ended(body.system_id, body.password, body.system_type)
        + _MARKS.pack(body.interface_version, body.ton, body.npi)
        + _ended(body.address_range)
    )


def _write_bound(body: Bound, _command: int) -> bytes:
    return _ended(body.system_id) + tlv.written(body.tlvs)


def _write_message(body: Message, command: int) -> bytes:
    head = _ended(body.service_type) + _parties(body.source, body.dest)
    tlvs = tlv.written(body.tlvs)
    if command == Command.DATA_SM:
        return head + _MARKS.pack(body.esm_class, body.registered, body.data_coding) + tlvs
    if len(body.text) > 255:
        raise ValueError(f"a short_message has at most 255 bytes, and this one {len(body.text)}")
    return (
        head
        + _MARKS.pack(body.esm_class, body.protocol_id, body.priority)
        + _ended(body.schedule, body.validity)
        + _FOUR.pack(body.registered, body.replace, body.data_coding, body.canned)
        + bytes((len(body.text),))
        + body.text
        + tlvs
    )


def _write_taken(body: Taken, _command: int) -> bytes:
    return _ended(body.message_id) + tlv.written(body.tlvs)


def _write_query(body: Query, _command: int) -> bytes:
    return _ended(body.message_id) + _parties(body.source)


def _write_queried(body: Queried, _command: int) -> bytes:
    return _ended(body.message_id, body.final_date) + _TWO.pack(body.state, body.error)


_WRITERS: Final[Mapping[type, Callable[..., bytes]]] = MappingProxyType(
    {
        Nothing: _write_nothing,
        Opaque: _write_opaque,
        Bind: _write_bind,
        Bound: _write_bound,
        Message: _write_message,
        Taken: _write_taken,
        Query: _write_query,
        Queried: _write_queried,
    }
)
