"""A transaction pooler in front of a PostgreSQL server, for tests: PgBouncer, unprivileged, on a free loopback port."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from fernamt.testing.ports import free_port
from fernamt.testing.servers import ServerMissing, install, unprivileged

_START_S = 20.0


@contextmanager
def pooled(url: str) -> Iterator[str]:
    """Yield the address of a pooler before the server at *url*: each transaction may meet another of its two sessions there.

    Raises:
        ServerMissing: There is no PgBouncer here and it cannot be installed.
    """
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin")
    if program is None:
        install("pgbouncer")
        program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin")
    if program is None:
        raise ServerMissing("the package pgbouncer holds no program of that name")
    server = urlsplit(url)
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="fernamt-pgbouncer-"))
    try:
        user = unprivileged(folder)
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={server.hostname} port={server.port} user={server.username}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
            "pool_mode = transaction\ndefault_pool_size = 2\nmax_client_conn = 100\n"
        )
        with subprocess.Popen(  # noqa: S603 - our own command line
            [program, str(folder / "pgbouncer.ini")],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **user,  # type: ignore[call-overload]
        ) as process:
            try:
                _wait(port)
                yield f"postgresql://{server.username}@127.0.0.1:{port}{server.path}"
            finally:
                process.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(port: int) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
