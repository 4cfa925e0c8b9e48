"""The transactions of what goes out: which deliveries may go now, the attempt before the first byte, the result after it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import islice
from typing import Final, TypeAlias

import orjson
from attrs import define, field, frozen

from fernamt._store.claims import Claim, ClaimLost, while_held
from fernamt._store.names import sent_hash
from fernamt._store.receipts import Fact, opted_out, settle, settle_early
from fernamt._store.statements import Batch, Statements
from fernamt._store.transaction import Rank, Transaction, locks
from fernamt.model import DeliveryState, Purpose, fold

Lane: TypeAlias = tuple[int, int, Purpose]
"""A conversation, a recipient and a purpose, of one channel: what answers somebody waits for no newsletter."""
ANY_TIME: Final = 2**62


@frozen(slots=False)  # each message makes one, as it does of what has this below
class OpenDelivery:
    """A delivery that is not at its end, as it was read: queued, or with an attempt under way."""

    id: int
    entry: int
    conversation: int
    address: int
    state: DeliveryState = field(converter=DeliveryState)
    attempts: int
    queued_at: int
    first_at: int | None
    next_at: int
    purpose: Purpose = field(default=Purpose.REPLY, converter=Purpose)
    parts: int = 0
    """So many parts of a split message are through."""

    @property
    def lane(self) -> Lane:
        """What is sent one after the other."""
        return self.conversation, self.address, self.purpose


OPEN: Final = (
    "SELECT id, entry, conversation, address, state, attempts, queued_at, first_at, next_at, purpose, parts FROM delivery"
    " WHERE channel = ?"
)
"""Reads those of a channel, with further conditions behind it."""


def open_deliveries(
    do: Statements,
    channel: int,
    limit: int,
    *,
    purpose: Purpose = Purpose.REPLY,
    after: int = 0,
    until_us: int = ANY_TIME,
) -> list[OpenDelivery]:
    """Return open deliveries of a channel in the order in which they were asked for, the first *limit* after *after*.

    What waits for a time later than *until_us* is not looked for, however much of it there is; see :func:`postponed`.
    """
    rows = do.rows(
        f"{OPEN} AND purpose = ? AND state IN ('queued', 'sending') AND id > ? AND (next_at <= ? OR next_at = queued_at)"
        " ORDER BY id LIMIT ?",
        (channel, purpose, after, until_us, limit),
    )
    return [OpenDelivery(*row) for row in rows]


def postponed(
    do: Statements, channel: int, conversations: Collection[int], *, purpose: Purpose, now_us: int
) -> list[OpenDelivery]:
    """Return what waits for its time in some conversations, and may hold a lane there."""
    rows = do.among(
        f"{OPEN} AND purpose = ? AND state = 'queued' AND next_at > queued_at AND next_at > ? AND conversation IN {{}}",
        sorted(conversations),
        (channel, purpose, now_us),
    )
    return [OpenDelivery(*row) for row in rows]


def head(lane: Sequence[OpenDelivery], *, now_us: int, hold_us: int) -> OpenDelivery | None:
    """Return the first delivery of a lane that may go now. Pure.

    What is being sent holds the lane; what waits for another try holds it for *hold_us* from its first one, then the next may
    pass, visibly.
    """
    if any(one.state == DeliveryState.SENDING for one in lane):
        return None
    for one in lane:
        if one.next_at <= now_us:
            return one
        if now_us < (one.first_at or one.queued_at) + hold_us:
            return None
    return None


UNCERTAIN: Final = "uncertain"
"""The outcome of an attempt of which nobody knows whether it happened."""


@frozen(kw_only=True)
class Takeover:
    """A new holder looks after what its predecessor left under way."""

    claim: Claim
    channel: int
    repeatable: bool
    """The provider makes no second copy of a repeat."""


@locks(Rank.DELIVERIES)
def take_over(tx: Transaction, payloads: Sequence[Takeover]) -> list[int | ClaimLost]:
    """Settle attempts without a result: queued again where a repeat is harmless, else ``uncertain``. Return how many."""
    return while_held(tx, payloads, _taken_over)


def _taken_over(tx: Transaction, payload: Takeover) -> int:
    state = DeliveryState.QUEUED if payload.repeatable else DeliveryState.UNCERTAIN
    return tx.do.one(
        "UPDATE delivery SET state = ?, next_at = ?, changed_at = ?, reason = ?, code = '' WHERE id IN"
        f" (SELECT id FROM delivery WHERE channel = ? AND state = 'sending' ORDER BY id{tx.do.lock})",
        (state, tx.now_us, tx.now_us, "the daemon stopped while this was being sent", payload.channel),
    )


@frozen
class Attempt:
    """An attempt that is about to be made; *chosen_id* is what ``ChoosesId`` fixed for it."""

    delivery: OpenDelivery
    chosen_id: str = ""
    parts_total: int = 1
    """Of how many messages what is sent is one."""


@frozen(kw_only=True)
class Beginning:
    """Attempts on one channel that are about to be made together."""

    claim: Claim
    attempts: Sequence[Attempt]
    channel: int
    again: bool = False
    """They were asked for before, and nobody heard whether that was committed: then they count as begun."""


@locks(Rank.DELIVERIES)
def begin(tx: Transaction, payloads: Sequence[Beginning]) -> list[list[bool] | ClaimLost]:
    """Record attempts before their first byte; ``False``: the delivery is not queued any more, or not as it was seen."""
    return while_held(tx, payloads, _begun)


def _begun(tx: Transaction, beginning: Beginning) -> list[bool]:
    rows = tx.do.among(
        "SELECT d.id, d.attempts, e.n FROM delivery d JOIN entry e ON e.id = d.entry WHERE d.id IN {} AND d.state = 'queued'"
        f" ORDER BY d.id{tx.do.lock and f'{tx.do.lock} OF d'}",
        [one.delivery.id for one in beginning.attempts],
    )
    queued = {number: (attempts, n) for number, attempts, n in rows}
    results: list[bool] = []
    begun: list[Attempt] = []
    batch = Batch()
    for one in beginning.attempts:
        seen = one.delivery
        attempts, n = queued.pop(seen.id, (None, 0))
        if attempts != seen.attempts:
            results.append(beginning.again and _is_under_way(tx, beginning.claim, seen.id, seen.attempts + 1))
            continue
        results.append(True)
        begun.append(one)
        if one.parts_total > 1:
            batch.add("split delivery", (one.parts_total, seen.id))
        if one.chosen_id:
            batch.add("put sent id", (sent_hash(beginning.channel, one.chosen_id), seen.conversation, n, tx.now_us))
    numbers = [one.delivery.id for one in begun]
    tx.topics.update(f"conversation:{one.delivery.conversation}" for one in begun)
    tx.do.change(
        "UPDATE delivery SET state = 'sending', attempts = attempts + 1, first_at = coalesce(first_at, ?),"
        " changed_at = ? WHERE id IN {}",
        numbers,
        (tx.now_us, tx.now_us),
    )
    tx.do.change(
        "INSERT INTO attempt (delivery, n, fence, started_at, outcome, reason, code)"
        " SELECT id, attempts, ?, ?, '', '', '' FROM delivery WHERE id IN {}",
        numbers,
        (beginning.claim.fence, tx.now_us),
    )
    batch.write(tx.do)
    return results


def _is_under_way(tx: Transaction, claim: Claim, delivery: int, n: int) -> bool:
    return bool(
        tx.do.rows(
            "SELECT 1 FROM attempt a JOIN delivery d ON d.id = a.delivery AND d.attempts = a.n AND d.state = 'sending'"
            " WHERE a.delivery = ? AND a.n = ? AND a.fence = ? AND a.ended_at IS NULL",
            (delivery, n, claim.fence),
        )
    )


@frozen(kw_only=True, slots=False)
class Result:
    """How an attempt ended. *state* is what follows from it alone: SENT, QUEUED (again), UNCERTAIN or FAILED."""

    channel: int
    delivery: int
    n: int
    state: DeliveryState
    outcome: str
    reason: str = ""
    code: str = ""
    ids: tuple[str, ...] = ()
    chosen_id: str = ""
    """The one of them that was recorded with the attempt."""
    after_us: int = 0
    """With QUEUED: again so much later, by the store's clock."""
    give_up_us: int | None = None
    """With QUEUED: unless that is so long after the first attempt ..."""
    given_up: DeliveryState = DeliveryState.FAILED
    """... for then it ends like this."""
    opted_out: bool = False
    more: bool = False
    """With QUEUED: a part is through, and the next one follows at once."""


@define
class _Standing:
    """A delivery while its results are recorded."""

    state: DeliveryState
    attempts: int
    address: int
    first_at: int | None
    ids: str
    conversation: int
    n: int


@locks(Rank.DELIVERIES)
def finish(tx: Transaction, payloads: Sequence[Sequence[Result]]) -> list[list[DeliveryState]]:
    """Record results, and return the states that follow.

    The result of a holder that has lost its claim meanwhile settles what became uncertain of this very attempt. Otherwise
    that the message was sent is a fact like any other, and nothing else of it changes what went on.
    """
    results = [result for payload in payloads for result in payload]
    rows = tx.do.among(
        "SELECT d.id, d.state, d.attempts, d.address, d.first_at, d.ids, e.conversation, e.n FROM delivery d"
        f" JOIN entry e ON e.id = d.entry WHERE d.id IN {{}} ORDER BY d.id{tx.do.lock and f'{tx.do.lock} OF d'}",
        [result.delivery for result in results],
    )
    found = {row[0]: _Standing(DeliveryState(row[1]), *row[2:]) for row in rows}
    batch = Batch()
    late: dict[int, DeliveryState] = {}
    states: list[DeliveryState] = []
    named: dict[bytes, tuple[int, int]] = {}
    for number, result in enumerate(results):
        now = found[result.delivery]
        batch.add("end attempt", (tx.now_us, result.outcome, result.reason, result.code, result.delivery, result.n))
        if result.ids:
            # Whether a connector repeats the ids of earlier parts or not, each counts once.
            ids = dict.fromkeys([*orjson.loads(now.ids), *result.ids])
            now.ids = orjson.dumps([*ids]).decode()
            for one in (it for it in dict.fromkeys(result.ids) if it != result.chosen_id):
                digest = sent_hash(result.channel, one)
                batch.add("put sent id", (digest, now.conversation, now.n, tx.now_us))
                named.setdefault(digest, (result.channel, result.delivery))
        settles = now.state == DeliveryState.UNCERTAIN and result.state != DeliveryState.SENT
        if now.attempts == result.n and (now.state == DeliveryState.SENDING or settles):
            now.state, next_at = _follows(tx, result, now.first_at)
            row = (now.state, next_at, tx.now_us, result.reason, result.code, now.ids, result.delivery)
            batch.add("end delivery", row)
            if result.more:
                batch.add("pass part", (len(orjson.loads(now.ids)), result.delivery))
                tx.topics.add(f"send:{result.channel}")
        else:
            late[number] = now.state
        if result.opted_out:
            batch.add("insert consent", opted_out(tx, now.address, result.channel, result.reason))
        states.append(now.state)
    batch.write(tx.do)
    for number, state in late.items():
        result = results[number]
        tx.do.many("name delivery", [(found[result.delivery].ids, result.delivery)])
        states[number] = _late(tx, result, state)
    settle_early(tx, named)
    recorded = iter(states)
    return [[*islice(recorded, len(payload))] for payload in payloads]


def _follows(tx: Transaction, result: Result, first_at: int | None) -> tuple[DeliveryState, int]:
    """Return the state that a result leads to, and when to try again."""
    next_at, state = tx.now_us + result.after_us, result.state
    if state == DeliveryState.QUEUED:
        if result.give_up_us is None or next_at < (first_at or tx.now_us) + result.give_up_us:
            return state, next_at
        state = result.given_up
    if state == DeliveryState.FAILED and may_have_happened(tx, result.delivery, before=result.n):
        state = DeliveryState.UNCERTAIN
    return state, tx.now_us


def may_have_happened(tx: Transaction, delivery: int, *, before: int = 2**31 - 1) -> bool:
    """Say whether nobody knows of an attempt before that one: a repeat was harmless then, but its failure does not undo it."""
    rows = tx.do.rows(
        "SELECT 1 FROM attempt a JOIN delivery d ON d.id = a.delivery AND a.started_at >= d.first_at"
        " WHERE a.delivery = ? AND a.n < ? AND (a.ended_at IS NULL OR a.outcome = ?)",
        (delivery, before, UNCERTAIN),
    )
    return bool(rows)


def go_on(tx: Transaction, channel: int, delivery: int, reason: str, *, through: bool) -> None:
    """Queue an uncertain delivery again: with its next part if this one is *through*, else with this one once more."""
    tx.do.one(
        "UPDATE delivery SET state = 'queued', next_at = ?, first_at = NULL, changed_at = ?, reason = ?, code = '',"
        " parts = parts + ? WHERE id = ?",
        (tx.now_us, tx.now_us, reason, int(through), delivery),
    )
    tx.topics.add(f"send:{channel}")


def _late(tx: Transaction, result: Result, state: DeliveryState) -> DeliveryState:
    if result.state != DeliveryState.SENT:
        return state
    fact = Fact(channel=result.channel, state=result.state, at_us=tx.now_us, delivery=result.delivery)
    settle(tx, [fact], source="late result")
    return fold(state, result.state)
