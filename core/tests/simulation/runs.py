"""Running scripts one after the other, and telling how to see a failure again."""

from __future__ import annotations

import contextlib
import gc
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .script import Script
from .world import World, template

COMMAND = ".venv/bin/python -m core.tests.simulation"


class Stage:
    """A folder in memory, if there is one, with a migrated database to begin each story with."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._template = template(folder)

    @classmethod
    @contextlib.contextmanager
    def open(cls) -> Iterator[Stage]:
        memory = Path("/dev/shm")
        with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
            yield cls(Path(folder))

    def play(self, script: Script) -> list[str]:
        """Play one script and return its story; raises what broke."""
        world = World(script, self._template, self._folder)
        world.play()
        return world.trace

    def fault(self, script: Script) -> Exception | None:
        """Play one script and return what broke."""
        try:
            self.play(script)
        except Exception as why:  # noqa: BLE001 - whatever it is, it is what is looked for
            return why
        finally:
            gc.collect(0)
        return None

    def copy(self, to: Path) -> None:
        """Keep the database of the last story for whoever wants to look at it."""
        shutil.copy(self._folder / "world.db", to)


def told(script: Script, why: Exception) -> str:
    """Return what a person needs in order to see a failure again."""
    steps = "\n".join(f"  {step.after_s:7.3f} s later: {step.action} {step.picks}" for step in script.steps)
    return (
        f"seed {script.seed}: {type(why).__name__}: {why}\n"
        f"with the faults {', '.join(script.faults) or 'none'}, and the steps\n{steps}\n"
        f"again: {COMMAND} --seed {script.seed}    shorter: {COMMAND} --seed {script.seed} --shrink"
    )
