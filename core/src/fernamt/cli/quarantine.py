"""`fernamt quarantine`: what came in and could not be understood."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Final

from fernamt.cli.options import COMMON, Common, Json, Limit
from fernamt.cli.outcome import DONE, Failure

if TYPE_CHECKING:
    from rich.table import Table

    from fernamt._store.views.quarantine import QuarantineView

_PAGE: Final = 100


def quarantine(*, limit: Limit = _PAGE, json: Json = False, common: Common = COMMON) -> int:
    """List what came in and could not be understood.

    It was acknowledged and kept byte for byte, and its channel went on. The oldest is first.

    Example: fernamt quarantine

    Args:
        limit: At most so many.
        json: Print a JSON array of objects with the keys number, channel, reason, at, settled_at, size and has_raw.
        common: What every command takes.
    """
    from fernamt._store.views.quarantine import quarantined
    from fernamt.cli.access import opened
    from fernamt.cli.screen import say, show, show_json

    with opened(common) as store, store.read() as connection:
        views = quarantined(connection, limit=limit)
        now = store.clock.now()
    if json:
        show_json(views)
    elif views:
        show(_page(views, now))
        if sys.stdout.isatty():
            say(f"\nLook at one with: fernamt quarantine show {views[0].number}")
    else:
        say("The quarantine is empty.")
    return DONE


def _page(views: tuple[QuarantineView, ...], now: datetime) -> Table:
    from rich.text import Text

    from fernamt.cli.screen import table
    from fernamt.cli.words import age, one_line, size

    page = table("#", "channel", "reason", "size", "came", wide="reason")
    for column in (page.columns[0], page.columns[3], page.columns[4]):
        column.justify = "right"
    for view in views:
        page.add_row(
            Text(str(view.number), "bold"),
            Text(one_line(view.channel)),
            Text(one_line(view.reason)),
            Text(size(view.size) if view.size is not None else "large" if view.has_raw else "-", "dim"),
            Text(age(view.at, now), "dim"),
        )
    return page


def show_item(
    number: int,
    /,
    *,
    raw: bool = False,
    json: Json = False,
    common: Common = COMMON,
) -> int:
    """Show one item of the quarantine.

    Example: fernamt quarantine show 3 --raw > item.eml

    Args:
        number: Of the item; fernamt quarantine lists them.
        raw: Write only its bytes to stdout.
        json: Print a JSON object with the keys of fernamt quarantine --json.
        common: What every command takes.
    """
    from fernamt._store.views.quarantine import quarantined_item
    from fernamt._store.views.raw import raw_of_quarantined
    from fernamt.cli.access import opened
    from fernamt.cli.content import write_raw
    from fernamt.cli.screen import say, show_json

    with opened(common) as store:
        with store.read() as connection:
            view = quarantined_item(connection, number)
            content = raw_of_quarantined(connection, number)
        if view is None:
            raise Failure(f"There is nothing under {number} in the quarantine. fernamt quarantine lists it.")
        if json:
            show_json(view)
            return DONE
        if not raw:
            _head(view, store.clock.now())
            if content is None:
                say("Nothing of it was kept.")
                return DONE
        write_raw(store, () if content is None else (content,), f"item {number}")
        if not raw and view.settled_at is None:
            say(f"\nWhen it is dealt with: fernamt quarantine done {number}")
    return DONE


def _head(view: QuarantineView, now: datetime) -> None:
    from rich.text import Text

    from fernamt.cli.screen import show
    from fernamt.cli.words import ago, one_line

    title = Text.assemble((f"#{view.number}", "bold"), "  ", (one_line(view.reason), "bold"))
    came = f"came {ago(view.at, now)} on {one_line(view.channel)}"
    settled = f", done {ago(view.settled_at, now)}" if view.settled_at else ""
    show(title, Text(f"{came}{settled}", "dim"), Text())


def mark_done(number: int, /, *, common: Common = COMMON) -> int:
    """Mark an item of the quarantine as dealt with.

    Its bytes stay in the store.

    Example: fernamt quarantine done 3

    Args:
        number: Of the item; fernamt quarantine lists them.
        common: What every command takes.
    """
    from fernamt._store.verdicts import release
    from fernamt.cli.access import opened, write
    from fernamt.cli.screen import show

    with opened(common) as store:
        write(store, release, number)
    show(f"Item {number} of the quarantine: done")
    return DONE
