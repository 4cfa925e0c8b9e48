"""What plugins and channels still have to do."""

from __future__ import annotations

from datetime import datetime

import orjson
import sqlalchemy as sa
from attrs import frozen

from fernamt._store.tables import task
from fernamt.model import moment


@frozen(kw_only=True)
class TaskView:
    """A task: it is due at its time, or parked, and gone when it is done."""

    number: int
    owner: str
    """``work:<plugin>`` or ``channel:<id>``: who carries it out."""
    kind: str
    """tell, timer, job, fetch, media, read, duty ..."""
    name: str
    """Of the subscriber, its timer, or the job; may be empty."""
    conversation: int | None
    """0 or less: what is about no single one, and is done one after the other."""
    n: int | None
    """The entry that it is about."""
    due_at: datetime | None
    """``None``: it is parked until somebody decides."""
    tries: int
    reason: str
    """Why the last try failed; empty: there was none."""
    since: datetime


def tasks(connection: sa.Connection, *, parked: bool = False, limit: int) -> tuple[TaskView, ...]:
    """Return what is parked, the oldest first, then, unless only that is wanted, the others as they will be due."""
    query = sa.select(task).order_by(task.c.due_at.is_not(None), task.c.due_at, task.c.id).limit(limit)
    rows = connection.execute(query.where(task.c.due_at.is_(None)) if parked else query)
    return tuple(
        TaskView(
            number=row.id,
            owner=row.owner,
            kind=row.kind,
            name=_name(row.data),
            conversation=row.conversation,
            n=row.n,
            due_at=None if row.due_at is None else moment(row.due_at),
            tries=row.tries,
            reason=row.reason,
            since=moment(row.since),
        )
        for row in rows
    )


def _name(data: str) -> str:
    said = orjson.loads(data) if data else {}
    return " ".join(str(said[key]) for key in ("subscriber", "timer", "job") if said.get(key))
