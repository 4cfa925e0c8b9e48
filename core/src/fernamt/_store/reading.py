"""What people have read of conversations, and which channels shall say so to their providers."""

from __future__ import annotations

from collections.abc import Collection

from fernamt._store.statements import Statements
from fernamt._store.subscriptions import advance
from fernamt._store.tasks import Errand, Task, plan_tasks
from fernamt._store.transaction import Transaction

READER = "core.read"
"""The subscriber that stands for all people: its position in a conversation is how far one of them has read."""
READ_BY = frozenset({"sent", "solved"})
"""Kinds of entries that nobody writes who has not read what stands before them."""
ONE_AT_A_TIME = -1
"""Stands as the conversation of what a channel marks: however slow that is, it takes one place of its worker."""
IDS_MAX = 100


def note_read(tx: Transaction, conversation: int, channels: Collection[str]) -> None:
    """Keep how far a person has read, and plan that those of *channels* say so by which it came.

    Read is what stands before an entry of a person's: what a plugin answers was read by nobody.
    """
    told = tx.do.rows("SELECT n FROM position WHERE subscriber = ? AND conversation = ?", (READER, conversation))
    after = told[0][0] if told else 0
    [[n]] = tx.do.rows(
        "SELECT max(e.n) FROM entry e JOIN content c ON c.entry = e.id WHERE e.conversation = ? AND e.n > ?"
        " AND e.kind IN ('sent', 'solved') AND substr(c.author, 1, 6) = 'agent:'",
        (conversation, after),
    )
    if n is None:
        return
    came_by = tx.do.rows(
        "SELECT DISTINCT h.name FROM entry e JOIN channel h ON h.id = e.channel WHERE e.conversation = ?"
        " AND e.n > ? AND e.n < ? AND e.kind = 'received'",
        (conversation, after, n),
    )
    advance(tx, READER, conversation, n)
    data = {"conversation": conversation, "after": after}
    errands = [
        Errand(
            owner=f"channel:{one}",
            kind="read",
            key=f"read:{one}:{conversation}:{n}",
            conversation=ONE_AT_A_TIME,
            n=n,
            data=data,
            due_us=tx.now_us,
        )
        for [one] in came_by
        if one in channels
    ]
    plan_tasks(tx, errands)


def read_ids(do: Statements, channel: int, task: Task) -> list[str]:
    """Return what a channel's provider calls the messages of a task of kind ``read``: the last of them, oldest first."""
    rows = do.rows(
        "SELECT c.provider_id FROM entry e JOIN content c ON c.entry = e.id WHERE e.conversation = ? AND e.n > ?"
        " AND e.n < ? AND e.channel = ? AND e.kind = 'received' AND c.provider_id <> '' ORDER BY e.n DESC LIMIT ?",
        (task.data["conversation"], task.data["after"], task.n, channel, IDS_MAX),
    )
    return [name for [name] in reversed(rows)]
