"""One line at Sinch: calls in, calls out, and a look at what we missed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from aiohttp import web

from fernamt import (
    Capabilities,
    Channel,
    ConnectorContext,
    DeliveryState,
    Files,
    InboundEvent,
    OutboundMessage,
    Page,
    Receipt,
    Request,
    Sent,
    Webhook,
)
from fernamt_sms.german import speaking, spoken
from fernamt_sms.line import Line, OnALine
from fernamt_sms.missed import Missed
from fernamt_sms.pictures import Pictures
from fernamt_sms.sinch.api import Api
from fernamt_sms.sinch.events import listed, read
from fernamt_sms.sinch.settings import SinchSettings
from fernamt_sms.sinch.signature import Keys, check, sign
from fernamt_sms.validators import NUMBER

_KEPT: Final = timedelta(days=14)
_MMS_BYTES: Final = 1_000_000
_MEDIA_MAX_BYTES: Final = 25 * 1_048_576
_RECEIPTS: Final = frozenset({DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.FAILED})


class Sinch(OnALine):
    """See the abilities of a connector; each method is one of them."""

    def __init__(self, channel: Channel[SinchSettings], context: ConnectorContext) -> None:
        self._settings = channel.settings
        self._url = channel.url
        self._context = context
        self._line = Line(channel.settings, channel.settings.sender)
        self._api = Api(channel.settings, context.http)
        self._pictures = Pictures(channel.url, context)
        self._missed = Missed(
            read=self._between,
            context=context,
            every_s=channel.settings.reconcile_s,
            kept=_KEPT,
            width=timedelta(days=1),
        )
        secrets = (channel.settings.webhook_secret, channel.settings.new_webhook_secret)
        self._keys = Keys(tuple(one for one in secrets if one is not None))

    def capabilities(self) -> Capabilities:
        """Say what the line can do."""
        kinds = ("image/jpeg", "image/png", "image/gif")
        files = (Files(media_types=kinds, max_bytes=_MMS_BYTES),) if self._settings.mms else ()
        return self._line.capabilities(files=files, receipts=_RECEIPTS)

    # ---- out
    async def send(self, message: OutboundMessage) -> Sent:
        """Send an SMS, or with a picture an MMS, as a batch of one."""
        with speaking(self._settings.house_language):
            return await self._handed_in(message)

    async def _handed_in(self, message: OutboundMessage) -> Sent:
        sender = self._settings.sender
        to, text = self._line.recipient(message), self._line.text(message)
        said: dict[str, Any] = {
            "from": sender,
            "to": [to],
            "type": "mt_text",
            "body": text,
            "delivery_report": "per_recipient",
            # It comes back with each report, and Sinch can be asked for it: so it settles a message whose answer was lost.
            "client_reference": message.key,
            "callback_url": f"{self._url}calls",
        }
        if message.attachments:
            body = {"url": self._pictures.address(message.attachments[0])} | ({"message": text} if text else {})
            said |= {"type": "mt_media", "body": body}
        return Sent(ids=(await self._api.send(said),))

    async def lookup(self, message: OutboundMessage) -> Sent | Literal["not_sent", "unknown"]:
        """Ask for the messages with our key. That there is none yet says nothing: the list may be behind."""
        since = self._context.clock.now() - _KEPT
        found = await self._api.batches(client_reference=message.key, start_date=since.strftime("%Y-%m-%dT%H:%M:%SZ"))
        ids = [one.get("id") for one in found if _is(one, "client_reference", message.key)]
        known = tuple(id_ for id_ in ids if isinstance(id_, str) and id_)
        return Sent(ids=known) if known else "unknown"

    async def verify(self) -> str:
        """Ask for the last message that was sent."""
        await self._api.batches()
        return f"{self._settings.plan}, {self._settings.sender}"

    # ---- in
    def webhooks(self) -> Sequence[Webhook]:
        """Be called at ``calls`` with everything."""
        keys = self._keys
        return (
            Webhook(
                path="calls",
                verify=lambda request: check(request, keys),
                parse=self._parse,
                sign=lambda request: sign(request, keys),
            ),
        )

    def _parse(self, request: Request) -> Sequence[InboundEvent]:
        return spoken(read(request.body, self._settings.region), self._settings.house_language)

    async def run(self) -> None:
        """Look from time to time what we missed: Sinch calls for a day, but never again where we once said 4xx."""
        if self._settings.reconcile_s:
            await self._missed.watch()

    async def fetch(self, cursor: str) -> Page:
        """Return a piece of the history, the oldest first."""
        return await self._missed.page(cursor)

    async def _between(self, start: datetime, end: datetime) -> Sequence[InboundEvent]:
        ours = self._settings.sender
        only = {"to": ours.removeprefix("+")} if NUMBER.fullmatch(ours) else {}
        came = await self._api.between("inbounds", start, end, **only)
        told = await self._api.between("delivery_reports", start, end)
        # Sinch gives the newest first; of those that came in one moment that is all that says their order.
        elements = sorted((*reversed(came), *reversed(told)), key=_order)
        found = spoken(listed(elements, self._settings.region), self._settings.house_language)
        # Others may send by the same plan: what bears no key of ours is theirs.
        return [one for one in found if not isinstance(one, Receipt) or one.message_key]

    def fetch_media(self, ref: str) -> AsyncIterator[bytes]:
        """Yield a picture that a customer sent; Sinch keeps it for a while, for whoever has its address."""
        return self._context.http.download(ref, max_bytes=_MEDIA_MAX_BYTES)

    def routes(self) -> Sequence[web.RouteDef]:
        """Give Sinch the pictures that we send."""
        return self._pictures.routes() if self._settings.mms else ()


def _is(said: Any, name: str, value: str) -> bool:
    return isinstance(said, Mapping) and said.get(name) == value


def _order(element: Any) -> str:
    """Return when an element came: RFC 3339 in UTC, which sorts as text."""
    at = element.get("received_at") or element.get("at") if isinstance(element, Mapping) else ""
    return at if isinstance(at, str) else ""
