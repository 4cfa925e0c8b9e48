"""The frame of a program: how its help looks and how its words become a call; the same for the core and for plugins."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Final

from cyclopts import App, Parameter

from fernamt.cli.outcome import DONE
from fernamt.cli.screen import console, is_terminal

_HELP_WIDTH: Final = 100
"""Of help that goes into a file or a pipe."""


def frame(name: str, about: str) -> App:
    """Return a program without commands, in our manner."""
    return App(
        name=name,
        help=about,
        version=_version,
        help_format="markdown",
        help_formatter="default" if is_terminal(sys.stdout) else "plain",
        default_parameter=Parameter(negative=(), show_default=False),
        suppress_keyboard_interrupt=False,
    )


def _version() -> str:
    from importlib.metadata import version

    return f"fernamt {version('fernamt')}"


def called(app: App, words: Sequence[str]) -> int:
    """Run the command that *words* name and return its exit code. Raises ``CycloptsError`` if they are not what it takes."""
    helped = io.StringIO()
    shown_on = console(sys.stdout)
    if not is_terminal(sys.stdout):
        shown_on.file, shown_on.width = helped, _HELP_WIDTH
    try:
        code = app(words, console=shown_on, result_action="return_value", print_error=False, exit_on_error=False)
    finally:
        sys.stdout.write("".join(f"{line.rstrip()}\n" for line in helped.getvalue().splitlines()))
    return code if isinstance(code, int) else DONE
