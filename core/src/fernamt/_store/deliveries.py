"""The transactions of what goes out: which deliveries may go now, the attempt before the first byte, the result after it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeAlias

import orjson
from attrs import frozen

from fernamt._store.claims import Claim, ClaimLost, require
from fernamt._store.engine import Transaction
from fernamt._store.names import id_hash
from fernamt._store.receipts import Fact, settle, settle_early
from fernamt._store.statements import Statements
from fernamt.model import DeliveryState, fold

Lane: TypeAlias = tuple[int, int]
"""A conversation and a recipient, of one channel."""


@frozen(kw_only=True)
class OpenDelivery:
    """A delivery that is not at its end: queued, or with an attempt under way."""

    id: int
    entry: int
    conversation: int
    address: int
    state: DeliveryState
    attempts: int
    queued_at: int
    first_at: int | None
    next_at: int
    ids: tuple[str, ...]

    @property
    def lane(self) -> Lane:
        """What is sent one after the other."""
        return self.conversation, self.address


@frozen
class Heads:
    """What may go now, one delivery a lane, and when the next one may (microseconds; ``None``: nothing waits for a time)."""

    ready: tuple[OpenDelivery, ...]
    next_at: int | None


def open_deliveries(do: Statements, channel: int, limit: int) -> list[OpenDelivery]:
    """Return the first *limit* open deliveries of a channel in the order in which they were asked for."""
    rows = do.rows(
        "SELECT id, entry, conversation, address, state, attempts, queued_at, first_at, next_at, ids FROM delivery"
        " WHERE channel = ? AND state IN ('queued', 'sending') ORDER BY id LIMIT ?",
        (channel, limit),
    )
    return [
        OpenDelivery(
            id=row[0],
            entry=row[1],
            conversation=row[2],
            address=row[3],
            state=DeliveryState(row[4]),
            attempts=row[5],
            queued_at=row[6],
            first_at=row[7],
            next_at=row[8],
            ids=tuple(orjson.loads(row[9])),
        )
        for row in rows
    ]


def heads(
    deliveries: Sequence[OpenDelivery], *, now_us: int, hold_us: int, busy: Collection[Lane] = frozenset()
) -> Heads:
    """Return the first delivery of each lane that may go now. Pure.

    What is being sent holds its lane, and so do those that are *busy*; what waits for another try holds it for *hold_us*
    from its first one, then the next may pass, visibly.
    """
    held = {one.lane for one in deliveries if one.state == DeliveryState.SENDING} | set(busy)
    ready: list[OpenDelivery] = []
    next_at: int | None = None
    for delivery in deliveries:
        lane = delivery.lane
        if lane in held:
            continue
        if delivery.next_at <= now_us:
            held.add(lane)
            ready.append(delivery)
            continue
        released_at = (delivery.first_at or delivery.queued_at) + hold_us
        wake_at = delivery.next_at
        if now_us < released_at:
            held.add(lane)
            wake_at = min(wake_at, released_at)
        next_at = wake_at if next_at is None else min(next_at, wake_at)
    return Heads(tuple(ready), next_at)


@frozen(kw_only=True)
class Takeover:
    """A new holder looks after what its predecessor left under way."""

    claim: Claim
    channel: int
    repeatable: bool
    """The provider makes no second copy of a repeat."""


def take_over(tx: Transaction, payloads: Sequence[Takeover]) -> list[int | ClaimLost]:
    """Settle attempts without a result: queued again where a repeat is harmless, else ``uncertain``. Return how many."""
    return [_taken_over(tx, payload) for payload in payloads]


def _taken_over(tx: Transaction, payload: Takeover) -> int | ClaimLost:
    try:
        require(tx, payload.claim)
    except ClaimLost as lost:
        return lost
    rows = tx.do.rows(
        f"SELECT id FROM delivery WHERE channel = ? AND state = 'sending' ORDER BY id{tx.do.lock}", (payload.channel,)
    )
    state = DeliveryState.QUEUED if payload.repeatable else DeliveryState.UNCERTAIN
    reason = "the daemon stopped while this was being sent"
    for (delivery,) in rows:
        tx.do.one(
            "UPDATE delivery SET state = ?, next_at = ?, changed_at = ?, reason = ?, code = '' WHERE id = ?",
            (state, tx.now_us, tx.now_us, reason, delivery),
        )
    return len(rows)


@frozen(kw_only=True)
class Beginning:
    """An attempt that is about to be made; *chosen_id* is what ``ChoosesId`` fixed for it."""

    claim: Claim
    channel: int
    delivery: OpenDelivery
    chosen_id: str = ""
    again: bool = False
    """It was asked for before, and nobody heard whether that was committed: then it counts as begun."""


def begin(tx: Transaction, payloads: Sequence[Beginning]) -> list[bool | ClaimLost]:
    """Record attempts before their first byte; ``False``: the delivery is not queued any more."""
    return [_begun(tx, payload) for payload in payloads]


def _begun(tx: Transaction, payload: Beginning) -> bool | ClaimLost:
    try:
        require(tx, payload.claim)
    except ClaimLost as lost:
        return lost
    delivery = payload.delivery
    n = delivery.attempts + 1
    changed = tx.do.one(
        "UPDATE delivery SET state = 'sending', attempts = ?, first_at = coalesce(first_at, ?), changed_at = ?"
        " WHERE id = ? AND state = 'queued'",
        (n, tx.now_us, tx.now_us, delivery.id),
    )
    if not changed:
        return payload.again and _is_under_way(tx, payload.claim, delivery.id, n)
    tx.topics.add(f"conversation:{delivery.conversation}")
    tx.do.many("insert attempt", [(delivery.id, n, payload.claim.fence, tx.now_us, None, "", "", "")])
    if payload.chosen_id:
        _know(tx, payload.channel, (payload.chosen_id,), delivery.id)
    return True


def _is_under_way(tx: Transaction, claim: Claim, delivery: int, n: int) -> bool:
    return bool(
        tx.do.rows(
            "SELECT 1 FROM attempt a JOIN delivery d ON d.id = a.delivery AND d.attempts = a.n AND d.state = 'sending'"
            " WHERE a.delivery = ? AND a.n = ? AND a.fence = ? AND a.ended_at IS NULL",
            (delivery, n, claim.fence),
        )
    )


@frozen(kw_only=True)
class Result:
    """How an attempt ended. *state* is what follows from it alone: SENT, QUEUED (again), UNCERTAIN or FAILED."""

    claim: Claim
    channel: int
    delivery: int
    n: int
    state: DeliveryState
    outcome: str
    reason: str = ""
    code: str = ""
    ids: tuple[str, ...] = ()
    after_us: int = 0
    """With QUEUED: again so much later, by the store's clock."""
    give_up_us: int | None = None
    """With QUEUED: unless that is so long after the first attempt ..."""
    given_up: DeliveryState = DeliveryState.FAILED
    """... for then it ends like this."""
    opted_out: bool = False


def finish(tx: Transaction, payloads: Sequence[Result]) -> list[DeliveryState]:
    """Record results and return the states that follow.

    The result of a holder that has lost its claim meanwhile settles what became uncertain of this very attempt. Otherwise
    that the message was sent is a fact like any other, and nothing else of it changes what went on.
    """
    return [_finished(tx, payload) for payload in payloads]


def _finished(tx: Transaction, result: Result) -> DeliveryState:
    state, attempts, address, first_at, ids = tx.do.rows(
        f"SELECT state, attempts, address, first_at, ids FROM delivery WHERE id = ?{tx.do.lock}", (result.delivery,)
    )[0]
    tx.do.many("end attempt", [(tx.now_us, result.outcome, result.reason, result.code, result.delivery, result.n)])
    if result.ids:
        _know(tx, result.channel, result.ids, result.delivery)
        # Whether a connector repeats the ids of earlier parts or not, each counts once.
        ids = orjson.dumps([*dict.fromkeys([*orjson.loads(ids), *result.ids])]).decode()
        tx.do.one("UPDATE delivery SET ids = ? WHERE id = ?", (ids, result.delivery))
    settles = state == DeliveryState.UNCERTAIN and result.state != DeliveryState.SENT
    if attempts == result.n and (state == DeliveryState.SENDING or settles):
        after, next_at = _follows(tx, result, first_at)
        tx.do.one(
            "UPDATE delivery SET state = ?, next_at = ?, changed_at = ?, reason = ?, code = ? WHERE id = ?",
            (after, next_at, tx.now_us, result.reason, result.code, result.delivery),
        )
    else:
        after = _late(tx, result, DeliveryState(state))
    if result.ids:
        settle_early(tx, result.channel, [id_hash(result.channel, one) for one in result.ids], result.delivery)
    if result.opted_out:
        tx.do.many("put consent", [(address, result.channel, "", False, result.reason, tx.now_us)])
    return after


def _follows(tx: Transaction, result: Result, first_at: int | None) -> tuple[DeliveryState, int]:
    """Return the state that a result leads to, and when to try again."""
    next_at = tx.now_us + result.after_us
    if result.state != DeliveryState.QUEUED:
        return result.state, tx.now_us
    if result.give_up_us is not None and next_at >= (first_at or tx.now_us) + result.give_up_us:
        return result.given_up, tx.now_us
    return DeliveryState.QUEUED, next_at


def _late(tx: Transaction, result: Result, state: DeliveryState) -> DeliveryState:
    if result.state != DeliveryState.SENT:
        return state
    fact = Fact(channel=result.channel, state=result.state, at_us=tx.now_us, delivery=result.delivery)
    settle(tx, [fact], source="late result")
    return fold(state, result.state)


def _know(tx: Transaction, channel: int, ids: Sequence[str], delivery: int) -> None:
    """Let references and receipts find the entry by the provider's ids."""
    hashes = [id_hash(channel, one) for one in ids]
    known = tx.do.known(hashes)
    fresh = [digest for digest in dict.fromkeys(hashes) if digest not in known]
    if fresh:
        conversation, n = tx.do.rows(
            "SELECT e.conversation, e.n FROM delivery d JOIN entry e ON e.id = d.entry WHERE d.id = ?", (delivery,)
        )[0]
        tx.do.many("insert known", [(digest, conversation, n, tx.now_us) for digest in fresh])


@frozen(kw_only=True)
class Refused:
    """A delivery that may not go, and why; *until_us*: asked again then, 0: refused for good."""

    claim: Claim
    delivery: int
    reason: str
    until_us: int = 0


def refuse(tx: Transaction, payloads: Sequence[Refused]) -> list[ClaimLost | None]:
    """Record refusals. No attempt is counted: nothing was tried."""
    return [_refused(tx, payload) for payload in payloads]


def _refused(tx: Transaction, payload: Refused) -> ClaimLost | None:
    try:
        require(tx, payload.claim)
    except ClaimLost as lost:
        return lost
    state = DeliveryState.QUEUED if payload.until_us else DeliveryState.REFUSED
    tx.do.one(
        "UPDATE delivery SET state = ?, next_at = ?, changed_at = ?, reason = ? WHERE id = ? AND state = 'queued'",
        (state, payload.until_us, tx.now_us, payload.reason, payload.delivery),
    )
    return None
