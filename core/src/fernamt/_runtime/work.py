"""Durable work at work: what is due for one owner is carried out, tried again by the error's rule, and parked for a person."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

import structlog
from attrs import frozen

from fernamt._runtime.claims import stop_task, uncancelled
from fernamt._runtime.outcome import outcome_of, retry_wait_s
from fernamt._runtime.recorder import written
from fernamt._runtime.storable import storable_text
from fernamt._store.claims import Claim, ClaimLost
from fernamt._store.engine import Store
from fernamt._store.tasks import Also, DueTasks, Ended, Failed, Task, TaskGone, due_tasks, end, fail
from fernamt._store.writer import Writes
from fernamt.errors import ChannelError, FernamtError, NeedsLogin, NotStored, Unsupported
from fernamt.model import DeliveryState

POLL_S: Final = 1.0
"""A command plans from another process: how soon its task is found at the latest."""
IN_FLIGHT: Final = 8
"""So many tasks of one owner are under way at the same time."""
TIMEOUT_S: Final = 600.0
"""A task that takes longer has failed."""
_REASON_MAX: Final = 500
_log = structlog.get_logger()


@frozen
class Ending:
    """What comes of a task; *also* is written in the transaction that ends it.

    To go on later *also* plans the task's own key again: then it stays, and is due when that says.
    """

    also: Also | None = None


Handler: TypeAlias = Callable[[Task], Awaitable[Ending]]
"""Carries out one task, at least once, on the loop; the same task may come again after a crash.

``Rejected``, ``Unsupported`` and their kin park it at once; ``Throttled`` postpones it for its time; ``NeedsLogin`` ends the
channel's work; anything else is tried again with growing pauses. What it raises is kept as the task's reason.
"""


class Worker:
    """Carries out what is due for one owner, under a claim: one runner at a time does. The same shape as ``Outbox``."""

    def __init__(
        self,
        owner: str,
        handlers: Mapping[str, Handler],
        *,
        store: Store,
        writer: Writes,
        redact: Callable[[str], str] = storable_text,
        needs_login: Callable[[NeedsLogin], None] = lambda _why: None,
        reached: Callable[[str], None] = lambda _point: None,
    ) -> None:
        """*handlers* by kind of task; *redact* cleans what errors say before it is kept.

        *reached* is told ``work.begun``, ``work.done`` (nothing is committed yet), ``work.ended`` and ``work.failed``.
        """
        self.owner = owner
        self._handlers = handlers
        self._store = store
        self._writer = writer
        self._redact = redact
        self._needs_login = needs_login
        self._reached = reached
        self._log = _log.bind(owner=owner)
        self._changed = asyncio.Event()
        self._in_flight: dict[str, asyncio.Task[None]] = {}
        self._conversations: dict[str, int] = {}
        self._lost: asyncio.Future[None] | None = None
        self._stopping = False

    def wake(self) -> None:
        """Say that there may be something to do."""
        self._changed.set()

    async def run(self, claim: Claim) -> None:
        """Work until cancelled. Once the claim is lost nothing is begun any more; what is under way can change nothing."""
        self._lost = asyncio.get_running_loop().create_future()
        try:
            while not self._lost.done():
                self._changed.clear()
                await self._wait(await self._begin_what_is_due(claim))
            self._log.warning("work_claim_lost")
            await asyncio.Event().wait()  # whoever holds the claim for us learns it, too, and cancels this
        finally:
            for task in tuple(self._in_flight.values()):
                await stop_task(task)

    async def quiet(self, within_s: float) -> None:
        """Begin nothing more, ever, and return when what is under way has ended, or after *within_s* seconds."""
        self._stopping = True
        try:
            async with asyncio.timeout(within_s):
                while self._in_flight:
                    await asyncio.wait(self._in_flight.values())
        except TimeoutError:
            self._log.warning("work_not_quiet", tasks=len(self._in_flight))

    async def _begin_what_is_due(self, claim: Claim) -> float:
        """Begin what may begin and return how long to wait for more (seconds)."""
        free = IN_FLIGHT - len(self._in_flight)
        if free <= 0 or self._stopping:
            return POLL_S
        try:
            busy, held = frozenset(self._in_flight), frozenset(self._conversations.values())
            found, now_us = await asyncio.to_thread(self._look, free, busy, held)
        except NotStored as away:
            return away.after_s
        except Exception:  # noqa: BLE001 - a row that cannot be read must not end all work of this owner for good
            self._log.exception("work_not_looked_up")
            return POLL_S
        for task in found.ready:
            if not self._stopping:
                self._begin(claim, task)
        return POLL_S if found.next_at is None else (found.next_at - now_us) / 1_000_000

    def _look(self, free: int, busy: frozenset[str], held: frozenset[int]) -> tuple[DueTasks, int]:
        with self._store.read() as connection:
            do = self._store.statements(connection)
            now_us = do.now_us()
            return due_tasks(do, self.owner, now_us, free, busy=busy, held=held), now_us

    def _begin(self, claim: Claim, task: Task) -> None:
        begun = asyncio.create_task(self._carry_out(claim, task), name=f"{task.kind}-{task.id}")
        self._in_flight[task.key] = begun
        if task.conversation is not None:
            self._conversations[task.key] = task.conversation
        begun.add_done_callback(lambda _begun: self._ended(task.key))

    def _ended(self, key: str) -> None:
        del self._in_flight[key]
        self._conversations.pop(key, None)
        self.wake()

    async def _carry_out(self, claim: Claim, task: Task) -> None:
        try:
            self._reached("work.begun")
            ending = await self._handled(task)
            self._reached("work.done")
            await written(self._writer, self._store.clock, end, Ended(claim=claim, task=task, also=ending.also))
            self._reached("work.ended")
        except ClaimLost:
            self._lose()
        except TaskGone:
            self._log.info("task_gone", task=task.id, kind=task.kind)
            self._reached("work.ended")
        except Exception as why:  # noqa: BLE001 - third-party code: one task's fault stays its own
            await self._fail(claim, task, why)

    async def _handled(self, task: Task) -> Ending:
        handler = self._handlers.get(task.kind)
        if handler is None:
            raise Unsupported(f"nobody here carries out {task.kind!r}")
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                try:
                    return await uncancelled(lambda: handler(task))
                except NotStored as away:
                    await self._store.clock.sleep(away.after_s)

    async def _fail(self, claim: Claim, task: Task, why: Exception) -> None:
        if isinstance(why, NeedsLogin):
            self._needs_login(why)
        known = isinstance(why, FernamtError)
        said = why.reason if isinstance(why, ChannelError) else str(why)
        reason = self._redact(storable_text(said if known else f"{type(why).__name__}: {said}"))[:_REASON_MAX]
        failed = Failed(claim=claim, task=task, reason=reason, again_us=_again_us(why, task.tries + 1))
        try:
            due_us = await written(self._writer, self._store.clock, fail, failed)
        except ClaimLost:
            self._lose()
            return
        self._log.warning(
            "task_failed" if due_us is not None else "task_parked",
            task=task.id,
            kind=task.kind,
            tries=task.tries + 1,
            error=type(why).__name__,
            exc_info=None if known else why,
        )
        self._reached("work.failed")

    def _lose(self) -> None:
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)
        self.wake()

    async def _wait(self, wait_s: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, min(POLL_S, wait_s))):
                await self._changed.wait()
        except TimeoutError:
            pass


def _again_us(why: Exception, tries: int) -> int | None:
    """Return how much later to try again after so many tries, ``None``: never. A task may be repeated, whatever happened."""
    outcome = outcome_of(why, attempt=tries, idempotent=True)
    if outcome.state != DeliveryState.QUEUED:
        return None
    return int((outcome.after_s or retry_wait_s(tries)) * 1_000_000)
