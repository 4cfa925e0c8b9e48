"""How a run of notices is watched: a line that moves while it is under way, and what became of it at its end."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from fernamt.cli.outcome import DONE, FAILED, Failure
from fernamt.cli.words import minute
from fernamt.model import DeliveryState

if TYPE_CHECKING:
    from fernamt._store.engine import Store
    from fernamt._store.notices import Run
    from fernamt._store.views.notices import RowView, RunView

_LOOK_EVERY_S: Final = 0.5
_TOLD_EVERY_S: Final = 0.25
_LONG: Final = timedelta(minutes=1)
_WRONG: Final = (DeliveryState.FAILED, DeliveryState.REFUSED, DeliveryState.UNCERTAIN)
COLUMNS: Final = (
    "row",
    "key",
    "to",
    "order",
    "state",
    "reason",
    "code",
    "at",
    "next_at",
    "conversation",
    "delivery",
    "provider_ids",
    "repeats",
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class Progress:
    """A line on the terminal that says how far something is; elsewhere nothing."""

    def __init__(self, what: str, total: int) -> None:
        """*total* 0: nobody knows yet."""
        self._what, self._of = what, f" of {total:,}" if total else ""
        self._next_at = time.monotonic() + _TOLD_EVERY_S
        self._shows = sys.stderr.isatty()
        self._shown = False

    def told(self, count: int) -> None:
        """Say that so many are done."""
        if self._shows and time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + _TOLD_EVERY_S
            self._shown = True
            sys.stderr.write(f"\r\x1b[K{count:,}{self._of} {self._what}")
            sys.stderr.flush()

    def end(self) -> None:
        """Take the line away."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def look_on(store: Store, run: Run, *, waits: bool, results: Path | None, json: bool) -> int:
    """Tell how a run stands: when all have gone if the caller *waits*, else at once. Return the command's exit code."""
    from fernamt.cli.access import daemon_runs
    from fernamt.cli.screen import say, show_json

    view = follow(store, run.number, waits=waits)
    if results is not None:
        write_results(store, run.number, results)
    if json:
        show_json(described(view))
    elif results is None or str(results) != "-":
        _tell(view, store.clock.now(), is_new=run.is_new, began=run.given)
    if view.moving and not daemon_runs(store):
        say("No daemon works on this store, so nothing is sent yet. Start it with: fernamt run")
    return FAILED if went_wrong(view) else DONE


def follow(store: Store, number: int, *, waits: bool, pause: Callable[[float], None] = time.sleep) -> RunView:
    """Return the run: when nothing of it moves any more, nobody is there to move it, or at once."""
    from fernamt.cli.access import daemon_runs

    progress: Progress | None = None
    try:
        while True:
            began = time.monotonic()
            view = run_of(store, number)
            took_s = time.monotonic() - began
            if not waits or not view.moving or _waits_long(view, store.clock.now()) or not daemon_runs(store):
                return view
            progress = progress or Progress("gone", view.given)
            progress.told(view.given - view.moving)
            pause(max(_LOOK_EVERY_S, 10 * took_s))  # counting a million takes a second or two
    except KeyboardInterrupt:
        return run_of(store, number)
    finally:
        if progress is not None:
            progress.end()


def _waits_long(view: RunView, now: datetime) -> bool:
    """Say whether all that is left waits for a time that nobody stays at a terminal for."""
    return view.waiting == view.moving and view.next_at is not None and view.next_at - now > _LONG


def run_of(store: Store, number: int) -> RunView:
    """Return a run; raises ``Failure``."""
    from fernamt._store.views.notices import run_numbered

    with store.read() as connection:
        view = run_numbered(connection, number)
    if view is None:
        raise Failure(f"There is no run {number}. fernamt notices lists them.")
    return view


def went_wrong(view: RunView) -> bool:
    """Say whether a person has to look at it."""
    return bool(view.conflicts) or any(view.states.get(one) for one in _WRONG)


def described(view: RunView) -> dict[str, Any]:
    """Return a run as JSON has it."""
    from fernamt.cli.screen import plain

    return {**plain(view), "moving": view.moving}


def in_words(view: RunView) -> str:
    """Return what became of its rows: ``9,990 sent, 10 refused``."""
    parts = [f"{count:,} {state}" for state in DeliveryState if (count := view.states.get(state, 0))]
    if view.repeats:
        parts.append(f"{view.repeats:,} given before")
    if view.conflicts:
        parts.append(f"{view.conflicts:,} in conflict with their keys")
    if view.given < view.total:
        parts.append(f"{view.total - view.given:,} not queued yet")
    return ", ".join(parts) or "nothing"


def waits_in_words(view: RunView, now: datetime) -> str:
    """Return what is said of those that wait for a time: there are some."""
    assert view.next_at is not None
    return f"{view.waiting:,} of them wait for their time, the first until {minute(view.next_at, now)}."


def _tell(view: RunView, now: datetime, *, is_new: bool, began: int) -> None:
    from fernamt.cli.screen import say, show
    from fernamt.cli.words import counted, one_line

    what = f"{counted(view.total, 'notice')} of {one_line(view.template)} by {one_line(view.channel)}"
    show(f"Run {view.number}: {what}: {in_words(view)}")
    if not is_new and began == view.total:
        say(
            "It was asked for before: nothing new is queued. To send the same once more, give it a key of its own: --key"
        )
    elif not is_new:
        say(f"It was interrupted before, and went on from row {began + 1}.")
    if view.waiting and view.next_at is not None:
        say(waits_in_words(view, now))
    if view.moving:
        say(f"How far it is: fernamt notices show {view.number}")
    elif went_wrong(view):
        say(f"What became of each: fernamt notices results {view.number}")


def write_results(store: Store, number: int, path: Path) -> None:
    """Write what became of each row as CSV, into a file that is there whole or not at all."""
    if str(path) == "-":
        _written(store, number, sys.stdout)
        return
    new = path.with_name(f"{path.name}.new")
    with new.open("w", encoding="utf-8", newline="") as stream:
        _written(store, number, stream)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(path)


def _written(store: Store, number: int, stream: TextIO) -> None:
    import csv

    from fernamt._store.views.notices import PAGE, rows_of_run

    writer = csv.writer(stream)
    writer.writerow(COLUMNS)
    after = 0
    while True:
        with store.read() as connection:
            rows = rows_of_run(connection, number, after=after, limit=PAGE)
        writer.writerows([[_harmless(cell) for cell in _cells(row)] for row in rows])
        if len(rows) < PAGE:
            return
        after = rows[-1].n


def _cells(row: RowView) -> tuple[object, ...]:
    return (
        row.n,
        row.key,
        row.to or "",
        row.order,
        row.state,
        row.reason,
        row.code,
        "" if row.at is None else row.at.isoformat(),
        "" if row.next_at is None else row.next_at.isoformat(),
        row.conversation or "",
        row.delivery or "",
        " ".join(row.ids),
        row.repeats,
    )


def _harmless(cell: object) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    text = str(cell)
    return f"'{text}" if text.startswith(_FORMULA) else text
