"""The way out of one channel: heads of lanes, an attempt committed before its first byte, a result after it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Coroutine, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

import structlog
from attrs import evolve

from fernamt._runtime.answer import answer_of
from fernamt._runtime.claims import stop_task
from fernamt._runtime.fitting import measures_of, next_part
from fernamt._runtime.hooks import Plugins
from fernamt._runtime.outcome import outcome_of
from fernamt._runtime.queue import POLL_S, Queue
from fernamt._runtime.quiet import quiet_until
from fernamt._runtime.rate import Rate
from fernamt._runtime.recorder import recorded, written
from fernamt._runtime.sending import SEND_TIMEOUT_S, Ready, Sending
from fernamt._runtime.storable import storable_text
from fernamt._store.claims import Claim, ClaimLost
from fernamt._store.correspondence import Prepared, prepare
from fernamt._store.deliveries import Attempt, Beginning, OpenDelivery, Result, Takeover, begin, take_over
from fernamt._store.engine import Store
from fernamt._store.names import Names
from fernamt._store.refusals import Refused, refuse
from fernamt._store.writer import Writes
from fernamt.connector import ChoosesId
from fernamt.errors import NeedsLogin, NotStored, Rejected, Unreachable
from fernamt.model import DeliveryState, microseconds
from fernamt.outbound import Sent

_ASK_AGAIN: Final = timedelta(seconds=1)
"""A policy that is sure until a moment ago is asked again so much later at the earliest."""
_GATHER_S: Final = 0.005
_GATHER_MAX_S: Final = 0.05
"""What comes out, and the places that it leaves, are gathered for as long as the last beginning took, within these bounds."""
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
        self._rate = Rate()
        self._chooses = sending.connector if isinstance(sending.connector, ChoosesId) else None
        self._measures = measures_of(sending.connector)
        self._queue = self._unread()
        self._gathering: asyncio.TimerHandle | None = None
        self._begun_last, self._took_s = 0, 0.0
        self._beginning: set[asyncio.Task[None]] = set()
        self._calling: set[asyncio.Task[None]] = set()
        self._answers: list[tuple[Queue, OpenDelivery, Result]] = []
        self._recording: set[asyncio.Task[None]] = set()
        """Answers that are known would be lost, so nobody cancels this before :meth:`close`."""
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
        before is still recorded, by this outbox before it takes over anything of itself.
        """
        self._held_back, self._queue = False, self._unread()
        # What the last holder sent just now is not known: nothing is made up for.
        self._rate = Rate(max(asyncio.get_running_loop().time(), self._rate.free_at))
        try:
            self._go_on()
            while self._recording:
                # Settled as uncertain, it would let the next of its lane pass, and might then be sent after that.
                await asyncio.wait(self._recording)
            await self._take_over(claim)
            while not self._held_back:
                self._changed.clear()
                look_again_at = await self._send_what_may_go(claim)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(look_again_at):
                        await self._changed.wait()
            await self._at_rest()
        except ClaimLost:
            self._log.warning("outbox_claim_lost")
        finally:
            for task in (*self._beginning, *self._calling):
                await stop_task(task)

    async def quiet(self, within_s: float) -> None:
        """Begin nothing more, ever, and return when what is under way has ended, or after *within_s* seconds."""
        self._stopping = True
        self._changed.set()
        try:
            async with asyncio.timeout(within_s):
                await self._at_rest()
        except TimeoutError:
            self._log.warning("outbox_not_quiet", sending=len(self._calling), recording=bool(self._recording))

    async def _at_rest(self) -> None:
        self._go_on()
        while tasks := self._under_way():
            await asyncio.wait(tasks)
            self._go_on()

    def _under_way(self) -> Collection[asyncio.Task[None]]:
        return {*self._beginning, *self._calling, *self._recording}

    async def close(self) -> None:
        """Give up what could not be recorded: the store is away, and so are we."""
        self._answers.clear()
        for task in self._under_way():
            await stop_task(task)

    def _unread(self) -> Queue:
        return Queue(self._store, self._sending.line.number, hold_s=self._sending.hold_s)

    async def _take_over(self, claim: Claim) -> None:
        channel, repeatable = self._sending.line.number, self._sending.capabilities().idempotent
        takeover = Takeover(claim=claim, channel=channel, repeatable=repeatable)
        left = await written(self._writer, self._store.clock, take_over, takeover)
        if left:
            self._log.warning("deliveries_taken_over", count=left, repeated=takeover.repeatable)

    # ---- what may go
    async def _send_what_may_go(self, claim: Claim) -> float:
        """Begin what may go now and return when to look again (the loop's time)."""
        loop = asyncio.get_running_loop()
        while self._may_begin():
            now = loop.time()
            if self._rate.free_at > now:
                return self._rate.free_at
            can = self._sending.capabilities()
            free = min(can.in_flight - len(self._calling), self._rate.room(now, can.units_per_s), _TOGETHER)
            if free <= 0 or self._gathering is not None:
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
    async def _begin(self, claim: Claim, taken: Sequence[OpenDelivery]) -> None:
        """Prepare, ask, and start what may go now, as far as the rate lets it; the rest is put back.

        Returns when all that was started is begun: after an outage of the store there must not go more than the rate allows.
        """
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        asked: list[Refused | Ready] = []
        try:
            prepared = await asyncio.to_thread(self._prepare, taken)
            for delivery in taken:
                if not self._may_begin() or self._rate.free_at > (now := loop.time()):
                    break
                asked.append(self._asked(claim, delivery, prepared[delivery.id], now))
        finally:
            for delivery in reversed(taken[len(asked) :]):
                self._queue.put_back(delivery)
        if asked:
            together = self._together(claim, self._queue, [*zip(taken, asked, strict=False)])
            self._start(self._beginning, together, "begin")
            await asyncio.wait(self._beginning)
            self._took_s = loop.time() - began_at

    def _prepare(self, deliveries: Sequence[OpenDelivery]) -> dict[int, Prepared | Exception]:
        with self._store.read() as connection:
            do, line, can = self._store.statements(connection), self._sending.line.number, self._sending.capabilities()
            return prepare(do, self._names, line, deliveries, can, people=self._plugins.judging)

    def _asked(
        self, claim: Claim, delivery: OpenDelivery, prepared: Prepared | Exception, now_s: float
    ) -> Refused | Ready:
        """Return why the message may not go, or how its attempt begins. A policy is asked about the whole, not about parts."""
        refused = partial(Refused, claim=claim, delivery=delivery.id)
        if isinstance(prepared, Exception):
            self._log.error("delivery_not_prepared", delivery=delivery.id, exc_info=prepared)
            return refused(reason=f"the message cannot be made: {type(prepared).__name__}")
        if prepared.stopped:
            return refused(reason=prepared.stopped)
        connector, can = self._sending.connector, self._sending.capabilities()
        now = self._store.clock.now()
        if can.automatic_per_day is not None and prepared.automatic_today >= can.automatic_per_day:
            return refused(reason=f"{can.automatic_per_day} automatic messages within a day are enough for one person")
        try:
            if delivery.parts == 0 and (until := quiet_until(self._sending.quiet, prepared.message, connector, now)):
                return refused(reason="quiet hours where the recipient is", until_us=microseconds(until))
            part = next_part(prepared, delivery.parts, can, self._measures, now)
            if isinstance(part, str):
                return refused(reason=part)
            judged = prepared.whose if delivery.parts == 0 else None
            if judged and (refusal := self._plugins.allow_send(prepared.message, *judged, now)):
                until_us = microseconds(max(refusal.until, now + _ASK_AGAIN)) if refusal.until else 0
                return refused(reason=storable_text(refusal.reason), until_us=until_us)
            message = part.message
            measures = self._measures if can.units_per_s and can.unit == "measured" else None
            units = 1 if measures is None else measures.units(message)
            chosen = "" if self._chooses is None else storable_text(self._chooses.id_for(message))
        except Rejected as why:
            return refused(reason=storable_text(str(why.reason)))
        except Exception as why:  # noqa: BLE001 - third-party code: what it cannot count or name must not stop the next
            self._log.exception("connector_failed", delivery=delivery.id, error=type(why).__name__)
            return refused(reason=f"the connector failed before it was sent: {type(why).__name__}")
        self._rate.spend(units, per_s=can.units_per_s, now_s=now_s)
        return Ready(Attempt(delivery, chosen, part.total), message)

    # ---- what is begun
    async def _together(
        self, claim: Claim, queue: Queue, asked: Sequence[tuple[OpenDelivery, Refused | Ready]]
    ) -> None:
        """Make attempts, and record why none is made of the others."""
        try:
            await self._begun(claim, queue, [one for _, one in asked if isinstance(one, Ready)])
            await asyncio.gather(*(self._refused(queue, one, why) for one, why in asked if isinstance(why, Refused)))
        except ClaimLost:
            if not self._held_back:
                self._log.warning("outbox_claim_lost")
            self.hold_back()

    async def _refused(self, queue: Queue, delivery: OpenDelivery, refusal: Refused) -> None:
        is_over = False
        try:
            await written(self._writer, self._store.clock, refuse, refusal)
            is_over = not refusal.until_us
        finally:
            queue.ended(delivery, is_over=is_over)
        self._log.info("delivery_refused", delivery=refusal.delivery, until=refusal.until_us)
        self._reached("outbox.refused")

    async def _begun(self, claim: Claim, queue: Queue, ready: Sequence[Ready]) -> None:
        """Record attempts before their first byte, and start what was begun."""
        attempts = [one.attempt for one in ready]
        beginning = Beginning(claim=claim, channel=self._sending.line.number, attempts=attempts)
        begun: Sequence[bool] = [False] * len(ready)
        while ready:
            try:
                begun = await self._writer.write(begin, beginning)
                break
            except NotStored as full:
                if not self._may_begin():
                    break
                await self._store.clock.sleep(full.after_s)
                # A commit whose answer was lost may have been made: left alone, it would hold its lane.
                beginning = evolve(beginning, again=True)
            except ClaimLost:
                raise
            except Exception as why:  # noqa: BLE001 - what the store cannot take of one delivery must not stop the others
                if len(ready) > 1:
                    for one in ready:
                        await self._begun(claim, queue, [one])
                    return
                delivery = attempts[0].delivery
                self._log.error("attempt_not_storable", delivery=delivery.id, exc_info=why)
                reason = f"the attempt cannot be recorded: {type(why).__name__}"
                await self._refused(queue, delivery, Refused(claim=claim, delivery=delivery.id, reason=reason))
                return
        for one, may_go in zip(ready, begun, strict=True):
            if may_go:
                self._start(self._calling, self._called(claim, queue, one), f"send-{one.attempt.delivery.id}")
            else:  # not queued any more, or not as it was seen
                queue.ended(one.attempt.delivery, is_over=False)
        self._begun_last = len(self._calling)
        self._gather()

    async def _called(self, claim: Claim, queue: Queue, ready: Ready) -> None:
        """Make an attempt that was recorded; what comes out is recorded with whatever else comes out meanwhile."""
        self._reached("outbox.begun")
        # Halted meanwhile, we may have lost the channel, or not: that nothing was sent settles it either way.
        answer: Sent | Exception = Unreachable("the runner was halted before it was sent", certain=True)
        if self._holds(claim):
            answer = await answer_of(self._sending.connector, ready.message, within_s=SEND_TIMEOUT_S)
        self._reached("outbox.answered")
        self._answers.append((queue, ready.attempt.delivery, self._result(ready, answer)))

    async def _recorded(self) -> None:
        """Record what came out until there is nothing more, and let the next of the lanes go."""
        try:
            while self._answers:
                answers, self._answers = self._answers, []
                states = await recorded(self._writer, self._store.clock, [result for _, _, result in answers])
                for (queue, delivery, result), state in zip(answers, states, strict=True):
                    self._reached("outbox.finished")
                    queue.ended(delivery, is_over=state in _OVER)
                    said = {"delivery": delivery.id, "attempt": result.n, "outcome": result.outcome}
                    self._log.info("delivery_attempted", **said, state=state.value)
                self._gather()
        finally:
            self._recording.clear()  # now: before the task is seen to be done there may be another answer

    def _start(self, tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        tasks.add(task)
        task.add_done_callback(partial(self._ended, tasks))

    def _ended(self, tasks: set[asyncio.Task[None]], task: asyncio.Task[None]) -> None:
        tasks.discard(task)
        if task.cancelled():
            return
        if (why := task.exception()) is not None:
            self._log.error("delivery_left_alone", task=task.get_name(), exc_info=why)
        self._gather()

    def _result(self, ready: Ready, answer: object) -> Result:
        delivery, n = ready.attempt.delivery, ready.message.attempt
        outcome = outcome_of(answer, attempt=n, idempotent=self._sending.capabilities().idempotent)
        if outcome.unforeseen:
            error = answer if isinstance(answer, Exception) else None
            self._log.error("connector_failed", delivery=delivery.id, reason=outcome.reason, exc_info=error)
        if isinstance(answer, NeedsLogin):
            self.hold_back()
            self._sending.needs_login(answer)
        if outcome.pause_s:
            self._rate.free_at = max(self._rate.free_at, asyncio.get_running_loop().time() + outcome.pause_s)
        more = outcome.state == DeliveryState.SENT and delivery.parts + 1 < ready.attempt.parts_total
        return Result(
            channel=self._sending.line.number,
            delivery=delivery.id,
            n=n,
            state=DeliveryState.QUEUED if more else outcome.state,
            more=more,
            outcome=outcome.name,
            reason=outcome.reason,
            code=outcome.code,
            ids=outcome.ids,
            chosen_id=ready.attempt.chosen_id,
            after_us=int(outcome.after_s * 1_000_000),
            give_up_us=int(self._sending.retry_for_h * 3_600_000_000) if outcome.given_up else None,
            given_up=outcome.given_up or DeliveryState.FAILED,
            opted_out=outcome.opted_out,
        )

    # ---- when to look again
    def _gather(self) -> None:
        """Go on when most of what was under way is through, or soon: what is done together costs half of it alone."""
        if len(self._calling) * 4 <= self._begun_last:
            self._go_on()
        elif self._gathering is None:
            soon_s = min(max(_GATHER_S, self._took_s), _GATHER_MAX_S)
            self._gathering = asyncio.get_running_loop().call_later(soon_s, self._go_on)

    def _go_on(self) -> None:
        """Record what came out, and look for more."""
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        self._changed.set()
        if self._answers and not self._recording:
            self._start(self._recording, self._recorded(), "record")
