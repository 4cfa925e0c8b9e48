"""Durable, fully threaded webhook messages a second through the daemon's own path, against two peers of the same run.

    make bench BENCH=inbound

SQLite, synchronous=FULL, 64 connections, the server on one core and the load on another. ``ratio`` is to an ack-only aiohttp
handler with the same signature check, ``vs_raw`` to a hand-written aiohttp and sqlite3 server with the same schema and group
commit (see servers.py). Runs are interleaved; each ratio is the median of the pairs. The last line is JSON.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import orjson
import stage


def main() -> int:
    """Measure and print the line."""
    chosen = stage.options(__doc__, pairs=5, messages=20_000)
    with tempfile.TemporaryDirectory(prefix="fernamt-bench-") as place:
        folder = Path(place)
        commands = {
            "ack": stage.peer("ack", folder),
            "raw": stage.peer("raw", folder),
            "daemon": stage.daemon(folder, "daemon", f"sqlite:///{folder}/daemon.db"),
        }
        with stage.running(folder, commands) as servers:
            measured = asyncio.run(stage.take_turns(servers, chosen.pairs, chosen.messages))
            memory_mb = servers["daemon"].memory_mb("VmHWM")
    line = {
        "name": "inbound",
        **stage.ratio("ratio", measured["daemon"], measured["ack"]),
        **stage.ratio("vs_raw", measured["daemon"], measured["raw"]),
        **stage.rates(measured, "daemon"),
        "peak_memory_mb": round(memory_mb),
        "workload": stage.workload(chosen.pairs, chosen.messages),
    }
    print(orjson.dumps(line).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
