"""Let every call of one long conversation to the store, to a file and to a provider fail once, each in a run of its own.

    make drill DRILL=nth

A run: the daemon starts, a customer writes, sends a file, repeats themselves, an agent answers twice, receipts come, early and
twice, a long message comes in two pieces, the second one before the first and twice, the daemon stops. Call number n fails, everything after it works; then everything must be there, once, and nothing stuck.
The last line is JSON: positions counts the runs in which something broke.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import aiohttp
import orjson
import sqlalchemy as sa
import structlog
from attrs import define, field
from breakage import ERRORS, UNTOLD, Breakage, QuickClock, QuickLoop
from drilled_line import file_of, signature

from fernamt._runtime import log
from fernamt._runtime.clock import SystemClock
from fernamt._runtime.redact import Redactor
from fernamt._store.conversations import attachments_of
from fernamt._store.desk import Composition, compose
from fernamt._store.engine import Store
from fernamt.app import App
from fernamt.cli.outcome import CONFIGURATION, ending
from fernamt.inbound import Response
from fernamt.model import Attachment, ChannelId
from fernamt.settings import ChannelSection, HttpSettings, Settings
from fernamt.testing import FaultyProvider, ProviderCall

SECRET = "a drill's secret"
LINES = {"keyed": True, "plain": False}
FILE_BYTES = 100_000
STUCK_S = 1200.0
"""Of the quick loop: half a minute for a machine that has other things to do."""
LEASE_S = 120.0
FOLDER = Path("/dev/shm")


def main() -> int:
    """Run the drill and print its line."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--every", type=int, default=1, help="take only each so many-th position")
    options.add_argument("--kind", choices=tuple(ERRORS), action="append", help="only calls of this kind")
    options.add_argument("--at", type=int, default=0, help="only this position")
    options.add_argument("--verbose", action="store_true", help="say every event of the log")
    options.add_argument("--store", choices=("sqlite",), default="sqlite", help=argparse.SUPPRESS)
    options.add_argument("--kills", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    began = time.monotonic()
    totals: Counter[str] = Counter(dict.fromkeys((*Found.COUNTED, "positions"), 0))
    parent = FOLDER if FOLDER.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="fernamt-nth-", dir=parent) as folder:
        drill = Drill(Path(folder), verbose=chosen.verbose)
        drill.prepare()
        for kind in chosen.kind or ERRORS:
            at = chosen.at or 1
            while True:
                found = drill.run(Breakage(kind, at))
                if not found.broke:
                    break
                totals["positions"] += 1
                totals[f"{kind}_positions"] += 1
                totals.update(found.counts)
                if any(found.counts.values()):
                    print(f"{kind} {at}: {found.broke}\n    {dict(found.counts)} {found.said}", file=sys.stderr)
                print(f"{kind} {at}     ", file=sys.stderr, end="\r", flush=True)
                if chosen.at:
                    break
                at += chosen.every
    line = {"drill": "nth", "store": chosen.store, **totals, "took_s": round(time.monotonic() - began, 1)}
    print(orjson.dumps(line).decode())
    return 1 if any(totals[name] for name in Found.BAD) else 0


@define
class Found:
    """What one run came to."""

    broke: str = ""
    counts: Counter[str] = field(factory=Counter)
    said: list[str] = field(factory=list)

    BAD = ("lost", "doubled", "disordered", "provider_doubled", "stuck", "failed")
    COUNTED = (*BAD, "uncertain", "failed_starts")

    def note(self, what: str, said: str = "", count: int = 1) -> None:
        """Count something, with a word on it."""
        if count:
            self.counts[what] += count
            self.said += [f"{what}: {said}"] if said else []


class Drill:
    """What all runs share: an empty store to copy, and the plugin."""

    def __init__(self, folder: Path, *, verbose: bool) -> None:
        self._folder = folder
        self._verbose = verbose

    def prepare(self) -> None:
        """Make the store and install the plugin."""
        store = Store.open(f"sqlite:///{self._folder}/template.db", SystemClock())
        store.migrate()
        store.close()
        info = self._folder / "fernamt_drill-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: fernamt-drill\nVersion: 1.0\nRequires-Dist: fernamt\n"
        )
        (info / "entry_points.txt").write_text("[fernamt]\ndrill = drilled_line\n")
        sys.path.insert(0, str(self._folder))

    def run(self, breakage: Breakage) -> Found:
        """Have the conversation once, with one breakage."""
        found = Found()
        folder = self._folder / "run"
        folder.mkdir()
        database = folder / "nth.db"
        shutil.copy(self._folder / "template.db", database)
        try:
            with self._log(found), breakage.installed(database), asyncio.Runner(loop_factory=QuickLoop) as runner:
                runner.run(Conversation(database, breakage, found).run())
        finally:
            shutil.rmtree(folder)
        found.broke = breakage.broke
        return found

    @contextlib.contextmanager
    def _log(self, found: Found) -> Iterator[None]:
        def heard(_logger: object, _method: str, event: Any) -> Any:
            if self._verbose:
                print({key: str(value)[:200] for key, value in event.items()}, file=sys.stderr)
            if event["event"] in {"daemon_part_failed", "task_would_not_stop", "result_not_storable"}:
                found.note("failed", f"{event['event']} {event.get('part', '')} {event.get('exc_info', '')!r}")
            raise structlog.DropEvent

        structlog.configure(processors=[heard])
        with mock.patch.object(log, "configure", return_value=Redactor()):
            yield


class Conversation:
    """One run, on the quick loop."""

    def __init__(self, database: Path, breakage: Breakage, found: Found) -> None:
        self._database = database
        self._breakage = breakage
        self._found = found
        self._clock = QuickClock()
        self._app: App | None = None
        self._providers: dict[str, FaultyProvider] = {}
        self._texts: dict[str, list[str]] = {name: [] for name in LINES}

    async def run(self) -> None:
        """Start, talk, stop; what breaks is tried again by whoever it concerns, as in life."""
        async with contextlib.AsyncExitStack() as stack:
            for name, honours in LINES.items():
                provider = FaultyProvider(honours_keys=honours, key=_key, answer=_answer)
                self._providers[name] = await stack.enter_async_context(provider)
            session = await stack.enter_async_context(aiohttp.ClientSession())
            try:
                async with asyncio.timeout(STUCK_S):
                    await self._started()
                    await asyncio.gather(*(self._talk(name, session) for name in LINES))
            except TimeoutError:
                self._found.note("stuck", f"{self._rows('SELECT id, state, attempts, reason FROM delivery')}")
            finally:
                if self._app is not None:
                    await self._app.stop()
        self._breakage.armed = False
        for name in LINES:
            self._compare(name)

    async def _started(self) -> None:
        """Start the daemon as systemd does: again if it fails, and it may fail no more than once."""
        private = frozenset(f"127.0.0.1:{provider.port}" for provider in self._providers.values())
        lines = [
            ChannelSection(
                id=ChannelId(name),
                kind="drill",
                options={
                    "url": f"{self._providers[name].url}/send",
                    "signed_with": SECRET,
                    "honours_keys": honours,
                    "timeout_s": 60.0,
                },
            )
            for name, honours in LINES.items()
        ]
        settings = Settings(
            file=self._database.with_name("fernamt.toml"),
            store=f"sqlite:///{self._database}",
            listen="127.0.0.1:0",
            channels=tuple(lines),
            http=HttpSettings(allow_private=tuple(private)),
        )
        while True:
            app = App(settings, clock=self._clock, lease_s=LEASE_S)
            try:
                await app.start()
            except Exception as why:
                await app.stop()
                self._found.note("failed_starts")
                code, said = ending(why)
                if code == CONFIGURATION or self._found.counts["failed_starts"] > 1:
                    self._found.note("failed", f"it starts no more, exit code {code}: {said}")
                    raise
            else:
                self._app = app
                return

    async def _talk(self, name: str, session: aiohttp.ClientSession) -> None:
        provider = self._providers[name]
        await self._receive(session, name, {"id": f"{name}-1", "from": name, "text": "one"})
        await self._receive(session, name, {"id": f"{name}-2", "from": name, "text": "two", "file": FILE_BYTES})
        await self._receive(session, name, {"id": f"{name}-1", "from": name, "text": "one"})
        await self._reply(name, "answer one")
        await self._reply(name, "answer two", with_file_of=f"{name}-2")
        await self._until(lambda: len(provider.acted) >= 1 or self._uncertain(name) > 0)
        await self._receive(session, name, {"id": f"{name}-2", "from": name, "text": "two", "file": FILE_BYTES})
        await self._until(lambda: not self._open(name))
        for call in (*provider.acted, *provider.acted):
            await self._receive(session, name, {"id": f"r-{_key(call)}", "receipt": f"id-{_key(call)}"})
        await self._receive(session, name, {"id": f"{name}-3", "from": name, "text": "three"})
        for number in (2, 1, 2):
            await self._receive(
                session, name, {"id": f"{name}-4-{number}", "from": name, "text": PIECES[number - 1], "part": number}
            )
        self._texts[name].append("".join(PIECES))
        await self._reply(name, "answer three")
        await self._until(lambda: not self._open(name))

    async def _receive(self, session: aiohttp.ClientSession, name: str, message: dict[str, Any]) -> None:
        body = orjson.dumps(message)
        assert self._app is not None
        url = f"http://127.0.0.1:{self._app.port}/in/{name}/hook"
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.post(url, data=body, headers={"X-Signature": signature(SECRET, body)}) as answer:
                    if answer.status == 200:
                        break
            await asyncio.sleep(0.2)
        if "text" in message and "part" not in message and message["text"] not in self._texts[name]:
            self._texts[name].append(message["text"])

    async def _reply(self, name: str, text: str, *, with_file_of: str = "") -> None:
        """Answer as a command does, in a store of its own; a person types it again if they are told that it is not stored."""
        await asyncio.to_thread(self._composed, name, text, with_file_of)
        self._texts[name].append(text)

    def _composed(self, name: str, text: str, with_file_of: str) -> None:
        files: tuple[Attachment, ...] = ()
        if with_file_of:
            (known,) = self._rows(f"SELECT attachments FROM content WHERE key = '{with_file_of}'")
            files = attachments_of(known[0])
        (conversation,) = self._rows(
            f"SELECT e.conversation FROM entry e JOIN content c ON c.entry = e.id WHERE c.key = '{name}-1'"
        )
        one = Composition(conversation=conversation[0], kind="sent", author="agent:drill", text=text, attachments=files)
        token = UNTOLD.set(True)
        while True:
            store = Store.open(f"sqlite:///{self._database}", self._clock)
            try:
                with contextlib.closing(store.session()) as writing:
                    writing.run(lambda tx: compose(tx, [one]))
            except (sa.exc.DBAPIError, sqlite3.Error):
                continue
            else:
                UNTOLD.reset(token)
                return
            finally:
                store.close()

    async def _until(self, true: Callable[[], bool]) -> None:
        while not true():  # noqa: ASYNC110 - what is waited for is in the database
            await asyncio.sleep(0.2)

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self._database, timeout=10.0)) as connection:
            return connection.execute(sql).fetchall()

    def _deliveries(self, name: str) -> list[tuple[Any, ...]]:
        return self._rows(
            "SELECT c.text, d.state, d.reason FROM delivery d JOIN content c ON c.entry = d.entry"
            f" JOIN channel h ON h.id = d.channel WHERE h.name = '{name}' ORDER BY d.id"
        )

    def _open(self, name: str) -> int:
        return sum(state in {"queued", "sending"} for _, state, _ in self._deliveries(name))

    def _uncertain(self, name: str) -> int:
        return sum(state == "uncertain" for _, state, _ in self._deliveries(name))

    def _compare(self, name: str) -> None:
        found, said = self._found, self._texts[name]
        entries = self._rows(
            "SELECT e.n, c.text, c.attachments FROM entry e JOIN content c ON c.entry = e.id"
            f" JOIN channel h ON h.id = e.channel WHERE h.name = '{name}' ORDER BY e.conversation, e.n"
        )
        texts = [text for _, text, _ in entries]
        found.note("lost", f"entries {texts}", len(set(said) - set(texts)))
        found.note("doubled", f"entries {texts}", len(texts) - len(set(texts)))
        if set(texts) == set(said) and len(texts) == len(said):
            found.note("disordered", f"{texts}, not {said}", int(texts != said))
        found.note("disordered", f"numbers {entries}", int([n for n, *_ in entries] != [*range(1, len(entries) + 1)]))
        self._compare_file(name, [files for _, text, files in entries if text == "two"])
        self._compare_deliveries(name)

    def _compare_file(self, name: str, files: list[str]) -> None:
        whole = file_of(f"{name}-2", FILE_BYTES)
        digest = hashlib.sha256(whole).hexdigest()
        kept = self._database.with_name(f"{self._database.name}.blobs") / digest[:2] / digest
        if len(files) != 1 or digest not in files[0] or not kept.exists() or kept.read_bytes() != whole:
            self._found.note("lost", f"the file {files}")

    def _compare_deliveries(self, name: str) -> None:
        found, provider = self._found, self._providers[name]
        arrived = Counter(call.json()["text"] for call in provider.acted)
        digest = hashlib.sha256(file_of(f"{name}-2", FILE_BYTES)).hexdigest()
        found.note(
            "lost", "a file that went out", sum(call.json()["files"] not in ([], [digest]) for call in provider.acted)
        )
        found.note("provider_doubled", f"{arrived}", sum(count - 1 for count in arrived.values()))
        order = [*arrived]
        found.note("disordered", f"at the provider: {order}", int(order != sorted(order, key=ORDER.index)))
        for text, state, reason in self._deliveries(name):
            if state == "uncertain":
                found.note("uncertain", f"{text}: {reason}")
            elif state not in {"sent", "delivered"} or not arrived[text]:
                found.note("lost", f"{text} is {state} ({reason}), arrived {arrived[text]} times")
            elif text != ORDER[-1] and state != "delivered":
                found.note("lost", f"the receipt for {text}")


PIECES = ("four, and ", "what belongs to it")
ORDER = ("answer one", "answer two", "answer three")


def _key(call: ProviderCall) -> str:
    return str(call.json()["key"])


def _answer(call: ProviderCall) -> Response:
    return Response(body=orjson.dumps({"id": f"id-{_key(call)}"}), media_type="application/json")


if __name__ == "__main__":
    sys.exit(main())
