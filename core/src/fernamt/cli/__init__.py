"""The commands: ``fernamt run``, ``inbox``, ``show``, ``reply`` ... What a command needs it imports when it is called."""

from fernamt.cli.program import main

__all__ = ("main",)
