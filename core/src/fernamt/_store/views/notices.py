"""Runs of notices: how far each came, and what became of its rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

import orjson
import sqlalchemy as sa
from attrs import frozen

from fernamt._store.tables import address, channel, content, delivery, entry, notice, notice_run
from fernamt._store.views.people import handle_of
from fernamt.model import Address, DeliveryState, moment

PAGE: Final = 500
_MOVING: Final = (DeliveryState.QUEUED, DeliveryState.SENDING)


@frozen(kw_only=True)
class RunView:
    """A run, counted now."""

    number: int
    key: str
    """The caller's."""
    template: str
    channel: str
    purpose: str
    author: str
    at: datetime
    state: str
    """``interrupted`` (not all rows are given), ``sending``, ``done``, ``cancelled``."""
    total: int
    given: int
    """So many rows are queued or were."""
    repeats: int
    """Rows whose own key was given before: they were not queued again."""
    conflicts: int
    """Rows whose own key was given before with other words: they were not queued."""
    waiting: int
    """So many of those that are queued wait for a time: quiet hours, another try."""
    next_at: datetime | None
    """The first of these times."""
    states: Mapping[DeliveryState, int]
    """So many of the rows are in each state, repeats not counted."""

    @property
    def moving(self) -> int:
        """How many are still to go."""
        return sum(self.states.get(one, 0) for one in _MOVING)


@frozen(kw_only=True)
class RowView:
    """What became of one row."""

    n: int
    key: str
    to: Address | None
    """``None``: erased, or not queued."""
    state: str
    """Of its delivery; ``conflict``: its key was given before with other words."""
    reason: str
    code: str
    at: datetime | None
    """When that was known."""
    next_at: datetime | None
    """It waits for that time."""
    order: str
    conversation: int | None
    delivery: int | None
    ids: tuple[str, ...]
    """The provider's."""
    repeats: str
    """``<run>/<row>``: it is the same as that one, which its state is of."""


def run_numbered(connection: sa.Connection, number: int) -> RunView | None:
    """Return one run."""
    return next(_runs(connection, notice_run.c.id == number, 1), None)


def newest_runs(connection: sa.Connection, limit: int) -> tuple[RunView, ...]:
    """Return the runs that were asked for last, the newest first."""
    return tuple(_runs(connection, sa.true(), limit))


def _runs(connection: sa.Connection, which: sa.ColumnElement[bool], limit: int) -> Iterator[RunView]:
    rows = connection.execute(
        sa.select(notice_run, channel.c.name.label("line"))
        .outerjoin(channel, channel.c.id == notice_run.c.channel)
        .where(which)
        .order_by(notice_run.c.id.desc())
        .limit(limit)
    ).all()
    for row in rows:
        counted = _counted(connection, row.id)
        moving = any(counted.states.get(one) for one in _MOVING)
        state = "sending" if moving else "done"
        if row.cancelled_at is not None:
            state = "cancelled"
        elif row.given < row.total:
            state = "interrupted"
        yield RunView(
            number=row.id,
            key=row.key,
            template=row.template,
            channel=row.line or "",
            purpose=row.purpose,
            author=row.author,
            at=moment(row.at),
            state=state,
            total=row.total,
            given=row.given,
            repeats=counted.repeats,
            conflicts=counted.conflicts,
            waiting=counted.waiting,
            next_at=None if counted.next_at is None else moment(counted.next_at),
            states=counted.states,
        )


@frozen
class _Counted:
    states: Mapping[DeliveryState, int]
    repeats: int
    conflicts: int
    waiting: int
    next_at: int | None


def _counted(connection: sa.Connection, run: int) -> _Counted:
    own = notice.c.of_run.is_(None)
    waits = sa.and_(own, delivery.c.state == DeliveryState.QUEUED, delivery.c.next_at > delivery.c.queued_at)
    # Not grouped: the engine would sort a million rows for eight groups.
    [*counts, repeats, conflicts, waiting, next_at] = connection.execute(
        sa.select(
            *(sa.func.count().filter(own, delivery.c.state == state) for state in DeliveryState),
            sa.func.count().filter(~own, delivery.c.id.is_not(None)),
            sa.func.count().filter(delivery.c.id.is_(None)),
            sa.func.count().filter(waits),
            sa.func.min(delivery.c.next_at).filter(waits),
        )
        .select_from(notice)
        .outerjoin(delivery, delivery.c.id == notice.c.delivery)
        .where(notice.c.run == run)
    ).one()
    states = {state: count for state, count in zip(DeliveryState, counts, strict=True) if count}
    return _Counted(states, repeats, conflicts, waiting, next_at)


def rows_of_run(connection: sa.Connection, run: int, *, after: int = 0, limit: int = PAGE) -> tuple[RowView, ...]:
    """Return what became of the rows of a run, in their order, from the one behind *after* on."""
    rows = connection.execute(
        sa.select(
            notice,
            delivery.c.state,
            delivery.c.reason,
            delivery.c.code,
            delivery.c.changed_at,
            delivery.c.next_at,
            delivery.c.queued_at,
            delivery.c.conversation,
            delivery.c.ids,
            address.c.handle,
            content.c.data,
        )
        .select_from(notice)
        .outerjoin(delivery, delivery.c.id == notice.c.delivery)
        .outerjoin(entry, entry.c.id == delivery.c.entry)
        .outerjoin(content, content.c.entry == entry.c.id)
        .outerjoin(address, address.c.id == delivery.c.address)
        .where(notice.c.run == run, notice.c.n > after)
        .order_by(notice.c.n)
        .limit(limit)
    )
    return tuple(_row(row) for row in rows)


def _row(row: sa.Row[tuple[object, ...]]) -> RowView:
    data = orjson.loads(row.data) if row.data else {}
    first = "" if row.of_run is None else f"{row.of_run}/{row.of_n}"
    return RowView(
        n=row.n,
        key=str(data.get("key", "")),
        to=handle_of(row.handle),
        state=row.state or "conflict",
        reason=row.reason if row.state else f"its key was given before with other words, in run {first}",
        code=row.code or "",
        at=None if row.changed_at is None else moment(row.changed_at),
        next_at=moment(row.next_at) if row.state == DeliveryState.QUEUED and row.next_at > row.queued_at else None,
        order=str(data.get("order", "")),
        conversation=row.conversation,
        delivery=row.delivery,
        ids=tuple(orjson.loads(row.ids)) if row.ids else (),
        repeats=first if row.state else "",
    )
