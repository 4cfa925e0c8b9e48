"""A whole world on one clock: customers, agents, providers and runners around one store."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import sqlite3
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping, MutableMapping, Sequence
from contextvars import Context
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final, NoReturn
from unittest import mock

import pluggy
import sqlalchemy as sa
import structlog
from sqlalchemy.engine import make_url

from fernamt import hookimpl, hookspecs
from fernamt._runtime import claims, outbox, queue
from fernamt._runtime.hooks import Plugins
from fernamt._store.blobs import open_blobs
from fernamt._store.channels import Entrance, enter
from fernamt._store.desk import Composed, Composition, NoSuchThing, compose
from fernamt._store.engine import Store
from fernamt._store.names import Names
from fernamt._store.reception import Line
from fernamt._store.transaction import Transaction
from fernamt._store.verdicts import Verdict, decide
from fernamt.errors import NotStored
from fernamt.hookspecs import Refusal
from fernamt.inbound import Accepted, InboundEvent, Part, Received, Thread
from fernamt.model import Address, Purpose, microseconds, moment
from fernamt.outbound import Capabilities, OutboundMessage

from .loop import OWNER, START_S, VirtualLoop
from .model import Broken, Model
from .provider import Provider
from .runner import Runner
from .script import Script, Step

CALM_S: Final = 200.0
"""When nothing fails any more, everything has come to rest so soon after the last retry that was agreed on before."""
_LOOK_EVERY_S: Final = 2.5
"""Whoever waits for a claim or a message looks less often than a daemon does: most of the time of a story goes there."""
_PURPOSES: Final = (Purpose.REPLY, Purpose.REPLY, Purpose.NOTICE, Purpose.OUTREACH)
_EPOCH: Final = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
_BAD_LOGS: Final = {
    "attempt_not_storable",
    "delivery_not_prepared",
    "hook_failed",
    "event_not_storable",
    "result_not_storable",
    "channel_down",
    "task_would_not_stop",
    "daemon_part_failed",
}
"""What is logged only if something broke that the simulation did not break."""


class SimulatedClock:
    """The loop's time as the time of day, for the runners and for the store."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def now(self) -> datetime:
        return _EPOCH + timedelta(seconds=self._loop.now_s - START_S)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class SimulatedStore(Store):
    """The real store in a file that nobody syncs; nothing can be read while it is out."""

    def __init__(self, world: World, path: Path) -> None:
        super().__init__(make_url(f"sqlite:///{path}"), world.clock)
        self._world = world

        @sa.event.listens_for(self._engine, "connect")
        def _prepare(connection: Any, _record: object) -> None:
            connection.execute("PRAGMA synchronous=OFF").close()

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        if self._world.is_out():
            raise NotStored("the store is away")
        with super().read() as connection:
            yield connection


class World:
    """Plays one script."""

    def __init__(self, script: Script, template: Path, folder: Path) -> None:
        self.script = script
        self.calm = False
        self._out_until_s = 0.0
        self.trace: list[str] = []
        self.loop = VirtualLoop()
        self.clock = SimulatedClock(self.loop)
        path = folder / "world.db"
        for file in folder.glob("world.db*"):
            file.unlink()
        shutil.copy(template, path)
        self.store = SimulatedStore(self, path)
        self.names = Names(self.store.keys())
        self.blobs = open_blobs(self.store)
        self.plugins = Plugins(_registered(self))
        dice = self.dice("world")
        self.lease_s = dice.choice((6.0, 15.0))
        self.hold_s = dice.choice((5.0, 20.0, 60.0))
        self.retry_for_h = dice.choice((0.01, 0.02, 72.0))
        self.model = Model(str(path), self.now_us, self.say, self.hold_s)
        self._desk = self.store.session()
        self.providers = [
            self._provider(
                name,
                Capabilities(
                    in_flight=dice.randint(1, 4),
                    units_per_s=dice.choice((None, None, 3.0, 40.0)),
                    idempotent=name == "keyed",
                    full_lookup=name == "asked",
                ),
            )
            for name in ("plain", "keyed", "asked")
        ]
        self.model.copies = lambda number: sum(
            copy.delivery == number for provider in self.providers for copy in provider.copies
        )
        self._runners: list[Runner] = []
        self._offers = 0
        self._offering = 0
        self._events: list[tuple[Provider, tuple[InboundEvent, ...]]] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._end: asyncio.Future[None] = self.loop.create_future()

    def _provider(self, name: str, capabilities: Capabilities) -> Provider:
        number = self._written(enter, Entrance(id=name, kind="simulated", label=name))
        self.model.idempotent[number] = capabilities.idempotent
        return Provider(self, Line(number=number, id=name), capabilities)

    # ---- the tale
    def play(self) -> None:
        """Play the script to its end; raises what broke, with the story as a note."""
        state = random.getstate()
        random.seed(self.script.seed)
        structlog.configure(processors=[self._logged], cache_logger_on_first_use=False)
        self.loop.set_exception_handler(self._failed)
        try:
            with _looking_less_often():
                self.loop.play(self._story())
        except BaseException as why:
            why.add_note("\n".join(self.trace[-200:]))
            raise
        finally:
            random.setstate(state)
            structlog.reset_defaults()
            self._desk.close()
            self.model.close()
            self.store.close()

    async def _story(self) -> None:
        playing = asyncio.create_task(self._play())
        await asyncio.wait({playing, self._end}, return_when=asyncio.FIRST_COMPLETED)
        try:
            if self._end.done():
                self._end.result()
            playing.result()
        finally:
            self._end.cancel()
            for runner in self._runners:
                runner.crash("the end")
            for _ in range(100):
                for task in (playing, *self._tasks):
                    if "_unwound" not in task.get_name():
                        task.cancel()
                await asyncio.sleep(0)

    async def _play(self) -> None:
        for step in self.script.steps:
            await asyncio.sleep(step.after_s)
            self._do(step)
        await asyncio.sleep(1.0)
        self.say("world", "is calm from now on")
        self.calm = True
        self._out_until_s = 0.0
        latest_us = max((row.next_at for row in self.model.open()), default=0)
        end_s = self.loop.now_s + CALM_S + max(0.0, (latest_us - self.now_us()) / 1_000_000)
        while self._offering or self.model.open() or self.model.receipts_on_their_way():
            if self.loop.now_s > end_s:
                raise Broken(f"it never comes to rest: {self._offering} offers, {self.model.open()}")
            for runner in self._runners:
                if runner.paused and not runner.dead:
                    self._go_on(runner)
            if not self._alive():
                self._start()
            await asyncio.sleep(1.0)
        await asyncio.sleep(0.5)
        self.model.judge(self.retry_for_h * 3_600)

    def _do(self, step: Step) -> None:
        first, second, third = step.picks
        match step.action:
            case "offer":
                self._write(first, second, third)
            case "repeat" if self._events:
                provider, events = self._events[first % len(self._events)]
                self.offer(provider, events[second % len(events) :])
            case "reply" | "burst":
                self._reply(first, 1 if step.action == "reply" else 2 + second % 4, purpose=_PURPOSES[third % 4])
            case "note" | "solve":
                self._compose(first, "note" if step.action == "note" else "solved")
            case "decide":
                self._decide(first, sent=second % 2 == 0)
            case "outage" if self.has("outages"):
                self._out_until_s = self.loop.now_s + 0.1 + second % 25
                self.say("store", "is away")
            case "down":
                provider = self.providers[first % 3]
                provider.down_until_s = self.loop.now_s + second % 90
                self.say(provider.line.id, "is down")
            case "start" if len(self._alive()) < 3:
                self._start()
            case "crash" | "stop" | "pause":
                self._disturb(step.action, first, second)
            case _:
                pass

    def _disturb(self, action: str, first: int, second: int) -> None:
        alive = self._alive()
        if not alive or not self.has("pauses" if action == "pause" else "crashes"):
            return
        runner = alive[first % len(alive)]
        if action == "crash":
            runner.crash("killed")
        elif action == "stop":
            self._tasks.add(runner.do(runner.stop()))
        elif not runner.paused:
            runner.paused = True
            self.say(runner.name, "freezes")
            self.later(0.5 + second % 40, lambda: self._go_on(runner))

    def _go_on(self, runner: Runner) -> None:
        if runner.paused and not runner.dead:
            self.say(runner.name, "goes on")
            self.loop.go_on(runner)

    def _start(self) -> None:
        self._runners.append(Runner(self, f"r{len(self._runners) + 1}"))
        self.say(self._runners[-1].name, "starts")

    def _alive(self) -> list[Runner]:
        return [runner for runner in self._runners if not runner.dead and not runner.stopping]

    def noticed(self, by: Runner, topics: Collection[str]) -> None:
        """Tell the other runners what a commit touched; some never hear of it."""
        for runner in self._alive():
            dice = self.dice("notice", by.name, runner.name, len(self.trace))
            if runner is not by and (self.calm or dice.random() < 0.7):
                told = sorted(topics)
                self.later(dice.uniform(0.001, 0.1), lambda to=runner, it=told: to.notice(it))  # type: ignore[misc]

    # ---- customers
    def _write(self, first: int, second: int, third: int) -> None:
        provider = self.providers[first % 3]
        if third % 11 == 3:
            self._write_pieces(provider, second, 2 + third % 2)
            return
        events: list[InboundEvent] = []
        for _ in range((1, 1, 1, 2, 3)[third % 5]):
            number = len(self._events) * 10 + len(events)
            events.append(
                Received(
                    key=f"event {number}",
                    id=f"event {number}" if number % 3 else "",
                    sender=Address("phone", f"+49{second % 3}"),
                    text=f"words {number}",
                    thread=Thread(place=("", "", "post")[(first // 2) % 3]),
                )
            )
        if third % 7 == 0:
            events.append(events[0])
        self._events.append((provider, tuple(events)))
        self.offer(provider, tuple(events))

    def _write_pieces(self, provider: Provider, second: int, total: int) -> None:
        """Write something so long that the provider brings it in pieces, each by itself and in no order."""
        group = f"{len(self._events)}"
        for at in range(1, total + 1):
            number = len(self._events) * 10
            event = Received(
                key=f"event {number}",
                part=Part(group=group, number=at, total=total),
                sender=Address("phone", f"+49{second % 3}"),
                text=f"words {number}; ",
            )
            self._events.append((provider, (event,)))
            self.offer(provider, (event,))

    def offer(self, provider: Provider, events: tuple[InboundEvent, ...]) -> None:
        """Let the provider bring events until somebody says OK."""
        self._offers += 1
        self._offering += 1
        self.model.offered(provider.line.number, events)
        self.do(self._offered(provider, events, self.dice("offer", self._offers)))

    async def _offered(self, provider: Provider, events: tuple[InboundEvent, ...], dice: Random) -> None:
        keys = [getattr(event, "key", "") for event in events]
        while True:
            alive = self._alive()
            if alive:
                runner = dice.choice(alive)
                intake = runner.intakes[self.providers.index(provider)]
                asked = runner.do(intake.accept(events))
                asked.add_done_callback(lambda task: task.cancelled() or task.exception(), context=Context())
                await asyncio.wait({asked}, timeout=10.0)
                if asked.done() and not runner.dead and not asked.cancelled():
                    why = asked.exception()
                    if why is None:
                        accepted: Sequence[Accepted] = asked.result()
                        if dice.random() < 0.9 or self.calm:
                            self.say(runner.name, f"takes {keys}: {[(one.conversation, one.n) for one in accepted]}")
                            self.model.accepted(provider.line.number, events, accepted)
                            break
                    elif not isinstance(why, NotStored):
                        raise why
                elif dice.random() < 0.5:
                    asked.cancel()
            await asyncio.sleep(dice.uniform(0.1, 5.0))
        self._offering -= 1

    # ---- agents
    def _reply(self, first: int, count: int, *, purpose: Purpose) -> None:
        for number in range(count):
            self._compose(first, "sent", text=f"answer {number}", purpose=purpose)

    def _compose(self, first: int, kind: str, **more: Any) -> None:
        conversations = self.model.conversations()
        if not conversations or self.is_out():
            return
        conversation = conversations[first % len(conversations)]
        written = self._written(
            compose, Composition(conversation=conversation, kind=kind, author="agent:maria", **more)
        )
        assert isinstance(written, Composed)
        self.model.asked(written.deliveries)
        self.model.observe("maria")

    def _decide(self, first: int, *, sent: bool) -> None:
        uncertain = self.model.uncertain()
        if not uncertain or self.is_out() or not self.has("people"):
            return
        delivery = uncertain[first % len(uncertain)]
        self.model.decided(delivery, sent=sent)
        self.say("maria", f"says that {delivery} {'was sent' if sent else 'shall be tried again'}")
        if isinstance(why := self._written(decide, Verdict(delivery=delivery, sent=sent, by="maria")), NoSuchThing):
            raise why
        self.model.observe("maria")

    def somebody_logs_in(self, channel: str) -> None:
        """A person sees to it that the provider is content again, and starts the daemon anew."""

        def restart() -> None:
            for runner in self._alive():
                if any(one.line.id == channel and one.state == "needs-login" for one in runner.channels):
                    runner.crash("restarted by a person")
                    self._start()

        for after_s in (5.0, 60.0, 200.0):
            self.later(after_s, restart)

    def _written(self, operation: Callable[[Transaction, Sequence[Any]], Sequence[Any]], payload: Any) -> Any:
        return self._desk.run(lambda tx: operation(tx, [payload])[0])

    @hookimpl
    def fernamt_allow_send(self, message: OutboundMessage, now: datetime) -> Refusal | None:
        """Let some wait, and refuse a few for good."""
        dice = self.dice("policy", message.key).random()
        delivery = self.names.delivery_of(message.key)
        if not self.has("policies") or dice > 0.1:
            return None
        if dice < 0.02:
            return Refusal(reason="not to this one")
        asked_for = moment(self.model.rows[delivery].queued_at)
        until = asked_for + timedelta(seconds=dice * 400)
        return Refusal(reason="not now", until=until) if until > now else None

    # ---- what may go wrong
    def has(self, fault: str) -> bool:
        return not self.calm and fault in self.script.faults

    def is_out(self) -> bool:
        return self.loop.now_s < self._out_until_s

    def fate_of_commit(self, runner: Runner, number: int) -> str:
        dice = self.dice("commit", runner.name, number).random()
        if self.has("commits"):
            if dice < 0.01:
                return "loses the store at writer.before-commit"
            if dice < 0.035:
                return "loses the store at writer.committed"
        if self.has("crashes"):
            if 0.035 < dice < 0.039:
                return "crash at writer.before-commit"
            if 0.039 < dice < 0.043:
                return "crash at writer.committed"
        return ""

    def dies_at(self, runner: Runner, point: str) -> bool:
        return self.has("crashes") and self.dice("point", runner.name, point, len(self.trace)).random() < 0.01

    def delay_s(self, runner: Runner, what: str, number: int) -> float:
        if not self.has("delays"):
            return 0.0005
        dice = self.dice("delay", runner.name, what, number)
        if dice.random() < 0.02:
            return dice.uniform(0.1, 8.0)
        return dice.choice((0.0, 0.0005, 0.003))

    # ---- time
    def dice(self, *of: object) -> Random:
        return self.script.dice(*of)

    def now_us(self) -> int:
        return microseconds(self.clock.now())

    def later(self, after_s: float, what: Callable[[], object]) -> None:
        """Do something that belongs to no runner."""
        self.loop.call_later(after_s, what, context=Context())

    def do(self, what: Coroutine[Any, Any, Any]) -> None:
        """Let something happen that belongs to no runner."""
        task = self.loop.create_task(what, name=getattr(what, "__qualname__", ""), context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._done, context=Context())

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (why := task.exception()) is not None:
            self.ends(why)

    def ends(self, why: BaseException) -> None:
        """End the story: the first thing that broke is what is told."""
        if not self._end.done():
            self._end.set_exception(why)

    # ---- the record
    def say(self, who: str, what: str) -> None:
        self.trace.append(f"{self.loop.now_s - START_S:9.3f} {who:6} {what}")

    def _logged(self, _logger: object, _name: str, event: MutableMapping[str, Any]) -> NoReturn:
        name = event["event"]
        self.say("log", f"{name} {event.get('error', '')}")
        owner = OWNER.get()
        dying = isinstance(owner, Runner) and owner.dead  # what it is cut off from looks broken to it
        if name in _BAD_LOGS and not dying:
            why = event.get("exc_info")
            broken = Broken(f"logged: {name} {dict(event)}")
            broken.__cause__ = why if isinstance(why, BaseException) else None
            self.ends(broken)
        raise structlog.DropEvent

    def _failed(self, _loop: object, context: Mapping[str, Any]) -> None:
        why = context.get("exception")
        if isinstance(why, Broken):
            self.ends(why)
            return
        whose = context.get("task") or context.get("future") or context.get("handle")
        broken = Broken(f"{context['message']}: {whose}")
        broken.__cause__ = why
        self.ends(broken)


@contextlib.contextmanager
def _looking_less_often() -> Iterator[None]:
    with (
        mock.patch.object(claims, "_ASK_EVERY_S", _LOOK_EVERY_S),
        mock.patch.object(outbox, "POLL_S", _LOOK_EVERY_S),
        mock.patch.object(queue, "POLL_S", _LOOK_EVERY_S),
    ):
        yield


def _registered(policy: World) -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(policy, name="policy")
    return manager


def template(folder: Path) -> Path:
    """Return a migrated, empty database to copy."""
    path = folder / "template.db"
    loop = VirtualLoop()
    loop.close()
    store = Store(make_url(f"sqlite:///{path}"), SimulatedClock(loop))
    store.migrate()
    store.close()
    # One file: what is copied must not depend on what beside it was not copied.
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path
