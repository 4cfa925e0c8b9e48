"""Kill the daemon again and again while customers write and agents answer, then compare every ledger with the store.

    make drill DRILL=kill STORE=sqlite KILLS=200

Half of the kills are at named points that a message passes, half at random moments. The last line is JSON: lost, doubled and
disordered count messages and must be 0; provider_doubled counts what a customer got twice; uncertain is what a person is asked.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import signal
import sys
import tempfile
from pathlib import Path

import orjson
from scene import Scene, say, store_in

POINTS = ("writer.before-commit", "writer.committed", "outbox.begun", "outbox.answered", "outbox.finished")


def main() -> int:
    """Run the drill and print its line."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite")
    options.add_argument("--kills", type=int, default=20)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="fernamt-drill-") as folder, store_in(chosen.store, Path(folder)) as url:
        drill = Drill(Scene(Path(folder), url, chosen.seed), chosen.kills, chosen.seed)
        found = asyncio.run(drill.run())
    line = {"drill": "kill", "store": chosen.store, "kills": chosen.kills, **found}
    print(orjson.dumps(line).decode())
    return 0 if found["lost"] == found["doubled"] == found["disordered"] == found["provider_doubled"] == 0 else 1


class Drill:
    """One run."""

    def __init__(self, scene: Scene, kills: int, seed: int) -> None:
        self._scene = scene
        self._kills = kills
        self._dice = random.Random(seed)

    async def run(self) -> dict[str, int]:
        """Kill, let everything settle, compare."""
        scene = self._scene
        scene.prepare(await scene.provide())
        async with contextlib.AsyncExitStack() as last:
            async with scene.live():
                for kill in range(self._kills):
                    await self._live_and_die(at_a_point=kill % 2 == 0)
                    say(f"kill {kill + 1} of {self._kills}")
                await last.enter_async_context(scene.running())
            await scene.settled()
        return await asyncio.to_thread(scene.compare)

    async def _live_and_die(self, *, at_a_point: bool) -> None:
        doom = (self._dice.choice(POINTS), str(self._dice.randint(1, 25))) if at_a_point else ()
        daemon = await self._scene.start(*doom)
        try:
            async with asyncio.timeout(20.0):
                await self._scene.listening(daemon)
            async with asyncio.timeout(8.0 if at_a_point else self._dice.uniform(0.0, 1.0)):
                await daemon.wait()
        except TimeoutError:
            daemon.kill()
            await daemon.wait()
        assert daemon.returncode == -signal.SIGKILL, f"the daemon ended by itself with {daemon.returncode}"


if __name__ == "__main__":
    sys.exit(main())
