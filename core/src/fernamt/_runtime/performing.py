"""Turns brought to lines that no request of the provider waits for, those of one call one after the other."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final

from structlog.typing import FilteringBoundLogger

from fernamt._runtime.claims import stop_task
from fernamt.connector import Clock, Performs
from fernamt.errors import Throttled, Unreachable
from fernamt.session import Turn

PERFORM_S: Final = 30.0
CALLS_MAX: Final = 4_096
_PAUSES_S: Final = (0.5, 1.0, 2.0, 4.0, None)


class Performing:
    """What a connector performs."""

    def __init__(self, performs: Performs, clock: Clock, log: FilteringBoundLogger) -> None:
        self._performs = performs
        self._clock = clock
        self._log = log
        self._last: OrderedDict[str, int] = OrderedDict()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def bring(self, turn: Turn) -> None:
        """Begin to perform a turn; in this process once, however often it is asked."""
        call = turn.session.call_id
        if not turn.actions or self._last.get(call, 0) >= turn.n:
            return
        self._last[call] = turn.n
        if len(self._last) > CALLS_MAX:
            self._last.popitem(last=False)
        task = asyncio.create_task(self._perform(turn, self._tasks.get(call)), name=f"perform-{turn.session.id}")
        self._tasks[call] = task
        task.add_done_callback(lambda done: self._tasks.pop(call) if self._tasks.get(call) is done else None)

    async def stop(self) -> None:
        """End what is under way."""
        for task in list(self._tasks.values()):
            await stop_task(task)

    async def _perform(self, turn: Turn, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait({before})
        for pause_s in _PAUSES_S:
            try:
                async with asyncio.timeout(PERFORM_S):
                    await self._performs.perform(turn)
            except (Exception, SystemExit) as why:  # noqa: BLE001 - a plugin's border: the line lives on, and may poll
                again = isinstance(why, Throttled) or (isinstance(why, Unreachable) and why.certain)
                if pause_s is not None and again:
                    await self._clock.sleep(pause_s)
                    continue
                self._log.error("turn_not_performed", session=turn.session.id, turn=turn.n, exc_info=why)
            return
