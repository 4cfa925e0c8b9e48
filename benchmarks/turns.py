"""Turns of telephone calls a second through the daemon's own path, against a handler that only answers.

    make bench BENCH=turns

A provider of TwiML tells what happened in a form, signed over address and form, and gets back what to say and to ask. Each call
has six requests: it begins, keys are pressed four times, it is over; 512 calls are under way. Ours finds the session, asks a
menu, commits entry, state and actions, and renders what was committed. SQLite, synchronous=FULL, 64 connections, the server on
one core and the load on another. ``ratio`` is to an aiohttp handler that checks the same signature, reads the same form and
answers with the same XML, runs interleaved, the median of the pairs. The last line is JSON.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import callers
import orjson
import stage


def main() -> int:
    """Measure and print the line."""
    chosen = stage.options(__doc__, pairs=5, requests=18_432)
    with tempfile.TemporaryDirectory(prefix="fernamt-bench-") as place:
        folder = Path(place)
        commands = {"ack": stage.peer("calls", folder), "daemon": _daemon(folder)}
        with stage.running(folder, commands) as servers:
            measured = asyncio.run(stage.take_turns(servers, chosen.pairs, chosen.requests, made_by=callers.calls))
            memory_mb = servers["daemon"].memory_mb("VmHWM")
        with sqlite3.connect(folder / "calls.db") as connection:
            kept = connection.execute("SELECT count(*) FROM turn").fetchone()[0]
            fallen = connection.execute("SELECT count(*) FROM entry WHERE kind = 'handover'").fetchone()[0]
    sent = stage.WARM_UP + chosen.pairs * chosen.requests
    if (kept, fallen) != (sent, 0):
        raise AssertionError(f"{sent} requests made {kept} turns, and {fallen} callers were left without an answer")
    line = {
        "name": "turns",
        **stage.ratio("ratio", measured["daemon"], measured["ack"]),
        **stage.rates(measured, "daemon"),
        "peak_memory_mb": round(memory_mb),
        "workload": f"{chosen.pairs} x {chosen.requests} requests, six a call, 512 calls under way, random callers",
    }
    print(orjson.dumps(line).decode())
    return 0


def _daemon(folder: Path) -> Callable[[int], list[str]]:
    def command(port: int) -> list[str]:
        configuration = folder / "calls.toml"
        configuration.write_text(
            f'store = "sqlite:///{folder}/calls.db"\nlisten = "127.0.0.1:{port}"\npublic_url = "{callers.PUBLIC_URL}"\n'
            '[log]\nlevel = "warning"\n[channels.bench]\nkind = "bench.voice"\nmenu = "bench.tree"\n'
        )
        return ["-m", "fernamt", "run", "--config", str(configuration)]

    return command


if __name__ == "__main__":
    sys.exit(main())
