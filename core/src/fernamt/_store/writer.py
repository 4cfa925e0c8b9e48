"""The writer: one thread that commits what many callers want written, in groups."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

import structlog

from fernamt._store.engine import Store
from fernamt._store.transaction import Rank, Transaction, WriteSession, is_outage
from fernamt.errors import FernamtError, NotStored

_P_contra = TypeVar("_P_contra", contravariant=True)
_R_co = TypeVar("_R_co", covariant=True)
_P = TypeVar("_P")
_R = TypeVar("_R")

GROUP_MAX: Final = 512
_log = structlog.get_logger()


class Operation(Protocol[_P_contra, _R_co]):
    """Something to write, for many callers at once: payloads in, their results in the same order.

    A result that is an exception is raised to that caller alone; an exception that is raised undoes the transaction.
    """

    def __call__(self, tx: Transaction, payloads: Sequence[_P_contra]) -> Sequence[_R_co | FernamtError]: ...


class Writes(Protocol):
    """What the way in and the way out need of a writer, so that a simulation can put one of its own there."""

    def write(self, operation: Operation[_P, _R], payload: _P) -> asyncio.Future[_R]:
        """See :meth:`Writer.write`."""
        ...


class Wanted(Generic[_P, _R]):
    """One caller: what it wants written, and the future that it waits for."""

    __slots__ = ("future", "operation", "payload")

    def __init__(self, operation: Operation[_P, _R], payload: _P, future: asyncio.Future[_R]) -> None:
        self.operation = operation
        self.payload = payload
        self.future = future


class Committer:
    """Owns the connection that writes. Blocks; not for two threads at a time."""

    def __init__(self, store: Store, committing: Callable[[str], None] = lambda _point: None) -> None:
        """*committing* is told ``writer.before-commit`` and ``writer.committed``."""
        self.topics: set[str] = set()
        """What was committed has touched these; whoever tells them empties it."""
        self._store = store
        self._told = committing
        self._session: WriteSession | None = None
        self._away = False

    def commit(self, group: list[Wanted[Any, Any]]) -> list[Any]:
        """Write what a group of callers wants, and return what each gets: a result, or the error that it is to be told."""
        try:
            return self._in_order(group)
        except Exception as why:  # noqa: BLE001 - whatever one payload brings, its neighbours must not pay for it
            if is_outage(why):
                return [self._not_stored(why)] * len(group)
            problem = why
        if len(group) == 1:
            return [problem]
        middle = len(group) // 2
        return self.commit(group[:middle]) + self.commit(group[middle:])

    def _in_order(self, group: list[Wanted[Any, Any]]) -> list[Any]:
        """Commit a group in as few transactions as the order of locks allows: one on SQLite, where nobody else writes."""
        first = next((one.operation for one in group if _rank(one.operation) == Rank.CONVERSATIONS), None)
        if self._store.is_sqlite or all(_rank(one.operation) or one.operation == first for one in group):
            return self._transaction(group)
        outcomes: dict[int, Any] = {}
        while left := [index for index in range(len(group)) if index not in outcomes]:
            first = next((group[index].operation for index in left if not _rank(group[index].operation)), None)
            now = [index for index in left if _rank(group[index].operation) or group[index].operation == first]
            outcomes |= zip(now, self.commit([group[index] for index in now]), strict=True)
        return [outcomes[index] for index in range(len(group))]

    def _transaction(self, group: list[Wanted[Any, Any]]) -> list[Any]:
        by_operation: dict[Operation[Any, Any], list[int]] = {}
        for index, wanted in enumerate(group):
            by_operation.setdefault(wanted.operation, []).append(index)

        def body(tx: Transaction) -> list[Any]:
            outcomes: list[Any] = [None] * len(group)
            for operation, indices in sorted(by_operation.items(), key=lambda one: _rank(one[0])):
                results = operation(tx, [group[index].payload for index in indices])
                for index, result in zip(indices, results, strict=True):
                    outcomes[index] = result
            self._told("writer.before-commit")
            return outcomes

        session = self._session = self._session or self._store.session()
        outcomes = session.run(body)
        self.topics |= session.topics
        if self._away:
            self._away = False
            _log.info("store_available")
        self._told("writer.committed")
        return outcomes

    def close(self) -> None:
        """Give the connection back; the next commit makes a new one."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _not_stored(self, why: Exception) -> NotStored:
        # Said once: whoever comes again meanwhile, and that may be hundreds a second, is told the same.
        (_log.debug if self._away else _log.error)("store_unavailable", error=str(getattr(why, "orig", why)))
        self._away = True
        try:
            self.close()
        except Exception as again:  # noqa: BLE001 - a broken connection may fail to close in any way
            self._session = None
            _log.debug("store_close_failed", error=str(again))
        return NotStored(f"the store cannot be written: {getattr(why, 'orig', why)}", after_s=1.0)


class Writer:
    """The thread that commits. Callers resume after the commit, all callers of one group at once."""

    def __init__(
        self,
        store: Store,
        *,
        committing: Callable[[str], None] = lambda _point: None,
        touched: Callable[[Collection[str]], None] = lambda _topics: None,
    ) -> None:
        """*committing* is told ``writer.before-commit`` and ``writer.committed``, from the writer's thread.

        *touched* is told on the loop what each group of commits has touched, once its callers have been.
        """
        self._committer = Committer(store, committing)
        self._touched = touched
        self._queue: deque[Wanted[Any, Any]] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Start the thread. Call it on the loop that will call :meth:`write`."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="fernamt-writer", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Commit what is queued, then end the thread."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def write(self, operation: Operation[_P, _R], payload: _P) -> asyncio.Future[_R]:
        """Return a future that is done when *payload* is committed.

        It fails with ``NotStored`` if the database did not take it, with what *operation* returned for this payload, or with
        what it raised. Cancelling it does not undo anything.
        """
        assert self._loop is not None
        future: asyncio.Future[_R] = self._loop.create_future()
        if self._stopping:
            future.set_exception(NotStored("the daemon is stopping", after_s=5.0))
            return future
        queue = self._queue
        queue.append(Wanted(operation, payload, future))
        if len(queue) == 1:
            with self._wake:
                self._wake.notify()
        return future

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._queue:
                    if self._stopping:
                        self._committer.close()
                        return
                    self._wake.wait()
            # Left in the queue until taken one by one: append and popleft of a deque are atomic.
            group = [self._queue.popleft() for _ in range(min(len(self._queue), GROUP_MAX))]
            outcomes = self._committer.commit(group)
            assert self._loop is not None
            topics, self._committer.topics = self._committer.topics, set()
            try:
                self._loop.call_soon_threadsafe(self._resolve, group, outcomes, topics)
            except RuntimeError:
                return  # the loop is closed: nobody waits any more

    def _resolve(self, group: list[Wanted[Any, Any]], outcomes: list[Any], topics: set[str]) -> None:
        resolve(group, outcomes)
        self._touched(topics)


def _rank(operation: Operation[Any, Any]) -> Rank:
    rank: Rank = getattr(operation, "rank", Rank.CONVERSATIONS)
    return rank


def resolve(group: list[Wanted[Any, Any]], outcomes: list[Any]) -> None:
    """Tell each caller what became of what it wanted."""
    for wanted, outcome in zip(group, outcomes, strict=True):
        if wanted.future.done():
            continue  # its caller was cancelled
        if isinstance(outcome, Exception):
            wanted.future.set_exception(outcome)
        else:
            wanted.future.set_result(outcome)
