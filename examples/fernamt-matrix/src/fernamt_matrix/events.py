"""What the homeserver tells us, as events of ours: pure, bytes in, values out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from fernamt import (
    Address,
    Attachment,
    Changed,
    DeliveryState,
    Fetch,
    Ignored,
    InboundEvent,
    Receipt,
    Received,
    Remote,
    Thread,
    Unparsable,
    Unparsed,
)

SCHEME: Final = "matrix"
_FILES: Final = {"m.image", "m.file", "m.audio", "m.video", "m.sticker"}
_MEDIA_TYPES: Final = {"m.image": "image/png", "m.sticker": "image/png", "m.audio": "audio/ogg", "m.video": "video/mp4"}
_OF_NO_INTEREST: Final = Ignored(reason="neither a message nor about one")


class Reader:
    """Reads what happens in rooms, as one user of ours."""

    def __init__(self, user: str) -> None:
        self._user = user

    def transaction(self, body: bytes) -> list[InboundEvent]:
        """Return everything that one transaction says, in its order. Raises ``Unparsable`` or ``ValueError``."""
        said = json.loads(body)
        if not isinstance(said, dict) or not isinstance(said.get("events", []), list):
            raise Unparsable("a transaction is an object with a list of events")
        events = list(self.events(said.get("events", [])))
        passing = said.get("ephemeral") or said.get("de.sorunome.msc2409.ephemeral") or []
        for one in passing if isinstance(passing, list) else []:
            events += self._passing(one)
        return events

    def events(self, said: Iterable[Any]) -> Iterator[InboundEvent]:
        """Yield what each event of a room means; one that is broken does not touch its neighbours."""
        for one in said:
            try:
                yield from self._event(one)
            except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as why:
                reason = f"an event is not as the specification says: {type(why).__name__}"
                yield Unparsed(key=_broken(one), reason=reason, raw=json.dumps(one).encode())

    def history(self, said: Iterable[Any]) -> tuple[InboundEvent, ...]:
        """Return what people said in a room; what was to be done about it then is not done again."""
        return tuple(one for one in self.events(said) if isinstance(one, Received | Changed | Unparsed))

    def _event(self, one: Mapping[str, Any]) -> Iterator[InboundEvent]:
        sender, room = _text(one["sender"]), _text(one["room_id"])
        kind, content = _text(one["type"]), one["content"]
        if sender == self._user:
            yield Ignored(reason="our own")
            return
        match kind:
            case "m.room.message" | "m.sticker":
                yield self._message(one, kind, room, content)
            case "m.reaction":
                yield self._reaction(one, room, content)
            case "m.room.redaction":
                target = _text(one.get("redacts") or content.get("redacts"))
                key = id_of(room, _text(one["event_id"]))
                yield Changed(key=key, id=id_of(room, target), kind="deleted", sender=Address(SCHEME, sender))
            case "m.room.encrypted":
                raw = json.dumps(one, sort_keys=True).encode()
                key = id_of(room, _text(one["event_id"]))
                yield Unparsed(key=key, reason="an encrypted message: only the people in the room can read it", raw=raw)
                yield Fetch(f"encrypted {room}")
            case "m.room.encryption":
                yield Fetch(f"encrypted {room}")
            case "m.room.member" if one.get("state_key") == self._user:
                yield self._about_us(room, _text(content["membership"]))
            case _:
                yield _OF_NO_INTEREST

    def _about_us(self, room: str, membership: str) -> InboundEvent:
        match membership:
            case "invite":
                return Fetch(f"join {room}")
            case "leave" | "ban":
                return Ignored(reason="we were put out of a room")
            case _:
                return _OF_NO_INTEREST

    def _message(self, one: Mapping[str, Any], kind: str, room: str, content: Mapping[str, Any]) -> InboundEvent:
        if not content:
            return Ignored(reason="it was deleted before it came")
        sender, number = _text(one["sender"]), _text(one["event_id"])
        relation = content.get("m.relates_to") or {}
        key = id_of(room, number)
        if relation.get("rel_type") == "m.replace":
            target = id_of(room, _text(relation["event_id"]))
            text = _text((content.get("m.new_content") or content)["body"])
            return Changed(key=key, id=target, kind="edited", text=text, sender=Address(SCHEME, sender))
        answered = (relation.get("m.in_reply_to") or {}).get("event_id")
        form = kind if kind == "m.sticker" else _text(content["msgtype"])
        text, attachments = _words(form, content, answers=answered is not None)
        html = content.get("formatted_body") if content.get("format") == "org.matrix.custom.html" else ""
        if answered and html and html.startswith("<mx-reply>"):
            html = html.partition("</mx-reply>")[2]
        return Received(
            key=key,
            id=key,
            sender=Address(SCHEME, sender),
            sender_name=sender[1:].partition(":")[0],
            text=text,
            html="" if attachments else _text(html or ""),
            attachments=attachments,
            thread=Thread(references=(id_of(room, _text(answered)),) if answered else (), place=room, shared=True),
            at=datetime.fromtimestamp(one["origin_server_ts"] / 1000, UTC),
            automatic=form == "m.notice",
        )

    def _reaction(self, one: Mapping[str, Any], room: str, content: Mapping[str, Any]) -> InboundEvent:
        relation = content.get("m.relates_to")
        if not relation:
            return Ignored(reason="it was deleted before it came")
        return Changed(
            key=id_of(room, _text(one["event_id"])),
            id=id_of(room, _text(relation["event_id"])),
            kind="reaction",
            text=_text(relation["key"]),
            sender=Address(SCHEME, _text(one["sender"])),
        )

    def _passing(self, one: Any) -> Iterator[InboundEvent]:
        """Yield the receipts of what passes by; nobody sends it again, so what is broken is only counted."""
        match one:
            case {"type": "m.receipt", "room_id": str(room), "content": dict(content)}:
                yield from self._receipts(room, content)
            case _:
                yield Ignored(reason="somebody writes, or is there")

    def _receipts(self, room: str, content: Mapping[str, Any]) -> Iterator[InboundEvent]:
        for number, kinds in content.items():
            readers = kinds.get("m.read") if isinstance(kinds, dict) else None
            for reader in readers if isinstance(readers, dict) else {}:
                if reader != self._user:
                    key = f"read:{id_of(room, number)}:{reader}"
                    yield Receipt(
                        key=key, id=id_of(room, number), address=Address(SCHEME, reader), state=DeliveryState.READ
                    )


def id_of(room: str, event: str) -> str:
    """Return our id of an event: an event's own says nothing of its room, and nothing can be asked without that."""
    return f"{room}/{event}"


def room_of(identity: str) -> tuple[str, str]:
    """Return (room, event) of an :func:`id_of`; the event is empty if it is none."""
    room, found, event = identity.partition("/$")
    return room, f"${event}" if found else ""


def _words(form: str, content: Mapping[str, Any], *, answers: bool) -> tuple[str, tuple[Attachment, ...]]:
    body = _text(content["body"])
    if form not in _FILES or "url" not in content:
        return (_without_quote(body) if answers else body), ()
    name = _text(content.get("filename") or body)
    media_type = (content.get("info") or {}).get("mimetype") or _MEDIA_TYPES.get(form, "application/octet-stream")
    attachment = Attachment(name=name, media_type=_text(media_type), content=Remote(_text(content["url"])))
    return ("" if name == body else body), (attachment,)


def _broken(one: Any) -> str:
    """Return a key for an event that cannot be read: how old it is changes when it comes again."""
    lasting = (
        {name: one[name] for name in sorted(one) if name not in {"age", "unsigned"}} if isinstance(one, dict) else one
    )
    return f"broken:{hashlib.sha256(json.dumps(lasting).encode()).hexdigest()}"


def _without_quote(body: str) -> str:
    """Leave out what older clients repeat above an answer (up to version 1.12 of the specification)."""
    if not body.startswith(("> <@", "> * <@")):
        return body
    lines = body.split("\n")
    quoted = next((number for number, line in enumerate(lines) if not line.startswith("> ")), len(lines))
    return "\n".join(lines[quoted:]).removeprefix("\n") if quoted and quoted < len(lines) else body


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a {type(value).__name__} where a text should be")
    return value
