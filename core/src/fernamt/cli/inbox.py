"""`fernamt inbox`: the conversations, the one that moved last first."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from cyclopts import Parameter

from fernamt.cli.options import COMMON, Common, Json, Limit
from fernamt.cli.outcome import DONE, USAGE, Failure

if TYPE_CHECKING:
    import sqlalchemy as sa
    from rich.table import Table
    from rich.text import Text

    from fernamt._store.views.inbox import InboxLine

State: TypeAlias = Literal["open", "waiting", "solved", "told"]
STATE_STYLES = {"open": "bold yellow", "waiting": "cyan", "solved": "green", "told": "dim"}
_PAGE = 50
_WORDS = 100


def inbox(
    *,
    all_: Annotated[bool, Parameter(name=("--all", "-a"))] = False,
    state: tuple[State, ...] = (),
    channel: str = "",
    limit: Limit = _PAGE,
    json: Json = False,
    common: Common = COMMON,
) -> int:
    """List the conversations, the one that moved last first.

    'open': it is our turn. 'waiting': it is the customer's. 'solved': nobody's. 'told': they got notices, and said nothing. The last
    two are shown with --all only.

    Example: fernamt inbox --state open --channel support-mail

    Args:
        all_: Solved ones, too, and those that hold nothing but notices.
        state: Only those in this state; may be given several times.
        channel: Only those with an entry on this channel.
        limit: At most so many.
        json: Print a JSON array of objects with the keys number, kind, state, customer, address, subject, text, author,
            channel, entries, at, waiting, uncertain and failed.
        common: What every command takes.
    """
    from fernamt._store.views.inbox import inbox_page
    from fernamt.cli.access import opened
    from fernamt.cli.screen import is_terminal, say, show, show_json
    from fernamt.model import ConversationState

    if limit < 1:
        raise Failure("--limit must be at least 1.", USAGE)
    states = [ConversationState(one) for one in state]
    if not states and not all_:
        states = [ConversationState.OPEN, ConversationState.WAITING]
    with opened(common) as store, store.read() as connection:
        if channel:
            _require_channel(connection, channel)
        lines = inbox_page(connection, states=states, on=channel, limit=limit + 1)
        if not lines and not json:
            say(_nothing(connection, narrowed=bool(channel or state)))
            return DONE
    if json:
        show_json(lines[:limit])
        return DONE
    show(_page(lines[:limit], store.clock.now()))
    if len(lines) > limit:
        say(f"There are more: fernamt inbox --limit {2 * limit}")
    elif is_terminal(sys.stdout):
        say(f"\nRead one with: fernamt show {lines[0].number}")
    return DONE


def _require_channel(connection: sa.Connection, channel: str) -> None:
    from fernamt._store.views.channels import channel_names
    from fernamt.settings import did_you_mean

    known = channel_names(connection).values()
    if channel not in known:
        raise Failure(f"There is no channel {channel!r}. {did_you_mean(channel, set(known))}".rstrip())


def _nothing(connection: sa.Connection, *, narrowed: bool) -> str:
    from fernamt._store.views.channels import channel_names
    from fernamt._store.views.inbox import count_by_state
    from fernamt.cli.words import counted
    from fernamt.model import ConversationState

    count = count_by_state(connection)
    if narrowed:
        return "No conversation is like that. All of them: fernamt inbox --all"
    if (told := count.get(ConversationState.TOLD, 0)) and not count.get(ConversationState.SOLVED, 0):
        return f"Nothing is open: {counted(told, 'conversation')} with nothing but notices. See them with: fernamt inbox --all"
    if solved := count.get(ConversationState.SOLVED, 0):
        return f"Nothing is open: {counted(solved, 'conversation')} solved. See them with: fernamt inbox --all"
    if channel_names(connection):
        return "Nobody has written yet. See whether the channels are up: fernamt channels"
    return "Nobody has written yet, and no channel has run. Name one in the configuration, then: fernamt run"


def _page(lines: tuple[InboxLine, ...], now: datetime) -> Table:
    from rich.text import Text

    from fernamt.cli.screen import is_narrow, is_terminal, table
    from fernamt.cli.words import age, one_line

    kinds = any(line.kind != "support" for line in lines)
    page = table("#", "customer", "subject", *(["kind"] if kinds else []), "state", "channel", "moved", wide="subject")
    page.columns[0].justify = page.columns[-1].justify = "right"
    if is_terminal(sys.stdout):
        page.columns[1].max_width, page.columns[-2].max_width = (16, 12) if is_narrow() else (24, 16)
    for line in lines:
        who = one_line(line.customer) or one_line(line.address.value if line.address else "") or "unknown"
        page.add_row(
            Text(str(line.number), "bold"),
            Text(who),
            _subject(line),
            *([Text(one_line(line.kind))] if kinds else []),
            Text(line.state, STATE_STYLES[line.state]),
            Text(one_line(line.channel)),
            Text(age(line.at, now), "dim"),
        )
    return page


def _subject(line: InboxLine) -> Text:
    from rich.text import Text

    from fernamt.cli.screen import is_terminal
    from fernamt.cli.words import one_line

    subject, text = one_line(line.subject), one_line(line.text)
    if line.author:
        text = f"{one_line(line.author).partition(':')[2]}: {text}"
    shown = Text()
    if line.uncertain:
        shown.append("uncertain: ", "bold magenta")
    elif line.failed:
        shown.append("failed: ", "bold red")
    elif line.waiting:
        shown.append("unsent: ", "yellow")
    shown.append(subject or text[:_WORDS] or "(no text)")
    if subject and is_terminal(sys.stdout):
        shown.append(f"  {text}", "dim")  # as much of it as the width takes
    return shown
