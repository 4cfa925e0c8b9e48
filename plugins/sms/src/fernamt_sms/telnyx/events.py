"""What Telnyx says in its calls, as events. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import parse_qs, urlsplit

from fernamt import ChannelError, Consent, DeliveryState, Ignored, InboundEvent, Receipt, Received
from fernamt_sms.number import NAME_SCHEME
from fernamt_sms.outcome import error
from fernamt_sms.reading import Said, Wrong, document, events, picture
from fernamt_sms.telnyx.codes import EXPIRED, NOT_DELIVERED, of_error

MOST_MEDIA: Final = 10
_STATES: Final[Mapping[str, DeliveryState]] = {
    "sent": DeliveryState.SENT,
    # The network told nothing in time: it is no failure.
    "delivery_unconfirmed": DeliveryState.SENT,
    "delivered": DeliveryState.DELIVERED,
    "sending_failed": DeliveryState.FAILED,
    "delivery_failed": DeliveryState.FAILED,
    "expired": DeliveryState.FAILED,
}
_ON_ITS_WAY: Final = frozenset({"queued", "sending"})
_CONSENT: Final = {"stop": False, "opt_out": False, "start": True, "opt_in": True}
_KINDS: Final = frozenset({"SMS", "MMS"})


def read(body: bytes, region: str, *, receipts: str) -> Sequence[InboundEvent]:
    """Return what a call means; raises ``Unparsable``.

    *receipts* is our address for receipts: Telnyx says with each which it was given, under its signature, and our key in it.
    """
    return events([document(body)], lambda said: _event(said.within("data"), region, receipts))


def _event(said: Said, region: str, receipts: str) -> Sequence[InboundEvent]:
    payload = said.within("payload")
    match said.needed("event_type"):
        case "message.received":
            return _received(payload, region)
        case "message.sent" | "message.finalized":
            return [_receipt(payload, receipts)]
        case _:
            raise Wrong("event_type is one that we do not know")


def _received(said: Said, region: str) -> Sequence[InboundEvent]:
    if said.text("type", "SMS") not in _KINDS:
        raise Wrong("a message of another channel than SMS")
    id_, who = said.needed("id"), said.within("from").who("phone_number", region)
    media = said.each("media")[:MOST_MEDIA]
    received = Received(
        key=f"in:{id_}",
        id=id_,
        sender=who,
        # A picture may come without words, an SMS does not.
        text=said.text("text", "" if media else None),
        attachments=tuple(
            picture(id_, at, one.needed("url"), one.text("content_type", "")) for at, one in enumerate(media, 1)
        ),
        # Nobody can answer a name: a shop or a network wrote, by a machine.
        automatic=who.scheme == NAME_SCHEME,
        at=said.moment("received_at"),
    )
    allowed = _CONSENT.get(said.text("autoresponse_type", "").lower())
    return [received] if allowed is None else [received, Consent(key=f"consent:{id_}", address=who, allowed=allowed)]


def _receipt(said: Said, receipts: str) -> InboundEvent:
    id_, to = said.needed("id"), said.each("to")
    if len(to) != 1:
        raise Wrong("a message to nobody, or to several")
    status = to[0].needed("status")
    if status in _ON_ITS_WAY:
        return Ignored(reason=f"the status {status}")
    state = _STATES.get(status)
    if state is None:
        raise Wrong("status is one that we do not know")
    return Receipt(
        key=f"{status}:{id_}",
        id=id_,
        message_key=_key(said.text("webhook_url", ""), receipts),
        state=state,
        error=_why(status, said.each("errors")) if state is DeliveryState.FAILED else None,
        at=said.moment("completed_at") or said.moment("sent_at"),
    )


def _key(address: str, receipts: str) -> str:
    """Return our key, which stands in the address that we gave with the message."""
    if not address.startswith(f"{receipts}?"):
        return ""
    return parse_qs(urlsplit(address).query).get("key", [""])[0]


def _why(status: str, errors: Sequence[Said]) -> ChannelError:
    for one in errors:
        code = one.text("code", "")
        if (meaning := of_error(code, one.text("title", ""))) is not None:
            return error(meaning, code)
    code = errors[0].text("code", "") if errors else ""
    return error(EXPIRED if status == "expired" else NOT_DELIVERED, code)
