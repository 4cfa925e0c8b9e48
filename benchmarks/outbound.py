"""Messages a second that leave the daemon with their attempts and results committed, against a client that only posts.

    make bench BENCH=outbound

SQLite, synchronous=FULL, 64 sends at a time, the daemon on one core, the provider on another. The messages are written into the
store by this process, as ``fernamt reply`` does. A run lasts from the transaction that begins the first attempt to that which
records the last result. ``ratio`` is to bare aiohttp posting the same bodies, 64 at a time, on the same core to the same
provider, runs interleaved, median of the pairs. ``few_lanes`` is the rate where eight conversations hold everything: there the
order allows eight at a time. The last line is JSON.
"""

from __future__ import annotations

import contextlib
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import orjson
import stage
from senders import text

from fernamt._runtime.clock import SystemClock
from fernamt._store.desk import Composition, compose
from fernamt._store.engine import Store
from fernamt._store.names import Names
from fernamt._store.reception import Line, Reception, Submission
from fernamt._store.transaction import Transaction
from fernamt.inbound import Received
from fernamt.model import Address
from fernamt.testing import free_port

AT_A_TIME = 64
PATIENCE_S = 300.0


def main() -> int:
    """Measure and print the line."""
    chosen = stage.options(__doc__, pairs=5, messages=6_000)
    os.sched_setaffinity(0, {1})
    with tempfile.TemporaryDirectory(prefix="fernamt-bench-") as folder:
        print(orjson.dumps(_compare(Path(folder), chosen.pairs, chosen.messages)).decode())
    return 0


def _compare(folder: Path, pairs: int, messages: int) -> dict[str, object]:
    bare: list[float] = []
    ours: list[float] = []
    cpu_us: dict[str, list[float]] = {"bare": [], "daemon": []}
    with _running(folder) as (url, daemon):
        queue = Queue(f"sqlite:///{folder}/fernamt.db")
        queue.sent(messages // 5, lanes=messages // 10)
        for pair in range(pairs):
            per_s, used_us = _bare(url, messages)
            bare.append(per_s)
            cpu_us["bare"].append(used_us)
            before = daemon.cpu_s()
            ours.append(queue.sent(messages, lanes=messages // 2))
            cpu_us["daemon"].append((daemon.cpu_s() - before) / messages * 1e6)
            print(f"pair {pair + 1}: bare {bare[-1]:.0f}/s, daemon {ours[-1]:.0f}/s", file=sys.stderr)
        few = [queue.sent(messages // 4, lanes=8) for _ in range(3)]
        memory_mb = round(daemon.memory_mb("VmHWM"))
        queue.close()
        took = int(urllib.request.urlopen(url.replace("/send", "/count")).read())
        expected = queue.written + pairs * (messages + messages // 10)
        assert took == expected, f"the provider took {took}, not {expected}"
    ratios = [mine / theirs for mine, theirs in zip(ours, bare, strict=True)]
    return {
        "name": "outbound",
        "ratio": round(statistics.median(ratios), 3),
        "ratio_spread": [round(min(ratios), 3), round(max(ratios), 3)],
        "per_s": {"bare": round(statistics.median(bare)), "daemon": round(statistics.median(ours))},
        "few_lanes_per_s": round(statistics.median(few)),
        "cpu_us_per_message": {kind: round(statistics.median(many)) for kind, many in cpu_us.items()},
        "peak_memory_mb": memory_mb,
        "workload": f"{pairs} x {messages} messages of 250 characters, two a conversation in random order, {AT_A_TIME} at a time",
    }


class Queue:
    """The daemon's store, seen from another process."""

    def __init__(self, url: str) -> None:
        self._store = Store.open(url, SystemClock())
        self._session = self._store.session()
        self._names = Names(self._store.keys())
        self._dice = random.Random(7)
        self._people = 0
        self.written = 0

    def sent(self, messages: int, *, lanes: int) -> float:
        """Write so many messages to so many customers, wait until all are sent, and return how many were a second."""
        [(first,)] = self._rows("SELECT coalesce(max(id), 0) + 1 FROM delivery")
        self._session.run(lambda tx: self._write(tx, messages, lanes))
        self.written += messages
        deadline = time.monotonic() + PATIENCE_S
        while self._rows("SELECT 1 FROM delivery WHERE state IN ('queued', 'sending') LIMIT 1"):
            assert time.monotonic() < deadline, "the messages do not go"
            time.sleep(0.05)
        [(count, began, ended)] = self._rows(
            "SELECT count(*), min(started_at), max(ended_at) FROM attempt WHERE outcome = 'sent' AND delivery >= ?",
            first,
        )
        assert count == messages, f"{count} were sent, not {messages}"
        return float(messages / ((ended - began) / 1e6))

    def _write(self, tx: Transaction, messages: int, lanes: int) -> None:
        [(channel,)] = tx.do.rows("SELECT id FROM channel WHERE name = 'bench'")
        people = [self.address(self._people + number) for number in range(lanes)]
        self._people += lanes
        events = [
            Received(key=str(person), id=str(person), sender=person, text="Wo ist meine Bestellung?")
            for person in people
        ]
        [stored] = Reception(self._names)(tx, [Submission(line=Line(number=channel, id="bench"), events=tuple(events))])
        assert not isinstance(stored, Exception)
        conversations = [int(one.conversation or 0) for one in stored] * (messages // lanes + 1)
        del conversations[messages:]
        self._dice.shuffle(conversations)
        written = [
            Composition(conversation=one, kind="sent", author="agent:bench", text=self.text(number))
            for number, one in enumerate(conversations)
        ]
        assert not [one for one in compose(tx, written) if isinstance(one, Exception)]

    def address(self, number: int) -> Address:
        """Return who customer *number* is."""
        return Address("bench", f"{number:032x}")

    def text(self, number: int) -> str:
        """Return what message *number* says."""
        return text(number)

    def _rows(self, sql: str, *values: object) -> list[tuple[int, ...]]:
        with self._store.read() as connection:
            return self._store.statements(connection).rows(sql, values)

    def close(self) -> None:
        self._session.close()
        self._store.close()


def _bare(url: str, messages: int) -> list[float]:
    command = [sys.executable, str(stage.HERE / "senders.py"), "bare", url, str(messages), str(AT_A_TIME)]
    return [float(one) for one in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()]


@contextlib.contextmanager
def _running(folder: Path) -> Iterator[tuple[str, stage.Server]]:
    """Start the provider and the daemon; give the provider's address and the daemon's process."""
    provider_port, daemon_port = free_port(), free_port()
    url = f"http://127.0.0.1:{provider_port}/send"
    info = folder / "fernamt_bench-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fernamt-bench\nVersion: 1.0\nRequires-Dist: fernamt\n")
    (info / "entry_points.txt").write_text("[fernamt]\nsender = bench_sender\n")
    (folder / "fernamt.toml").write_text(
        f'listen = "127.0.0.1:{daemon_port}"\n[log]\nlevel = "warning"\n[http]\nallow_private = ["127.0.0.1"]\n'
        f'[channels.bench]\nkind = "sender"\nurl = "{url}"\nin_flight = {AT_A_TIME}\n'
    )
    paths = os.pathsep.join([str(folder), str(stage.HERE), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths}
    provider = subprocess.Popen([sys.executable, str(stage.HERE / "senders.py"), "provider", str(provider_port)])
    daemon = subprocess.Popen(
        [sys.executable, "-m", "fernamt", "run", "--config", str(folder / "fernamt.toml")],
        env=environment,
        preexec_fn=lambda: os.sched_setaffinity(0, {0}),  # noqa: PLW1509
    )
    try:
        answering(url.replace("/send", "/count"))
        answering(f"http://127.0.0.1:{daemon_port}/readyz")
        yield url, stage.Server(daemon_port, daemon.pid)
    finally:
        for process in (daemon, provider):
            process.terminate()
        for process in (daemon, provider):
            process.wait()


def answering(url: str) -> None:
    """Return when an address answers."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2.0):
                return
        except OSError:
            assert time.monotonic() < deadline, f"{url} does not answer"
            time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
