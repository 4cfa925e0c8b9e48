"""Notices: a run is what one call asked for, and its rows become deliveries chunk by chunk, each once.

The run counts how many of its rows are given. Whoever gives a chunk compares that count under a lock, so a giver that died, or
two of them, write no row twice and leave none out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b
from typing import Final

from attrs import define, field, frozen

from fernamt._store.conversations import Conversations
from fernamt._store.desk import NoSuchThing
from fernamt._store.people import People
from fernamt._store.statements import Batch, ConversationRow, Row
from fernamt._store.transaction import Transaction
from fernamt.errors import FernamtError
from fernamt.model import Address, ConversationState, DeliveryState, Json

CHUNK: Final = 250
"""So many rows are written in one transaction: a writer that waits behind it waits some hundredths of a second."""
_DAY_US: Final = 86_400_000_000
_KNOWN: Final = "SELECT id, template, channel, total, given, cancelled_at, digest FROM notice_run WHERE hash = ?"


class KeyTaken(FernamtError):
    """Something else was asked for under this key before; the text says what differs."""


@frozen(kw_only=True)
class Opening:
    """What one call asks for."""

    key: str
    """The caller's: the same call has the same one."""
    scope: str = ""
    """Whose keys these are: what two programs call the same is not the same."""
    template: str
    channel: str
    """The id of its section."""
    purpose: str
    author: str
    total: int
    digest: bytes
    """Of all its rows."""


@frozen(kw_only=True)
class Run:
    """A run as it stands in the store."""

    number: int
    channel: int
    total: int
    given: int
    is_new: bool
    cancelled: bool


@frozen(kw_only=True)
class Notice:
    """What one row of a run asks for."""

    to: Address
    text: str = field(repr=False)
    html: str = field(default="", repr=False)
    language: str = ""
    name: str = field(default="", repr=False)
    """Of the customer, if nobody knows them yet."""
    data: Mapping[str, Json]
    """What the entry keeps beside its words: template, order, subject ..."""
    key: str = ""
    """The row's own, over all runs of one program, or of the desk."""
    digest: bytes = b""
    """Of what the row says."""


@frozen(kw_only=True)
class Chunk:
    """Some rows of a run, in their order; *first* counts from 1."""

    run: int
    first: int
    notices: tuple[Notice, ...]
    reopen_days: float = 14.0
    """Of the channel: a conversation of notices that is older is not gone on with."""


@frozen(kw_only=True)
class Cancelling:
    """A run is called off: what has not left yet does not leave any more."""

    run: int
    by: str
    after: int = 0
    """The last row that was looked at."""


def run_hash(scope: str, key: str) -> bytes:
    """Return what identifies a run by its caller's key."""
    return blake2b(f"run:{scope}\0{key}".encode(), digest_size=16).digest()


def row_hash(author: str, key: str) -> bytes:
    """Return what identifies a row by its own key: a program's keys are its own, and people at the desk share theirs."""
    own = f"{author}\0{key}" if author.startswith("api:") else key
    return blake2b(f"row:{own}".encode(), digest_size=16).digest()


def open_run(tx: Transaction, payloads: Sequence[Opening]) -> list[Run | FernamtError]:
    """Return the run of each key: a new one, or the one that was opened first."""
    return [_opened(tx, one) for one in payloads]


def _opened(tx: Transaction, one: Opening) -> Run | FernamtError:
    channels = tx.do.rows("SELECT id FROM channel WHERE name = ?", (one.channel,))
    if not channels:
        return NoSuchThing(f"The channel {one.channel!r} has never run. Start the daemon once: fernamt run")
    channel, digest, is_new = channels[0][0], run_hash(one.scope, one.key), 0
    known = tx.do.rows(_KNOWN, (digest,))
    if not known:
        # Two may come at once: the unique row lets one of them through.
        number = tx.do.next_id("notice_run")
        is_new = tx.do.one(
            "INSERT INTO notice_run (id, hash, key, template, channel, purpose, author, digest, total, given, at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?) ON CONFLICT (hash) DO NOTHING",
            (number, digest, one.key, one.template, channel, one.purpose, one.author, one.digest, one.total, tx.now_us),
        )
        known = tx.do.rows(_KNOWN, (digest,))
    [(number, template, line, total, given, cancelled_at, rows)] = known
    differs = [
        what
        for what, same in (
            ("another template", template == one.template),
            ("another channel", line == channel),
            (f"{total} rows", total == one.total),
        )
        if not same
    ] or ([] if bytes(rows) == one.digest else ["other values or recipients"])
    if differs:
        return KeyTaken(
            f"The key {one.key!r} was given before, for run {number} with {' and '.join(differs)}."
            " Nothing was queued. What is new needs a key of its own."
        )
    return Run(
        number=number,
        channel=line,
        total=total,
        given=given,
        is_new=bool(is_new),
        cancelled=cancelled_at is not None,
    )


def give(tx: Transaction, payloads: Sequence[Chunk]) -> list[int | FernamtError]:
    """Write the rows of chunks that are not written yet, and return how many rows of its run are given then."""
    giving = _Giving(tx, {one.run for one in payloads})
    todo = [giving.left_of(one) for one in payloads]
    giving.look_up([one for one in todo if not isinstance(one, FernamtError)])
    results = [one if isinstance(one, FernamtError) else giving.take(one) for one in todo]
    giving.write()
    return results


@define
class _Standing:
    """A run while a transaction gives rows of it."""

    channel: int
    template: str
    purpose: str
    author: str
    total: int
    given: int
    cancelled: int
    moved: bool = False


class _Giving:
    """What one transaction looked up and will write. Lives for one call."""

    def __init__(self, tx: Transaction, runs: Collection[int]) -> None:
        self._tx = tx
        self._batch = Batch()
        self._people = People(tx.do, self._batch, tx.now_us)
        self._conversations = Conversations(tx.do, self._batch, tx.now_us)
        rows = tx.do.among(
            "SELECT id, channel, template, purpose, author, total, given, cancelled_at IS NOT NULL FROM notice_run"
            f" WHERE id IN {{}} ORDER BY id{tx.do.lock}",
            sorted(runs),
        )
        self._runs = {row[0]: _Standing(*row[1:]) for row in rows}
        self._known: dict[bytes, Row] = {}

    def left_of(self, chunk: Chunk) -> Chunk | FernamtError:
        """Return what is not given yet of a chunk."""
        run = self._runs.get(chunk.run)
        if run is None:
            return NoSuchThing(f"There is no run {chunk.run}. fernamt notices lists them.")
        if run.cancelled:
            return NoSuchThing(f"Run {chunk.run} was cancelled. To send it after all, give it a key of its own.")
        if chunk.first - 1 > run.given or chunk.first - 1 + len(chunk.notices) > run.total:
            return NoSuchThing(f"Run {chunk.run} has {run.given} of {run.total} rows: give the next ones first.")
        done = run.given - (chunk.first - 1)
        first = chunk.first + done if done < len(chunk.notices) else chunk.first
        left = Chunk(run=chunk.run, first=first, notices=chunk.notices[done:], reopen_days=chunk.reopen_days)
        run.given += len(left.notices)
        return left

    def look_up(self, chunks: Sequence[Chunk]) -> None:
        """Read the people, the conversations that their next messages join, and the rows that were given before."""
        notices = [(chunk, one) for chunk in chunks for one in chunk.notices]
        self._people.look_up([str(one.to) for _, one in notices])
        places = [
            (person[0], self._runs[chunk.run].channel, "")
            for chunk, one in notices
            if (person := self._people.known(one.to)) is not None
        ]
        self._conversations.look_up(places, ())
        hashes = [row_hash(self._runs[chunk.run].author, one.key) for chunk, one in notices if one.key]
        rows = self._tx.do.among("SELECT hash, run, n, delivery, digest FROM notice WHERE hash IN {}", hashes)
        self._known = {bytes(row[0]): (*row[1:4], bytes(row[4])) for row in rows}

    def take(self, chunk: Chunk) -> int:
        """Plan the rows of a chunk."""
        run = self._runs[chunk.run]
        numbers = iter(self._tx.do.next_ids("delivery", len(chunk.notices)) if chunk.notices else ())
        for n, one in enumerate(chunk.notices, chunk.first):
            # The same key for another template is no repeat: nobody would notice that this one never went.
            said = blake2b(b"%s:%d:%s" % (run.template.encode(), run.channel, one.digest), digest_size=16).digest()
            digest = row_hash(run.author, one.key) if one.key else None
            first = self._known.get(digest) if digest is not None else None
            if first is None:
                delivery = next(numbers)
                self._deliver(run, chunk, n, one, delivery)
                row: Row = (chunk.run, n, delivery, digest, said if digest else None, None, None)
                if digest is not None:
                    self._known[digest] = (chunk.run, n, delivery, said)
            else:
                same = first[3] == said
                row = (chunk.run, n, first[2] if same else None, None, None, first[0], first[1])
            self._batch.add("insert notice", row)
            run.moved = True
        return run.given

    def _deliver(self, run: _Standing, chunk: Chunk, n: int, one: Notice, delivery: int) -> None:
        address, customer = self._people.number(one.to, one.name, evidence="a notice")
        row = self._conversation(address, customer, run.channel, chunk.reopen_days)
        if not row.last_n:
            row.state, row.language = ConversationState.TOLD, one.language
        entry = self._conversations.enter(row, "notice", channel=run.channel)
        data = {"notice": run.template, "run": chunk.run, "row": n, **one.data}
        self._conversations.fill(entry, one.text, author=run.author, html=one.html, data=data)
        now = self._tx.now_us
        queued = (delivery, entry, row.id, run.channel, address, DeliveryState.QUEUED, 0, now, None, now, now)
        self._batch.add("insert delivery", (*queued, "[]", "", "", run.purpose, 0, 0, 1))
        self._tx.topics.add(f"send:{run.channel}")

    def _conversation(self, address: int, customer: int, channel: int, reopen_days: float) -> ConversationRow:
        """Return the one that the person's next message there joins, unless it is over or holds nothing but old notices."""
        place = (address, channel, "")
        row = self._conversations.at(place)
        if row is not None and self._conversations.goes_on(row, reopen_days):
            fresh = row.changed_at >= self._tx.now_us - reopen_days * _DAY_US
            if row.state != ConversationState.TOLD or fresh:
                return row
        return self._conversations.open(customer, place)

    def write(self) -> None:
        """Write what was planned, and how far the runs came."""
        self._conversations.write()
        self._batch.write(self._tx.do)
        for number, run in sorted(self._runs.items()):
            if run.moved:
                self._tx.do.one("UPDATE notice_run SET given = ? WHERE id = ?", (run.given, number))
                self._tx.topics.add(f"run:{number}")


def cancel(tx: Transaction, payloads: Sequence[Cancelling]) -> list[tuple[int, int] | FernamtError]:
    """Refuse what has not left yet among the next rows of runs; return the last row looked at (0: that was all) and how many.

    From the first call on nothing more is given. Called until the row is 0.
    """
    return [_cancelled(tx, one) for one in payloads]


def _cancelled(tx: Transaction, one: Cancelling) -> tuple[int, int] | FernamtError:
    if not tx.do.one(
        "UPDATE notice_run SET cancelled_at = coalesce(cancelled_at, ?) WHERE id = ?", (tx.now_us, one.run)
    ):
        return NoSuchThing(f"There is no run {one.run}. fernamt notices lists them.")
    rows = tx.do.rows(
        "SELECT n, delivery FROM notice WHERE run = ? AND n > ? ORDER BY n LIMIT ?", (one.run, one.after, CHUNK * 4)
    )
    own = "SELECT delivery FROM notice WHERE run = ? AND of_run IS NULL AND n > ? AND n <= ?"
    count = tx.do.one(
        "UPDATE delivery SET state = 'refused', reason = ?, code = '', changed_at = ? WHERE id IN"
        f" (SELECT id FROM delivery WHERE state = 'queued' AND parts = 0 AND id IN ({own}) ORDER BY id{tx.do.lock})",
        (f"cancelled by {one.by}", tx.now_us, one.run, one.after, rows[-1][0] if rows else 0),
    )
    return (rows[-1][0] if len(rows) == CHUNK * 4 else 0), count
