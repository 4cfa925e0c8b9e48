"""Where conversations and customers lead to, for whoever only reads."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from fernamt._store.pointers import NEAR_CONVERSATIONS, NEAR_CUSTOMERS, Link, Pointers


def pointers_of(connection: sa.Connection, numbers: Collection[int], *, customers: bool = False) -> Pointers:
    """Return all links that tie these conversations, or customers, to others."""
    near = sa.text((NEAR_CUSTOMERS if customers else NEAR_CONVERSATIONS).format(":numbers"))
    rows = connection.execute(near.bindparams(sa.bindparam("numbers", list(numbers), expanding=True)))
    return Pointers(Link(*row) for row in rows)
