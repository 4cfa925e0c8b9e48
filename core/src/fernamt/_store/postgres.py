"""What PostgreSQL wants said differently."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy.dialects import postgresql

from fernamt._store.statements import APPENDED, OF_A_MESSAGE, STATEMENTS, Earlier, Row, Statements
from fernamt._store.tables import metadata

_IDS_AT_ONCE: Final = 256
_BEGIN: Final = """SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
 set_config('synchronous_commit', 'on', true), set_config('lock_timeout', '10000', true),
 set_config('idle_in_transaction_session_timeout', '3000', true),
 set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)"""
"""Every transaction says so itself, with the question that it asks anyway: acknowledged is durable whatever the server is told
otherwise, and behind a pooler a setting of the session would be somebody else's. A runner that is halted in the middle of a
transaction must not keep its rows from those who would take over from it. And what a writer asks has an index: until the server
has counted a table that grows it takes it for a small one, and would read all of it for each group of messages."""
_ONE_BY_ONE: Final = frozenset({"consent", "delivery", "link", "notice_run"})
"""Numbers that say what comes first, whichever process took them, or that people type: none is kept for later."""


_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy has no types for it


def _columns(table: str, names: Sequence[str]) -> str:
    columns = metadata.tables[table].columns
    types = [columns[name].type.compile(dialect=_DIALECT).lower() for name in names]
    arrays = ", ".join(f"{'%b' if one == 'bytea' else '%t'}::{one}[]" for one in types)
    return f"FROM unnest({arrays}) AS given ({', '.join(names)})"


def _escaped(words: str | None) -> str | None:
    return words and words.replace("\\", "\\\\").replace('"', '\\"')


def _array(column: Sequence[Any], kind: str) -> str | list[Any]:
    """Return an array as PostgreSQL reads it: psycopg would go from value to value in Python. It is left those of bytes."""
    if kind == "bytea":
        return [*column]
    if kind == "text":
        quoted = [f'"{one}"' if one is not None else "NULL" for one in map(_escaped, column)]
        return f"{{{','.join(quoted)}}}"
    return f"{{{str([*column])[1:-1]}}}".replace("None", "NULL")


def _insert_set(table: str, statement: str) -> str:
    """Return the statement that inserts all rows of a set at once, given its columns as arrays."""
    names = [column.name for column in metadata.tables[table].columns]
    head, _, conflict = STATEMENTS[statement].partition("VALUES")
    return f"{head}SELECT {', '.join(names)} {_columns(table, names)}{conflict.partition(')')[2]}"


def _update_set(table: str, key: str, *names: str) -> str:
    """Return the statement that updates all rows of a set at once, given *names* and last the columns of the key."""
    keys = key.split()
    changed = ", ".join(f"{name} = given.{name}" for name in names)
    same = " AND ".join(f"{table}.{name} = given.{name}" for name in keys)
    return f"UPDATE {table} SET {changed} {_columns(table, [*names, *keys])} WHERE {same}"


_SETS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{f"insert {table}": _insert_set(table, f"insert {table}") for table in APPENDED},
        "insert known id": _insert_set("known", "insert known id"),
        # One id twice in one set would be an error; it is the provider's, and either message may have it.
        "put sent id": _insert_set("known", "put sent id").replace("SELECT", "SELECT DISTINCT ON (hash)"),
        "move conversation": _update_set("conversation", "id", "state", "last_n", "last_entry", "changed_at"),
        "end attempt": _update_set("attempt", "delivery n", "ended_at", "outcome", "reason", "code"),
        "end delivery": _update_set("delivery", "id", "state", "next_at", "changed_at", "reason", "code", "ids"),
    }
)
"""A statement for many rows: columns as arrays cost psycopg and the server a fraction of row after row.

All of a batch are one statement, so that it waits for the server once. A pipeline would do that too, but the server does not call
a client idle whose pipeline is not complete: a runner that is halted in the middle of one would keep its rows locked for ever.
"""


def is_pooled(connection: Any) -> bool:
    """Say whether a pooler stands between us and the server: then the next statement may meet another session.

    It is told by the process that answers, which is not the one that greeted us.
    """
    answers: int = connection.execute("SELECT pg_backend_pid()").fetchone()[0]
    greeted: int = connection.info.backend_pid
    return answers != greeted


class PostgresStatements(Statements):
    """Several runners write: ids come from sequences, a handful at a time, and rows that move are locked in one order.

    A number from a sequence stays ours, whatever becomes of the transaction.
    """

    placeholder = "%s"
    lock = " FOR UPDATE"

    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        self._ids: defaultdict[str, deque[int]] = defaultdict(deque)
        self._together: dict[tuple[str, ...], tuple[str, list[str]]] = {}

    def now_us(self) -> int:
        now: int = self.rows(_BEGIN)[0][0]
        return now

    def begin(self) -> int:
        super().begin()
        self._cursor.execute(f"BEGIN; {_BEGIN}", prepare=False)  # by itself the driver would wait for BEGIN first
        self._cursor.nextset()
        now: int = self._cursor.fetchone()[0]
        return now

    def next_id(self, table: str) -> int:
        if not self._ids[table]:
            count = 1 if table in _ONE_BY_ONE else _IDS_AT_ONCE
            tables = OF_A_MESSAGE if table in OF_A_MESSAGE else (table,)
            numbers = ", ".join(f"nextval('{one}_id_seq')" for one in tables)
            rows = self.rows(f"SELECT {numbers} FROM generate_series(1, {count})")
            for one, column in zip(tables, zip(*rows, strict=True), strict=True):
                self._ids[one] = deque(column)  # what is left of the last lot would pile up, and grow old
        return self._ids[table].popleft()

    def next_ids(self, table: str, count: int) -> list[int]:
        return [row[0] for row in self.rows(f"SELECT nextval('{table}_id_seq') FROM generate_series(1, {count:d})")]

    def many(self, name: str, rows: Iterable[Row]) -> None:
        if name in _SETS:
            self.write({name: list(rows)})
            return
        for row in rows:  # executemany would be a pipeline
            self._cursor.execute(self._sql[name], row)

    def write(self, rows: Mapping[str, Sequence[Row]]) -> None:
        sets = {name: given for name, given in rows.items() if given and name in _SETS}
        if sets:
            sql, kinds = self._in_one(*sets)
            columns = [column for given in sets.values() for column in zip(*given, strict=True)]
            self._cursor.execute(sql, [_array(*one) for one in zip(columns, kinds, strict=True)])
        super().write({name: given for name, given in rows.items() if name not in sets})

    def _in_one(self, *names: str) -> tuple[str, list[str]]:
        """Return the statement that does all of these at once, and the kind of each column; there are few that recur."""
        if names not in self._together:
            *further, last = [_SETS[name] for name in names]
            parts = ", ".join(f"w{at} AS ({sql})" for at, sql in enumerate(further))
            sql = f"WITH {parts} {last}" if parts else last
            self._together[names] = sql, re.findall(r"%[bt]::(\w+)", sql)
        return self._together[names]

    def _execute_among(self, sql: str, values: Sequence[Any], first: Sequence[Any]) -> None:
        self._cursor.execute(sql.replace("?", "%s").replace("IN {}", "= ANY(%b)"), [*first, list(values)])

    def earlier(self, of: Earlier, keys: Sequence[tuple[int, int]], channel: int, limit: int) -> list[Row]:
        if not keys:
            return []
        return self.rows(
            f"SELECT k.conversation, k.n, e.n, {of.columns} FROM unnest(?::bigint[], ?::int[]) AS k (conversation, n)"
            " CROSS JOIN LATERAL (SELECT * FROM entry i WHERE i.conversation = k.conversation AND i.n < k.n"
            f" AND i.channel = ? AND i.kind = ? ORDER BY i.n DESC LIMIT ?) e {of.tables}",
            [*map(list, zip(*keys, strict=True)), channel, of.kind, limit],
        )

    def _threads(self, keys: Sequence[tuple[int, int, str]]) -> list[Row]:
        return self.rows(
            "SELECT t.address, t.channel, t.place, t.conversation FROM thread t"
            " JOIN unnest(?::bigint[], ?::bigint[], ?::text[]) AS k (address, channel, place)"
            " ON t.address = k.address AND t.channel = k.channel AND t.place = k.place",
            [*map(list, zip(*keys, strict=True))],
        )
