"""The peer of the mail benchmark: one process that receives with aiosmtpd, reads with the standard library, and syncs in batches.

It does what whoever writes such a thing by hand would do, on uvloop: policy.default, the body, every attachment decoded, the raw
mail and what was read appended to one file, one fsync for all who wait. It threads nothing and knows no repeats.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import logging
import os
import sys
from email.message import EmailMessage
from pathlib import Path

import orjson
import uvloop
from aiosmtpd.smtp import SMTP, Envelope, Session

logging.getLogger("mail.log").setLevel(logging.ERROR)


class Handler:
    """Takes mails."""

    def __init__(self, file: Path) -> None:
        self._file = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._more = asyncio.Event()

    async def handle_RCPT(  # noqa: N802  the library's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  the library's name
        raw = envelope.original_content or b""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((read(raw) + b"\n" + raw, done))
        self._more.set()
        await done
        return "250 2.0.0 OK"

    async def sync(self) -> None:
        """Write and sync what waits, again and again."""
        while True:
            await self._more.wait()
            self._more.clear()
            batch, self._waiting = self._waiting, []
            await asyncio.to_thread(self._written, [content for content, _ in batch])
            for _, done in batch:
                done.set_result(None)

    def _written(self, contents: list[bytes]) -> None:
        os.write(self._file, b"".join(contents))
        os.fsync(self._file)


def read(raw: bytes) -> bytes:
    """Return what the standard library makes of a mail."""
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(mail, EmailMessage)
    body = mail.get_body(("plain", "html"))
    files = [(part.get_filename(), part.get_content_type(), part.get_content()) for part in mail.iter_attachments()]
    return orjson.dumps(
        {
            "id": mail["Message-ID"],
            "from": str(mail["From"]),
            "subject": str(mail["Subject"]),
            "text": body.get_content() if body else "",
            "files": [(name, kind, len(content)) for name, kind, content in files],
        }
    )


async def serve(port: int, folder: Path) -> None:
    """Serve until killed."""
    handler = Handler(folder / "peer.mails")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(handler, enable_SMTPUTF8=True, hostname="peer.test", loop=loop), "127.0.0.1", port
    )
    async with server:
        await handler.sync()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
