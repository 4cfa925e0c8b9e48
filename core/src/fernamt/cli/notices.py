"""`fernamt notices`: the runs of notices, how far each is, what became of its rows, and calling one off."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from fernamt.cli.options import COMMON, As, Common, Json, Limit
from fernamt.cli.outcome import DONE, USAGE, Failure

if TYPE_CHECKING:
    from rich.table import Table

    from fernamt._store.views.notices import RowView, RunView

_PAGE: Final = 20
_STYLES: Final = {"interrupted": "bold yellow", "sending": "cyan", "done": "green", "cancelled": "dim"}


def notices(*, limit: Limit = _PAGE, json: Json = False, common: Common = COMMON) -> int:
    """List the runs of notices, the newest first.

    'interrupted': whoever gave it ended in the middle; the same command goes on. 'sending': some are still to go.

    Example: fernamt notices

    Args:
        limit: At most so many.
        json: Print a JSON array of objects with the keys number, key, template, channel, purpose, author, at, state, total, given,
            repeats, conflicts, waiting (for a time), next_at (the first of these), states and moving.
        common: What every command takes.
    """
    from fernamt._store.views.notices import newest_runs
    from fernamt.cli.access import opened
    from fernamt.cli.noticelooking import described
    from fernamt.cli.screen import say, show, show_json

    with opened(common) as store:
        with store.read() as connection:
            views = newest_runs(connection, limit)
        now = store.clock.now()
    if json:
        show_json([described(view) for view in views])
    elif views:
        show(_page(views, now))
    else:
        say("There was no notice yet. Send one with: fernamt notify TEMPLATE --to NUMBER --set order=4711")
    return DONE


def show_run(number: int, /, *, wait: bool = False, json: Json = False, common: Common = COMMON) -> int:
    """Show how far a run is.

    Example: fernamt notices show 12 --wait

    Args:
        number: Of the run; fernamt notices lists them.
        wait: Look on until all have gone.
        json: Print a JSON object, one of fernamt notices.
        common: What every command takes.
    """
    from fernamt.cli.access import opened
    from fernamt.cli.noticelooking import described, follow, in_words, waits_in_words, went_wrong
    from fernamt.cli.screen import say, show, show_json
    from fernamt.cli.words import ago, counted, one_line

    with opened(common) as store:
        view = follow(store, number, waits=wait)
        now = store.clock.now()
    if json:
        show_json(described(view))
        return DONE
    show(
        f"Run {view.number}: {counted(view.total, 'notice')} of {one_line(view.template)} by {one_line(view.channel)}, {view.state}"
    )
    show(f"  asked for by {one_line(view.author)} {ago(view.at, now)}, key {one_line(view.key)}")
    show(f"  {in_words(view)}")
    if view.waiting:
        say(waits_in_words(view, now))
    if view.state == "interrupted":
        say("Whoever gave it ended in the middle. Give the same once more, and it goes on from there.")
    if went_wrong(view):
        say(f"What became of each: fernamt notices results {view.number} --wrong")
    return DONE


def results(
    number: int,
    /,
    *,
    out: Annotated[Path | None, Parameter(name=("--out", "-o"), allow_leading_hyphen=True)] = None,
    wrong: bool = False,
    limit: Limit = 1_000,
    json: Json = False,
    common: Common = COMMON,
) -> int:
    """Show what became of each row of a run: sent, delivered, refused and why.

    Example: fernamt notices results 12 --out sent.csv

    Args:
        number: Of the run; fernamt notices lists them.
        out: Write all rows into this .csv instead; - writes it to stdout.
        wrong: Only what failed, was refused, is uncertain or in conflict.
        limit: At most so many.
        json: Print a JSON array of objects with the keys n, key, to, state, reason, code, at, next_at (it waits until then), order, conversation, delivery, ids and
            repeats.
        common: What every command takes.
    """
    from fernamt._store.views.notices import PAGE, rows_of_run
    from fernamt.cli.access import opened
    from fernamt.cli.noticelooking import run_of, write_results
    from fernamt.cli.screen import say, show, show_json, table
    from fernamt.cli.words import minute, one_line

    with opened(common) as store:
        now = store.clock.now()
        run_of(store, number)
        if out is not None:
            write_results(store, number, out)
            return DONE
        found: list[RowView] = []
        after, more = 0, True
        while more and len(found) <= limit:
            with store.read() as connection:
                rows = rows_of_run(connection, number, after=after)
            found += [row for row in rows if not wrong or row.state in {"failed", "refused", "uncertain", "conflict"}]
            more, after = len(rows) == PAGE, rows[-1].n if rows else 0
    if json:
        show_json(found[:limit])
        return DONE
    page = table("row", "to", "order", "state", "conversation", "why", wide="why")
    for row in found[:limit]:
        place = f"#{row.conversation}" if row.conversation else ""
        why = f"{row.reason}, until {minute(row.next_at, now)}" if row.next_at else row.reason
        why = why or (f"given before, as {row.repeats}" if row.repeats else "")
        to = one_line(str(row.to)) if row.to else ""
        page.add_row(str(row.n), to, one_line(row.order), row.state, place, one_line(why))
    show(page)
    if len(found) > limit:
        say(f"There are more: fernamt notices results {number} --out sent.csv")
    return DONE


def cancel_run(number: int, /, *, as_: As = "", json: Json = False, common: Common = COMMON) -> int:
    """Call a run off: what has not left yet does not leave any more.

    Example: fernamt notices cancel 12

    Args:
        number: Of the run; fernamt notices lists them.
        as_: Who decides this; without it the name that you are logged in with.
        json: Print a JSON object with the keys run, cancelled and gone.
        common: What every command takes.
    """
    from fernamt._store.notices import Cancelling, cancel
    from fernamt.cli.access import author, opened, write
    from fernamt.cli.noticelooking import run_of
    from fernamt.cli.screen import show, show_json
    from fernamt.cli.words import counted

    with opened(common) as store:
        run_of(store, number)
        after, count = 0, 0
        while True:
            after, some = write(store, cancel, Cancelling(run=number, by=author(as_), after=after))
            count += some
            if not after:
                break
        view = run_of(store, number)
    gone = view.given - view.repeats - view.conflicts - count
    if json:
        show_json({"run": number, "cancelled": count, "gone": gone})
    else:
        show(f"Run {number}: {counted(count, 'notice')} cancelled; {gone} had left or were refused before")
    return DONE


def _page(views: tuple[RunView, ...], now: datetime) -> Table:
    from rich.text import Text

    from fernamt.cli.noticelooking import in_words
    from fernamt.cli.screen import table
    from fernamt.cli.words import age, one_line

    page = table("run", "template", "channel", "key", "state", "rows", "of them", "asked", wide="of them")
    for at in (0, 5, 7):
        page.columns[at].justify = "right"
    for view in views:
        key = "" if view.key.startswith("rows:") else one_line(view.key)
        page.add_row(
            Text(str(view.number), "bold"),
            Text(one_line(view.template)),
            Text(one_line(view.channel)),
            Text(key[:24], "dim"),
            Text(view.state, _STYLES[view.state]),
            Text(f"{view.total:,}"),
            Text(in_words(view)),
            Text(age(view.at, now), "dim"),
        )
    return page


def new_notices(file: Path = Path("notices.toml"), /, *, common: Common = COMMON) -> int:
    """Write templates to begin with: an order was confirmed, dispatched, delivered; in German and English.

    Example: fernamt new notices

    Args:
        file: Where to; one that is there is left alone.
        common: What every command takes.
    """
    from importlib.resources import files

    from fernamt.cli.screen import say, show

    if file.exists():
        raise Failure(f"{file} is there already: name another one, or move it away.", USAGE)
    file.write_text((files("fernamt.cli") / "templates" / "notices.toml").read_text(encoding="utf-8"), encoding="utf-8")
    show(f"{file}: order-confirmed, order-dispatched, order-delivered")
    say(f'Name it in {common.config}:\n[notices]\nfiles = ["{file}"]')
    return DONE
