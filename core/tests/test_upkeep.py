"""What the daemon forgets by itself: runs of notices, so many days after they were over, and receipts without a message."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from fernamt._runtime.upkeep import RECEIPTS_WAIT, Upkeep
from fernamt._store.blobs import open_blobs
from fernamt._store.channels import Entrance, enter
from fernamt._store.engine import Store
from fernamt._store.names import Names
from fernamt._store.notices import Chunk, Notice, Opening, give, open_run
from fernamt._store.reception import Line, Reception, Submission
from fernamt._store.writer import Writer
from fernamt.errors import NotStored
from fernamt.inbound import Receipt
from fernamt.model import Address, DeliveryState
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


async def early(store: Store, writer: Writer, *ids: str) -> None:
    """Take receipts that name messages which are not known."""
    number = await writer.write(enter, Entrance(id="sms", kind="demo", label="SMS"))
    receipts = tuple(Receipt(key=f"r{one}", state=DeliveryState.DELIVERED, id=one) for one in ids)
    submission = Submission(line=Line(number=number, id="sms"), events=receipts)
    await writer.write(Reception(Names(store.keys())), submission)


async def test_a_receipt_waits_a_week_for_its_message(
    store: Store, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fernamt._store.pruning._AT_ONCE", 2)
    clock = FakeClock(datetime.now(UTC) + RECEIPTS_WAIT - timedelta(minutes=90))
    await early(store, writer, *"abcde")
    before = rows(store, "SELECT count(*) FROM known WHERE conversation IS NULL")
    async with pruned(store, writer, clock, None) as an_hour:
        await an_hour()
        assert rows(store, "SELECT count(*) FROM early_receipt") == [(5,)]
        with capture_logs() as logs:
            await an_hour()
        assert rows(store, "SELECT count(*) FROM early_receipt") == [(0,)]
        assert [one["count"] for one in logs if one["event"] == "receipts_pruned"] == [5]
        # What is left says that the receipts themselves came before.
        assert (before, rows(store, "SELECT count(*) FROM known WHERE conversation IS NULL")) == ([(10,)], [(5,)])


async def test_receipts_that_a_store_cannot_forget_now_are_asked_for_an_hour_later(
    store: Store, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock(datetime.now(UTC) + 2 * RECEIPTS_WAIT)
    await early(store, writer, "a")

    def away(*_: object) -> tuple[int, ...]:
        raise NotStored("the disk is full")

    async with pruned(store, writer, clock, None) as an_hour:
        with monkeypatch.context() as patched, capture_logs() as logs:
            patched.setattr("fernamt._runtime.upkeep.unclaimed_receipts", away)
            await an_hour()
        assert [one["error"] for one in logs if one["event"] == "receipts_not_pruned"] == ["the disk is full"]
        assert rows(store, "SELECT count(*) FROM early_receipt") == [(1,)]
        await an_hour()
        assert rows(store, "SELECT count(*) FROM early_receipt") == [(0,)]
