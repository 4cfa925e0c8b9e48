"""The composition root: everything that runs hangs off one :class:`App`, and nothing is global."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import structlog
from attrs import evolve

from fernamt._runtime import log
from fernamt._runtime.abilities import idle_abilities
from fernamt._runtime.api.serving import Api
from fernamt._runtime.claims import LEASE_S, Claims, stop_task
from fernamt._runtime.clock import SystemClock
from fernamt._runtime.context import ChannelContext
from fernamt._runtime.duties import erase_again
from fernamt._runtime.equipment import Equipment
from fernamt._runtime.exchange import Exchange
from fernamt._runtime.feed import Feeds
from fernamt._runtime.gathering import gathering
from fernamt._runtime.http import ClientHttp
from fernamt._runtime.hub import Hub
from fernamt._runtime.intake import ChannelIntake, Room
from fernamt._runtime.outbox import Outbox
from fernamt._runtime.plan import Plan, PlannedChannel, plan
from fernamt._runtime.reconciler import Reconciler
from fernamt._runtime.redact import Redactor
from fernamt._runtime.sending import Sending
from fernamt._runtime.sources import Sources
from fernamt._runtime.storable import storable_text
from fernamt._runtime.supervisor import Supervised
from fernamt._runtime.systemd import notify
from fernamt._runtime.teller import plugin_workers, subscriptions_of
from fernamt._runtime.upkeep import Upkeep, spare_the_collector
from fernamt._runtime.web import Hook, Web, writable
from fernamt._runtime.work import Worker
from fernamt._store.blobs import BlobStore, open_blobs
from fernamt._store.channels import ChannelState, Entrance, enter, note_state
from fernamt._store.claims import void
from fernamt._store.engine import Store
from fernamt._store.hints import Hints
from fernamt._store.lock import FileLock
from fernamt._store.names import Names
from fernamt._store.reception import Line, Reception
from fernamt._store.subscriptions import subscribe
from fernamt._store.tasks import PIECES
from fernamt._store.writer import Writer
from fernamt.connector import Answers, Clock, Connector, MarksRead, Reconciles, Serves, Verifies, Webhooks
from fernamt.errors import ConfigError, FernamtError
from fernamt.model import ChannelId
from fernamt.outbound import Capabilities
from fernamt.settings import Settings, secrets_in

DRAIN_S: Final = 20.0
"""What is under way when the daemon is told to stop has so long to end."""
_log = structlog.get_logger()


class App:
    """One daemon."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        reached: Callable[[str], None] = lambda _point: None,
        lease_s: float = LEASE_S,
    ) -> None:
        """*reached* is told the points that a message passes; a drill stops the process there."""
        self._settings = settings
        self._clock = clock
        self._reached = reached
        self._store = Store.open(settings.store, clock)
        self._hints = None if self._store.is_sqlite else Hints(self._store, listen_url=settings.listen_url)
        self._hub = Hub(self._hints.send if self._hints else None)
        self._writer = Writer(self._store, committing=reached, touched=self._hub.told)
        self._blobs: BlobStore = open_blobs(self._store)
        self._claims = Claims(self._writer, lease_s=lease_s, hub=self._hub)
        self._feeds = Feeds(self._store, self._hub)
        self._web = Web(settings.public_url, clock, self._why_not_ready)
        self._room = Room()
        self._exchange: Exchange | None = None
        self._channels: list[Supervised] = []
        self._workers: list[Worker] = []
        self._connectors: dict[ChannelId, Connector] = {}
        self._intakes: dict[str, ChannelIntake] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._woken = contextlib.ExitStack()
        self._lock: FileLock | None = None
        self._equipment: Equipment | None = None
        self._plan: Plan | None = None
        self._redactor = Redactor()
        self._not_ready = "starting"
        self.port = 0

    @classmethod
    def from_settings(
        cls, settings: Settings, *, reached: Callable[[str], None] = lambda _point: None, lease_s: float = LEASE_S
    ) -> App:
        """Return the daemon that *settings* describe, not started. Raises ``ConfigError``."""
        return cls(settings, clock=SystemClock(), reached=reached, lease_s=lease_s)

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT, then drain; return the exit code.

        Raises:
            ConfigError: The configuration is wrong; nothing was started. Of several mistakes: ``ConfigErrors``.
            FernamtError: The store or the address could not be had.
        """
        told_to_stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told_to_stop.set)
        try:
            await self.start()
            spare_the_collector()
            await told_to_stop.wait()
        finally:
            await self.stop()
        return 0

    async def start(self) -> None:
        """Start in the order of DESIGN 7. On an error call :meth:`stop`."""
        settings = self._settings
        redactor = self._redactor = log.configure(settings.log)
        planned = self._plan = plan(settings)
        redactor.known(secrets_in([one.channel for one in planned.channels] + [*planned.plugin_settings.values()]))
        redactor.known(secrets_in(planned.api))
        redactor.known([str(self._store.url.password or ""), self._hints.password if self._hints else ""])
        planned, equipment = await self._prepare(planned)
        for failure in planned.loaded.faults:
            _log.error("plugin_failed", plugin=failure.name, cause=str(failure), exc_info=failure.error)
        self._web.without = "".join(f"\nwithout {one.name}: fernamt check tells why" for one in planned.loaded.unread)
        await asyncio.to_thread(erase_again, self._store, planned.loaded)
        self._writer.start()
        # One for all channels: what one transaction stores is looked up, and its conversations locked, in one go.
        reception = Reception(Names(self._store.keys()))
        self._exchange = Exchange(
            planned.loaded.offers,
            store=self._store,
            writer=self._writer,
            blobs=self._blobs,
            look_up=equipment.services.look_up,
            clock=self._clock,
        )
        hooks: dict[str, Hook] = {}
        for one in planned.channels:
            await self._add(one, reception, equipment, hooks)
        marking = [name for name, connector in self._connectors.items() if isinstance(connector, MarksRead)]
        await self._writer.write(subscribe, subscriptions_of(planned.loaded, marking, menus=self._exchange.leads))
        self._web.serve(hooks, down={one.section.id for one in planned.channels} - self._connectors.keys())
        self._web.served.also.append(Api(settings, planned.api, store=self._store, writer=self._writer).mount)
        host, port = settings.address
        try:
            self.port = await self._web.start(host, port)
        except OSError as why:
            said = os.strerror(why.errno) if why.errno else why.strerror
            fix = "Is another daemon running? Otherwise choose another port"
            raise ConfigError("listen", f"{settings.listen} cannot be listened on: {said}", fix=fix) from why
        if self._hints:
            loop = asyncio.get_running_loop()
            self._hints.listen(lambda topics: loop.call_soon_threadsafe(self._hub.wake, topics))
        self._begin("renew-claims", self._claims.renewing())
        upkeep = Upkeep(self._blobs, self._store, self._writer, self._clock, notices_kept=settings.notices_kept)
        self._begin("upkeep", self._claims.hold("sweep", lambda _claim: upkeep.run()))
        for channel in self._channels:
            self._begin(f"channel-{channel.line.id}", channel.run())
        work: dict[str, Any] = {"writer": self._writer, "redact": redactor.text, "reached": self._reached}
        self._workers = plugin_workers(planned.loaded, equipment.context, store=self._store, marking=marking, **work)
        handlers = gathering(
            reception, lambda channel: self._intakes[channel].line if channel in self._intakes else None
        )
        self._workers.append(Worker(PIECES, handlers, store=self._store, **work))
        self._workers += self._exchange.workers(**work)
        for worker in self._workers:
            self._woken.enter_context(self._hub.waking(worker.wake, worker.owner))
            self._begin(worker.owner, self._claims.hold(worker.owner, worker.run))
        planned.loaded.plugins.started(equipment.context)
        self._not_ready = ""
        notify("READY=1")
        _log.info("daemon_ready", listen=f"{host}:{self.port}", channels=len(self._channels))

    async def stop(self) -> None:
        """Take nothing new, end what is under way, give everything back. May be called after a failed start."""
        self._not_ready = "stopping"
        notify("STOPPING=1")
        if self._plan is not None:
            self._plan.loaded.plugins.stopping()
        await self._web.stop_listening()
        await self._web.served.close()
        at_work: list[Supervised | Worker] = [*self._channels, *self._workers]
        await asyncio.gather(*(one.quiet(DRAIN_S) for one in at_work))
        if self._exchange is not None:
            await self._exchange.stop()
        for task in reversed(self._tasks):
            await stop_task(task)
        await self._web.stop()
        await self._writer.stop()
        await self._hub.flushed()
        if self._hints:
            await asyncio.to_thread(self._hints.stop)
        self._woken.close()
        if self._equipment is not None:
            await self._equipment.close()
        self._store.close()
        if self._lock is not None:
            self._lock.release()
        if self._plan is not None:
            _log.info("daemon_stopped")

    async def _prepare(self, planned: Plan) -> tuple[Plan, Equipment]:
        """Open the store, and return what is left of the plan when every plugin's tables are migrated, and its equipment."""
        await asyncio.to_thread(self._open_store)
        planned = self._plan = await asyncio.to_thread(planned.migrated, self._store)
        http = ClientHttp(allow_private=frozenset(self._settings.http.allow_private))
        self._equipment = Equipment(planned, store=self._store, http=http, clock=self._clock, blobs=self._blobs)
        return planned, self._equipment

    def _open_store(self) -> None:
        if self._store.is_sqlite:
            self._lock = FileLock(Path(str(self._store.url.database)))
        self._store.migrate()
        if self._store.is_sqlite:
            # The lock says that nobody else is there: whoever held a claim is dead.
            with contextlib.closing(self._store.session()) as session, session.transaction() as tx:
                void(tx)

    def _begin(self, name: str, body: Any) -> None:
        task = asyncio.create_task(body, name=name)
        task.add_done_callback(_ended)
        self._tasks.append(task)

    async def _why_not_ready(self) -> str:
        return self._not_ready or await writable(self._store.probe)

    async def _add(
        self, planned: PlannedChannel, reception: Reception, equipment: Equipment, hooks: dict[str, Hook]
    ) -> None:
        section = planned.section
        number = await self._writer.write(enter, Entrance(id=section.id, kind=section.kind, label=section.name))
        line = Line(number=number, id=section.id, reopen_days=section.reopen_days)
        turns = self._exchange.turns(line, section) if self._exchange else None
        intake = ChannelIntake(
            line,
            writer=self._writer,
            reception=reception,
            blobs=self._blobs,
            room=self._room,
            clock=self._clock,
            turns=turns,
        )
        self._intakes[section.id] = intake
        try:
            connector, supervised = self._connected(planned, line, intake, reception.names, equipment)
            webhooks = tuple(connector.webhooks()) if isinstance(connector, Webhooks) else ()
            if isinstance(connector, Serves):
                paths = [webhook.path for webhook in webhooks]
                self._web.served.add(section.id, planned.plugin, connector.routes(), paths)
        except Exception as why:  # noqa: BLE001 - third-party code: one channel's fault stays its own
            _log.error("channel_not_built", channel=section.id, error=str(why), exc_info=why)
            state = ChannelState(number=number, state="down", reason=self._redactor.text(storable_text(str(why))))
            await self._writer.write(note_state, state)
            return
        self._channels.append(supervised)
        self._connectors[section.id] = connector
        if turns is not None and self._exchange is not None:
            self._exchange.equip(turns, section, connector, intake.can)
        answers = connector if isinstance(connector, Answers) else None
        for webhook in webhooks:
            hook = Hook(channel=section.id, plugin=planned.plugin, webhook=webhook, intake=intake, answers=answers)
            hooks[f"{section.id}/{webhook.path}"] = hook

    def _connected(
        self, planned: PlannedChannel, line: Line, intake: ChannelIntake, names: Names, equipment: Equipment
    ) -> tuple[Connector, Supervised]:
        section = planned.section
        if planned.factory is None or planned.channel is None:
            raise FernamtError(str(planned.failure))
        supervised = Supervised(
            line, writer=self._writer, claims=self._claims, clock=self._clock, redact=self._redactor.text
        )
        intake.can = supervised.capabilities
        context = ChannelContext(
            **equipment.of(planned.plugin, section.id),
            intake=intake,
            line=line,
            store=self._store,
            names=names,
            feeds=self._feeds,
            state_reported=supervised.reported,
        )
        connector = planned.factory(planned.channel, context)
        if idle := idle_abilities(connector):
            _log.warning("abilities_not_driven", channel=section.id, abilities=idle)
        sending = Sending(
            line=line,
            connector=connector,
            capabilities=supervised.capabilities,
            hold_s=section.hold_s,
            retry_for_h=section.retry_for_h,
            needs_login=supervised.needs_login,
            quiet=self._settings.quiet_hours,
        )
        outbox = Outbox(
            sending,
            store=self._store,
            writer=self._writer,
            names=names,
            plugins=equipment.plan.loaded.plugins,
            holds=self._claims.holds,
            reached=self._reached,
        )
        worker = Sources(
            line, connector, intake, store=self._store, blobs=self._blobs, media_max_mb=section.media_max_mb
        ).worker(self._writer, self._redactor.text, supervised.needs_login, self._reached)
        if worker is not None:
            self._woken.enter_context(self._hub.waking(worker.wake, worker.owner))
        reconciler = None
        if isinstance(connector, Reconciles):
            reconciler = Reconciler(sending, connector, store=self._store, writer=self._writer, names=names)
        supervised.equip(connector, outbox, worker, reconciler)
        self._woken.enter_context(self._hub.waking(outbox.wake, f"send:{line.number}"))
        return connector, supervised

    async def verify(self) -> AsyncIterator[tuple[ChannelId, str, str]]:
        """Build every channel and let those that can prove that their settings work; see :func:`verify_channels`."""
        planned = await self._build()
        for one in planned.channels:
            connector = self._connectors.get(one.section.id)
            if connector is None:
                yield one.section.id, "failed", str(one.failure or "it could not be built: the log says why")
                continue
            abilities = ", ".join(idle_abilities(connector))
            idle = f"; not driven by this version: {abilities}" if abilities else ""
            if isinstance(connector, Verifies):
                outcome, text = await _verified(connector)
                yield one.section.id, outcome, f"{text}{idle}"
            else:
                yield one.section.id, "skipped", f"this kind of channel cannot check itself{idle}"

    async def _build(self) -> Plan:
        """Build every channel, and start none."""
        planned = self._plan = plan(self._settings)
        planned, equipment = await self._prepare(planned)
        self._writer.start()
        reception = Reception(Names(self._store.keys()))
        for one in planned.channels:
            await self._add(one, reception, equipment, {})
        return planned

    async def built(self) -> tuple[Connector, Capabilities]:
        """Build the only channel that the settings have, start nothing, and return what it is and can do.

        Raises:
            FernamtError: It cannot be built.
        """
        planned = await self._build()
        if not self._channels:
            raise FernamtError(str(planned.channels[0].failure or "it cannot be built: fernamt check --online"))
        supervised = self._channels[0]
        return self._connectors[ChannelId(supervised.line.id)], supervised.capabilities()


def _ended(task: asyncio.Task[None]) -> None:
    """Say it loudly if a part of the daemon ended by itself: nobody else would."""
    if not task.cancelled() and (why := task.exception()) is not None:
        _log.critical("daemon_part_failed", part=task.get_name(), exc_info=why)


async def _verified(connector: Verifies) -> tuple[str, str]:
    try:
        async with asyncio.timeout(60.0):
            return "ok", await connector.verify()
    except TimeoutError:
        return "failed", "no answer within 60 s"
    except Exception as why:  # noqa: BLE001 - third-party code: its fault is the result
        return "failed", f"{type(why).__name__}: {why}"


async def verify_channels(settings: Settings) -> AsyncIterator[tuple[ChannelId, str, str]]:
    """Yield (channel, ``ok`` | ``skipped`` | ``failed``, text) for each, after a real round trip. No customer gets anything, and nothing is taken.

    It works on a store of its own, so it may run beside the daemon and before the first start.
    """
    with tempfile.TemporaryDirectory() as folder:
        app = App.from_settings(evolve(settings, store=f"sqlite:///{folder}/check.db"))
        try:
            async for result in app.verify():
                yield result
        finally:
            await app.stop()
