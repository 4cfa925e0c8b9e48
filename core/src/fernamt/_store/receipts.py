"""Facts about deliveries: receipts, late results, a person's word. They are appended, and the state is folded from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson
from attrs import frozen

from fernamt._store.engine import Transaction
from fernamt._store.names import id_hash
from fernamt.model import DeliveryState, fold


@frozen(kw_only=True)
class Fact:
    """Something that became known of one or more deliveries of a channel, with what names them."""

    channel: int
    state: DeliveryState
    at_us: int
    delivery: int = 0
    """Ours; 0: named otherwise."""
    entry: tuple[int, int] | None = None
    """The conversation and number that a provider's id belongs to."""
    id_hash: bytes = b""
    """Of that id: where no message has it yet, the fact waits for one."""
    address: str = ""
    up_to_us: int = 0
    """Everything that was sent to *address* until then."""
    reason: str = ""
    code: str = ""
    opted_out: bool = False
    whole: bool = False
    """It is about all of a split message, not about some part of it."""


_UNFINISHED: Final = (
    "d.parts_total > 1 AND (d.parts + 1 < d.parts_total OR d.state IN ('queued', 'sending', 'uncertain')) AS unfinished"
)


@frozen
class _Found:
    """A delivery that a fact is about."""

    delivery: int
    address: int
    state: str
    unfinished: bool
    """Parts of it are still to be sent, or may be."""


def settle(tx: Transaction, facts: Sequence[Fact], *, source: str) -> None:
    """Append the facts and fold the states that they change. What names no message that is known yet is parked."""
    for fact in facts:
        found = _named(tx, fact)
        if not found and fact.id_hash and fact.entry is None:
            number = tx.do.next_id("early_receipt")
            row = (number, fact.id_hash, fact.address, fact.state, fact.at_us, fact.reason, fact.code, fact.opted_out)
            tx.do.many("insert early_receipt", [row])
        for one in found:
            _apply(tx, fact, one, source)


def settle_early(tx: Transaction, channel: int, hashes: Sequence[bytes], delivery: int) -> None:
    """Fold what came before the ids were known into *delivery*."""
    for digest in hashes:
        rows = tx.do.rows(
            "SELECT id, address, state, at, reason, code, opted_out FROM early_receipt WHERE hash = ? ORDER BY id",
            (digest,),
        )
        facts = [
            Fact(
                channel=channel,
                state=DeliveryState(row[2]),
                at_us=row[3],
                delivery=delivery,
                address=row[1],
                reason=row[4],
                code=row[5],
                opted_out=bool(row[6]),
            )
            for row in rows
        ]
        settle(tx, facts, source="receipt")
        tx.do.many("forget early_receipt", [(row[0],) for row in rows])


def _named(tx: Transaction, fact: Fact) -> list[_Found]:
    """Return (delivery, address, state) of what a fact is about."""
    columns = f"SELECT d.id, d.address, d.state, {_UNFINISHED} FROM delivery d"
    locked = tx.do.lock and f"{tx.do.lock} OF d"
    if fact.delivery:
        found = _rows(tx, f"{columns} WHERE d.id = ? AND d.channel = ?{locked}", fact.delivery, fact.channel)
        if found:
            return found
    if fact.entry is not None:
        return _of_entry(tx, fact, fact.entry)
    if fact.address and fact.up_to_us:
        return _rows(
            tx,
            f"{columns} JOIN address a ON a.id = d.address WHERE a.handle = ? AND d.channel = ?"
            " AND d.state IN ('sent', 'delivered')"
            " AND coalesce((SELECT max(t.started_at) FROM attempt t WHERE t.delivery = d.id), d.queued_at) <= ?"
            f" ORDER BY d.id{locked}",
            fact.address,
            fact.channel,
            fact.up_to_us,
        )
    return []


def _of_entry(tx: Transaction, fact: Fact, entry: tuple[int, int]) -> list[_Found]:
    """Return the deliveries of an entry that a provider's id names: with several recipients each may have its own."""
    rows = tx.do.rows(
        f"SELECT d.id, d.address, d.state, {_UNFINISHED}, d.ids FROM delivery d JOIN entry e ON e.id = d.entry"
        " WHERE e.conversation = ? AND e.n = ? AND d.channel = ? ORDER BY d.id" + (tx.do.lock and f"{tx.do.lock} OF d"),
        (*entry, fact.channel),
    )
    if len(rows) > 1:
        having = [row for row in rows if fact.id_hash in {id_hash(fact.channel, one) for one in orjson.loads(row[4])}]
        # An attempt whose answer was lost has no id in its row yet.
        rows = having or [row for row in rows if row[4] == "[]"] or rows
    if len(rows) > 1 and fact.address:
        known = tx.do.addresses([fact.address]).get(fact.address, (0, 0))
        rows = [row for row in rows if row[1] == known[0]]
    return [_Found(*row[:4]) for row in rows]


def _rows(tx: Transaction, sql: str, *values: object) -> list[_Found]:
    return [_Found(*row[:4]) for row in tx.do.rows(sql, values)]


def _apply(tx: Transaction, fact: Fact, found: _Found, source: str) -> None:
    row = (tx.do.next_id("fact"), found.delivery, fact.state, fact.at_us, source, fact.reason, fact.code)
    tx.do.many("insert fact", [row])
    after = fold(DeliveryState(found.state), fact.state)
    # What became of one part is no end of the whole: the others are still to go.
    if after != found.state and (fact.whole or after == DeliveryState.FAILED or not found.unfinished):
        tx.do.many("fold delivery", [(after, tx.now_us, fact.reason, fact.code, found.delivery)])
    if fact.opted_out:
        tx.do.many("put consent", [(found.address, fact.channel, "", False, fact.reason, tx.now_us)])
