"""What one reader may see of his conversations on one channel, and where he stands in it.

Numbers of entries in the store are not in the order of their commits where several runners write. The numbers inside a
conversation are: without a gap, given under its lock. So a position is one number for each conversation, and skips nothing.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import orjson
from attrs import define, evolve, field, frozen

from fernamt._store.conversations import attachments_of
from fernamt._store.names import Names, handle_topic
from fernamt._store.reception import Line
from fernamt._store.statements import Row, Statements
from fernamt.connector import FeedItem
from fernamt.model import NOTHING, Address, ChannelId, ConversationId, DeliveryState, Entry, Json, moment

CONVERSATIONS_MAX: Final = 64
"""So many of a reader's conversations are followed: those that moved last."""
UNDECIDED_MAX: Final = 16
_POSITION_MAX: Final = 16_384
_PAGE: Final = 50
_SHOWN: Final = frozenset({"subject", "sender_name", "buttons", "choice", "automatic"})
_Found: TypeAlias = tuple[int, int, "Mark", Entry]
"""An entry with its order among those of other conversations, and the mark behind it."""
_MARGIN_US: Final = 60_000_000
"""What was committed a little later than it says is rather shown twice than never."""


@frozen
class Mark:
    """How far a conversation was read: to *n*, except for answers that were *undecided*: they may yet be refused."""

    n: int = 0
    undecided: tuple[int, ...] = ()
    shown: bool = False
    """There was something to see in it."""


@define
class Position:
    """Where a reader stands; ``str()`` gives what :meth:`parse` reads back."""

    marks: dict[int, Mark] = field(factory=dict)
    left_us: int = 0
    """Conversations that have not moved since then are not followed any more: too many others have."""

    def __str__(self) -> str:
        parts = [f"{self.left_us:x}"]
        for number, mark in self.marks.items():
            if mark.shown:
                parts.append("-".join(f"{one:x}" for one in (number, mark.n, *mark.undecided)))
        return ".".join(parts)

    @classmethod
    def parse(cls, text: str) -> Position:
        """Read it back; what is no position is the beginning."""
        try:
            left, *parts = text.split(".") if text.isascii() and len(text) <= _POSITION_MAX else [""]
            position = cls(left_us=_number(left))
            for part in parts:
                number, n, *undecided = map(_number, part.split("-"))
                position.marks[number] = Mark(n, tuple(undecided), shown=True)
        except ValueError:
            return cls()
        if len(position.marks) > CONVERSATIONS_MAX or any(
            len(mark.undecided) > UNDECIDED_MAX for mark in position.marks.values()
        ):
            return cls()
        return position


def _number(digits: str) -> int:
    number = int(digits, 16)
    if not 0 <= number < 1 << 53:
        raise ValueError(digits)
    return number


@frozen
class Page:
    """What is new, in each conversation in order; *topics* tell of more, and *more* says that there is some already."""

    items: tuple[FeedItem, ...]
    position: Position
    topics: frozenset[str]
    more: bool = False


def read_feed(do: Statements, names: Names, line: Line, reader: Address, position: Position) -> Page:
    """Return what *reader* has not seen yet at *position*, which is left as it is, and where he stands then."""
    rows = do.rows("SELECT id, customer FROM address WHERE handle = ?", (str(reader),))
    if not rows:
        return Page((), position, frozenset({handle_topic(str(reader))}))
    address, customer = rows[0]
    position = evolve(position)
    followed = _followed(do, address, customer, position)
    step = evolve(position, marks=dict(position.marks))
    found: list[_Found] = []
    more = False
    for number, last_n in followed:
        mark = position.marks[number]
        if last_n > mark.n or mark.undecided:
            entries, after, full = _read(do, names, line, (address, number), mark)
            position.marks[number] = after
            found += entries
            more |= full
        if len(found) >= _PAGE * 4:
            more = True
            break
    items = []
    for _, number, mark, entry in sorted(found, key=lambda one: one[:2]):
        step.marks[number] = mark
        items.append(FeedItem(position=str(step), entry=entry))
    topics = {f"customer:{customer}", f"address:{address}", *(f"conversation:{number}" for number, _ in followed)}
    return Page(tuple(items), position, frozenset(topics), more)


def _followed(do: Statements, address: int, customer: int, position: Position) -> list[tuple[int, int]]:
    """Return the reader's conversations with their last numbers, the one that moved last at the end; each gets its mark."""
    rows = do.rows(
        "SELECT id, last_n, changed_at FROM conversation WHERE customer = ?"
        " UNION SELECT v.id, v.last_n, v.changed_at FROM participant p JOIN conversation v ON v.id = p.conversation"
        f" WHERE p.address = ? ORDER BY 3 DESC, 1 DESC LIMIT {CONVERSATIONS_MAX + 1}",
        (customer, address),
    )
    if len(rows) > CONVERSATIONS_MAX:
        position.left_us = max(position.left_us, rows.pop()[2])
    marks = {}
    for number, _, changed_at in rows:
        mark = position.marks.get(number)
        if mark is None and position.left_us:
            if changed_at <= position.left_us - _MARGIN_US:
                continue
            [(n,)] = do.rows(
                "SELECT coalesce(max(n), 0) FROM entry WHERE conversation = ? AND at <= ?",
                (number, position.left_us - _MARGIN_US),
            )
            mark = Mark(n)
        marks[number] = mark or Mark()
    position.marks = marks
    return [(row[0], row[1]) for row in reversed(rows) if row[0] in marks]


def _read(
    do: Statements, names: Names, line: Line, whose: tuple[int, int], mark: Mark
) -> tuple[list[_Found], Mark, bool]:
    """Return what is to be seen after *mark*, each with the mark after it; then the last mark, and whether there is more."""
    address, number = whose
    rows = do.rows(
        "SELECT e.n, e.kind, e.at, e.channel, e.author, a.handle, d.id, d.state, d.attempts, c.author, c.text, c.data,"
        " c.attachments, c.key FROM entry e LEFT JOIN content c ON c.entry = e.id LEFT JOIN address a ON a.id = e.author"
        " LEFT JOIN delivery d ON d.entry = e.id AND d.address = ? AND d.channel = ? WHERE e.conversation = ?"
        f" AND (e.n > ?{' OR e.n = ?' * len(mark.undecided)}) ORDER BY e.n LIMIT {_PAGE}",
        (address, line.number, number, mark.n, *mark.undecided),
    )
    found: list[_Found] = []
    at_us = 0
    for row in rows:
        n, _, at, *_ = row
        # Whatever the clocks of several runners say, the order inside a conversation is that of its numbers.
        at_us = max(at_us, at)
        undecided = set(mark.undecided) - {n}
        visible = _is_visible(row, line, address)
        if visible is None:
            undecided.add(n)
            if len(undecided) > UNDECIDED_MAX:
                return found, mark, False
        mark = Mark(max(mark.n, n), tuple(sorted(undecided)), mark.shown or visible is not False)
        if visible:
            found.append((at_us, number, mark, _entry(row, names, line, number)))
    return found, mark, len(rows) == _PAGE


def _is_visible(row: Row, line: Line, address: int) -> bool | None:
    """Say whether a reader may see an entry; ``None``: nobody knows yet."""
    _, kind, _, channel, author, _, delivery, state, attempts, *_ = row
    if channel != line.number or kind not in {"received", "sent"}:
        return False
    if kind == "received" or delivery is None:
        return kind == "received" or bool(author == address)
    if state == DeliveryState.QUEUED and not attempts:
        return None
    return bool(state != DeliveryState.REFUSED)


def _entry(row: Row, names: Names, line: Line, number: int) -> Entry:
    n, kind, at, _, _, handle, delivery, _, _, author, text, data, files, key = row
    known: dict[str, Json] = orjson.loads(data) if data else {}
    return Entry(
        conversation=ConversationId(str(number)),
        n=n,
        kind=kind,
        at=moment(at),
        author=handle or author or "",
        channel=ChannelId(line.id),
        text=text or "",
        attachments=attachments_of(files),
        data={name: value for name, value in known.items() if name in _SHOWN} or NOTHING,
        key=key or "" if delivery is None else names.message_key(delivery),
    )
