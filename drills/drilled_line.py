"""The channel that drills are made on: a signed webhook in, one HTTP call out. Written like any stranger's plugin."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

import orjson
from attrs import frozen

from fernamt import (
    Address,
    BadSignature,
    Capabilities,
    Channel,
    ConnectorContext,
    Handshake,
    InboundEvent,
    OutboundMessage,
    Received,
    Registry,
    Request,
    Sent,
    Throttled,
    Unreachable,
    Webhook,
    hookimpl,
)


@frozen(kw_only=True)
class LineSettings:
    """Where the provider is, what its webhooks are signed with, and whether it knows its own repeats by their key."""

    url: str
    signed_with: str
    honours_keys: bool


def signature(secret: str, body: bytes) -> str:
    """Return what a webhook carries in ``X-Signature``."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class DrilledLine:
    """The connector."""

    def __init__(self, channel: Channel[LineSettings], context: ConnectorContext) -> None:
        self._settings = channel.settings
        self._context = context

    def capabilities(self) -> Capabilities:
        return Capabilities(idempotent=self._settings.honours_keys, in_flight=8)

    def webhooks(self) -> Sequence[Webhook]:
        return (Webhook(path="hook", verify=self._verify, parse=self._parse),)

    def _verify(self, request: Request) -> None:
        expected = signature(self._settings.signed_with, request.body).encode()
        if not hmac.compare_digest(request.headers.get("X-Signature", "").encode(), expected):
            raise BadSignature("X-Signature does not fit the body")

    def _parse(self, request: Request) -> Handshake | Sequence[InboundEvent]:
        message = orjson.loads(request.body)
        sender = Address("drill", message["from"])
        return [Received(key=message["id"], id=message["id"], sender=sender, text=message["text"])]

    async def send(self, message: OutboundMessage) -> Sent:
        body = {"key": message.key, "to": message.to.value, "text": message.text}
        reply = await self._context.http.request("POST", self._settings.url, json=body, timeout_s=1.0)
        if reply.status == 429:
            raise Throttled("too fast", after_s=0.1)
        if reply.status == 503:
            raise Unreachable("the provider says that it took nothing", certain=True, code="503")
        if reply.status != 200:
            raise Unreachable("an answer that the provider's table does not know", certain=False)
        return Sent(ids=(reply.headers["X-Id"],))


@hookimpl
def fernamt_register(registry: Registry) -> None:
    """Offer the line."""
    registry.connector("drill", settings=LineSettings, factory=DrilledLine, about="the line that drills are made on")
