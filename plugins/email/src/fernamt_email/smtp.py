"""Sending, for every kind of e-mail channel: one mail to one recipient through an SMTP server (RFC 5321, RFC 6409)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final, TypeAlias

from aiosmtplib import SMTP, SMTPAuthenticationError, SMTPException, SMTPResponseException
from attrs import evolve

from fernamt import (
    Attachment,
    Blob,
    Capabilities,
    ChannelError,
    ConnectorContext,
    DeliveryState,
    Files,
    NeedsLogin,
    OutboundMessage,
    Purpose,
    Rejected,
    Sent,
    Unreachable,
    Unsupported,
)
from fernamt_email.compose import compose
from fernamt_email.explain import with_advice
from fernamt_email.identity import Identity
from fernamt_email.language import Language
from fernamt_email.layout import Style
from fernamt_email.oauth import Tokens
from fernamt_email.settings import SMTP_PORTS, MailSettings
from fernamt_email.status import enhanced_in, explained
from fernamt_email.tls import client_context
from fernamt_email.unsubscribe import Unsubscribing

Keep: TypeAlias = Callable[[bytes, str], Awaitable[None]]
"""Takes a mail and its Message-ID."""

MAX_FILES_BYTES: Final = 25_000_000
CAPABILITIES: Final = Capabilities(
    max_units=1_000_000,
    html=True,
    subject=True,
    files=(Files(max_bytes=MAX_FILES_BYTES, max_count=50),),
    receipts=frozenset({DeliveryState.SENT, DeliveryState.FAILED, DeliveryState.DELIVERED}),
    idempotent=True,  # by the Message-ID that never changes: who gets a repeat gets the same mail
    in_flight=4,
)
LOGIN_CODES: Final = frozenset({530, 534, 535})
THREAD_FROM_BYTES: Final = 262_144
QUIT_S: Final = 2.0

_CONTROLS = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]+")


class Submission:
    """The way out of a channel, by a connection of its own for every mail."""

    def __init__(
        self,
        settings: MailSettings,
        identity: Identity,
        context: ConnectorContext,
        *,
        tokens: Tokens | None = None,
        unsubscribing: Unsubscribing | None = None,
        keep: Keep | None = None,
    ) -> None:
        """*tokens* log in where the settings name a user and no password; *keep* is told of each mail that was taken, and must not fail."""
        self._tokens = tokens if settings.smtp.user and settings.smtp.password is None else None
        self._settings = settings
        self._unsubscribing = unsubscribing or Unsubscribing(identity, context, "")
        self._keep = keep
        self._identity = identity
        self._context = context
        self._style = Style(layout=settings.layout, language=settings.house_language, tagged=settings.subject_token)

    def capabilities(self) -> Capabilities:
        """See ``Describes``."""
        settings = self._settings
        return evolve(CAPABILITIES, automatic_per_day=settings.automatic_per_day, quotes=settings.layout.quote)

    async def send(self, message: OutboundMessage) -> Sent:
        """Make one attempt. Errors as in ``Connector.send``; what fails before DATA certainly did not happen."""
        written = (self._identity.address, message.to.value, *(address.value for address in message.cc))
        utf8 = not all(address.isascii() for address in written)
        mail = await self._composed(message, utf8=utf8)
        async with self._session() as client:
            with _mapped(self._settings.house_language, certain=True):
                if utf8 and not client.supports_extension("smtputf8"):
                    raise Unsupported("the mail server takes no addresses with characters beyond ASCII")
                options = ["SMTPUTF8", "BODY=8BITMIME"] if utf8 else []
                if client.supports_extension("size"):
                    options.append(f"SIZE={len(mail)}")
                encoding = "utf-8" if utf8 else "ascii"
                sender = "" if message.automatic else self._envelope_sender(message)  # RFC 3834, 3.3
                await client.mail(sender, options=options, encoding=encoding)
                await client.rcpt(message.to.value, encoding=encoding)
            with _mapped(self._settings.house_language, certain=False):
                await client.data(mail)
        message_id = self._identity.message_id(message.entry_key)
        if self._keep is not None and message.purpose != Purpose.OUTREACH:
            await self._keep(mail, message_id)
        return Sent(ids=(message_id,))

    def _envelope_sender(self, message: OutboundMessage) -> str:
        signed = self._settings.signed_sender
        return self._identity.reply_address(message.reply_token) if signed else self._identity.address

    async def verify(self) -> str:
        """Connect and log in; return our address. Errors as in ``send``."""
        async with self._session() as client:
            with _mapped(self._settings.house_language, certain=True):
                await client.noop()
        return self._identity.address

    async def _composed(self, message: OutboundMessage, *, utf8: bool) -> bytes:
        files = [await self._content(file, message) for file in message.attachments]
        if message.answered is not None:  # a reader knows the time of where we are
            answered = evolve(message.answered, at=message.answered.at.astimezone())
            message = evolve(message, answered=answered)

        def build() -> bytes:
            name, now = self._settings.sender_name, self._context.clock.now()
            return compose(
                message,
                self._identity,
                sender_name=name,
                at=now,
                files=files,
                utf8=utf8,
                style=self._style,
                unsubscribe=self._unsubscribing.addresses(message.to) if message.purpose == Purpose.OUTREACH else (),
            )

        try:
            large = sum(map(len, files)) + len(message.text) + len(message.html) > THREAD_FROM_BYTES
            return await asyncio.to_thread(build) if large else build()
        except (ValueError, LookupError) as why:  # the library could not write it, and never will
            raise Rejected(f"the mail cannot be written ({type(why).__name__})") from why

    async def _content(self, file: Attachment, message: OutboundMessage) -> bytes:
        if isinstance(file.content, bytes):
            return file.content
        if not isinstance(file.content, Blob):
            raise Rejected("an attachment is not here")
        if sum(one.content.size for one in message.attachments if isinstance(one.content, Blob)) > MAX_FILES_BYTES:
            raise Rejected(f"the attachments are larger than {MAX_FILES_BYTES} bytes together")
        try:
            return b"".join([piece async for piece in self._context.blobs.open(file.content)])
        except FileNotFoundError as why:
            raise Rejected("an attachment was erased") from why

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[SMTP]:
        """Yield a client that is connected and logged in; what goes wrong until then says nothing of a mail."""
        smtp, language = self._settings.smtp, self._settings.house_language
        client = SMTP(
            hostname=smtp.host,
            port=smtp.port or SMTP_PORTS[smtp.security],
            username=smtp.user if smtp.password else None,
            password=smtp.password.reveal() if smtp.password else None,
            local_hostname=self._identity.domain,
            use_tls=smtp.security == "tls",
            start_tls=smtp.security == "starttls",
            tls_context=None if smtp.security == "none" else await asyncio.to_thread(client_context, smtp.ca_file),
            timeout=smtp.timeout_s,
        )
        try:
            await client.connect()
            if client.is_ehlo_or_helo_needed:
                await client.ehlo()
            if self._tokens is not None:
                await log_in(client, smtp.user, self._tokens)
        except SMTPAuthenticationError as why:
            if why.code < 500:
                raise Unreachable(_said(why, language), certain=True, code=_code(why)) from why
            raise NeedsLogin(_said(why, language), code=_code(why)) from why
        except SMTPResponseException as why:
            raise Unreachable(_said(why, language), certain=True, code=_code(why)) from why
        except (SMTPException, OSError) as why:
            raise Unreachable(f"the mail server {smtp.host} cannot be reached: {why}", certain=True) from why
        try:
            yield client
            with suppress(SMTPException, OSError):  # the mail is taken: how we part changes nothing
                await client.quit(timeout=QUIT_S)
        finally:
            client.close()


async def log_in(client: SMTP, user: str, tokens: Tokens) -> None:
    """Log in with a token; one that is refused may be over before its time: it is renewed once. Closes *client* if it raises."""
    try:
        token = await tokens.access()
        try:
            await client.auth_xoauth2(user, token)
        except SMTPAuthenticationError as why:
            if why.code < 500:
                raise
            await client.auth_xoauth2(user, await tokens.access(refused=token))
    except BaseException:
        client.close()
        raise


@contextmanager
def _mapped(language: Language, *, certain: bool) -> Iterator[None]:
    """Turn what the library raises into our errors; *certain*: without a reply nothing can have been taken."""
    try:
        yield
    except SMTPResponseException as why:
        raise _refusal(why, language, certain=certain) from why
    except (SMTPException, OSError) as why:
        raise Unreachable(f"the mail server did not answer: {why}", certain=certain) from why
    except ValueError as why:  # an address that would break out of its command
        raise Rejected("an address cannot be written into an SMTP command") from why


def _refusal(why: SMTPResponseException, language: Language, *, certain: bool) -> ChannelError:
    """Return what a reply means for the message: the one table of codes."""
    status, code = enhanced_in(why.message), _code(why)
    said = explained(status, _said(why, language), language) if status else _said(why, language)
    if why.code in LOGIN_CODES:
        return NeedsLogin(_said(why, language), code=code)
    if 400 <= why.code < 500:
        return Unreachable(said, certain=True, code=code)
    # A full mailbox is emptied some day. Of 552 without more nobody knows which of both limits it is.
    if status.endswith(".2.2") or (why.code == 552 and not status):
        return Unreachable(said, certain=True, code=code)
    if why.code >= 500:
        return Rejected(said, code=code)
    return Unreachable(f"the mail server answered nonsense: {_said(why, language)}", certain=certain, code=code)


def _said(why: SMTPResponseException, language: Language) -> str:
    text = _CONTROLS.sub(" ", why.message).strip()[:500]
    return with_advice(text, language) or "the mail server refused without a word"


def _code(why: SMTPResponseException) -> str:
    return str(why.code)
