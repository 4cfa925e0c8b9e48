"""What waits on a channel: replies before notices before outreach, whatever hides them, and never more in memory than a window."""

from typing import Any

import pytest

from fernamt._runtime import queue
from fernamt._runtime.queue import Queue
from fernamt._store.deliveries import OpenDelivery
from fernamt._store.engine import Store
from fernamt._store.statements import Row
from fernamt.errors import NotStored
from fernamt.model import Purpose

TOMORROW_US = 2**60


class Waiting:
    """The queue of channel 1, and rows in it; ids come in the order of their making."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.queue = Queue(store, 1, hold_s=300.0)
        self.made = 0

    def some(
        self, count: int, *, lanes: int = 0, purpose: Purpose = Purpose.REPLY, channel: int = 1, **more: Any
    ) -> list[int]:
        """Queue so many, each to somebody else or in so many *lanes*; with ``next_at`` they wait for their time."""
        ids = list(range(self.made + 1, self.made + count + 1))
        self.made += count
        rows = []
        for one in ids:
            lane = 10**6 + one % lanes if lanes else one
            at = (more.get("queued_at", 0), more.get("first_at"), more.get("next_at", 0))
            rows.append((one, one, lane, channel, lane, "queued", 0, *at, 0, "[]", "", "", purpose, 0, 0, 0))
        self.do(lambda do: do.many("insert delivery", rows))
        return ids

    def do(self, what: Any) -> Any:
        session = self.store.session()
        try:
            with session.transaction() as tx:
                return what(tx.do)
        finally:
            session.close()

    async def take(self, count: int) -> list[OpenDelivery]:
        return await self.queue.take(count)

    async def ids(self, count: int) -> list[int]:
        return [one.id for one in await self.take(count)]


@pytest.fixture
def waiting(store: Store) -> Waiting:
    return Waiting(store)


async def test_notices_go_where_no_reply_may_and_outreach_where_no_notice_may(waiting: Waiting) -> None:
    outreach = waiting.some(3, purpose=Purpose.OUTREACH)
    waiting.some(1, channel=2)
    notices = waiting.some(2, purpose=Purpose.NOTICE)
    replies = waiting.some(2)
    assert await waiting.ids(3) == [*replies, notices[0]]
    assert await waiting.ids(2) == [notices[1], outreach[0]]
    assert await waiting.ids(9) == outreach[1:]


async def test_replies_go_though_the_outreach_behind_them_could_not_be_read_for_a_moment(
    waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    replies, outreach = waiting.some(2), waiting.some(1, purpose=Purpose.OUTREACH)
    read = waiting.queue._read

    def away(kind: Any, limit: int) -> Any:
        if kind.purpose == Purpose.OUTREACH:
            raise NotStored("away")
        return read(kind, limit)

    with monkeypatch.context() as broken:
        broken.setattr(waiting.queue, "_read", away)
        with pytest.raises(NotStored):
            await waiting.take(3)
    assert await waiting.ids(3) == [*replies, *outreach]


async def test_a_reply_that_comes_while_much_outreach_waits_is_the_next(waiting: Waiting) -> None:
    outreach = waiting.some(2000, purpose=Purpose.OUTREACH)
    assert await waiting.ids(2) == outreach[:2]
    [reply] = waiting.some(1)
    waiting.queue.wake()
    for kind in waiting.queue._kinds:
        kind.took_s = 0.0  # a look is repeated when ten times its duration is over
    assert await waiting.ids(1) == [reply]


async def test_a_reply_passes_the_outreach_of_its_own_conversation(waiting: Waiting) -> None:
    waiting.some(2, lanes=1, purpose=Purpose.OUTREACH)
    [reply] = waiting.some(1, lanes=1)
    assert await waiting.ids(1) == [reply]


async def test_few_lanes_that_hold_much_do_not_hide_the_one_behind_them(waiting: Waiting) -> None:
    waiting.some(5000, lanes=2)
    [behind] = waiting.some(1)
    assert behind in await waiting.ids(3)


async def test_a_long_lane_goes_in_order(waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "_WINDOW", 8)
    ids = waiting.some(50, lanes=1)
    found = []
    for _ in ids:
        [one] = await waiting.take(5)
        found.append(one.id)
        waiting.do(lambda do, one=one: do.one("UPDATE delivery SET state = 'sent' WHERE id = ?", (one.id,)))
        waiting.queue.ended(one, is_over=True)
    assert found == ids


async def test_what_waits_for_tomorrow_is_not_read(waiting: Waiting) -> None:
    waiting.some(3000, next_at=TOMORROW_US)
    [due] = waiting.some(1)
    assert await waiting.ids(5) == [due]
    assert [kind.known for kind in waiting.queue._kinds] == [1, 0, 0]


async def test_what_waits_holds_its_lane_though_it_is_not_read(waiting: Waiting) -> None:
    waiting.some(1, lanes=1, next_at=TOMORROW_US, first_at=TOMORROW_US)
    waiting.some(1, lanes=1)
    [other] = waiting.some(1)
    assert await waiting.ids(5) == [other]


async def test_no_more_than_a_window_is_known(waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "_WINDOW", 64)
    monkeypatch.setattr(queue, "_WINDOW_MAX", 500)
    waiting.some(3000)
    assert len(await waiting.ids(10)) == 10
    assert waiting.queue._kinds[0].known == 64
    waiting.some(3000, lanes=1)
    while await waiting.ids(64):
        assert waiting.queue._kinds[0].known <= 500 + 64 * 16


FRONT = "state IN ('queued', 'sending') AND id > 0 AND (next_at <= 9 OR next_at = queued_at) ORDER BY id LIMIT 512"
HELD = "state = 'queued' AND next_at > queued_at AND next_at > 9 AND conversation IN (1, 2, 3)"


@pytest.mark.parametrize(("index", "where"), [("ix_delivery_open", FRONT), ("ix_delivery_postponed", HELD)])
async def test_the_front_of_a_long_queue_is_read_by_its_index(waiting: Waiting, index: str, where: str) -> None:
    waiting.some(22_000, purpose=Purpose.OUTREACH, next_at=1)
    waiting.do(lambda do: do.one("UPDATE delivery SET state = 'sent' WHERE id <= 21200"))
    explain = "EXPLAIN QUERY PLAN" if waiting.store.is_sqlite else "EXPLAIN"

    def plan(do: Any) -> list[Row]:
        if not waiting.store.is_sqlite:
            do.one("ANALYZE delivery")
        rows: list[Row] = do.rows(
            f"{explain} SELECT * FROM delivery WHERE channel = 1 AND purpose = 'outreach' AND {where}"
        )
        return rows

    told = " ".join(str(value) for row in waiting.do(plan) for value in row)
    assert index in told
    assert "Sort" not in told
    assert "B-TREE" not in told
