"""The inbox: a page of conversations, the one that moved last first."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import orjson
import sqlalchemy as sa
from attrs import frozen

from fernamt._store.pointers import Pointers
from fernamt._store.tables import address, content, conversation, customer, delivery, entry, link
from fernamt._store.views.channels import channel_names
from fernamt._store.views.deliveries import EXCERPT_CHARS
from fernamt._store.views.people import handle_of, person_of
from fernamt._store.views.pointers import pointers_of
from fernamt.model import Address, ConversationState, DeliveryState, moment

TROUBLE_ENTRIES: Final = 100
"""So far back in a conversation the inbox looks for deliveries that are open or went wrong."""


_SPEAKS: Final = ("received", "sent", "notice")
# Written out, not bound: only then SQLite sees that the partial indices cover them.
_IS_TOLD: Final = sa.text("conversation.state = 'told'")
_IS_MORE: Final = sa.text("conversation.state <> 'told'")
_GOES_ON: Final = sa.exists().where(
    link.c.source == conversation.c.id, link.c.kind == "conversation", link.c.undone_at.is_(None)
)
_IS_SHOWN: Final = sa.or_(~conversation.c.linked, ~_GOES_ON)


@frozen(kw_only=True)
class InboxLine:
    """One conversation as the inbox shows it."""

    number: int
    kind: str
    state: ConversationState
    customer: str
    """Their name; may be empty."""
    address: Address | None
    """The one that they were first known by."""
    subject: str
    """What the first message was headed; may be empty."""
    text: str
    """How the newest message begins."""
    author: str
    """``agent:<name>`` or ``plugin:<name>`` if we wrote it; empty if the customer's side did."""
    channel: str
    """Where it came or goes."""
    entries: int
    at: datetime
    """When something happened last."""
    waiting: int
    """Deliveries that are still to go."""
    uncertain: int
    failed: int
    """Deliveries of the newest answer that failed or were refused."""


def inbox_page(
    connection: sa.Connection, *, states: Collection[ConversationState] = (), on: str = "", limit: int
) -> tuple[InboxLine, ...]:
    """Return the conversations that moved last: in one of *states* (none: in any), with an entry on the channel *on*.

    What goes on in another one is shown there.
    """
    channels = channel_names(connection)
    narrowed = [_IS_SHOWN]
    if states:
        narrowed.append(conversation.c.state.in_(sorted(states)))
    if on:
        number = next((number for number, name in channels.items() if name == on), 0)
        own = sa.exists().where(entry.c.conversation == conversation.c.id, entry.c.channel == number)
        tied = _tied()
        theirs = sa.exists().where(
            tied.c.target == conversation.c.id, entry.c.conversation == tied.c.source, entry.c.channel == number
        )
        narrowed.append(sa.or_(own, sa.and_(conversation.c.linked, theirs)))
    page = _newest(narrowed, states, limit).subquery("page")
    belongs = entry.c.conversation == page.c.id
    rows = connection.execute(
        sa.select(
            page,
            customer.c.name,
            customer.c.linked.label("is_merged"),
            _first(address.c.handle, address.c.customer == page.c.customer, order=address.c.id).label("handle"),
            _first(entry.c.id, belongs, order=entry.c.n).label("opening"),
            _first(entry.c.id, belongs, entry.c.kind.in_(_SPEAKS), order=entry.c.n.desc()).label("message"),
        )
        .outerjoin(customer, customer.c.id == page.c.customer)
        .order_by(page.c.last_entry.desc())
    ).all()
    shown_as = _as_shown(connection, [row.id for row in rows if row.linked])
    logs = {row.id: shown_as.get(row.id) or _Log(row.opening, row.message, row.last_n, (row.id,)) for row in rows}
    numbers = {number for log in logs.values() for number in (log.opening, log.message) if number is not None}
    words = _words(connection, numbers)
    trouble = _trouble(connection, [one for log in logs.values() for one in log.members])
    lines = []
    for row in rows:
        log = logs[row.id]
        opening, message = words.get(log.opening or 0, _NO_WORDS), words.get(log.message or 0, _NO_WORDS)
        person = person_of(connection, row.customer) if row.is_merged else None
        troubles = sum((trouble[one] for one in log.members), Counter[str]())
        lines.append(
            InboxLine(
                number=row.id,
                kind=row.kind,
                state=ConversationState(row.state),
                customer=person.name if person else row.name or "",
                address=next(iter(person.addresses), None) if person else handle_of(row.handle),
                subject=opening.subject,
                text=message.text,
                author=message.author,
                channel=channels.get(message.channel, ""),
                entries=log.entries,
                at=moment(row.changed_at),
                waiting=troubles["waiting"],
                uncertain=troubles["uncertain"],
                failed=troubles["failed"],
            )
        )
    return tuple(lines)


def _newest(
    narrowed: Sequence[sa.ColumnElement[bool]], states: Collection[ConversationState], limit: int
) -> sa.Select[Any]:
    """Return those that moved last: read from the end of one index, or from that of both."""
    told = ConversationState.TOLD
    ends = (
        [_IS_TOLD] if set(states) == {told} else [_IS_MORE] if states and told not in states else [_IS_MORE, _IS_TOLD]
    )
    newest = [
        sa.select(conversation).where(*narrowed, end).order_by(conversation.c.last_entry.desc()).limit(limit)
        for end in ends
    ]
    if len(newest) == 1:
        return newest[0]
    both = sa.union_all(*(sa.select(one.subquery(f"end{at}")) for at, one in enumerate(newest))).subquery("ends")
    return sa.select(both).order_by(both.c.last_entry.desc()).limit(limit)


def _first(column: sa.Column[Any], *conditions: sa.ColumnElement[bool], order: Any) -> sa.ScalarSelect[Any]:
    """Return a look-up of one value, for each row of a page."""
    return sa.select(column).where(*conditions).order_by(order).limit(1).scalar_subquery()


def _tied() -> sa.CTE:
    """Return the pairs of a conversation and another one in which it, or a part of it, is shown."""
    holds = sa.and_(link.c.kind != "customer", link.c.undone_at.is_(None))
    near = sa.select(link.c.source, link.c.target).where(holds).cte("tied", recursive=True)
    return near.union(sa.select(near.c.source, link.c.target).join(near, near.c.target == link.c.source).where(holds))


@frozen
class _Log:
    """The entries with which a conversation begins, and with which it speaks last; how many there are; whose they are."""

    opening: int | None
    message: int | None
    entries: int
    members: tuple[int, ...]


def _as_shown(connection: sa.Connection, numbers: Collection[int]) -> Mapping[int, _Log]:
    """Return the logs of conversations that were merged or split, as they are shown."""
    pointers = pointers_of(connection, numbers) if numbers else Pointers()
    logs = {}
    for number in numbers:
        within = sa.or_(
            *(
                sa.and_(entry.c.conversation == one.conversation, entry.c.n >= one.first, entry.c.n <= one.end)
                for one in pointers.spans(number)
            )
        )
        log = sa.select(entry.c.id).where(within).limit(1)
        speaks = entry.c.kind.in_(_SPEAKS)
        logs[number] = _Log(
            connection.scalar(log.where(speaks).order_by(entry.c.at, entry.c.n)),
            connection.scalar(log.where(speaks).order_by(entry.c.at.desc(), entry.c.n.desc())),
            connection.scalar(sa.select(sa.func.count()).select_from(entry).where(within)) or 0,
            pointers.members(number),
        )
    return logs


@frozen
class _Words:
    subject: str
    text: str
    author: str
    channel: int


_NO_WORDS: Final = _Words("", "", "", 0)


def _words(connection: sa.Connection, entries: Collection[int]) -> Mapping[int, _Words]:
    rows = connection.execute(
        sa.select(
            content.c.entry,
            content.c.author,
            content.c.data,
            entry.c.channel,
            sa.func.substr(content.c.text, 1, EXCERPT_CHARS).label("text"),
        )
        .join(entry, entry.c.id == content.c.entry)
        .where(content.c.entry.in_(entries))
    )
    return {
        row.entry: _Words(
            str(orjson.loads(row.data).get("subject", "")) if row.data else "",
            row.text,
            row.author or "",
            row.channel or 0,
        )
        for row in rows
    }


def _trouble(connection: sa.Connection, conversations: Collection[int]) -> Mapping[int, Counter[str]]:
    """Return for each conversation how many deliveries wait, are uncertain, or went wrong with the newest answer."""
    rows = connection.execute(
        sa.select(entry.c.conversation, entry.c.n, delivery.c.state, sa.func.count())
        .join_from(conversation, entry, entry.c.conversation == conversation.c.id)
        .join(delivery, delivery.c.entry == entry.c.id)
        .where(conversation.c.id.in_(conversations), entry.c.n > conversation.c.last_n - TROUBLE_ENTRIES)
        .where(entry.c.kind == "sent")
        .group_by(entry.c.conversation, entry.c.n, delivery.c.state)
        .order_by(entry.c.n.desc())
    )
    trouble: defaultdict[int, Counter[str]] = defaultdict(Counter)
    newest: dict[int, int] = {}
    for number, n, state, count in rows:
        answer = newest.setdefault(number, n)
        if state in {DeliveryState.QUEUED, DeliveryState.SENDING}:
            trouble[number]["waiting"] += count
        elif state == DeliveryState.UNCERTAIN:
            trouble[number]["uncertain"] += count
        elif state in {DeliveryState.FAILED, DeliveryState.REFUSED} and n == answer:
            trouble[number]["failed"] += count
    return trouble


def count_by_state(connection: sa.Connection) -> Mapping[ConversationState, int]:
    """Return how many conversations are in each state. Reads all of them: made for an inbox that shows nothing."""
    counted = sa.select(conversation.c.state, sa.func.count()).where(_IS_SHOWN).group_by(conversation.c.state)
    rows = connection.execute(counted)
    return {ConversationState(state): count for state, count in rows}
