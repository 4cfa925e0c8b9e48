"""What is asked of the provider about deliveries whose outcome nobody knows, and what its answer changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson
from attrs import frozen

from fernamt._store.claims import Claim, ClaimLost, while_held
from fernamt._store.deliveries import OPEN, OpenDelivery, go_on
from fernamt._store.names import sent_hash
from fernamt._store.receipts import Fact, settle, settle_early
from fernamt._store.statements import Statements
from fernamt._store.transaction import Rank, Transaction, locks
from fernamt.model import DeliveryState

FIRST_ASKED_US: Final = 5_000_000
BELIEVED_US: Final = 60_000_000
"""So long after the attempt a provider may still be at work on what it does not know yet."""
_PAUSE_MAX_US: Final = 86_400_000_000


def unsettled(do: Statements, channel: int, *, asked_by_us: int, changed_by_us: int, limit: int) -> list[OpenDelivery]:
    """Return uncertain deliveries of a channel, the oldest first, that were not asked about and did not change since then."""
    rows = do.rows(
        f"{OPEN} AND state = 'uncertain' AND next_at <= ? AND changed_at <= ? ORDER BY id LIMIT ?",
        (channel, asked_by_us, changed_by_us, limit),
    )
    return [OpenDelivery(*row) for row in rows]


@frozen(kw_only=True)
class Inquiry:
    """What a provider said about one delivery; both empty: it does not know."""

    claim: Claim
    channel: int
    delivery: int
    sent: bool = False
    ids: tuple[str, ...] = ()
    not_sent: bool = False
    """It certainly does not have it, and would if it ever came."""


@locks(Rank.DELIVERIES)
def reconcile(tx: Transaction, payloads: Sequence[Inquiry]) -> list[DeliveryState | ClaimLost]:
    """Settle what the answers settle; what stays uncertain is asked about again, after a pause that grows with its age."""
    return while_held(tx, payloads, _reconciled)


def _reconciled(tx: Transaction, answer: Inquiry) -> DeliveryState:
    state, changed_at, ids, more, conversation, n = tx.do.rows(
        "SELECT d.state, d.changed_at, d.ids, d.parts + 1 < d.parts_total, d.conversation, e.n FROM delivery d"
        f" JOIN entry e ON e.id = d.entry WHERE d.id = ?{tx.do.lock and f'{tx.do.lock} OF d'}",
        (answer.delivery,),
    )[0]
    if state != DeliveryState.UNCERTAIN:
        return DeliveryState(state)  # a receipt or a person was faster
    age_us = tx.now_us - changed_at
    if answer.sent:
        _name(tx, answer, ids, (conversation, n))
        fact = Fact(
            channel=answer.channel,
            state=DeliveryState.SENT,
            at_us=tx.now_us,
            delivery=answer.delivery,
            whole=not more,
        )
        settle(tx, [fact], source="look-up")
        if not more:
            return DeliveryState.SENT
        go_on(tx, answer.channel, answer.delivery, "the provider has this part", through=True)
        return DeliveryState.QUEUED
    if answer.not_sent and age_us >= BELIEVED_US:
        go_on(tx, answer.channel, answer.delivery, "the provider does not have it", through=False)
        return DeliveryState.QUEUED
    pause_us = BELIEVED_US - age_us if answer.not_sent else min(max(age_us, FIRST_ASKED_US), _PAUSE_MAX_US)
    tx.do.one("UPDATE delivery SET next_at = ? WHERE id = ?", (tx.now_us + pause_us, answer.delivery))
    return DeliveryState.UNCERTAIN


def _name(tx: Transaction, answer: Inquiry, ids: str, entry: tuple[int, int]) -> None:
    """Let later receipts and answers find the message by the provider's ids."""
    known = list(dict.fromkeys([*orjson.loads(ids), *answer.ids]))
    hashes = [sent_hash(answer.channel, one) for one in answer.ids]
    tx.do.many("name delivery", [(orjson.dumps(known).decode(), answer.delivery)])
    tx.do.many("put sent id", [(digest, *entry, tx.now_us) for digest in hashes])
    settle_early(tx, dict.fromkeys(hashes, (answer.channel, answer.delivery)))
