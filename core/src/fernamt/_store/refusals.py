"""Deliveries that may not go: recorded with the reason, and no attempt is counted."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from fernamt._store.claims import Claim, ClaimLost, while_held
from fernamt._store.deliveries import may_have_happened
from fernamt._store.transaction import Rank, Transaction, locks
from fernamt.model import DeliveryState


@frozen(kw_only=True)
class Refused:
    """A delivery that may not go, and why; *until_us*: asked again then, 0: refused for good."""

    claim: Claim
    delivery: int
    reason: str
    until_us: int = 0


@locks(Rank.DELIVERIES)
def refuse(tx: Transaction, payloads: Sequence[Refused]) -> list[ClaimLost | None]:
    """Record refusals. No attempt is counted; what may have arrived by an earlier one is ``uncertain`` and not ``refused``."""
    return while_held(tx, payloads, _refused)


def _refused(tx: Transaction, payload: Refused) -> None:
    state = DeliveryState.QUEUED if payload.until_us else DeliveryState.REFUSED
    if not payload.until_us and may_have_happened(tx, payload.delivery):
        state = DeliveryState.UNCERTAIN
    tx.do.one(
        "UPDATE delivery SET state = ?, next_at = ?, changed_at = ?, reason = ? WHERE id = ? AND state = 'queued'",
        (state, payload.until_us, tx.now_us, payload.reason, payload.delivery),
    )
