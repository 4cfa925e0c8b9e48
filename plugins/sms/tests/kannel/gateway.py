"""A real Kannel (bearerbox and smsbox), and the operator behind it: the peer of its driver ``fake``, which is ours."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import pytest
from attrs import field, frozen

from fernamt.testing import free_port

USER: Final = "fernamt"
PASSWORD: Final = "password"
JOINED: Final = b"Connected to bearerbox"
"""What an smsbox logs once it has read who may send."""
_START_S: Final = 60.0
_CONFIG: Final = """
group = core
admin-port = {admin}
admin-password = admin
admin-interface = 127.0.0.1
smsbox-port = {box}
smsbox-interface = 127.0.0.1
log-file = {folder}/bearerbox.log
dlr-storage = internal

group = smsc
smsc = fake
smsc-id = operator
port = {operator}
connect-allow-ip = 127.0.0.1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}
sendsms-interface = 127.0.0.1
log-file = {folder}/smsbox.log
http-request-retry = 3
http-queue-delay = 1

group = sendsms-user
username = fernamt
password = password

group = sms-service
keyword = default
catch-all = true
max-messages = 0
get-url = "{ours}messages/{secret}?id=%I&from=%p&to=%P&text=%b&coding=%c&charset=%C&udh=%u"
"""


@frozen
class Kannel:
    """One that runs."""

    sendsms: str
    """Where it takes messages."""
    operator: int
    """The port where the operator may connect."""
    boxes: tuple[subprocess.Popen[bytes], ...] = field(repr=False)

    def kill(self) -> None:
        """End it, as a crash does."""
        for box in self.boxes:
            box.kill()
            box.wait()


@contextmanager
def running_kannel(ours: str, secret: str) -> Iterator[Kannel]:
    """Run one that calls *ours*."""
    bearerbox, smsbox = (shutil.which(name, path="/usr/sbin:/usr/bin") for name in ("bearerbox", "smsbox"))
    if bearerbox is None or smsbox is None:
        pytest.skip("server: no Kannel here; as root: apt-get install kannel")
    folder = Path(tempfile.mkdtemp(prefix="fernamt-kannel-"))
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        folder.chmod(0o755)
        user = {"user": nobody.pw_uid, "group": nobody.pw_gid}
    admin, box, operator, sendsms = (free_port() for _ in range(4))
    config = folder / "kannel.conf"
    config.write_text(
        _CONFIG.format(
            admin=admin, box=box, operator=operator, sendsms=sendsms, folder=folder, ours=ours, secret=secret
        )
    )
    boxes: list[subprocess.Popen[bytes]] = []
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, **user}
    try:
        for program, port in ((bearerbox, box), (smsbox, sendsms)):
            boxes.append(subprocess.Popen([program, "-v", "4", str(config)], **quiet))
            _wait_until(partial(_listens, port), boxes[-1])
        # The smsbox listens before it has read who may send, and until then it refuses everybody.
        _wait_until(lambda: JOINED in (folder / "smsbox.log").read_bytes(), boxes[-1])
        yield Kannel(f"http://127.0.0.1:{sendsms}/cgi-bin/sendsms", operator, tuple(boxes))
    finally:
        for one in reversed(boxes):
            one.kill()
            one.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        sock.settimeout(1)
        return sock.connect_ex(("127.0.0.1", port)) == 0


def _wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_S
    while not ready():
        assert process.poll() is None, "Kannel ended at once"
        assert time.monotonic() < deadline, f"Kannel was not ready within {_START_S:.0f} s"
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.02)


@frozen
class Took:
    """A message that reached the operator."""

    sender: str
    to: str
    kind: str
    """``text`` or ``ucs-2``, as Kannel's driver writes it; ``data`` behind a header."""
    udh: bytes
    content: bytes


class Operator:
    """Talks to Kannel in the lines of its driver ``fake``."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def take(self) -> Took:
        """Return the next message."""
        line = (await self._reader.readline()).rstrip(b"\n")
        sender, to, kind, rest = line.split(b" ", 3)
        udh = b""
        if kind == b"udh":
            header, kind, rest = rest.split(b" ", 2)
            udh = unquote_to_bytes(header)
        content = rest if kind == b"text" else unquote_to_bytes(rest.replace(b"+", b" "))
        return Took(sender.decode(), to.decode(), kind.decode(), udh, content)

    async def say(self, sender: str, to: str, content: bytes) -> None:
        """Let somebody have written."""
        self._writer.write(f"{sender} {to} text ".encode() + content + b"\n")
        await self._writer.drain()


@asynccontextmanager
async def operator_of(kannel: Kannel) -> AsyncIterator[Operator]:
    """Be the operator."""
    reader, writer = await asyncio.open_connection("127.0.0.1", kannel.operator)
    try:
        yield Operator(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()
