"""A PostgreSQL server for tests: started by the tests themselves, unprivileged, on a free loopback port, gone at the end."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fernamt.testing.servers import install, unprivileged

_START_S = 20.0


@contextmanager
def running_postgres() -> Iterator[str]:
    """Run a server and yield its address, ``postgresql://...``, of a superuser without password on loopback.

    Raises:
        ServerMissing: There is no PostgreSQL here and it cannot be installed.
    """
    binaries = _binaries()
    folder = Path(tempfile.mkdtemp(prefix="fernamt-postgres-"))
    try:
        user = unprivileged(folder)
        data = folder / "data"
        _run(
            [binaries / "initdb", "-D", data, "-U", "fernamt", "-A", "trust", "-E", "UTF8", "--locale=C"], user, folder
        )
        port = _free_port()
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=50"
        _start(binaries, data, options, user, folder)
        try:
            yield f"postgresql://fernamt@127.0.0.1:{port}/postgres"
        finally:
            _run([binaries / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"], user, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path:
    """Debian keeps the server's programs off the path, a folder a version."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if not found and (on_path := shutil.which("initdb")):
        found = [Path(on_path)]
    if not found:
        install("postgresql")
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent


def _start(binaries: Path, data: Path, options: str, user: dict[str, str | int], folder: Path) -> None:
    log: list[str | Path] = ["-w", "-t", str(int(_START_S)), "-l", folder / "log"]
    command = [binaries / "pg_ctl", "-D", data, *log, "-o", options, "start"]
    deadline = time.monotonic() + _START_S
    while True:
        try:
            _run(command, user, folder)
        except subprocess.CalledProcessError:
            if time.monotonic() > deadline:
                raise
            continue
        return


def _run(command: list[str | Path], user: dict[str, str | int], folder: Path) -> None:
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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
