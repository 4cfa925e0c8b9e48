"""The fenced blocks of a Markdown page, and what to do with each.

The first word after the fence is the language, the second word says what the block is for:

====================== ==============================================================================================
``python``             run; all such blocks of a page share one namespace, as they do in the reader's head
``text output``        must be what the block of Python before it printed
``console``            each line that begins with ``$`` is run in the page's folder, what follows must be its output
``<language> <file>``  written to that file in the page's folder, for the commands and blocks that come after it
``console <test>``     not run here: the named test, ``tests/...``, proves it
``toml`` ``json``      parsed
``sh``                 parsed by bash
``text`` ``mermaid``   left alone
``{name}``             a directive of Sphinx: left alone here, ``make docs`` proves it
====================== ==============================================================================================

In expected output a line ``...`` stands for any lines, and ``...`` inside a line for any characters. A language that is not
in this table is an error: nothing is left unproved because of a slip.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import tomllib
import types
from pathlib import Path

from attrs import field, frozen

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^(?P<indent> *)(?P<mark>`{3,}|~{3,})(?P<info>[^`]*)$")
_LEFT_ALONE = {"text", "mermaid"}
_COMMAND_TIMEOUT_S = 60


@frozen
class Block:
    """One fenced block."""

    page: str
    line: int
    language: str
    role: str
    text: str

    def __str__(self) -> str:
        """Return where it stands, as an editor understands it."""
        return f"{self.page}:{self.line}"


class WrongBlock(AssertionError):
    """A block does not do what its page says."""

    def __init__(self, block: Block, problem: str) -> None:
        super().__init__(f"{block}: {problem}")


def blocks(page: str, markdown: str) -> list[Block]:
    """Return the fenced blocks of *markdown* in order; ``line`` is that of the opening fence, from 1."""
    found: list[Block] = []
    opened: re.Match[str] | None = None
    start, body = 0, list[str]()
    for number, line in enumerate(markdown.splitlines(), 1):
        fence = _FENCE.match(line)
        if opened is None:
            if fence:
                opened, start, body = fence, number, []
        elif fence and fence["mark"].startswith(opened["mark"]) and not fence["info"].strip():
            language, _, role = opened["info"].strip().partition(" ")
            found.append(Block(page, start, language, role.strip(), "".join(f"{line}\n" for line in body)))
            opened = None
        else:
            body.append(line.removeprefix(opened["indent"]))
    if opened is not None:
        raise WrongBlock(Block(page, start, "", "", ""), "the block is never closed")
    return found


def resembles(expected: str, printed: str) -> bool:
    """Whether *printed* is *expected*, where ``...`` stands for anything; spaces at the ends of lines do not count."""
    parts = re.split(r"(?m)(^\.\.\.\n|\.\.\.)", _trimmed(expected))
    whole = {"...\n": r"(?:.*\n)*", "...": r".*"}
    return re.fullmatch("".join(whole.get(part) or re.escape(part) for part in parts), _trimmed(printed)) is not None


def _trimmed(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.rstrip().splitlines())


@frozen
class Page:
    """One page while it is being proved; *folder* is its own and empty."""

    folder: Path
    module: types.ModuleType = field(factory=lambda: types.ModuleType("page"))
    printed: list[str] = field(factory=list)

    def prove(self, found: list[Block]) -> None:
        """Run *found* in order, in the page's folder.

        Raises: WrongBlock: at the first block that does not do what the page says; whatever a block of Python raises.
        """
        sys.modules[self.module.__name__] = self.module
        try:
            with contextlib.chdir(self.folder):
                for block in found:
                    self._prove(block)
        finally:
            del sys.modules[self.module.__name__]

    def _prove(self, block: Block) -> None:
        match block.language, block.role:
            case "text", "output":
                self._compare(block, block.text, self.printed[-1] if self.printed else "")
            case "console", "":
                self._console(block)
            case "console", proof:
                if not (ROOT / proof).is_file():
                    raise WrongBlock(block, f"{proof} should prove it, and is not there")
            case language, "":
                self._check(block, language)
            case language, name:
                self._check(block, language, run=False)
                target = self.folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(block.text)

    def _check(self, block: Block, language: str, *, run: bool = True) -> None:
        if language == "python":
            self._python(block, run=run)
        elif language == "toml":
            tomllib.loads(block.text)
        elif language == "json":
            json.loads(block.text)
        elif language == "sh":
            done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True)
            if done.returncode:
                raise WrongBlock(block, done.stderr)
        elif language not in _LEFT_ALONE and not language.startswith("{"):
            raise WrongBlock(block, f"nothing is known about blocks of {language or 'no language'}")

    def _python(self, block: Block, *, run: bool) -> None:
        # The empty lines make a traceback point at the line of the page.
        code = compile("\n" * block.line + block.text, block.page, "exec")
        if not run:
            return
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, vars(self.module))
        self.printed.append(printed.getvalue())

    def _console(self, block: Block) -> None:
        tools = Path(sys.executable).parent
        env = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1", "COLUMNS": "100"}
        for step in re.split(r"(?m)^\$ ", block.text)[1:]:
            command, _, expected = step.partition("\n")
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=self.folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=_COMMAND_TIMEOUT_S,
            )
            self._compare(block, expected, done.stdout, f"`{command}` printed")

    def _compare(self, block: Block, expected: str, printed: str, who: str = "the code printed") -> None:
        if not resembles(expected, printed):
            raise WrongBlock(block, f"{who}\n{printed}\nand the page says\n{expected}")
