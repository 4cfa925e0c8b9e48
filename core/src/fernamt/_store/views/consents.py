"""What people said about messages, for people."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from attrs import frozen

from fernamt._store.names import Names
from fernamt._store.tables import address, channel, consent
from fernamt.model import Address, moment


@frozen(kw_only=True)
class ConsentView:
    """One word of one address on one channel."""

    channel: str
    scope: str
    """Empty: everything."""
    allowed: bool
    author: str
    """Who recorded it: ``customer`` (their own word), ``provider``, or ``agent:<name>``."""
    evidence: str
    at: datetime
    counts: bool
    """It is the latest word on its channel and scope; those before it are kept as a proof."""


def consents_of(
    connection: sa.Connection, names: Names, of: Address, *, channels: Collection[str] = ()
) -> tuple[ConsentView, ...]:
    """Return all that was said of an address, the latest first; *channels*: only on these.

    What was said before an erasure is found by whoever asks for the same address.
    """
    rows = connection.execute(
        sa.select(consent, channel.c.name.label("line"))
        .join(address, address.c.id == consent.c.address)
        .join(channel, channel.c.id == consent.c.channel)
        .where(address.c.handle.in_([str(of), names.erased_mark(str(of))]))
        .order_by(consent.c.id.desc())
    )
    seen: set[tuple[str, str]] = set()
    found = []
    for row in rows:
        if channels and row.line not in channels:
            continue
        key = (row.line, row.scope)
        found.append(
            ConsentView(
                channel=row.line,
                scope=row.scope,
                allowed=row.allowed,
                author=row.author,
                evidence=row.evidence,
                at=moment(row.at),
                counts=key not in seen,
            )
        )
        seen.add(key)
    return tuple(found)
