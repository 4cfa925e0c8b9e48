"""`fernamt work`: what plugins and channels still have to do, and a person's word on what they cannot."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from fernamt.cli.options import COMMON, Common, Json, Limit
from fernamt.cli.outcome import DONE, USAGE, Failure

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from fernamt._store.views.tasks import TaskView

_PAGE: Final = 100


def work(
    *,
    parked: bool = False,
    again: Annotated[int | None, Parameter(name="--again")] = None,
    drop: Annotated[int | None, Parameter(name="--drop")] = None,
    limit: Limit = _PAGE,
    json: Json = False,
    common: Common = COMMON,
) -> int:
    """List what plugins and channels still have to do: entries to tell, timers, jobs, things to fetch.

    What failed 12 times, or can never be done, is parked until you say what becomes of it. It is listed first.

    Example: fernamt work --again 7

    Args:
        parked: List only what is parked.
        again: Of a task: it is tried again now, with 12 tries.
        drop: Of a task: it is not done. A subscriber goes on with what comes after it.
        limit: At most so many.
        json: Print a JSON array of objects with the keys number, owner, kind, name, conversation, n, due_at (null: parked),
            tries, reason and since.
        common: What every command takes.
    """
    from fernamt._store.views.tasks import tasks
    from fernamt.cli.access import opened
    from fernamt.cli.screen import say, show, show_json

    if again is not None or drop is not None:
        return _decide(again, drop, common)
    with opened(common) as store, store.read() as connection:
        views = tasks(connection, parked=parked, limit=limit)
        now = store.clock.now()
    if json:
        show_json(views)
    elif views:
        show(_page(views, now))
        stuck = next((view for view in views if view.due_at is None), None)
        if stuck is not None and sys.stdout.isatty():
            say(f"\nWhen its cause is mended: fernamt work --again {stuck.number} (or --drop {stuck.number})")
    else:
        say("Nothing is parked." if parked else "There is nothing to do.")
    return DONE


def _decide(again: int | None, drop: int | None, common: Common) -> int:
    from fernamt._store.tasks import drop_task, revive_task
    from fernamt.cli.access import opened, write
    from fernamt.cli.screen import show

    if again is not None and drop is not None:
        raise Failure("Say one of the two: --again or --drop.", USAGE)
    with opened(common) as store:
        if again is not None:
            write(store, revive_task, again)
            show(f"Task {again}: due now")
        elif drop is not None:
            write(store, drop_task, drop)
            show(f"Task {drop}: dropped")
    return DONE


def _page(views: tuple[TaskView, ...], now: datetime) -> Table:
    from rich.text import Text

    from fernamt.cli.screen import table
    from fernamt.cli.words import one_line

    page = table("#", "task", "of", "about", "when", "tried", "why", wide="why")
    for column in (page.columns[0], page.columns[5]):
        column.justify = "right"
    for view in views:
        about = "" if (view.conversation or 0) <= 0 else f"#{view.conversation}" + (f", {view.n}" if view.n else "")
        page.add_row(
            Text(str(view.number), "bold"),
            Text(one_line(view.kind)),
            Text(one_line(view.name or view.owner)),
            Text(about, "dim"),
            _when(view, now),
            Text(str(view.tries or ""), "dim"),
            Text(one_line(view.reason), "magenta"),
        )
    return page


def _when(view: TaskView, now: datetime) -> Text:
    from rich.text import Text

    from fernamt.cli.words import ago, until

    if view.due_at is None:
        return Text("parked", "bold red")
    return Text(until(view.due_at, now) if view.due_at > now else f"due {ago(view.due_at, now)}", "dim")
