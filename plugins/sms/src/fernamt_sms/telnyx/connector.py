"""One line at Telnyx."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

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
    Request,
    Sent,
    Webhook,
)
from fernamt_sms.german import speaking, spoken
from fernamt_sms.line import Line, OnALine
from fernamt_sms.pictures import Pictures
from fernamt_sms.telnyx.api import Api
from fernamt_sms.telnyx.events import MOST_MEDIA, read
from fernamt_sms.telnyx.settings import TelnyxSettings, key_bytes
from fernamt_sms.telnyx.signature import Keys, check

_MMS_BYTES: Final = 1_000_000
_MEDIA_MAX_BYTES: Final = 25 * 1_048_576
_RECEIPTS: Final = frozenset({DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.FAILED})


class Telnyx(OnALine):
    """See the abilities of a connector; each method is one of them."""

    def __init__(self, channel: Channel[TelnyxSettings], context: ConnectorContext) -> None:
        self._settings = channel.settings
        self._url = channel.url
        self._http = context.http
        self._line = Line(channel.settings, channel.settings.sender)
        self._api = Api(channel.settings, context.http)
        self._pictures = Pictures(channel.url, context)
        written = (channel.settings.verify_key, channel.settings.new_verify_key)
        self._keys = Keys.of(*(key_bytes(one) for one in written if one))

    def capabilities(self) -> Capabilities:
        """Say what the line can do.

        Telnyx knows a repeat by its key only where every byte is the same, and the address of a picture is a new one each time.
        """
        mms = self._settings.mms
        kinds = ("image/jpeg", "image/png", "image/gif")
        files = (Files(media_types=kinds, max_bytes=_MMS_BYTES, max_count=MOST_MEDIA),) if mms else ()
        return self._line.capabilities(files=files, receipts=_RECEIPTS, idempotent=not mms)

    # ---- out
    async def send(self, message: OutboundMessage) -> Sent:
        """Send an SMS, or with pictures an MMS."""
        with speaking(self._settings.house_language):
            return await self._handed_in(message)

    async def _handed_in(self, message: OutboundMessage) -> Sent:
        sender = self._settings.sender
        to, text = self._line.recipient(message), self._line.text(message)
        media = [self._pictures.address(file) for file in message.attachments]
        # Its receipts say under Telnyx's signature where they go: so the key in it settles one whose answer was lost. The
        # second address is the first: it gets three more calls.
        receipts = f"{self._receipts}?key={message.key}"
        said: dict[str, Any] = {
            "from": sender,
            "to": to,
            "type": "MMS" if media else "SMS",
            "webhook_url": receipts,
            "webhook_failover_url": receipts,
            "use_profile_webhooks": False,
        }
        if text:
            said["text"] = text
        if media:
            said["media_urls"] = media
        if self._settings.profile:
            said["messaging_profile_id"] = self._settings.profile
        sent = await self._api.send(said, key="" if media else message.key)
        return Sent(ids=(sent["id"],))

    @property
    def _receipts(self) -> str:
        return f"{self._url}receipts"

    async def verify(self) -> str:
        """Ask for the balance, and for the messaging profile: whether it is on, and where its messages go."""
        balance = await self._api.balance()
        who = f"{self._settings.sender} (balance {balance.get('balance', '?')} {balance.get('currency', '')})".rstrip()
        if not self._settings.profile:
            return who
        profile = await self._api.profile(self._settings.profile)
        if profile.get("enabled") is False:
            raise NeedsLogin("the messaging profile at Telnyx is switched off")
        ours = str(profile.get("webhook_url") or "") == f"{self._url}messages"
        return who if ours else f"{who} (its messages do not go to {self._url}messages)"

    # ---- in
    def webhooks(self) -> Sequence[Webhook]:
        """Be called at ``messages``, and at ``receipts`` with what became of ours."""
        return tuple(Webhook(path=path, verify=self._verify, parse=self._parse) for path in ("messages", "receipts"))

    def _verify(self, request: Request) -> None:
        check(request, self._keys)

    def _parse(self, request: Request) -> Sequence[InboundEvent]:
        found = read(request.body, self._settings.region, receipts=self._receipts)
        return spoken(found, self._settings.house_language)

    def fetch_media(self, ref: str) -> AsyncIterator[bytes]:
        """Yield a picture that a customer sent; Telnyx keeps it for a while, for whoever has its address."""
        return self._http.download(ref, max_bytes=_MEDIA_MAX_BYTES)

    def routes(self) -> Sequence[web.RouteDef]:
        """Give Telnyx the pictures that we send."""
        return self._pictures.routes() if self._settings.mms else ()
