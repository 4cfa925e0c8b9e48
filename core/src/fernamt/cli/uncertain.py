"""`fernamt uncertain`: deliveries whose outcome nobody knows, and a person's word on them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from fernamt.cli.options import COMMON, As, Common, Json, Limit
from fernamt.cli.outcome import DONE, USAGE, Failure

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fernamt._store.views.deliveries import DeliveryView

_PAGE: Final = 100
_WORDS: Final = 100


def uncertain(*, limit: Limit = _PAGE, json: Json = False, common: Common = COMMON) -> int:
    """List the deliveries that may or may not have arrived.

    None of them is sent again by itself: a person decides. The oldest is first.

    Example: fernamt uncertain

    Args:
        limit: At most so many.
        json: Print a JSON array of deliveries: number, conversation, n, to, channel, channel_state, state, reason, code, ids,
            tried, next_at, changed_at, text, attempts and facts.
        common: What every command takes.
    """
    from fernamt._store.views.deliveries import uncertain_deliveries
    from fernamt.cli.access import opened
    from fernamt.cli.screen import say, show, show_json

    with opened(common) as store, store.read() as connection:
        views = uncertain_deliveries(connection, limit=limit)
        now = store.clock.now()
    if json:
        show_json(views)
    elif views:
        show(*_page(views, now))
        say(
            f"\nAsk the recipient or the provider, then: fernamt uncertain settle {views[0].number} --sent (or --again)"
        )
    else:
        say("Nothing is uncertain.")
    return DONE


def _page(views: tuple[DeliveryView, ...], now: datetime) -> list[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    from fernamt.cli.screen import aligned
    from fernamt.cli.words import ago, one_line

    page: list[RenderableType] = []
    for view in views:
        to = one_line(str(view.to)) if view.to is not None else "(erased)"
        place = f"#{view.conversation}, entry {view.n}, {one_line(view.channel)}, {ago(view.changed_at, now)}"
        page.append(aligned(Text.assemble((f"{view.number:>3}", "bold"), f"  to {to}"), Text(place, "dim")))
        page.append(Padding(Text(one_line(view.reason), "magenta"), (0, 0, 0, 5)))
        page.append(Padding(Text(one_line(view.text)[:_WORDS], "dim"), (0, 0, 0, 5)))
    return page


def settle(
    number: int,
    /,
    *,
    sent: bool = False,
    again: bool = False,
    as_: As = "",
    common: Common = COMMON,
) -> int:
    """Say what is to become of an uncertain delivery. Your word is kept with it.

    Example: fernamt uncertain settle 7 --sent

    Args:
        number: Of the delivery; fernamt uncertain lists them.
        sent: It arrived: it counts as sent.
        again: It did not arrive: it is sent again.
        as_: Who says so; without it the name that you are logged in with.
        common: What every command takes.
    """
    from fernamt._store.verdicts import Verdict, decide
    from fernamt.cli.access import author, daemon_runs, opened, write
    from fernamt.cli.screen import say, show

    if sent == again:
        raise Failure("Say one of the two: --sent if it arrived, --again if it did not.", USAGE)
    with opened(common) as store:
        state = write(store, decide, Verdict(delivery=number, sent=sent, by=author(as_)))
        show(f"Delivery {number}: {state}")
        if again and not daemon_runs(store):
            say("No daemon works on this store, so nothing is sent yet. Start it with: fernamt run")
    return DONE
