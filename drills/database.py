"""Kill PostgreSQL under load again and again, start it again, and see that the daemon takes and sends at once and lost nothing.

    make drill DRILL=database KILLS=20

The last line is JSON: ``down_s`` is the longest that the server itself was away, ``taken_s`` the longest from its first
answer to the first message that was taken, ``again_s`` to when an answer had been sent, too.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import time
from pathlib import Path

import orjson
from scene import Scene, say

from fernamt.testing.postgres import PostgresServer, postgres

AGAIN_S = 5.0
PATIENCE_S = 60.0


def main() -> int:
    """Run the drill and print its line."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--store", default="postgres", help="always PostgreSQL; postgres2: with two daemons")
    options.add_argument("--kills", type=int, default=20)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    runners = 2 if chosen.store == "postgres2" else 1
    with tempfile.TemporaryDirectory(prefix="fernamt-drill-") as folder, postgres() as server:
        scene = Scene(Path(folder), server.url, chosen.seed, runners=runners)
        found = asyncio.run(Drill(scene, server, chosen.kills, chosen.seed).run(runners))
    print(orjson.dumps({"drill": "database", "runners": runners, "kills": chosen.kills, **found}).decode())
    wrong = ("lost", "doubled", "disordered", "provider_doubled")
    return 0 if not any(found[name] for name in wrong) and found["again_s"] <= AGAIN_S else 1


class Drill:
    """One run."""

    def __init__(self, scene: Scene, server: PostgresServer, kills: int, seed: int) -> None:
        self._scene = scene
        self._server = server
        self._kills = kills
        self._dice = random.Random(seed)
        self._down_s = self._taken_s = self._again_s = 0.0

    async def run(self, runners: int) -> dict[str, float]:
        """Kill, let everything settle, compare."""
        scene = self._scene
        scene.prepare(await scene.provide())
        async with scene.watched(), contextlib.AsyncExitStack() as last:
            for number in range(runners):
                await last.enter_async_context(scene.running(number))
            async with scene.live():
                for kill in range(self._kills):
                    await asyncio.sleep(self._dice.uniform(0.5, 2.0))
                    await self._kill_and_start()
                    say(f"kill {kill + 1} of {self._kills}")
            await scene.settled()
        found = await asyncio.to_thread(scene.compare)
        times = {"down_s": self._down_s, "taken_s": self._taken_s, "again_s": self._again_s}
        return {**found, **{name: round(seconds, 2) for name, seconds in times.items()}}

    async def _kill_and_start(self) -> None:
        killed_at = time.monotonic()
        await asyncio.to_thread(self._server.kill)
        await asyncio.sleep(self._dice.uniform(0.0, 1.0))
        await asyncio.to_thread(self._server.start)
        up_at = time.monotonic()
        self._down_s = max(self._down_s, up_at - killed_at)
        taken, arrived = self._taken(), self._arrived()
        while self._taken() == taken:
            assert time.monotonic() < up_at + PATIENCE_S, "the daemon takes nothing"
            await asyncio.sleep(0.01)
        self._taken_s = max(self._taken_s, time.monotonic() - up_at)
        while self._arrived() == arrived:
            assert time.monotonic() < up_at + PATIENCE_S, "the daemon sends nothing"
            await asyncio.sleep(0.01)
        self._again_s = max(self._again_s, time.monotonic() - up_at)

    def _taken(self) -> int:
        return sum(len(keys) for one in self._scene.customers.values() for keys in one.acknowledged.values())

    def _arrived(self) -> int:
        return sum(len(texts) for one in self._scene.providers.values() for texts in one.got.values())


if __name__ == "__main__":
    sys.exit(main())
