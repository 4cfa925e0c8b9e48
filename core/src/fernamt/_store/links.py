"""Merging, splitting, and taking it back: links that are made and undone, and entries that say so. No entry moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson
from attrs import frozen

from fernamt._store.conversations import Conversations
from fernamt._store.desk import NoSuchThing
from fernamt._store.pointers import Pointers
from fernamt._store.statements import Batch, ConversationRow, Row
from fernamt._store.transaction import Transaction
from fernamt.errors import FernamtError
from fernamt.model import STATE_AFTER, ConversationState, Json

_URGENT: Final = (ConversationState.OPEN, ConversationState.WAITING, ConversationState.SOLVED, ConversationState.TOLD)


@frozen(kw_only=True)
class Merge:
    """Let *source* go on in *target*, from now on: conversations, or customers."""

    source: int
    target: int
    by: str
    customers: bool = False


@frozen(kw_only=True)
class Split:
    """Let what a conversation holds from entry *n* on go on apart."""

    conversation: int
    n: int
    by: str


@frozen(kw_only=True)
class Undo:
    """Take a link back."""

    link: int
    by: str


@frozen(kw_only=True)
class Linked:
    """A link, as it was made or undone."""

    link: int
    kind: str
    source: int
    target: int
    stays: int = 0
    """Undone: so many entries came to the target meanwhile, and stay there."""


def merge(tx: Transaction, payloads: Sequence[Merge]) -> list[Linked | FernamtError]:
    """Make links from each source to where its target goes on; entries ``merged`` in both conversations say so."""
    return [_merged(tx, one) for one in payloads]


def split(tx: Transaction, payloads: Sequence[Split]) -> list[Linked | FernamtError]:
    """Make links to new conversations; entries ``split`` in both say so."""
    return [_split(tx, one) for one in payloads]


def undo(tx: Transaction, payloads: Sequence[Undo]) -> list[Linked | FernamtError]:
    """Take links back; entries ``undone`` on both sides say so."""
    return [_undone(tx, one) for one in payloads]


def _merged(tx: Transaction, one: Merge) -> Linked | FernamtError:
    kind = "customer" if one.customers else "conversation"
    pair = sorted({one.source, one.target})
    marks = ", ".join("?" * len(pair))
    found = {row[0] for row in tx.do.rows(f"SELECT id FROM {kind} WHERE id IN ({marks}) ORDER BY id{tx.do.lock}", pair)}
    for number in pair:
        if number not in found:
            return NoSuchThing(f"There is no {kind} {number}. fernamt inbox lists the conversations.")
    pointers = tx.do.pointers(pair, customers=one.customers)
    target = pointers.follow(one.target)
    if (made := pointers.merged(one.source)) is not None:
        return NoSuchThing(
            f"{kind.title()} {one.source} was merged into {made.target} already. Take that back with: fernamt undo {made.id}"
        )
    if one.source == target:
        why = "is that one" if one.source == one.target else f"goes on in {target} itself"
        return NoSuchThing(f"{kind.title()} {one.target} {why}: there is nothing to merge.")
    link = tx.do.next_id("link")
    n = None if one.customers else _say_merged(tx, link, one.source, target, one.by)
    row = (link, kind, one.source, target, n, None, one.by, tx.now_us, None)
    tx.do.many("insert link", [row])
    tx.do.one(f"UPDATE {kind} SET linked = ? WHERE id IN (?, ?)", (True, one.source, target))
    return Linked(link=link, kind=kind, source=one.source, target=target)


def _say_merged(tx: Transaction, link: int, source: int, target: int, by: str) -> int:
    """Write the two entries and return the number of the target's. Whose turn it is, is ours if it was in either."""
    desk = _Desk(tx, by, source, target)
    into = desk.row(target)
    before = into.state
    desk.enter(source, "merged", {"link": link, "into": target})
    into.state = min(before, desk.row(source).state, key=lambda state: _URGENT.index(ConversationState(state)))
    desk.enter(target, "merged", {"link": link, "from": source, "before": before})
    desk.write()
    return into.last_n


def _split(tx: Transaction, one: Split) -> Linked | FernamtError:
    desk = _Desk(tx, one.by, one.conversation)
    row, pointers = desk.rows.get(one.conversation), desk.pointers
    if row is None:
        return NoSuchThing(f"There is no conversation {one.conversation}. fernamt inbox lists them.")
    if (made := pointers.merged(row.id)) is not None:
        return NoSuchThing(
            f"Conversation {row.id} was merged into {made.target}. Take that back first with: fernamt undo {made.id}"
        )
    last_n, before = row.last_n, row.state
    if not 1 < one.n <= last_n:
        return NoSuchThing(
            f"Conversation {row.id} has the entries 1 to {last_n}: it can be split from entry 2 on, so that both parts have one."
        )
    if one.n in pointers.firsts(row.id):
        return NoSuchThing(f"Conversation {row.id} is split at entry {one.n} already.")
    link, apart = tx.do.next_id("link"), desk.conversations.open(row.customer, None)
    apart.kind, apart.language, apart.linked = row.kind, row.language, True
    values = (link, "split", row.id, apart.id, one.n, last_n, one.by, tx.now_us, None)
    tx.do.many("insert link", [values])
    tx.do.one("UPDATE conversation SET linked = ? WHERE id = ?", (True, row.id))
    tx.do.one(
        "INSERT INTO participant (conversation, address) SELECT CAST(? AS BIGINT), address FROM participant"
        " WHERE conversation = ?",
        (apart.id, row.id),
    )
    tied = tx.do.pointers([row.id])
    row.state, apart.state = _state(tx, tied, row.id, row.id), _state(tx, tied, row.id, apart.id)
    desk.enter(row.id, "split", {"link": link, "to": apart.id, "from_n": one.n, "before": before})
    desk.rows[apart.id] = apart
    desk.enter(apart.id, "split", {"link": link, "from": row.id, "from_n": one.n})
    desk.write()
    return Linked(link=link, kind="split", source=row.id, target=apart.id)


def _state(tx: Transaction, pointers: Pointers, source: int, shown: int) -> ConversationState:
    """Return whose turn it is by those entries of *source* that are shown as *shown*."""
    kinds = ", ".join(f"'{kind}'" for kind in STATE_AFTER)
    told: list[Row] = []
    for span in reversed([one for one in pointers.spans(shown) if one.conversation == source]):
        rows = tx.do.rows(
            f"SELECT kind FROM entry WHERE conversation = ? AND n >= ? AND n <= ? AND kind IN ({kinds}) ORDER BY n DESC LIMIT 1",
            (source, span.first, span.end),
        )
        if rows:
            return STATE_AFTER[rows[0][0]]
        told = told or tx.do.rows(
            "SELECT 1 FROM entry WHERE conversation = ? AND n >= ? AND n <= ? AND kind = 'notice' LIMIT 1",
            (source, span.first, span.end),
        )
    return ConversationState.TOLD if told else ConversationState.OPEN


def _undone(tx: Transaction, one: Undo) -> Linked | FernamtError:
    rows = tx.do.rows("SELECT kind, source, target, n, last_n, undone_at FROM link WHERE id = ?", (one.link,))
    if not rows:
        return NoSuchThing(f"There is no link {one.link}: fernamt show names those of a conversation.")
    kind, source, target, n, last_n, _ = rows[0]
    # The conversations before the link, as whoever makes one does.
    desk = None if kind == "customer" else _Desk(tx, one.by, source, target)
    if not tx.do.one("UPDATE link SET undone_at = ? WHERE id = ? AND undone_at IS NULL", (tx.now_us, one.link)):
        return NoSuchThing(f"Link {one.link} was undone already.")
    if desk is None:
        return Linked(link=one.link, kind=kind, source=source, target=target)
    # Where the entry stands that told of the link, and what is to be there again.
    place, marker = (source, last_n + 1) if kind == "split" else (target, n)
    row = desk.rows[place]
    if (before := _before(tx, place, marker)) is not None:
        row.state = before
    own = desk.rows[target].last_n - (n if kind == "conversation" else 1)
    for number in (source, target):
        desk.enter(number, "undone", {"link": one.link, "of": kind})
    desk.write()
    if kind == "split" and not own:
        # Nothing came to it: whoever names it shall find where everything is again.
        merge(tx, [Merge(source=target, target=source, by=one.by)])
    return Linked(link=one.link, kind=kind, source=source, target=target, stays=own)


def _before(tx: Transaction, conversation: int, marker: int) -> str | None:
    """Return the state before the entry that told of a link; ``None`` if the entries after it decided anew."""
    kinds = ", ".join(f"'{kind}'" for kind in STATE_AFTER)
    since = f"SELECT 1 FROM entry WHERE conversation = ? AND n > ? AND kind IN ({kinds}) LIMIT 1"
    if tx.do.rows(since, (conversation, marker)):
        return None
    words = "SELECT c.data FROM content c JOIN entry e ON e.id = c.entry WHERE e.conversation = ? AND e.n = ?"
    rows = tx.do.rows(words, (conversation, marker))
    return orjson.loads(rows[0][0])["before"] if rows and rows[0][0] else None


class _Desk:
    """The conversations that a link ties, locked, as they are themselves: no pointer is followed here."""

    def __init__(self, tx: Transaction, by: str, *numbers: int) -> None:
        self._tx = tx
        self._by = by
        self._batch = Batch()
        self.conversations = Conversations(tx.do, self._batch, tx.now_us)
        self.conversations.look_up((), set(numbers))
        self.pointers = tx.do.pointers(sorted(set(numbers)))
        self.rows = {row.id: row for row in map(self.conversations.row, numbers) if row is not None}

    def row(self, number: int) -> ConversationRow:
        return self.rows[number]

    def enter(self, number: int, kind: str, data: dict[str, Json]) -> None:
        entry = self.conversations.enter(self.rows[number], kind)
        self.conversations.fill(entry, "", author=self._by, data=data)

    def write(self) -> None:
        self.conversations.write()
        self._batch.write(self._tx.do)
