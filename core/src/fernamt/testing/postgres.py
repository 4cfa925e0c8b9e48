"""A PostgreSQL server for tests: started by the tests themselves, unprivileged, on a free loopback port, gone at the end."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fernamt.testing.ports import free_port
from fernamt.testing.servers import install, unprivileged

_START_S = 20.0


class PostgresServer:
    """A server that a test may kill and start again; :func:`postgres` gives one."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries = binaries
        self._folder = folder
        self._user = unprivileged(folder)
        self._port = free_port()
        self.url = f"postgresql://fernamt@127.0.0.1:{self._port}/postgres"
        """The address of a superuser without a password, on loopback."""
        # Nobody pulls the plug before it has begun: that its empty files are on the disk is waited for longer than made.
        how = ["-U", "fernamt", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        self._run(binaries / "initdb", "-D", self._data, *how)

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def start(self) -> None:
        """Start it, and return when it takes connections. Blocks."""
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=50"
        log: list[str | Path] = ["-w", "-t", str(int(_START_S)), "-l", self._folder / "log"]
        deadline = time.monotonic() + _START_S
        while True:
            try:
                self._run(self._binaries / "pg_ctl", "-D", self._data, *log, "-o", options, "start")
            except subprocess.CalledProcessError:
                if time.monotonic() > deadline:
                    raise
                continue
            return

    def kill(self) -> None:
        """End every process of it as ``kill -9`` does; what was not on the disk is gone."""
        main = int((self._data / "postmaster.pid").read_text().split()[0])
        # First the one that would start the others again, and tell them to end in good order.
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        for pid in (main, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        """End it."""
        self._run(self._binaries / "pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop")

    def _run(self, *command: str | Path) -> None:
        run_quietly(command, self._user, self._folder)


@contextmanager
def postgres() -> Iterator[PostgresServer]:
    """Run a server, and end it with all that it kept.

    Raises:
        ServerMissing: There is no PostgreSQL here and it cannot be installed.
    """
    folder = Path(tempfile.mkdtemp(prefix="fernamt-postgres-"))
    try:
        server = PostgresServer(_binaries(), folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_postgres() -> Iterator[str]:
    """Run a server and yield its address; see :func:`postgres`."""
    with postgres() as server:
        yield server.url


def _binaries() -> Path:
    """Debian keeps the server's programs off the path, a folder a version."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if not found and (on_path := shutil.which("initdb")):
        found = [Path(on_path)]
    if not found:
        install("postgresql")
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent


def run_quietly(command: Sequence[str | Path], user: dict[str, str | int], folder: Path) -> None:
    """Run a program of a server to its end; raises ``CalledProcessError``."""
    environment = {**os.environ, "LC_ALL": "C", "HOME": str(folder)}
    subprocess.run(  # noqa: S603 - our own command line
        [str(word) for word in command],
        check=True,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **user,  # type: ignore[call-overload]
    )
