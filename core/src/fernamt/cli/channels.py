"""`fernamt channels`: how every line is."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from fernamt.cli.options import COMMON, Common, Json
from fernamt.cli.outcome import DONE

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from fernamt._store.views.channels import ChannelView

STYLES: Final = {
    "up": "green",
    "starting": "yellow",
    "degraded": "yellow",
    "needs-login": "bold red",
    "down": "bold red",
}


def channels(*, json: Json = False, common: Common = COMMON) -> int:
    """List the channels: how each is, and what waits there.

    Example: fernamt channels --json

    Args:
        json: Print a JSON array of objects with the keys id, label, kind, state, reason, since, queued, uncertain, newest_at.
        common: What every command takes.
    """
    from fernamt._store.views.channels import channel_views
    from fernamt.cli.access import daemon_runs, opened
    from fernamt.cli.screen import say, show, show_json

    with opened(common) as store:
        with store.read() as connection:
            views = channel_views(connection)
        running = daemon_runs(store)
        now = store.clock.now()
    if json:
        show_json(views)
    elif views:
        show(_page(views, now), *_reasons(views))
    else:
        say("No channel has run yet. Name one in the configuration, check it with fernamt check, then: fernamt run")
    if views and not running:
        say("No daemon works on this store: this is how the last one left it. Start it with: fernamt run")
    return DONE


def _page(views: tuple[ChannelView, ...], now: datetime) -> Table:
    from rich.text import Text

    from fernamt.cli.screen import table
    from fernamt.cli.words import age, one_line

    page = table("channel", "kind", "state", "since", "queued", "uncertain", "newest")
    for column in page.columns[4:6]:
        column.justify = "right"
    for view in views:
        page.add_row(
            Text(one_line(view.id), "bold"),
            Text(one_line(view.kind)),
            Text(one_line(view.state), STYLES.get(view.state, "")),
            Text(age(view.since, now), "dim"),
            Text(str(view.queued), "yellow" if view.queued else "dim"),
            Text(str(view.uncertain), "bold magenta" if view.uncertain else "dim"),
            Text(age(view.newest_at, now) if view.newest_at else "-", "dim"),
        )
    return page


def _reasons(views: tuple[ChannelView, ...]) -> list[Text]:
    from rich.text import Text

    from fernamt.cli.words import one_line

    told = [view for view in views if view.reason]
    lines = [Text.assemble((one_line(view.id), "bold"), f": {one_line(view.reason)}") for view in told]
    return [Text(), *lines] if lines else []
