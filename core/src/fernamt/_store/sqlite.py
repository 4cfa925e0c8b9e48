"""What SQLite wants said differently."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from fernamt._store.statements import OF_A_MESSAGE, Earlier, Row, Statements


class SqliteStatements(Statements):
    """There is one writer at a time (``BEGIN IMMEDIATE``), so the highest id is the last one, and nothing needs a lock."""

    placeholder = "?"

    def __init__(self, connection: Any, now_us: Callable[[], int]) -> None:
        super().__init__(connection)
        self._now_us = now_us
        self._last: dict[str, int] = {}

    def now_us(self) -> int:
        """Every process on this machine has the same clock."""
        return self._now_us()

    def begin(self) -> int:
        super().begin()
        self._last.clear()
        return self._now_us()

    def next_id(self, table: str) -> int:
        last = self._last.get(table)
        if last is None:
            last = self._highest(table)
        self._last[table] = last = last + 1
        return last

    def _highest(self, table: str) -> int:
        """Ask the database, for another process may have written since the last transaction.

        All tables of a message at once: each statement gives up the interpreter's lock, and gets it back only when the event
        loop lets go of it.
        """
        tables = OF_A_MESSAGE if table in OF_A_MESSAGE else (table,)
        highest = ", ".join(f"(SELECT coalesce(max(id), 0) FROM {one})" for one in tables)
        self._last |= zip(tables, self.rows(f"SELECT {highest}")[0], strict=True)
        return self._last[table]

    def _execute_among(self, sql: str, values: Sequence[Any], first: Sequence[Any]) -> None:
        places = _power_of_two(len(values))
        marks = f"({'?,' * (places - 1)}?)"
        self._cursor.execute(sql.format(marks), [*first, *values, *[values[-1]] * (places - len(values))])

    def earlier(self, of: Earlier, keys: Sequence[tuple[int, int]], channel: int, limit: int) -> list[Row]:
        if not keys:
            return []
        places = _power_of_two(len(keys))
        values = [*chain.from_iterable(keys), *[0] * 2 * (places - len(keys))]
        return self.rows(
            f"WITH k (conversation, n) AS (VALUES {'(?, ?), ' * (places - 1)}(?, ?))"
            f" SELECT k.conversation, k.n, e.n, {of.columns} FROM k CROSS JOIN entry e {of.tables} WHERE e.id IN"
            " (SELECT i.id FROM entry i WHERE i.conversation = k.conversation AND i.n < k.n AND i.channel = ? AND i.kind = ?"
            " ORDER BY i.n DESC LIMIT ?)",
            [*values, channel, of.kind, limit],
        )

    def _threads(self, keys: Sequence[tuple[int, int, str]]) -> list[Row]:
        places = _power_of_two(len(keys))
        values = [value for key in (*keys, *[keys[-1]] * (places - len(keys))) for value in key]
        return self.rows(
            f"WITH k (address, channel, place) AS (VALUES {'(?, ?, ?), ' * (places - 1)}(?, ?, ?))"
            " SELECT t.address, t.channel, t.place, t.conversation FROM k JOIN thread t"
            " ON t.address = k.address AND t.channel = k.channel AND t.place = k.place",
            values,
        )


def _power_of_two(count: int) -> int:
    """So many places a statement gets, so that the statement cache knows its text; the last value fills what is left."""
    return 1 << (count - 1).bit_length()
