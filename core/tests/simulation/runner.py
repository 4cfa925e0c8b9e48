"""One daemon of a simulated world: the real intake, claims, supervisor and outbox, as the app puts them together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Coroutine
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Literal

from fernamt._runtime.claims import Claims, stop_task
from fernamt._runtime.hub import Hub
from fernamt._runtime.intake import ChannelIntake, Room
from fernamt._runtime.outbox import Outbox
from fernamt._runtime.reconciler import Reconciler
from fernamt._runtime.sending import Sending
from fernamt._runtime.supervisor import Supervised
from fernamt._store.reception import Reception
from fernamt.outbound import Capabilities, OutboundMessage, Sent

from .loop import OWNER, Slot
from .writer import InlineWriter

if TYPE_CHECKING:
    from .provider import Provider
    from .world import World


class Runner:
    """It can die, freeze, and be told to stop."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.dead = False
        self.stopping = False
        self.paused = False
        self.backlog: list[Slot] = []
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.intakes: list[ChannelIntake] = []
        self.channels: list[Supervised] = []
        self._woken = contextlib.ExitStack()
        self._context = copy_context()
        self._context.run(OWNER.set, self)
        self._parts: list[asyncio.Task[Any]] = []
        self._context.run(self._start)

    def do(self, what: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something in this process."""
        return self.world.loop.create_task(what, context=self._context.copy())

    def notice(self, topics: Collection[str]) -> None:
        """Another process says what its commit touched."""
        if not self.dead and not self.paused:
            self._context.copy().run(self.hub.wake, topics)

    def crash(self, why: str) -> None:
        """Die now: what is not committed is gone, nobody hears of anything, and the claims stay until they run out."""
        if self.dead:
            return
        self.world.say(self.name, f"dies: {why}")
        self.dead = True
        self.world.do(self._unwound())

    async def stop(self) -> None:
        """End as the app does on SIGTERM."""
        self.stopping = True
        self.world.say(self.name, "is told to stop")
        await asyncio.gather(*(channel.quiet(20.0) for channel in self.channels))
        for task in reversed(self._parts):
            await stop_task(task)
        self.world.say(self.name, "has stopped")
        self.crash("stopped")

    async def _unwound(self) -> None:
        self.world.loop.go_on(self)
        for _ in range(1_000):
            pending = list(self.tasks)
            if not pending:
                break
            for task in pending:
                task.cancel()
            await asyncio.sleep(0)
        else:
            raise AssertionError(f"tasks that cannot be cancelled: {list(self.tasks)}")
        self._writer.close()

    def _start(self) -> None:
        world = self.world
        self.hub = Hub(lambda topics: world.noticed(self, topics))
        self._writer = InlineWriter(world, self)
        claims = Claims(self._writer, lease_s=world.lease_s, hub=self.hub)
        reception, room = Reception(world.names), Room()
        self._parts.append(world.loop.create_task(claims.renewing(), name=f"{self.name} renews"))
        for provider in world.providers:
            line = provider.line
            self.intakes.append(
                ChannelIntake(
                    line, writer=self._writer, reception=reception, blobs=world.blobs, room=room, clock=world.clock
                )
            )
            supervised = Supervised(line, writer=self._writer, claims=claims, clock=world.clock)
            connector = (_Asked if provider.capabilities.full_lookup else _Connector)(self, provider)
            sending = Sending(
                line=line,
                connector=connector,
                capabilities=supervised.capabilities,
                hold_s=world.hold_s,
                retry_for_h=world.retry_for_h,
                needs_login=supervised.needs_login,
            )
            outbox = Outbox(
                sending,
                store=world.store,
                writer=self._writer,
                names=world.names,
                plugins=world.plugins,
                reached=self._reached,
            )
            self._woken.enter_context(self.hub.waking(outbox.wake, f"send:{line.number}"))
            reconciler = None
            if isinstance(connector, _Asked):
                reconciler = Reconciler(sending, connector, store=world.store, writer=self._writer, names=world.names)
            supervised.equip(connector, outbox, None, reconciler)
            self.channels.append(supervised)
            self._parts.append(world.loop.create_task(supervised.run(), name=f"{self.name} {line.id}"))

    def _reached(self, point: str) -> None:
        if not self.dead and self.world.dies_at(self, point):
            self.crash(point)


class _Connector:
    """What a plugin would be: it passes the call on to the provider's world."""

    def __init__(self, runner: Runner, provider: Provider) -> None:
        self._runner = runner
        self._provider = provider

    def capabilities(self) -> Capabilities:
        return self._provider.capabilities

    async def send(self, message: OutboundMessage) -> Sent:
        if self._runner.dead:
            raise asyncio.CancelledError
        return await self._provider.call(self._runner, message)


class _Asked(_Connector):
    """The provider can be asked what became of a message."""

    async def lookup(self, message: OutboundMessage) -> Sent | Literal["not_sent", "unknown"]:
        if self._runner.dead:
            raise asyncio.CancelledError
        return await self._provider.asked(self._runner, message)
