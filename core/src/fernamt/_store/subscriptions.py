"""Who is told of which entries, how far each was told in each conversation, and what it remembers of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson
from attrs import field, frozen

from fernamt._store.conversations import attachments_of
from fernamt._store.customers import whose
from fernamt._store.statements import Statements
from fernamt._store.transaction import Transaction
from fernamt.model import (
    NOTHING,
    ChannelId,
    Conversation,
    ConversationId,
    Customer,
    Entry,
    Json,
    moment,
)


@frozen(kw_only=True)
class Subscriptions:
    """Who wants what, as the plugins say that were loaded."""

    wanted: Mapping[str, Collection[str]]
    """Subscriber (``<plugin>.<name>``) -> kinds of entries."""
    kept: Collection[str] = ()
    """Plugins that could not be loaded: what theirs wanted before, they get when they are repaired."""


def subscribe(tx: Transaction, payloads: Sequence[Subscriptions]) -> list[None]:
    """Write who is told from now on, in place of what stood there."""
    for payload in payloads:
        rows = {(kind, subscriber) for subscriber, kinds in payload.wanted.items() for kind in kinds}
        there = {(row[0], row[1]) for row in tx.do.rows("SELECT kind, subscriber FROM subscription")}
        gone = {row for row in there - rows if row[1].partition(".")[0] not in payload.kept}
        for row in sorted(gone):
            tx.do.one("DELETE FROM subscription WHERE kind = ? AND subscriber = ?", row)
        for row in sorted(rows - there):
            tx.do.one("INSERT INTO subscription (kind, subscriber) VALUES (?, ?) ON CONFLICT DO NOTHING", row)
        tx.do.forget_subscribers()
    return [None for _ in payloads]


@frozen(kw_only=True)
class Situation:
    """A conversation as a subscriber is told of it."""

    conversation: Conversation
    customer: Customer
    entries: tuple[Entry, ...]
    memory: Mapping[str, Any] = field(repr=False)


def situation(
    do: Statements, subscriber: str, conversation: int, *, first: int, again: bool = False, limit: int = 100
) -> Situation:
    """Return what a subscriber was not told yet, from entry *first* on; *again*: whether it was told or not.

    What came before *first* never concerned it: it was not there yet, or a person let it pass.
    """
    rows = do.rows(
        "SELECT n, memory FROM position WHERE subscriber = ? AND conversation = ?", (subscriber, conversation)
    )
    told, memory = (rows[0][0], orjson.loads(rows[0][1])) if rows else (0, {})
    after = first - 1 if again else max(told, first - 1)
    entries = entries_of(do, conversation, after=after, limit=limit)
    one, customer = whose(do, [conversation])[conversation]
    return Situation(conversation=one, customer=customer, entries=entries, memory=memory)


def entries_of(do: Statements, conversation: int, *, after: int, limit: int) -> tuple[Entry, ...]:
    """Return the entries of a conversation whose numbers are greater than *after*, in order, at most *limit*."""
    rows = do.rows(
        "SELECT e.n, e.kind, e.at, a.handle, c.author, h.name, c.text, c.attachments, c.data, c.key FROM entry e"
        " LEFT JOIN content c ON c.entry = e.id LEFT JOIN address a ON a.id = e.author"
        " LEFT JOIN channel h ON h.id = e.channel WHERE e.conversation = ? AND e.n > ? ORDER BY e.n LIMIT ?",
        (conversation, after, limit),
    )
    return tuple(
        Entry(
            conversation=ConversationId(str(conversation)),
            n=n,
            kind=kind,
            at=moment(at_us),
            author=handle or author or "",
            channel=ChannelId(channel) if channel else None,
            text=text or "",
            attachments=attachments_of(files),
            data=orjson.loads(words) if words else NOTHING,
            key=key or "",
        )
        for n, kind, at_us, handle, author, channel, text, files, words, key in rows
    )


def advance(tx: Transaction, subscriber: str, conversation: int, n: int) -> None:
    """Note that a subscriber was told of everything up to entry *n*."""
    tx.do.one(
        "INSERT INTO position (subscriber, conversation, n, memory) VALUES (?, ?, ?, '{}')"
        " ON CONFLICT (subscriber, conversation) DO UPDATE SET n = excluded.n",
        (subscriber, conversation, n),
    )


def remember(tx: Transaction, subscriber: str, conversation: int, memory: Mapping[str, Json]) -> None:
    """Replace what a subscriber remembers of a conversation."""
    tx.do.one(
        "INSERT INTO position (subscriber, conversation, n, memory) VALUES (?, ?, 0, ?)"
        " ON CONFLICT (subscriber, conversation) DO UPDATE SET memory = excluded.memory",
        (subscriber, conversation, orjson.dumps(dict(memory)).decode()),
    )
