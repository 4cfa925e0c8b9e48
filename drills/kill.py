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
from typing import ClassVar

import orjson
from scene import Scene, say, store_in

START_S = 60.0
POINTS = ("writer.before-commit", "writer.committed", "outbox.begun", "outbox.answered", "outbox.finished")


def main() -> int:
    """Run the drill and print its line."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--store", choices=("sqlite", "postgres", "postgres2"), default="sqlite")
    options.add_argument("--kills", type=int, default=20)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="fernamt-drill-") as folder, store_in(chosen.store, Path(folder)) as url:
        drill = Drill if chosen.store != "postgres2" else DrillOfTwo
        scene = Scene(Path(folder), url, chosen.seed, runners=drill.runners)
        found = asyncio.run(drill(scene, chosen.kills, chosen.seed).run())
    line = {"drill": "kill", "store": chosen.store, "kills": chosen.kills, **found}
    print(orjson.dumps(line).decode())
    return 0 if found["lost"] == found["doubled"] == found["disordered"] == found["provider_doubled"] == 0 else 1


class Drill:
    """One run."""

    runners: ClassVar[int] = 1

    def __init__(self, scene: Scene, kills: int, seed: int) -> None:
        self._scene = scene
        self._kills = kills
        self._dice = random.Random(seed)

    async def run(self) -> dict[str, int]:
        """Kill, let everything settle, compare."""
        scene = self._scene
        scene.prepare(await scene.provide())
        async with contextlib.AsyncExitStack() as last:
            last.callback(self._end)
            await last.enter_async_context(scene.watched())
            async with scene.live():
                for kill in range(self._kills):
                    await self._live_and_die(at_a_point=kill % 2 == 0)
                    say(f"kill {kill + 1} of {self._kills}")
                await self._survive(last)
            await scene.settled()
        return await asyncio.to_thread(scene.compare)

    async def _survive(self, last: contextlib.AsyncExitStack) -> None:
        await last.enter_async_context(self._scene.running())

    def _end(self) -> None:
        """Leave nobody behind."""

    async def _live_and_die(self, *, at_a_point: bool) -> None:
        doom = (self._dice.choice(POINTS), str(self._dice.randint(1, 25))) if at_a_point else ()
        daemon = await self._scene.start(*doom)
        try:
            async with asyncio.timeout(START_S):
                await self._scene.listening(daemon)
            async with asyncio.timeout(8.0 if at_a_point else self._dice.uniform(0.0, 1.0)):
                await daemon.wait()
        except TimeoutError:
            daemon.kill()
            await daemon.wait()
        assert daemon.returncode == -signal.SIGKILL, f"the daemon ended by itself with {daemon.returncode}"


class DrillOfTwo(Drill):
    """Two daemons on one PostgreSQL: in turn each is killed and started again while the other one goes on."""

    runners: ClassVar[int] = 2

    def __init__(self, scene: Scene, kills: int, seed: int) -> None:
        super().__init__(scene, kills, seed)
        self._daemons: dict[int, asyncio.subprocess.Process] = {}
        self._kill = 0

    async def _live_and_die(self, *, at_a_point: bool) -> None:
        await asyncio.gather(self._up(0), self._up(1))
        number, self._kill = self._kill % 2, self._kill + 1
        victim = self._daemons.pop(number)
        try:
            async with asyncio.timeout(8.0 if at_a_point else self._dice.uniform(0.0, 1.0)):
                if at_a_point:
                    self._arming(number).touch()
                await victim.wait()
        except TimeoutError:
            victim.kill()
            await victim.wait()
        assert victim.returncode == -signal.SIGKILL, f"the daemon ended by itself with {victim.returncode}"

    async def _up(self, number: int) -> None:
        """Start a daemon if it does not run: doomed, but only once it is armed, for first it is to take channels over."""
        if number not in self._daemons:
            self._arming(number).unlink(missing_ok=True)
            doom = (self._dice.choice(POINTS), str(self._dice.randint(1, 25)), str(self._arming(number)))
            daemon = self._daemons[number] = await self._scene.start(*doom, file=self._scene.files[number])
            async with asyncio.timeout(START_S):
                await self._scene.listening(daemon, self._scene.ports[number])

    def _arming(self, number: int) -> Path:
        return self._scene.folder / f"armed{number}"

    async def _survive(self, last: contextlib.AsyncExitStack) -> None:
        self._end()
        for number in (0, 1):
            await last.enter_async_context(self._scene.running(number))

    def _end(self) -> None:
        while self._daemons:
            self._daemons.popitem()[1].kill()


if __name__ == "__main__":
    sys.exit(main())
