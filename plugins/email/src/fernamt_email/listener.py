"""Mail that is handed to the daemon itself by SMTP or LMTP, answered over SMTP: the kind ``email.listener``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp import web

from fernamt import Capabilities, Channel, ConnectorContext, NotStored, OutboundMessage, Sent, Unreachable
from fernamt_email.identity import IDS, Identity
from fernamt_email.oauth import Tokens
from fernamt_email.reading import Reader
from fernamt_email.server import Handed, House, MailServer
from fernamt_email.settings import ListenerSettings
from fernamt_email.smtp import Submission
from fernamt_email.unsubscribe import Unsubscribing


class Listener:
    """Takes mail for our own addresses and for nobody else: it never relays."""

    def __init__(self, channel: Channel[ListenerSettings], context: ConnectorContext) -> None:
        self._settings = channel.settings
        self._context = context
        self._identity = Identity.of(channel.id, channel.settings, context.sign(IDS, valid=None))
        settings, oauth = channel.settings, channel.settings.oauth
        tokens = Tokens(oauth, context.http, context.clock) if oauth else None
        self._unsubscribing = Unsubscribing(self._identity, context, channel.url)
        self._submission = Submission(
            settings, self._identity, context, tokens=tokens, unsubscribing=self._unsubscribing
        )
        self._reader = Reader(
            self._identity,
            context,
            settings.house_language,
            self._unsubscribing,
            settings.layout if settings.acknowledge else None,
            authserv_id=settings.authserv_id,
        )

    def capabilities(self) -> Capabilities:
        """See ``Describes``."""
        return self._submission.capabilities()

    def routes(self) -> Sequence[web.RouteDef]:
        """See ``Serves``: where the reader of outreach stops it."""
        return self._unsubscribing.routes()

    def id_for(self, message: OutboundMessage) -> str:
        """See ``ChoosesId``: one Message-ID for all who get this entry."""
        return self._identity.message_id(message.entry_key)

    async def send(self, message: OutboundMessage) -> Sent:
        """See ``Connector``."""
        return await self._submission.send(message)

    async def verify(self) -> str:
        """Log in to the server that takes our mail and return our address. Errors as in ``send``."""
        return await self._submission.verify()

    async def run(self) -> None:
        """Listen until cancelled; mails that are being handed over then get a few seconds to end.

        Raises:
            Unreachable: The port cannot be opened.
        """
        settings = self._settings
        server = MailServer(
            House(accepts=self._identity.is_ours, take=self._take, failed=self._failed),
            protocol=settings.protocol,
            name=self._identity.domain,
            max_bytes=settings.max_bytes,
            max_connections=settings.max_connections,
        )
        try:
            port = await server.open(settings.host, settings.port)
        except OSError as why:
            raise Unreachable(f"cannot listen on {settings.host} port {settings.port}: {why}", certain=True) from why
        self._context.log.info("listener_opened", host=settings.host, port=port, protocol=settings.protocol)
        self._context.report_state("up")
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await server.close()

    async def _take(self, mail: Handed) -> str:
        """Store one mail and return the reply. All its recipients are us, so it is one mail."""
        try:
            events, raw = await self._reader.read(mail.content, trace=_trace(mail))
            await self._context.intake.accept(events, raw=raw)
        except NotStored:
            return "451 4.3.0 The mail was not stored, please try again later"
        return "250 2.0.0 The mail is stored"

    def _failed(self, error: Exception) -> None:
        self._context.log.error("mail_failed", error=type(error).__name__)


def _trace(mail: Handed) -> bytes:
    """Return the fields that a server writes when a mail has arrived for good (RFC 5321, 4.4)."""
    lines = [f"Return-Path: <{mail.sender}>", *(f"Delivered-To: {recipient}" for recipient in mail.recipients)]
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape")
