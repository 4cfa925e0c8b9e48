"""`fernamt backfill`: a channel's history, read again from its provider."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Final

from attrs import frozen
from cyclopts import Parameter

from fernamt.cli.options import COMMON, Common, Json
from fernamt.cli.outcome import DONE, FAILED, Failure

if TYPE_CHECKING:
    from fernamt._store.engine import Store

_LOOK_EVERY_S: Final = 0.5


@frozen(kw_only=True)
class Standing:
    """How far a backfill has come."""

    channel: str
    state: str
    """``waiting`` (no daemon works), ``running``, ``parked``, ``done``."""
    begin: str
    pages: int = 0
    events: int = 0
    new: int = 0
    reason: str = ""


def backfill(
    channel: str,
    /,
    *,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    wait: Annotated[bool | None, Parameter(negative="--no-wait")] = None,
    json: Json = False,
    common: Common = COMMON,
) -> int:
    """Read a channel's history again from its provider, page by page.

    What is known already is not stored twice, so it may be run at any time and as often as you like. The daemon reads; Ctrl-C
    ends only the looking on, and the same command looks on again. One that was interrupted or parked goes on where it was.

    Example: fernamt backfill support-chat

    Args:
        channel: The id of the channel; fernamt channels lists them.
        from_: The provider's cursor to begin at; without it, the beginning.
        wait: Look on until it is done; without either, only on a terminal.
        json: Print a JSON object with the keys channel, state, begin, pages, events, new and reason.
        common: What every command takes.
    """
    from fernamt._store.sources import Backfill, start_backfill
    from fernamt.cli.access import opened, write
    from fernamt.cli.screen import say, show_json

    _require(channel, common)
    with opened(common) as store:
        begin = write(store, start_backfill, Backfill(channel=channel, begin=from_))
        waits = sys.stdout.isatty() if wait is None else wait
        standing = follow(store, channel, begin, waits=waits, told=lambda one: None if json else say(_line(one)))
        if json:
            show_json(standing)
        elif not waits or standing.state in {"parked", "waiting"}:
            say(_line(standing))
    return FAILED if standing.state == "parked" else DONE


def follow(
    store: Store,
    channel: str,
    begin: str,
    *,
    waits: bool,
    told: Callable[[Standing], None],
    pause: Callable[[float], None] = time.sleep,
) -> Standing:
    """Return how it stands: when it has come to rest if the caller *waits*, else at once. What changes is *told*."""
    last = None
    while True:
        standing = _standing(store, channel, begin)
        if not waits or standing.state in {"waiting", "parked"}:
            return standing
        if standing != last:
            told(standing)
            last = standing
        if standing.state == "done":
            return standing
        pause(_LOOK_EVERY_S)


def _standing(store: Store, channel: str, begin: str) -> Standing:
    import orjson

    from fernamt._store.sources import RESULT
    from fernamt.cli.access import daemon_runs

    with store.read() as connection:
        do = store.statements(connection)
        planned = do.rows("SELECT data, due_at, reason FROM task WHERE key = ?", (f"backfill:{channel}",))
        results = do.rows(
            "SELECT c.value FROM cursor c JOIN channel h ON h.id = c.channel WHERE h.name = ? AND c.name = ?",
            (channel, RESULT),
        )
    if planned:
        [(data, due_us, reason)] = planned
        state = "parked" if due_us is None else "running" if daemon_runs(store) else "waiting"
    else:
        data, reason, state = (results[0][0] if results else "{}"), "", "done"
    found = {name: value for name, value in orjson.loads(data).items() if name in {"pages", "events", "new"}}
    return Standing(channel=channel, state=state, begin=begin, reason=reason, **found)


def _line(standing: Standing) -> str:
    from fernamt.cli.words import counted

    read = (
        f"{counted(standing.pages, 'page', 'pages')}, {counted(standing.events, 'event', 'events')}, {standing.new} new"
    )
    match standing.state:
        case "waiting":
            return f"{standing.channel}: no daemon works on this store. It begins when one does: fernamt run"
        case "parked":
            return f"{standing.channel}: stopped after {read}: {standing.reason}\nThe same command goes on from there."
        case "done":
            return f"{standing.channel}: done, {read}"
        case _:
            later = f"; to be tried again: {standing.reason}" if standing.reason else ""
            return f"{standing.channel}: {read}{later}"


def _require(channel: str, common: Common) -> None:
    """Refuse a channel that is not there or whose connector is known not to have the ability."""
    from fernamt._runtime.plan import plan
    from fernamt.connector import Backfills
    from fernamt.settings import read_settings

    found = next((one for one in plan(read_settings(common.config)).channels if one.section.id == channel), None)
    if found is None:
        raise Failure(f"There is no channel {channel!r}. fernamt channels lists them.")
    if found.failure is not None:
        raise Failure(str(found.failure))
    if isinstance(found.factory, type) and not issubclass(found.factory, Backfills):
        raise Failure(f"{channel} cannot be asked for its history: the connector of {found.section.kind} has no fetch.")
