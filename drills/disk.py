"""Let the disk of the store run full while customers write and agents answer, give space back, and compare the ledgers.

    make drill DRILL=disk KILLS=2

The store lies on a file system of a few megabytes that only this drill sees; KILLS is how often it runs full. While it is full,
nothing is acknowledged that is not committed; when there is space again, the same daemon goes on. The last line is JSON, as of the
drill kill; refused counts the 503s, full_s says for how long the disk was full, back_s how soon messages were taken again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

import orjson
from scene import Scene, StuckLane, say

SIZE_BYTES = 8 * 2**20
FILE_BYTES = 40_000
FULL_S = 5.0
PATIENCE_S = 60.0
INSIDE = "FERNAMT_DRILL_INSIDE"
NOT_HERE = 77


def main() -> int:
    """Run the drill and print its line."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--store", choices=("sqlite",), default="sqlite", help="PostgreSQL keeps its own disk")
    options.add_argument("--kills", type=int, default=2)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    if INSIDE not in os.environ:
        return _in_a_room_of_its_own()
    with tempfile.TemporaryDirectory(prefix="fernamt-drill-") as folder, Disk(Path(folder) / "disk") as disk:
        scene = Scene(Path(folder), f"sqlite:///{disk.folder}/drill.db", chosen.seed)
        found = asyncio.run(drilled(scene, disk, chosen.kills))
    line = {"drill": "disk", "store": chosen.store, "times": chosen.kills, **found}
    print(orjson.dumps(line).decode())
    bad = ("lost", "doubled", "disordered", "provider_doubled", "stuck", "corrupt")
    return 1 if any(found[name] for name in bad) or not found["refused"] else 0


def _in_a_room_of_its_own() -> int:
    """Run this again where what is mounted is seen by nobody else, or say why that cannot be: exit code 77."""
    why = "there is no unshare"
    for way in (["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"]) if shutil.which("unshare") else ():
        with tempfile.TemporaryDirectory() as folder:
            command = [*way, "mount", "-t", "tmpfs", "none", folder]
            tried = subprocess.run(command, check=False, capture_output=True, text=True)
        if tried.returncode == 0:
            command = [*way, sys.executable, *sys.argv]
            return subprocess.run(command, check=False, env={**os.environ, INSIDE: "yes"}).returncode
        why = tried.stderr.strip()
    print(f"No file system can be mounted here: {why}", file=sys.stderr)
    return NOT_HERE


class Disk:
    """A small file system in memory, gone when it is left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._bytes = SIZE_BYTES

    def __enter__(self) -> Self:
        self.folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self._bytes}", "none", self.folder], check=True)
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "--lazy", self.folder], check=True)

    def grow(self) -> None:
        """Give as much again as there was at first."""
        self._bytes += SIZE_BYTES
        subprocess.run(["mount", "-o", f"remount,size={self._bytes}", self.folder], check=True)


async def drilled(scene: Scene, disk: Disk, times: int) -> dict[str, int | float]:
    """Fill, give space, again; let everything settle, compare."""
    scene.prepare(await scene.provide())
    for customers in scene.customers.values():
        customers.file_bytes = FILE_BYTES
    full_s = back_s = 0.0
    stuck = 0
    async with scene.running():
        async with scene.live():
            for again in range(times):
                say(f"filling the disk, {again + 1} of {times}")
                await _more(scene, 503)
                full_at = time.monotonic()
                await asyncio.sleep(FULL_S)
                say("giving space")
                disk.grow()
                full_s += time.monotonic() - full_at
                grown_at = time.monotonic()
                await _more(scene, 200)
                back_s = max(back_s, time.monotonic() - grown_at)
                await _calm(scene)
            disk.grow()
        try:
            await scene.settled()
        except StuckLane as why:
            print(why, file=sys.stderr)
            stuck = 1
    found = await asyncio.to_thread(scene.compare)
    with contextlib.closing(sqlite3.connect(disk.folder / "drill.db")) as connection:
        corrupt = int(connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)])
    return {
        **found,
        "stuck": stuck,
        "corrupt": corrupt,
        "refused": _answers(scene, 503),
        "full_s": round(full_s, 1),
        "back_s": round(back_s, 1),
    }


def _answers(scene: Scene, status: int) -> int:
    return sum(customers.answers[status] for customers in scene.customers.values())


async def _more(scene: Scene, status: int) -> None:
    """Return when one more of these answers has come."""
    before = _answers(scene, status)
    async with asyncio.timeout(PATIENCE_S):
        while _answers(scene, status) == before:  # noqa: ASYNC110 - the customers count
            await asyncio.sleep(0.05)


async def _calm(scene: Scene) -> None:
    """Return when nobody was refused for a second."""
    refused = -1
    async with asyncio.timeout(PATIENCE_S):
        while refused != (refused := _answers(scene, 503)):  # noqa: ASYNC110 - the customers count
            await asyncio.sleep(1.0)


if __name__ == "__main__":
    sys.exit(main())
