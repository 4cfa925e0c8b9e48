"""Where a delivery stands, in words, and what comes next."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from fernamt._store.views.deliveries import AttemptView, DeliveryView, FactView
from fernamt.cli.words import ago, counted, minute, one_line, until
from fernamt.model import DeliveryState

STYLES: Final = {
    DeliveryState.QUEUED: "yellow",
    DeliveryState.SENDING: "yellow",
    DeliveryState.UNCERTAIN: "bold magenta",
    DeliveryState.SENT: "green",
    DeliveryState.REFUSED: "bold red",
    DeliveryState.FAILED: "bold red",
    DeliveryState.DELIVERED: "green",
    DeliveryState.READ: "green",
}


def standing(delivery: DeliveryView, now: datetime) -> str:
    """Return what became of a delivery and what comes next, for behind its state: one line."""
    return one_line(_standing(delivery, now))


def _standing(delivery: DeliveryView, now: datetime) -> str:
    match delivery.state:
        case DeliveryState.QUEUED:
            return _queued(delivery, now)
        case DeliveryState.SENDING:
            return f"attempt {delivery.tried} began {ago(delivery.changed_at, now)}"
        case DeliveryState.UNCERTAIN:
            return f"{reason(delivery)}; it may have arrived. {settle_with(delivery)}"
        case DeliveryState.FAILED | DeliveryState.REFUSED:
            return f"{reason(delivery)}. It is not tried again: fernamt reply {delivery.conversation}"
        case DeliveryState.SENT:
            accepted = f"accepted as {', '.join(delivery.ids)}" if delivery.ids else "accepted"
            return f"{accepted}, {ago(delivery.changed_at, now)}{f'; {reason(delivery)}' if delivery.reason else ''}"
        case DeliveryState.DELIVERED | DeliveryState.READ:
            return ago(delivery.changed_at, now)


def settle_with(delivery: DeliveryView) -> str:
    """Return the sentence that says how an uncertain delivery is settled."""
    return f"Settle with: fernamt uncertain settle {delivery.number} --sent (or --again)"


def _queued(delivery: DeliveryView, now: datetime) -> str:
    when = until(delivery.next_at, now)
    if delivery.tried:
        tried = "tried once" if delivery.tried == 1 else f"tried {counted(delivery.tried, 'time')}"
        said = f"{tried}: {reason(delivery)}; {'again now' if when == 'now' else f'again {when}'}"
    elif delivery.reason:
        said = f"{delivery.reason}; asked again {when}"
    else:
        said = "not tried yet"
    if delivery.channel_state not in {"up", "degraded", ""}:
        said += f". {delivery.channel} is {delivery.channel_state}: see fernamt channels"
    return said


def reason(delivery: DeliveryView) -> str:
    """Return why it is where it is, with the provider's code."""
    said = delivery.reason.rstrip(".") or "no reason was given"
    return f"{said} ({delivery.code})" if delivery.code and delivery.code not in said else said


def history(delivery: DeliveryView, now: datetime) -> list[str]:
    """Return a line for each attempt and each fact, in the order of time; none of a single attempt that explains it all."""
    alone = len(delivery.attempts) == 1 and not delivery.facts
    return [] if alone and delivery.attempts[0].reason in {"", delivery.reason} else told(delivery, now)


def told(delivery: DeliveryView, now: datetime) -> list[str]:
    """Return a line for each attempt and each fact, in the order of time."""
    lines = [(attempt.started_at, _attempt(attempt, now)) for attempt in delivery.attempts]
    lines += [(fact.at, _fact(fact, now)) for fact in delivery.facts]
    return [one_line(line) for _, line in sorted(lines, key=lambda pair: pair[0])]


def _attempt(attempt: AttemptView, now: datetime) -> str:
    ended = f"{attempt.outcome}{_why(attempt)}" if attempt.ended_at else "no result is known"
    return f"{minute(attempt.started_at, now)}  attempt {attempt.n}: {ended}"


def _fact(fact: FactView, now: datetime) -> str:
    return f"{minute(fact.at, now)}  {fact.state} by {fact.source}{_why(fact)}"


def _why(known: AttemptView | FactView) -> str:
    code = f" ({known.code})" if known.code and known.code not in known.reason else ""
    return f", {known.reason}{code}" if known.reason else code
