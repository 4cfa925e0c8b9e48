"""One daemon a SQLite file: the lock that says so."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from fernamt.errors import ConfigError


class FileLock:
    """Held from construction to :meth:`release`, and gone with the process whatever kills it."""

    def __init__(self, database: Path) -> None:
        """Take the lock beside *database*; raises ``ConfigError`` if another daemon has it."""
        path = database.with_name(f"{database.name}.lock")
        try:
            database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as why:
            raise ConfigError(
                "store", f"{path} cannot be written: {why.strerror}", fix="Choose a folder that this user may write to"
            ) from why
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._file, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._file)
            raise ConfigError(
                "store",
                f"another daemon, process {holder}, has {database.name} open",
                fix="Stop it first, or use PostgreSQL for several runners",
            ) from None
        except OSError as why:
            os.close(self._file)
            raise ConfigError(
                "store", f"{path} cannot be locked: {why.strerror}", fix="Keep the store on a disk of this machine"
            ) from why
        os.truncate(self._file, 0)
        os.pwrite(self._file, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let the next daemon have it."""
        os.close(self._file)
