"""The way out of one channel: heads of lanes, an attempt committed before its first byte, a result after it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

import structlog
import tenacity
from attrs import frozen

from fernamt._runtime.claims import stop_task
from fernamt._runtime.hooks import Plugins
from fernamt._store.claims import Claim, ClaimLost
from fernamt._store.correspondence import Prepared, prepare
from fernamt._store.deliveries import (
    Beginning,
    OpenDelivery,
    Refused,
    Result,
    Takeover,
    begin,
    finish,
    heads,
    open_deliveries,
    refuse,
    take_over,
)
from fernamt._store.engine import Store
from fernamt._store.names import Names
from fernamt._store.reception import Line
from fernamt._store.writer import Operation, Writer
from fernamt.connector import ChoosesId, Connector, Measures
from fernamt.errors import (
    ChannelError,
    NeedsLogin,
    NotStored,
    OptedOut,
    Throttled,
    Unreachable,
)
from fernamt.model import DeliveryState, microseconds
from fernamt.outbound import Capabilities, OutboundMessage, Sent

POLL_S: Final = 1.0
"""A command writes from another process: how soon its message is found at the latest."""
SEND_TIMEOUT_S: Final = 120.0
_RETRY_WAIT: Final = tenacity.wait_exponential_jitter(multiplier=5, max=3600, exp_base=2, jitter=5)
_P = TypeVar("_P")
_R = TypeVar("_R")
_log = structlog.get_logger()


@frozen(kw_only=True)
class Sending:
    """What sending on one channel needs."""

    line: Line
    connector: Connector
    capabilities: Callable[[], Capabilities]
    hold_s: float
    retry_for_h: float
    needs_login: Callable[[NeedsLogin], None]


@frozen(kw_only=True)
class _Found:
    prepared: tuple[tuple[OpenDelivery, Prepared], ...]
    next_in_s: float | None


class Outbox:
    """Sends what is due on one channel, under a claim: one runner at a time does."""

    def __init__(
        self,
        sending: Sending,
        *,
        store: Store,
        writer: Writer,
        names: Names,
        plugins: Plugins,
        reached: Callable[[str], None] = lambda _point: None,
    ) -> None:
        """*reached* is told ``outbox.begun``, ``outbox.answered`` and ``outbox.finished``."""
        self._sending = sending
        self._store = store
        self._writer = writer
        self._names = names
        self._plugins = plugins
        self._reached = reached
        self._log = _log.bind(channel=sending.line.id)
        self._changed = asyncio.Event()
        self._paused_until = 0.0
        self._in_flight: dict[int, asyncio.Task[None]] = {}
        self._login_missing = False
        self._stopping = False

    def wake(self) -> None:
        """Say that there may be something to send."""
        self._changed.set()

    async def run(self, claim: Claim) -> None:
        """Send until cancelled or the claim is lost. What is under way then is cancelled and settled by the next holder."""
        self._login_missing = False
        try:
            await self._take_over(claim)
            while not self._login_missing:
                self._changed.clear()
                next_at = await self._send_what_may_go(claim)
                await self._wait(next_at)
        except ClaimLost:
            self._log.warning("outbox_claim_lost")
        finally:
            for task in tuple(self._in_flight.values()):
                await stop_task(task)

    async def quiet(self, within_s: float) -> None:
        """Begin nothing more, and return when what is under way has ended, or after *within_s* seconds."""
        self._stopping = True
        self.wake()
        if self._in_flight:
            await asyncio.wait(self._in_flight.values(), timeout=within_s)

    async def _take_over(self, claim: Claim) -> None:
        takeover = Takeover(
            claim=claim, channel=self._sending.line.number, repeatable=self._sending.capabilities().idempotent
        )
        left = await self._written(take_over, takeover)
        if left:
            self._log.warning("deliveries_taken_over", count=left, repeated=takeover.repeatable)

    async def _written(self, operation: Operation[_P, _R], payload: _P) -> _R:
        """Write what must not be given up while the store is away."""
        while True:
            try:
                return await self._writer.write(operation, payload)
            except NotStored as full:
                await asyncio.sleep(full.after_s)

    async def _send_what_may_go(self, claim: Claim) -> float | None:
        """Begin what may go now and return when to look again (the loop's time), or ``None``."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._paused_until:
            return self._paused_until
        free = self._sending.capabilities().in_flight - len(self._in_flight)
        if free <= 0 or self._stopping:
            return None
        try:
            found = await asyncio.to_thread(self._look, free)
            for delivery, prepared in found.prepared:
                await self._start(claim, delivery, prepared)
        except NotStored as full:
            return loop.time() + full.after_s
        return None if found.next_in_s is None else loop.time() + found.next_in_s

    def _look(self, free: int) -> _Found:
        """Find up to *free* heads of lanes, looking further only where many lanes are held."""
        with self._store.read() as connection:
            do = self._store.statements(connection)
            now_us = do.now_us()
            window = 4 * free + 60
            while True:
                deliveries = open_deliveries(do, self._sending.line.number, window)
                found = heads(deliveries, now_us=now_us, hold_us=int(self._sending.hold_s * 1_000_000))
                ready = [one for one in found.ready if one.id not in self._in_flight]
                if len(ready) >= free or len(deliveries) < window:
                    break
                window *= 8
            return _Found(
                prepared=tuple((one, prepare(do, self._names, self._sending.line.number, one)) for one in ready[:free]),
                next_in_s=None if found.next_at is None else (found.next_at - now_us) / 1_000_000,
            )

    async def _start(self, claim: Claim, delivery: OpenDelivery, prepared: Prepared) -> None:
        refusal = self._refusal(claim, delivery, prepared)
        if refusal is not None:
            await self._writer.write(refuse, refusal)
            self._log.info("delivery_refused", delivery=delivery.id, until=refusal.until_us)
            self.wake()
            return
        message, connector = prepared.message, self._sending.connector
        chosen = connector.id_for(message) if isinstance(connector, ChoosesId) else ""
        beginning = Beginning(claim=claim, channel=self._sending.line.number, delivery=delivery, chosen_id=chosen)
        if await self._writer.write(begin, beginning):
            self._reached("outbox.begun")
            task = asyncio.create_task(self._attempt(claim, delivery, message), name=f"send-{delivery.id}")
            self._in_flight[delivery.id] = task
            task.add_done_callback(lambda _task: self._ended(delivery.id))

    def _ended(self, delivery: int) -> None:
        del self._in_flight[delivery]
        self.wake()

    def _refusal(self, claim: Claim, delivery: OpenDelivery, prepared: Prepared) -> Refused | None:
        if prepared.stopped:
            return Refused(claim=claim, delivery=delivery.id, reason=prepared.stopped)
        too_much = self._too_much(prepared.message)
        if too_much:
            return Refused(claim=claim, delivery=delivery.id, reason=too_much)
        refusal = self._plugins.allow_send(
            message=prepared.message,
            conversation=prepared.conversation,
            customer=prepared.customer,
            now=self._store.clock.now(),
        )
        if refusal is None:
            return None
        until_us = microseconds(refusal.until) if refusal.until is not None else 0
        return Refused(claim=claim, delivery=delivery.id, reason=refusal.reason, until_us=until_us)

    def _too_much(self, message: OutboundMessage) -> str:
        """Say what the channel cannot carry of a message; empty: it takes all of it."""
        can = self._sending.capabilities()
        units = self._units(message, can)
        if units > can.max_units:
            return f"the text is {units} long ({can.unit}), this channel takes {can.max_units}: shorten it"
        files = message.attachments
        if files and not can.files:
            return "this channel takes no attachments: send a link, or use another channel"
        if files and len(files) > max(one.max_count for one in can.files):
            return f"there are {len(files)} attachments, this channel takes {max(one.max_count for one in can.files)}"
        return ""

    def _units(self, message: OutboundMessage, can: Capabilities) -> int:
        connector = self._sending.connector
        if can.unit == "measured" and isinstance(connector, Measures):
            return connector.units(message)
        if can.unit == "byte":
            return len(message.text.encode())
        if can.unit == "utf16":
            return len(message.text.encode("utf-16-le")) // 2
        return len(message.text)

    async def _attempt(self, claim: Claim, delivery: OpenDelivery, message: OutboundMessage) -> None:
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                sent: Sent | Exception = await self._sending.connector.send(message)
        except Exception as why:  # noqa: BLE001 - third-party code: whatever comes out is a result
            sent = why
        self._reached("outbox.answered")
        result = self._result(claim, delivery, message.attempt, sent)
        state = await self._written(finish, result)
        self._reached("outbox.finished")
        self._log.info(
            "delivery_attempted",
            delivery=delivery.id,
            attempt=message.attempt,
            outcome=result.outcome,
            state=state.value,
        )

    def _result(self, claim: Claim, delivery: OpenDelivery, n: int, sent: Sent | Exception) -> Result:
        """Return what follows from the answer: DESIGN's table of errors, in one place."""

        def result(state: DeliveryState, outcome: str, why: ChannelError | None = None, next_at: int = 0) -> Result:
            return Result(
                claim=claim,
                channel=self._sending.line.number,
                delivery=delivery.id,
                n=n,
                state=state,
                outcome=outcome,
                reason=why.reason if why else "",
                code=why.code if why else "",
                ids=why.sent_ids if why else sent.ids if isinstance(sent, Sent) else (),
                next_at=next_at,
                opted_out=isinstance(why, OptedOut),
            )

        if isinstance(sent, Sent):
            return result(DeliveryState.SENT, "sent")
        why = sent if isinstance(sent, ChannelError) else self._unforeseen(sent)
        outcome = type(why).__name__
        certain = not isinstance(why, Unreachable) or why.certain
        if not certain and not self._sending.capabilities().idempotent:
            return result(DeliveryState.UNCERTAIN, outcome, why)
        if isinstance(why, NeedsLogin):
            self._login_missing = True
            self._sending.needs_login(why)
            return result(DeliveryState.QUEUED, outcome, why, microseconds(self._store.clock.now()))
        if isinstance(why, Throttled | Unreachable):
            next_at = self._next_try(delivery, n, why)
            if next_at:
                return result(DeliveryState.QUEUED, outcome, why, next_at)
        return result(DeliveryState.FAILED, outcome, why)

    def _unforeseen(self, why: Exception) -> Unreachable:
        if isinstance(why, TimeoutError):
            return Unreachable(f"no answer within {SEND_TIMEOUT_S:.0f} s", certain=False)
        self._log.exception("connector_failed", error=type(why).__name__, exc_info=why)
        return Unreachable(f"the connector failed: {type(why).__name__}", certain=False)

    def _next_try(self, delivery: OpenDelivery, n: int, why: ChannelError) -> int:
        """Return when to try again, 0: the time for it is over."""
        now_us = microseconds(self._store.clock.now())
        if isinstance(why, Throttled):
            loop = asyncio.get_running_loop()
            self._paused_until = max(self._paused_until, loop.time() + why.after_s)
            delay_s = why.after_s
        else:
            delay_s = retry_wait_s(n)
        next_at = now_us + int(delay_s * 1_000_000)
        over_at = (delivery.first_at or now_us) + int(self._sending.retry_for_h * 3_600_000_000)
        return next_at if next_at < over_at else 0

    async def _wait(self, next_at: float | None) -> None:
        loop = asyncio.get_running_loop()
        wait_s = POLL_S if next_at is None else max(0.0, min(POLL_S, next_at - loop.time()))
        try:
            async with asyncio.timeout(wait_s):
                await self._changed.wait()
        except TimeoutError:
            pass


def retry_wait_s(attempt: int) -> float:
    """Return how long to wait after attempt number *attempt* (1 for the first): the row keeps the count, tenacity the curve."""
    state = tenacity.RetryCallState(tenacity.Retrying(), None, (), {})
    state.attempt_number = attempt
    return _RETRY_WAIT(state)
