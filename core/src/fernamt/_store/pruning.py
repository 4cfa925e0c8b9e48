"""What the store forgets by itself: runs of notices that were over long ago, and receipts whose message never became known.

With a run go the keys by which it, and its rows, were known. What went out stays where it was told: an entry and its delivery
belong to a conversation, and not to a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from fernamt._store.tables import delivery, early_receipt, notice, notice_run
from fernamt._store.transaction import Transaction
from fernamt.model import DeliveryState

_AT_ONCE: Final = 1_000
"""So many rows are deleted in one transaction: a writer that waits behind it waits some hundredths of a second."""
_MOVING: Final = (DeliveryState.QUEUED, DeliveryState.SENDING)


def runs_over(connection: sa.Connection, before_us: int) -> tuple[int, ...]:
    """Return the runs that are over, and of which nothing has changed since then, the oldest first.

    One that was broken off is never over: whoever gives the same call again goes on with it.
    """
    still = sa.and_(
        notice.c.run == notice_run.c.id,
        sa.or_(delivery.c.state.in_(_MOVING), delivery.c.changed_at >= before_us),
    )
    moves = sa.exists(sa.select(1).select_from(notice.join(delivery, delivery.c.id == notice.c.delivery)).where(still))
    rows = connection.execute(
        sa.select(notice_run.c.id)
        .where(
            sa.func.coalesce(notice_run.c.cancelled_at, notice_run.c.at) < before_us,
            sa.or_(notice_run.c.given == notice_run.c.total, notice_run.c.cancelled_at.is_not(None)),
            ~moves.correlate(notice_run),
        )
        .order_by(notice_run.c.id)
    )
    return tuple(row.id for row in rows)


def forget(tx: Transaction, payloads: Sequence[int]) -> list[bool]:
    """Delete the next rows of runs, and behind its last rows the run; say whether something is left. Called until it is not."""
    return [_forgotten(tx, run) for run in payloads]


def _forgotten(tx: Transaction, run: int) -> bool:
    [(first,)] = tx.do.rows("SELECT min(n) FROM notice WHERE run = ?", (run,))
    if first is None:
        tx.do.one("DELETE FROM notice_run WHERE id = ?", (run,))
        return False
    tx.do.one("DELETE FROM notice WHERE run = ? AND n < ?", (run, first + _AT_ONCE))
    return True


def unclaimed_receipts(connection: sa.Connection, before_us: int) -> tuple[int, ...]:
    """Return receipts from before then that still wait for their message, the oldest first: so many as are deleted at once."""
    waiting = sa.select(early_receipt.c.id).where(early_receipt.c.at < before_us)
    return tuple(connection.scalars(waiting.order_by(early_receipt.c.id).limit(_AT_ONCE)))


def forget_receipts(tx: Transaction, payloads: Sequence[Sequence[int]]) -> list[None]:
    """Delete receipts that wait, and what keeps the place of their ids."""
    for numbers in payloads:
        hashes = [bytes(row[0]) for row in tx.do.among("SELECT hash FROM early_receipt WHERE id IN {}", numbers)]
        tx.do.change("DELETE FROM known WHERE n IS NULL AND hash IN {}", hashes)
        tx.do.change("DELETE FROM early_receipt WHERE id IN {}", numbers)
    return [None] * len(payloads)
