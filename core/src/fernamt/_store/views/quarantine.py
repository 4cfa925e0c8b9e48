"""What came in and could not be understood."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from attrs import frozen

from fernamt._store.tables import channel, quarantine, raw
from fernamt.model import moment


@frozen(kw_only=True)
class QuarantineView:
    """Something that came in and could not be understood."""

    number: int
    channel: str
    reason: str
    at: datetime
    settled_at: datetime | None
    """When somebody dealt with it."""
    size: int | None
    """In bytes; ``None``: nothing was kept, or it is in the blob store."""
    has_raw: bool


def quarantined(connection: sa.Connection, *, limit: int) -> tuple[QuarantineView, ...]:
    """Return what waits for somebody, the oldest first."""
    return _items(connection, quarantine.c.settled_at.is_(None), limit)


def quarantined_item(connection: sa.Connection, number: int) -> QuarantineView | None:
    """Return one item, whether it waits or not; ``None``: there is none of this number."""
    return next(iter(_items(connection, quarantine.c.id == number, 1)), None)


def _items(connection: sa.Connection, which: sa.ColumnElement[bool], limit: int) -> tuple[QuarantineView, ...]:
    rows = connection.execute(
        sa.select(quarantine, channel.c.name, sa.func.length(raw.c.body).label("size"))
        .outerjoin(channel, channel.c.id == quarantine.c.channel)
        .outerjoin(raw, raw.c.id == quarantine.c.raw)
        .where(which)
        .order_by(quarantine.c.id)
        .limit(limit)
    )
    return tuple(
        QuarantineView(
            number=row.id,
            channel=row.name or "",
            reason=row.reason,
            at=moment(row.at),
            settled_at=None if row.settled_at is None else moment(row.settled_at),
            size=row.size,
            has_raw=row.raw is not None,
        )
        for row in rows
    )
