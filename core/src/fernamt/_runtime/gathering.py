"""Messages of which a piece is missing, or nobody says how many there are: shown as they are when their time is over."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fernamt._runtime.work import Ending, Handler
from fernamt._store.pieces import overdue
from fernamt._store.reception import Line, Reception
from fernamt._store.submission import Submission
from fernamt._store.tasks import Task
from fernamt._store.transaction import Transaction


def gathering(reception: Reception, line_of: Callable[[str], Line | None]) -> Mapping[str, Handler]:
    """Return what carries out the tasks of the owner :data:`fernamt._store.tasks.PIECES`, by kind.

    *line_of* gives a channel by its id, ``None`` if the configuration names it no more: what came there is stored all the same.
    """

    async def gather(task: Task) -> Ending:
        channel: str = task.data["channel"]

        def stored(tx: Transaction) -> None:
            if (whole := overdue(tx, task)) is None:
                return
            line = line_of(channel) or Line(number=int(task.data["place"].partition(":")[0]), id=channel)
            reception.late(tx, Submission(line=line, events=(whole.event,)), whole)

        return Ending(stored)

    return {"pieces": gather}
