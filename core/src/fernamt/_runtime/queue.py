"""What waits on one channel, as far as it is known: read by windows, handed out by lanes, replies first."""

from __future__ import annotations

import asyncio
from typing import Final

from attrs import define

from fernamt._runtime.lanes import Lanes
from fernamt._store.deliveries import OpenDelivery, open_deliveries, postponed
from fernamt._store.engine import Store
from fernamt.model import Purpose

POLL_S: Final = 1.0
"""A command writes from another process: how soon its message is found at the latest."""
_WINDOW: Final = 512
_WINDOW_MAX: Final = 40_000
"""How much of the queue is known at a time: usually a window, more only where few lanes hold much of it."""


@define
class _Kind:
    """What is known of the messages of one purpose; times are the loop's."""

    purpose: Purpose
    lanes: Lanes
    known: int = 0
    last: int = 0
    complete: bool = False
    read_at: float = -1e9
    took_s: float = 0.0
    woken: bool = True

    def due_at(self, *, wanted: bool) -> float:
        """Return when it is to be read from the start: soon where something is *wanted* of it and somebody said that there is.

        Reading takes a tenth of the time at most, however much of the queue waits for a time.
        """
        return self.read_at + max(0.0 if wanted and self.woken else POLL_S, 10 * self.took_s)


class Queue:
    """The queue of a channel in memory, for the one runner that sends on it."""

    def __init__(self, store: Store, channel: int, *, hold_s: float) -> None:
        hold_us = int(hold_s * 1_000_000)
        self._store = store
        self._channel = channel
        self._kinds = [_Kind(purpose, Lanes(hold_us=hold_us)) for purpose in Purpose]
        self._lanes = {kind.purpose: kind.lanes for kind in self._kinds}

    def wake(self) -> None:
        """Say that there may be something new."""
        for kind in self._kinds:
            kind.woken = True

    def due_at(self) -> float:
        """Return when it is worth asking again though nothing happened (the loop's time)."""
        return min(kind.due_at(wanted=True) for kind in self._kinds)

    def put_back(self, delivery: OpenDelivery) -> None:
        """Take back what could not go now: it is the next."""
        self._lanes[delivery.purpose].put_back(delivery)

    def ended(self, delivery: OpenDelivery, *, is_over: bool) -> None:
        """Let the next of a lane go, unless this one may still hold it."""
        lanes = self._lanes[delivery.purpose]
        (lanes.release if is_over else lanes.set_aside)(delivery.lane)

    async def take(self, count: int) -> list[OpenDelivery]:
        """Return up to *count* heads of lanes that may go: a less urgent purpose where no more urgent one may. Not for two callers at a time.

        Raises ``NotStored``.
        """
        taken: list[OpenDelivery] = []
        try:
            for kind in self._kinds:
                if len(taken) < count:
                    await self._look(kind, count - len(taken))
                while kind.lanes.ready and len(taken) < count:
                    taken.append(kind.lanes.take())
        except Exception:
            # Replies were taken, and the notices could not be read: nobody would ever give their lanes back.
            for one in reversed(taken):
                self.put_back(one)
            raise
        return taken

    async def _look(self, kind: _Kind, wanted: int) -> None:
        """Read on until *wanted* may go, or everything was read; from the start where that was long ago."""
        loop = asyncio.get_running_loop()
        began_at, limit = loop.time(), _WINDOW
        if began_at >= kind.due_at(wanted=kind.lanes.ready < wanted):
            kind.lanes.renew()
            kind.known, kind.last, kind.complete, kind.woken, kind.read_at = 0, 0, False, False, began_at
        while kind.lanes.ready < wanted and not kind.complete and kind.known < _WINDOW_MAX:
            kind.lanes.reading()
            now_us, found = await asyncio.to_thread(self._read, kind, limit)
            kind.lanes.add(found, now_us=now_us)
            kind.took_s = loop.time() - began_at
            limit *= 4

    def _read(self, kind: _Kind, limit: int) -> tuple[int, list[OpenDelivery]]:
        with self._store.read() as connection:
            do = self._store.statements(connection)
            now_us = do.now_us()
            found = open_deliveries(do, self._channel, limit, purpose=kind.purpose, after=kind.last, until_us=now_us)
            conversations = {one.conversation for one in found}
            waiting = postponed(do, self._channel, conversations, purpose=kind.purpose, now_us=now_us)
        kind.known += len(found)
        kind.complete = len(found) < limit
        kind.last = found[-1].id if found else kind.last
        return now_us, found + waiting
