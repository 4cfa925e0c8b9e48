"""One line at Infobip."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import quote

from attrs import evolve

from fernamt import (
    BadSignature,
    Capabilities,
    Channel,
    ConnectorContext,
    DeliveryState,
    InboundEvent,
    OutboundMessage,
    Request,
    Sent,
    Unreachable,
    Webhook,
)
from fernamt_sms.german import speaking, spoken
from fernamt_sms.infobip import events
from fernamt_sms.infobip.api import Api
from fernamt_sms.infobip.codes import DUPLICATE, of_failure
from fernamt_sms.infobip.settings import InfobipSettings
from fernamt_sms.line import Line, OnALine
from fernamt_sms.outcome import error

_RECEIPTS: Final = frozenset({DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.FAILED})
_UNDELIVERABLE: Final = frozenset({2, 5})


class Infobip(OnALine):
    """See the abilities of a connector; each method is one of them."""

    def __init__(self, channel: Channel[InfobipSettings], context: ConnectorContext) -> None:
        self._settings = channel.settings
        self._url = channel.url
        self._line = Line(channel.settings, channel.settings.sender)
        self._api = Api(channel.settings, context.http)
        secrets = (channel.settings.call_secret, channel.settings.new_call_secret)
        self._secrets = tuple(one.reveal() for one in secrets if one is not None)

    def capabilities(self) -> Capabilities:
        """Say what the line can do."""
        return self._line.capabilities(receipts=_RECEIPTS)

    # ---- out
    def id_for(self, message: OutboundMessage) -> str:
        """Choose the id: Infobip takes ours, and its receipts and its log name it."""
        return message.key

    async def send(self, message: OutboundMessage) -> Sent:
        """Send an SMS. Infobip refuses an id that it has: then it took an attempt before this one."""
        with speaking(self._settings.house_language):
            return await self._handed_in(message)

    async def _handed_in(self, message: OutboundMessage) -> Sent:
        sender = self._settings.sender
        said: dict[str, Any] = {
            "sender": sender.removeprefix("+"),
            "destinations": [
                {
                    "to": self._line.recipient(message).removeprefix("+"),
                    "messageId": self.id_for(message),
                }
            ],
            "content": {"text": self._line.text(message)},
            "webhooks": {
                "delivery": {"url": self._address("receipts"), "intermediateReport": True},
                "contentType": "application/json",
            },
        }
        return self._sent(await self._api.send(said), message)

    def _sent(self, said: Mapping[str, Any], message: OutboundMessage) -> Sent:
        status = said.get("status")
        if not isinstance(status, Mapping):
            raise Unreachable("the answer has no status", certain=False)
        name = str(status.get("name", ""))
        if name != DUPLICATE and status.get("groupId") in _UNDELIVERABLE:
            raise error(*of_failure(name, ""))
        return Sent(ids=(self.id_for(message),))

    async def lookup(self, message: OutboundMessage) -> Sent | Literal["not_sent", "unknown"]:
        """Look into the log of the last two days. That it is not there yet says nothing: the log may be behind."""
        ours = self.id_for(message)
        found = await self._api.logs(messageId=ours)
        return Sent(ids=(ours,)) if any(one.get("messageId") == ours for one in found) else "unknown"

    async def verify(self) -> str:
        """Ask for the balance."""
        return f"{self._settings.sender} (balance {await self._api.balance()})"

    # ---- in
    def webhooks(self) -> Sequence[Webhook]:
        """Be called at ``messages`` and at ``receipts``, each with the secret behind it."""
        return (
            Webhook(path="messages", verify=self._verify, parse=self._messages, sign=self._sign),
            Webhook(path="receipts", verify=self._verify, parse=self._receipts, sign=self._sign),
        )

    def _address(self, path: str) -> str:
        return f"{self._url}{path}/{quote(self._secrets[-1], safe='')}"

    def _verify(self, request: Request) -> None:
        given, fits = request.path.encode("utf-8", "surrogateescape"), False
        for secret in self._secrets:
            fits |= hmac.compare_digest(secret.encode(), given)
        if not fits:
            raise BadSignature("what stands behind the address is no call_secret of this channel")

    def _sign(self, request: Request) -> Request:
        secret = self._secrets[0]
        return evolve(request, path=secret, url=f"{request.url.rstrip('/')}/{quote(secret, safe='')}")

    def _messages(self, request: Request) -> Sequence[InboundEvent]:
        return events.messages(request.body, self._settings.region)

    def _receipts(self, request: Request) -> Sequence[InboundEvent]:
        return spoken(events.receipts(request.body), self._settings.house_language)
