"""``fernamt demo``: a daemon with one mail channel, a customer who writes to it, and the customer's mailbox for the answer."""

from __future__ import annotations

import contextlib
import email.policy
import os
import re
import shutil
import signal
import smtplib
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request
import zlib
from collections.abc import Iterator
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from aiosmtpd.smtp import SMTP, Envelope, Session

_MADE_HERE: Final = "# Made by `fernamt demo`: it is made anew each time."
_START_S: Final = 60.0
_ANSWER: Final = 'reply 1 "Guten Tag Frau Weber, der Ersatz ist unterwegs."'


def demo(folder: Path = Path("demo")) -> int:
    """Show one message all the way: a customer's mail comes in, and you answer it.

    A daemon is started with a store of its own and a mail channel on this machine alone. It stays up until you stop it with
    Ctrl-C. Nothing leaves the machine.

    Example: fernamt demo

    Args:
        folder: Where the demo keeps its configuration, its store and the customer's mailbox.
    """
    if not _make_room(folder):
        return 1
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: _stop(stop, _number, _frame))
    mailbox = _Mailbox(folder / "mailbox-of-anna")
    with _mail_server(mailbox) as answers_to, _daemon(folder, answers_to) as (daemon, port):
        _say("Anna Weber writes to support@example.com, with a photo, from her own mail program.")
        _write_as_anna(port)
        _say("The daemon took it: it is on the disk. This is what an agent sees (fernamt show 1):\n")
        subprocess.run(_fernamt(folder, "show", "1"), check=True)  # noqa: S603 - our own command
        _say("\nAnswer her in a second terminal:\n")
        _say(f"    {_typed(folder, _ANSWER)}\n")
        _say(f"Her mailbox is the folder {mailbox.folder}: each answer appears here. Look around with")
        _say(f"    {_typed(folder, 'inbox')}   {_typed(folder, 'show 1')}   {_typed(folder, 'channels')}")
        _say("Ctrl-C ends the demo.\n")
        while not stop.wait(0.2):
            if daemon.poll() is not None:
                _say(f"The daemon ended with {daemon.returncode}; its last words are in {folder / 'daemon.log'}.")
                return 1
            mailbox.announce()
    return 0


def _stop(stop: threading.Event, _number: int, _frame: FrameType | None) -> None:
    stop.set()


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a command talks to the person who typed it


def _make_room(folder: Path) -> bool:
    configuration = folder / "fernamt.toml"
    if folder.exists():
        if not configuration.exists() or not configuration.read_text().startswith(_MADE_HERE):
            _say(f"{folder} is not a demo's folder. Name another one: fernamt demo --folder NAME")
            return False
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return True


class _Mailbox:
    """Anna's mailbox: a mail server's handler that keeps each mail as a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._announced: set[Path] = set()
        folder.mkdir()

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        number = len(list(self.folder.iterdir())) + 1
        content = envelope.original_content or b""
        (self.folder / f"{number}.eml").write_bytes(content)
        return "250 2.0.0 kept"

    def announce(self) -> None:
        """Tell of each mail that came since the last time."""
        for path in sorted(set(self.folder.glob("*.eml")) - self._announced):
            self._announced.add(path)
            mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            _say(f"Anna has got mail: {mail['subject']} ({path})")
            _say(f"  it answers {mail['in-reply-to']}, so her program shows both as one thread")


@contextlib.contextmanager
def _mail_server(mailbox: _Mailbox) -> Iterator[int]:
    from aiosmtpd.controller import Controller

    server: Any = Controller(mailbox, hostname="127.0.0.1", port=_free_port())
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


@contextlib.contextmanager
def _daemon(folder: Path, answers_to: int) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port, http_port = _free_port(), _free_port()
    (folder / "fernamt.toml").write_text(
        f"""{_MADE_HERE}
store = "sqlite:///fernamt.db"
listen = "127.0.0.1:{http_port}"

[channels.support-mail]
kind = "email.listener"
name = "Support"
address = "support@example.com"
sender_name = "Example GmbH"
port = {port}

[channels.support-mail.smtp]
host = "127.0.0.1"
port = {answers_to}
security = "none"
"""
    )
    _say(f"Starting a daemon: {folder / 'fernamt.toml'} is all of its configuration.")
    with (folder / "daemon.log").open("wb") as log:
        daemon = subprocess.Popen(_fernamt(folder, "run"), stderr=log, start_new_session=True)  # noqa: S603 - our own command
        try:
            _wait_for(daemon, port, f"http://127.0.0.1:{http_port}/readyz", folder)
            yield daemon, port
        finally:
            daemon.terminate()
            daemon.wait()


def _wait_for(daemon: subprocess.Popen[bytes], port: int, ready_url: str, folder: Path) -> None:
    deadline = time.monotonic() + _START_S
    while daemon.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(ready_url, timeout=2).close()  # noqa: S310 - our own loopback address
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
            return
        time.sleep(0.05)
    last = (folder / "daemon.log").read_text(errors="replace")[-2000:]
    raise SystemExit(f"The daemon did not come up. Its log ends with:\n{last}")


def _write_as_anna(port: int) -> None:
    mail = EmailMessage()
    mail["From"] = "Anna Weber <anna.weber@example.org>"
    mail["To"] = "Support <support@example.com>"
    mail["Subject"] = "Kaffeemühle beschädigt angekommen – Bestellung 4711"
    mail["Date"] = formatdate(localtime=False)
    mail["Message-ID"] = make_msgid(domain="example.org")
    mail.set_content(
        "Guten Tag,\n\nmeine Kaffeemühle ist heute angekommen, aber das Mahlwerk klemmt und am Gehäuse ist ein Riss.\n"
        "Ein Foto hängt an. Können Sie mir Ersatz schicken?\n\nMit freundlichen Grüßen\nAnna Weber\n"
    )
    mail.add_attachment(_photo(), maintype="image", subtype="png", filename="Riss am Gehäuse.png")
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as server:
        server.send_message(mail)


def _photo() -> bytes:
    """Return a small grey picture with a crack across it, as PNG."""
    side = 48
    rows = b"".join(b"\0" + bytes(40 if abs(x - y // 2 - 12) < 2 else 190 for x in range(side)) for y in range(side))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _fernamt(folder: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "fernamt", words[0], "--config", str(folder / "fernamt.toml"), *words[1:]]


def _typed(folder: Path, words: str) -> str:
    """Return the command as a person types it here."""
    program = Path(sys.executable).parent / "fernamt"
    with contextlib.suppress(ValueError):
        program = program.relative_to(Path.cwd())
    shown = "fernamt" if shutil.which("fernamt") == str(program) else str(program)
    command, _, rest = words.partition(" ")
    return re.sub(r" +$", "", f"{shown} {command} --config {os.path.relpath(folder / 'fernamt.toml')} {rest}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
