"""What keeps machines from writing to each other for ever: whom an automatic message would answer, and how many there were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from fernamt._store.deliveries import OpenDelivery
from fernamt._store.statements import Statements

_DAY_US: Final = 86_400_000_000
_ANY: Final = 2**62
IS_AUTOMATIC: Final = '"automatic":true'
"""How the data of an entry that a machine wrote say so: in a text of theirs the quotes would be escaped."""
IS_SILENT: Final = '"silent":true'


@frozen
class Before:
    """What went before an automatic message, between its recipient and us on its channel."""

    machine: bool = False
    """What the recipient wrote last in this conversation was automatic itself."""
    today: int = 0
    """So many automatic messages the recipient got in the 24 hours before this one was asked for."""


def automatic_before(do: Statements, channel: int, deliveries: Sequence[OpenDelivery]) -> dict[int, Before]:
    """Return by delivery what went before; all of *deliveries* bring automatic messages, so there are few."""
    return {one.id: Before(_machine(do, channel, one), _today(do, channel, one)) for one in deliveries}


def _machine(do: Statements, channel: int, delivery: OpenDelivery) -> bool:
    rows = do.rows(
        "SELECT c.data FROM entry e JOIN content c ON c.entry = e.id WHERE e.conversation = ? AND e.kind = 'received'"
        " AND e.author = ? AND e.channel = ? AND e.n < (SELECT n FROM entry WHERE id = ?) ORDER BY e.n DESC LIMIT 1",
        (delivery.conversation, delivery.address, channel, delivery.entry),
    )
    return bool(rows) and IS_AUTOMATIC in (rows[0][0] or "")


def _today(do: Statements, channel: int, delivery: OpenDelivery) -> int:
    since_us = delivery.queued_at - _DAY_US
    return automatic_since(
        do, delivery.address, channel, since_us, conversation=delivery.conversation, before=delivery.id
    )


def automatic_since(
    do: Statements,
    address: int,
    channel: int,
    since_us: int,
    *,
    conversation: int = 0,
    before: int = _ANY,
    author: str = "%",
) -> int:
    """Return how many automatic messages a person got on a channel, or is to get.

    That counts over all conversations that they began, and *conversation*: who loses the thread begins a new one each time.
    """
    [[count]] = do.rows(
        "SELECT count(*) FROM entry e JOIN content c ON c.entry = e.id JOIN delivery d ON d.entry = e.id"
        " WHERE e.conversation IN (SELECT conversation FROM thread WHERE address = ? AND channel = ? UNION ALL SELECT ?)"
        " AND e.kind = 'sent' AND d.address = ? AND d.channel = ? AND d.id < ? AND d.queued_at > ?"
        " AND d.state <> 'refused' AND c.data LIKE ? AND c.author LIKE ?",
        (address, channel, conversation, address, channel, before, since_us, f"%{IS_AUTOMATIC}%", author),
    )
    return int(count)
