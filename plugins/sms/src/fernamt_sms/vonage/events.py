"""What Vonage tells us: messages, and what became of ours. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from fernamt import DeliveryState, Ignored, InboundEvent, Part, Receipt, Received, Unparsable
from fernamt_sms.number import NAME_SCHEME, sender
from fernamt_sms.outcome import error
from fernamt_sms.vonage.codes import NOT_DELIVERED, RECEIPTS

_STATES: Final = {
    "accepted": DeliveryState.SENT,
    "delivered": DeliveryState.DELIVERED,
    "expired": DeliveryState.FAILED,
    "failed": DeliveryState.FAILED,
    "rejected": DeliveryState.FAILED,
}
_ON_ITS_WAY: Final = frozenset({"buffered", "unknown"})
_MOST_PARTS: Final = 255


def incoming(form: Mapping[str, str], region: str) -> Sequence[InboundEvent]:
    """Return what a call means that brings a message; raises ``Unparsable``."""
    id_, who = form.get("messageId", ""), form.get("msisdn", "")
    if not id_ or not who:
        raise Unparsable("messageId or msisdn is missing")
    if form.get("type", "text") not in {"text", "unicode"} or "text" not in form:
        raise Unparsable("the message is binary, or of a type that we do not know")
    address = sender(who, region, international=True)
    received = Received(
        key=id_,
        id=id_,
        part=_part(form, who),
        sender=address,
        text=form["text"],
        automatic=address.scheme == NAME_SCHEME,
    )
    return [received]


def _part(form: Mapping[str, str], who: str) -> Part | None:
    """Return which piece of a long message it is; ``None``: it is whole."""
    if form.get("concat", "").lower() != "true":
        return None
    group, number, total = (form.get(f"concat-{name}", "") for name in ("ref", "part", "total"))
    if not group or not _is_count(number) or not _is_count(total):
        raise Unparsable("a piece of a message that does not say which")
    return Part(group=f"{who}:{group}:{total}", number=int(number), total=int(total))


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 3 and 0 < int(text) <= _MOST_PARTS


def told(form: Mapping[str, str]) -> Sequence[InboundEvent]:
    """Return what a delivery receipt means; raises ``Unparsable``."""
    id_, status = form.get("messageId", ""), form.get("status", "")
    if not id_:
        raise Unparsable("messageId is missing")
    if status in _ON_ITS_WAY:
        return [Ignored(reason=f"the status {status}")]
    state = _STATES.get(status)
    if state is None:
        raise Unparsable("status is missing, or one that we do not know")
    code = form.get("err-code", "")
    why = error(RECEIPTS.get(code, NOT_DELIVERED), code) if state is DeliveryState.FAILED else None
    return [Receipt(key=f"{status}:{id_}", id=id_, message_key=form.get("client-ref", ""), state=state, error=why)]
