"""The chat of ``fernamt dev``: what is typed goes to the version that runs, what it tells is shown, a save brings a new one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final

from fernamt.cli.dev.inspector import Inspector
from fernamt.cli.dev.place import Place
from fernamt.cli.outcome import DONE, USAGE, Failure
from fernamt.cli.screen import say
from fernamt.cli.words import one_line

_LOOK_EVERY_S: Final = 0.3
_STOP_S: Final = 25.0
_QUIET_S: Final = 2.0
_ON_ITS_WAY: Final = ("queued", "sending")
_HELP: Final = """What you type is written by the customer. Beside that:
  /reply TEXT      answer as an agent
  /trouble WORD    let the provider fail: throttled, lost-answer, login ...; /trouble well ends it, /trouble ? lists them
  /play FILE       play a recording
  /reload          start the plugin anew, for instance when it needs a login
  /quit            end, as Ctrl-C does"""


class Version:
    """One version of the plugin in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def begun(cls, words: Sequence[str], log: Any) -> Version:
        """Start the process; it says by itself whether the plugin is whole. *words*: see ``bench.main``."""
        return cls(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "fernamt.cli.dev.bench", *words),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                limit=2**22,
                start_new_session=True,
            )
        )

    async def told(self) -> dict[str, Any] | None:
        """Return the next thing that it tells; ``None``: it has ended."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        said: dict[str, Any] | None = json.loads(line) if line else None
        return said

    def order(self, order: Mapping[str, Any]) -> None:
        """Tell it to do something."""
        assert self._process.stdin is not None
        if not self._process.stdin.is_closing():
            self._process.stdin.write(json.dumps(order).encode() + b"\n")

    async def stop(self) -> None:
        """Let it end what is under way, and end it."""
        with contextlib.suppress(ConnectionError):
            self.order({"stop": True})
        try:
            async with asyncio.timeout(_STOP_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


class Session:
    """The chat: what is typed goes to the version that runs, what it tells is shown."""

    def __init__(self, kept: Path, inspector: Inspector, begin: Callable[[], Any]) -> None:
        self._kept = kept
        self._inspector = inspector
        self._begin = begin
        self._current: Version | None = None
        self._listening: asyncio.Task[None] | None = None
        self._went_once = False
        self.moved = asyncio.Event()
        """Something was told."""
        self.wanted = asyncio.Event()
        """The plugin shall be started anew, saved or not."""
        self.useless = ""
        """Why there is nothing to work on."""

    async def load(self) -> None:
        """Bring in the plugin as it is saved now. If it is broken, the last good version goes on."""
        version = await self._begin()
        while (said := await version.told()) is not None and said["what"] not in ("ready", "broken"):
            self._inspector.keep(said)
        if said is None or said["what"] == "broken":
            self._broken(said or {"text": f"the process ended without a word; see {self._kept / 'dev.log'}"})
            await version.stop()
            return
        await self.stop()
        self._current = version
        self._inspector.behind = said["url"]
        if not self._went_once:
            for remark in said["remarks"]:
                _line("-", remark)
        self._listening = asyncio.create_task(self._listen(version))
        if self._went_once:
            _line("reloaded", "")
        self._went_once = True

    async def stop(self) -> None:
        """End the version that runs."""
        version, self._current = self._current, None
        if version is not None:
            await version.stop()
        if self._listening is not None:
            await self._listening
            self._listening = None

    def typed(self, line: str) -> bool:
        """Do what somebody typed; return whether to go on."""
        word, _, rest = line.strip().partition(" ")
        orders = {"/reply": "reply", "/trouble": "trouble", "/play": "play"}
        if word in ("/quit", "/exit"):
            return False
        if word in ("/help", "/?"):
            say(_HELP)
        elif word == "/reload":
            self.wanted.set()
        elif self._current is None:
            _line("nobody", "no version of the plugin runs: mend it and save")
        elif word in orders:
            self._current.order({orders[word]: rest.strip()})
        elif word.startswith("/"):
            say(f"{word} is no command. {_HELP}")
        elif line.strip():
            self._current.order({"say": line.rstrip("\n")})
        return True

    async def _listen(self, version: Version) -> None:
        while (said := await version.told()) is not None:
            self._show(said)
        if self._current is version:
            self._current = None
            _line("ended", f"the plugin's process ended; its last words are in {self._kept / 'dev.log'}")

    def _broken(self, said: Mapping[str, Any]) -> None:
        self.moved.set()
        if said.get("for-good") and not self._went_once:
            self.useless = str(said["text"])
            return
        goes_on = "the last good version goes on answering" if self._current is not None else "mend it and save"
        _line("broken", f"{said['text']} ({goes_on})")

    def _show(self, said: Mapping[str, Any]) -> None:
        self.moved.set()
        self._inspector.keep(said)
        match said:
            case {"what": "entry", "kind": "received", "text": text, "conversation": conversation, "n": n}:
                files = "".join(f" [{name}]" for name in said["files"])
                _line("customer", f"{text}{files}", f"entry {n} of conversation {conversation}")
            case {"what": "entry", "kind": kind, "text": text} if kind not in ("sent", "opened"):
                _line(kind, text)
            case {"what": "delivery", "state": state, "text": text, "reason": reason} if (
                reason or state not in _ON_ITS_WAY
            ):
                _line("desk", text, f"{state}: {reason}" if reason else state)
            case {"what": "state", "state": state, "reason": reason} if state not in ("starting", "up"):
                _line("channel", f"{state}: {reason}")
            case {"what": "quarantined", "number": number, "reason": reason}:
                _line("kept", f"not understood, in quarantine as {number}: {reason}")
            case {"what": "called", "refused": why}:
                _line("refused", str(why))
            case {"what": "said", "text": text}:
                _line("-", text)
            case _:
                pass


def _line(who: str, text: str, remark: str = "") -> None:
    sys.stdout.write(f"{who:>10}  {one_line(text)}{f'   ({one_line(remark)})' if remark else ''}\n")
    sys.stdout.flush()


async def chatted(place: Place, kept: Path, kind: str, port: int, settings: Mapping[str, Any], *, echo: bool) -> int:
    """Work on the plugin in *place* until nothing more is typed; *kept* is for what is temporary. Raises ``Failure``.

    *settings* are keys of the channel's section.
    """
    with (kept / "dev.log").open("ab") as log:
        numbers = count(1)
        async with Inspector(place, port) as inspector:

            async def begin() -> Version:
                room = kept / str(next(numbers))
                room.mkdir()
                more = ["echo" if echo else "-", inspector.origin, json.dumps(settings, default=str)]
                return await Version.begun([str(place.path), str(room), kind, *more], log)

            session = Session(kept, inspector, begin)
            seen = dict(place.saved())
            await session.load()
            if session.useless:
                raise Failure(session.useless, USAGE)
            say(f"Type as the customer; /help says what else. What goes by: {inspector.url}")
            watching = asyncio.create_task(_reload(session, place, seen))
            try:
                await _chat(session)
            finally:
                watching.cancel()
                await asyncio.wait({watching})
                await session.stop()
    return DONE


async def _chat(session: Session) -> None:
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            loop.call_soon_threadsafe(lines.put_nowait, "")

    threading.Thread(target=read, daemon=True).start()
    while line := await lines.get():
        if not session.typed(line):
            return
    # Whoever pipes lines in wants to see what becomes of them.
    while True:
        session.moved.clear()
        try:
            async with asyncio.timeout(_QUIET_S):
                await session.moved.wait()
        except TimeoutError:
            return


async def _reload(session: Session, place: Place, seen: dict[Path, float]) -> None:
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_EVERY_S):
                await session.wanted.wait()
        if session.wanted.is_set() or dict(place.saved()) != seen:
            session.wanted.clear()
            # An editor may write several files at once.
            await asyncio.sleep(_LOOK_EVERY_S)
            seen = dict(place.saved())
            await session.load()
