"""One line at Vonage, by its Messages API or its SMS API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final

from aiohttp import web

from fernamt import (
    Attachment,
    Capabilities,
    Channel,
    ConnectorContext,
    DeliveryState,
    Files,
    InboundEvent,
    OutboundMessage,
    Request,
    Sent,
    Unparsable,
    Webhook,
)
from fernamt_sms.german import speaking, spoken
from fernamt_sms.line import Line, OnALine
from fernamt_sms.pictures import Pictures
from fernamt_sms.text import Encoding, encoding_of
from fernamt_sms.vonage import events
from fernamt_sms.vonage.api import Api
from fernamt_sms.vonage.settings import VonageSettings
from fernamt_sms.vonage.signature import (
    Keys,
    check_parameters,
    check_token,
    parameters,
    sign_parameters,
    sign_token,
)

_PICTURE_BYTES: Final = 600_000
_MEDIA_MAX_BYTES: Final = 25 * 1_048_576
_RECEIPTS: Final = frozenset({DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.FAILED})


class Vonage(OnALine):
    """See the abilities of a connector; each method is one of them."""

    def __init__(self, channel: Channel[VonageSettings], context: ConnectorContext) -> None:
        self._settings = channel.settings
        self._url = channel.url
        self._http = context.http
        self._line = Line(channel.settings, channel.settings.sender)
        self._api = Api(channel.settings, context.http)
        self._pictures = Pictures(channel.url, context)
        secrets = (channel.settings.signature_secret, channel.settings.new_signature_secret)
        self._keys = Keys(tuple(one for one in secrets if one is not None), channel.settings.signature_method)

    def capabilities(self) -> Capabilities:
        """Say what the line can do."""
        kinds = ("image/jpeg", "image/png", "image/gif")
        files = (Files(media_types=kinds, max_bytes=_PICTURE_BYTES),) if self._settings.mms else ()
        return self._line.capabilities(files=files, receipts=_RECEIPTS)

    # ---- out
    async def send(self, message: OutboundMessage) -> Sent:
        """Send an SMS, or with a picture an MMS. Our key comes back with each receipt: so it settles one whose answer was lost."""
        with speaking(self._settings.house_language):
            return await self._handed_in(message)

    async def _handed_in(self, message: OutboundMessage) -> Sent:
        sender = self._settings.sender
        to, text = self._line.recipient(message), self._line.text(message)
        ends = {"from": sender.removeprefix("+"), "to": to.removeprefix("+")}
        if self._settings.api == "sms":
            kind = "text" if encoding_of(text) is Encoding.GSM else "unicode"
            said = {**ends, "text": text, "type": kind, "status-report-req": "1", "client-ref": message.key}
            # No callback of its own: Vonage takes 100 characters, and it is set for the account anyway.
            return await self._api.send_sms(said)
        return await self._api.send(
            {
                **ends,
                **self._content(text, message.attachments),
                "client_ref": message.key,
                "webhook_url": f"{self._url}receipts",
                "webhook_version": "v1",
            }
        )

    def _content(self, text: str, files: Sequence[Attachment]) -> Mapping[str, str | dict[str, str]]:
        if not files:
            return {"channel": "sms", "message_type": "text", "text": text}
        image = {"url": self._pictures.address(files[0])} | ({"caption": text} if text else {})
        return {"channel": "mms", "message_type": "image", "image": image}

    async def verify(self) -> str:
        """Ask for the balance."""
        return f"{self._settings.account}, {self._settings.sender} (balance {await self._api.balance()} EUR)"

    # ---- in
    def webhooks(self) -> Sequence[Webhook]:
        """Be called at ``messages``, and at ``receipts`` with what became of ours."""
        if self._settings.api == "messages":
            return (
                self._webhook("messages", check_token, sign_token, self._messages),
                self._webhook("receipts", check_token, sign_token, self._statuses),
            )
        return (
            self._webhook("messages", check_parameters, sign_parameters, self._sms),
            self._webhook("receipts", check_parameters, sign_parameters, self._receipts),
        )

    def _webhook(
        self,
        path: str,
        check: Callable[[Request, Keys], None],
        sign: Callable[[Request, Keys], Request],
        parse: Callable[[Request], Sequence[InboundEvent]],
    ) -> Webhook:
        keys = self._keys
        return Webhook(
            path=path,
            verify=lambda request: check(request, keys),
            parse=parse,
            sign=lambda request: sign(request, keys),
        )

    def _messages(self, request: Request) -> Sequence[InboundEvent]:
        return events.messages(request.body, self._settings.region)

    def _sms(self, request: Request) -> Sequence[InboundEvent]:
        return events.sms(_parameters(request), self._settings.region)

    def _statuses(self, request: Request) -> Sequence[InboundEvent]:
        return spoken(events.statuses(request.body), self._settings.house_language)

    def _receipts(self, request: Request) -> Sequence[InboundEvent]:
        return spoken(events.receipts(_parameters(request)), self._settings.house_language)

    def fetch_media(self, ref: str) -> AsyncIterator[bytes]:
        """Yield a picture that a customer sent; Vonage keeps it for two days, for whoever has its address."""
        return self._http.download(ref, max_bytes=_MEDIA_MAX_BYTES)

    def routes(self) -> Sequence[web.RouteDef]:
        """Give Vonage the pictures that we send."""
        return self._pictures.routes() if self._settings.mms else ()


def _parameters(request: Request) -> Mapping[str, str]:
    try:
        return parameters(request)
    except ValueError as why:
        raise Unparsable(f"this is no call of the SMS API: {type(why).__name__}") from None
