"""The channels as the store knows them: a number for each id, and how the line is, for whoever looks from outside."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from fernamt._store.transaction import Rank, Transaction, locks


@frozen(kw_only=True)
class Entrance:
    """A configured channel that the store shall know."""

    id: str
    kind: str
    label: str


@locks(Rank.CLAIMS)
def enter(tx: Transaction, payloads: Sequence[Entrance]) -> list[int]:
    """Return the number of each channel, new ones getting one; its id is its name for ever."""
    numbers: list[int] = []
    for entrance in payloads:
        row = (tx.do.next_id("channel"), entrance.id, entrance.kind, entrance.label, "starting", "", tx.now_us)
        tx.do.many("put channel", [row])
        numbers += [number for (number,) in tx.do.rows("SELECT id FROM channel WHERE name = ?", (entrance.id,))]
    return numbers


@frozen(kw_only=True)
class ChannelState:
    """How a line is: starting, up, degraded, needs-login or down, and why."""

    number: int
    state: str
    reason: str = ""


@locks(Rank.CLAIMS)
def note_state(tx: Transaction, payloads: Sequence[ChannelState]) -> list[bool]:
    """Keep the states, and since when each is so whatever the reason; ``True`` where one changed."""
    return [
        tx.do.one(
            "UPDATE channel SET changed_at = CASE WHEN state <> ? THEN ? ELSE changed_at END, state = ?, reason = ?"
            " WHERE id = ? AND (state <> ? OR reason <> ?)",
            (one.state, tx.now_us, one.state, one.reason, one.number, one.state, one.reason),
        )
        == 1
        for one in payloads
    ]
