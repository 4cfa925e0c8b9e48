"""Run the simulation for long, or one seed again."""

from __future__ import annotations

import argparse
import itertools
import sys
import time

import orjson

from .runs import COMMAND, Stage, told
from .script import Script


def main() -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__, epilog=f"Example: {COMMAND} --minutes 60")
    parser.add_argument("--minutes", type=float, default=1.0, help="how long new seeds are tried")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="play this seed alone, and tell its story")
    parser.add_argument("--shrink", action="store_true", help="look for the shortest script that still fails")
    chosen = parser.parse_args()
    with Stage.open() as stage:
        if chosen.seed is not None:
            return _one(stage, Script.of(chosen.seed), shrink=chosen.shrink)
        return _many(stage, chosen.first, chosen.minutes * 60, shrink=chosen.shrink)


def _one(stage: Stage, script: Script, *, shrink: bool) -> int:
    why = stage.fault(script)
    if why is None:
        print("\n".join(stage.play(script)))
        print(f"seed {script.seed}: all is well")
        return 0
    if shrink:
        script, why = _shrunk(stage, script, why)
    print("\n".join(why.__notes__))
    print(told(script, why))
    return 1


def _shrunk(stage: Stage, script: Script, why: Exception) -> tuple[Script, Exception]:
    shorter = script.shrunk(lambda one: type(stage.fault(one)) is type(why))
    return shorter, stage.fault(shorter) or why


def _many(stage: Stage, first: int, within_s: float, *, shrink: bool) -> int:
    began = time.monotonic()
    failed: list[int] = []
    tried = 0
    for seed in itertools.count(first):
        if time.monotonic() - began > within_s:
            break
        script = Script.of(seed)
        why = stage.fault(script)
        tried += 1
        if why is None:
            continue
        failed.append(seed)
        if shrink:
            script, why = _shrunk(stage, script, why)
        print(told(script, why), flush=True)
    seconds = round(time.monotonic() - began, 1)
    print(orjson.dumps({"first": first, "seeds": tried, "seconds": seconds, "failed": failed}).decode())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
