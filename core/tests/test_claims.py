"""Claims: one holder at a time, and whoever lost his writes nothing more."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from fernamt._runtime import claims as runtime
from fernamt._runtime.claims import Claims, stop_task
from fernamt._store.claims import Claim, ClaimLost, Renewal, Wish, renew, require, take, void
from fernamt._store.engine import Store
from fernamt._store.transaction import Transaction
from fernamt._store.writer import Writer
from fernamt.errors import NotStored

KEY = "channel:mail"
LEASE_US = 60_000_000
FOR_EVER_S = 600.0
SHORT_S = 0.72


# ---- as transactions
def run(store: Store, operation: Any, *payloads: Any) -> list[Any]:
    with contextlib.closing(store.session()) as session, session.transaction() as tx:
        return list(operation(tx, payloads))


def taken(store: Store, owner: str) -> Claim | None:
    found: Claim | None = run(store, take, Wish(key=KEY, owner=owner, lease_us=LEASE_US))[0]
    return found


def expire(tx: Transaction, payloads: Sequence[Any]) -> list[int]:
    """Let the time of every claim be over: its holder slept through it."""
    return [tx.do.one("UPDATE due SET until = 1") for _ in payloads]


def holds(store: Store, claim: Claim) -> bool:
    with contextlib.closing(store.session()) as session, session.transaction() as tx:
        try:
            require(tx, claim)
        except ClaimLost:
            return False
    return True


def test_what_is_held_is_given_to_nobody_else(store: Store) -> None:
    first = taken(store, "a")
    assert first is not None
    assert first.fence == 1
    assert taken(store, "b") is None
    assert taken(store, "a") is None
    other = Wish(key="channel:chat", owner="b", lease_us=LEASE_US)
    assert run(store, take, other)[0].fence == 1


def test_a_claim_whose_time_is_over_goes_to_the_next_with_a_higher_fence(store: Store) -> None:
    first = taken(store, "a")
    assert first
    run(store, expire, None)
    assert holds(store, first)  # nobody else wanted it yet
    second = taken(store, "b")
    assert second
    assert (second.owner, second.fence) == ("b", 2)
    assert not holds(store, first)
    assert holds(store, second)


def test_a_lost_claim_cannot_be_renewed_and_one_that_nobody_took_can(store: Store) -> None:
    first = taken(store, "a")
    assert first
    run(store, expire, None)
    assert run(store, renew, Renewal(claim=first, lease_us=LEASE_US)) == [True]
    assert taken(store, "b") is None
    run(store, expire, None)
    second = taken(store, "b")
    assert second
    assert run(store, renew, Renewal(claim=first, lease_us=LEASE_US)) == [False]
    assert holds(store, second)


def test_a_claim_that_was_given_back_is_free_at_once(store: Store) -> None:
    first = taken(store, "a")
    assert first
    run(store, renew, Renewal(claim=first, lease_us=0))
    assert taken(store, "b") is not None


def test_on_a_store_that_was_left_alone_every_claim_is_free(store: Store) -> None:
    taken(store, "a")
    with contextlib.closing(store.session()) as session, session.transaction() as tx:
        void(tx)
    assert taken(store, "b") is not None


def test_nobody_holds_what_was_never_taken(store: Store) -> None:
    assert not holds(store, Claim(key=KEY, owner="a", fence=1))


# ---- at work
class Body:
    """Work under a claim, whose beginnings and ends the test can wait for."""

    def __init__(self) -> None:
        self.claims: asyncio.Queue[Claim] = asyncio.Queue()
        self.cancelled: asyncio.Queue[Claim] = asyncio.Queue()
        self.end = asyncio.Event()

    async def __call__(self, claim: Claim) -> None:
        self.claims.put_nowait(claim)
        try:
            await self.end.wait()
        except asyncio.CancelledError:
            self.cancelled.put_nowait(claim)
            raise


class Runner:
    """The claims of one process, with its renewal."""

    def __init__(self, writer: Writer, *, lease_s: float = FOR_EVER_S) -> None:
        self.writer = writer
        self.claims = Claims(writer, lease_s=lease_s)
        self.tasks: list[asyncio.Task[Any]] = []

    def renew(self) -> None:
        self.tasks.append(asyncio.create_task(self.claims.renewing()))

    def hold(self, body: Callable[[Claim], Any]) -> asyncio.Task[None]:
        task = asyncio.create_task(self.claims.hold(KEY, body))
        self.tasks.append(task)
        return task

    async def stop(self) -> None:
        for task in reversed(self.tasks):
            await stop_task(task)


@pytest.fixture
async def runners(store: Store, writer: Writer) -> AsyncIterator[tuple[Runner, Runner]]:
    second = Writer(store)
    second.start()
    pair = Runner(writer, lease_s=SHORT_S), Runner(second, lease_s=SHORT_S)
    yield pair
    for one in pair:
        await one.stop()
    await second.stop()


async def test_the_second_runner_works_when_the_first_gave_back(runners: tuple[Runner, Runner]) -> None:
    one, two = runners
    one.renew()
    first, second = Body(), Body()
    task = one.hold(first)
    a = await first.claims.get()
    _ = two.hold(second)
    task.cancel()
    b = await second.claims.get()
    assert first.cancelled.get_nowait() == a
    assert b.fence == a.fence + 1
    assert a.owner != b.owner


async def test_a_holder_that_is_renewed_keeps_it_beyond_its_lease(runners: tuple[Runner, Runner]) -> None:
    one, two = runners
    one.renew()
    first, second = Body(), Body()
    _ = one.hold(first)
    claim = await first.claims.get()
    _ = two.hold(second)
    renewals = 0
    renewed = asyncio.Event()
    write = one.writer.write

    def counted(operation: Any, payload: Any) -> Any:
        nonlocal renewals
        renewals += operation is renew
        if renewals == 6:  # twice the lease
            renewed.set()
        return write(operation, payload)

    one.writer.write = counted  # type: ignore[method-assign]
    await renewed.wait()
    assert second.claims.empty()
    assert first.cancelled.empty()
    assert claim.fence == 1


async def test_a_holder_that_slept_through_its_lease_is_stopped_and_waits_for_its_next_turn(
    runners: tuple[Runner, Runner],
) -> None:
    one, two = runners
    first, second = Body(), Body()
    _ = one.hold(first)
    a = await first.claims.get()
    task = two.hold(second)  # nobody renews the first: it sleeps
    b = await second.claims.get()
    with capture_logs() as logs:
        two.renew()
        one.renew()  # it wakes up
        assert await first.cancelled.get() == a
        task.cancel()
        again = await first.claims.get()
    assert (a.fence, b.fence, again.fence) == (1, 2, 3)
    assert [one["event"] for one in logs].count("claim_lost") == 1


class Silent(Writer):
    """A writer whose store is there for the first claim and then, as the test says, away or silent."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.away: NotStored | None = None
        self.silent = False

    def write(self, operation: Any, payload: Any) -> Any:
        if not (self.away or self.silent):
            return super().write(operation, payload)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self.away:
            future.set_exception(self.away)
        return future


@pytest.mark.parametrize("how", ["away", "silent"])
async def test_a_holder_stops_before_its_lease_is_over_if_the_store_does_not_answer(store: Store, how: str) -> None:
    writer = Silent(store)
    writer.start()
    runner, body = Runner(writer, lease_s=SHORT_S), Body()
    _ = runner.hold(body)
    await body.claims.get()
    loop = asyncio.get_running_loop()
    began = loop.time()
    writer.away, writer.silent = (NotStored("away", after_s=0.01), False) if how == "away" else (None, True)
    runner.renew()
    await body.cancelled.get()
    assert loop.time() - began <= SHORT_S
    writer.away, writer.silent = None, False
    if how == "away":
        assert (await body.claims.get()).fence == 2
    await runner.stop()
    await writer.stop()


async def test_a_renewal_is_waited_for_until_the_lease_is_nearly_over(store: Store) -> None:
    class Slow(Writer):
        """Answers a renewal only when the next one is asked for."""

        def __init__(self, store: Store) -> None:
            super().__init__(store)
            self.first: asyncio.Future[Any] | None = None
            self.second = asyncio.Event()

        def write(self, operation: Any, payload: Any) -> Any:
            if operation is not renew or not payload.lease_us:
                return super().write(operation, payload)
            if self.first is None:
                self.first = asyncio.get_running_loop().create_future()
                return self.first
            if not self.first.done():
                self.first.set_result(True)
            self.second.set()
            return asyncio.get_running_loop().create_future()

    writer = Slow(store)
    writer.start()
    runner, body = Runner(writer, lease_s=1.8), Body()
    _ = runner.hold(body)
    claim = await body.claims.get()
    taken_until = runner.claims._held[KEY].valid_until
    runner.renew()
    await writer.second.wait()
    await asyncio.sleep(0)
    assert body.cancelled.empty()
    assert runner.claims.holds(claim)
    assert taken_until < runner.claims._held[KEY].valid_until < taken_until + 1.8
    await runner.stop()
    await writer.stop()


async def test_a_store_that_is_away_at_first_is_waited_for(store: Store) -> None:
    class Late(Writer):
        refusals = 3

        def write(self, operation: Any, payload: Any) -> Any:
            if not self.refusals:
                return super().write(operation, payload)
            self.refusals -= 1
            future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            future.set_exception(NotStored("away", after_s=0.0))
            return future

    writer = Late(store)
    writer.start()
    runner, body = Runner(writer), Body()
    _ = runner.hold(body)
    assert (await body.claims.get()).fence == 1
    await runner.stop()
    await writer.stop()


async def test_work_that_ends_gives_the_claim_back_and_what_it_raises_is_raised(store: Store, writer: Writer) -> None:
    runner, body = Runner(writer), Body()
    task = runner.hold(body)
    await body.claims.get()
    body.end.set()
    await task

    async def failing(_claim: Claim) -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await runner.claims.hold(KEY, failing)
    assert taken(store, "other") is not None


async def test_a_task_that_would_not_stop_is_left_behind_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "STOP_S", 0.02)
    end = asyncio.Event()

    async def stubborn() -> None:
        while not end.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await end.wait()

    task = asyncio.create_task(stubborn(), name="receive-mail")
    await asyncio.sleep(0)
    with capture_logs() as logs:
        await stop_task(task)
    assert logs == [{"event": "task_would_not_stop", "log_level": "error", "task": "receive-mail"}]
    end.set()
    await task


async def test_a_task_that_fails_while_it_stops_is_logged_and_hinders_nobody() -> None:
    async def failing() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("while stopping")

    task = asyncio.create_task(failing())
    await asyncio.sleep(0)
    with capture_logs() as logs:
        await stop_task(task)
        await stop_task(task)
    assert [one["error"] for one in logs] == ["ValueError", "ValueError"]


async def test_stopping_a_task_can_itself_be_cancelled() -> None:
    end = asyncio.Event()

    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await end.wait()

    task = asyncio.create_task(slow())
    await asyncio.sleep(0)
    stopping = asyncio.create_task(stop_task(task))
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    end.set()
    await task


async def test_a_holder_that_is_cancelled_while_it_stops_its_work_gives_the_claim_back(
    store: Store, writer: Writer
) -> None:
    runner, end = Runner(writer), asyncio.Event()
    claims: asyncio.Queue[Claim] = asyncio.Queue()

    async def slow(claim: Claim) -> None:
        claims.put_nowait(claim)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await end.wait()

    holding = runner.hold(slow)
    claim = await claims.get()
    for _ in range(2):
        holding.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await holding
    assert not runner.claims.holds(claim)
    assert taken(store, "the next") is not None
    end.set()


async def test_a_claim_is_ours_for_sure_only_while_its_lease_lasts_by_our_own_clock(writer: Writer) -> None:
    runner, body = Runner(writer), Body()
    _ = runner.hold(body)
    claim = await body.claims.get()
    assert runner.claims.holds(claim)
    assert not runner.claims.holds(Claim(key=claim.key, owner=claim.owner, fence=claim.fence + 1))
    runner.claims._held[KEY].valid_until = asyncio.get_running_loop().time()
    assert not runner.claims.holds(claim)
    await runner.stop()
    assert not runner.claims.holds(claim)
