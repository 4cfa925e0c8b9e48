"""Kill the daemon again and again while customers write and agents answer, then compare every ledger with the store.

    make drill DRILL=kill STORE=sqlite KILLS=200

Half of the kills are at named points that a message passes, half at random moments. The last line is JSON: lost, doubled and
disordered count messages and must be 0; provider_doubled counts what a customer got twice; uncertain is what a person is asked.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from ledgers import Customers, Provider

from fernamt._runtime.clock import SystemClock
from fernamt._store.desk import Composition, compose
from fernamt._store.engine import Store
from fernamt.errors import NotStored
from fernamt.model import microseconds
from fernamt.testing.postgres import running_postgres

HERE = Path(__file__).parent
POINTS = ("writer.before-commit", "writer.committed", "outbox.begun", "outbox.answered", "outbox.finished")
SECRET = "a drill's secret"
CUSTOMERS = 24
STUCK_S = 60.0
LINES = {"keyed": True, "plain": False}


def main() -> int:
    """Run the drill and print its line."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite")
    options.add_argument("--kills", type=int, default=20)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="fernamt-drill-") as folder, _store(chosen.store, Path(folder)) as url:
        drill = Drill(Path(folder), url, chosen.kills, chosen.seed)
        found = asyncio.run(drill.run())
    line = {"drill": "kill", "store": chosen.store, "kills": chosen.kills, **found}
    print(orjson.dumps(line).decode())
    return 0 if found["lost"] == found["doubled"] == found["disordered"] == found["provider_doubled"] == 0 else 1


@contextlib.contextmanager
def _store(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder}/drill.db"
    else:
        with running_postgres() as url:
            yield url


class Drill:
    """One run."""

    def __init__(self, folder: Path, url: str, kills: int, seed: int) -> None:
        self._folder = folder
        self._url = url
        self._kills = kills
        self._dice = random.Random(seed)
        self._port = _free_port()
        self._store = Store.open(url, SystemClock())
        self._providers = {name: Provider(honours, seed) for name, honours in LINES.items()}
        self._customers = {
            name: Customers(f"http://127.0.0.1:{self._port}/in/{name}/hook", SECRET, seed) for name in LINES
        }
        self._answered = 0

    async def run(self) -> dict[str, int]:
        """Kill, let everything settle, compare."""
        await self._write_configuration()
        self._store.migrate()
        stop_agent = asyncio.Event()
        agent = asyncio.create_task(self._answer(stop_agent))
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
            writing = [
                asyncio.create_task(customers.write(f"{line}{number}", session))
                for line, customers in self._customers.items()
                for number in range(CUSTOMERS // len(LINES))
            ]
            for kill in range(self._kills):
                await self._live_and_die(at_a_point=kill % 2 == 0)
                print(f"kill {kill + 1} of {self._kills}", file=sys.stderr, end="\r", flush=True)
            last = await self._start()
            try:
                for customers in self._customers.values():
                    customers.stopped = True
                await asyncio.gather(*writing)
                stop_agent.set()
                await agent
                await self._settled()
                last.send_signal(signal.SIGTERM)
                assert await last.wait() == 0, "the daemon did not drain"
            finally:
                if last.returncode is None:
                    last.kill()
        return await asyncio.to_thread(self._compare)

    async def _write_configuration(self) -> None:
        info = self._folder / "fernamt_drill-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: fernamt-drill\nVersion: 1.0\nRequires-Dist: fernamt\n"
        )
        (info / "entry_points.txt").write_text("[fernamt]\ndrill = drilled_line\n")
        addresses = {name: await provider.start() for name, provider in self._providers.items()}
        private = ", ".join(f'"{address.split("/")[2]}"' for address in addresses.values())
        lines = [f'store = "{self._url}"', f'listen = "127.0.0.1:{self._port}"', "[log]", 'level = "error"']
        lines += ["[http]", f"allow_private = [{private}]"]
        for name, honours in LINES.items():
            lines += [f"[channels.{name}]", 'kind = "drill"', f'url = "{addresses[name]}"']
            lines += [f'signed_with = "{SECRET}"', f"honours_keys = {str(honours).lower()}"]
        (self._folder / "fernamt.toml").write_text("\n".join(lines) + "\n")

    async def _start(self, *doom: str) -> asyncio.subprocess.Process:
        paths = os.pathsep.join([str(self._folder), str(HERE), os.environ.get("PYTHONPATH", "")])
        command = [str(HERE / "doomed.py"), str(self._folder / "fernamt.toml"), *doom]
        return await asyncio.create_subprocess_exec(sys.executable, *command, env={**os.environ, "PYTHONPATH": paths})

    async def _live_and_die(self, *, at_a_point: bool) -> None:
        doom = (self._dice.choice(POINTS), str(self._dice.randint(1, 25))) if at_a_point else ()
        daemon = await self._start(*doom)
        try:
            async with asyncio.timeout(20.0):
                await self._listening(daemon)
            async with asyncio.timeout(8.0 if at_a_point else self._dice.uniform(0.0, 1.0)):
                await daemon.wait()
        except TimeoutError:
            daemon.kill()
            await daemon.wait()
        assert daemon.returncode == -signal.SIGKILL, f"the daemon ended by itself with {daemon.returncode}"

    async def _listening(self, daemon: asyncio.subprocess.Process) -> None:
        """Return when the daemon listens, or is dead."""
        while daemon.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return

    async def _answer(self, stop: asyncio.Event) -> None:
        """Play an agent who answers every other message, straight into the store as the command does."""
        seen = 0
        while not stop.is_set():
            with contextlib.suppress(NotStored):
                seen = await asyncio.to_thread(self._answer_after, seen)
            await asyncio.sleep(0.1)

    def _answer_after(self, seen: int) -> int:
        with self._store.read() as connection:
            rows = self._store.statements(connection).rows(
                "SELECT e.id, e.conversation, c.key FROM entry e JOIN content c ON c.entry = e.id"
                " WHERE e.id > ? AND e.kind = 'received' ORDER BY e.id LIMIT 50",
                (seen,),
            )
        answers = [
            Composition(conversation=row[1], kind="sent", author="agent:drill", text=f"answer to {row[2]}")
            for row in rows
            if row[0] % 2
        ]
        if answers:
            with contextlib.closing(self._store.session()) as session:
                session.run(lambda tx: compose(tx, answers))
            self._answered += len(answers)
        return rows[-1][0] if rows else seen

    async def _settled(self) -> None:
        """Wait until nothing is open any more. A retry may be minutes away; a lane is stuck if what is due does not go."""
        moved_at, last = time.monotonic(), -1
        while count := await asyncio.to_thread(self._count, "delivery WHERE state IN ('queued', 'sending')"):
            if count != last:
                moved_at, last = time.monotonic(), count
                print(f"{count} deliveries are open      ", file=sys.stderr, end="\r", flush=True)
            due = f"delivery WHERE state = 'sending' OR (state = 'queued' AND next_at < {microseconds(datetime.now(UTC))})"
            if not await asyncio.to_thread(self._count, due):
                moved_at = time.monotonic()
            assert time.monotonic() < moved_at + STUCK_S, f"a lane is stuck: {self._rows(f'SELECT * FROM {due}')[:5]}"
            await asyncio.sleep(0.2)

    def _count(self, what: str) -> int:
        return int(self._rows(f"SELECT count(*) FROM {what}")[0][0])

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self._store.read() as connection:
            return self._store.statements(connection).rows(sql)

    def _compare(self) -> dict[str, int]:
        """Compare the customers' and the provider's ledgers with the store."""
        stored: dict[str, list[str]] = {}
        for customer, key in self._rows(
            "SELECT a.handle, c.key FROM entry e JOIN content c ON c.entry = e.id JOIN address a ON a.id = e.author"
            " WHERE e.kind = 'received' ORDER BY e.conversation, e.n"
        ):
            stored.setdefault(str(customer).partition(":")[2], []).append(str(key))
        wrote = {customer: keys for one in self._customers.values() for customer, keys in one.acknowledged.items()}
        lost = sum(len(set(keys) - set(stored.get(customer, ()))) for customer, keys in wrote.items())
        doubled = sum(len(keys) - len(set(keys)) for keys in stored.values())
        disordered = sum(stored.get(customer) != keys for customer, keys in wrote.items() if not doubled and not lost)
        disordered += sum(
            last != count or top != count
            for last, count, top in self._rows(
                "SELECT v.last_n, count(*), max(e.n) FROM conversation v JOIN entry e ON e.conversation = v.id"
                " GROUP BY v.id, v.last_n"
            )
        )
        outcome = self._compare_deliveries()
        return {
            "lost": lost + outcome["lost"],
            "doubled": doubled,
            "disordered": disordered + outcome["disordered"],
            "provider_doubled": sum(provider.doubled() for provider in self._providers.values()),
            "uncertain": outcome["uncertain"],
            "received": sum(len(keys) for keys in stored.values()),
            "repeated_by_customers": sum(customers.repeated for customers in self._customers.values()),
            "answered": self._answered,
            "repeats_that_the_provider_knew": sum(provider.repeats for provider in self._providers.values()),
        }

    def _compare_deliveries(self) -> dict[str, int]:
        """Whatever is ``sent`` must have arrived, in order; whatever did not arrive must be visibly uncertain."""
        arrived = {to: texts for provider in self._providers.values() for to, texts in provider.got.items()}
        found = {"lost": 0, "disordered": 0, "uncertain": 0}
        wanted: dict[str, list[str]] = {}
        for to, text, state in self._rows(
            "SELECT a.handle, c.text, d.state FROM delivery d JOIN content c ON c.entry = d.entry"
            " JOIN address a ON a.id = d.address ORDER BY d.conversation, d.id"
        ):
            customer = str(to).partition(":")[2]
            found["uncertain"] += state == "uncertain"
            if text in arrived.get(customer, ()):
                wanted.setdefault(customer, []).append(str(text))
            elif state != "uncertain":
                found["lost"] += 1
        found["lost"] += self._answered - self._count("delivery")
        found["disordered"] = sum(list(dict.fromkeys(arrived[customer])) != texts for customer, texts in wanted.items())
        return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
