"""What Vonage says in its calls, as events. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fernamt import ChannelError, DeliveryState, Ignored, InboundEvent, Part, Receipt, Received, Unparsable
from fernamt_sms.number import NAME_SCHEME
from fernamt_sms.outcome import error
from fernamt_sms.reading import Said, Wrong, document, events, picture
from fernamt_sms.vonage.codes import EXPIRED, MESSAGES, NOT_DELIVERED, RECEIPTS, of_problem

_STATES: Final[Mapping[str, DeliveryState]] = {
    # The Messages API
    "submitted": DeliveryState.SENT,
    "delivered": DeliveryState.DELIVERED,
    "read": DeliveryState.READ,
    "rejected": DeliveryState.FAILED,
    "undeliverable": DeliveryState.FAILED,
    # The SMS API
    "accepted": DeliveryState.SENT,
    "buffered": DeliveryState.SENT,
    "failed": DeliveryState.FAILED,
    "expired": DeliveryState.FAILED,
    "deleted": DeliveryState.FAILED,
}
_FILES: Final = ("image", "audio", "video", "file", "vcard")
_MOST_FILES: Final = 10
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")


# ---- the Messages API
def messages(body: bytes, region: str) -> Sequence[InboundEvent]:
    """Return what a call of the Messages API means that brings a message; raises ``Unparsable``."""
    return events([document(body)], lambda said: [_message(said, region)])


def statuses(body: bytes) -> Sequence[InboundEvent]:
    """Return what a call of the Messages API means that tells what became of one; raises ``Unparsable``."""
    return events([document(body)], lambda said: [_status(said)])


def _message(said: Said, region: str) -> InboundEvent:
    if (channel := said.text("channel", "sms")) not in {"sms", "mms"}:
        raise Wrong("a message of another channel than SMS")
    uuid = said.needed("message_uuid")
    who = said.who("from", region)
    kind = said.text("message_type", "text")
    if kind not in {"text", "content", *_FILES}:
        raise Wrong("message_type is one that we do not know")
    files = _files(said, kind)
    caption = next((one for one in (file.text("caption", "") for file in files) if one), "")
    return Received(
        key=f"in:{uuid}",
        id=uuid,
        sender=who,
        text=said.text("text", caption if channel == "mms" else None),
        attachments=tuple(picture(uuid, at, file.needed("url")) for at, file in enumerate(files, 1)),
        # Nobody can answer a name: a shop or a network wrote, by a machine.
        automatic=who.scheme == NAME_SCHEME,
        at=said.moment("timestamp"),
    )


def _files(said: Said, kind: str) -> Sequence[Said]:
    if kind == "content":
        return said.each("content")[:_MOST_FILES]
    return [said.within(kind)] if kind in _FILES else ()


def _status(said: Said) -> InboundEvent:
    uuid, status = said.needed("message_uuid"), said.needed("status")
    state = _STATES.get(status)
    if state is None:
        raise Wrong("status is one that we do not know")
    code = of_problem(said.within("error").fields)
    return Receipt(
        key=f"{status}:{uuid}",
        id=uuid,
        message_key=said.text("client_ref", ""),
        state=state,
        error=error(MESSAGES.get(code, NOT_DELIVERED), code) if state is DeliveryState.FAILED else None,
        at=said.moment("timestamp"),
    )


# ---- the SMS API
def sms(parameters: Mapping[str, Any], region: str) -> Sequence[InboundEvent]:
    """Return what a call of the SMS API means that brings a message; raises ``Unparsable``."""
    return _one(parameters, lambda said: _sms(said, region))


def receipts(parameters: Mapping[str, Any]) -> Sequence[InboundEvent]:
    """Return what a call of the SMS API means that tells what became of one; raises ``Unparsable``."""
    return _one(parameters, _receipt)


def _one(parameters: Mapping[str, Any], read: Any) -> Sequence[InboundEvent]:
    try:
        return [read(Said(parameters))]
    except Wrong as why:
        raise Unparsable(str(why)) from None


def _sms(said: Said, region: str) -> InboundEvent:
    id_, who = said.needed("messageId"), said.who("msisdn", region)
    if said.text("type", "text") not in {"text", "unicode"}:
        raise Wrong("a message of bytes, which nobody can read")
    part = None
    if said.text("concat", "false") == "true":
        # A telephone counts its references by itself: two people may have the same.
        group = f"{said.needed('msisdn')}:{said.needed('to')}:{said.needed('concat-ref')}"
        part = Part(group=group, number=said.count("concat-part"), total=said.count("concat-total"))
    return Received(
        key=f"in:{id_}",
        id=id_,
        part=part,
        sender=who,
        text=said.text("text"),
        automatic=who.scheme == NAME_SCHEME,
        at=_moment(said.text("message-timestamp", "")),
    )


def _receipt(said: Said) -> InboundEvent:
    id_, status = said.needed("messageId"), said.needed("status")
    if status == "unknown":
        return Ignored(reason="the status unknown")
    state = _STATES.get(status)
    if state is None:
        raise Wrong("status is one that we do not know")
    return Receipt(
        key=f"{status}:{id_}",
        id=id_,
        message_key=said.text("client-ref", ""),
        state=state,
        error=_why(status, said.text("err-code", "")) if state is DeliveryState.FAILED else None,
        at=_moment(said.text("message-timestamp", "")),
    )


def _why(status: str, code: str) -> ChannelError:
    otherwise = EXPIRED if status == "expired" else NOT_DELIVERED
    return error(RECEIPTS.get(code, otherwise), code)


def _moment(text: str) -> datetime | None:
    try:
        at = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC) if _TIME.fullmatch(text) else None
    except ValueError:
        return None
    # The year 1 and the year 9999 are no times of a message, and cannot be moved by a zone.
    return at if at is None or at - datetime(1970, 1, 1, tzinfo=UTC) > timedelta() else None
