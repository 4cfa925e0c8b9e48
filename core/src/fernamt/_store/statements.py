"""The hot statements, in batches, on the DBAPI connection that SQLAlchemy owns. What differs by engine is in a file each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final, TypeAlias

from attrs import define, frozen

from fernamt._store.pointers import NEAR_CONVERSATIONS, NEAR_CUSTOMERS, Link, Pointers
from fernamt._store.tables import metadata
from fernamt.model import ConversationState

Row: TypeAlias = tuple[Any, ...]
_SUBSCRIBERS_US: Final = 5_000_000
OF_A_MESSAGE: Final = ("customer", "address", "conversation", "entry", "raw")
"""The tables in which one message may make a row."""


def _insert(table: str) -> str:
    columns = [column.name for column in metadata.tables[table].columns]
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' for _ in columns)})"


# fmt: off
APPENDED: Final = (
    "customer", "address", "conversation", "thread", "participant", "entry", "content", "raw", "known", "piece",
    "consent", "delivery", "attempt", "fact", "early_receipt", "notice", "quarantine", "blob_ref", "link", "session", "turn",
)
# fmt: on

_PUT_KNOWN: Final = f"{_insert('known')} ON CONFLICT (hash) DO UPDATE SET conversation = excluded.conversation, n = excluded.n, at = excluded.at"

STATEMENTS: Final[Mapping[str, str]] = {
    **{f"insert {table}": _insert(table) for table in APPENDED},
    "insert participant": f"{_insert('participant')} ON CONFLICT DO NOTHING",
    "insert blob_ref": f"{_insert('blob_ref')} ON CONFLICT DO NOTHING",
    # Not looked up before: a second message with the id of a first one is stored, and the first one keeps the id.
    "insert known id": f"{_insert('known')} ON CONFLICT DO NOTHING",
    "put channel": f"{_insert('channel')} ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, label = excluded.label",
    "put known": _PUT_KNOWN,
    "put sent id": f"{_PUT_KNOWN} WHERE known.n IS NULL OR (known.conversation, known.n) <> (excluded.conversation, excluded.n)",
    "put thread": f"{_insert('thread')} ON CONFLICT (address, channel, place) DO UPDATE SET"
    " conversation = excluded.conversation",
    "put cursor": f"{_insert('cursor')} ON CONFLICT (channel, name) DO UPDATE SET value = excluded.value",
    "move conversation": "UPDATE conversation SET state = ?, last_n = ?, last_entry = ?, changed_at = ? WHERE id = ?",
    "move session": "UPDATE session SET version = ?, turn = ?, state = ?, at = ?, ended_at = coalesce(ended_at, ?)"
    " WHERE id = ?",
    "rename address": "UPDATE address SET handle = ? WHERE id = ?",
    "name delivery": "UPDATE delivery SET ids = ? WHERE id = ?",
    "pass part": "UPDATE delivery SET parts = parts + 1, parts_ids = ?, first_at = NULL WHERE id = ?",
    "split delivery": "UPDATE delivery SET parts_total = ? WHERE id = ?",
    "end delivery": "UPDATE delivery SET state = ?, next_at = ?, changed_at = ?, reason = ?, code = ?, ids = ? WHERE id = ?",
    "fold delivery": "UPDATE delivery SET state = ?, changed_at = ?, reason = ?, code = ? WHERE id = ?",
    "end attempt": "UPDATE attempt SET ended_at = ?, outcome = ?, reason = ?, code = ? WHERE delivery = ? AND n = ?",
    # A new number each time: whoever was at work on what was planned before ends nothing of this.
    "wake task": f"{_insert('task')} ON CONFLICT (key) DO UPDATE SET id = excluded.id, due_at = CASE"
    " WHEN task.due_at IS NULL OR task.tries = 0 AND task.due_at > excluded.due_at THEN excluded.due_at"
    " ELSE task.due_at END",
    # What a provider gives notice of again is fetched from its cursor again: what is new may stand on a page that was read.
    "fetch task": f"{_insert('task')} ON CONFLICT (key) DO UPDATE SET id = excluded.id, data = excluded.data,"
    " due_at = CASE WHEN task.due_at IS NULL OR task.tries = 0 THEN excluded.due_at ELSE task.due_at END",
    "put task": f"{_insert('task')} ON CONFLICT (key) DO UPDATE SET id = excluded.id, owner = excluded.owner,"
    " kind = excluded.kind, conversation = excluded.conversation, n = excluded.n, data = excluded.data,"
    " due_at = excluded.due_at, tries = 0, reason = '', since = excluded.since",
    "forget early_receipt": "DELETE FROM early_receipt WHERE id = ?",
}


@frozen
class Earlier:
    """What is wanted of earlier entries of a conversation: their kind, and what is read of each, from which tables."""

    kind: str
    columns: str
    tables: str


RECEIVED: Final = Earlier("received", "c.provider_id, c.data, e.at, e.id", "JOIN content c ON c.entry = e.id")
SENT: Final = Earlier("sent", "d.ids", "JOIN delivery d ON d.entry = e.id AND d.channel = e.channel AND d.ids <> '[]'")


@define
class ConversationRow:
    """A conversation while a transaction moves it on."""

    id: int
    customer: int
    kind: str = "support"
    state: str = ConversationState.OPEN
    language: str = ""
    last_n: int = 0
    last_entry: int = 0
    changed_at: int = 0
    linked: bool = False
    """Pointers lead from it or to it."""


class Batch:
    """Rows that a transaction will write, by statement, in the order in which the statements were first named."""

    def __init__(self) -> None:
        self._rows: dict[str, list[Row]] = {}

    def rows(self, statement: str) -> list[Row]:
        """Return the rows of a statement, to append to."""
        return self._rows.setdefault(statement, [])

    def add(self, statement: str, row: Row) -> None:
        """Plan one row."""
        self.rows(statement).append(row)

    def write(self, do: Statements) -> None:
        """Write all of it."""
        do.write(self._rows)


class Statements(ABC):
    """What the hot transactions say to the database. One instance a connection; not for two threads at a time."""

    placeholder: ClassVar[str]
    lock: ClassVar[str] = ""
    """Appended to a SELECT that precedes an update of the same rows."""

    def __init__(self, connection: Any) -> None:
        self.topics: set[str] = set()
        """What this transaction touches, for those who wait for it: ``conversation:<id>``, ``send:<channel>`` ..."""
        self._cursor = connection.cursor()
        self._sql = {name: sql.replace("?", self.placeholder) for name, sql in STATEMENTS.items()}
        self._subscribers: tuple[int, Mapping[str, Sequence[str]]] | None = None

    # ---- what differs by engine
    @abstractmethod
    def now_us(self) -> int:
        """Return the store's clock, which leases and due times are judged by."""

    @abstractmethod
    def next_id(self, table: str) -> int:
        """Return an id that no row of *table* has, larger than those that were given to this writer before.

        Where several write, only the ids of deliveries and links say whose was first.
        """

    def next_ids(self, table: str, count: int) -> list[int]:
        """Return so many ids, as :meth:`next_id` would one by one."""
        return [self.next_id(table) for _ in range(count)]

    @abstractmethod
    def begin(self) -> int:
        """Begin a transaction: forget what was remembered of an earlier one, and return the store's clock."""
        self.topics = set()
        return 0

    @abstractmethod
    def _execute_among(self, sql: str, values: Sequence[Any], first: Sequence[Any]) -> None:
        """Run ``... WHERE column IN <values> ...``, with ``{}`` in *sql* where the list stands, after a ``?`` for each of *first*."""

    @abstractmethod
    def earlier(self, of: Earlier, keys: Sequence[tuple[int, int]], channel: int, limit: int) -> list[Row]:
        """Return what precedes each (conversation, n) of *keys* on a channel, the latest *limit* entries of each; in no order.

        As (conversation, n of the key, n of the entry), and what is wanted *of* it.
        """

    @abstractmethod
    def _threads(self, keys: Sequence[tuple[int, int, str]]) -> list[Row]:
        """Return (address, channel, place, conversation) of the threads that are known; there are *keys*."""

    # ---- reading
    def among(self, sql: str, values: Sequence[Any], first: Sequence[Any] = ()) -> list[Row]:
        """Run a SELECT with ``IN {}`` for the *values*, after a ``?`` for each of *first*; nothing of no values."""
        if not values:
            return []
        self._execute_among(sql, values, first)
        found: list[Row] = self._cursor.fetchall()
        return found

    def known(self, hashes: Sequence[bytes]) -> dict[bytes, Row]:
        """Return hash -> (conversation, n, at) of those that are known."""
        rows = self.among("SELECT hash, conversation, n, at FROM known WHERE hash IN {}", hashes)
        return {bytes(row[0]): row[1:] for row in rows}

    def addresses(self, handles: Sequence[str]) -> dict[str, tuple[int, int]]:
        """Return handle -> (address, customer) of those that are known."""
        rows = self.among("SELECT handle, id, customer FROM address WHERE handle IN {}", handles)
        return {row[0]: (row[1], row[2]) for row in rows}

    def threads(self, keys: Sequence[tuple[int, int, str]]) -> dict[tuple[int, int, str], int]:
        """Return (address, channel, place) -> conversation of those that are known."""
        return {row[:3]: row[3] for row in self._threads(keys)} if keys else {}

    def conversations(self, ids: Sequence[int]) -> dict[int, ConversationRow]:
        """Return the conversations, locked until the end of the transaction, in the order of their ids."""
        sql = (
            "SELECT id, customer, kind, state, language, last_n, last_entry, changed_at, linked FROM conversation"
            " WHERE id IN {} ORDER BY id" + self.lock
        )
        return {row[0]: ConversationRow(*row) for row in self.among(sql, ids)}

    def participants(self, conversations: Sequence[int]) -> set[tuple[int, int]]:
        """Return (conversation, address) of the people beside the customer."""
        rows = self.among("SELECT conversation, address FROM participant WHERE conversation IN {}", conversations)
        return {(row[0], row[1]) for row in rows}

    def pointers(self, numbers: Sequence[int], *, customers: bool = False) -> Pointers:
        """Return where conversations, or customers, lead to: whatever is tied to them, in one read."""
        rows = self.among(NEAR_CUSTOMERS if customers else NEAR_CONVERSATIONS, numbers)
        return Pointers(Link(*row) for row in rows)

    def subscribers(self, now_us: int) -> Mapping[str, Sequence[str]]:
        """Return kind of entry -> who is told of it. Another runner's new subscriber is known here after 5 s at the latest."""
        known = self._subscribers
        if known is None or abs(now_us - known[0]) > _SUBSCRIBERS_US:
            wanted: dict[str, list[str]] = {}
            for kind, subscriber in self.rows("SELECT kind, subscriber FROM subscription ORDER BY kind, subscriber"):
                wanted.setdefault(kind, []).append(subscriber)
            self._subscribers = known = (now_us, wanted)
        return known[1]

    def forget_subscribers(self) -> None:
        """Read anew who is told."""
        self._subscribers = None

    def session_turns(self, ids: Sequence[int]) -> dict[int, int]:
        """Return session -> its turn, locked until the end of the transaction."""
        return dict(self.among("SELECT id, version FROM session WHERE id IN {} ORDER BY id" + self.lock, ids))

    def session_calls(self, channel: int, calls: Sequence[str]) -> set[str]:
        """Return which of these calls on a channel have a session."""
        rows = self.among(f"SELECT call FROM session WHERE channel = {channel:d} AND call IN {{}}", calls)
        return {row[0] for row in rows}

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run one statement with ``?`` for its values and return what it gives."""
        self._cursor.execute(sql.replace("?", self.placeholder), values)
        found: list[Row] = self._cursor.fetchall()
        return found

    # ---- writing
    def many(self, name: str, rows: Iterable[Row]) -> None:
        """Run the statement called *name* once for each row."""
        self._cursor.executemany(self._sql[name], rows)

    def write(self, rows: Mapping[str, Sequence[Row]]) -> None:
        """Run each statement for its rows, in no order that counts: none may see what another one wrote."""
        for name, given in rows.items():
            if given:
                self.many(name, given)

    def change(self, sql: str, values: Sequence[Any], first: Sequence[Any] = ()) -> None:
        """Run a statement that writes, with ``IN {}`` for the *values*, after a ``?`` for each of *first*."""
        if values:
            self._execute_among(sql, values, first)

    def one(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run one statement with ``?`` for its values and return how many rows it changed."""
        self._cursor.execute(sql.replace("?", self.placeholder), values)
        changed: int = self._cursor.rowcount
        return changed
