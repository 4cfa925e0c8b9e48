"""One line at Twilio: calls in, calls out, and a look at what we missed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Final, Literal

from aiohttp import web

from fernamt import (
    Capabilities,
    Channel,
    ConnectorContext,
    DeliveryState,
    Files,
    InboundEvent,
    NeedsLogin,
    OutboundMessage,
    Page,
    Rejected,
    Request,
    Response,
    Sent,
    Unparsable,
    Webhook,
)
from fernamt_sms.german import speaking, spoken
from fernamt_sms.line import Line, OnALine
from fernamt_sms.pictures import Pictures
from fernamt_sms.twilio.api import Api
from fernamt_sms.twilio.events import failure, incoming, status
from fernamt_sms.twilio.history import History
from fernamt_sms.twilio.settings import NUMBER, SERVICE, TwilioSettings
from fernamt_sms.twilio.signature import OVERRIDES, Keys, check, fields_of, sign

_NO_ANSWER: Final = Response(body=b"<Response/>", media_type="text/xml")
"""Words in plain text would be sent to the customer."""
_FOUND_WITHIN: Final = timedelta(hours=1)
_MMS_BYTES: Final = 5_000_000
_MMS_FILES: Final = 10
_MOST_PARTS: Final = 10
"""Twilio takes 1,600 characters, and ten parts of the GSM alphabet have 1,530."""


class Twilio(OnALine):
    """See the abilities of a connector; each method is one of them."""

    def __init__(self, channel: Channel[TwilioSettings], context: ConnectorContext) -> None:
        self._settings = channel.settings
        self._url = channel.url
        self._context = context
        self._line = Line(channel.settings, channel.settings.sender)
        self._api = Api(channel.settings, context.http)
        self._history = History(channel.settings, self._api, context)
        self._pictures = Pictures(channel.url, context)
        tokens = (channel.settings.auth_token, channel.settings.new_auth_token)
        # A call is verified and then read: its form is taken apart once.
        self._fields = lru_cache(maxsize=1)(fields_of)
        self._keys = Keys(tuple(one for one in tokens if one is not None), channel.settings.webhook_key)

    def capabilities(self) -> Capabilities:
        """Say what the line can do."""
        kinds = ("image/jpeg", "image/png", "image/gif")
        files = (Files(media_types=kinds, max_bytes=_MMS_BYTES, max_count=_MMS_FILES),) if self._settings.mms else ()
        receipts = frozenset({DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.READ, DeliveryState.FAILED})
        most = min(self._settings.max_parts, _MOST_PARTS)
        return self._line.capabilities(files=files, receipts=receipts, max_units=most)

    # ---- out
    async def send(self, message: OutboundMessage) -> Sent:
        """Send an SMS, or with pictures an MMS."""
        with speaking(self._settings.house_language):
            return await self._sent(message)

    async def _sent(self, message: OutboundMessage) -> Sent:
        sender = self._settings.sender
        to = self._line.recipient(message)
        fields = [("To", to), ("MessagingServiceSid" if SERVICE.fullmatch(sender) else "From", sender)]
        if text := self._line.text(message):
            fields.append(("Body", text))
        fields += [("MediaUrl", self._pictures.address(file)) for file in message.attachments]
        # The key comes back with each status: so it settles a message whose answer was lost.
        fields.append(("StatusCallback", f"{self._url}status?key={message.key}{OVERRIDES}"))
        said = await self._api.send(fields)
        if said.get("status") in {"failed", "undelivered", "canceled"}:
            raise failure(str(said["status"]), str(said.get("error_code") or ""))
        return Sent(ids=(str(said["sid"]),))

    async def lookup(self, message: OutboundMessage) -> Sent | Literal["not_sent", "unknown"]:
        """Look for the one message of the last hour with these words to this number that we do not know yet.

        Twilio keeps no key of ours, so this is a guess where nothing else fits; a status that comes later says more.
        """
        text, known = self._line.text(message), {*message.references, *message.sent_ids, message.reply_to}
        if not text:
            return "unknown"
        found, _ = await self._api.messages(To=self._line.recipient(message))
        since = self._context.clock.now() - _FOUND_WITHIN
        ids = self._history.sent_since(found, text, since) - known
        return Sent(ids=tuple(ids)) if len(ids) == 1 else "unknown"

    async def verify(self) -> str:
        """Ask for the account, and for the number: whether it is ours, and where its messages go."""
        account = await self._api.account()
        if account.get("status", "active") != "active":
            raise NeedsLogin(f"the account at Twilio is {account['status']}")
        who = f"{account.get('friendly_name') or self._settings.account_sid}, {self._settings.sender}"
        if not NUMBER.fullmatch(self._settings.sender):
            return who
        number = await self._api.number(self._settings.sender)
        if number is None:
            raise Rejected(f"the account has no number {self._settings.sender}")
        ours = str(number.get("sms_url") or "").partition("#")[0] == f"{self._url}sms"
        return who if ours else f"{who} (its messages do not go to {self._url}sms)"

    # ---- in
    def webhooks(self) -> Sequence[Webhook]:
        """Be called at ``sms`` with messages, and at ``status`` with what became of ours."""
        return (
            Webhook(path="sms", verify=self._verify, parse=self._incoming, sign=self._sign, done=_NO_ANSWER),
            Webhook(path="status", verify=self._verify, parse=self._status, sign=self._sign, done=_NO_ANSWER),
        )

    def _verify(self, request: Request) -> None:
        check(request, self._keys, read=self._fields)

    def _sign(self, request: Request) -> Request:
        return sign(request, self._keys)

    def _incoming(self, request: Request) -> Sequence[InboundEvent]:
        return spoken(incoming(self._form(request)), self._settings.house_language)

    def _status(self, request: Request) -> Sequence[InboundEvent]:
        told = status(self._form(request), message_key=request.query.get("key", ""))
        return spoken(told, self._settings.house_language)

    def _form(self, request: Request) -> Mapping[str, str]:
        """Return the fields of a call; of one that stands twice the first counts."""
        if request.method == "GET":
            return request.query
        try:
            fields = self._fields(request.headers.get("Content-Type", ""), request.body)
        except ValueError as why:
            raise Unparsable(f"this is no form: {why}") from None
        return dict(reversed(fields))

    async def run(self) -> None:
        """Look from time to time what we missed."""
        if self._settings.reconcile_s:
            await self._history.watch()

    async def fetch(self, cursor: str) -> Page:
        """Return a piece of the history, the oldest first."""
        return await self._history.page(cursor)

    def fetch_media(self, ref: str) -> AsyncIterator[bytes]:
        """Yield a picture that a customer sent."""
        return self._api.download(ref)

    def routes(self) -> Sequence[web.RouteDef]:
        """Give Twilio the pictures that we send."""
        return self._pictures.routes() if self._settings.mms else ()
