"""The frame of a program: how its help looks and how its words become a call; the same for the core and for plugins."""

from __future__ import annotations

import io
import sys
import textwrap
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
        shown_on.file = helped
    try:
        code = app(words, console=shown_on, result_action="return_value", print_error=False, exit_on_error=False)
    finally:
        sys.stdout.write("".join(f"{_broken(line.rstrip())}\n" for line in helped.getvalue().splitlines()))
    return code if isinstance(code, int) else DONE


def _broken(line: str) -> str:
    """Return a line of help in lines of the usual width; what goes on stands further in than what began."""
    indent = line[: len(line) - len(line.lstrip())]
    further = f"{indent}  " if indent else ""
    return textwrap.fill(line, _HELP_WIDTH, subsequent_indent=further, break_long_words=False, break_on_hyphens=False)
