"""Halt one of two daemons past its lease while customers write and agents answer, let it go on, and look for what it still did.

    make drill DRILL=stale KILLS=20

The other one has to take its channels over within the lease and a second (``take_over_s`` is the longest that it took). The last
line is JSON: ``stale_writes`` counts attempts that a halted daemon began with an old fence, and must be 0;
``calls_already_out`` counts calls that reached the provider after the take-over, though they were begun before it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import orjson
from scene import Scene, say, store_in

LEASE_S = 3.0
AGAIN_S = 1.0


def main() -> int:
    """Run the drill and print its line."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--store", default="postgres2", help="always two daemons on one PostgreSQL")
    options.add_argument("--kills", type=int, default=20, help="how often one is halted")
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    os.environ["DRILL_LEASE_S"] = str(LEASE_S)
    with tempfile.TemporaryDirectory(prefix="fernamt-drill-") as folder, store_in("postgres", Path(folder)) as url:
        scene = Scene(Path(folder), url, chosen.seed, runners=2)
        found = asyncio.run(Drill(scene, chosen.kills, chosen.seed).run())
    print(
        orjson.dumps(
            {"drill": "stale", "store": "postgres2", "halts": chosen.kills, "lease_s": LEASE_S, **found}
        ).decode()
    )
    wrong = ("lost", "doubled", "disordered", "provider_doubled", "stale_writes")
    return 0 if not any(found[name] for name in wrong) and found["take_over_s"] <= LEASE_S + AGAIN_S else 1


class Drill:
    """One run."""

    def __init__(self, scene: Scene, halts: int, seed: int) -> None:
        self._scene = scene
        self._halts = halts
        self._dice = random.Random(seed)
        self._taken: dict[tuple[str, int], float] = {}
        """When a fence of a channel was first seen, by this machine's clock."""
        self._longest_s = 0.0

    async def run(self) -> dict[str, float]:
        """Halt, let everything settle, compare."""
        scene = self._scene
        scene.prepare(await scene.provide())
        async with contextlib.AsyncExitStack() as last:
            # By the store's clock: what this process sees of a new fence it sees late, on a machine that is busy.
            await last.enter_async_context(scene.watched())
            daemons = [await last.enter_async_context(scene.running(number)) for number in (0, 1)]
            watching = asyncio.create_task(self._watch())
            async with scene.live(timeout_s=2.0):
                for halt in range(self._halts):
                    await asyncio.sleep(self._dice.uniform(0.5, 1.5))
                    await self._halt(daemons)
                    say(f"halt {halt + 1} of {self._halts}")
            await scene.settled()
            watching.cancel()
        return await asyncio.to_thread(self._compare)

    async def _halt(self, daemons: list[asyncio.subprocess.Process]) -> None:
        """Stop the one that holds most until the other holds everything; then let it go on."""
        owners = [str(owner) for _, owner, _ in await asyncio.to_thread(self._claims)]
        victim = max(daemons, key=lambda one: sum(f"-{one.pid}-" in owner for owner in owners))
        victim.send_signal(signal.SIGSTOP)
        halted_at = time.monotonic()
        try:
            while any(f"-{victim.pid}-" in str(owner) for _, owner, _ in await asyncio.to_thread(self._claims)):
                assert time.monotonic() < halted_at + 10 * LEASE_S, "nobody takes over"
                await asyncio.sleep(0.01)
            self._longest_s = max(self._longest_s, time.monotonic() - halted_at)
            await asyncio.sleep(self._dice.uniform(0.0, 1.0))
        finally:
            victim.send_signal(signal.SIGCONT)

    def _claims(self) -> list[tuple[str, str, int]]:
        return [
            (key, owner, fence)
            for key, owner, fence in self._scene.rows(
                "SELECT key, owner, fence FROM due WHERE substr(key, 1, 8) = 'channel:'"
            )
        ]

    async def _watch(self) -> None:
        while True:
            for key, _, fence in await asyncio.to_thread(self._claims):
                self._taken.setdefault((key.partition(":")[2], fence), time.time())
            await asyncio.sleep(0.02)

    def _compare(self) -> dict[str, float]:
        scene = self._scene
        names = scene.names
        stale_writes = calls = 0
        late: set[str] = set()
        for channel, text, delivery, n, fence, started_at in scene.rows(
            "SELECT h.name, c.text, d.id, a.n, a.fence, a.started_at FROM attempt a JOIN delivery d ON d.id = a.delivery"
            " JOIN channel h ON h.id = d.channel JOIN content c ON c.entry = d.entry"
        ):
            next_taken = self._taken.get((channel, fence + 1))
            if next_taken is None:
                continue
            stale_writes += started_at / 1_000_000 > next_taken
            arrived = scene.providers[channel].arrived.get((names.message_key(delivery), n), 0.0)
            if arrived > next_taken:
                calls += 1
                late.add(text)
        found = scene.compare(late)
        return {
            **found,
            "stale_writes": stale_writes,
            "calls_already_out": calls,
            "take_over_s": round(self._longest_s, 2),
        }


if __name__ == "__main__":
    sys.exit(main())
