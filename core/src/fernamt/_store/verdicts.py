"""What people decide: about deliveries whose outcome nobody knows, and about what lies in the quarantine."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from fernamt._store.deliveries import go_on
from fernamt._store.desk import NoSuchThing
from fernamt._store.receipts import Fact, settle
from fernamt._store.transaction import Rank, Transaction, locks
from fernamt.errors import FernamtError
from fernamt.model import DeliveryState


@frozen(kw_only=True)
class Verdict:
    """What a person decided about an uncertain delivery: it was *sent*, or it shall be tried *again*."""

    delivery: int
    sent: bool
    by: str


@locks(Rank.DELIVERIES)
def decide(tx: Transaction, payloads: Sequence[Verdict]) -> list[DeliveryState | FernamtError]:
    """Settle uncertain deliveries by a person's word, which is kept as a fact."""
    return [_decided(tx, verdict) for verdict in payloads]


def _decided(tx: Transaction, verdict: Verdict) -> DeliveryState | FernamtError:
    rows = tx.do.rows(
        f"SELECT state, channel, parts + 1 < parts_total FROM delivery WHERE id = ?{tx.do.lock}", (verdict.delivery,)
    )
    if not rows or rows[0][0] != DeliveryState.UNCERTAIN:
        now = f"is {rows[0][0]}" if rows else "does not exist"
        return NoSuchThing(f"Delivery {verdict.delivery} {now}. fernamt uncertain lists those to settle.")
    _, channel, more = rows[0]
    fact = Fact(
        channel=channel,
        state=DeliveryState.SENT if verdict.sent else DeliveryState.QUEUED,
        at_us=tx.now_us,
        delivery=verdict.delivery,
        reason=f"settled by {verdict.by}",
        whole=not more,
    )
    settle(tx, [fact], source="a person")
    if verdict.sent and not more:
        return DeliveryState.SENT
    go_on(tx, channel, verdict.delivery, fact.reason, through=verdict.sent)
    return DeliveryState.QUEUED


def release(tx: Transaction, payloads: Sequence[int]) -> list[FernamtError | None]:
    """Mark quarantined items as dealt with; their bytes stay."""
    return [
        None
        if tx.do.one("UPDATE quarantine SET settled_at = ? WHERE id = ? AND settled_at IS NULL", (tx.now_us, number))
        else NoSuchThing(f"There is nothing open under {number} in the quarantine. fernamt quarantine lists it.")
        for number in payloads
    ]
