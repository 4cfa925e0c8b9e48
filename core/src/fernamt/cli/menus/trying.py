"""A menu in the terminal, with its author as the caller and as every service."""

from __future__ import annotations

import re
import sys
import tomllib
from datetime import datetime
from typing import Any, Final

from fernamt.cli.outcome import DONE
from fernamt.cli.screen import say, show
from fernamt.cli.words import harmless
from fernamt.menus import BuiltMenu
from fernamt.session import Happened, LookUp, LookUpFailed
from fernamt.testing import Call, CallFailed, Exchange
from fernamt.testing.calls import KINDS, SHAPES

_KEYS: Final = re.compile(r"[0-9*#]+")
_HELP: Final = "keys: 1 · words: just type · silence: empty line · /record /answered /busy /no-answer /wait 20 /hang up"


class Trying:
    """One exchange with whoever sits here."""

    def __init__(self, menu: BuiltMenu, *, language: str, written: bool, caller: str) -> None:
        at = datetime.now().astimezone().isoformat()
        call = Call(name="you", language=language, at=at, caller=caller, written=written, does=())
        self._exchange = Asking(menu, call)

    def run(self) -> int:
        """Play until somebody hangs up."""
        exchange = self._exchange
        say(_HELP)
        exchange.begin()
        while True:
            self._show()
            if exchange.is_over:
                assert exchange.state is not None
                say(f"It is over: {exchange.state['end']}.")
                return DONE
            line = _typed("> ")
            if line is None:
                line = "/hang up"
            try:
                exchange.do(self._word(line))
            except (CallFailed, ValueError) as why:
                say(f"{why}. {_HELP}")

    def _word(self, line: str) -> str:
        if line.startswith("/"):
            return line[1:]
        if not line:
            return "silence"
        return f"press {line}" if _KEYS.fullmatch(line) else f"say {line}"

    def _show(self) -> None:
        for line in self._exchange.lines:
            if not line.startswith(">"):
                show(harmless(line))
        self._exchange.lines.clear()


class Asking(Exchange):
    """An exchange whose services are whoever sits here."""

    def answer(self, asked: LookUp) -> Happened:
        """Ask for the answer; the lines before it are shown first."""
        for line in self.lines:
            if not line.startswith(">"):
                show(harmless(line))
        self.lines.clear()
        show(harmless(f"  ? {asked.question}"))
        name = KINDS.get(type(asked.question), type(asked.question).__name__)
        say(f"  What is the answer? {SHAPES.get(name, 'a value of TOML')}. Empty: nobody answers.")
        while typed := _typed("  > "):
            try:
                value: Any = tomllib.loads(f"answer = {typed}")["answer"]
                self.call.answers.clear()  # type: ignore[attr-defined]
                self.call.answers[name] = value  # type: ignore[index]
                return super().answer(asked)
            except tomllib.TOMLDecodeError as why:
                say(f"  That is no value of TOML: {why}.")
            except CallFailed as why:
                say(f"  {why}.")
        return LookUpFailed("nobody answers that")


def _typed(ask: str) -> str | None:
    """Return a line that was typed; ``None``: there are no more."""
    if sys.stdin.isatty():
        sys.stderr.write(ask)
        sys.stderr.flush()
    line = sys.stdin.readline()
    return line.strip() if line else None
