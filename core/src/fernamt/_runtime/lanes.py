"""The lanes of a channel in memory: what was read of the queue once, and which of it may go next."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from fernamt._store.deliveries import Lane, OpenDelivery, head


class Lanes:
    """Deliveries of one purpose, in the order in which they were asked for. Pure.

    Only a hint: a delivery that somebody else changed is found out when its attempt is begun. What must never be wrong is the
    order, so a lane of which something is uncertain is set aside until it is read again.
    """

    def __init__(self, *, hold_us: int) -> None:
        self._hold_us = hold_us
        self._now_us = 0
        self._behind: dict[Lane, list[OpenDelivery]] = {}
        self._ready: deque[OpenDelivery] = deque()
        self._offered: set[Lane] = set()
        self._taken: dict[Lane, int] = {}
        self._aside: set[Lane] = set()
        self._skipped: frozenset[int] = frozenset()

    @property
    def ready(self) -> int:
        """How many may go now."""
        return len(self._ready)

    # ---- reading
    def reading(self) -> None:
        """Note that the store is about to be read: what is taken now may look in it as if it were not."""
        self._skipped = frozenset(self._taken.values())

    def renew(self) -> None:
        """As :meth:`reading`, from the start: what is known is forgotten, and what was set aside may be looked at again."""
        self.reading()
        self._behind.clear()
        self._ready.clear()
        self._offered.clear()
        self._aside.clear()

    def add(self, found: Iterable[OpenDelivery], *, now_us: int) -> None:
        """Take in what was read, with everything that may hold a lane of it; *now_us* is the store's clock of then."""
        self._now_us = now_us
        fresh: dict[Lane, list[OpenDelivery]] = {}
        for one in found:
            if one.id not in self._skipped:
                fresh.setdefault(one.lane, []).append(one)
        for lane, deliveries in fresh.items():
            if lane in self._aside:
                continue
            known = {one.id: one for one in (*self._behind.get(lane, ()), *deliveries)}
            self._behind[lane] = [known[number] for number in sorted(known)] if len(known) > 1 else deliveries[:1]
            if lane not in self._offered and lane not in self._taken:
                self._offer(lane)

    def _offer(self, lane: Lane) -> None:
        """Let the first of a lane that may go be taken, if there is one."""
        waiting = self._behind.get(lane)
        if not waiting:
            return
        # Almost always it is the very first; a lane may be long.
        first = self._head(waiting[:1]) or self._head(waiting)
        if first is not None:
            waiting.remove(first)
            self._ready.append(first)
            self._offered.add(lane)
        if not waiting:
            del self._behind[lane]

    def _head(self, waiting: Sequence[OpenDelivery]) -> OpenDelivery | None:
        return head(waiting, now_us=self._now_us, hold_us=self._hold_us)

    # ---- sending
    def take(self) -> OpenDelivery:
        """Return the next that may go; its lane is busy until it is released, put back or set aside."""
        one = self._ready.popleft()
        self._offered.discard(one.lane)
        self._taken[one.lane] = one.id
        return one

    def put_back(self, delivery: OpenDelivery) -> None:
        """Take back what could not go now: it is the next."""
        del self._taken[delivery.lane]
        self._offered.add(delivery.lane)
        self._ready.appendleft(delivery)

    def release(self, lane: Lane) -> None:
        """Let the next of a lane go: what was taken is at its end."""
        del self._taken[lane]
        self._offer(lane)

    def set_aside(self, lane: Lane) -> None:
        """Let nothing of a lane go until it is read again: what was taken may hold it, or nobody knows."""
        del self._taken[lane]
        self._aside.add(lane)
        self._behind.pop(lane, None)
