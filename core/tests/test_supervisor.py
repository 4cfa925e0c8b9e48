"""A channel under supervision: its crash is its own, it comes back by itself, and its state is told once each way."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pluggy
import pytest
from structlog.testing import capture_logs

from fernamt import hookspecs
from fernamt._runtime.claims import Claims, stop_task
from fernamt._runtime.hooks import Plugins
from fernamt._runtime.outbox import Outbox
from fernamt._runtime.queue import Queue
from fernamt._runtime.sending import Sending
from fernamt._runtime.supervisor import Supervised
from fernamt._store.channels import Entrance, enter, note_state
from fernamt._store.desk import Composition, compose
from fernamt._store.engine import Store
from fernamt._store.names import Names
from fernamt._store.reception import Line, Reception, Submission
from fernamt._store.writer import Writer
from fernamt.errors import ConfigError, NeedsLogin, NotStored, Unreachable
from fernamt.inbound import Received
from fernamt.model import Address
from fernamt.outbound import Capabilities, OutboundMessage, Sent


class TestClock:
    """A clock that stands still, and sleepers whom the test wakes."""

    __test__ = False

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)
        self.sleepers: asyncio.Queue[tuple[float, asyncio.Future[None]]] = asyncio.Queue()

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sleepers.put_nowait((seconds, woken))
        await woken

    async def pass_by(self, *, steady: bool = False) -> float:
        """Wake the next sleeper and return how long it slept: of those who wait for a steady minute, or of the others."""
        while True:
            seconds, woken = await self.sleepers.get()
            if not woken.done() and (seconds == 60.0) is steady:
                self.time += timedelta(seconds=seconds)
                woken.set_result(None)
                return seconds


class Poller:
    """A connector whose ``run`` the test ends as it likes."""

    def __init__(self) -> None:
        self.runs: asyncio.Queue[asyncio.Future[Any]] = asyncio.Queue()
        self.sends: asyncio.Queue[asyncio.Future[Any]] = asyncio.Queue()
        self.described = 0
        self.can = Capabilities()

    def capabilities(self) -> Capabilities:
        self.described += 1
        return self.can

    async def run(self) -> None:
        ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.runs.put_nowait(ended)
        await ended

    async def send(self, message: OutboundMessage) -> Sent:
        answer: asyncio.Future[Sent] = asyncio.get_running_loop().create_future()
        self.sends.put_nowait(answer)
        return await answer


class Sender:
    """A connector that only sends."""

    async def send(self, message: OutboundMessage) -> Sent:
        return Sent()


class Forgetful(Writer):
    """A writer that loses the first notes about a channel's state."""

    lost = 0

    def write(self, operation: Any, payload: Any) -> Any:
        if operation is note_state and self.lost:
            self.lost -= 1
            future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            future.set_exception(NotStored("away"))
            return future
        return super().write(operation, payload)


class Ward:
    """A supervised channel and what a test wants to know of it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.writer = Forgetful(store)
        self.clock = TestClock()
        self.names = Names(store.keys())
        self.tasks: list[asyncio.Task[Any]] = []
        self.supervised: Supervised
        self.outbox: Outbox

    async def start(self, connector: Any) -> None:
        number = await self.writer.write(enter, Entrance(id="mail", kind="fake", label="Mail"))
        line = Line(number=number, id="mail")
        claims = Claims(self.writer, lease_s=600.0)
        self.supervised = Supervised(
            line, writer=self.writer, claims=claims, clock=self.clock, redact=lambda text: text.replace("hunter2", "…")
        )
        sending = Sending(
            line=line,
            connector=connector,
            capabilities=self.supervised.capabilities,
            hold_s=300.0,
            retry_for_h=72.0,
            needs_login=self.supervised.needs_login,
        )
        manager = pluggy.PluginManager(hookspecs.PROJECT)
        manager.add_hookspecs(hookspecs)
        self.outbox = Outbox(sending, store=self.store, writer=self.writer, names=self.names, plugins=Plugins(manager))
        self.supervised.equip(connector, self.outbox)
        self.tasks.append(asyncio.create_task(self.supervised.run()))

    async def state(self, wanted: str) -> str:
        """Return the reason when the store says that the channel is as *wanted*."""
        while True:
            with self.store.read() as connection:
                [(state, reason)] = self.store.statements(connection).rows("SELECT state, reason FROM channel")
            if state == wanted:
                return str(reason)
            await asyncio.sleep(0.001)

    async def message(self) -> int:
        event = Received(key="m1", sender=Address("email", "ann@example.org"), text="?")
        [accepted] = await self.writer.write(
            Reception(self.names), Submission(line=self.supervised.line, events=(event,))
        )
        composition = Composition(
            conversation=int(accepted.conversation or 0), kind="sent", author="agent:maria", text="Guten Tag"
        )
        composed = await self.writer.write(compose, composition)
        assert not isinstance(composed, Exception)
        self.outbox.wake()
        return int(composed.deliveries[0])

    def delivery(self) -> str:
        with self.store.read() as connection:
            return str(self.store.statements(connection).rows("SELECT state FROM delivery")[0][0])


@pytest.fixture
async def ward(store: Store) -> AsyncIterator[Ward]:
    ward = Ward(store)
    ward.writer.start()
    yield ward
    for task in ward.tasks:
        await stop_task(task)
    await ward.writer.stop()


async def test_a_crash_restarts_the_channel_with_growing_pauses_and_is_logged_once_each_way(ward: Ward) -> None:
    poller = Poller()
    with capture_logs() as logs:
        await ward.start(poller)
        run = await poller.runs.get()
        ward.supervised.reported("up", "")
        pauses = []
        for _ in range(5):
            run.set_exception(ConnectionResetError("the line hunter2 was cut\0"))
            assert await ward.state("down") == "ConnectionResetError: the line … was cut�"
            pauses.append(await ward.clock.pass_by())
            run = await poller.runs.get()
        ward.supervised.reported("up", "")
        await ward.state("up")
    events = [log["event"] for log in logs]
    assert events.count("channel_down") == 1
    assert events.count("channel_state_changed") == 2
    assert all(1 <= pause <= 60 for pause in pauses)
    assert pauses[4] > 4 * pauses[0]


async def test_a_failure_after_a_steady_time_counts_as_the_first(ward: Ward) -> None:
    poller = Poller()
    await ward.start(poller)
    for _ in range(4):
        run = await poller.runs.get()
        await ward.clock.pass_by(steady=True)
        ward.clock.time += timedelta(seconds=1)
        assert await ward.state("up") == ""  # it runs for a minute and says nothing of itself
        run.set_exception(OSError("gone"))
        await ward.state("down")
        assert await ward.clock.pass_by() <= 2.0


async def test_a_connector_that_has_nothing_to_run_is_up(ward: Ward) -> None:
    await ward.start(Sender())
    await ward.state("up")


async def test_a_run_that_returns_is_no_fault_and_the_channel_still_sends(ward: Ward) -> None:
    poller = Poller()
    await ward.start(poller)
    (await poller.runs.get()).set_result(None)
    await ward.state("up")
    await ward.message()
    (await poller.sends.get()).set_result(Sent())
    while ward.delivery() != "sent":
        await asyncio.sleep(0.001)
    assert poller.runs.empty()


@pytest.mark.parametrize("why", [asyncio.CancelledError(), SystemExit(3)])
async def test_what_would_end_a_task_or_the_daemon_is_a_crash_like_any_other(ward: Ward, why: BaseException) -> None:
    poller = Poller()
    await ward.start(poller)
    (await poller.runs.get()).set_exception(why)
    await ward.state("down")
    await ward.clock.pass_by()
    _ = await poller.runs.get()


async def test_a_missing_login_stops_the_channel_and_lets_what_is_under_way_end(ward: Ward) -> None:
    poller = Poller()
    await ward.start(poller)
    run = await poller.runs.get()
    await ward.message()
    answer = await poller.sends.get()
    run.set_exception(NeedsLogin("the password was changed", code="AUTHENTICATIONFAILED"))
    assert await ward.state("needs-login") == "the password was changed"
    answer.set_result(Sent())
    while ward.delivery() != "sent":
        await asyncio.sleep(0.001)
    ward.supervised.reported("up", "")  # a late word of the connector
    assert ward.supervised.state == "needs-login"
    assert poller.runs.empty()


async def test_a_send_that_needs_a_login_stops_the_receiver_too_and_keeps_its_message(ward: Ward) -> None:
    poller = Poller()
    await ward.start(poller)
    run = await poller.runs.get()
    await ward.message()
    (await poller.sends.get()).set_exception(NeedsLogin("the token expired"))
    await ward.state("needs-login")
    while not run.cancelled():
        await asyncio.sleep(0)
    assert ward.delivery() == "queued"


async def test_a_wrong_setting_takes_the_channel_down_until_somebody_changes_it(ward: Ward) -> None:
    poller = Poller()
    await ward.start(poller)
    (await poller.runs.get()).set_exception(ConfigError("channels.mail", "there is no folder Foo", fix="Name another"))
    assert "there is no folder Foo" in await ward.state("down")
    await ward.message()
    await asyncio.wait(ward.tasks, timeout=0.01)
    assert poller.runs.empty()
    assert poller.sends.empty()
    assert ward.delivery() == "queued"


async def test_a_connector_says_how_the_line_is(ward: Ward) -> None:
    poller = Poller()
    await ward.start(poller)
    _ = await poller.runs.get()
    ward.supervised.reported("degraded", "one of two folders is missing")
    assert await ward.state("degraded") == "one of two folders is missing"
    ward.supervised.reported("up", "")
    await ward.state("up")
    for wrong in ("down", "needs-login", "happy"):
        with pytest.raises(ValueError, match="'up' or 'degraded'"):
            ward.supervised.reported(wrong, "")


async def test_what_the_channel_can_is_asked_again_whenever_it_comes_up(ward: Ward) -> None:
    poller = Poller()
    await ward.start(poller)
    assert poller.described == 1
    poller.can = Capabilities(max_units=7)
    ward.supervised.reported("up", "")
    ward.supervised.reported("up", "again")
    assert poller.described == 2
    assert ward.supervised.capabilities().max_units == 7


async def test_a_state_that_the_store_did_not_take_is_told_until_it_does(ward: Ward) -> None:
    poller = Poller()
    await ward.start(poller)
    (await poller.runs.get()).set_result(None)
    await ward.state("up")
    ward.writer.lost = 2
    ward.supervised.reported("degraded", "slow")
    for _ in range(2):
        await ward.clock.pass_by()
    assert await ward.state("degraded") == "slow"


async def test_a_sender_that_broke_begins_again_and_the_channel_is_as_it_was(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    poller = Poller()
    await ward.start(poller)
    _ = await poller.runs.get()
    ward.supervised.reported("degraded", "slow")
    await ward.state("degraded")
    take = Queue.take

    def broken(*_: object) -> Any:
        monkeypatch.setattr(Queue, "take", take)
        raise KeyError("a bug of ours")

    monkeypatch.setattr(Queue, "take", broken)
    ward.outbox.wake()
    await ward.state("down")
    await ward.clock.pass_by()
    assert await ward.state("degraded") == "slow"
    await ward.message()
    (await poller.sends.get()).set_exception(Unreachable("?", certain=False))


async def test_a_channel_that_ends_is_given_back(ward: Ward) -> None:
    poller = Poller()
    await ward.start(poller)
    run = await poller.runs.get()
    await stop_task(ward.tasks[0])
    assert run.cancelled()
    with ward.store.read() as connection:
        do = ward.store.statements(connection)
        assert do.rows("SELECT until <= ? FROM due WHERE key = 'channel:mail'", (do.now_us(),))[0][0] in (1, True)


async def test_going_quiet_waits_for_what_is_under_way(ward: Ward) -> None:
    poller = Poller()
    await ward.start(poller)
    await ward.message()
    answer = await poller.sends.get()
    quiet = asyncio.create_task(ward.supervised.quiet(10.0))
    await asyncio.sleep(0)
    assert not quiet.done()
    answer.set_result(Sent())
    await quiet
    assert ward.delivery() == "sent"
