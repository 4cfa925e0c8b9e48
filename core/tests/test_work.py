"""The worker: every task is carried out, one after the other in a conversation, and a bad one stops nobody else."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from fernamt._runtime import work as runtime
from fernamt._runtime.work import Ending, Worker
from fernamt._store.claims import Claim
from fernamt._store.engine import Store
from fernamt._store.tasks import Errand, Task, plan_tasks
from fernamt._store.transaction import Transaction
from fernamt._store.writer import Writer
from fernamt.errors import (
    ChannelError,
    NeedsLogin,
    NotStored,
    Rejected,
    Throttled,
    Unreachable,
    Unsupported,
)

from .stage import AtWork, Impatient

OWNER = "work:test"


class Call:
    """One task in the hands of its handler, which goes on when the test says how."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.answer: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

    def done(self, also: Any = None) -> None:
        self.answer.set_result(Ending(also))

    def fails(self, why: BaseException) -> None:
        self.answer.set_exception(why)


class Shop(AtWork):
    """A worker, its tasks, and what a test wants to know of the store."""

    def __init__(self, store: Store, writer: Writer) -> None:
        super().__init__(store, writer)
        self.calls: asyncio.Queue[Call] = asyncio.Queue()
        self.logins: list[NeedsLogin] = []
        self.worker: Worker

    async def handle(self, task: Task) -> Ending:
        call = Call(task)
        self.calls.put_nowait(call)
        return await call.answer

    async def start(self, *, reached: Any = None) -> Claim:
        self.worker = Worker(
            OWNER,
            {"test": self.handle},
            store=self.store,
            writer=self.writer,
            needs_login=self.logins.append,
            reached=reached or self.points.put_nowait,
        )
        claim = await self.claim()
        self.running.append(asyncio.create_task(self.worker.run(claim)))
        return claim

    async def plan(self, *keys: str, conversation: int | None = None, kind: str = "test", due_us: int = 0) -> None:
        errands = [Errand(owner=OWNER, kind=kind, key=key, conversation=conversation, due_us=due_us) for key in keys]

        def planned(tx: Transaction, payloads: Sequence[list[Errand]]) -> list[None]:
            for one in payloads:
                plan_tasks(tx, one)
            return [None for _ in payloads]

        await self.writer.write(planned, errands)
        if hasattr(self, "worker"):
            self.worker.wake()

    async def called(self) -> Call:
        return await self.calls.get()

    def tasks(self) -> list[str]:
        return [row[0] for row in self.rows("SELECT key FROM task ORDER BY due_at, id")]


@pytest.fixture
async def shop(store: Store, writer: Writer) -> AsyncIterator[Shop]:
    store.clock = Impatient()
    shop = Shop(store, writer)
    yield shop
    while shop.running:
        await shop.die()


async def test_tasks_of_one_conversation_go_one_after_the_other_and_others_beside_them(shop: Shop) -> None:
    await shop.plan("a1", "a2", conversation=1)
    await shop.plan("b1", conversation=2)
    await shop.plan("c1")
    await shop.start()
    calls = {(call := await shop.called()).task.key: call for _ in range(3)}
    assert sorted(calls) == ["a1", "b1", "c1"]
    assert shop.calls.empty()
    calls["a1"].done()
    assert (await shop.called()).task.key == "a2"
    assert shop.tasks() == ["a2", "b1", "c1"]


async def test_no_more_is_under_way_than_the_bound(shop: Shop) -> None:
    await shop.plan(*(f"t{number}" for number in range(runtime.IN_FLIGHT + 2)))
    await shop.start()
    calls = [await shop.called() for _ in range(runtime.IN_FLIGHT)]
    assert shop.calls.empty()
    calls[0].done()
    await shop.called()


async def test_what_comes_of_a_task_is_written_with_its_end(shop: Shop) -> None:
    await shop.start()
    await shop.plan("first")

    def also(tx: Transaction) -> None:
        plan_tasks(tx, [Errand(owner=OWNER, kind="test", key="second", due_us=tx.now_us)])

    (await shop.called()).done(also)
    assert (await shop.called()).task.key == "second"
    assert shop.tasks() == ["second"]


async def test_a_task_that_plans_itself_again_comes_again(shop: Shop) -> None:
    await shop.start()
    await shop.plan("page")

    def also(tx: Transaction) -> None:
        next_page = Errand(owner=OWNER, kind="test", key="page", data={"cursor": "2"}, due_us=tx.now_us)
        plan_tasks(tx, [next_page], replace=True)

    (await shop.called()).done(also)
    call = await shop.called()
    assert call.task.data == {"cursor": "2"}
    call.done()
    await shop.until()
    await shop.until()
    assert shop.tasks() == []


async def test_what_is_planned_again_while_it_runs_runs_again_and_not_beside_itself(shop: Shop) -> None:
    await shop.start()
    await shop.plan("once")
    first = await shop.called()
    await shop.plan("once")
    await shop.plan("other")
    other = await shop.called()
    assert other.task.key == "other"
    first.done()
    again = await shop.called()
    assert again.task.key == "once"
    again.done()
    await shop.until()
    await shop.until()
    assert shop.tasks() == ["other"]


TABLE: dict[str, tuple[BaseException, bool]] = {  # error -> parked at once
    "rejected": (Rejected("no"), True),
    "unsupported": (Unsupported("not here"), True),
    "of an unknown class": (ChannelError("hm"), True),
    "throttled": (Throttled("slowly", after_s=3600.0), False),
    "away": (Unreachable("no connection", certain=True), False),
    "nobody knows": (Unreachable("no answer", certain=False), False),
    "needs login": (NeedsLogin("who are you"), False),
    "a bug": (KeyError("x"), False),
    "a time-out": (TimeoutError(), False),
    "an exit": (SystemExit(1), False),
    "a cancellation inside": (asyncio.CancelledError(), False),
}


async def test_the_class_of_an_error_says_what_happens_next_and_the_others_go_on(shop: Shop) -> None:
    await shop.start()
    with capture_logs():
        for label, (why, _) in TABLE.items():
            await shop.plan(label)
            call = await shop.called()
            assert call.task.key == label
            call.fails(why)
            await shop.until("work.failed")
    found = shop.rows("SELECT key, due_at IS NULL, tries, reason <> '' FROM task")
    assert sorted(found) == sorted((label, parked, 1, True) for label, (_, parked) in TABLE.items())
    assert len(shop.logins) == 1
    [(throttled, bug)] = shop.rows(
        "SELECT a.due_at, b.due_at FROM task a, task b WHERE a.key = 'throttled' AND b.key = 'a bug'"
    )
    assert throttled - bug > 3_000_000_000


async def test_what_nobody_carries_out_any_more_is_parked_with_the_reason(shop: Shop) -> None:
    await shop.start()
    with capture_logs() as logs:
        await shop.plan("x", kind="gone")
        await shop.until("work.failed")
    assert shop.rows("SELECT due_at, reason FROM task") == [(None, "nobody here carries out 'gone'")]
    assert [log["event"] for log in logs] == ["task_parked"]


async def test_what_cannot_be_written_is_tried_again_and_its_neighbour_is_not_undone(shop: Shop) -> None:
    await shop.start()
    await shop.plan("bad", "good")
    calls = {(call := await shop.called()).task.key: call for _ in range(2)}

    def also(tx: Transaction) -> None:
        plan_tasks(tx, [Errand(owner=OWNER, kind="test", key="never", due_us=0)])
        raise ValueError("it does not fit")

    with capture_logs():
        calls["bad"].done(also)
        calls["good"].done()
        await shop.until("work.failed")
        while shop.tasks() != ["bad"]:
            await asyncio.sleep(0)
    assert shop.rows("SELECT tries, reason FROM task") == [(1, "ValueError: it does not fit")]


async def test_a_store_that_is_away_costs_no_try(shop: Shop) -> None:
    await shop.start()
    await shop.plan("a")
    (await shop.called()).fails(NotStored("away", after_s=0.0))
    again = await shop.called()
    assert again.task.tries == 0
    again.done()
    await shop.until()
    assert shop.tasks() == []


@pytest.mark.parametrize("point", ["work.begun", "work.done"])
async def test_a_crash_before_the_end_is_committed_leaves_the_task_to_the_next_holder(shop: Shop, point: str) -> None:
    died = asyncio.Event()

    def reached(now: str) -> None:
        if now == point:
            died.set()
            raise asyncio.CancelledError

    await shop.start(reached=reached)
    await shop.plan("a")
    if point == "work.done":
        (await shop.called()).done()
    await died.wait()
    await shop.die()
    await shop.start()
    (await shop.called()).done()
    await shop.until()
    assert shop.tasks() == []


async def test_a_holder_that_lost_its_claim_changes_nothing_and_begins_nothing(shop: Shop) -> None:
    await shop.start()
    await shop.plan("a")
    late = await shop.called()
    await shop.claim()
    with capture_logs() as logs:
        late.done(lambda tx: plan_tasks(tx, [Errand(owner=OWNER, kind="test", key="never", due_us=0)]))
        while not logs:
            await asyncio.sleep(0)
    assert [log["event"] for log in logs] == ["work_claim_lost"]
    assert shop.tasks() == ["a"]
    await shop.plan("b")
    assert shop.calls.empty()


async def test_a_task_that_was_dropped_while_it_ran_ends_in_silence(shop: Shop) -> None:
    await shop.start()
    await shop.plan("a")
    call = await shop.called()
    await shop.sql("DELETE FROM task")
    with capture_logs() as logs:
        call.done(lambda tx: plan_tasks(tx, [Errand(owner=OWNER, kind="test", key="never", due_us=0)]))
        await shop.until()
    assert [(log["event"], log["log_level"]) for log in logs] == [("task_gone", "info")]
    assert shop.tasks() == []


async def test_a_row_that_cannot_be_read_ends_no_work_for_good(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "POLL_S", 0.01)
    await shop.plan("a", "b")
    await shop.sql("UPDATE task SET data = '{' WHERE key = 'a'")
    with capture_logs() as logs:
        await shop.start()
        while not logs:
            await asyncio.sleep(0)
    assert logs[0]["event"] == "work_not_looked_up"
    await shop.sql("UPDATE task SET due_at = NULL WHERE key = 'a'")
    assert (await shop.called()).task.key == "b"


async def test_a_task_that_takes_too_long_has_failed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "TIMEOUT_S", 0.01)
    await shop.start()
    with capture_logs():
        await shop.plan("a")
        await shop.until("work.failed")
    assert shop.rows("SELECT tries FROM task") == [(1,)]


async def test_what_another_process_planned_is_found_without_a_call(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "POLL_S", 0.01)
    await shop.start()
    worker, shop.worker = shop.worker, Worker(OWNER, {}, store=shop.store, writer=shop.writer)
    await shop.plan("a")
    (await shop.called()).done()
    await shop.until()
    worker.wake()


async def test_going_quiet_lets_what_is_under_way_end_and_begins_nothing(shop: Shop) -> None:
    await shop.start()
    await shop.plan("a")
    call = await shop.called()
    quiet = asyncio.create_task(shop.worker.quiet(10.0))
    await shop.plan("b")
    assert not quiet.done()
    call.done()
    await quiet
    assert shop.tasks() == ["b"]
    assert shop.calls.empty()


async def test_going_quiet_gives_up_after_its_time(shop: Shop) -> None:
    await shop.start()
    await shop.plan("a")
    await shop.called()
    with capture_logs() as logs:
        await shop.worker.quiet(0.01)
    assert [log["event"] for log in logs] == ["work_not_quiet"]
