"""Steps of a menu a second: the shipped reception, its state as bytes between any two of them, as in the store.

    make bench BENCH=menu_step

The callers are those of the plugin's own tests, half of them German, half English: languages, hours, misses, orders that are looked
up, queues, call-backs. One core; ``per_second`` is by the processor time of this process, so that neighbours on the machine do not
count, the median of the runs; ``wall_per_second`` is by the clock on the wall. The last line is JSON.
"""

from __future__ import annotations

import statistics
import sys
import time
from datetime import datetime
from pathlib import Path

import attrs
import orjson

import fernamt_voice_ivr
from fernamt import BuiltMenu, Happened, MenuState, read_menu
from fernamt.testing import Call, Exchange, read_calls

RUNS = 7
ROUNDS = 40
CALLS = Path(__file__).parents[1] / "plugins" / "voice_ivr" / "tests" / "calls" / "reception.calls.toml"


class Noted(Exchange):
    """An exchange that notes what happens."""

    def __init__(self, menu: BuiltMenu, call: Call) -> None:
        super().__init__(menu, call)
        self.events: list[tuple[Happened, datetime]] = []

    def happen(self, event: Happened) -> None:
        """Note it, and let it happen."""
        self.events.append((event, self.at))
        super().happen(event)


def main() -> int:
    """Measure and print the line."""
    menu = read_menu(Path(fernamt_voice_ivr.__file__).parent / "menus" / "reception.toml")
    exchanges = []
    for language in ("de", "en"):
        for call in read_calls(CALLS):
            noted = Noted(menu, attrs.evolve(call, language=language))
            noted.play()
            exchanges.append((language, noted.events))
    steps = sum(len(events) for _, events in exchanges) * ROUNDS
    rates, walls, largest = [], [], 0
    for _ in range(RUNS):
        wall, used = time.perf_counter(), time.process_time()
        for _ in range(ROUNDS):
            largest = max(largest, walked(menu, exchanges))
        rates.append(steps / (time.process_time() - used))
        walls.append(steps / (time.perf_counter() - wall))
        print(f"{rates[-1]:9,.0f}/s", file=sys.stderr)
    line = {
        "name": "menu_step",
        "per_second": round(statistics.median(rates)),
        "spread": [round(min(rates)), round(max(rates))],
        "wall_per_second": round(statistics.median(walls)),
        "state_bytes": largest,
        "workload": f"{RUNS} x {steps} steps of {len(exchanges)} calls to voice_ivr.reception, state as JSON in between",
    }
    print(orjson.dumps(line).decode())
    return 0


def walked(menu: BuiltMenu, exchanges: list[tuple[str, list[tuple[Happened, datetime]]]]) -> int:
    """Play all of them once; return the size of the largest state."""
    step, loads, dumps = menu.step, orjson.loads, orjson.dumps
    largest = 0
    for language, events in exchanges:
        stored = b"null"
        for event, at in events:
            state: MenuState | None = loads(stored)
            stored = dumps(step(state, event, at=at, language=language).state)
            if len(stored) > largest:
                largest = len(stored)
    return largest


if __name__ == "__main__":
    sys.exit(main())
