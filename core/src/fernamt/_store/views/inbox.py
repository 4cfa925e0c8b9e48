"""The inbox: a page of conversations, the one that moved last first."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final

import orjson
import sqlalchemy as sa
from attrs import frozen

from fernamt._store.tables import address, content, conversation, customer, delivery, entry
from fernamt._store.views.channels import channel_names
from fernamt._store.views.deliveries import EXCERPT_CHARS
from fernamt.model import Address, ConversationState, DeliveryState, moment

TROUBLE_ENTRIES: Final = 100
"""So far back in a conversation the inbox looks for deliveries that are open or went wrong."""


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
    """Return the conversations that moved last: in one of *states* (none: in any), with an entry on the channel *on*."""
    channels = channel_names(connection)
    wanted = sa.select(conversation).order_by(conversation.c.last_entry.desc()).limit(limit)
    if states:
        wanted = wanted.where(conversation.c.state.in_(sorted(states)))
    if on:
        number = next((number for number, name in channels.items() if name == on), 0)
        belongs = entry.c.conversation == conversation.c.id
        wanted = wanted.where(sa.exists().where(belongs, entry.c.channel == number))
    page = wanted.subquery("page")
    belongs = entry.c.conversation == page.c.id
    rows = connection.execute(
        sa.select(
            page,
            customer.c.name,
            _first(address.c.handle, address.c.customer == page.c.customer, order=address.c.id).label("handle"),
            _first(entry.c.id, belongs, order=entry.c.n).label("opening"),
            _first(entry.c.id, belongs, entry.c.kind.in_(("received", "sent")), order=entry.c.n.desc()).label(
                "message"
            ),
        )
        .outerjoin(customer, customer.c.id == page.c.customer)
        .order_by(page.c.last_entry.desc())
    ).all()
    words = _words(connection, {number for row in rows for number in (row.opening, row.message) if number is not None})
    trouble = _trouble(connection, [row.id for row in rows])
    lines = []
    for row in rows:
        opening, message = words.get(row.opening, _NO_WORDS), words.get(row.message, _NO_WORDS)
        lines.append(
            InboxLine(
                number=row.id,
                kind=row.kind,
                state=ConversationState(row.state),
                customer=row.name or "",
                address=Address.parse(row.handle) if row.handle else None,
                subject=opening.subject,
                text=message.text,
                author=message.author,
                channel=channels.get(message.channel, ""),
                entries=row.last_n,
                at=moment(row.changed_at),
                waiting=trouble[row.id]["waiting"],
                uncertain=trouble[row.id]["uncertain"],
                failed=trouble[row.id]["failed"],
            )
        )
    return tuple(lines)


def _first(column: sa.Column[Any], *conditions: sa.ColumnElement[bool], order: Any) -> sa.ScalarSelect[Any]:
    """Return a look-up of one value, for each row of a page."""
    return sa.select(column).where(*conditions).order_by(order).limit(1).scalar_subquery()


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
    rows = connection.execute(sa.select(conversation.c.state, sa.func.count()).group_by(conversation.c.state))
    return {ConversationState(state): count for state, count in rows}
