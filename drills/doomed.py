"""The daemon as a drill runs it: killed, as by `kill -9`, when it passes a named point for the n-th time."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import tenacity
import uvloop

from fernamt._runtime import outcome
from fernamt.app import App
from fernamt.settings import read_settings


def main() -> int:
    """Run ``doomed.py CONFIG [POINT PASSES [FILE]]``; with *FILE*, only what passes once it is there counts."""
    point, passes = (sys.argv[2], int(sys.argv[3])) if len(sys.argv) > 2 else ("", 0)
    armed_by = Path(sys.argv[4]) if len(sys.argv) > 4 else None
    left = [passes]

    def reached(here: str) -> None:
        if here == point and (armed_by is None or armed_by.exists()):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    settings = read_settings(Path(sys.argv[1]))
    # A short lease: on PostgreSQL a dead runner's channels wait for its end.
    lease_s = float(os.environ.get("DRILL_LEASE_S", "2"))
    # A test does not wait as long as an operator would until something is tried again.
    if retry_s := float(os.environ.get("DRILL_RETRY_S", "0")):
        shorter = tenacity.wait_exponential(multiplier=retry_s, max=3600) + tenacity.wait_random(0, retry_s)
        vars(outcome)["_RETRY_WAIT"] = shorter
    return uvloop.run(App.from_settings(settings, reached=reached, lease_s=lease_s).run())


if __name__ == "__main__":
    sys.exit(main())
