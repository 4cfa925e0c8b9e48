"""Notices a second that ``fernamt notify --from`` checks, fills and queues beside a working daemon, and what that costs in memory.

    make bench BENCH=notify

SQLite, synchronous=FULL, the daemon on one core, the command on another. Files of a quarter, a half, three quarters and all of
100,000 rows, to addresses that nobody knows, are given one after the other to a channel on which nothing leaves, so that all of
them wait. ``per_s`` is what the last one had from the start of its command to its end: reading and checking the file twice,
and, beside a daemon, letting it have the store for as long as each chunk took. ``alone`` is the same without a daemon.
``vs_raw`` is that to sqlite3 alone writing the same rows of the same tables, 250 notices a transaction, in the same run.
``cpu_us_per_notice`` is processor time, which a busy machine does not stretch. ``mb_per_100k`` is the slope of the line that fits best: of the command's peak over the rows of its file, and of the daemon's
resident memory over all that waits. The last line is JSON.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import stage

from fernamt._runtime.clock import SystemClock
from fernamt._store.engine import Store
from fernamt._store.notices import CHUNK
from fernamt._store.tables import metadata
from fernamt.testing import free_port

TEXT = (
    "Guten Tag {name}, Ihre Bestellung {order} ist unterwegs und kommt am {day}. Antworten Sie, wenn etwas nicht passt."
)
CONFIGURATION = f"""
[channels.bench]
kind = "idle"
[notices.dispatched.values]
order = {{ example = "4711" }}
name = {{ example = "Anna Weber" }}
day = {{ type = "date", example = "2026-12-03" }}
[notices.dispatched.texts.de]
text = "{TEXT}"
"""


def main() -> int:
    """Measure and print the line."""
    chosen = stage.options(__doc__, rows=100_000)
    with tempfile.TemporaryDirectory(prefix="fernamt-bench-") as place:
        print(orjson.dumps(_measured(Path(place), chosen.rows)).decode())
    return 0


def _measured(folder: Path, rows: int) -> dict[str, object]:
    environment = _installed(folder)
    sizes = [rows * quarter // 4 for quarter in (1, 2, 3, 4)]
    port = free_port()
    (folder / "fernamt.toml").write_text(f'listen = "127.0.0.1:{port}"\n[log]\nlevel = "warning"\n{CONFIGURATION}')
    os.sched_setaffinity(0, {1})
    daemon = subprocess.Popen(
        [sys.executable, "-m", "fernamt", "run", "--config", str(folder / "fernamt.toml")],
        env=environment,
        preexec_fn=lambda: os.sched_setaffinity(0, {0}),  # noqa: PLW1509
    )
    try:
        server = stage.Server(port, daemon.pid)
        _until_ready(folder)
        peaks, waiting = list[float](), list[tuple[int, float]]()
        per_s = 0.0
        for number, size in enumerate(sizes, 1):
            per_s, peak_mb, _ = _given(folder, environment, number, size)
            peaks.append(peak_mb)
            waiting.append((sum(sizes[:number]), server.memory_mb()))
            print(f"{size} rows: {per_s:.0f}/s, peak {peak_mb:.1f} MB, daemon {waiting[-1][1]:.1f} MB", file=sys.stderr)
    finally:
        daemon.terminate()
        daemon.wait()
    alone, _, cpu_us = _given(folder, environment, 9, rows)
    raw, raw_us = _raw(folder / "raw.db", rows)
    _all_there(folder, sum(sizes) + rows)
    counts, resident = zip(*waiting, strict=True)
    slopes = {
        "command": statistics.linear_regression(sizes, peaks).slope * 100_000,
        "daemon": statistics.linear_regression(counts, resident).slope * 100_000,
    }
    return {
        "name": "notify",
        "per_s": round(per_s),
        "per_s_alone": round(alone),
        "per_s_raw": round(raw),
        "vs_raw": round(alone / raw, 3),
        "cpu_us_per_notice": {"command": round(cpu_us), "raw": round(raw_us)},
        "mb_per_100k": {name: round(slope, 2) for name, slope in slopes.items()},
        "peak_mb": {"command": round(max(peaks), 1), "daemon": round(max(resident), 1)},
        "workload": f"{sizes} rows of a CSV, 3 values each, all to new addresses, {sum(sizes)} waiting at the end",
    }


def _installed(folder: Path) -> dict[str, str]:
    info = folder / "fernamt_bench-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fernamt-bench\nVersion: 1.0\nRequires-Dist: fernamt\n")
    (info / "entry_points.txt").write_text("[fernamt]\nidle = bench_idle\n")
    paths = os.pathsep.join([str(folder), str(stage.HERE), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": paths}


def _until_ready(folder: Path) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            store = Store.open(f"sqlite:///{folder}/fernamt.db", SystemClock())
            store.require_schema()
            with store.read() as connection:
                if store.statements(connection).rows("SELECT 1 FROM channel WHERE state = 'up'"):
                    store.close()
                    return
        except Exception:  # noqa: BLE001 - it is not there yet
            assert time.monotonic() < deadline, "the daemon does not come up"
        time.sleep(0.1)


def _given(folder: Path, environment: dict[str, str], number: int, rows: int) -> tuple[float, float, float]:
    """Give a file, and return how many rows a second that was, the command's peak in memory (MB), and its time for one (us)."""
    file = folder / f"{number}.csv"
    with file.open("w") as stream:
        stream.write("to,order,name,day\n")
        stream.writelines(f"+49{number}70{n:07},{n},Anna Weber,2026-12-03\n" for n in range(rows))
    words = ["notify", "dispatched", "--from", str(file), "--no-wait", "--config", str(folder / "fernamt.toml")]
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "fernamt", *words], env=environment, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"fernamt notify ended with {process.returncode}"
    cpu_us = (used.ru_utime + used.ru_stime) / rows * 1e6
    return rows / (time.monotonic() - began), used.ru_maxrss / 1024, cpu_us


def _all_there(folder: Path, expected: int) -> None:
    with sqlite3.connect(folder / "fernamt.db") as connection:
        for what in ("notice", "delivery", "entry", "conversation"):
            [(count,)] = connection.execute(f"SELECT count(*) FROM {what}")
            assert count == expected, f"{count} rows in {what}, not {expected}"


def _raw(path: Path, rows: int) -> tuple[float, float]:
    """Write what a run writes with sqlite3 alone, and return how many notices a second that was, and its time for one (us)."""
    store = Store.open(f"sqlite:///{path}", SystemClock())
    store.migrate()
    store.close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous=FULL")
    tables = ("customer", "address", "conversation", "thread", "entry", "content", "delivery", "notice")
    inserts = {
        name: f"INSERT INTO {name} VALUES ({', '.join('?' * len(metadata.tables[name].columns))})" for name in tables
    }
    began, used_s = time.monotonic(), time.process_time()
    for first in range(1, rows + 1, CHUNK):
        connection.execute("BEGIN IMMEDIATE")
        made: dict[str, list[tuple[object, ...]]] = {name: [] for name in tables}
        for n in range(first, min(first + CHUNK, rows + 1)):
            for name, row in _rows_of(n):
                made[name].append(row)
        for name, sql in inserts.items():
            connection.executemany(sql, made[name])
        connection.execute("COMMIT")
    took_s, used_s = time.monotonic() - began, time.process_time() - used_s
    connection.close()
    return rows / took_s, used_s / rows * 1e6


def _rows_of(n: int) -> Iterator[tuple[str, tuple[object, ...]]]:
    at, text = 1_790_000_000_000_000, TEXT
    yield "customer", (n, "Anna Weber", "", "", at, False)
    yield "address", (n, f"phone:+49870{n:07}", n, "a notice", at)
    yield "conversation", (n, n, "support", "told", "de", 1, n, at, False)
    yield "thread", (n, 1, "", n)
    yield "entry", (n, n, 1, "notice", at, None, 1)
    yield "content", (n, "agent:bench", text, None, f'{{"notice":"dispatched","order":"{n}"}}', None, None, None, None)
    yield "delivery", (n, n, n, 1, n, "queued", 0, at, None, at, at, "[]", "", "", "notice", 0, 0, 1)
    yield "notice", (1, n, n, None, None, None, None)


if __name__ == "__main__":
    sys.exit(main())
