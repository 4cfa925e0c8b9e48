"""The way out of one channel: heads of lanes, an attempt committed before its first byte, a result after it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final, TypeVar

import structlog
from attrs import evolve, frozen

from fernamt._runtime.capacity import too_much
from fernamt._runtime.claims import stop_task
from fernamt._runtime.hooks import Plugins
from fernamt._runtime.outcome import outcome_of
from fernamt._runtime.storable import storable_text
from fernamt._store.claims import Claim, ClaimLost
from fernamt._store.correspondence import Prepared, prepare
from fernamt._store.deliveries import (
    Beginning,
    Lane,
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
from fernamt._store.engine import Store, is_outage
from fernamt._store.names import Names
from fernamt._store.reception import Line
from fernamt._store.statements import Statements
from fernamt._store.writer import Operation, Writes
from fernamt.connector import ChoosesId, Connector
from fernamt.errors import ChannelError, NeedsLogin, NotStored
from fernamt.model import DeliveryState, microseconds
from fernamt.outbound import Capabilities, OutboundMessage, Sent

POLL_S: Final = 1.0
"""A command writes from another process: how soon its message is found at the latest."""
SEND_TIMEOUT_S: Final = 120.0
_ASK_AGAIN: Final = timedelta(seconds=1)
"""A policy that is sure until a moment ago is asked again so much later at the earliest."""
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
    prepared: tuple[tuple[OpenDelivery, Prepared | str], ...]
    next_in_s: float | None


class Outbox:
    """Sends what is due on one channel, under a claim: one runner at a time does."""

    def __init__(
        self,
        sending: Sending,
        *,
        store: Store,
        writer: Writes,
        names: Names,
        plugins: Plugins,
        reached: Callable[[str], None] = lambda _point: None,
    ) -> None:
        """*reached* is told ``outbox.refused``, ``outbox.begun``, ``outbox.answered`` and ``outbox.finished``."""
        self._sending = sending
        self._store = store
        self._writer = writer
        self._names = names
        self._plugins = plugins
        self._reached = reached
        self._log = _log.bind(channel=sending.line.id)
        self._changed = asyncio.Event()
        self._beginning = asyncio.Lock()
        self._paused_until = 0.0
        self._in_flight: dict[int, asyncio.Task[None]] = {}
        self._busy: dict[int, Lane] = {}
        self._recording: set[asyncio.Task[None]] = set()
        self._held_back = False
        self._stopping = False

    def wake(self) -> None:
        """Say that there may be something to send."""
        self._changed.set()

    def hold_back(self) -> None:
        """Begin nothing more until the next :meth:`run`; the present one returns when what is under way has ended."""
        self._held_back = True
        self.wake()

    async def run(self, claim: Claim) -> None:
        """Send until held back, cancelled, or the claim is lost.

        What is under way when it is cancelled is cancelled, too, and settled by the next holder; an answer that was there
        before is still recorded.
        """
        self._held_back = False
        try:
            await self._take_over(claim)
            while not self._held_back:
                self._changed.clear()
                next_at = await self._send_what_may_go(claim)
                await self._wait(next_at)
            if self._in_flight:
                await asyncio.wait(self._in_flight.values())
        except ClaimLost:
            self._log.warning("outbox_claim_lost")
        finally:
            for task in tuple(self._in_flight.values()):
                await stop_task(task)

    async def quiet(self, within_s: float) -> None:
        """Begin nothing more, ever, and return when what is under way has ended, or after *within_s* seconds."""
        self._stopping = True
        self.wake()
        try:
            async with asyncio.timeout(within_s):
                async with self._beginning:  # whatever is being begun is under way when this is ours
                    pass
                while under_way := {*self._in_flight.values(), *self._recording}:
                    await asyncio.wait(under_way)
        except TimeoutError:
            self._log.warning("outbox_not_quiet", sending=len(self._in_flight), recording=len(self._recording))

    async def close(self) -> None:
        """Give up what could not be recorded: the store is away, and so are we."""
        for task in tuple(self._recording):
            await stop_task(task)

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
                await self._store.clock.sleep(full.after_s)

    async def _send_what_may_go(self, claim: Claim) -> float | None:
        """Begin what may go now and return when to look again (the loop's time), or ``None``."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._paused_until:
            return self._paused_until
        free = self._sending.capabilities().in_flight - len(self._in_flight)
        if free <= 0 or not self._may_begin():
            return None
        try:
            found = await asyncio.to_thread(self._look, free, frozenset(self._busy.values()))
            async with self._beginning:
                for delivery, prepared in found.prepared:
                    if self._may_begin():
                        await self._start(claim, delivery, prepared)
        except NotStored as full:
            return loop.time() + full.after_s
        return None if found.next_in_s is None else loop.time() + found.next_in_s

    def _may_begin(self) -> bool:
        return not (self._stopping or self._held_back)

    def _look(self, free: int, busy: frozenset[Lane]) -> _Found:
        """Find up to *free* heads of lanes, looking further only where many lanes are held."""
        with self._store.read() as connection:
            do = self._store.statements(connection)
            now_us, hold_us = do.now_us(), int(self._sending.hold_s * 1_000_000)
            window = 4 * free + 60
            while True:
                deliveries = open_deliveries(do, self._sending.line.number, window)
                found = heads(deliveries, now_us=now_us, hold_us=hold_us, busy=busy)
                if len(found.ready) >= free or len(deliveries) < window:
                    break
                window *= 8
            return _Found(
                prepared=tuple((one, self._prepared(do, one)) for one in found.ready[:free]),
                next_in_s=None if found.next_at is None else (found.next_at - now_us) / 1_000_000,
            )

    def _prepared(self, do: Statements, delivery: OpenDelivery) -> Prepared | str:
        """Return the message, or why there is none: one that cannot be made must not stop those behind it."""
        try:
            return prepare(do, self._names, self._sending.line.number, delivery)
        except Exception as why:
            if is_outage(why):
                raise
            self._log.exception("delivery_not_prepared", delivery=delivery.id)
            return f"the message cannot be made: {type(why).__name__}"

    async def _start(self, claim: Claim, delivery: OpenDelivery, prepared: Prepared | str) -> None:
        if isinstance(prepared, str):
            await self._refuse(Refused(claim=claim, delivery=delivery.id, reason=prepared))
            return
        refusal, chosen = self._asked(claim, delivery, prepared)
        if refusal is not None:
            await self._refuse(refusal)
            return
        beginning = Beginning(claim=claim, channel=self._sending.line.number, delivery=delivery, chosen_id=chosen)
        if await self._begun(beginning):
            self._reached("outbox.begun")
            task = asyncio.create_task(self._attempt(claim, delivery, prepared.message), name=f"send-{delivery.id}")
            self._in_flight[delivery.id] = task
            self._busy[delivery.id] = delivery.lane
            task.add_done_callback(lambda _task: self._ended(delivery.id))

    async def _begun(self, beginning: Beginning) -> bool:
        """Record the attempt. A commit whose answer was lost may have been made: left alone, it would hold its lane."""
        while True:
            try:
                return await self._writer.write(begin, beginning)
            except NotStored as full:
                if not self._may_begin():
                    raise  # the next holder settles it
                await self._store.clock.sleep(full.after_s)
                beginning = evolve(beginning, again=True)

    async def _refuse(self, refusal: Refused) -> None:
        await self._writer.write(refuse, refusal)
        self._log.info("delivery_refused", delivery=refusal.delivery, until=refusal.until_us)
        self._reached("outbox.refused")
        self.wake()

    def _asked(self, claim: Claim, delivery: OpenDelivery, prepared: Prepared) -> tuple[Refused | None, str]:
        """Return why the message may not go, if it may not, and the id that the connector chose for it."""
        connector = self._sending.connector
        try:
            refusal = self._refusal(claim, delivery, prepared)
            if refusal is None and isinstance(connector, ChoosesId):
                return None, storable_text(connector.id_for(prepared.message))
        except Exception as why:  # noqa: BLE001 - third-party code: what it cannot count or name must not stop the next
            self._log.exception("connector_failed", delivery=delivery.id, error=type(why).__name__)
            reason = f"the connector failed before it was sent: {type(why).__name__}"
            refusal = Refused(claim=claim, delivery=delivery.id, reason=reason)
        return refusal, ""

    def _ended(self, delivery: int) -> None:
        del self._in_flight[delivery], self._busy[delivery]
        self.wake()

    def _refusal(self, claim: Claim, delivery: OpenDelivery, prepared: Prepared) -> Refused | None:
        if prepared.stopped:
            return Refused(claim=claim, delivery=delivery.id, reason=prepared.stopped)
        if excess := too_much(prepared.message, self._sending.capabilities(), self._sending.connector):
            return Refused(claim=claim, delivery=delivery.id, reason=excess)
        refusal = self._plugins.allow_send(
            message=prepared.message,
            conversation=prepared.conversation,
            customer=prepared.customer,
            now=self._store.clock.now(),
        )
        if refusal is None:
            return None
        until_us = 0
        if refusal.until is not None:
            until_us = microseconds(max(refusal.until, self._store.clock.now() + _ASK_AGAIN))
        return Refused(claim=claim, delivery=delivery.id, reason=storable_text(refusal.reason), until_us=until_us)

    async def _attempt(self, claim: Claim, delivery: OpenDelivery, message: OutboundMessage) -> None:
        answer = await self._answer(message)
        self._reached("outbox.answered")
        result = self._result(claim, delivery, message.attempt, answer)
        # What is known is recorded even if we are cancelled now: it would be lost, and the message uncertain.
        recording = asyncio.create_task(self._record(result), name=f"record-{delivery.id}")
        self._recording.add(recording)
        recording.add_done_callback(self._recording.discard)
        await asyncio.shield(recording)

    async def _answer(self, message: OutboundMessage) -> Sent | Exception:
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                return await self._sending.connector.send(message)
        except asyncio.CancelledError as why:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return RuntimeError(str(why))  # something inside was cancelled, not we
        except (Exception, SystemExit) as why:  # noqa: BLE001 - third-party code: whatever comes out is a result
            return why if isinstance(why, Exception) else RuntimeError(f"it wanted to exit: {why}")

    async def _record(self, result: Result) -> None:
        try:
            state = await self._written(finish, result)
        except Exception as why:  # noqa: BLE001 - the outcome itself can be stored, whatever it is about the rest
            self._log.exception("result_not_storable", delivery=result.delivery, error=type(why).__name__)
            state = await self._written(finish, evolve(result, ids=(), reason=type(why).__name__, code=""))
        self._reached("outbox.finished")
        self._log.info(
            "delivery_attempted",
            delivery=result.delivery,
            attempt=result.n,
            outcome=result.outcome,
            state=state.value,
        )

    def _result(self, claim: Claim, delivery: OpenDelivery, n: int, answer: object) -> Result:
        idempotent = self._sending.capabilities().idempotent
        try:
            outcome = outcome_of(answer, attempt=n, idempotent=idempotent)
        except Exception as why:  # noqa: BLE001 - an error of a plugin's own making may lack what it should carry
            answer = why
            outcome = outcome_of(answer, attempt=n, idempotent=idempotent)
        if not isinstance(answer, Sent | ChannelError | TimeoutError):
            error = answer if isinstance(answer, Exception) else None
            self._log.error("connector_failed", delivery=delivery.id, reason=outcome.reason, exc_info=error)
        if isinstance(answer, NeedsLogin):
            self.hold_back()
            self._sending.needs_login(answer)
        self._paused_until = max(self._paused_until, asyncio.get_running_loop().time() + outcome.pause_s)
        return Result(
            claim=claim,
            channel=self._sending.line.number,
            delivery=delivery.id,
            n=n,
            state=outcome.state,
            outcome=outcome.name,
            reason=outcome.reason,
            code=outcome.code,
            ids=outcome.ids,
            after_us=int(outcome.after_s * 1_000_000),
            give_up_us=int(self._sending.retry_for_h * 3_600_000_000) if outcome.given_up else None,
            given_up=outcome.given_up or DeliveryState.FAILED,
            opted_out=outcome.opted_out,
        )

    async def _wait(self, next_at: float | None) -> None:
        loop = asyncio.get_running_loop()
        wait_s = POLL_S if next_at is None else max(0.0, min(POLL_S, next_at - loop.time()))
        try:
            async with asyncio.timeout(wait_s):
                await self._changed.wait()
        except TimeoutError:
            pass
