"""One channel at work: held by one runner, started again when it breaks, its state told once down and once up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import structlog

from fernamt._runtime.claims import Claims, stop_task, uncancelled
from fernamt._runtime.outbox import Outbox
from fernamt._runtime.outcome import retry_wait_s
from fernamt._runtime.reconciler import Reconciler
from fernamt._runtime.recorder import written
from fernamt._runtime.sending import SEND_TIMEOUT_S
from fernamt._runtime.storable import storable_text
from fernamt._runtime.work import Worker
from fernamt._store.channels import ChannelState, note_state
from fernamt._store.claims import Claim
from fernamt._store.reception import Line
from fernamt._store.writer import Writes
from fernamt.connector import Clock, Connector, Describes, Receives
from fernamt.errors import ChannelError, ConfigError, NeedsLogin
from fernamt.outbound import Capabilities

_STEADY_S: Final = 60.0
"""A connector that ran so long was well: its next failure is counted as the first."""
_RESTART_MAX_S: Final = 60.0
_log = structlog.get_logger()


class Supervised:
    """A channel under supervision: :meth:`equip` it, then :meth:`run` until cancelled."""

    def __init__(
        self,
        line: Line,
        *,
        writer: Writes,
        claims: Claims,
        clock: Clock,
        redact: Callable[[str], str] = storable_text,
    ) -> None:
        """*redact* cleans what a connector's errors say before it is kept where anybody may read it."""
        self.line = line
        self.state = "starting"
        self.reason = ""
        self._writer = writer
        self._claims = claims
        self._clock = clock
        self._redact = redact
        self._connector: Connector | None = None
        self._capabilities = Capabilities()
        self._outbox: Outbox | None = None
        self._worker: Worker | None = None
        self._reconciler: Reconciler | None = None
        self._over: asyncio.Future[NeedsLogin | ConfigError] | None = None
        self._said = ("starting", "")
        self._telling: asyncio.Task[None] | None = None
        self._log = _log.bind(channel=line.id)

    def capabilities(self) -> Capabilities:
        """Return what the channel can do, as it said when it last came up."""
        return self._capabilities

    def equip(
        self,
        connector: Connector,
        outbox: Outbox,
        worker: Worker | None = None,
        reconciler: Reconciler | None = None,
    ) -> None:
        """Take what receives, sends, works and asks here, *worker* under the owner ``channel:<id>``.

        Raises what the connector raises when it is asked what it can do.
        """
        self._connector = connector
        self._outbox = outbox
        self._worker = worker
        self._reconciler = reconciler
        self._describe()

    def _describe(self) -> None:
        if isinstance(self._connector, Describes):
            self._capabilities = self._connector.capabilities()

    def reported(self, state: str, reason: str) -> None:
        """Take the connector's word for how it is. Once the channel is over it has none any more."""
        if state not in {"up", "degraded"}:
            raise ValueError(f"a connector reports 'up' or 'degraded', not {state!r}: the other states are found out")
        if self._over is not None and self._over.done():
            return
        if state == "up" and self.state != "up":
            self._describe()
        self._said = (state, reason)
        self._become(state, reason)

    def needs_login(self, why: NeedsLogin | ConfigError) -> None:
        """Stop the channel until a person acts."""
        if self._over is not None and not self._over.done():
            self._over.set_result(why)

    async def run(self) -> None:
        """Hold the channel and work on it."""
        try:
            await self._claims.hold(f"channel:{self.line.id}", self._work)
        finally:
            if self._outbox is not None:
                await self._outbox.close()
            if self._telling is not None:
                await stop_task(self._telling)

    async def quiet(self, within_s: float) -> None:
        """Begin nothing more, and return when what is under way has ended, or after *within_s* seconds."""
        await asyncio.gather(*(one.quiet(within_s) for one in (self._outbox, self._worker) if one is not None))

    async def _work(self, claim: Claim) -> None:
        self._over = asyncio.get_running_loop().create_future()
        self._said = ("starting", "")
        self._become(*self._said)
        outbox = self._outbox
        assert outbox is not None
        receiving = asyncio.create_task(self._receiving(), name=f"receive-{self.line.id}")
        sending = asyncio.create_task(self._sending(outbox, claim), name=f"send-{self.line.id}")
        bodies = [self._kept_running(partial(one.run, claim)) for one in (self._worker, self._reconciler) if one]
        working = [asyncio.create_task(body, name=f"work-{self.line.id}") for body in bodies]
        try:
            why = await self._over
            if isinstance(why, NeedsLogin):
                self._become("needs-login", why.reason)
            else:
                self._failed(why)
            # What is under way may end, and may need the line that run() holds: cancelled, it would be uncertain.
            outbox.hold_back()
            await asyncio.wait({sending}, timeout=SEND_TIMEOUT_S)
        finally:
            for task in (receiving, sending, *working):
                await stop_task(task)
        await asyncio.Event().wait()  # holding it: another runner would only be refused as well

    async def _receiving(self) -> None:
        connector = self._connector
        if isinstance(connector, Receives):
            await self._kept_running(lambda: self._received_from(connector))
        if self._said[0] == "starting":
            self.reported("up", "")

    async def _received_from(self, connector: Receives) -> None:
        steady = asyncio.create_task(self._steady())
        try:
            await connector.run()
        finally:
            await stop_task(steady)

    async def _steady(self) -> None:
        """Call a connector up that runs for a while and says nothing of itself."""
        await self._clock.sleep(_STEADY_S)
        if self.state in {"starting", "down"}:
            self.reported("up", "")

    async def _sending(self, outbox: Outbox, claim: Claim) -> None:
        async def sent() -> None:
            if self.state == "down" and self._said[0] != "starting":
                self._become(*self._said)
            await outbox.run(claim)

        await self._kept_running(sent)

    async def _kept_running(self, body: Callable[[], Awaitable[None]]) -> None:
        failures = 0
        while True:
            began = self._clock.now()
            try:
                await uncancelled(body)
            except (NeedsLogin, ConfigError) as why:
                self.needs_login(why)
                return
            except Exception as why:  # noqa: BLE001 - third-party code: one channel's fault stays its own
                steady = (self._clock.now() - began).total_seconds() > _STEADY_S
                failures = 1 if steady else failures + 1
                pause_s = min(retry_wait_s(failures) / 5, _RESTART_MAX_S)
                self._failed(why, again_in_s=round(pause_s, 1))
                await self._clock.sleep(pause_s)
            else:
                return

    def _failed(self, why: BaseException, **more: float) -> None:
        reason = why.reason if isinstance(why, ChannelError) else str(why)
        if self.state != "down":
            self._log.warning("channel_down", error=type(why).__name__, reason=reason, exc_info=why, **more)
        self._become("down", f"{type(why).__name__}: {reason}")

    def _become(self, state: str, reason: str) -> None:
        reason = self._redact(storable_text(reason))
        if (state, reason) == (self.state, self.reason):
            return
        if state != self.state and state in {"up", "degraded", "needs-login"}:
            self._log.info("channel_state_changed", state=state, reason=reason)
        self.state, self.reason = state, reason
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell(), name=f"tell-{self.line.id}")

    async def _tell(self) -> None:
        """Write how the channel is until the store knows."""
        told = None
        while told != (now := (self.state, self.reason)):
            one = ChannelState(number=self.line.number, state=now[0], reason=now[1])
            await written(self._writer, self._clock, note_state, one)
            told = now
