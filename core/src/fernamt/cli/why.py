"""`fernamt why`: the whole story of one delivery, what holds it, and what a person can do about it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from fernamt.cli.options import COMMON, Common, Json
from fernamt.cli.outcome import DONE, Failure
from fernamt.model import DeliveryState

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fernamt._store.views.consents import ConsentView
    from fernamt._store.views.deliveries import DeliveryView
    from fernamt._store.views.hindrances import Hindrance

_MEANS: Final = {
    DeliveryState.QUEUED: "It waits.",
    DeliveryState.SENDING: "It is on its way: the provider has not answered yet.",
    DeliveryState.UNCERTAIN: "It may have arrived, or not: the provider's answer was lost. It is not sent again by itself.",
    DeliveryState.SENT: "The provider took it.",
    DeliveryState.REFUSED: "It was not sent, and will not be.",
    DeliveryState.FAILED: "It did not arrive, and is not tried again.",
    DeliveryState.DELIVERED: "It arrived.",
    DeliveryState.READ: "It was read.",
}


def why(number: int, /, *, json: Json = False, common: Common = COMMON) -> int:
    """Tell the story of one delivery: what was tried, what became known, what it waits for, what you can do.

    fernamt show and fernamt uncertain give its number.

    Example: fernamt why 7

    Args:
        number: Of the delivery.
        json: Print one JSON object: the delivery as fernamt uncertain gives it, consents (what the recipient said on its
            channel, as fernamt consent gives it), waits_for (kind, delivery, reason), and next_steps.
        common: What every command takes.
    """
    from fernamt._store.names import Names
    from fernamt._store.views.consents import consents_of
    from fernamt._store.views.deliveries import deliveries_numbered
    from fernamt._store.views.hindrances import hindrances
    from fernamt.cli.access import opened
    from fernamt.cli.screen import plain, show, show_json
    from fernamt.model import microseconds

    with opened(common) as store, store.read() as connection:
        views = deliveries_numbered(connection, [number])
        now = store.clock.now()
        said = (
            consents_of(connection, Names(store.keys()), views[0].to, channels=[views[0].channel])
            if views and views[0].to
            else ()
        )
        held = hindrances(connection, number, microseconds(now))
    if not views:
        raise Failure(f"There is no delivery {number}. fernamt show CONVERSATION gives the numbers.")
    [view] = views
    steps = _steps(view, held)
    if json:
        show_json({**plain(view), "consents": said, "waits_for": held, "next_steps": steps})
    else:
        show(*_page(view, said, held, steps, now))
    return DONE


def _page(
    view: DeliveryView,
    said: tuple[ConsentView, ...],
    held: tuple[Hindrance, ...],
    steps: tuple[str, ...],
    now: datetime,
) -> list[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    from fernamt.cli.consent import consent_line
    from fernamt.cli.standing import STYLES, reason, told
    from fernamt.cli.words import one_line

    to = one_line(str(view.to)) if view.to is not None else "(erased)"
    page: list[RenderableType] = [
        Text.assemble((f"Delivery {view.number}", "bold"), "  ", (view.state, STYLES[view.state])),
        Text(f"to {to}, #{view.conversation}, entry {view.n}, {one_line(view.channel)}", "dim"),
        Text(f"{_MEANS[view.state]} {one_line(f'{reason(view)}.') if view.reason else ''}".rstrip()),
    ]
    paragraphs = {
        "What happened": told(view, now),
        "What the recipient said": [one_line(consent_line(one, now)) for one in said if one.counts],
        "What it waits for": [one_line(_hindrance(one, view, now)) for one in held],
        "What you can do": list(steps),
    }
    for heading, lines in paragraphs.items():
        if lines:
            page += [Text(), Text(heading, "bold")]
            page += [Padding(Text(line), (0, 0, 0, 2)) for line in lines]
    return page


def _hindrance(one: Hindrance, view: DeliveryView, now: datetime) -> str:
    from fernamt.cli.words import minute, until

    match one.kind:
        case "stopped":
            return f"The recipient opted out ({one.reason}): it will be refused."
        case "consent":
            return "It is outreach, and the recipient never agreed to any: it will be refused."
        case "lane":
            return f"Delivery {one.delivery} to the same person goes first: fernamt why {one.delivery}"
        case "time":
            return f"The next try is {until(view.next_at, now)}, at {minute(view.next_at, now)}."
        case "daemon":
            return "No daemon works on this store."
        case _:
            return f"{view.channel} is {one.reason}"


def _steps(view: DeliveryView, held: tuple[Hindrance, ...]) -> tuple[str, ...]:
    """Return the commands that lead on, as sentences."""
    kinds = {one.kind for one in held}
    steps = []
    if view.state == DeliveryState.UNCERTAIN:
        steps.append(f"It arrived: fernamt uncertain settle {view.number} --sent")
        steps.append(f"It did not: fernamt uncertain settle {view.number} --again")
    if view.state in {DeliveryState.FAILED, DeliveryState.REFUSED}:
        steps.append(f"Write again, perhaps on another channel: fernamt reply {view.conversation}")
    if view.to is not None and ("consent" in kinds or "consent to marketing" in view.reason):
        steps.append(f"Record their consent, if you have it: fernamt consent give {view.to} --channel {view.channel}")
    if "daemon" in kinds:
        steps.append("Start the daemon: fernamt run")
    if "channel" in kinds:
        steps.append("See what is wrong with the channel: fernamt channels")
    return tuple(steps)
