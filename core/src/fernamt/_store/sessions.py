"""Live exchanges: the turn that each is at, and the transaction that moves one on if nobody else did meanwhile.

The session's version is compared and raised in that transaction, together with the event's key, what is noted of it and the
actions of the new turn. So of two runners that make a step from the same state one is told so and steps again, and what is
rendered is always what was committed. A version is the number of its turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from hashlib import blake2b
from typing import Final

from attrs import field, frozen

from fernamt._store.conversations import Conversations
from fernamt._store.effects import Asking, apply_effects
from fernamt._store.people import People
from fernamt._store.reception import Line
from fernamt._store.statements import Batch, ConversationRow, Statements
from fernamt._store.transaction import Transaction
from fernamt.effects import Effect
from fernamt.model import NOTHING, Address, Attachment, ConversationState, Json

PLACE: Final = ""
"""A call joins what its caller has open on the channel, as a message would."""
_COLUMNS: Final = "id, address, conversation, language, turn, menu, digest, state, at, ended_at"


@frozen(kw_only=True)
class Standing:
    """A live exchange at one of its turns, as it was committed."""

    id: int
    address: int
    conversation: int
    language: str
    turn: int
    menu: str
    """``<plugin>.<name>``; empty: none was configured when it began."""
    digest: str
    state: str = field(repr=False)
    """Of the menu, JSON; ``null``: it was never asked."""
    at_us: int
    """When the turn was committed."""
    ended: bool
    """There is nothing left to step: we hung up, or the line is gone."""
    actions: str = field(repr=False)
    """Of the turn, JSON."""


@frozen(kw_only=True)
class Noted:
    """An entry about a step: the caller's own, or one of *author*."""

    kind: str
    text: str = field(default="", repr=False)
    data: Mapping[str, Json] = NOTHING
    author: str | None = None
    by_caller: bool = False
    attachments: tuple[Attachment, ...] = ()
    key: str = ""


@frozen(kw_only=True)
class Move:
    """A step that was made from *origin* and is to be committed."""

    line: Line
    key: bytes
    """Of the event: see :func:`event_hash`."""
    call: str
    address: Address
    origin: Standing | None
    """``None``: the exchange is not known here yet."""
    language: str
    menu: str
    digest: str
    state: str = field(repr=False)
    actions: str = field(repr=False)
    ends: bool = False
    entries: tuple[Noted, ...] = ()
    plugin: str = ""
    """Whose menu made the step."""
    effects: tuple[Effect, ...] = ()
    """What it asked for beside the line; storable."""
    conversation: int = 0
    """Where an exchange begins; 0: in what the person has open on the channel, as a call does."""
    instead_of: bytes = b""
    """The key of an event whose answer is not given yet: it gets this turn, and so will its repeats."""


class Outcome(Enum):
    """What became of a move: it was made; its event had been taken; or the session had moved on."""

    MADE = "made"
    REPEAT = "repeat"
    STALE = "stale"


@frozen
class Moved:
    """*standing* is at the turn that was made, at that of the repeated event, or (stale) at the current one."""

    outcome: Outcome
    standing: Standing
    current: bool = True
    """The session has no later turn."""


def event_hash(line: Line, call: str, key: str) -> bytes:
    """Return what identifies an event of a live exchange: a domain of its own, within the call."""
    return blake2b(b"s%d:%d:%s%s" % (line.number, len(call), call.encode(), key.encode()), digest_size=16).digest()


def standing_of(do: Statements, channel: int, call: str, key: bytes = b"") -> Moved | None:
    """Return where an exchange stands, or stood when the event with that *key* was taken; ``None``: it is not known."""
    rows = do.rows(f"SELECT {_COLUMNS} FROM session WHERE channel = ? AND call = ?", (channel, call))
    if not rows:
        return None
    number, address, conversation, language, turn, menu, digest, state, at_us, ended_at = rows[0]
    first = do.known([key]).get(key) if key else None
    shown = turn if first is None else first[1]
    actions = do.rows("SELECT actions FROM turn WHERE session = ? AND n = ?", (number, shown))[0][0]
    standing = Standing(
        id=number,
        address=address,
        conversation=conversation,
        language=language,
        turn=shown,
        menu=menu,
        digest=digest,
        state=state,
        at_us=at_us,
        ended=ended_at is not None,
        actions=actions,
    )
    return Moved(Outcome.STALE if first is None else Outcome.REPEAT, standing, shown == turn)


def move(tx: Transaction, payloads: Sequence[Move]) -> list[Moved]:
    """Commit each step whose session still stands where it was made from; see :class:`fernamt._store.writer.Operation`.

    Raises:
        Unsupported: An effect cannot be applied, and never will be: nothing of the transaction may be committed.
    """
    plan = _Plan(tx, payloads)
    made = [plan.made(one) for one in payloads]
    plan.write()
    return [
        Moved(Outcome.MADE, standing) if standing is not None else _found(tx.do, one)
        for one, standing in zip(payloads, made, strict=True)
    ]


def _found(do: Statements, one: Move) -> Moved:
    found = standing_of(do, one.line.number, one.call, one.key)
    assert found is not None, "a move is refused only for a session that is there"
    return found


class _Plan:
    """What one transaction looked up and will write. Lives for one call."""

    def __init__(self, tx: Transaction, moves: Sequence[Move]) -> None:
        self._tx = tx
        self._now = tx.now_us
        self._batch = Batch()
        self._people = People(tx.do, self._batch, tx.now_us)
        self._conversations = Conversations(tx.do, self._batch, tx.now_us)
        self._effects: list[tuple[Move, ConversationRow]] = []
        # What locks rows comes in the same order everywhere: conversations before all else.
        beginning = [one for one in moves if one.origin is None]
        self._people.look_up([str(one.address) for one in beginning])
        people = [(self._people.known(one.address), one.line.number) for one in beginning]
        places = [(person[0], channel, PLACE) for person, channel in people if person is not None]
        origins = [one.origin for one in moves if one.origin is not None]
        wanted = {one.conversation for one in moves if one.conversation}
        self._conversations.look_up(places, wanted | {origin.conversation for origin in origins})
        self._known = set(tx.do.known([one.key for one in moves]))
        self._turns = tx.do.session_turns([origin.id for origin in origins])
        self._calls: set[tuple[int, str]] = set()
        for channel in {one.line.number for one in beginning}:
            calls = [one.call for one in beginning if one.line.number == channel]
            self._calls |= {(channel, call) for call in tx.do.session_calls(channel, calls)}

    def made(self, one: Move) -> Standing | None:
        """Plan a step, or return ``None``: its event was taken before, or its session moved on."""
        if one.key in self._known:
            return None
        origin, place = one.origin, (one.line.number, one.call)
        if origin is None:
            if place in self._calls:
                return None
            self._calls.add(place)
            row, standing = self._begun(one)
        else:
            found = self._conversations.get(origin.conversation, None)
            if found is None or self._turns.get(origin.id) != origin.turn:
                return None
            row, standing = found, self._moved_on(one, origin)
        self._turns[standing.id] = standing.turn
        self._batch.add("insert turn", (standing.id, standing.turn, one.actions))
        self._known.add(one.key)
        self._batch.add("insert known", (one.key, row.id, standing.turn, self._now))
        if one.instead_of:
            self._batch.add("put known", (one.instead_of, row.id, standing.turn, self._now))
        for noted in one.entries:
            self._note(one, noted, row, standing)
        if one.effects:
            self._effects.append((one, row))
        return standing

    def _begun(self, one: Move) -> tuple[ConversationRow, Standing]:
        author, customer = self._people.number(one.address, evidence="called")
        conversations, channel = self._conversations, one.line.number
        row = conversations.get(one.conversation, None) if one.conversation else None
        if row is None:
            row = conversations.at((author, channel, PLACE))
            if row is None or not conversations.goes_on(row, one.line.reopen_days):
                row = conversations.open(customer, (author, channel, PLACE))
            elif row.state == ConversationState.SOLVED:
                conversations.enter(row, "reopened")
        standing = Standing(
            id=self._tx.do.next_id("session"),
            address=author,
            conversation=row.id,
            language=row.language or one.language,
            turn=1,
            menu=one.menu,
            digest=one.digest,
            state=one.state,
            at_us=self._now,
            ended=one.ends,
            actions=one.actions,
        )
        whole = (standing.id, channel, one.call, author, row.id, standing.language, 1, 1, one.menu, one.digest)
        self._batch.add("insert session", (*whole, one.state, self._now, self._now if one.ends else None))
        return row, standing

    def _moved_on(self, one: Move, origin: Standing) -> Standing:
        turn = origin.turn + 1
        ended_at = self._now if one.ends else None
        self._batch.add("move session", (turn, turn, one.state, self._now, ended_at, origin.id))
        return Standing(
            id=origin.id,
            address=origin.address,
            conversation=origin.conversation,
            language=origin.language,
            turn=turn,
            menu=origin.menu,
            digest=origin.digest,
            state=one.state,
            at_us=self._now,
            ended=one.ends or origin.ended,
            actions=one.actions,
        )

    def _note(self, one: Move, noted: Noted, row: ConversationRow, standing: Standing) -> None:
        author = standing.address if noted.by_caller else None
        entry = self._conversations.enter(row, noted.kind, author=author, channel=one.line.number)
        data = {**noted.data, "session": standing.id, "turn": standing.turn}
        self._conversations.fill(
            entry, noted.text, author=noted.author, data=data, attachments=noted.attachments, key=noted.key
        )

    def write(self) -> None:
        """Write what was planned; effects after it, for what they write is numbered after it."""
        self._conversations.write()
        self._batch.write(self._tx.do)
        for one, row in self._effects:
            apply_effects(self._tx, Asking(plugin=one.plugin, conversation=row.id, n=row.last_n), one.effects)
