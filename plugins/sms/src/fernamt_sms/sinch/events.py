"""What Sinch says, as events: in a call of its own, or in a list that we ask for. Pure; both give the same keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fernamt import ChannelError, DeliveryState, Ignored, InboundEvent, Receipt, Received
from fernamt_sms.number import NAME_SCHEME
from fernamt_sms.outcome import error
from fernamt_sms.reading import Said, Wrong, document, events, picture
from fernamt_sms.sinch.codes import DELETED, EXPIRED, NOT_DELIVERED, RECEIPTS

_STATES: Final[Mapping[str, DeliveryState]] = {
    "DISPATCHED": DeliveryState.SENT,
    "DELIVERED": DeliveryState.DELIVERED,
    "ABORTED": DeliveryState.FAILED,
    "CANCELLED": DeliveryState.FAILED,
    "REJECTED": DeliveryState.FAILED,
    "DELETED": DeliveryState.FAILED,
    "FAILED": DeliveryState.FAILED,
    "EXPIRED": DeliveryState.FAILED,
}
_NOTHING_NEW: Final = frozenset({"QUEUED", "UNKNOWN"})
_OTHERWISE: Final = {"EXPIRED": EXPIRED, "DELETED": DELETED}
_MOST_MEDIA: Final = 10


def read(body: bytes, region: str) -> Sequence[InboundEvent]:
    """Return what a call means; raises ``Unparsable``."""
    return listed([document(body)], region)


def listed(elements: Sequence[Any], region: str) -> Sequence[InboundEvent]:
    """Return what the elements of a list mean."""
    return events(elements, lambda said: [_event(said, region)])


def _event(said: Said, region: str) -> InboundEvent:
    match said.needed("type"):
        case "mo_text":
            return _received(said, region, text=said.text("body"), media=())
        case "mo_media":
            body = said.within("body")
            words = [one for one in (body.text("subject", ""), body.text("message", "")) if one]
            return _received(said, region, text="\n".join(words), media=body.each("media")[:_MOST_MEDIA])
        case "mo_binary":
            raise Wrong("a message of bytes, which nobody can read")
        case "recipient_delivery_report_sms" | "recipient_delivery_report_mms":
            return _receipt(said)
        case "delivery_report_sms" | "delivery_report_mms":
            return Ignored(reason="a summary of a message to several")
        case _:
            raise Wrong("type is one that we do not know")


def _received(said: Said, region: str, *, text: str, media: Sequence[Said]) -> Received:
    id_, who = said.needed("id"), said.who("from", region)
    there = [one for one in media if one.text("url", "")]
    return Received(
        key=f"in:{id_}",
        id=id_,
        sender=who,
        text=text,
        attachments=tuple(
            picture(id_, at, one.needed("url"), one.text("content_type", "")) for at, one in enumerate(there, 1)
        ),
        # What Sinch could not keep is not there, and a reader should know.
        marks=("incomplete",) if len(there) < len(media) else (),
        # Nobody can answer a name: a shop or a network wrote, by a machine.
        automatic=who.scheme == NAME_SCHEME,
        at=said.moment("received_at"),
    )


def _receipt(said: Said) -> InboundEvent:
    id_, status = said.needed("batch_id"), said.needed("status").upper()
    if status in _NOTHING_NEW:
        return Ignored(reason=f"the status {status}")
    state = _STATES.get(status)
    if state is None:
        raise Wrong("status is one that we do not know")
    return Receipt(
        key=f"{status}:{id_}",
        id=id_,
        message_key=said.text("client_reference", ""),
        state=state,
        error=_why(status, said.text("code", "")) if state is DeliveryState.FAILED else None,
        at=said.moment("operator_status_at") or said.moment("at"),
    )


def _why(status: str, code: str) -> ChannelError:
    return error(RECEIPTS.get(code, _OTHERWISE.get(status, NOT_DELIVERED)), code)
