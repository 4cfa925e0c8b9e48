"""Deliveries: where each stands, what was tried, and what became known beside that."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final, TypeAlias

import orjson
import sqlalchemy as sa
from attrs import frozen

from fernamt._store.tables import address, attempt, channel, content, delivery, entry, fact
from fernamt._store.views.people import handle_of
from fernamt.model import Address, DeliveryState, moment

EXCERPT_CHARS: Final = 400
"""So much of a text is read where only its beginning is shown."""
# Written out, not bound: only then SQLite sees that the partial indices cover them.
IS_OPEN: Final = sa.text("delivery.state IN ('queued', 'sending')")
IS_UNCERTAIN: Final = sa.text("delivery.state = 'uncertain'")
_Which: TypeAlias = sa.ColumnElement[bool] | sa.TextClause


@frozen(kw_only=True)
class AttemptView:
    """One try to send; without *ended_at* its result is not known."""

    n: int
    started_at: datetime
    ended_at: datetime | None
    outcome: str
    """``sent``, the class of the error, or empty."""
    reason: str
    code: str


@frozen(kw_only=True)
class FactView:
    """What became known of a delivery beside its attempts."""

    state: DeliveryState
    at: datetime
    source: str
    """A receipt, a late result, a person."""
    reason: str
    code: str


@frozen(kw_only=True)
class DeliveryView:
    """An outbound entry on its way to one recipient."""

    number: int
    conversation: int
    n: int
    """The entry's."""
    to: Address | None
    """``None``: erased."""
    channel: str
    channel_state: str
    state: DeliveryState
    reason: str
    """Why it is where it is."""
    code: str
    ids: tuple[str, ...]
    """The provider's."""
    tried: int
    next_at: datetime
    """A queued one goes not before then."""
    changed_at: datetime
    text: str
    """How the entry begins."""
    attempts: tuple[AttemptView, ...]
    facts: tuple[FactView, ...]


def deliveries_numbered(connection: sa.Connection, numbers: Sequence[int]) -> tuple[DeliveryView, ...]:
    """Return the deliveries with these numbers, those that exist."""
    return deliveries_where(connection, delivery.c.id.in_(numbers))


def uncertain_deliveries(connection: sa.Connection, *, limit: int) -> tuple[DeliveryView, ...]:
    """Return the deliveries that a person has to settle, the oldest first."""
    return deliveries_where(connection, IS_UNCERTAIN, limit=limit)


def deliveries_where(connection: sa.Connection, which: _Which, *, limit: int | None = None) -> tuple[DeliveryView, ...]:
    """Return the deliveries of which *which* holds, the oldest first; it may speak of ``delivery`` and ``entry``."""
    rows = connection.execute(
        sa.select(
            delivery,
            entry.c.n,
            address.c.handle,
            channel.c.name.label("line"),
            channel.c.state.label("line_state"),
            sa.func.substr(content.c.text, 1, EXCERPT_CHARS).label("text"),
        )
        .join_from(delivery, entry, entry.c.id == delivery.c.entry)
        .outerjoin(address, address.c.id == delivery.c.address)
        .outerjoin(channel, channel.c.id == delivery.c.channel)
        .outerjoin(content, content.c.entry == delivery.c.entry)
        .where(which)
        .order_by(delivery.c.id)
        .limit(limit)
    ).all()
    numbers = [row.id for row in rows]
    attempts, facts = _attempts(connection, numbers), _facts(connection, numbers)
    return tuple(
        DeliveryView(
            number=row.id,
            conversation=row.conversation,
            n=row.n,
            to=handle_of(row.handle),
            channel=row.line or "",
            channel_state=row.line_state or "",
            state=DeliveryState(row.state),
            reason=row.reason,
            code=row.code,
            ids=tuple(orjson.loads(row.ids)),
            tried=row.attempts,
            next_at=moment(row.next_at),
            changed_at=moment(row.changed_at),
            text=row.text or "",
            attempts=tuple(attempts[row.id]),
            facts=tuple(facts[row.id]),
        )
        for row in rows
    )


def _attempts(connection: sa.Connection, numbers: Collection[int]) -> Mapping[int, Sequence[AttemptView]]:
    attempts: defaultdict[int, list[AttemptView]] = defaultdict(list)
    rows = connection.execute(
        sa.select(attempt).where(attempt.c.delivery.in_(numbers)).order_by(attempt.c.delivery, attempt.c.n)
    )
    for row in rows:
        one = AttemptView(
            n=row.n,
            started_at=moment(row.started_at),
            ended_at=None if row.ended_at is None else moment(row.ended_at),
            outcome=row.outcome,
            reason=row.reason,
            code=row.code,
        )
        attempts[row.delivery].append(one)
    return attempts


def _facts(connection: sa.Connection, numbers: Collection[int]) -> Mapping[int, Sequence[FactView]]:
    facts: defaultdict[int, list[FactView]] = defaultdict(list)
    for row in connection.execute(sa.select(fact).where(fact.c.delivery.in_(numbers)).order_by(fact.c.id)):
        state = DeliveryState(row.state)
        one = FactView(state=state, at=moment(row.at), source=row.source, reason=row.reason, code=row.code)
        facts[row.delivery].append(one)
    return facts
