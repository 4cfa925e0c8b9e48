"""What breaks once, at a place that is counted to: a statement, a commit, a file, a call to a provider; and seconds that are short."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import errno
import os
import selectors
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from unittest import mock

import aiohttp
import sqlalchemy as sa
from attrs import define, field

from fernamt._runtime.http import ClientHttp
from fernamt._store import blobs

SPEED = 40.0
"""So many seconds pass in one: of the loop and of the clock alike, so that nobody waits, and nothing is out of step."""


UNTOLD: contextvars.ContextVar[bool] = contextvars.ContextVar("UNTOLD", default=False)
"""True where nobody can be deceived about a commit: a person who is told that it failed would write it again."""


def _store_error(code: int, text: str) -> sqlite3.OperationalError:
    why = sqlite3.OperationalError(text)
    why.sqlite_errorcode = code
    return why


# What goes wrong at a place of each kind; the places take turns.
ERRORS: dict[str, tuple[Callable[[], Exception], ...]] = {
    "store": (
        lambda: _store_error(sqlite3.SQLITE_IOERR, "disk I/O error"),
        lambda: _store_error(sqlite3.SQLITE_FULL, "database or disk is full"),
        lambda: _store_error(sqlite3.SQLITE_BUSY, "database is locked"),
    ),
    "commit": (lambda: _store_error(sqlite3.SQLITE_IOERR, "disk I/O error"),),
    "file": (
        lambda: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        lambda: OSError(errno.EIO, os.strerror(errno.EIO)),
    ),
    "network": (
        lambda: ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)),
        lambda: TimeoutError("timed out"),
    ),
}


@define
class Breakage:
    """Lets calls of one *kind* pass, and breaks the one that is number *at*. ``commit`` breaks after the commit was made."""

    kind: str
    at: int
    passed: int = 0
    broke: str = ""
    """Where; empty: it has not come to that."""
    armed: bool = field(default=True)

    def here(self, kind: str, place: str) -> None:
        """Pass *place*, or break there."""
        if kind != self.kind or not self.armed or (kind == "commit" and UNTOLD.get()):
            return
        self.passed += 1
        if self.passed == self.at:
            errors = ERRORS[kind]
            why = errors[self.at % len(errors)]()
            self.broke = f"{place}: {type(why).__name__}: {why}"
            raise why

    @contextlib.contextmanager
    def installed(self, database: Path) -> Iterator[None]:
        """Stand in the way of everything that the daemon in this process does with *database*, its files and its client."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(_in_the_store(self, database))
            stack.enter_context(_in_the_files(self))
            stack.enter_context(mock.patch("fernamt.app.ClientHttp", _client(self)))
            yield


@contextlib.contextmanager
def _in_the_store(breakage: Breakage, database: Path) -> Iterator[None]:
    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, *values: Any) -> Self:
            breakage.here("store", sql)
            return super().execute(sql, *values)

        def executemany(self, sql: str, values: Any) -> Self:
            breakage.here("store", sql)
            return super().executemany(sql, values)

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            breakage.here("store", sql)
            return super().execute(sql, *values)

        def commit(self) -> None:
            breakage.here("store", "commit")
            super().commit()
            breakage.here("commit", "after the commit")

    def connect(_dialect: object, _record: object, args: list[Any], options: dict[str, Any]) -> None:
        if Path(args[0] if args else options["database"]) == database:
            options["factory"] = Connection

    sa.event.listen(sa.Engine, "do_connect", connect)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "do_connect", connect)


@contextlib.contextmanager
def _in_the_files(breakage: Breakage) -> Iterator[None]:
    class System:
        """The module ``os`` as the blob store sees it."""

        def __getattr__(self, name: str) -> Any:
            found = getattr(os, name)
            return _guarded(found, name) if name in {"open", "write", "fsync", "fdatasync"} else found

    def _guarded(function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            # A path of the store's own only: the rest of the process has files, too.
            breakage.here("file", name)
            return function(*arguments, **options)

        return call

    def _of_blobs(name: str) -> Any:
        function = getattr(Path, name)

        def call(path: Path, *arguments: Any, **options: Any) -> Any:
            if ".blobs" in str(path):
                breakage.here("file", name)
            return function(path, *arguments, **options)

        return mock.patch.object(Path, name, call)

    with mock.patch.object(blobs, "os", System()), contextlib.ExitStack() as stack:
        for name in ("open", "rename", "mkdir", "unlink"):
            stack.enter_context(_of_blobs(name))
        yield


def _client(breakage: Breakage) -> type[ClientHttp]:
    class Request(aiohttp.ClientRequest):
        async def send(self, conn: Any) -> aiohttp.ClientResponse:
            breakage.here("network", "before the request")
            answer = await super().send(conn)
            try:
                breakage.here("network", "after the request")
            except OSError:
                answer.close()
                raise
            return answer

    class Response(aiohttp.ClientResponse):
        async def start(self, connection: Any) -> aiohttp.ClientResponse:
            started = await super().start(connection)
            breakage.here("network", "after the status")
            try:
                breakage.here("network", "in the answer")
            except OSError as why:
                self.content.set_exception(why)
            return started

    class Client(ClientHttp):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            session: Any = self._session
            session._request_class, session._response_class = Request, Response
            connect = session._connector.connect

            async def connected(*arguments: Any, **more: Any) -> Any:
                try:
                    breakage.here("network", "connecting")
                except OSError as why:
                    key = arguments[0].connection_key
                    raise aiohttp.ClientConnectorError(key, why) from why
                return await connect(*arguments, **more)

            session._connector.connect = connected

    return Client


class QuickClock:
    """The daemon's clock at :data:`SPEED`."""

    def __init__(self) -> None:
        self._began = datetime.now(UTC)

    def now(self) -> datetime:
        """Return the time as it would be."""
        passed = datetime.now(UTC) - self._began
        return self._began + timedelta(seconds=passed.total_seconds() * SPEED)

    async def sleep(self, seconds: float) -> None:
        """Wait, on the loop's own time."""
        await asyncio.sleep(seconds)


class _QuickSelector(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> Any:
        return super().select(timeout / SPEED if timeout else timeout)


class QuickLoop(asyncio.SelectorEventLoop):
    """A loop at :data:`SPEED`."""

    def __init__(self) -> None:
        super().__init__(_QuickSelector())

    def time(self) -> float:
        """Return the loop's seconds."""
        return super().time() * SPEED
