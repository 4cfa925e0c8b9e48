"""What a gateway's call means, by the operator's tables. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import parse_qsl

import orjson
from attrs import frozen

from fernamt import (
    DeliveryState,
    Ignored,
    InboundEvent,
    Part,
    Receipt,
    Received,
    Request,
    Unparsable,
    Unparsed,
)
from fernamt_sms.german import spoken
from fernamt_sms.http.codes import Codes
from fernamt_sms.http.place import Document, Place
from fernamt_sms.http.settings import HttpSettings, InboundSettings, MessageSettings, ReceiptSettings
from fernamt_sms.number import NAME_SCHEME, sender
from fernamt_sms.outcome import error

Kind: TypeAlias = Literal["message", "receipt"]
_SAME_WITHIN_S: Final = 60.0
_MAX_FIELDS: Final = 500
KEY: Final = "fernamt"
"""The parameter of our own address in which the gateway brings {key} back."""
_STATES: Final = {
    "sent": DeliveryState.SENT,
    "delivered": DeliveryState.DELIVERED,
    "read": DeliveryState.READ,
    "failed": DeliveryState.FAILED,
}


class _Wrong(Exception):
    """An event that cannot be read, and why."""


def _form(content: bytes) -> Mapping[str, str]:
    return dict(reversed(parse_qsl(content.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS)))


class Reader:
    """Reads the calls of one gateway."""

    def __init__(self, settings: HttpSettings, inbound: InboundSettings) -> None:
        self._region, self._language = settings.region, settings.house_language
        self._inbound = inbound
        self._codes = Codes(settings.errors)
        self._items, self._type = Place.parse(inbound.items), Place.parse(inbound.type)
        self._message = _Message.of(settings.message)
        self._receipt = _Receipt.of(settings.receipt)

    def read(self, request: Request, kind: Kind) -> Sequence[InboundEvent]:
        """Return an event for each element of a call; *kind* is what comes by this address. Raises ``Unparsable``."""
        key = request.query.get(KEY, "")
        return spoken([self._event(one, kind, key) for one in self._elements(request)], self._language)

    def _elements(self, request: Request) -> Sequence[Any]:
        if not request.body:
            return [
                {name: value for name, value in request.query.items() if name not in {KEY, self._inbound.auth_name}}
            ]
        try:
            said = orjson.loads(request.body) if self._inbound.format == "json" else _form(request.body)
        except ValueError as why:
            raise Unparsable(f"this is no {self._inbound.format}: {type(why).__name__}") from None
        found = self._items.value(said) if self._items is not None else said
        if found is None:
            raise Unparsable(f"there is nothing at {self._inbound.items}")
        return found if isinstance(found, list) else [found]

    def _event(self, one: Any, kind: Kind, key: str) -> InboundEvent:
        raw = orjson.dumps(one)
        digest = hashlib.sha256(raw).hexdigest()
        try:
            if not isinstance(one, Mapping):
                raise _Wrong("an element that is no object")
            said = Document("", one)
            match self._kind(said, kind):
                case "message":
                    return self._received(said, digest)
                case "receipt":
                    return self._told(said, key)
                case other:
                    return Ignored(reason=f"an event of the type {other}")
        except _Wrong as why:
            return Unparsed(key=f"unknown:{digest}", reason=str(why), raw=raw)

    def _kind(self, said: Document, kind: Kind) -> str:
        if self._type is None:
            return kind
        found = self._type.find(said)
        if found in self._inbound.message_types:
            return "message"
        if found in self._inbound.receipt_types:
            return "receipt"
        if found in self._inbound.ignored_types:
            return str(found)
        raise _Wrong(f"an event whose {self._inbound.type} is in none of the lists of types")

    def _received(self, said: Document, digest: str) -> InboundEvent:
        names = self._message
        if names is None:
            raise _Wrong("a message, and the channel has no table message")
        text = names.text.find(said)
        if text is None:
            raise _Wrong("a message without words")
        who = sender(
            _required(names.sender, said, "a message without a sender"), self._region, international=names.plus
        )
        id_ = names.id.find(said) if names.id is not None else None
        if names.id is not None and not id_:
            raise _Wrong("a message without an id")
        part = names.part(said)
        return Received(
            key=f"in:{id_}" if id_ else f"in:{digest}",
            key_valid_s=None if id_ else _SAME_WITHIN_S,
            id=id_ or "",
            part=part,
            sender=who,
            text=text,
            automatic=who.scheme == NAME_SCHEME,
        )

    def _told(self, said: Document, called_with: str) -> InboundEvent:
        names = self._receipt
        if names is None:
            raise _Wrong("a receipt, and the channel has no table receipt")
        status = _required(names.status, said, "a receipt without a status")
        if status in names.ignored:
            return Ignored(reason=f"the status {status}")
        state = names.states.get(status)
        if state is None:
            raise _Wrong("a receipt whose status is in none of the lists")
        id_ = (names.id.find(said) if names.id is not None else None) or ""
        key = (names.key.find(said) if names.key is not None else None) or called_with
        if not id_ and not key:
            raise _Wrong("a receipt that names no message")
        code = (names.code.find(said) if names.code is not None else None) or ""
        why = error(self._codes.of_receipt(code), code) if state is DeliveryState.FAILED else None
        return Receipt(key=f"{status}:{id_ or key}", id=id_, message_key=key, state=state, error=why)


def _required(where: Place, said: Document, wrong: str) -> str:
    found = where.find(said)
    if not found:
        raise _Wrong(wrong)
    return found


def _place(text: str) -> Place:
    found = Place.parse(text)
    assert found is not None
    return found


@frozen(kw_only=True)
class _Message:
    """Where a message has what."""

    sender: Place
    text: Place
    id: Place | None
    group: Place | None
    number: Place | None
    total: Place | None
    plus: bool

    @classmethod
    def of(cls, said: MessageSettings | None) -> _Message | None:
        if said is None:
            return None
        return cls(
            sender=_place(said.sender),
            text=_place(said.text),
            id=Place.parse(said.id),
            group=Place.parse(said.part_group),
            number=Place.parse(said.part_number),
            total=Place.parse(said.part_total),
            plus=said.plus_missing,
        )

    def part(self, said: Document) -> Part | None:
        """Return which piece it is; ``None``: it is whole."""
        group = self.group.find(said) if self.group is not None else None
        if not group:
            return None
        number = self.number.find(said) if self.number is not None else None
        total = self.total.find(said) if self.total is not None else None
        if not _is_count(number) or (total and not _is_count(total)):
            raise _Wrong("a piece of a message that does not say which")
        return Part(group=group, number=int(number or 0), total=int(total) if total else None)


def _is_count(text: str | None) -> bool:
    return text is not None and text.isascii() and text.isdecimal() and len(text) <= 3 and 0 < int(text) <= 255


@frozen(kw_only=True)
class _Receipt:
    """Where a receipt has what, and what its words mean."""

    id: Place | None
    key: Place | None
    status: Place
    code: Place | None
    states: Mapping[str, DeliveryState]
    ignored: frozenset[str]

    @classmethod
    def of(cls, said: ReceiptSettings | None) -> _Receipt | None:
        if said is None:
            return None
        states = {word: state for name, state in _STATES.items() for word in getattr(said, name)}
        return cls(
            id=Place.parse(said.id),
            key=Place.parse(said.key),
            status=_place(said.status),
            code=Place.parse(said.code),
            states=states,
            ignored=frozenset(said.ignored),
        )
