"""What PostgreSQL wants said differently."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Any, Final

from fernamt._store.statements import Row, Statements

_IDS_AT_ONCE: Final = 256
_ONE_BY_ONE: Final = frozenset({"delivery"})
"""Numbers that say what comes first, whichever process took them: none is kept for later."""


class PostgresStatements(Statements):
    """Several runners write: ids come from sequences, a handful at a time, and rows that move are locked in one order."""

    placeholder = "%s"
    lock = " FOR UPDATE"

    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        self._ids: defaultdict[str, deque[int]] = defaultdict(deque)

    def now_us(self) -> int:
        now: int = self.rows("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")[0][0]
        return now

    def begin(self) -> None:
        """A number from a sequence stays ours, whatever becomes of the transaction."""

    def next_id(self, table: str) -> int:
        ids = self._ids[table]
        if not ids:
            count = 1 if table in _ONE_BY_ONE else _IDS_AT_ONCE
            rows = self.rows(f"SELECT nextval('{table}_id_seq') FROM generate_series(1, {count})")
            ids.extend(row[0] for row in rows)
        return ids.popleft()

    def _among(self, sql: str, values: Sequence[Any]) -> list[Row]:
        if not values:
            return []
        self._cursor.execute(sql.replace("IN {}", "= ANY(%s)"), [list(values)])
        found: list[Row] = self._cursor.fetchall()
        return found

    def threads(self, keys: Sequence[tuple[int, int, str]]) -> dict[tuple[int, int, str], int]:
        if not keys:
            return {}
        addresses, channels, places = zip(*keys, strict=True)
        rows = self.rows(
            "SELECT t.address, t.channel, t.place, t.conversation FROM thread t"
            " JOIN unnest(?::bigint[], ?::bigint[], ?::text[]) AS k (address, channel, place)"
            " ON t.address = k.address AND t.channel = k.channel AND t.place = k.place",
            [list(addresses), list(channels), list(places)],
        )
        return {(row[0], row[1], row[2]): row[3] for row in rows}
