"""One line at Bird, as MessageBird is called since: calls in, calls out, and a look at what we missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from fernamt import (
    Capabilities,
    Channel,
    ConnectorContext,
    DeliveryState,
    InboundEvent,
    NeedsLogin,
    OutboundMessage,
    Page,
    Receipt,
    Request,
    Sent,
    Webhook,
)
from fernamt_sms.german import speaking, spoken
from fernamt_sms.line import Line, OnALine
from fernamt_sms.messagebird.api import Api
from fernamt_sms.messagebird.events import KEY, failure, listed, read
from fernamt_sms.messagebird.settings import MessageBirdSettings
from fernamt_sms.messagebird.signature import Keys, check, sign
from fernamt_sms.missed import Missed
from fernamt_sms.number import is_name
from fernamt_sms.reading import Said

_KEPT: Final = timedelta(days=14)
_SETTLED: Final = timedelta(hours=2)
"""A list is by the time at which a message was made: so long after that its status is looked at again."""
_MOST_PARTS: Final = 12
_RECEIPTS: Final = frozenset({DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.FAILED})
_NOT_TAKEN: Final = frozenset({"rejected", "failed"})
_EVENTS: Final = frozenset(
    {"sms.received", "sms.sent", "sms.delivered", "sms.undelivered", "sms.failed", "sms.rejected"}
)
"""What an endpoint has to be told of, so that nothing has to wait for the next look."""


class MessageBird(OnALine):
    """See the abilities of a connector; each method is one of them."""

    def __init__(self, channel: Channel[MessageBirdSettings], context: ConnectorContext) -> None:
        self._settings = channel.settings
        self._url = channel.url
        self._context = context
        self._line = Line(channel.settings, channel.settings.sender)
        self._api = Api(channel.settings, context.http)
        self._missed = Missed(
            read=self._between,
            context=context,
            every_s=channel.settings.reconcile_s,
            kept=_KEPT,
            width=timedelta(days=1),
            overlap=_SETTLED,
        )
        secrets = (channel.settings.webhook_secret, channel.settings.new_webhook_secret)
        self._keys = Keys(tuple(one for one in secrets if one is not None))
        self._ours = "" if is_name(channel.settings.sender) else channel.settings.sender

    def capabilities(self) -> Capabilities:
        """Say what the line can do. Bird forgets a key after some hours, so an unknown outcome is not simply repeated."""
        return self._line.capabilities(receipts=_RECEIPTS, max_units=min(self._settings.max_parts, _MOST_PARTS))

    # ---- out
    async def send(self, message: OutboundMessage) -> Sent:
        """Send an SMS."""
        with speaking(self._settings.house_language):
            return await self._handed_in(message)

    async def _handed_in(self, message: OutboundMessage) -> Sent:
        sender = self._settings.sender
        said = await self._api.send(
            {
                "from": sender,
                "to": self._line.recipient(message),
                "text": self._line.text(message),
                "category": self._settings.category,
                # It comes back with each event and stands in the list: so it settles a message whose answer was lost.
                "metadata": {KEY: message.key},
            },
            key=message.key,
            attempt=message.attempt,
        )
        if (status := said.get("status")) in _NOT_TAKEN:
            wrong = said.get("last_error")
            raise failure(str(status), Said(wrong if isinstance(wrong, Mapping) else {}))
        return Sent(ids=(said["id"],))

    async def lookup(self, message: OutboundMessage) -> Sent | Literal["not_sent", "unknown"]:
        """Look for our key among what went to this number. That it is not there yet says nothing: the list may be behind."""
        to = self._line.recipient(message)
        since = self._context.clock.now() - _KEPT
        found = await self._api.last(direction="outbound", to=to, since=since)
        known = tuple(one["id"] for one in found if _is_ours(one, message.key))
        return Sent(ids=known) if known else "unknown"

    async def verify(self) -> str:
        """Ask for the last message, and for the webhook endpoints: whether one of them is ours."""
        await self._api.last()
        try:
            there = [one for one in await self._api.endpoints() if one.get("url") == f"{self._url}calls"]
        except NeedsLogin:
            return self._settings.sender  # a key that may send need not see the endpoints
        if not there:
            return f"{self._settings.sender} (no webhook endpoint calls {self._url}calls)"
        if there[0].get("status") == "paused":
            return f"{self._settings.sender} (Bird has paused the webhook endpoint)"
        lacks = ", ".join(sorted(_EVENTS.difference(map(str, there[0].get("events") or ()))))
        return (
            f"{self._settings.sender} (the webhook endpoint is not told of {lacks})" if lacks else self._settings.sender
        )

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
        found = read(request.body, self._settings.region, ours=self._ours)
        return spoken(found, self._settings.house_language)

    async def run(self) -> None:
        """Look from time to time what we missed."""
        if self._settings.reconcile_s:
            await self._missed.watch()

    async def fetch(self, cursor: str) -> Page:
        """Return a piece of the history, the oldest first."""
        return await self._missed.page(cursor)

    async def _between(self, start: datetime, end: datetime) -> Sequence[InboundEvent]:
        came = await self._api.between(start, end, direction="inbound", **({"to": self._ours} if self._ours else {}))
        sent = await self._api.between(start, end, direction="outbound", **{"from": self._settings.sender})
        # The newest come first; of those that were made in one moment that is all that says their order.
        elements = sorted((*reversed(came), *reversed(sent)), key=_made)
        found = spoken(listed(elements, self._settings.region), self._settings.house_language)
        # Others may send by the same workspace: what bears no key of ours is theirs.
        return [one for one in found if not isinstance(one, Receipt) or one.message_key]


def _is_ours(said: Any, key: str) -> bool:
    if not isinstance(said, Mapping) or not isinstance(said.get("id"), str):
        return False
    told = said.get("metadata")
    return isinstance(told, Mapping) and told.get(KEY) == key


def _made(element: Any) -> str:
    """Return when a message was made: RFC 3339 in UTC, which sorts as text."""
    at = element.get("created_at") if isinstance(element, Mapping) else ""
    return at if isinstance(at, str) else ""
