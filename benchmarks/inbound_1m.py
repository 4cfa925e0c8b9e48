"""What a full store costs: the daemon on a million stored messages against the daemon on an empty store, in the same run.

    make bench BENCH=inbound_1m

Both have the same warm-up. The rest is as in inbound.py. The last line is JSON.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import tempfile
from pathlib import Path

import orjson
import stage

from fernamt._runtime.clock import SystemClock
from fernamt._store.engine import Store

CUSTOMERS = 5 / 6
"""So many of the messages are somebody's first, as in the workload."""
_AT = 1_760_000_000_000_000
_NUMBERS = "WITH RECURSIVE i(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < :rows)"
_FIRST = "iif(i > :customers, i - :customers, i)"
_N = "iif(i > :customers, 2, 1)"
_ID = "lower(hex(randomblob(16)))"
_OF_CUSTOMERS = {
    "customer (id, name, language, plan, since)": "i, 'Ann Example', '', '', :at + i",
    "address (id, handle, customer, evidence, since)": f"i, 'bench:' || {_ID}, i, 'wrote', :at + i",
    "thread (address, channel, place, conversation)": "i, 1, '', i",
    "conversation (id, customer, kind, state, language, last_n, last_entry, changed_at)": (
        "i, i, 'support', 'open', '', iif(i <= :again, 2, 1), iif(i <= :again, i + :customers, i), :at + i"
    ),
}
_OF_MESSAGES = {
    "entry (id, conversation, n, kind, at, author, channel)": f"i, {_FIRST}, {_N}, 'received', :at + i, {_FIRST}, 1",
    "content (entry, text, data, provider_id, key, raw)": (
        f"""i, :text, '{{"sender_name":"Ann Example"}}', {_ID}, {_ID}, i"""
    ),
    "raw (id, body)": "i, zeroblob(1000)",
    "known (hash, conversation, n, at)": f"randomblob(16), {_FIRST}, {_N}, :at + i",
}


def main() -> int:
    """Measure and print the line."""
    chosen = stage.options(__doc__, pairs=5, messages=10_000, stored=1_000_000)
    with tempfile.TemporaryDirectory(prefix="fernamt-bench-") as place:
        folder = Path(place)
        fill(folder / "full.db", chosen.stored)
        commands = {name: stage.daemon(folder, name, f"sqlite:///{folder}/{name}.db") for name in ("empty", "full")}
        with stage.running(folder, commands) as servers:
            measured = asyncio.run(stage.take_turns(servers, chosen.pairs, chosen.messages))
        size_mb = (folder / "full.db").stat().st_size / 1_000_000
    line = {
        "name": "inbound_1m",
        **stage.ratio("ratio", measured["full"], measured["empty"]),
        **stage.rates(measured, "full"),
        "stored": chosen.stored,
        "store_mb": round(size_mb),
        "workload": stage.workload(chosen.pairs, chosen.messages),
    }
    print(orjson.dumps(line).decode())
    return 0


def fill(database: Path, messages: int) -> None:
    """Make a store with so many messages in it, as the workload would have left them, in random order where ids are random."""
    store = Store.open(f"sqlite:///{database}", SystemClock())
    store.migrate()
    store.close()
    customers = int(messages * CUSTOMERS)
    named = {"at": _AT, "customers": customers, "again": messages - customers, "text": "Wo ist meine Bestellung? " * 8}
    connection = sqlite3.connect(database, isolation_level=None)
    for pragma in ("synchronous=OFF", "cache_size=-400000"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN")
    for rows, tables in ((customers, _OF_CUSTOMERS), (messages, _OF_MESSAGES)):
        for table, values in tables.items():
            print(f"storing: {table.partition(' ')[0]:12}", end="\r", file=sys.stderr, flush=True)
            connection.execute(f"INSERT INTO {table} {_NUMBERS} SELECT {values} FROM i", {**named, "rows": rows})
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


if __name__ == "__main__":
    sys.exit(main())
