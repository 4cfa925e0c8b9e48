"""What Infobip says in its calls, as events: up to a hundred in one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from fernamt import DeliveryState, Ignored, InboundEvent, Receipt, Received, Unparsable
from fernamt_sms.infobip.codes import of_failure
from fernamt_sms.number import NAME_SCHEME
from fernamt_sms.outcome import error
from fernamt_sms.reading import Said, Wrong, document, events

_PENDING: Final = "1"
_DELIVERED: Final = "3"
_FAILED: Final = frozenset({"2", "4", "5"})
_TO_OPERATOR: Final = "DELIVERED_TO_OPERATOR"
"""In the group of what was delivered, and yet only on its way: what the telephone says comes behind it."""
_UNKNOWN: Final = "EXPIRED_DLR_UNKNOWN"
"""The network told nothing in time: it is no failure."""


def messages(body: bytes, region: str) -> Sequence[InboundEvent]:
    """Return what a call means that brings messages; raises ``Unparsable``."""
    return events(_results(body), lambda said: [_received(said, region)])


def receipts(body: bytes) -> Sequence[InboundEvent]:
    """Return what a call means that tells what became of ours; raises ``Unparsable``."""
    return events(_results(body), lambda said: [_receipt(said)])


def _results(body: bytes) -> Sequence[Any]:
    said = document(body)
    results = said.get("results") if isinstance(said, dict) else None
    if not isinstance(results, list):
        raise Unparsable("there is no list of results")
    return results


def _received(said: Said, region: str) -> Received:
    id_, who = said.needed("messageId"), said.who("from", region)
    return Received(
        key=f"in:{id_}",
        id=id_,
        sender=who,
        # Whole: of cleanText a keyword is cut off, which may be the customer's own first word.
        text=said.text("text"),
        # Nobody can answer a name: a shop or a network wrote, by a machine.
        automatic=who.scheme == NAME_SCHEME,
        at=said.moment("receivedAt"),
    )


def _receipt(said: Said) -> InboundEvent:
    id_, status = said.needed("messageId"), said.within("status")
    group, name = status.text("groupId"), status.text("name", "")
    if group == _PENDING or name == _UNKNOWN:
        return Ignored(reason=f"the status {name}")
    if group == _DELIVERED:
        state = DeliveryState.SENT if name == _TO_OPERATOR else DeliveryState.DELIVERED
    elif group in _FAILED:
        state = DeliveryState.FAILED
    else:
        raise Wrong("groupId is one that we do not know")
    failed = state is DeliveryState.FAILED
    return Receipt(
        key=f"{name or group}:{id_}",
        id=id_,
        message_key=id_,
        state=state,
        error=error(*of_failure(name, said.within("error").text("name", ""))) if failed else None,
        at=said.moment("doneAt"),
    )
