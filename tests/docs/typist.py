"""Types a page as its reader would: into an empty folder, in one terminal, every block as it stands there.

Beside the blocks that :mod:`tests.docs.blocks` knows there is one more, for the file that grows while one reads:

================================ ====================================================================================
``<language> <file>``            is written to the file, as a whole
``<language> change <file>``     it replaces what has the same names in the file: functions, classes, imports
``console``                      each line with ``$`` is typed, and the terminal must show what follows; a command that
                                 fails must show why
================================ ====================================================================================
"""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import IO
from uuid import uuid4

from attrs import frozen

from tests.docs.blocks import Block, WrongBlock, resembles

_CHANGE = "change "
_PATIENCE_S = 120.0
"""For one command, on a machine that has other things to do."""


@frozen
class Terminal:
    """A shell in a folder."""

    folder: Path
    keys: IO[str]
    screen: IO[str]
    close: Callable[[], None]

    def type(self, command: str) -> tuple[str, int]:
        """Return what a command shows, and its exit code; what takes too long ends with the terminal."""
        patience = Timer(_PATIENCE_S, self.close)
        patience.start()
        try:
            return self._type(command)
        finally:
            patience.cancel()

    def _type(self, command: str) -> tuple[str, int]:
        end = uuid4().hex
        self.keys.write(f"{command}\nprintf '%s %d\\n' {end} $?\n")
        self.keys.flush()
        shown: list[str] = []
        for line in self.screen:
            before, found, code = line.rpartition(f"{end} ")
            if found:
                return "".join([*shown, before]), int(code)
            shown.append(line)
        raise AssertionError(f"the terminal closed at: {command}")

    def follow(self, found: list[Block]) -> None:
        """Type every block. Raises ``WrongBlock`` at the first that does not do what its page says."""
        place = self.folder
        for block in found:
            if block.language == "console":
                place = self._console(block, place)
            elif block.role.startswith(_CHANGE):
                target = place / block.role.removeprefix(_CHANGE)
                target.write_text(changed(target.read_text(), block.text))
            elif block.role and block.role != "output":
                target = place / block.role
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(block.text)

    def _console(self, block: Block, place: Path) -> Path:
        for step in f"\n{block.text}".split("\n$ ")[1:]:
            command, _, expected = step.partition("\n")
            shown, code = self.type(command)
            if not resembles(expected, shown):
                raise WrongBlock(block, f"`{command}` showed\n{shown}\nand the page says\n{expected}")
            if code and not expected.strip():
                raise WrongBlock(block, f"`{command}` ended with {code}, and the page says nothing of it")
        where, _ = self.type("pwd")
        return Path(where.strip()) if where else place


@contextmanager
def terminal(folder: Path, environ: Mapping[str, str]) -> Iterator[Terminal]:
    """Open a shell in *folder*; whatever was started in it is ended with it."""
    shell = subprocess.Popen(
        ["bash", "--noprofile", "--norc"],
        cwd=folder,
        env=dict(environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert shell.stdin is not None
    assert shell.stdout is not None
    try:
        with shell.stdin, shell.stdout:
            yield Terminal(folder, shell.stdin, shell.stdout, lambda: os.killpg(shell.pid, signal.SIGKILL))
    finally:
        os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()


def changed(source: str, block: str) -> str:
    """Return *source* with *block* in the place of whatever has the same names; what is new in it stays where it stands there."""
    lines = source.splitlines()
    new = {one for node in ast.parse(textwrap.dedent(block)).body for one in _names(node)}
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt)]
    old = [node for node in nodes if new.intersection(_names(node))]
    assert old, f"there is no {' and no '.join(sorted(new))} to be changed"
    spans = [(min(it.lineno for it in [node, *getattr(node, "decorator_list", [])]), node.end_lineno) for node in old]
    for number, (start, end) in sorted(enumerate(spans), key=lambda one: one[1], reverse=True):
        lines[start - 1 : end] = [] if number else block.rstrip().splitlines()
    return "\n".join(lines) + "\n"


def _names(node: ast.AST) -> list[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.ImportFrom(module=str(module)):
            return [f"from {module}"]
        case _:
            return []
