"""The scene of every drill: a store, two lines with a provider each, customers who write, an agent who answers; and the reckoning.

Each side keeps its own ledger, and :meth:`Scene.compare` holds them against the store. What happens in between is the drill's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

import aiohttp
from ledgers import Customers, Provider

from fernamt._runtime.clock import SystemClock
from fernamt._store.desk import Composition, compose
from fernamt._store.engine import Store
from fernamt._store.names import Names
from fernamt._store.transaction import is_outage
from fernamt.errors import NotStored
from fernamt.model import microseconds
from fernamt.testing import free_port
from fernamt.testing.postgres import running_postgres

HERE = Path(__file__).parent
SECRET = "a drill's secret"
CUSTOMERS = 24
STUCK_S = 60.0
BACKLOG = 5
"""With so many answers still on their way to somebody the agent lets a message pass: each that the provider refuses holds its lane
for seconds, so whoever answered regardless would leave a queue that takes as long to drain as the drill took.
"""
LINES = {"keyed": True, "plain": False}


_HELD = "SELECT key, fence, until FROM due WHERE substr(key, 1, 8) = 'channel:'"


def lease_s() -> float:
    """Return the lease of the daemons of a drill: short, for on PostgreSQL a dead runner's channels wait for its end."""
    return float(os.environ.get("DRILL_LEASE_S", "2"))


@contextlib.contextmanager
def store_in(kind: str, folder: Path) -> Iterator[str]:
    """Give the address of an empty store of this kind."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/drill.db"
    else:
        with running_postgres() as url:
            yield url


def say(words: str) -> None:
    """Show how far it is."""
    print(f"{words:<60}", file=sys.stderr, end="\r", flush=True)


class StuckLane(AssertionError):
    """What is due does not go."""


class Scene:
    """:meth:`prepare` it, :meth:`start` daemons, let people :meth:`live`, wait until all is :meth:`settled`, :meth:`compare`."""

    def __init__(self, folder: Path, url: str, seed: int, *, runners: int = 1) -> None:
        """With several *runners*, customers talk to all; the file and port of number n are ``files[n]`` and ``ports[n]``."""
        self.folder = folder
        self.ports = [free_port() for _ in range(runners)]
        self.files = ["fernamt.toml", *(f"fernamt{number}.toml" for number in range(2, runners + 1))]
        self.port = self.ports[0]
        self.store = Store.open(url, SystemClock())
        self.providers = {name: Provider(honours, seed) for name, honours in LINES.items()}
        self.customers = {
            name: Customers([f"http://127.0.0.1:{port}/in/{name}/hook" for port in self.ports], SECRET, seed)
            for name in LINES
        }
        self.url = url
        self._answered: set[str] = set()
        self._taken: dict[tuple[str, int], float] = {}
        """When a channel was taken with a fence, by the store's clock: of what :meth:`watched` saw."""

    @property
    def names(self) -> Names:
        """The names that the store gives out."""
        return Names(self.store.keys())

    async def provide(self) -> dict[str, str]:
        """Start the providers and return their addresses."""
        return {name: await provider.start() for name, provider in self.providers.items()}

    def prepare(self, addresses: Mapping[str, str], *, url: str = "") -> None:
        """Install the plugin, write the configuration with these addresses of the providers, make the store.

        With *url* the daemon finds the store there.
        """
        info = self.folder / "fernamt_drill-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: fernamt-drill\nVersion: 1.0\nRequires-Dist: fernamt\n"
        )
        (info / "entry_points.txt").write_text("[fernamt]\ndrill = drilled_line\n")
        for file, port in zip(self.files, self.ports, strict=True):
            self.configure(file, port, addresses, url=url)
        self.store.migrate()

    def configure(self, file: str, port: int, addresses: Mapping[str, str], *, url: str = "") -> None:
        """Write the configuration of one daemon."""
        private = ", ".join(f'"{address.split("/")[2]}"' for address in addresses.values())
        lines = [f'store = "{url or self.url}"', f'listen = "127.0.0.1:{port}"', "[log]", 'level = "error"']
        lines += ["[http]", f"allow_private = [{private}]"]
        for name, honours in LINES.items():
            lines += [f"[channels.{name}]", 'kind = "drill"', f'url = "{addresses[name]}"']
            lines += [f'signed_with = "{SECRET}"', f"honours_keys = {str(honours).lower()}"]
        (self.folder / file).write_text("\n".join(lines) + "\n")

    async def start(self, *doom: str, file: str = "fernamt.toml") -> asyncio.subprocess.Process:
        """Start a daemon; it need not listen yet. See ``doomed.py`` for *doom*."""
        paths = os.pathsep.join([str(self.folder), str(HERE), os.environ.get("PYTHONPATH", "")])
        command = [str(HERE / "doomed.py"), str(self.folder / file), *doom]
        more = {"PYTHONPATH": paths, "DRILL_LEASE_S": str(lease_s())}
        return await asyncio.create_subprocess_exec(sys.executable, *command, env={**os.environ, **more})

    async def listening(self, daemon: asyncio.subprocess.Process, port: int = 0) -> None:
        """Return when the daemon listens, or is dead."""
        while daemon.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port or self.port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return

    @contextlib.asynccontextmanager
    async def running(self, number: int = 0) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run a daemon that is not to die, and let it drain at the end."""
        daemon = await self.start(file=self.files[number])
        try:
            await self.listening(daemon, self.ports[number])
            yield daemon
            assert daemon.returncode is None, f"the daemon ended by itself with {daemon.returncode}"
            daemon.send_signal(signal.SIGTERM)
            assert await daemon.wait() == 0, "the daemon did not drain"
        finally:
            if daemon.returncode is None:
                daemon.kill()
                await daemon.wait()

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Note who takes over from whom, for what was under way then may be late; with one daemon nothing may."""
        watching = asyncio.create_task(self._watch()) if len(self.ports) > 1 else None
        try:
            yield
        finally:
            if watching is not None:
                watching.cancel()

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(NotStored):
                for key, fence, until in await asyncio.to_thread(self.rows, _HELD):
                    # Nobody holds what is over, or was given back: then its end says nothing of its beginning.
                    if until > microseconds(datetime.now(UTC)):
                        channel, taken_at = key.partition(":")[2], until / 1_000_000 - lease_s()
                        self._taken[channel, fence] = min(taken_at, self._taken.get((channel, fence), taken_at))
            await asyncio.sleep(0.05)

    def _overtaken(self) -> set[str]:
        """Return the texts of which an attempt came, or was known to have failed, only after the next holder's beginning.

        It was uncertain for a while and let the next of its lane pass, visibly.
        """
        arrived = {key: at for one in self.providers.values() for key, at in one.arrived.items()}
        late = set()
        for channel, text, delivery, n, fence, ended_at in self.rows(
            "SELECT h.name, c.text, d.id, a.n, a.fence, a.ended_at FROM attempt a JOIN delivery d ON d.id = a.delivery"
            " JOIN channel h ON h.id = d.channel JOIN content c ON c.entry = d.entry"
        ):
            next_at = self._taken.get((channel, fence + 1))
            known_at = max((ended_at or 0) / 1_000_000, arrived.get((self.names.message_key(delivery), n), 0.0))
            if next_at is not None and known_at > next_at:
                late.add(text)
        return late

    @contextlib.asynccontextmanager
    async def live(self, *, timeout_s: float = 10.0) -> AsyncIterator[None]:
        """Let customers write and an agent answer; afterwards wait until each has an answer to what they wrote last."""
        stop_agent = asyncio.Event()
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_s)) as session:
            agent = asyncio.create_task(self._answer(stop_agent))
            writing = [
                asyncio.create_task(customers.write(f"{line}{number}", session))
                for line, customers in self.customers.items()
                for number in range(CUSTOMERS // len(LINES))
            ]
            try:
                yield
                for customers in self.customers.values():
                    customers.stopped = True
                await asyncio.gather(*writing)
                stop_agent.set()
                await agent
            finally:
                for task in (agent, *writing):
                    task.cancel()

    async def _answer(self, stop: asyncio.Event) -> None:
        """Play an agent who answers every other message, within reason, straight into the store as the command does."""
        seen: dict[int, int] = {}
        while not stop.is_set():
            await asyncio.to_thread(self._answer_after, seen)
            await asyncio.sleep(0.1)

    def _answer_after(self, seen: dict[int, int]) -> None:
        try:
            self._answer_some(seen)
        except Exception as why:
            if not is_outage(getattr(why, "__cause__", None) or why):
                raise

    def _answer_some(self, seen: dict[int, int]) -> None:
        """Answer what stands behind *seen*, a number for each conversation: ids are not in the order of commits."""
        answers = []
        with self.store.read() as connection:
            do = self.store.statements(connection)
            last: dict[int, int] = {row[0]: row[1] for row in do.rows("SELECT id, last_n FROM conversation")}
            under_way = Counter(
                row[0] for row in do.rows("SELECT conversation FROM delivery WHERE state IN ('queued', 'sending')")
            )
            for conversation, n in last.items():
                if n > seen.get(conversation, 0):
                    # A commit of which we did not hear may have been made: then nothing is written twice.
                    written = {
                        text
                        for (text,) in do.rows(
                            "SELECT c.text FROM entry e JOIN content c ON c.entry = e.id"
                            " WHERE e.conversation = ? AND e.n > ? AND e.kind = 'sent'",
                            (conversation, seen.get(conversation, 0)),
                        )
                    }
                    self._answered.update(written)
                    fresh = [
                        Composition(
                            conversation=conversation, kind="sent", author="agent:drill", text=f"answer to {key}"
                        )
                        for (key,) in do.rows(
                            "SELECT c.key FROM entry e JOIN content c ON c.entry = e.id"
                            " WHERE e.conversation = ? AND e.n > ? AND e.kind = 'received'",
                            (conversation, seen.get(conversation, 0)),
                        )
                        if int(key.rpartition("-")[2]) % 2 and f"answer to {key}" not in written
                    ]
                    answers += fresh[: max(0, BACKLOG - under_way[conversation])]
        if answers:
            with contextlib.closing(self.store.session()) as session:
                session.run(lambda tx: compose(tx, answers))
            self._answered.update(answer.text for answer in answers)
        seen.update(last)

    async def settled(self) -> None:
        """Wait until nothing is open any more.

        A retry may be minutes away, and holds what is behind it in its lane. A lane is stuck if what is due at its head does not go.
        """
        moved_at, last = time.monotonic(), -1
        while count := await asyncio.to_thread(self.count, "delivery WHERE state IN ('queued', 'sending')"):
            if count != last:
                moved_at, last = time.monotonic(), count
                say(f"{count} deliveries are open")
            now_us = microseconds(datetime.now(UTC))
            held = (
                "EXISTS (SELECT 1 FROM delivery h WHERE (h.channel, h.conversation, h.address, h.purpose)"
                " = (d.channel, d.conversation, d.address, d.purpose)"
                f" AND h.id < d.id AND h.state = 'queued' AND h.next_at >= {now_us})"
            )
            due = f"delivery d WHERE state = 'sending' OR (state = 'queued' AND next_at < {now_us} AND NOT {held})"
            if not await asyncio.to_thread(self.count, due):
                moved_at = time.monotonic()
            if time.monotonic() > moved_at + STUCK_S:
                raise StuckLane(f"a lane is stuck: {self.rows(f'SELECT * FROM {due}')[:5]}")
            await asyncio.sleep(0.2)

    def count(self, what: str) -> int:
        """Return how many rows of the store there are in *what*: a table, and conditions."""
        return int(self.rows(f"SELECT count(*) FROM {what}")[0][0])

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the store."""
        with self.store.read() as connection:
            return self.store.statements(connection).rows(sql)

    def compare(self, late: Collection[str] = ()) -> dict[str, int]:
        """Compare the customers' and the provider's ledgers with the store.

        Texts that came *late* to a provider, by a call that was out already when its sender lost the line, are in no order.
        """
        late = {*late, *self._overtaken()}
        stored: dict[str, list[str]] = {}
        for customer, key in self.rows(
            "SELECT a.handle, c.key FROM entry e JOIN content c ON c.entry = e.id JOIN address a ON a.id = e.author"
            " WHERE e.kind = 'received' ORDER BY e.conversation, e.n"
        ):
            stored.setdefault(str(customer).partition(":")[2], []).append(str(key))
        wrote = {customer: keys for one in self.customers.values() for customer, keys in one.acknowledged.items()}
        lost = sum(len(set(keys) - set(stored.get(customer, ()))) for customer, keys in wrote.items())
        doubled = sum(len(keys) - len(set(keys)) for keys in stored.values())
        disordered = 0
        for customer, keys in wrote.items() if not doubled and not lost else ():
            disordered += self._differ(f"stored of {customer}", stored.get(customer, []), keys)
        disordered += sum(
            last != count or top != count
            for last, count, top in self.rows(
                "SELECT v.last_n, count(*), max(e.n) FROM conversation v JOIN entry e ON e.conversation = v.id"
                " GROUP BY v.id, v.last_n"
            )
        )
        outcome = self._compare_deliveries(late)
        return {
            "lost": lost + outcome["lost"],
            "doubled": doubled,
            "disordered": disordered + outcome["disordered"],
            "provider_doubled": sum(provider.doubled() for provider in self.providers.values()),
            "uncertain": outcome["uncertain"],
            "received": sum(len(keys) for keys in stored.values()),
            "repeated_by_customers": sum(customers.repeated for customers in self.customers.values()),
            "answered": len(self._answered),
            "overtaken": len(late),
            "repeats_that_the_provider_knew": sum(provider.repeats for provider in self.providers.values()),
        }

    def _compare_deliveries(self, late: Collection[str]) -> dict[str, int]:
        """Whatever is ``sent`` must have arrived, in order; whatever did not arrive must be visibly uncertain."""
        arrived = {to: texts for provider in self.providers.values() for to, texts in provider.got.items()}
        found = {"lost": 0, "disordered": 0, "uncertain": 0}
        wanted: dict[str, list[str]] = {}
        gone: set[str] = set()
        for to, text, state in self.rows(
            "SELECT a.handle, c.text, d.state FROM delivery d JOIN content c ON c.entry = d.entry"
            " JOIN address a ON a.id = d.address ORDER BY d.conversation, d.id"
        ):
            customer = str(to).partition(":")[2]
            found["uncertain"] += state == "uncertain"
            if text in arrived.get(customer, ()):
                wanted.setdefault(customer, []).append(str(text))
            else:
                gone.add(str(text))
                found["lost"] += state != "uncertain"
        found["lost"] += len(self._answered.difference(*wanted.values(), gone))
        for customer, texts in wanted.items():
            got = [text for text in dict.fromkeys(arrived[customer]) if text not in late]
            asked_for = [text for text in dict.fromkeys(texts) if text not in late]
            found["disordered"] += self._differ(f"arrived for {customer}", got, asked_for)
        return found

    def _differ(self, what: str, found: Sequence[str], wanted: Sequence[str]) -> bool:
        """Compare two orders, and say where they part."""
        if found == wanted:
            return False
        at = next(n for n, pair in enumerate(zip_longest(found, wanted)) if pair[0] != pair[1])
        print(f"{what}: {found[at : at + 3]}, not {wanted[at : at + 3]}", file=sys.stderr)
        for text in {*found[at : at + 3], *wanted[at : at + 3]}:
            said = self.rows(
                "SELECT d.id, d.state, d.reason, a.n, a.fence, a.started_at, a.ended_at, a.outcome FROM content c"
                f" JOIN delivery d ON d.entry = c.entry JOIN attempt a ON a.delivery = d.id WHERE c.text = '{text}' ORDER BY a.n"
            )
            arrived = {key: at for one in self.providers.values() for key, at in one.arrived.items()}
            for row in said:
                key = self.names.message_key(row[0])
                print(f"    {text}: {row}, arrived {arrived.get((key, row[3]))}", file=sys.stderr)
        return True
