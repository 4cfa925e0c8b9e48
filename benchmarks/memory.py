"""Does the daemon grow? Its resident memory over a long run, after the first 100,000 messages.

    make bench BENCH=memory

``mb_per_100k`` is the slope of the line that fits the samples best, ``mb`` what they were. The rest is as in inbound.py. The last
line is JSON.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
from pathlib import Path

import orjson
import stage
from workload import measure, requests

SAMPLE_EVERY = 20_000


def main() -> int:
    """Measure and print the line."""
    chosen = stage.options(__doc__, first=100_000, messages=200_000)
    with tempfile.TemporaryDirectory(prefix="fernamt-bench-") as place:
        folder = Path(place)
        commands = {"daemon": stage.daemon(folder, "daemon", f"sqlite:///{folder}/daemon.db")}
        with stage.running(folder, commands) as servers:
            samples = asyncio.run(_sampled(servers["daemon"], chosen.first, chosen.messages))
    counts, memory_mb = zip(*samples, strict=True)
    slope = statistics.linear_regression(counts, memory_mb).slope
    line = {
        "name": "memory",
        "mb_per_100k": round(slope * 100_000, 2),
        "mb": [round(one, 1) for one in memory_mb],
        "after": chosen.first,
        "workload": f"{chosen.first} and then {stage.workload(1, chosen.messages)}",
    }
    print(orjson.dumps(line).decode())
    return 0


async def _sampled(server: stage.Server, first: int, messages: int) -> list[tuple[int, float]]:
    await stage.listening(server.port)
    samples = []
    for count in range(SAMPLE_EVERY, first + messages + 1, SAMPLE_EVERY):
        await measure(server.port, requests(SAMPLE_EVERY, seed=count))
        if count >= first:
            samples.append((count, server.memory_mb()))
        print(f"{count} messages: {server.memory_mb():.1f} MB", end="\r", file=sys.stderr, flush=True)
    return samples


if __name__ == "__main__":
    sys.exit(main())
