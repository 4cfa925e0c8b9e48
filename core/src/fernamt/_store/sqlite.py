"""What SQLite wants said differently."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fernamt._store.statements import Row, Statements


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

    def begin(self) -> None:
        self._last.clear()

    def next_id(self, table: str) -> int:
        last = self._last.get(table)
        if last is None:
            # Another process may have written since the last transaction.
            last = self.rows(f"SELECT coalesce(max(id), 0) FROM {table}")[0][0]
        self._last[table] = last = last + 1
        return last

    def _among(self, sql: str, values: Sequence[Any]) -> list[Row]:
        if not values:
            return []
        # A power of two of places, so that the statement cache knows the text: the last value fills what is left.
        places = 1 << (len(values) - 1).bit_length()
        marks = f"({'?,' * (places - 1)}?)"
        self._cursor.execute(sql.format(marks), [*values, *[values[-1]] * (places - len(values))])
        found: list[Row] = self._cursor.fetchall()
        return found

    def threads(self, keys: Sequence[tuple[int, int, str]]) -> dict[tuple[int, int, str], int]:
        found = {}
        for key in keys:
            rows = self.rows("SELECT conversation FROM thread WHERE address = ? AND channel = ? AND place = ?", key)
            if rows:
                found[key] = rows[0][0]
        return found
