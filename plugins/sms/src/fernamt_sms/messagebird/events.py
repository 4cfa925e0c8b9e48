"""What Bird says, as events: in a call of its own, or in a list that we ask for. Pure; both give the same keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from fernamt import ChannelError, Consent, DeliveryState, Ignored, InboundEvent, Receipt, Received
from fernamt_sms.messagebird.codes import CANCELED, EXPIRED, NOT_DELIVERED, of_failure
from fernamt_sms.number import NAME_SCHEME
from fernamt_sms.outcome import error
from fernamt_sms.reading import Said, Wrong, document, events

_STATES: Final[Mapping[str, DeliveryState]] = {
    "sent": DeliveryState.SENT,
    "delivered": DeliveryState.DELIVERED,
    "undelivered": DeliveryState.FAILED,
    "failed": DeliveryState.FAILED,
    "rejected": DeliveryState.FAILED,
    "expired": DeliveryState.FAILED,
    "canceled": DeliveryState.FAILED,
}
_NOTHING_NEW: Final = frozenset({"accepted", "scheduled"})
_OTHERWISE: Final = {"expired": EXPIRED, "canceled": CANCELED}
_OF_OTHERS: Final = Ignored(reason="of another sender of the workspace")
KEY: Final = "fernamt"
"""Under this name our key stands in the metadata of a message."""


def read(body: bytes, region: str, *, ours: str) -> Sequence[InboundEvent]:
    """Return what a call means; raises ``Unparsable``.

    Bird calls an endpoint with what concerns any sender of the workspace: *ours* is the number or short code of this line, ``""``
    if it is a name, to which nobody can write.
    """
    return events([document(body)], lambda said: [_called(said, region, ours)])


def listed(elements: Sequence[Any], region: str) -> Sequence[InboundEvent]:
    """Return what the messages of a list mean."""
    return events(elements, lambda said: [_message(said, region)])


def failure(status: str, said: Said) -> ChannelError:
    """Return what a message with this status, and this error beside it, has come to."""
    return error(*of_failure(said.text("code", ""), _OTHERWISE.get(status, NOT_DELIVERED)))


def _called(said: Said, region: str, ours: str) -> InboundEvent:
    about, _, what = said.needed("type").partition(".")
    data, at = said.within("data"), said.moment("timestamp")
    match about, what:
        case "sms", "received":
            if ours and data.text("to", "") != ours:
                return _OF_OTHERS
            return _received(data, data.needed("sms_id"), region, at=at)
        case "sms", status:
            if ours and data.text("from", "") != ours:
                return _OF_OTHERS
            return _receipt(data, data.needed("sms_id"), status, why=data.within("error"), at=at)
        case "sms_suppression", "created":
            if ours and data.text("originator", "") != ours:
                return _OF_OTHERS
            who = data.who("destination", region)
            return Consent(key=f"consent:{data.needed('suppression_id')}", address=who, allowed=False)
        case _:
            return Ignored(reason="an event of another kind")


def _message(said: Said, region: str) -> InboundEvent:
    id_ = said.needed("id")
    match said.needed("direction"):
        case "inbound":
            return _received(said, id_, region, at=said.moment("created_at"))
        case "outbound":
            at = said.moment("delivered_at") or said.moment("sent_at")
            return _receipt(said, id_, said.needed("status"), why=said.within("last_error"), at=at)
        case _:
            raise Wrong("direction is one that we do not know")


def _received(said: Said, id_: str, region: str, *, at: datetime | None) -> Received:
    who, text = said.who("from", region), said.text("text", "")
    return Received(
        key=f"in:{id_}",
        id=id_,
        sender=who,
        text=text,
        # Bird tells of a message of pictures alone that it came, and brings no picture.
        marks=() if text else ("incomplete",),
        # Nobody can answer a name: a shop or a network wrote, by a machine.
        automatic=who.scheme == NAME_SCHEME,
        at=at,
    )


def _receipt(said: Said, id_: str, status: str, *, why: Said, at: datetime | None) -> InboundEvent:
    if status in _NOTHING_NEW:
        return Ignored(reason=f"the status {status}")
    state = _STATES.get(status)
    if state is None:
        raise Wrong("status is one that we do not know")
    return Receipt(
        key=f"{status}:{id_}",
        id=id_,
        message_key=said.within("metadata").text(KEY, ""),
        state=state,
        error=failure(status, why) if state is DeliveryState.FAILED else None,
        at=at,
    )
