"""What follows from the answer to an attempt: the table of DESIGN 4, in one place. Pure."""

from __future__ import annotations

from typing import Final

import tenacity
from attrs import evolve, frozen

from fernamt._runtime.storable import storable_text
from fernamt._store.deliveries import UNCERTAIN
from fernamt.errors import ChannelError, NeedsLogin, OptedOut, Throttled, Unreachable
from fernamt.model import DeliveryState
from fernamt.outbound import Sent

THROTTLED_MIN_S: Final = 1.0
THROTTLED_MAX_S: Final = 86_400.0
"""What a provider says may be anything, even no number: nothing is tried again at once, or never."""
_RETRY_WAIT: Final = tenacity.wait_exponential(multiplier=5, max=3600) + tenacity.wait_random(0, 5)


@frozen(kw_only=True, slots=False)  # each message makes one
class Outcome:
    """What an attempt leads to."""

    state: DeliveryState
    """SENT, UNCERTAIN, FAILED, or QUEUED: again *after_s* seconds later."""
    name: str
    """``sent``, ``uncertain``, or the class of the error."""
    reason: str = ""
    code: str = ""
    ids: tuple[str, ...] = ()
    after_s: float = 0.0
    given_up: DeliveryState | None = None
    """With QUEUED: what it is when the time for trying is over; ``None``: that is never over."""
    pause_s: float = 0.0
    """So long nothing else is begun on this channel either."""
    opted_out: bool = False
    unforeseen: bool = False
    """The connector failed in a way that its author did not foresee."""


def outcome_of(answer: object, *, attempt: int, idempotent: bool) -> Outcome:
    """Return what follows from what ``send`` returned or raised in attempt number *attempt* (1 for the first).

    Whatever is neither ``Sent`` nor a ``ChannelError`` counts as ``Unreachable(certain=False)``. *idempotent*: a repeat makes
    no second copy at this provider.
    """
    if isinstance(answer, Sent):
        return Outcome(state=DeliveryState.SENT, name="sent", ids=_texts(answer.ids))
    if isinstance(answer, ChannelError):
        try:
            return _by_class(answer, attempt, idempotent)
        except Exception as careless:  # noqa: BLE001 - an error of a plugin's own making may lack what it should carry
            answer = careless
    elif isinstance(answer, TimeoutError):
        return _by_class(Unreachable("the provider did not answer in time", certain=False), attempt, idempotent)
    failed = Unreachable(f"the connector failed: {type(answer).__name__}", certain=False)
    return evolve(_by_class(failed, attempt, idempotent), unforeseen=True)


def _by_class(why: ChannelError, attempt: int, idempotent: bool) -> Outcome:
    state, after_s, given_up, pause_s = DeliveryState.FAILED, 0.0, None, 0.0
    match why:
        case NeedsLogin():
            state = DeliveryState.QUEUED
        case Throttled():
            state, given_up = DeliveryState.QUEUED, DeliveryState.FAILED
            after_s = pause_s = min(why.after_s, THROTTLED_MAX_S) if why.after_s > THROTTLED_MIN_S else THROTTLED_MIN_S
        case Unreachable(certain=True):
            state, after_s, given_up = DeliveryState.QUEUED, retry_wait_s(attempt), DeliveryState.FAILED
        case Unreachable() if idempotent:
            state, after_s, given_up = DeliveryState.QUEUED, retry_wait_s(attempt), DeliveryState.UNCERTAIN
        case Unreachable():
            state = DeliveryState.UNCERTAIN
        case _:
            pass
    return Outcome(
        state=state,
        name=UNCERTAIN if DeliveryState.UNCERTAIN in {state, given_up} else type(why).__name__,
        reason=storable_text(str(why.reason)),
        code=storable_text(str(why.code)),
        ids=_texts(why.sent_ids),
        after_s=after_s,
        given_up=given_up,
        pause_s=pause_s,
        opted_out=isinstance(why, OptedOut),
    )


def _texts(ids: object) -> tuple[str, ...]:
    """Return ids that can be stored, whatever the connector thinks that ids are."""
    return tuple(storable_text(str(one)) for one in ids) if isinstance(ids, tuple | list) else ()


def retry_wait_s(attempt: int) -> float:
    """Return how long to wait after attempt number *attempt* (1 for the first): the row keeps the count, tenacity the curve."""
    state = tenacity.RetryCallState(tenacity.Retrying(), None, (), {})
    state.attempt_number = attempt
    return _RETRY_WAIT(state)
