"""Peers that others wrote, each a process on loopback: node-smpp and smpp34 as SMSCs, Kannel as ESME, drive_smpp as SMSC.

Nothing of them is set up on the machine: ``scripts/servers`` installs what is missing, and a test that lacks one is skipped, under CI failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import define, field

from fernamt.testing import free_port

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[3]
SMPP: Final = ROOT / ".servers" / "smpp"
START_S: Final = 20.0
_UNPRIVILEGED: Final = "nobody"


@cache
def installed() -> Path:
    """Return where node-smpp and smpp34 are; skips where they cannot be had."""
    script = ROOT / "scripts" / "servers"
    if shutil.which("node") is None or not script.exists():
        pytest.skip("server: no node, or this is no checkout: node-smpp and smpp34 are not here")
    done = subprocess.run([script, "smpp"], capture_output=True, text=True)
    if done.returncode or not (SMPP / ".ready").exists():
        pytest.skip(f"server: node-smpp or smpp34 could not be installed: {done.stderr[-300:]}")
    return SMPP


def program(path: str, package: str) -> str:
    """Return a program of a Debian package; skips where it is not installed."""
    found = shutil.which(path, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        pytest.skip(f"server: no {Path(path).name}: install {package}")
    return found


def unprivileged() -> dict[str, Any]:
    """Return how a process is started without privileges, where we have some."""
    if os.getuid():
        return {}
    return {"user": _UNPRIVILEGED, "group": "nogroup", "extra_groups": []}


@contextlib.contextmanager
def folder_for_anybody(prefix: str) -> Iterator[Path]:
    """Give a folder that a process without privileges may use."""
    with tempfile.TemporaryDirectory(prefix=prefix) as made:
        folder = Path(made)
        if not os.getuid():
            shutil.chown(folder, _UNPRIVILEGED, "nogroup")
        folder.chmod(0o755)
        yield folder


@define(eq=False)
class Peer:
    """A process that is told what to do by lines of JSON, and tells what happens the same way."""

    process: asyncio.subprocess.Process
    port: int = 0
    told: list[dict[str, Any]] = field(factory=list)
    _asked: int = 0
    _reading: asyncio.Task[None] | None = None
    _changed: asyncio.Event = field(factory=asyncio.Event)

    @classmethod
    @asynccontextmanager
    async def started(cls, *command: str | Path, **more: Any) -> AsyncIterator[Peer]:
        """Start it, and end it; it says first on which port it listens."""
        process = await asyncio.create_subprocess_exec(
            *map(str, command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=1_000_000, **more
        )
        peer = cls(process)
        peer._reading = asyncio.create_task(peer._read())
        try:
            [said] = await peer.until("listening")
            peer.port = said["port"]
            yield peer
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await peer._reading

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.told.append(json.loads(line))
            self._changed.set()
        self._changed.set()

    async def do(self, what: str, **more: Any) -> None:
        """Tell it to do something, and return when it has begun with that."""
        assert self.process.stdin is not None
        self._asked += 1
        self.process.stdin.write(json.dumps({"do": what, **more}).encode() + b"\n")
        await self.until("heard", self._asked)

    async def until(
        self, what: str, count: int = 1, *, when: Callable[[dict[str, Any]], bool] = lambda _: True
    ) -> Sequence[dict[str, Any]]:
        """Return what it told of that kind, as soon as it is so much."""
        async with asyncio.timeout(START_S):
            while True:
                found = [one for one in self.told if one["what"] == what and when(one)]
                if len(found) >= count:
                    return found
                assert self._reading is not None
                assert not self._reading.done(), "the peer has ended"
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def node_smsc(port: int = 0, *, certificate: tuple[Path, Path] | None = None) -> AsyncIterator[Peer]:
    """Run an SMSC made of node-smpp."""
    module = installed() / "node_modules" / "smpp"
    node = program("node", "nodejs")
    # It reads its certificate as whoever we are; it has nothing else of ours.
    more = [] if certificate is None else [*certificate]
    async with Peer.started(node, HERE / "node_smsc.js", module, str(port), *more) as peer:
        yield peer


@asynccontextmanager
async def rust_peer(what: str, *arguments: str) -> AsyncIterator[Peer]:
    """Run smpp34 as what rust_peer.py knows."""
    python = installed() / "python" / "bin" / "python"
    async with Peer.started(python, HERE / "rust_peer.py", what, *arguments) as peer:
        yield peer


# ---- Kannel
_KANNEL: Final = """
group = core
admin-port = {admin}
admin-password = test
admin-interface = 127.0.0.1
smsbox-port = {smsbox}
smsbox-interface = 127.0.0.1
box-allow-ip = 127.0.0.1
store-type = file
store-location = {folder}/store
log-file = {folder}/bearerbox.log
log-level = 1

group = smsc
smsc = smpp
smsc-id = ours
host = 127.0.0.1
port = {smsc}
transceiver-mode = true
smsc-username = shop
smsc-password = {password}
system-type = ""
source-addr-ton = 1
source-addr-npi = 1
reconnect-delay = 1
enquire-link-interval = 30

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}
sendsms-interface = 127.0.0.1
log-file = {folder}/smsbox.log
log-level = 1

group = sendsms-user
username = test
password = test
concatenation = true
max-messages = 10

group = sms-service
keyword = default
catch-all = true
max-messages = 0
concatenation = true
accept-x-kannel-headers = true
get-url = "http://127.0.0.1:{http}/in?from=%p&to=%P&text=%b&coding=%c&charset=%C"
"""
"""Kannel as an ESME that keeps what it gets in files and passes it on by HTTP."""


@define(frozen=True)
class Kannel:
    """A bearerbox, bound to an SMSC, and its smsbox."""

    folder: Path
    sendsms_port: int
    processes: tuple[int, ...]
    """Of the bearerbox and the smsbox."""


@asynccontextmanager
async def kannel(*, smsc_port: int, http_port: int, password: str) -> AsyncIterator[Kannel]:
    """Run Kannel as an ESME of the SMSC on *smsc_port*, which passes on to *http_port*."""
    bearerbox, smsbox = program("bearerbox", "kannel"), program("smsbox", "kannel")
    with folder_for_anybody("kannel-") as folder:
        admin, boxes, sendsms = free_port(), free_port(), free_port()
        configuration = folder / "kannel.conf"
        configuration.write_text(
            _KANNEL.format(
                folder=folder,
                admin=admin,
                smsbox=boxes,
                sendsms=sendsms,
                smsc=smsc_port,
                http=http_port,
                password=password,
            )
        )
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, **unprivileged()}
        started = []
        try:
            for program_, port in ((bearerbox, boxes), (smsbox, sendsms)):
                started.append(await asyncio.create_subprocess_exec(program_, "-v", "4", str(configuration), **quiet))
                await listening(port, started[-1])
            await joined(folder / "smsbox.log", started[-1])
            yield Kannel(folder, sendsms, tuple(one.pid for one in started))
        finally:
            for process in started:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


async def joined(log: Path, smsbox: asyncio.subprocess.Process) -> None:
    """Return when an smsbox has read who may send: it listens before that, and until then it refuses everybody."""
    async with asyncio.timeout(START_S):
        while b"Connected to bearerbox" not in log.read_bytes():
            assert smsbox.returncode is None, "the peer has ended"
            await asyncio.sleep(0.02)


async def listening(port: int, process: asyncio.subprocess.Process) -> None:
    """Return when somebody listens on *port*."""
    async with asyncio.timeout(START_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                assert process.returncode is None, "the peer has ended"
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


@asynccontextmanager
async def drive_smpp(count: int) -> AsyncIterator[int]:
    """Run the SMSC of Kannel's own tests, which offers *count* messages, and give its port.

    It takes one transmitter and one receiver, as foo with the password bar. It also looks for a bearerbox on a port of its own
    choice, and ends some seconds later because there is none.
    """
    path = Path("/usr/lib/kannel/test/drive_smpp")
    if not path.exists():
        pytest.skip("server: no drive_smpp: install kannel-extras")
    port = free_port()
    with folder_for_anybody("drive-") as folder:
        log = folder / "drive.log"
        with log.open("wb") as out:
            command = [path, "-v", "0", "-p", str(port), "-m", str(count), "-c", path.with_suffix(".conf")]
            process = await asyncio.create_subprocess_exec(
                *map(str, command), stdout=out, stderr=out, cwd=folder, **unprivileged()
            )
        try:
            async with asyncio.timeout(START_S):
                # Nobody may knock: it takes two connections, and counts.
                while b"Started thread" not in log.read_bytes():
                    await asyncio.sleep(0.02)
            yield port
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
