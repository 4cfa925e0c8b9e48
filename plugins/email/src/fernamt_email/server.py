"""The SMTP and LMTP server inside the daemon (RFC 5321, RFC 2033), with what the library leaves open: bounds and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Final, Literal, cast

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session
from attrs import field, frozen

MAX_RECIPIENTS: Final = 100
MAX_LINE: Final = 65_536
"""Bytes of one line. The standard has 1,000, but mails with longer lines are about, and people want to read them."""
IDLE_S: Final = 300.0
GRACE_S: Final = 5.0
"""How long mails that are being handed over get when the server closes."""

_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]+")
"""A quoted local part may hold any of them, and the sender becomes a line of our own above the mail."""

logging.getLogger("mail.log").setLevel(logging.ERROR)  # the library logs addresses, and in its debug log whole mails


@frozen(kw_only=True)
class Handed:
    """A mail that somebody hands over."""

    sender: str
    """The envelope sender, ``""`` for a bounce. Anybody can write anything here."""
    recipients: tuple[str, ...]
    """Those that were accepted."""
    content: bytes = field(repr=False)


@frozen(kw_only=True)
class House:
    """What the server asks its owner."""

    accepts: Callable[[str], bool]
    """Whether an address is one of ours; all others get 550."""
    take: Callable[[Handed], Awaitable[str]]
    """Stores a mail and returns the reply: 250 only if it is on disk. If it raises, the reply is 451."""
    failed: Callable[[Exception], None]
    """Told of such an exception."""


class MailServer:
    """Listens from :meth:`open` to :meth:`close`."""

    def __init__(
        self, house: House, *, protocol: Literal["smtp", "lmtp"], name: str, max_bytes: int, max_connections: int
    ) -> None:
        self._house = house
        self._kind = _Lmtp if protocol == "lmtp" else _Smtp
        self._name = name
        self._max_bytes = max_bytes
        self._max_connections = max_connections
        self._server: asyncio.Server | None = None
        self.connections: set[_Smtp] = set()
        self.closing = False

    async def open(self, host: str, port: int) -> int:
        """Listen, and return the port. Raises ``OSError`` if that cannot be."""
        self._server = await asyncio.get_running_loop().create_server(self._connection, host, port)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def close(self) -> None:
        """Take nothing new, give what is being handed over :data:`GRACE_S`, then end every connection."""
        self.closing = True
        if self._server is not None:
            self._server.close()
        under_way = [one.handing_over for one in self.connections if one.handing_over is not None]
        if under_way:
            await asyncio.wait(under_way, timeout=GRACE_S)
        for one in list(self.connections):
            one.part()

    def _connection(self) -> asyncio.BaseProtocol:
        if self.closing or len(self.connections) >= self._max_connections:
            return _Full()
        connection = self._kind(self, self._house, data_size_limit=self._max_bytes, hostname=self._name)
        self.connections.add(connection)
        return connection


class _Full(asyncio.Protocol):
    """Sends a connection away that is one too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not isinstance: the transports of uvloop are of no class of asyncio.
        cast("asyncio.WriteTransport", transport).write(b"421 4.7.0 Too many connections, please try again later\r\n")
        transport.close()


class _Smtp(SMTP):
    """One connection."""

    line_length_limit = MAX_LINE

    def __init__(self, server: MailServer, house: House, *, data_size_limit: int, hostname: str) -> None:
        super().__init__(
            _Replies(house),
            data_size_limit=data_size_limit,
            hostname=hostname,
            ident="Fernamt",
            enable_SMTPUTF8=True,
            timeout=IDLE_S,
            loop=asyncio.get_running_loop(),
        )
        self._mail_server = server
        self.handing_over: asyncio.Future[None] | None = None
        """Done when the reply to the mail that is under way has been written."""

    def connection_lost(self, error: Exception | None) -> None:
        self._mail_server.connections.discard(self)
        super().connection_lost(error)

    def part(self) -> None:
        """Say that we close, and close."""
        if self.transport is not None:
            cast("asyncio.WriteTransport", self.transport).write(b"421 4.3.2 Closing, please try again later\r\n")
            self.transport.close()

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802  the library's name
        if self._mail_server.closing:
            await self.push("421 4.3.2 Closing, please try again later")
            return
        self.handing_over = self.loop.create_future()
        try:
            await super().smtp_DATA(arg)
        finally:
            self.handing_over.set_result(None)
            self.handing_over = None


class _Lmtp(_Smtp, LMTP):
    """One connection in LMTP: the mail is stored once, and every recipient hears the same (RFC 2033, 4.2)."""

    def __init__(self, server: MailServer, house: House, *, data_size_limit: int, hostname: str) -> None:
        super().__init__(server, house, data_size_limit=data_size_limit, hostname=hostname)
        self._owed = 1

    async def push(self, status: str) -> None:  # type: ignore[override]  # the library takes bytes too, and never writes any
        replies, self._owed = self._owed, 1
        if status.startswith("354") and self.envelope is not None:
            self._owed = len(self.envelope.rcpt_tos)
        await super().push("\r\n".join([status] * replies))


class _Replies:
    """The library's handler: it is asked at RCPT and at the end of DATA."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def handle_RCPT(  # noqa: N802  the library's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        if not self._house.accepts(address):
            return "550 5.1.1 No such mailbox here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  the library's name
        sender = _CONTROLS.sub("", envelope.mail_from or "")
        return await self._house.take(
            Handed(
                sender="" if sender == "<>" else sender,
                recipients=tuple(envelope.rcpt_tos),
                content=envelope.original_content or b"",
            )
        )

    async def handle_exception(self, error: Exception) -> str:
        self._house.failed(error)
        return "451 4.3.0 Something went wrong here, please try again later"
