"""Durable, fully threaded webhook messages a second through the daemon's own path, against two peers of the same run.

    make bench BENCH=inbound

SQLite, synchronous=FULL, 64 connections, the server on one core and the load on another. ``ratio`` is to an ack-only aiohttp
handler with the same signature check, ``vs_raw`` to a hand-written aiohttp and sqlite3 server with the same schema and group
commit (see servers.py). Runs are interleaved; each ratio is the median of the pairs. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import uvloop
from workload import Run, measure, requests

HERE = Path(__file__).parent
PAIRS = 5
MESSAGES = 20_000


def main() -> int:
    """Measure and print the line."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pairs", type=int, default=PAIRS)
    options.add_argument("--messages", type=int, default=MESSAGES)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="fernamt-bench-") as folder:
        line = uvloop.run(_compare(Path(folder), chosen.pairs, chosen.messages))
    print(orjson.dumps(line).decode())
    return 0


async def _compare(folder: Path, pairs: int, messages: int) -> dict[str, object]:
    os.sched_setaffinity(0, {1})
    runs: dict[str, list[Run]] = {"ack": [], "raw": [], "daemon": []}
    cpu_us: dict[str, list[float]] = {kind: [] for kind in runs}
    with _servers(folder) as (ports, processes):
        for kind, port in ports.items():
            await _listening(port)
            await measure(port, requests(2_000, seed=hash(kind) % 1000))
        for pair in range(pairs):
            for number, (kind, port) in enumerate(ports.items()):
                made = requests(messages, seed=1000 + 10 * pair + number)
                before = _cpu_s(processes[kind])
                runs[kind].append(await measure(port, made))
                cpu_us[kind].append((_cpu_s(processes[kind]) - before) / messages * 1e6)
                print(f"{kind:7} {runs[kind][-1].per_s:8.0f}/s", file=sys.stderr)
        memory_mb = _peak_memory_mb(processes["daemon"])
    ratios = [ours.per_s / theirs.per_s for ours, theirs in zip(runs["daemon"], runs["ack"], strict=True)]
    raws = [ours.per_s / theirs.per_s for ours, theirs in zip(runs["daemon"], runs["raw"], strict=True)]
    return {
        "name": "inbound",
        "ratio": round(statistics.median(ratios), 3),
        "ratio_spread": [round(min(ratios), 3), round(max(ratios), 3)],
        "vs_raw": round(statistics.median(raws), 3),
        "vs_raw_spread": [round(min(raws), 3), round(max(raws), 3)],
        "per_s": {kind: round(statistics.median(run.per_s for run in many)) for kind, many in runs.items()},
        "cpu_us_per_message": {kind: round(statistics.median(many)) for kind, many in cpu_us.items()},
        "p50_ms": round(statistics.median(run.p50_ms for run in runs["daemon"]), 1),
        "p99_ms": round(statistics.median(run.p99_ms for run in runs["daemon"]), 1),
        "peak_memory_mb": memory_mb,
        "workload": f"{pairs} x {messages} messages of 1 KB, random ids, 1 in 6 from a known customer, raw kept",
    }


@contextlib.contextmanager
def _servers(folder: Path) -> Iterator[tuple[dict[str, int], dict[str, int]]]:
    ports = {kind: _free_port() for kind in ("ack", "raw", "daemon")}
    info = folder / "fernamt_bench-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fernamt-bench\nVersion: 1.0\nRequires-Dist: fernamt\n")
    (info / "entry_points.txt").write_text("[fernamt]\nbench = bench_line\n")
    (folder / "fernamt.toml").write_text(
        f'listen = "127.0.0.1:{ports["daemon"]}"\n[log]\nlevel = "warning"\n[channels.bench]\nkind = "bench"\n'
    )
    paths = os.pathsep.join([str(folder), str(HERE), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths}
    commands = [[str(HERE / "servers.py"), kind, str(ports[kind]), str(folder)] for kind in ("ack", "raw")]
    commands.append(["-m", "fernamt", "run", "--config", str(folder / "fernamt.toml")])
    processes = [
        subprocess.Popen([sys.executable, *command], env=environment, preexec_fn=lambda: os.sched_setaffinity(0, {0}))  # noqa: PLW1509
        for command in commands
    ]
    try:
        yield ports, {kind: process.pid for kind, process in zip(ports, processes, strict=True)}
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


async def _listening(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_memory_mb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return round(int(status.partition("VmHWM:")[2].split()[0]) * resource.getpagesize() / 4096 / 1024)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
