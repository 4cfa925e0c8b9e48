"""One channel at work: held by one runner, started again when it breaks, its state told once down and once up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from fernamt._runtime.claims import Claims, stop_task
from fernamt._runtime.outbox import Outbox
from fernamt._runtime.outcome import retry_wait_s
from fernamt._store.channels import ChannelState, note_state
from fernamt._store.claims import Claim
from fernamt._store.reception import Line
from fernamt._store.writer import Writer
from fernamt.connector import Connector, Describes, Receives
from fernamt.errors import NeedsLogin, NotStored
from fernamt.outbound import Capabilities

_STEADY_S: Final = 60.0
"""A connector that ran so long was well: its next failure is counted as the first."""
_RESTART_MAX_S: Final = 60.0
_log = structlog.get_logger()


class Supervised:
    """A channel under supervision: :meth:`equip` it, then :meth:`run` until cancelled."""

    def __init__(self, line: Line, *, writer: Writer, claims: Claims) -> None:
        self.line = line
        self.state = "starting"
        self.reason = ""
        self._writer = writer
        self._claims = claims
        self._connector: Connector | None = None
        self._capabilities = Capabilities()
        self._outbox: Outbox | None = None
        self._login: asyncio.Future[NeedsLogin] | None = None
        self._told: set[asyncio.Future[bool]] = set()
        self._log = _log.bind(channel=line.id)

    def capabilities(self) -> Capabilities:
        """Return what the channel can do, as it said when it last came up."""
        return self._capabilities

    def equip(self, connector: Connector, outbox: Outbox) -> None:
        """Take what receives and sends here. Raises what the connector raises when it is asked what it can do."""
        self._connector = connector
        self._outbox = outbox
        self._describe()

    def _describe(self) -> None:
        if isinstance(self._connector, Describes):
            self._capabilities = self._connector.capabilities()

    def reported(self, state: str, reason: str) -> None:
        """Take the connector's word for how it is."""
        if state == "up" and self.state != "up":
            self._describe()
        self._become(state, reason)

    def needs_login(self, why: NeedsLogin) -> None:
        """Stop the channel until a person acts."""
        if self._login is not None and not self._login.done():
            self._login.set_result(why)

    async def run(self) -> None:
        """Hold the channel and work on it."""
        await self._claims.hold(f"channel:{self.line.id}", self._work)

    async def quiet(self, within_s: float) -> None:
        """Begin nothing more, and return when what is under way has ended, or after *within_s* seconds."""
        if self._outbox is not None:
            await self._outbox.quiet(within_s)

    async def _work(self, claim: Claim) -> None:
        self._login = asyncio.get_running_loop().create_future()
        self._become("starting", "")
        outbox = self._outbox
        assert outbox is not None
        tasks = [
            asyncio.create_task(self._kept_running(self._receive), name=f"receive-{self.line.id}"),
            asyncio.create_task(self._kept_running(lambda: outbox.run(claim)), name=f"send-{self.line.id}"),
        ]
        try:
            why = await self._login
        finally:
            for task in tasks:
                await stop_task(task)
        self._become("needs-login", why.reason)
        await asyncio.Event().wait()  # holding it: another runner would only be refused as well

    async def _receive(self) -> None:
        if isinstance(self._connector, Receives):
            await self._connector.run()
        if self.state == "starting":
            self.reported("up", "")

    async def _kept_running(self, body: Callable[[], Awaitable[None]]) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            began = loop.time()
            try:
                await body()
            except NeedsLogin as why:
                self.needs_login(why)
                return
            except Exception as why:  # noqa: BLE001 - third-party code: one channel's fault stays its own
                failures = 1 if loop.time() - began > _STEADY_S else failures + 1
                pause_s = min(retry_wait_s(failures) / 5, _RESTART_MAX_S)
                self._failed(why, pause_s)
                await asyncio.sleep(pause_s)
            else:
                return

    def _failed(self, why: Exception, pause_s: float) -> None:
        if self.state != "down":
            self._log.warning(
                "channel_down", error=type(why).__name__, reason=str(why), again_in_s=round(pause_s, 1), exc_info=why
            )
        self._become("down", f"{type(why).__name__}: {why}")

    def _become(self, state: str, reason: str) -> None:
        if (state, reason) == (self.state, self.reason):
            return
        if state != self.state and state in {"up", "degraded", "needs-login"}:
            self._log.info("channel_state_changed", state=state, reason=reason)
        self.state, self.reason = state, reason
        told = self._writer.write(note_state, ChannelState(number=self.line.number, state=state, reason=reason))
        self._told.add(told)
        told.add_done_callback(self._noted)

    def _noted(self, told: asyncio.Future[bool]) -> None:
        self._told.discard(told)
        if not told.cancelled() and (why := told.exception()) is not None and not isinstance(why, NotStored):
            self._log.error("channel_state_not_kept", error=type(why).__name__)
