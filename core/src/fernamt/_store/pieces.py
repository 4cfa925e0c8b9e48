"""Pieces of messages that providers deliver singly: each is on disk when it is acknowledged, and all of them become one entry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Final, TypeAlias

from attrs import evolve, field, frozen

from fernamt._store.names import id_hash
from fernamt._store.people import People
from fernamt._store.piece_events import read_event, written_event
from fernamt._store.statements import Batch, Row
from fernamt._store.submission import Line, Made, Submission
from fernamt._store.tasks import PIECES, Errand, Task, cancel_task, errand_row, plan_tasks
from fernamt._store.transaction import Transaction
from fernamt.inbound import Part, Received
from fernamt.model import Blob

WAIT_US: Final = 1_800_000_000
"""Half an hour after its first piece a message is shown as it is, with a visible gap; what comes later is another one."""
SILENCE_US: Final = 3_000_000
"""Where nobody says how many there are, they are all there when so long none came."""
PIECES_MAX: Final = 255
"""No telephone makes more of one message."""
GAP: Final = "[…]"
INCOMPLETE_MARK: Final = "incomplete"
_WAITS: Final = (None, None)
_Groups: TypeAlias = dict[str, list["Piece"]]
_Receive: TypeAlias = Callable[[Submission, Received, int | None], tuple[int, int]]


@frozen(kw_only=True)
class Piece:
    """A piece that waits for the others."""

    id: int
    place: str
    """Of what it is a piece: channel, address of the sender, and group."""
    address: int
    at: int
    digest: bytes
    """Of its event's key."""
    raw: int | None
    event: Received = field(repr=False)
    is_new: bool = True
    """It came in this transaction."""

    @property
    def part(self) -> Part:
        assert self.event.part is not None
        return self.event.part


@frozen(kw_only=True)
class Whole:
    """A message of which no piece is waited for any more."""

    event: Received
    pieces: tuple[Piece, ...]


class Pieces:
    """The pieces of one transaction."""

    def __init__(self, tx: Transaction, batch: Batch, people: People, known: dict[bytes, Row]) -> None:
        """*known* is what the transaction knows of keys and ids."""
        self._tx = tx
        self._batch = batch
        self._people = people
        self._known = known
        self._waiting: _Groups = {}
        self._touched: dict[str, Line] = {}
        self._stored: list[tuple[Whole, int, int]] = []

    def look_up(self, events: Iterable[tuple[Line, Received]]) -> list[tuple[Line, Received]]:
        """Read what waits for these pieces, keep other runners from adding to it, and return it."""
        places = {}
        for line, event in events:
            person = self._people.known(event.sender)
            if person is not None and event.part is not None:
                places[_place(line, person[0], event.part)] = (line, person[0])
        if not places:
            return []
        self._waiting |= waiting(self._tx, {place: address for place, (_, address) in places.items()})
        return [(places[place][0], one.event) for place, group in self._waiting.items() for one in group]

    def take(self, submission: Submission, event: Received, digest: bytes, raw: int | None, receive: _Receive) -> Made:
        """Let a piece wait, unless its message is complete by it: then that is an entry, as *receive* plans it.

        So is what had its group before, where nothing more of that can come.
        """
        line, part = submission.line, event.part
        assert part is not None
        address = self._people.sender(event)[0]
        place = _place(line, address, part)
        number = self._tx.do.next_id("piece")
        new = Piece(id=number, place=place, address=address, at=self._tx.now_us, digest=digest, raw=raw, event=event)
        if not _is_sound(part):
            return self.store(submission, _whole([new]), receive)
        group = self._waiting.setdefault(place, [])
        if any(_is_same(one, new) for one in group):
            return _WAITS
        self._touched[place] = line
        if group and not _belongs(group, new):
            self.store(submission, _whole(group), receive)
            group.clear()
        group.append(new)
        if len(group) < (part.total or PIECES_MAX):
            return _WAITS
        whole = _whole(group)
        group.clear()
        return self.store(submission, whole, receive)

    def store(self, submission: Submission, whole: Whole, receive: _Receive) -> tuple[int, int]:
        """Plan the message: whoever repeats one of its pieces, or names its id, means its entry from now on."""
        channel, pieces = submission.line.number, whole.pieces
        raw = next((one.raw for one in pieces if one.raw is not None), None)
        made = receive(submission, whole.event, raw)
        entry = (*made, self._tx.now_us)
        self._rename([one.digest for one in pieces], entry)
        ids = [id_hash(channel, one.event.id) for one in pieces if one.event.id and one.event.id != one.event.key]
        for digest in ids:
            if digest not in self._known:
                self._known[digest] = entry
                self._batch.add("insert known id", (digest, *entry))
        self._stored.append((whole, *made))
        return made

    def _rename(self, digests: Sequence[bytes], entry: tuple[int, int, int]) -> None:
        """Let keys mean the entry, those that this transaction has not written yet, too."""
        rows = self._batch.rows("insert known")
        planned = {row[0]: at for at, row in enumerate(rows)}
        for digest in digests:
            self._known[digest] = entry
            if digest in planned:
                rows[planned[digest]] = (digest, *entry)
            else:
                self._batch.add("put known", (digest, *entry))

    def plan(self) -> None:
        """Plan the rows of those that wait, and until when."""
        for place, line in self._touched.items():
            group = self._waiting.get(place, ())
            for one in group:
                if one.is_new:
                    self._batch.add("insert piece", _row(one))
                    for digest in _digests(one):
                        self._batch.add("insert blob_ref", (digest, f"piece:{one.id}"))
            key = f"pieces:{place}"
            if group:
                data = {"place": place, "channel": line.id}
                errand = Errand(owner=PIECES, kind="pieces", key=key, data=data, due_us=_due_us(group))
                self._batch.add("put task", errand_row(self._tx.do, errand, self._tx.now_us))
            else:
                cancel_task(self._tx, key)

    def settle(self) -> None:
        """Forget the pieces of what was stored, but for raw bytes that only they name; after everything else is written."""
        tx = self._tx
        for whole, conversation, n in self._stored:
            _forget(tx, [one for one in whole.pieces if not one.is_new])
            if len({one.raw for one in whole.pieces} - {None}) > 1:
                [[entry]] = tx.do.rows("SELECT id FROM entry WHERE conversation = ? AND n = ?", (conversation, n))
                rows = [(one.id, "", one.address, one.at, one.digest, one.raw, entry, "") for one in whole.pieces]
                tx.do.many("insert piece", rows)


def waiting(tx: Transaction, places: dict[str, int]) -> _Groups:
    """Return the pieces at *places* (with the number of the sender's address), for this transaction alone."""
    if tx.do.lock:
        tx.do.among(f"SELECT id FROM address WHERE id IN {{}} ORDER BY id{tx.do.lock}", sorted(set(places.values())))
    rows = tx.do.among(
        "SELECT id, place, address, at, digest, raw, event FROM piece WHERE place IN {} ORDER BY id", sorted(places)
    )
    groups: _Groups = {}
    for number, place, address, at, digest, raw, event in rows:
        piece = Piece(
            id=number,
            place=place,
            address=address,
            at=at,
            digest=bytes(digest),
            raw=raw,
            event=read_event(event),
            is_new=False,
        )
        groups.setdefault(place, []).append(piece)
    return groups


def overdue(tx: Transaction, task: Task) -> Whole | None:
    """Return what waits at the place of a task as the message that it is, ``None`` if nothing does, or not so long yet."""
    place = task.data["place"]
    rows = tx.do.rows("SELECT address FROM piece WHERE place = ? LIMIT 1", (place,))
    group = waiting(tx, {place: rows[0][0]}).get(place, []) if rows else []
    if group and (due_us := _due_us(group)) > tx.now_us:
        plan_tasks(
            tx, [Errand(owner=PIECES, kind=task.kind, key=task.key, data=task.data, due_us=due_us)], replace=True
        )
        return None
    return _whole(group) if group else None


def _forget(tx: Transaction, pieces: Sequence[Piece]) -> None:
    """Take pieces and what they named of the blob store off the store; their bytes stay."""
    for one in pieces:
        tx.do.one("DELETE FROM piece WHERE id = ?", (one.id,))
        for digest in sorted(_digests(one)):
            tx.do.one("DELETE FROM blob_ref WHERE digest = ? AND owner = ?", (digest, f"piece:{one.id}"))


def _place(line: Line, address: int, part: Part) -> str:
    group = f"{part.group}:{part.total or ''}"
    return f"{line.number}:{address}:{blake2b(group.encode(errors='surrogatepass'), digest_size=12).hexdigest()}"


def _row(one: Piece) -> Row:
    return one.id, one.place, one.address, one.at, one.digest, one.raw, None, written_event(one.event)


def _digests(one: Piece) -> set[str]:
    return {file.content.digest for file in one.event.attachments if isinstance(file.content, Blob)}


def _is_sound(part: Part) -> bool:
    """Say whether it can be waited for the others; what makes no sense is a message of its own."""
    return part.total is None or (1 <= part.number <= part.total <= PIECES_MAX)


def _is_same(one: Piece, new: Piece) -> bool:
    """Say whether a provider repeats a piece under another key."""
    same = evolve(new.event, key=one.event.key, id=one.event.id, at=one.event.at)
    return one.part.number == new.part.number and same == one.event


def _belongs(group: Sequence[Piece], new: Piece) -> bool:
    """Say whether a piece can be of the same message: telephones count to 255 and begin again."""
    if new.part.number in {one.part.number for one in group}:
        return False
    return new.at < _due_us(group)


def _due_us(group: Sequence[Piece]) -> int:
    return group[-1].at + SILENCE_US if group[0].part.total is None else group[0].at + WAIT_US


def _whole(group: Sequence[Piece]) -> Whole:
    """Return the message of some pieces, each gap of it visible."""
    pieces = tuple(sorted(group, key=lambda one: one.part.number))
    events = [one.event for one in pieces]
    first, total = events[0], pieces[0].part.total
    text = "\n".join(filter(None, (one.text for one in events))) if total is None else _with_gaps(pieces, total)
    marks = [mark for one in events for mark in one.marks]
    if total is not None and len(pieces) < total:
        marks.append(INCOMPLETE_MARK)
    event = evolve(
        first,
        part=None,
        text=_mended(text),
        html="".join(one.html for one in events),
        folded=first.folded if len(pieces) == 1 else (),
        subject=next((one.subject for one in events if one.subject), ""),
        choice=next((one.choice for one in events if one.choice), ""),
        attachments=tuple(file for one in events for file in one.attachments),
        window_until=max((one.window_until for one in events if one.window_until is not None), default=None),
        marks=tuple(dict.fromkeys(marks)),
    )
    return Whole(event=event, pieces=pieces)


def _with_gaps(pieces: Sequence[Piece], total: int) -> str:
    said = {one.part.number: one.event.text for one in pieces}
    if len(pieces) == 1 and pieces[0].part.number not in range(1, total + 1):
        return pieces[0].event.text
    words: list[str] = []
    for number in range(1, min(total, PIECES_MAX) + 1):
        if number in said:
            words.append(said[number])
        elif not words or words[-1] is not GAP:
            words.append(GAP)
    return "".join(words)


def _mended(text: str) -> str:
    """Put the halves of a character together that stood in two pieces; a half alone cannot be kept."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
