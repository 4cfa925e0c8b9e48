"""The way out of one channel: heads of lanes, an attempt committed before its first byte, a result after it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Final

import structlog
from attrs import evolve

from fernamt._runtime.answer import answer_of
from fernamt._runtime.claims import stop_task
from fernamt._runtime.fitting import Part, next_part
from fernamt._runtime.hooks import Plugins
from fernamt._runtime.outcome import outcome_of
from fernamt._runtime.queue import POLL_S, Queue, Taken
from fernamt._runtime.rate import Rate
from fernamt._runtime.recorder import Recorder
from fernamt._runtime.sending import SEND_TIMEOUT_S, Sending
from fernamt._runtime.storable import storable_text
from fernamt._store.claims import Claim, ClaimLost
from fernamt._store.correspondence import Prepared, prepare
from fernamt._store.deliveries import (
    Beginning,
    OpenDelivery,
    Result,
    Takeover,
    begin,
    take_over,
)
from fernamt._store.engine import Store
from fernamt._store.names import Names
from fernamt._store.refusals import Refused, refuse
from fernamt._store.writer import Writes
from fernamt.connector import ChoosesId, Measures
from fernamt.errors import ChannelError, NeedsLogin, NotStored
from fernamt.model import DeliveryState, microseconds
from fernamt.outbound import OutboundMessage, Sent

_ASK_AGAIN: Final = timedelta(seconds=1)
"""A policy that is sure until a moment ago is asked again so much later at the earliest."""
_EXPECTED: Final = (Sent, ChannelError, TimeoutError)
_GATHER_S: Final = 0.005
_TOGETHER: Final = 256
"""So many are begun in one go at most."""
_OVER: Final = frozenset(DeliveryState) - {DeliveryState.QUEUED, DeliveryState.SENDING}
"""Whatever is in one of these holds no lane."""
_log = structlog.get_logger()


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
        holds: Callable[[Claim], bool] = lambda _claim: True,
        reached: Callable[[str], None] = lambda _point: None,
    ) -> None:
        """*holds* is asked before the first byte whether a claim is still sure to be ours.

        *reached* is told ``outbox.refused``, ``outbox.begun``, ``outbox.answered`` and ``outbox.finished``.
        """
        self._sending = sending
        self._store = store
        self._writer = writer
        self._names = names
        self._plugins = plugins
        self._holds = holds
        self._reached = reached
        self._log = _log.bind(channel=sending.line.id)
        self._changed = asyncio.Event()
        self._beginning = asyncio.Lock()
        self._paused_until = 0.0
        self._rate = Rate()
        self._chooses = sending.connector if isinstance(sending.connector, ChoosesId) else None
        self._queue = self._unread()
        self._gathering = False
        self._under_way: dict[int, Taken] = {}
        self._in_flight: set[asyncio.Task[None]] = set()
        self._recorder = Recorder(writer, store.clock, self._finished)
        self._held_back = False
        self._stopping = False

    def wake(self) -> None:
        """Say that there may be something to send."""
        self._queue.wake()
        self._changed.set()

    def hold_back(self) -> None:
        """Begin nothing more until the next :meth:`run`; the present one returns when what is under way has ended."""
        self._held_back = True
        self._changed.set()

    async def run(self, claim: Claim) -> None:
        """Send until held back, cancelled, or the claim is lost.

        What is under way when it is cancelled is cancelled, too, and settled by the next holder; an answer that was there
        before is still recorded.
        """
        self._held_back = False
        self._queue, self._under_way = self._unread(), {}
        # What the last holder sent just now is not known: nothing is made up for.
        self._rate = Rate(asyncio.get_running_loop().time())
        try:
            await self._take_over(claim)
            while not self._held_back:
                self._changed.clear()
                await self._wait(await self._send_what_may_go(claim))
            while under_way := {*self._in_flight, *self._recorder.pending}:
                await asyncio.wait(under_way)
        except ClaimLost:
            self._log.warning("outbox_claim_lost")
        finally:
            for task in tuple(self._in_flight):
                await stop_task(task)

    async def quiet(self, within_s: float) -> None:
        """Begin nothing more, ever, and return when what is under way has ended, or after *within_s* seconds."""
        self._stopping = True
        self._changed.set()
        try:
            async with asyncio.timeout(within_s):
                async with self._beginning:  # whatever is being begun is under way when this is ours
                    pass
                while under_way := {*self._in_flight, *self._recorder.pending}:
                    await asyncio.wait(under_way)
        except TimeoutError:
            self._log.warning("outbox_not_quiet", sending=len(self._in_flight), recording=len(self._recorder.pending))

    async def close(self) -> None:
        """Give up what could not be recorded: the store is away, and so are we."""
        await self._recorder.close()

    def _unread(self) -> Queue:
        return Queue(self._store, self._sending.line.number, hold_s=self._sending.hold_s)

    async def _take_over(self, claim: Claim) -> None:
        channel, repeatable = self._sending.line.number, self._sending.capabilities().idempotent
        takeover = Takeover(claim=claim, channel=channel, repeatable=repeatable)
        left = await self._recorder.written(take_over, takeover)
        if left:
            self._log.warning("deliveries_taken_over", count=left, repeated=takeover.repeatable)

    # ---- what may go
    async def _send_what_may_go(self, claim: Claim) -> float:
        """Begin what may go now and return when to look again (the loop's time)."""
        loop = asyncio.get_running_loop()
        while self._may_begin():
            now = loop.time()
            if (next_at := max(self._paused_until, self._rate.free_at)) > now:
                return next_at
            can = self._sending.capabilities()
            free = min(can.in_flight - len(self._under_way), self._rate.room(now, can.units_per_s), _TOGETHER)
            if free <= 0:
                break
            try:
                taken = await self._queue.take(free)
                if not taken:
                    return self._queue.due_at()
                await self._begin(claim, taken)
            except NotStored as full:
                return loop.time() + full.after_s
        return loop.time() + POLL_S

    def _may_begin(self) -> bool:
        return not (self._stopping or self._held_back)

    # ---- beginning
    async def _begin(self, claim: Claim, taken: Sequence[Taken]) -> None:
        """Prepare, ask, record the attempts together, and let those go that were recorded."""
        left = {one.delivery.id: one for one in taken}
        try:
            prepared = await asyncio.to_thread(self._prepare, [one.delivery for one in taken])
            async with self._beginning:
                refusals = await self._begin_prepared(claim, left, prepared)
                for refusal, answer in zip(refusals, await self._recorder.all_written(refuse, refusals), strict=True):
                    if answer is not None:
                        raise answer
                    self._refused(refusal, left.pop(refusal.delivery))
        finally:
            for one in reversed(left.values()):
                one.put_back()

    def _prepare(self, deliveries: Sequence[OpenDelivery]) -> dict[int, Prepared | Exception]:
        with self._store.read() as connection:
            return prepare(self._store.statements(connection), self._names, self._sending.line.number, deliveries)

    async def _begin_prepared(
        self, claim: Claim, left: dict[int, Taken], prepared: dict[int, Prepared | Exception]
    ) -> list[Refused]:
        """Begin what may go, take it out of *left*, and return what may not."""
        beginnings, refusals = self._sorted(claim, left, prepared)
        begun = await self._begun([beginning for beginning, _ in beginnings])
        lost: Exception | None = None
        for (beginning, message), outcome in zip(beginnings, begun, strict=True):
            if outcome is True:
                self._start(left.pop(beginning.delivery.id), beginning, message)
            elif outcome is False:
                left.pop(beginning.delivery.id).set_aside()
            elif isinstance(outcome, NotStored | ClaimLost):
                lost = outcome
            else:
                self._log.error("attempt_not_storable", delivery=beginning.delivery.id, exc_info=outcome)
                reason = f"the attempt cannot be recorded: {type(outcome).__name__}"
                refusals.append(Refused(claim=claim, delivery=beginning.delivery.id, reason=reason))
        if lost is not None:
            raise lost
        return refusals

    async def _begun(self, beginnings: Sequence[Beginning]) -> list[bool | BaseException]:
        """Record attempts. A commit whose answer was lost may have been made: left alone, it would hold its lane."""
        outcomes = await self._recorder.all_written(begin, beginnings)
        while self._may_begin() and (
            unheard := {n: why for n, why in enumerate(outcomes) if isinstance(why, NotStored)}
        ):
            await self._store.clock.sleep(max(why.after_s for why in unheard.values()))
            again = await self._recorder.all_written(
                begin, [evolve(beginnings[number], again=True) for number in unheard]
            )
            for number, outcome in zip(unheard, again, strict=True):
                outcomes[number] = outcome
        return outcomes

    def _sorted(
        self, claim: Claim, left: Mapping[int, Taken], prepared: Mapping[int, Prepared | Exception]
    ) -> tuple[list[tuple[Beginning, OutboundMessage]], list[Refused]]:
        """Return what may go now, as far as the rate lets it, and what may not go."""
        beginnings: list[tuple[Beginning, OutboundMessage]] = []
        refusals: list[Refused] = []
        per_s, now = self._sending.capabilities().units_per_s, asyncio.get_running_loop().time()
        for number, one in left.items():
            if not self._may_begin() or self._rate.free_at > now:
                break
            asked = self._asked(claim, one.delivery, prepared[number])
            if isinstance(asked, Refused):
                refusals.append(asked)
            else:
                beginning, message, units = asked
                beginnings.append((beginning, message))
                self._rate.spend(units, per_s=per_s, now_s=now)
        return beginnings, refusals

    def _refused(self, refusal: Refused, taken: Taken) -> None:
        self._log.info("delivery_refused", delivery=refusal.delivery, until=refusal.until_us)
        if refusal.until_us:
            taken.set_aside()
        else:
            taken.release()
        self._reached("outbox.refused")

    def _start(self, taken: Taken, beginning: Beginning, message: OutboundMessage) -> None:
        self._reached("outbox.begun")
        delivery = taken.delivery
        self._under_way[delivery.id] = taken
        task = asyncio.create_task(self._attempt(beginning, message), name=f"send-{delivery.id}")
        self._in_flight.add(task)
        task.add_done_callback(partial(self._attempted, delivery.id))

    def _asked(
        self, claim: Claim, delivery: OpenDelivery, prepared: Prepared | Exception
    ) -> Refused | tuple[Beginning, OutboundMessage, int]:
        """Return why the message may not go, or how its attempt begins and how many units of the provider it takes."""
        if isinstance(prepared, Exception):
            self._log.error("delivery_not_prepared", delivery=delivery.id, exc_info=prepared)
            reason = f"the message cannot be made: {type(prepared).__name__}"
            return Refused(claim=claim, delivery=delivery.id, reason=reason)
        connector = self._sending.connector
        try:
            part = self._part(claim, delivery, prepared)
            if isinstance(part, Refused):
                return part
            message = part.message
            counted = self._sending.capabilities().unit == "measured"
            units = connector.units(message) if counted and isinstance(connector, Measures) else 1
            chosen = "" if self._chooses is None else storable_text(self._chooses.id_for(message))
        except Exception as why:  # noqa: BLE001 - third-party code: what it cannot count or name must not stop the next
            self._log.exception("connector_failed", delivery=delivery.id, error=type(why).__name__)
            reason = f"the connector failed before it was sent: {type(why).__name__}"
            return Refused(claim=claim, delivery=delivery.id, reason=reason)
        channel = self._sending.line.number
        beginning = Beginning(claim=claim, channel=channel, delivery=delivery, chosen_id=chosen, parts_total=part.total)
        return beginning, message, units

    def _part(self, claim: Claim, delivery: OpenDelivery, prepared: Prepared) -> Part | Refused:
        """Return what is to be sent now, or why nothing is. A policy is asked about the whole, before its first part."""
        if prepared.stopped:
            return Refused(claim=claim, delivery=delivery.id, reason=prepared.stopped)
        now = self._store.clock.now()
        can, connector = self._sending.capabilities(), self._sending.connector
        part = next_part(prepared, delivery.parts, can, connector, now)
        if isinstance(part, str):
            return Refused(claim=claim, delivery=delivery.id, reason=part)
        refusal = delivery.parts == 0 and self._plugins.allow_send(
            message=prepared.message, conversation=prepared.conversation, customer=prepared.customer, now=now
        )
        if not refusal:
            return part
        until_us = 0
        if refusal.until is not None:
            until_us = microseconds(max(refusal.until, now + _ASK_AGAIN))
        return Refused(claim=claim, delivery=delivery.id, reason=storable_text(refusal.reason), until_us=until_us)

    # ---- sending
    async def _attempt(self, beginning: Beginning, message: OutboundMessage) -> None:
        if not self._holds(beginning.claim):
            # We were halted after the attempt was committed: whoever holds the channel now has settled it, or will.
            raise ClaimLost(f"{beginning.claim.key} may be held by somebody else")
        answer = await answer_of(self._sending.connector, message, within_s=SEND_TIMEOUT_S)
        self._reached("outbox.answered")
        self._recorder.record(self._result(beginning, message.attempt, answer))

    def _attempted(self, delivery: int, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        if task.cancelled() or task.exception() is not None:
            self._ended(delivery, None)

    def _ended(self, delivery: int, state: DeliveryState | None) -> None:
        """Let the next of its lane go, unless what ended may still hold it."""
        taken = self._under_way.pop(delivery, None)
        if taken is None:
            return  # of an earlier run
        if state in _OVER:
            taken.release()
        else:
            taken.set_aside()
        self._gather()

    def _gather(self) -> None:
        """Look for more when a quarter of the places is free, or soon: what is begun together costs half of it alone."""
        if len(self._under_way) * 4 <= self._sending.capabilities().in_flight * 3:
            self._changed.set()
        elif not self._gathering:
            self._gathering = True
            asyncio.get_running_loop().call_later(_GATHER_S, self._gathered)

    def _gathered(self) -> None:
        self._gathering = False
        self._changed.set()

    def _finished(self, result: Result, state: DeliveryState) -> None:
        self._reached("outbox.finished")
        self._log.info(
            "delivery_attempted",
            delivery=result.delivery,
            attempt=result.n,
            outcome=result.outcome,
            state=state.value,
        )
        self._ended(result.delivery, state)

    def _result(self, beginning: Beginning, n: int, answer: object) -> Result:
        delivery = beginning.delivery
        idempotent = self._sending.capabilities().idempotent
        try:
            outcome = outcome_of(answer, attempt=n, idempotent=idempotent)
        except Exception as why:  # noqa: BLE001 - an error of a plugin's own making may lack what it should carry
            answer = why
            outcome = outcome_of(answer, attempt=n, idempotent=idempotent)
        if not isinstance(answer, _EXPECTED):
            error = answer if isinstance(answer, Exception) else None
            self._log.error("connector_failed", delivery=delivery.id, reason=outcome.reason, exc_info=error)
        if isinstance(answer, NeedsLogin):
            self.hold_back()
            self._sending.needs_login(answer)
        self._paused_until = max(self._paused_until, asyncio.get_running_loop().time() + outcome.pause_s)
        more = outcome.state == DeliveryState.SENT and delivery.parts + 1 < beginning.parts_total
        return Result(
            claim=beginning.claim,
            channel=self._sending.line.number,
            delivery=delivery.id,
            n=n,
            state=DeliveryState.QUEUED if more else outcome.state,
            more=more,
            outcome=outcome.name,
            reason=outcome.reason,
            code=outcome.code,
            ids=outcome.ids,
            after_us=int(outcome.after_s * 1_000_000),
            give_up_us=int(self._sending.retry_for_h * 3_600_000_000) if outcome.given_up else None,
            given_up=outcome.given_up or DeliveryState.FAILED,
            opted_out=outcome.opted_out,
        )

    async def _wait(self, next_at: float) -> None:
        try:
            async with asyncio.timeout_at(next_at):
                await self._changed.wait()
        except TimeoutError:
            pass
