"""Durable work: a row is a task that is due at a time, parked when it has none, and done when it is gone.

A task has a key, so whoever wants something twice gets it once. Planned again it gets a new number: whoever was at work on
the old number ends nothing that came after it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeAlias

import orjson
from attrs import field, frozen

from fernamt._store.claims import Claim, require
from fernamt._store.statements import Row, Statements
from fernamt._store.transaction import Transaction
from fernamt.errors import FernamtError
from fernamt.model import NOTHING, Json

PIECES: Final = "pieces"
"""The owner of what waits for the rest of a message: nobody may give that up."""
TRIES_MAX: Final = 12
"""A task that failed so often is parked: a person decides."""
_COLUMNS: Final = "id, owner, kind, key, conversation, n, data, due_at, tries, reason, since"
Also: TypeAlias = Callable[[Transaction], object]
"""What is written in one transaction with the end of a task: our own code, never a plugin's. It may raise, and nothing of it
is written then. It locks conversations before anything else."""


@frozen(kw_only=True)
class Errand:
    """A task to be planned."""

    owner: str
    """The claim under which it runs: ``work:<plugin>``, ``channel:<id>``."""
    kind: str
    key: str
    """Of all tasks; begin it with the kind. Empty: it is like no other, and gets a key of its own."""
    conversation: int | None = None
    """Tasks of one owner and one conversation run one after the other."""
    n: int | None = None
    data: Mapping[str, Json] = NOTHING
    due_us: int


@frozen(kw_only=True)
class Task:
    """A task as it stands in the store."""

    id: int
    owner: str
    kind: str
    key: str
    conversation: int | None
    n: int | None
    data: Mapping[str, Any] = field(repr=False)
    due_us: int | None
    tries: int
    reason: str
    since_us: int


@frozen
class DueTasks:
    """What is due, the longest due first, and when the next one will be (microseconds; ``None``: nothing waits)."""

    ready: tuple[Task, ...]
    next_at: int | None


def errand_row(do: Statements, errand: Errand, now_us: int) -> Row:
    """Return the row for the statements ``wake task`` and ``put task``, for a batch.

    ``wake task`` plans what may be planned already: an earlier time wins, what is parked is due again, and what waits for
    another try keeps its pause. ``put task`` replaces what was planned under the key. Its owner's name is the topic that
    wakes who carries it out.
    """
    do.topics.add(errand.owner)
    number = do.next_id("task")
    what = (errand.owner, errand.kind, errand.key or f"{errand.kind}:{number}", errand.conversation, errand.n)
    return (number, *what, orjson.dumps(dict(errand.data)).decode(), errand.due_us, 0, "", now_us)


def plan_tasks(tx: Transaction, errands: Collection[Errand], *, replace: bool = False) -> None:
    """Plan tasks; *replace* what was planned under their keys, else see :func:`errand_row`."""
    rows = [errand_row(tx.do, errand, tx.now_us) for errand in sorted(errands, key=lambda one: one.key)]
    if rows:
        tx.do.many("put task" if replace else "wake task", rows)


def cancel_task(tx: Transaction, key: str) -> bool:
    """Forget what was planned under *key*; ``False``: nothing was."""
    return tx.do.one("DELETE FROM task WHERE key = ?", (key,)) == 1


def due_tasks(
    do: Statements,
    owner: str,
    now_us: int,
    limit: int,
    *,
    busy: Collection[str] = (),
    held: Collection[int] = (),
) -> DueTasks:
    """Return up to *limit* tasks that may begin: none whose key is *busy*, and one a conversation that is not *held*."""
    window = limit + len(busy)
    while True:
        rows = do.rows(
            f"SELECT {_COLUMNS} FROM task WHERE owner = ? AND due_at IS NOT NULL ORDER BY due_at, id LIMIT ?",
            (owner, window),
        )
        ready: list[Task] = []
        taken = set(held)
        next_at = None
        for row in rows:
            if row[7] > now_us:
                next_at = row[7]
                break
            if row[3] in busy or row[4] in taken:
                continue
            if row[4] is not None:
                taken.add(row[4])
            ready.append(_task(row))
        if len(ready) >= limit or next_at is not None or len(rows) < window:
            return DueTasks(tuple(ready[:limit]), next_at)
        window *= 8


def _task(row: Row) -> Task:
    number, owner, kind, key, conversation, n, data, due_us, tries, reason, since_us = row
    return Task(
        id=number,
        owner=owner,
        kind=kind,
        key=key,
        conversation=conversation,
        n=n,
        data=orjson.loads(data),
        due_us=due_us,
        tries=tries,
        reason=reason,
        since_us=since_us,
    )


class TaskGone(FernamtError):
    """Somebody dropped the task, or erased what it was about: what came of it is not written.

    Or it was never there: a person named it, and is told so.
    """


@frozen(kw_only=True)
class Ended:
    """A task that was carried out, and what is *also* written with its end."""

    claim: Claim
    task: Task
    also: Also | None = field(default=None, repr=False)


def end(tx: Transaction, payloads: Sequence[Ended]) -> list[bool]:
    """Write what comes of tasks and forget them; ``False``: this one was planned again meanwhile, and stays.

    Raises:
        ClaimLost: Somebody else holds the claim: nothing of it is written.
        TaskGone: It is not there any more: nothing of it is written.
    """
    return [_ended(tx, one) for one in payloads]


def _ended(tx: Transaction, one: Ended) -> bool:
    require(tx, one.claim)
    if one.also is not None:
        one.also(tx)
    if tx.do.one("DELETE FROM task WHERE id = ? AND key = ?", (one.task.id, one.task.key)):
        return True
    if not tx.do.rows("SELECT 1 FROM task WHERE key = ?", (one.task.key,)):
        raise TaskGone(f"{one.task.kind} {one.task.id} is gone")
    return False


@frozen(kw_only=True)
class Failed:
    """A task that could not be carried out, and why; *again_us*: due again so much later, ``None``: parked at once."""

    claim: Claim
    task: Task
    reason: str
    again_us: int | None


def fail(tx: Transaction, payloads: Sequence[Failed]) -> list[int | None]:
    """Count a try and postpone tasks, or park them after :data:`TRIES_MAX`; return when each is due, ``None``: parked.

    One that was planned again meanwhile is left as it is.

    Raises:
        ClaimLost: Somebody else holds the claim: nothing is changed.
    """
    return [_failed(tx, one) for one in payloads]


def _failed(tx: Transaction, one: Failed) -> int | None:
    require(tx, one.claim)
    tries = one.task.tries + 1
    due_us = None if one.again_us is None or tries >= TRIES_MAX else tx.now_us + one.again_us
    tx.do.one(
        "UPDATE task SET tries = ?, due_at = ?, reason = ? WHERE id = ? AND key = ?",
        (tries, due_us, one.reason, one.task.id, one.task.key),
    )
    return due_us


def revive_task(tx: Transaction, payloads: Sequence[int]) -> list[FernamtError | None]:
    """Let tasks be due now, whatever became of them before."""
    return [
        _decided(tx, number, "UPDATE task SET due_at = ?, tries = 0 WHERE id = ?", tx.now_us) for number in payloads
    ]


def drop_task(tx: Transaction, payloads: Sequence[int]) -> list[FernamtError | None]:
    """Give tasks up: they are not done."""
    return [_decided(tx, number, "DELETE FROM task WHERE id = ?") for number in payloads]


def _decided(tx: Transaction, number: int, sql: str, *values: int) -> FernamtError | None:
    owner = tx.do.rows("SELECT owner FROM task WHERE id = ?", (number,))
    if owner and owner[0][0] == PIECES and sql.startswith("DELETE"):
        return FernamtError(
            f"Task {number} shows what a customer wrote as soon as no more of it comes: dropped, that would be lost. Let it be"
            f" due now with fernamt work --again {number}."
        )
    if not owner or not tx.do.one(sql, (*values, number)):
        return TaskGone(f"There is no task {number}, or it is done. fernamt work lists them.")
    tx.topics.add(owner[0][0])
    return None
