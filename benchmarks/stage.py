"""What the benchmarks have in common: servers on one core, the load on another, runs that take turns, one line of JSON."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from attrs import field, frozen
from workload import Run, measure, requests

from fernamt.testing import free_port

HERE = Path(__file__).parent
WARM_UP = 2_000
Ports = Mapping[str, int]


@frozen
class Server:
    """One process under test."""

    port: int
    process: int

    def cpu_s(self) -> float:
        """Return the processor time that it has used."""
        fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self, what: str = "VmRSS") -> float:
        """Return its resident memory, or with ``VmHWM`` the most that it ever had."""
        status = Path(f"/proc/{self.process}/status").read_text()
        return int(status.partition(f"{what}:")[2].split()[0]) / 1024


@frozen
class Measured:
    """The runs of one server."""

    runs: list[Run] = field(factory=list)
    cpu_us: list[float] = field(factory=list)

    def per_s(self) -> int:
        """Return the median rate."""
        return round(statistics.median(run.per_s for run in self.runs))


def options(doc: str | None, **defaults: int) -> argparse.Namespace:
    """Read the options of a benchmark: numbers, each with its default."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    return parser.parse_args()


def peer(kind: str, folder: Path) -> Callable[[int], list[str]]:
    """Return the command of one of the servers in servers.py, given its port."""
    return lambda port: [str(HERE / "servers.py"), kind, str(port), str(folder)]


def daemon(folder: Path, name: str, store: str) -> Callable[[int], list[str]]:
    """Return the command of a daemon with one line, given its port."""

    def command(port: int) -> list[str]:
        configuration = folder / f"{name}.toml"
        configuration.write_text(
            f'store = "{store}"\nlisten = "127.0.0.1:{port}"\n[log]\nlevel = "warning"\n[channels.bench]\nkind = "bench"\n'
        )
        return ["-m", "fernamt", "run", "--config", str(configuration)]

    return command


def install_line(folder: Path) -> dict[str, str]:
    """Let the benchmark's connector be found in *folder*, and return the environment for it."""
    info = folder / "fernamt_bench-1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fernamt-bench\nVersion: 1.0\nRequires-Dist: fernamt\n")
    (info / "entry_points.txt").write_text("[fernamt]\nbench = bench_line\n")
    paths = os.pathsep.join([str(folder), str(HERE), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": paths}


@contextlib.contextmanager
def running(folder: Path, commands: Mapping[str, Callable[[int], list[str]]]) -> Iterator[dict[str, Server]]:
    """Run the servers on core 0 and take core 1 for ourselves."""
    environment = install_line(folder)
    os.sched_setaffinity(0, {1})
    processes: list[subprocess.Popen[bytes]] = []
    try:
        servers = {}
        for kind, command in commands.items():
            port = free_port()
            process = subprocess.Popen(
                [sys.executable, *command(port)],
                env=environment,
                preexec_fn=lambda: os.sched_setaffinity(0, {0}),  # noqa: PLW1509 - it is short, and nobody else has a thread yet
            )
            processes.append(process)
            servers[kind] = Server(port, process.pid)
        yield servers
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


async def take_turns(
    servers: Mapping[str, Server],
    pairs: int,
    messages: int,
    *,
    made_by: Callable[[int, int], list[bytes]] = requests,
) -> dict[str, Measured]:
    """Measure each server *pairs* times, one after the other, after a fixed warm-up.

    *made_by* gives so many requests for a seed.
    """
    for number, server in enumerate(servers.values()):
        await listening(server.port)
        await measure(server.port, made_by(WARM_UP, number))
    measured = {kind: Measured() for kind in servers}
    for pair in range(pairs):
        for number, (kind, server) in enumerate(servers.items()):
            made = made_by(messages, 1000 + 10 * pair + number)
            before = server.cpu_s()
            measured[kind].runs.append(await measure(server.port, made))
            measured[kind].cpu_us.append((server.cpu_s() - before) / messages * 1e6)
            print(f"{kind:7} {measured[kind].runs[-1].per_s:8.0f}/s", file=sys.stderr)
    return measured


def ratio(name: str, ours: Measured, theirs: Measured) -> dict[str, object]:
    """Return the median of the pairs' ratios under *name*, with the spread."""
    ratios = [one.per_s / other.per_s for one, other in zip(ours.runs, theirs.runs, strict=True)]
    return {name: round(statistics.median(ratios), 3), f"{name}_spread": [round(min(ratios), 3), round(max(ratios), 3)]}


def rates(measured: Mapping[str, Measured], of: str) -> dict[str, object]:
    """Return every server's rate and processor time, and the latencies of one."""
    runs = measured[of].runs
    return {
        "per_s": {kind: one.per_s() for kind, one in measured.items()},
        "cpu_us_per_message": {kind: round(statistics.median(one.cpu_us)) for kind, one in measured.items()},
        "p50_ms": round(statistics.median(run.p50_ms for run in runs), 1),
        "p99_ms": round(statistics.median(run.p99_ms for run in runs), 1),
    }


def workload(pairs: int, messages: int) -> str:
    """Say what was sent: it is part of the figure."""
    return f"{pairs} x {messages} messages of 1 KB, random ids, 1 in 6 from a known customer, raw kept"


async def listening(port: int) -> None:
    """Return when somebody listens on *port*."""
    deadline = time.monotonic() + 30
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return


def median(values: Sequence[float]) -> float:
    """Return the median, rounded as a line shows it."""
    return round(statistics.median(values), 3)
