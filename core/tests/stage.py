"""What many tests of the core stand on: a store to which operations are applied at once, and somebody at work under a claim."""

import asyncio
import contextlib
from typing import Any

from fernamt._runtime.clock import SystemClock
from fernamt._store.channels import Entrance, enter
from fernamt._store.claims import Claim, Wish, take
from fernamt._store.engine import Store
from fernamt._store.names import Names
from fernamt._store.reception import Line, Reception
from fernamt._store.writer import Writer


class Impatient(SystemClock):
    """Nobody in a test waits for a store to come back."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class Bare:
    """A store, its way in, and operations applied to it one by one."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.names = Names(store.keys())
        self.reception = Reception(self.names)
        self.session = store.session()

    def run(self, operation: Any, payload: object) -> Any:
        """Return the result of the operation for one payload; an error that it returns is raised."""
        with self.session.transaction() as tx:
            [result] = operation(tx, [payload])
        if isinstance(result, Exception):
            raise result
        return result

    def channel(self, name: str) -> Line:
        number = self.run(enter, Entrance(id=name, kind=f"kind.{name}", label=name.title()))
        return Line(number=number, id=name)

    def sql(self, sql: str, *values: object) -> None:
        self.run(lambda tx, _: [tx.do.one(sql, values)], None)

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return rows(self.store, sql, *values)


class AtWork:
    """Whoever works under the claim of *owner*: a test sees each point that is reached, and ends it as a crash would."""

    owner = "work:test"
    ended = "work.ended"

    def __init__(self, store: Store, writer: Writer) -> None:
        self.store, self.writer = store, writer
        self.points: asyncio.Queue[str] = asyncio.Queue()
        self.running: list[asyncio.Task[None]] = []

    async def claim(self) -> Claim:
        """Take the claim, from whoever has it."""
        await self.sql("UPDATE due SET until = 0")
        claim: Claim | None = await self.writer.write(take, Wish(key=self.owner, owner="runner", lease_us=10**12))
        assert claim is not None
        return claim

    async def die(self) -> None:
        """End the newest of them: nothing is recorded of what was under way."""
        task = self.running.pop()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def until(self, point: str = "") -> None:
        while await self.points.get() != (point or self.ended):
            pass

    async def sql(self, sql: str, *values: object) -> None:
        await self.writer.write(lambda tx, payloads: [tx.do.one(sql, values) for _ in payloads], None)

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return rows(self.store, sql, *values)


def rows(store: Store, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """Return what the store holds."""
    with store.read() as connection:
        return [tuple(row) for row in store.statements(connection).rows(sql, values)]
