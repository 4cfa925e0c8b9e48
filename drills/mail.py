"""Kill the daemon again and again while mail comes in, by IMAP from a real Dovecot and by SMTP into its own listener; then compare.

    make drill DRILL=mail STORE=sqlite KILLS=50

Half of the kills are at points that a mail passes, half at random moments. Meanwhile somebody else moves, deletes and flags mails in
the mailbox, and the server numbers its folder anew. The last line is JSON: lost and doubled count mails and must be 0, as must left
(stored, but still in the inbox) and unaccounted (listed by the server, and nothing became of it).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import orjson
from scene import HERE, lease_s, say, store_in

sys.path.insert(0, str(HERE.parent))

from fernamt._runtime.clock import SystemClock
from fernamt._store.engine import Store
from fernamt.testing import free_port
from fernamt_email.progress import Progress
from plugins.email.tests.dovecot import PASSWORD, Dovecot
from plugins.email.tests.handing import handed_over

START_S: Final = 60.0
SETTLE_S: Final = 90.0
POINTS: Final = ("writer.before-commit", "writer.committed")
USER: Final = "drill"
WRITERS: Final = 4


def main() -> int:
    """Run the drill and print its line."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite")
    options.add_argument("--kills", type=int, default=20)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="fernamt-drill-") as folder,
        store_in(chosen.store, Path(folder)) as url,
        Dovecot.started([USER]) as dovecot,
    ):
        drill = MailDrill(Path(folder), url, dovecot, chosen.kills, chosen.seed)
        found = asyncio.run(drill.run())
    line = {"drill": "mail", "store": chosen.store, "kills": chosen.kills, **found}
    print(orjson.dumps(line).decode())
    return 0 if found["lost"] == found["doubled"] == found["left"] == found["unaccounted"] == 0 else 1


class MailDrill:
    """One run."""

    def __init__(self, folder: Path, url: str, dovecot: Dovecot, kills: int, seed: int) -> None:
        self._folder = folder
        self._url = url
        self._dovecot = dovecot
        self._kills = kills
        self._dice = random.Random(seed)
        self._port = free_port()
        self._acknowledged: set[str] = set()
        """Ids that the listener said 250 to, or that the mail server of the mailbox took."""
        self._repeats = 0
        self._stopped = False
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> dict[str, int]:
        """Kill, let everything settle, compare."""
        self._configure()
        self._store = Store.open(self._url, SystemClock())
        self._store.migrate()
        people = [asyncio.create_task(self._writes(number)) for number in range(WRITERS)]
        people += [asyncio.create_task(self._delivers()), asyncio.create_task(self._meddles())]
        try:
            for kill in range(self._kills):
                await self._live_and_die(at_a_point=kill % 2 == 0)
                say(f"kill {kill + 1} of {self._kills}")
            await self._start()
            self._stopped = True
            await asyncio.gather(*people)
            await self._settled()
        finally:
            for one in people:
                one.cancel()
            if self._process is not None and self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
        return self._compared()

    def _configure(self) -> None:
        smtp = 'smtp = { host = "127.0.0.1", security = "none" }'
        (self._folder / "fernamt.toml").write_text(
            f"""store = "{self._url}"
listen = "127.0.0.1:{free_port()}"
[log]
level = "error"
[channels.box]
kind = "email.imap"
address = "{USER}@support.test"
host = "{self._dovecot.host}"
port = {self._dovecot.imap_port}
security = "none"
user = "{USER}"
password = "env:DRILL_PASSWORD"
sweep_s = 1.0
idle_s = 1.0
{smtp}
[channels.door]
kind = "email.listener"
address = "support@support.test"
port = {self._port}
{smtp}
"""
        )

    async def _start(self, *doom: str) -> asyncio.subprocess.Process:
        more = {"DRILL_PASSWORD": PASSWORD, "DRILL_LEASE_S": str(lease_s())}
        command = [str(HERE / "doomed.py"), str(self._folder / "fernamt.toml"), *doom]
        self._process = await asyncio.create_subprocess_exec(sys.executable, *command, env={**os.environ, **more})
        return self._process

    async def _live_and_die(self, *, at_a_point: bool) -> None:
        doom = (self._dice.choice(POINTS), str(self._dice.randint(2, 30))) if at_a_point else ()
        daemon = await self._start(*doom)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_S):
                await self._listening(daemon)
            async with asyncio.timeout(6.0 if at_a_point else self._dice.uniform(0.0, 1.5)):
                await daemon.wait()
        if daemon.returncode is None:
            daemon.kill()
            await daemon.wait()
        assert daemon.returncode == -signal.SIGKILL, f"the daemon ended by itself with {daemon.returncode}"

    async def _listening(self, daemon: asyncio.subprocess.Process) -> None:
        while daemon.returncode is None:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self._port)
                writer.close()
                return
            await asyncio.sleep(0.02)

    # ---- people
    async def _writes(self, number: int) -> None:
        """Hand mails to the listener, each again until it says 250, as a mail server does."""
        n = 0
        while not self._stopped:
            n += 1
            name = f"door.{number}.{n}"
            while not await handed_over(self._port, _mail(name)):
                self._repeats += 1
                await asyncio.sleep(0.05)
            self._acknowledged.add(name)
            await asyncio.sleep(0.02)

    async def _delivers(self) -> None:
        """Let mail come into the mailbox; now and then one by two addresses."""
        n = 0
        while not self._stopped:
            n += 1
            name = f"box.{n}"
            for _ in range(2 if n % 7 == 0 else 1):
                await asyncio.to_thread(self._dovecot.deliver, USER, _mail(name))
            self._acknowledged.add(name)
            await asyncio.sleep(0.05)

    async def _meddles(self) -> None:
        """Read mails elsewhere, and number the folder anew."""
        turn = 0
        while not self._stopped:
            await asyncio.sleep(1.0)
            turn += 1
            await asyncio.to_thread(self._dovecot.mark_all_seen, USER)
            if turn % 4 == 0:
                await asyncio.to_thread(self._dovecot.change_uid_validity, USER)
                with contextlib.suppress(RuntimeError):  # nobody is logged in just now
                    await asyncio.to_thread(self._dovecot.kick, USER)

    # ---- the reckoning
    async def _settled(self) -> None:
        until = time.monotonic() + SETTLE_S
        while time.monotonic() < until:
            left = len(self._dovecot.mails(USER))
            if not left and self._acknowledged <= set(await asyncio.to_thread(self._stored)):
                return
            say(f"{left} mails are in the inbox")
            await asyncio.sleep(0.2)

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self._store.read() as connection:
            return self._store.statements(connection).rows(sql)

    def _stored(self) -> list[str]:
        rows = self._rows(
            "SELECT c.provider_id FROM entry e JOIN content c ON c.entry = e.id WHERE e.kind = 'received' ORDER BY e.id"
        )
        return [str(name).strip("<>").partition("@")[0] for (name,) in rows]

    def _compared(self) -> dict[str, int]:
        stored = Counter(self._stored())
        progress = Progress.of(self._rows("SELECT value FROM cursor WHERE name = 'INBOX'")[0][0])
        assert progress is not None
        return {
            "lost": len(self._acknowledged - stored.keys()),
            "doubled": sum(count - 1 for count in stored.values()),
            "left": len(self._dovecot.mails(USER)),
            "unaccounted": progress.missing,
            "quarantined": int(self._rows("SELECT count(*) FROM quarantine")[0][0]),
            "by_imap": sum(name.startswith("box.") for name in stored),
            "by_listener": sum(name.startswith("door.") for name in stored),
            "repeated_by_senders": self._repeats,
        }


def _mail(name: str) -> bytes:
    return (
        f"From: ann@customer.test\r\nTo: support@support.test\r\nMessage-ID: <{name}@customer.test>\r\n"
        f"Subject: {name}\r\n\r\nWo ist meine Bestellung?\r\n"
    ).encode()


if __name__ == "__main__":
    sys.exit(main())
