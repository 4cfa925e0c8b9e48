"""A mail server that takes what we send: it obeys the test, not the mail."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from attrs import define, field


@define
class Sink:
    """An SMTP server (aiosmtpd) whose replies the test writes. It takes everything that no reply forbids."""

    replies: dict[str, str] = field(factory=dict)
    """By verb: EHLO, MAIL, RCPT, DATA. ``cut`` closes the connection instead of a reply, ``silence`` never replies."""
    password: str = "geheim"
    token: str = ""
    """What opens it by XOAUTH2."""
    smtputf8: bool = True
    mails: list[Envelope] = field(factory=list)
    passed_on: Callable[[bytes], object] | None = None
    """Called in a thread with every mail that was taken."""
    logins: list[str] = field(factory=list)
    port: int = 0

    @asynccontextmanager
    async def listening(
        self, tls: ssl.SSLContext | None = None, *, from_the_start: bool = False, port: int = 0
    ) -> AsyncIterator[Sink]:
        """Listen on *port*, on a free one if it is 0: with STARTTLS if there is a context, or with TLS from the start."""
        loop = asyncio.get_running_loop()
        connections: list[SMTP] = []

        def connection() -> SMTP:
            one = SMTP(
                self,
                hostname="mx.customer.test",
                enable_SMTPUTF8=self.smtputf8,
                tls_context=None if from_the_start else tls,
                authenticator=self._authenticate,
                auth_require_tls=False,
                loop=loop,
            )
            connections.append(one)
            return one

        server = await loop.create_server(connection, "127.0.0.1", port, ssl=tls if from_the_start else None)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for one in connections:
                if one.transport is not None:
                    one.transport.close()
            for _ in range(100):  # the loop needs a few turns to close what is closed; not so a failed TLS handshake
                if all(one.transport is None for one in connections):
                    break
                await asyncio.sleep(0)

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: LoginPassword
    ) -> AuthResult:
        self.logins.append(login.login.decode())
        if reply := self.replies.get("AUTH"):
            return AuthResult(success=False, handled=False, message=reply)
        return AuthResult(success=login.password.decode() == self.password, handled=False)

    async def auth_XOAUTH2(self, server: SMTP, args: list[str]) -> AuthResult:  # noqa: N802
        user, bearer, *_ = base64.b64decode(args[1]).decode().split("\x01")
        self.logins.append(user.removeprefix("user="))
        return AuthResult(success=bearer == f"auth=Bearer {self.token}", handled=False)

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return await self._reply("MAIL", server)

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return await self._reply("RCPT", server)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.mails.append(envelope)
        if self.passed_on is not None and isinstance(envelope.content, bytes):
            await asyncio.to_thread(self.passed_on, envelope.content)
        return await self._reply("DATA", server)

    async def _reply(self, verb: str, server: SMTP) -> str:
        reply = self.replies.get(verb, "250 2.0.0 OK")
        if reply == "silence":
            await asyncio.get_running_loop().create_future()
        if reply == "cut":
            cast("asyncio.Transport", server.transport).abort()
            await asyncio.get_running_loop().create_future()
        return reply


@asynccontextmanager
async def server(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[Any]],
) -> AsyncIterator[int]:
    """Yield the port of a server that does just what *talk* does with a connection, and then closes it."""
    ended: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        ended.add(task)
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            ended.discard(task)

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        for task in list(ended):
            task.cancel()
        await asyncio.gather(*ended, return_exceptions=True)
