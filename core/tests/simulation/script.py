"""What happens in a simulated world, drawn from a seed: a value that can be printed, shortened and run again."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from attrs import evolve, frozen

FAULTS: Final = ("provider", "receipts", "commits", "outages", "crashes", "pauses", "delays", "people", "policies")
"""What may go wrong; a script can be run without some of it, which shows what a failure needs."""

_ACTIONS: Final = {
    "offer": 26,
    "repeat": 10,
    "reply": 24,
    "burst": 6,
    "note": 2,
    "solve": 3,
    "decide": 8,
    "crash": 4,
    "stop": 2,
    "pause": 4,
    "outage": 2,
    "down": 3,
    "start": 4,
    "wait": 5,
}


@frozen
class Step:
    """Something that is done *after_s* seconds after the step before; *picks* say to whom, modulo how many there are."""

    after_s: float
    action: str
    picks: tuple[int, ...]


@frozen
class Script:
    """A whole story. What the dice of a script show depends on its seed and on what they are thrown for, not on its steps."""

    seed: int
    steps: tuple[Step, ...]
    faults: tuple[str, ...] = FAULTS

    @classmethod
    def of(cls, seed: int) -> Script:
        """Return the script of a seed."""
        dice = Random(f"script {seed}")
        names, weights = list(_ACTIONS), list(_ACTIONS.values())
        steps = [Step(0.0, "start", (0, 0, 0)), Step(0.0, "start", (1, 0, 0)), Step(0.0, "offer", (0, 0, 0))]
        for _ in range(dice.randint(12, 40)):
            after_s = dice.choice((0.0, 0.0, 0.002, 0.05, 0.5, dice.uniform(0, 3), dice.uniform(0, 12)))
            action = dice.choices(names, weights)[0]
            steps.append(Step(round(after_s, 3), action, tuple(dice.randrange(1000) for _ in range(3))))
        return cls(seed, tuple(steps))

    def dice(self, *of: object) -> Random:
        """Return the dice for one decision."""
        return Random(f"{self.seed} {of}")

    def shrunk(self, fails: Callable[[Script], bool], tries: int = 400) -> Script:
        """Return the smallest script found that still *fails*: without kinds of faults, then without steps."""
        found = self
        for fault in self.faults:
            without = evolve(found, faults=tuple(one for one in found.faults if one != fault))
            if fails(without):
                found = without
        size = max(1, len(found.steps) // 2)
        while tries > 0:
            start, shorter = 0, False
            while start < len(found.steps) and tries > 0:
                tries -= 1
                without = evolve(found, steps=found.steps[:start] + found.steps[start + size :])
                if fails(without):
                    found, shorter = without, True
                else:
                    start += size
            if size == 1 and not shorter:
                break
            size = max(1, size // 2)
        return found
