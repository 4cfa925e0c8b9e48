"""What stands in the way of a delivery that is still to go."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from attrs import frozen

from fernamt._store.consents import MARKETING
from fernamt._store.tables import channel, consent, delivery
from fernamt._store.views.channels import is_served
from fernamt._store.views.deliveries import IS_OPEN
from fernamt.model import Purpose


@frozen(kw_only=True)
class Hindrance:
    """One thing that a delivery waits for."""

    kind: str
    """``lane``: another one goes first; ``time``: it is tried again later; ``channel``: that is not up; ``daemon``: none runs;
    ``stopped``: the recipient opted out; ``consent``: it is outreach, and they never agreed to any."""
    delivery: int | None = None
    """With ``lane``: the one that goes first."""
    reason: str = ""


def _latest(connection: sa.Connection, of: sa.Row[Any], scope: str) -> sa.Row[Any] | None:
    which = (consent.c.address == of.address, consent.c.channel == of.channel, consent.c.scope == scope)
    return connection.execute(sa.select(consent).where(*which).order_by(consent.c.id.desc()).limit(1)).first()


def hindrances(connection: sa.Connection, number: int, now_us: int) -> tuple[Hindrance, ...]:
    """Return what the open delivery *number* waits for; nothing: it goes next, or it is not open."""
    row = connection.execute(
        sa.select(delivery, channel.c.state.label("line_state"), channel.c.reason.label("line_reason"))
        .outerjoin(channel, channel.c.id == delivery.c.channel)
        .where(delivery.c.id == number, IS_OPEN)
    ).one_or_none()
    if row is None or row.state != "queued":
        return ()
    found = []
    words = [_latest(connection, row, scope) for scope in ("", MARKETING)[: 1 + (row.purpose == Purpose.OUTREACH)]]
    stopped = next((word for word in words if word is not None and not word.allowed), None)
    if stopped is not None:
        found.append(Hindrance(kind="stopped", reason=stopped.evidence))
    elif words[-1] is None and row.purpose == Purpose.OUTREACH:
        found.append(Hindrance(kind="consent"))
    same_lane = [
        getattr(delivery.c, name) == getattr(row, name) for name in ("channel", "conversation", "address", "purpose")
    ]
    first = connection.scalar(
        sa.select(delivery.c.id).where(IS_OPEN, delivery.c.id < number, *same_lane).order_by(delivery.c.id).limit(1)
    )
    if first is not None:
        found.append(Hindrance(kind="lane", delivery=first))
    if row.next_at > now_us:
        found.append(Hindrance(kind="time", reason=row.reason))
    if not is_served(connection, now_us):
        found.append(Hindrance(kind="daemon"))
    elif row.line_state not in {"up", "degraded"}:
        found.append(Hindrance(kind="channel", reason=f"{row.line_state}: {row.line_reason}".rstrip(": ")))
    return tuple(found)
