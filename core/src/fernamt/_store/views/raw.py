"""What came in, byte for byte."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from fernamt._store.tables import content, entry, piece, quarantine, raw
from fernamt.model import Blob


def raw_of_entry(connection: sa.Connection, conversation: int, n: int) -> tuple[bytes | Blob, ...]:
    """Return what an entry was read from, piece by piece; nothing if nothing was kept. The size of a blob is not told: it is 0."""
    of_entry = sa.select(content.c.raw).join(entry, entry.c.id == content.c.entry)
    whole = _raw(connection, of_entry.where(entry.c.conversation == conversation, entry.c.n == n))
    pieces = connection.scalars(
        sa.select(piece.c.raw)
        .join(entry, entry.c.id == piece.c.entry)
        .where(entry.c.conversation == conversation, entry.c.n == n, piece.c.raw.is_not(None))
        .order_by(piece.c.id)
    )
    read = [_raw(connection, sa.select(number)) for number in dict.fromkeys(pieces)]
    return tuple(one for one in read or [whole] if one is not None)


def raw_of_quarantined(connection: sa.Connection, number: int) -> bytes | Blob | None:
    """Return the bytes of a quarantined item, ``None`` if none were kept; as :func:`raw_of_entry`."""
    return _raw(connection, sa.select(quarantine.c.raw).where(quarantine.c.id == number))


def _raw(connection: sa.Connection, which: sa.Select[Any]) -> bytes | Blob | None:
    row = connection.execute(sa.select(raw).where(raw.c.id == which.scalar_subquery())).one_or_none()
    if row is None:
        return None
    return bytes(row.body) if row.body is not None else Blob(row.digest, 0)
