"""One transaction: what operations are given, which rows they lock first, and what its failure means."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from attrs import frozen

from fernamt._store.statements import Statements

RACES: Final = 5
"""How often a transaction that lost a race (a unique row, a deadlock) is run at most."""
_R = TypeVar("_R")
_F = TypeVar("_F", bound=Callable[..., Any])
# fmt: off
_SQLITE_AWAY: Final = frozenset({
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOTADB,
})
# fmt: on
_POSTGRES_AWAY: Final = frozenset({"08", "40", "53", "55", "57", "58"})
"""Classes of SQLSTATE: connection, lost race, resources, not in the state for it, operator, system."""
_POSTGRES_SHUT: Final = frozenset({"25006", "25P03"})
"""It became a stand-by, or it ended our transaction for idling."""


@frozen(kw_only=True)
class Transaction:
    """One transaction of the writer: SQLAlchemy's connection, and the hot statements on the connection below it."""

    connection: sa.Connection
    do: Statements
    now_us: int

    @property
    def topics(self) -> set[str]:
        """What this transaction touches: add to it whatever somebody may wait for."""
        return self.do.topics


class Rank(IntEnum):
    """Which rows an operation locks: in this order within a transaction, so that no two runners wait for each other."""

    CONVERSATIONS = 0
    """And whatever else: no second one of these is in the same transaction."""
    DELIVERIES = 1
    CLAIMS = 2


def locks(rank: Rank) -> Callable[[_F], _F]:
    """Declare the rank of an operation; without it an operation counts as one that locks conversations."""

    def declared(operation: _F) -> _F:
        vars(operation)["rank"] = rank
        return operation

    return declared


class LostRace(Exception):
    """Another runner was faster, and no unique row says so: the transaction is to be run again."""


class WriteSession:
    """A connection with its hot statements. Not for two threads at a time."""

    def __init__(self, connection: sa.Connection, do: Statements) -> None:
        self._connection = connection
        self._do = do

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Give one transaction, committed at the end and rolled back on an error."""
        with self._connection.begin():
            now_us = self._do.begin()
            yield Transaction(connection=self._connection, do=self._do, now_us=now_us)

    def run(self, body: Callable[[Transaction], _R]) -> _R:
        """Run *body* in a transaction and return what it returns; where another runner was faster, run it again at once."""
        for _ in range(RACES - 1):
            try:
                with self.transaction() as tx:
                    return body(tx)
            except Exception as why:
                if not is_lost_race(why):
                    raise
        with self.transaction() as tx:
            return body(tx)

    @property
    def topics(self) -> set[str]:
        """What the last transaction touched, to be told to those who wait for it."""
        return self._do.topics

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()


def _kinds(why: Exception) -> set[str]:
    """Return the names of the driver's classes of an error: the hot statements raise them bare, SQLAlchemy wraps them."""
    original = getattr(why, "orig", None)
    return {kind.__name__ for kind in type(original if isinstance(original, Exception) else why).__mro__}


def is_outage(why: Exception) -> bool:
    """Say whether the database was not there, or could not write, whatever it was asked.

    A statement that the database will never take (too long, too many values) is none: told to come again with it, its
    caller would come again for ever.
    """
    original = getattr(why, "orig", None) or why
    sqlite_code, sqlstate = getattr(original, "sqlite_errorcode", None), getattr(original, "sqlstate", None)
    if sqlite_code is not None:
        return sqlite_code & 0xFF in _SQLITE_AWAY
    if sqlstate:
        return sqlstate[:2] in _POSTGRES_AWAY or sqlstate in _POSTGRES_SHUT
    return isinstance(why, OSError | sa.exc.TimeoutError) or bool(_kinds(why) & {"OperationalError", "InterfaceError"})


def is_lost_race(why: Exception) -> bool:
    """Say whether another runner was faster: the same transaction may be run again at once."""
    return bool(_kinds(why) & {"UniqueViolation", "DeadlockDetected", "SerializationFailure", "LostRace"})
