"""SMS a second that leave the daemon by SMPP with their attempts and results committed, against a loop that only submits.

    make bench BENCH=smpp_out

SQLite, synchronous=FULL, a window of 64, the daemon on one core, the SMSC on another. ``cpu_ratio`` is the processor time of one
message in a bare loop with the same codec, window and SMSC, to that in our process, which reads its queue, commits the attempt
before the first byte and the result after the answer; ``ratio`` is the same of the rates. Runs are interleaved; each is the median
of the pairs. The last line is JSON.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import orjson
import outbound
import smpp_peers
import stage

from fernamt.model import Address
from fernamt.testing import free_port

WINDOW = 64
_BARE_TIMES = 6
"""The bare loop submits so many times as many messages: else it would be over within a blink, and a busy neighbour's blink would
be the result."""


class Queue(outbound.Queue):
    """The daemon's store, full of text messages."""

    def address(self, number: int) -> Address:
        return Address("phone", f"+49151{number:08}")

    def text(self, number: int) -> str:
        return smpp_peers.text(number)


def main() -> int:
    """Measure and print the line."""
    chosen = stage.options(__doc__, pairs=5, messages=6_000)
    os.sched_setaffinity(0, {1})
    with tempfile.TemporaryDirectory(prefix="fernamt-bench-") as folder:
        print(orjson.dumps(_compare(Path(folder), chosen.pairs, chosen.messages)).decode())
    return 0


def _compare(folder: Path, pairs: int, messages: int) -> dict[str, object]:
    rates: dict[str, list[float]] = {"bare": [], "daemon": []}
    cpu_us: dict[str, list[float]] = {"bare": [], "daemon": []}
    with _running(folder) as (port, daemon):
        queue = Queue(f"sqlite:///{folder}/fernamt.db")
        queue.sent(messages // 5, lanes=messages // 10)
        for pair in range(pairs):
            per_s, used_us = _bare(port, _BARE_TIMES * messages)
            rates["bare"].append(per_s)
            cpu_us["bare"].append(used_us)
            before = daemon.cpu_s()
            rates["daemon"].append(queue.sent(messages, lanes=messages // 2))
            cpu_us["daemon"].append((daemon.cpu_s() - before) / messages * 1e6)
            print(
                f"pair {pair + 1}: bare {rates['bare'][-1]:.0f}/s, {cpu_us['bare'][-1]:.0f} us;"
                f" daemon {rates['daemon'][-1]:.0f}/s, {cpu_us['daemon'][-1]:.0f} us",
                file=sys.stderr,
            )
        memory_mb = round(daemon.memory_mb("VmHWM"))
        queue.close()
    costs = [bare / ours for bare, ours in zip(cpu_us["bare"], cpu_us["daemon"], strict=True)]
    ratios = [ours / bare for bare, ours in zip(rates["bare"], rates["daemon"], strict=True)]
    return {
        "name": "smpp_out",
        "cpu_ratio": stage.median(costs),
        "cpu_ratio_spread": [round(min(costs), 3), round(max(costs), 3)],
        "ratio": stage.median(ratios),
        "ratio_spread": [round(min(ratios), 3), round(max(ratios), 3)],
        "per_s": {kind: round(statistics.median(many)) for kind, many in rates.items()},
        "cpu_us_per_message": {kind: round(statistics.median(many)) for kind, many in cpu_us.items()},
        "peak_memory_mb": memory_mb,
        "workload": f"{pairs} x {messages} messages of one part, two a conversation in random order, a window of {WINDOW}",
    }


def _bare(port: int, messages: int) -> list[float]:
    command = [sys.executable, str(stage.HERE / "smpp_peers.py"), "bare", str(port), str(messages), str(WINDOW)]
    return [float(one) for one in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()]


@contextlib.contextmanager
def _running(folder: Path) -> Iterator[tuple[int, stage.Server]]:
    """Start the SMSC and the daemon; give the SMSC's port and the daemon's process."""
    port, daemon_port = free_port(), free_port()
    (folder / "password").write_text(smpp_peers.PASSWORD)
    (folder / "password").chmod(0o600)
    (folder / "fernamt.toml").write_text(
        f'listen = "127.0.0.1:{daemon_port}"\n[log]\nlevel = "warning"\n[channels.bench]\nkind = "sms.smpp"\n'
        f'host = "127.0.0.1"\nport = {port}\nsecurity = "none"\nsystem_id = "{smpp_peers.SYSTEM_ID}"\n'
        f'password = "file:{folder}/password"\nsender = "+{smpp_peers.US}"\nwindow = {WINDOW}\n'
    )
    smsc = subprocess.Popen([sys.executable, str(stage.HERE / "smpp_peers.py"), "smsc", str(port)])
    daemon = subprocess.Popen(
        [sys.executable, "-m", "fernamt", "run", "--config", str(folder / "fernamt.toml")],
        preexec_fn=lambda: os.sched_setaffinity(0, {0}),  # noqa: PLW1509
    )
    try:
        outbound.answering(f"http://127.0.0.1:{daemon_port}/readyz")
        yield port, stage.Server(daemon_port, daemon.pid)
    finally:
        for process in (daemon, smsc):
            process.terminate()
        for process in (daemon, smsc):
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
