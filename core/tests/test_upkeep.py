"""What the daemon forgets by itself: runs of notices, so many days after they were over."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from fernamt._runtime.upkeep import Upkeep
from fernamt._store.blobs import open_blobs
from fernamt._store.channels import Entrance, enter
from fernamt._store.engine import Store
from fernamt._store.notices import Chunk, Notice, Opening, give, open_run
from fernamt._store.writer import Writer
from fernamt.errors import NotStored
from fernamt.model import Address
from fernamt.testing import FakeClock

from .stage import rows

HOUR_S = 3600.0


@contextlib.asynccontextmanager
async def pruned(store: Store, writer: Writer, clock: FakeClock, keep: timedelta | None) -> AsyncIterator[Any]:
    """Prune while it is entered; what is given lets an hour pass, and waits until what it brings is done."""
    upkeep = Upkeep(open_blobs(store), store, writer, clock, notices_kept=keep)
    running = asyncio.create_task(upkeep.run())

    async def an_hour() -> None:
        before = len(clock.slept)
        clock.advance(HOUR_S)
        while len(clock.slept) == before and not running.done():
            await asyncio.sleep(0.001)

    while not clock.slept:
        await asyncio.sleep(0)
    yield an_hour
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled()


async def told(writer: Writer, key: str, *, state: str) -> None:
    """Give a run of one notice, which came to that."""
    await writer.write(enter, Entrance(id="sms", kind="demo", label="SMS"))
    opening = Opening(
        key=key, template="dispatched", channel="sms", purpose="notice", author="agent:maria", total=1, digest=b"d"
    )
    run = await writer.write(open_run, opening)
    notices = (Notice(to=Address("phone", "+491701"), text="Da.", data={}),)
    await writer.write(give, Chunk(run=run.number, first=1, notices=notices))
    await writer.write(
        lambda tx, _: [
            tx.do.one(
                "UPDATE delivery SET state = ? WHERE id IN (SELECT delivery FROM notice WHERE run = ?)",
                (state, run.number),
            )
        ],
        None,
    )


def keys(store: Store) -> list[str]:
    return [key for (key,) in rows(store, "SELECT key FROM notice_run ORDER BY id")]


async def test_runs_are_forgotten_so_many_days_after_they_were_over(store: Store, writer: Writer) -> None:
    clock = FakeClock(datetime.now(UTC))
    await told(writer, "gone", state="delivered")
    await told(writer, "waits", state="queued")
    async with pruned(store, writer, clock, timedelta(days=1)) as an_hour:
        for _ in range(24):
            await an_hour()
        assert keys(store) == ["gone", "waits"]
        with capture_logs() as logs:
            await an_hour()
            await an_hour()
        assert keys(store) == ["waits"]
        assert [one["runs"] for one in logs if one["event"] == "notices_pruned"] == [1, 0]


async def test_whoever_keeps_them_for_ever_loses_none(store: Store, writer: Writer) -> None:
    clock = FakeClock(datetime.now(UTC) + timedelta(days=4_000))
    await told(writer, "old", state="delivered")
    async with pruned(store, writer, clock, None) as an_hour:
        await an_hour()
        assert keys(store) == ["old"]


async def test_a_store_that_is_away_is_asked_again_an_hour_later(
    store: Store, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock(datetime.now(UTC) + timedelta(days=2))
    await told(writer, "gone", state="delivered")

    def away(*_: object) -> tuple[int, ...]:
        raise NotStored("the disk is full")

    async with pruned(store, writer, clock, timedelta(days=1)) as an_hour:
        with monkeypatch.context() as patched, capture_logs() as logs:
            patched.setattr("fernamt._runtime.upkeep.runs_over", away)
            await an_hour()
        assert [one["error"] for one in logs if one["event"] == "notices_not_pruned"] == ["the disk is full"]
        assert keys(store) == ["gone"]
        await an_hour()
        assert keys(store) == []
