"""The channels as the daemon left them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from attrs import frozen

from fernamt._store.tables import channel, delivery, due, entry
from fernamt._store.views.deliveries import IS_OPEN, IS_UNCERTAIN
from fernamt.model import moment

NEWEST_ENTRIES: Final = 50_000
"""So far back in the log a channel's newest entry is looked for: no index leads from a channel to its entries."""


@frozen(kw_only=True)
class ChannelView:
    """A channel as the daemon left it."""

    id: str
    label: str
    kind: str
    state: str
    reason: str
    since: datetime
    queued: int
    """Deliveries that are still to go."""
    uncertain: int
    newest_at: datetime | None
    """When something was last received or written there; ``None``: not within :data:`NEWEST_ENTRIES`."""


def channel_views(connection: sa.Connection) -> tuple[ChannelView, ...]:
    """Return every channel that there ever was, by id."""
    queued = _counts(connection, IS_OPEN)
    unsettled = _counts(connection, IS_UNCERTAIN)
    floor = sa.select(sa.func.coalesce(sa.func.max(entry.c.id), 0) - NEWEST_ENTRIES).scalar_subquery()
    in_reach = sa.select(entry.c.channel, sa.func.max(entry.c.at)).where(entry.c.id > floor).group_by(entry.c.channel)
    newest: dict[int, int] = dict(connection.execute(in_reach).all())
    return tuple(
        ChannelView(
            id=row.name,
            label=row.label,
            kind=row.kind,
            state=row.state,
            reason=row.reason,
            since=moment(row.changed_at),
            queued=queued.get(row.id, 0),
            uncertain=unsettled.get(row.id, 0),
            newest_at=moment(newest[row.id]) if row.id in newest else None,
        )
        for row in connection.execute(sa.select(channel).order_by(channel.c.name))
    )


def _counts(connection: sa.Connection, which: sa.TextClause) -> Mapping[int, int]:
    counted = sa.select(delivery.c.channel, sa.func.count()).where(which).group_by(delivery.c.channel)
    return dict(connection.execute(counted).all())


def channel_names(connection: sa.Connection) -> Mapping[int, str]:
    """Return the number that the store gave each channel, with its id."""
    return {row.id: row.name for row in connection.execute(sa.select(channel.c.id, channel.c.name))}


def is_served(connection: sa.Connection, now_us: int) -> bool:
    """Return whether some daemon holds a claim on this store, that is: runs, or died less than a lease ago."""
    return bool(connection.scalar(sa.select(sa.exists().where(due.c.until > now_us))))
