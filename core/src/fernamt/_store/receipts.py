"""Facts about deliveries: receipts, late results, a person's word. They are appended, and the state is folded from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import orjson
from attrs import frozen

from fernamt._store.consents import PROVIDER, consent_row
from fernamt._store.names import Names, sent_hash
from fernamt._store.statements import Row
from fernamt._store.transaction import Transaction
from fernamt.errors import OptedOut
from fernamt.inbound import Receipt
from fernamt.model import DeliveryState, fold, microseconds


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


def fact_of(event: Receipt, channel: int, names: Names, known: Row | None, now_us: int) -> Fact:
    """Return what a receipt says; *known*: the entry that the id in it belongs to."""
    error = event.error
    return Fact(
        channel=channel,
        state=event.state,
        at_us=microseconds(event.at) if event.at is not None else now_us,
        id_hash=sent_hash(channel, event.id) if event.id else b"",
        entry=(known[0], known[1]) if known else None,
        delivery=names.delivery_of(event.message_key) if event.message_key else 0,
        address=str(event.address) if event.address is not None else "",
        up_to_us=microseconds(event.up_to) if event.up_to is not None else 0,
        reason=error.reason if error is not None else "",
        code=error.code if error is not None else "",
        opted_out=isinstance(error, OptedOut),
    )


_DELIVERIES: Final = (
    "SELECT d.id, d.address, d.state, d.ids, d.parts_total > 1"
    " AND (d.parts + 1 < d.parts_total OR d.state IN ('queued', 'sending', 'uncertain')) FROM delivery d"
)


@frozen
class _Found:
    """A delivery that a fact is about."""

    delivery: int
    address: int
    state: str
    ids: str
    unfinished: bool
    """Parts of it are still to be sent, or may be."""


def settle(tx: Transaction, facts: Sequence[Fact], *, source: str) -> None:
    """Append the facts and fold the states that they change. What names no message that is known yet is parked."""
    early = []
    for fact in facts:
        found = _named(tx, fact)
        if not found and fact.id_hash and fact.entry is None:
            early.append(fact)
        for one in found:
            _apply(tx, fact, one, source)
    for fact in early:  # behind the others: who writes its id at this moment holds a delivery, and waits for us
        for one in _parked(tx, fact):
            _apply(tx, fact, one, source)


def _parked(tx: Transaction, fact: Fact) -> list[_Found]:
    """Let a fact wait for its message, unless that became known meanwhile: then return it.

    The row by which the id will be known is made here already. Whoever comes second, we or the runner that has the answer,
    waits at it for the other, and finds what that one left.
    """
    if not tx.do.one("INSERT INTO known (hash, at) VALUES (?, ?) ON CONFLICT DO NOTHING", (fact.id_hash, tx.now_us)):
        [(conversation, n, _)] = tx.do.known([fact.id_hash]).values()
        if conversation is not None:
            return _of_entry(tx, fact, (conversation, n))
    number = tx.do.next_id("early_receipt")
    row = (number, fact.id_hash, fact.address, fact.state, fact.at_us, fact.reason, fact.code, fact.opted_out)
    tx.do.many("insert early_receipt", [row])
    return []


def settle_early(tx: Transaction, named: Mapping[bytes, tuple[int, int]]) -> None:
    """Fold what came before the ids were known into the deliveries (channel, delivery) that they name, by :func:`sent_hash`."""
    if not tx.do.rows("SELECT 1 FROM early_receipt LIMIT 1"):  # as nearly always
        return
    sql = "SELECT id, hash, address, state, at, reason, code, opted_out FROM early_receipt WHERE hash IN {} ORDER BY id"
    rows = tx.do.among(sql, [*named])
    for number, digest, address, state, at_us, reason, code, opted_out in rows:
        channel, delivery = named[bytes(digest)]
        fact = Fact(
            channel=channel,
            state=DeliveryState(state),
            at_us=at_us,
            delivery=delivery,
            address=address,
            reason=reason,
            code=code,
            opted_out=bool(opted_out),
        )
        settle(tx, [fact], source="receipt")
        tx.do.many("forget early_receipt", [(number,)])


def _named(tx: Transaction, fact: Fact) -> list[_Found]:
    """Return what a fact is about."""
    if fact.delivery:
        found = _found(tx, "WHERE d.id = ? AND d.channel = ?", fact.delivery, fact.channel)
        if found:
            return found
    if fact.entry is not None:
        return _of_entry(tx, fact, fact.entry)
    if fact.address and fact.up_to_us:
        return _found(
            tx,
            "JOIN address a ON a.id = d.address WHERE a.handle = ? AND d.channel = ? AND d.state IN ('sent', 'delivered')"
            " AND coalesce((SELECT max(t.started_at) FROM attempt t WHERE t.delivery = d.id), d.queued_at) <= ?",
            fact.address,
            fact.channel,
            fact.up_to_us,
        )
    return []


def _of_entry(tx: Transaction, fact: Fact, entry: tuple[int, int]) -> list[_Found]:
    """Return the deliveries of an entry that a provider's id names: with several recipients each may have its own."""
    found = _found(
        tx,
        "JOIN entry e ON e.id = d.entry WHERE e.conversation = ? AND e.n = ? AND d.channel = ?",
        *entry,
        fact.channel,
    )
    if len(found) > 1:
        having = [one for one in found if fact.id_hash in {sent_hash(fact.channel, it) for it in orjson.loads(one.ids)}]
        # An attempt whose answer was lost has no id in its row yet.
        found = having or [one for one in found if one.ids == "[]"] or found
    if len(found) > 1 and fact.address:
        known = tx.do.addresses([fact.address]).get(fact.address, (0, 0))
        found = [one for one in found if one.address == known[0]]
    return found


def _found(tx: Transaction, which: str, *values: object) -> list[_Found]:
    locked = tx.do.lock and f"{tx.do.lock} OF d"
    return [_Found(*row) for row in tx.do.rows(f"{_DELIVERIES} {which} ORDER BY d.id{locked}", values)]


def _apply(tx: Transaction, fact: Fact, found: _Found, source: str) -> None:
    row = (tx.do.next_id("fact"), found.delivery, fact.state, fact.at_us, source, fact.reason, fact.code)
    tx.do.many("insert fact", [row])
    after = fold(DeliveryState(found.state), fact.state)
    # What became of one part is no end of the whole: the others are still to go.
    if after != found.state and (fact.whole or after == DeliveryState.FAILED or not found.unfinished):
        tx.do.many("fold delivery", [(after, tx.now_us, fact.reason, fact.code, found.delivery)])
    elif fact.reason and fact.state == found.state == DeliveryState.SENT and source == "receipt":
        tx.do.many("fold delivery", [(after, tx.now_us, fact.reason, fact.code, found.delivery)])  # it is late
    if fact.opted_out:
        tx.do.many("insert consent", [opted_out(tx, found.address, fact.channel, fact.reason)])


def opted_out(tx: Transaction, address: int, channel: int, reason: str) -> Row:
    """Return the row that says that a provider refused a message because its recipient had stopped them."""
    return consent_row(tx.do, address, channel, allowed=False, author=PROVIDER, evidence=reason, at_us=tx.now_us)
