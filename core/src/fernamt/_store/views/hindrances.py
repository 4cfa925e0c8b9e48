"""What stands in the way of a delivery that is still to go."""

from __future__ import annotations

import sqlalchemy as sa
from attrs import frozen

from fernamt._store.tables import channel, consent, delivery
from fernamt._store.views.channels import is_served
from fernamt._store.views.deliveries import IS_OPEN


@frozen(kw_only=True)
class Hindrance:
    """One thing that a delivery waits for."""

    kind: str
    """``lane``: another one goes first; ``time``: it is tried again later; ``channel``: that is not up; ``daemon``: none runs;
    ``stopped``: the recipient opted out."""
    delivery: int | None = None
    """With ``lane``: the one that goes first."""
    reason: str = ""


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
    if stopped := connection.scalar(
        sa.select(consent.c.evidence).where(
            consent.c.address == row.address,
            consent.c.channel == row.channel,
            consent.c.scope == "",
            sa.not_(consent.c.allowed),
        )
    ):
        found.append(Hindrance(kind="stopped", reason=stopped))
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
