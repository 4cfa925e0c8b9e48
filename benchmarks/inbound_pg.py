"""Durable, fully threaded webhook messages a second of one runner on PostgreSQL, against an ack-only handler of the same run.

    make bench BENCH=inbound_pg

PostgreSQL runs on the load's core, as on a machine of its own. The rest is as in inbound.py. The last line is JSON.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import orjson
import stage

from fernamt.testing.postgres import running_postgres


def main() -> int:
    """Measure and print the line."""
    chosen = stage.options(__doc__, pairs=5, messages=10_000)
    with tempfile.TemporaryDirectory(prefix="fernamt-bench-") as place, running_postgres() as url:
        folder = Path(place)
        commands = {"ack": stage.peer("ack", folder), "daemon": stage.daemon(folder, "daemon", url)}
        with stage.running(folder, commands) as servers:
            measured = asyncio.run(stage.take_turns(servers, chosen.pairs, chosen.messages))
    line = {
        "name": "inbound_pg",
        **stage.ratio("ratio", measured["daemon"], measured["ack"]),
        **stage.rates(measured, "daemon"),
        "workload": stage.workload(chosen.pairs, chosen.messages),
    }
    print(orjson.dumps(line).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
