"""Menus in writing: where somebody stands in one, and the transaction that takes them a step further.

One session for each lane (a conversation, a channel, whoever writes there). What the customer wrote, the state that follows, what is
written back and the time-out stand in one transaction with the end of the task that is about it: so nothing is asked twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from attrs import field, frozen

from fernamt._store.automatic import automatic_since
from fernamt._store.consents import said_by, why_not
from fernamt._store.conversations import EVERYBODY
from fernamt._store.desk import Composition, compose
from fernamt._store.names import Names
from fernamt._store.reception import Line
from fernamt._store.sessions import Move, Moved, Outcome, event_hash, move, standing_of
from fernamt._store.statements import Statements
from fernamt._store.subscriptions import advance, remember
from fernamt._store.tasks import Errand, Task, cancel_task, plan_tasks
from fernamt._store.transaction import Transaction
from fernamt.errors import Unsupported
from fernamt.model import Button, Json, Purpose

SUBSCRIBER: Final = "core-menus.writing"
OWNER: Final = "work:core-menus"
HEARS: Final = frozenset({"received", "sent", "solved"})
"""Kinds of entries that a menu in writing is told of."""
_DAY_US: Final = 86_400_000_000
_WORK: Final = ("callback", "handover", "voicemail")
"""Entries that want a person."""
_KEPT: Final = frozenset({"at", "window_until"})
"""What is kept of an entry whose words are not."""
_BY_A_PERSON: Final = "e.kind = 'sent' AND (c.author IS NULL OR substr(c.author, 1, 6) = 'agent:')"
"""Also what a colleague wrote in the provider's own app: its author is an address."""


@frozen(kw_only=True)
class Lane:
    """Where one person is led through a menu."""

    conversation: int
    line: Line
    address: int
    """0: of nobody whom we know."""

    @property
    def name(self) -> str:
        """Its name within the conversation."""
        return f"{self.line.number}:{self.address}"

    def call(self, n: int) -> str:
        """Return the name of the session that begins with entry *n*."""
        return f"text:{self.conversation}:{self.address}:{n}"


@frozen(kw_only=True)
class Situated:
    """A lane, and what matters for what may be written there."""

    lane: Lane
    call: str = ""
    """Of its last session; empty: there was none."""
    moved: Moved | None = None
    """Where that stands."""
    is_over: bool = False
    """It ended with a person: no other begins before the conversation is solved."""
    is_taken: bool = False
    """A person writes here, or it is a room: no menu begins."""
    is_stopped: bool = False
    """The person wants no messages here: what a menu says would not reach them."""
    today: int = 0
    """So many automatic messages the person got within the last 24 hours."""


@frozen(kw_only=True)
class Advance:
    """A step of a lane that is to be committed."""

    move: Move
    lane: Lane
    n: int
    """The entry that it is about."""
    text: str = field(default="", repr=False)
    buttons: tuple[Button, ...] = ()
    menu: str = ""
    handover: Mapping[str, Json] | None = None
    """A person takes over, who is told this."""
    handover_text: str = ""
    secret: bool = False
    """The entry answers a question whose answer must not be kept."""
    wait_us: int = 0
    """So long an answer is waited for; 0: none is."""
    again: bool = False
    """Nobody answered the last question either."""

    by_person: bool = False
    """A person ended it: nobody has to be told to take over."""

    @property
    def plugin(self) -> str:
        """Whose menu it is."""
        return self.move.plugin


def situated(
    do: Statements, names: Names, line: Line, conversation: int, author: str, memory: Mapping[str, Any]
) -> Situated:
    """Return how it stands in the lane of *author*, with what was remembered of the conversation."""
    found = do.rows("SELECT id FROM address WHERE handle = ?", (author,))
    lane = Lane(conversation=conversation, line=line, address=found[0][0] if found else 0)
    call, over = memory.get(lane.name) or ("", False)
    return Situated(
        lane=lane,
        call=call,
        moved=standing_of(do, line.number, call) if call else None,
        is_over=bool(over),
        is_taken=not found or _is_taken(do, conversation),
        is_stopped=bool(why_not(said_by(do, names, line.number, [author]), author, Purpose.REPLY)),
        today=automatic_since(do, lane.address, line.number, do.now_us() - _DAY_US, conversation=conversation),
    )


def _is_taken(do: Statements, conversation: int) -> bool:
    room = do.rows("SELECT 1 FROM thread WHERE address = ? AND conversation = ?", (EVERYBODY, conversation))
    solved = "SELECT coalesce(max(n), 0) FROM entry WHERE conversation = ? AND kind = 'solved'"
    person = do.rows(
        f"SELECT 1 FROM entry e JOIN content c ON c.entry = e.id WHERE e.conversation = ? AND e.n > ({solved})"
        f" AND {_BY_A_PERSON} LIMIT 1",
        (conversation, conversation),
    )
    return bool(room or person)


def is_overtaken(tx: Transaction, conversation: int, n: int) -> bool:
    """Lock the conversation, and say whether a person wrote in it after entry *n*."""
    tx.do.conversations([conversation])
    return bool(
        tx.do.rows(
            "SELECT 1 FROM entry e JOIN content c ON c.entry = e.id WHERE e.conversation = ? AND e.n > ?"
            f" AND {_BY_A_PERSON} LIMIT 1",
            (conversation, n),
        )
    )


def take(tx: Transaction, one: Advance, memory: dict[str, Json]) -> None:
    """Commit a step: state, what the menu asked for, what is written, who takes over, and until when an answer is waited for.

    Raises:
        Unsupported: Something of it can never be done; nothing may be committed.
    """
    [moved] = move(tx, [one.move])
    if moved.outcome is Outcome.REPEAT:
        return
    if moved.outcome is Outcome.STALE:
        raise Unsupported("somebody else moved this session on")
    lane = one.lane
    if one.secret:
        _forget_words(tx, lane.conversation, one.n)
    wants_person = not one.by_person and (one.handover is not None or (one.move.ends and _wants_person(tx, one)))
    written = _compositions(one, wants_person=wants_person)
    for result in compose(tx, written) if written else ():
        if isinstance(result, Exception):
            raise Unsupported(str(result)) from result
    memory[lane.name] = [one.move.call, wants_person and one.move.ends]
    if one.wait_us and not one.move.ends:
        plan_tasks(tx, [_errand(one, moved.standing.turn, tx.now_us + one.wait_us)], replace=True)
    elif not one.again:  # else this is the task of that key, and ends by itself
        cancel_task(tx, _key(lane, one.move.call))


def _compositions(one: Advance, *, wants_person: bool) -> list[Composition]:
    author = f"plugin:{one.plugin}"
    found: list[Composition] = []
    if one.text or one.buttons:
        said = Composition(
            conversation=one.lane.conversation,
            kind="sent",
            author=author,
            text=one.text,
            to=(one.move.address,),
            channel=one.lane.line.id,
            buttons=one.buttons,
            automatic=True,
            data={"menu": one.menu},
        )
        found.append(said)
    if wants_person:
        data = one.handover or {"menu": one.menu}
        text = one.handover_text or f"The menu {one.menu} leaves this to a person."
        found.append(
            Composition(conversation=one.lane.conversation, kind="handover", author=author, text=text, data=data)
        )
    return found


def _wants_person(tx: Transaction, one: Advance) -> bool:
    """Say whether the menu noted something that a person must do, since it began."""
    first = int(one.move.call.rpartition(":")[2])
    rows = tx.do.rows(
        "SELECT DISTINCT kind FROM entry WHERE conversation = ? AND n >= ?", (one.lane.conversation, first)
    )
    return any(kind in _WORK for (kind,) in rows)


def _errand(one: Advance, turn: int, due_us: int) -> Errand:
    data: dict[str, Json] = {"channel": one.lane.line.id, "call": one.move.call, "turn": turn, "again": one.again}
    return Errand(
        owner=OWNER,
        kind="silence",
        key=_key(one.lane, one.move.call),
        conversation=one.lane.conversation,
        n=one.n,
        data={**data, "author": str(one.move.address)},
        due_us=due_us,
    )


def _key(lane: Lane, call: str) -> str:
    return f"silence:{lane.line.number}:{call}"


def _forget_words(tx: Transaction, conversation: int, n: int) -> None:
    """Take a secret out of the entry that brought it, and out of what that was read from."""
    rows = tx.do.rows(
        "SELECT e.id, c.raw, c.data FROM entry e JOIN content c ON c.entry = e.id WHERE e.conversation = ? AND e.n = ?",
        (conversation, n),
    )
    for entry, raw, words in rows:
        known: dict[str, Any] = orjson.loads(words or "{}")
        kept = {name: known[name] for name in _KEPT & known.keys()}
        data = orjson.dumps({**kept, "secret": True}).decode()
        tx.do.one("UPDATE content SET text = '', html = NULL, data = ?, raw = NULL WHERE entry = ?", (data, entry))
        if raw is not None:
            tx.do.one("DELETE FROM blob_ref WHERE owner = ?", (f"raw:{raw}",))
            tx.do.one("DELETE FROM raw WHERE id = ?", (raw,))


def note_told(tx: Transaction, conversation: int, n: int) -> None:
    """Note that menus were told of everything up to entry *n*."""
    advance(tx, SUBSCRIBER, conversation, n)


def note_lanes(tx: Transaction, conversation: int, memory: Mapping[str, Json]) -> None:
    """Keep which session each lane of a conversation had last."""
    remember(tx, SUBSCRIBER, conversation, memory)


def later(tx: Transaction, task: Task, n: int) -> None:
    """Plan the task again, for the entries from *n* on."""
    errand = Errand(
        owner=task.owner,
        kind=task.kind,
        key=task.key,
        conversation=task.conversation,
        n=n,
        data=task.data,
        due_us=tx.now_us,
    )
    plan_tasks(tx, [errand], replace=True)


def step_key(lane: Lane, call: str, what: str) -> bytes:
    """Return what identifies a step of a session: the entry or the silence that it follows."""
    return event_hash(lane.line, call, what)


def live_calls(memory: Mapping[str, Any]) -> Sequence[tuple[int, int, str]]:
    """Return channel, address and session of every lane of a conversation that has had one."""
    found = []
    for name, one in memory.items():
        channel, _, address = name.partition(":")
        found.append((int(channel), int(address), str(one[0])))
    return found
