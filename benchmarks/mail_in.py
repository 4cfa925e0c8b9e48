"""Mails a second through ``email.listener``, read, threaded and durable, against a process that receives, reads and syncs.

    make bench BENCH=mail_in

SQLite, synchronous=FULL, 16 connections, the server on one core and the load on another. The mix is fixed: German mails of 1 to 200
KB, with HTML and files (see mails.py). ``ratio`` is to aiosmtpd, the standard library's parser and one fsync a batch in one process
(see mail_peer.py); ``cpu_ratio`` is the peer's processor time for a mail to ours. Runs are interleaved; each ratio is the median of
the pairs. The last line is JSON.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import orjson
import stage
from mails import CONNECTIONS, OURS, hand_over, mails, mean_kb

from fernamt.testing import free_port

WARM_UP = 200


def main() -> int:
    """Measure and print the line."""
    chosen = stage.options(__doc__, pairs=5, mails=1_000)
    with tempfile.TemporaryDirectory(prefix="fernamt-bench-") as place:
        folder = Path(place)
        commands = {"peer": _peer(folder), "daemon": _daemon(folder)}
        with stage.running(folder, commands) as servers:
            measured, mean = asyncio.run(_take_turns(servers, chosen.pairs, chosen.mails))
            memory_mb = servers["daemon"].memory_mb("VmHWM")
    ours, theirs = measured["daemon"], measured["peer"]
    costs = [theirs_us / ours_us for ours_us, theirs_us in zip(ours.cpu_us, theirs.cpu_us, strict=True)]
    line = {
        "name": "mail_in",
        **stage.ratio("ratio", ours, theirs),
        "cpu_ratio": stage.median(costs),
        "cpu_ratio_spread": [round(min(costs), 3), round(max(costs), 3)],
        **stage.rates(measured, "daemon"),
        "peak_memory_mb": round(memory_mb),
        "workload": f"{chosen.pairs} x {chosen.mails} mails of 1 to 200 KB, {mean} KB in the mean, {CONNECTIONS} connections",
    }
    print(orjson.dumps(line).decode())
    return 0


def _peer(folder: Path) -> Callable[[int], list[str]]:
    return lambda port: [str(stage.HERE / "mail_peer.py"), str(port), str(folder)]


def _daemon(folder: Path) -> Callable[[int], list[str]]:
    def command(port: int) -> list[str]:
        configuration = folder / "mail.toml"
        configuration.write_text(
            f'store = "sqlite:///{folder}/mail.db"\nlisten = "127.0.0.1:{free_port()}"\n[log]\nlevel = "warning"\n'
            f'[channels.mail]\nkind = "email.listener"\naddress = "{OURS}"\nport = {port}\n'
            'smtp = { host = "127.0.0.1", security = "none" }\n'
        )
        return ["-m", "fernamt", "run", "--config", str(configuration)]

    return command


async def _take_turns(
    servers: Mapping[str, stage.Server], pairs: int, count: int
) -> tuple[dict[str, stage.Measured], float]:
    for number, server in enumerate(servers.values()):
        await stage.listening(server.port)
        await hand_over(server.port, mails(WARM_UP, number))
    measured = {kind: stage.Measured() for kind in servers}
    sizes = []
    for pair in range(pairs):
        made = mails(count, 1_000 + pair)  # both get the same ones
        sizes.append(mean_kb(made))
        for kind, server in servers.items():
            before = server.cpu_s()
            measured[kind].runs.append(await hand_over(server.port, made))
            measured[kind].cpu_us.append((server.cpu_s() - before) / count * 1e6)
            print(f"{kind:7} {measured[kind].runs[-1].per_s:8.0f}/s", file=sys.stderr)
    return measured, round(statistics.mean(sizes), 1)


if __name__ == "__main__":
    sys.exit(main())
