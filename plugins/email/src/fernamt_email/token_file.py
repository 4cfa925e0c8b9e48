"""The file that holds the refresh token of a channel: readable for its owner only, replaced whole, one writer at a time."""

from __future__ import annotations

import asyncio
import fcntl
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import orjson

from fernamt import NeedsLogin, Unreachable

MAX_BYTES: Final = 65_536
LOOK_EVERY_S: Final = 0.05
_EVERYBODY: Final = 0o077


class TokenFile:
    """A refresh token on disk. Its methods but :meth:`held` block, so they are called in a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> str:
        """Return the token, ``""`` if there is none yet.

        Raises:
            NeedsLogin: Others may read the file, or it cannot be read: a person has to look.
        """
        try:
            with self._path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                content = file.read(MAX_BYTES)
        except FileNotFoundError:
            return ""
        except OSError as why:
            raise NeedsLogin(f"token_file {str(self._path)!r} cannot be read: {why.strerror}") from why
        if mode & _EVERYBODY:
            raise NeedsLogin(f"token_file {str(self._path)!r} can be read by others: chmod 600 {self._path}")
        try:
            told = orjson.loads(content)
        except orjson.JSONDecodeError:
            told = None
        token = told.get("refresh_token") if isinstance(told, dict) else None
        if not isinstance(token, str):
            raise NeedsLogin(f"token_file {str(self._path)!r} holds no token: remove it, and give the consent again")
        return token

    def write(self, token: str) -> None:
        """Replace the token: after a crash the file holds the old or the new one.

        Raises:
            Unreachable: It cannot be written. The old token stays.
        """
        try:
            number, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")  # made with mode 0600
            try:
                with os.fdopen(number, "wb") as file:
                    file.write(orjson.dumps({"refresh_token": token}))
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(self._path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as why:
            raise Unreachable(
                f"token_file {str(self._path)!r} cannot be written: {why.strerror}", certain=True
            ) from why

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Keep every other process from renewing meanwhile. Raises ``Unreachable`` if the lock's file cannot be made."""
        while (number := await self._taken()) is None:  # noqa: ASYNC110  it is another process that is waited for
            await asyncio.sleep(LOOK_EVERY_S)
        try:
            yield
        finally:
            os.close(number)

    async def _taken(self) -> int | None:
        taking = asyncio.ensure_future(asyncio.to_thread(self._take))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            taking.add_done_callback(_give_back)  # nobody else would, and whoever renews next would wait for ever
            raise

    def _take(self) -> int | None:
        """Return the lock's file, ``None`` if another has the lock. To wait for it here would outlive whoever wants it."""
        lock = self._path.with_name(f".{self._path.name}.lock")
        try:
            number = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as why:
            raise Unreachable(f"{str(lock)!r} cannot be made: {why.strerror}", certain=True) from why
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(number)
            return None
        return number


def _give_back(taken: asyncio.Future[int | None]) -> None:
    if not taken.cancelled() and taken.exception() is None and (number := taken.result()) is not None:
        os.close(number)
