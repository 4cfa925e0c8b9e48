"""The channel that drills are made on: a signed webhook in, one HTTP call out. Written like any stranger's plugin."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

import orjson
from attrs import frozen

from fernamt import (
    Address,
    Attachment,
    BadSignature,
    Blob,
    Capabilities,
    Channel,
    ConnectorContext,
    DeliveryState,
    Files,
    Handshake,
    InboundEvent,
    Json,
    OutboundMessage,
    Part,
    Receipt,
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
    """Where the provider is, what its webhooks are signed with, whether it knows repeats by their key, how long it may take."""

    url: str
    signed_with: str
    honours_keys: bool
    timeout_s: float = 1.0


def signature(secret: str, body: bytes) -> str:
    """Return what a webhook carries in ``X-Signature``."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def file_of(key: str, size: int) -> bytes:
    """Return the content of the file that the message *key* brings."""
    return hashlib.shake_128(key.encode()).digest(size)


class DrilledLine:
    """The connector."""

    def __init__(self, channel: Channel[LineSettings], context: ConnectorContext) -> None:
        self._settings = channel.settings
        self._context = context

    def capabilities(self) -> Capabilities:
        return Capabilities(
            idempotent=self._settings.honours_keys,
            in_flight=8,
            files=(Files(max_bytes=2**24),),
            receipts=frozenset({DeliveryState.DELIVERED}),
        )

    def webhooks(self) -> Sequence[Webhook]:
        return (Webhook(path="hook", verify=self._verify, parse=self._parse),)

    def _verify(self, request: Request) -> None:
        expected = signature(self._settings.signed_with, request.body).encode()
        if not hmac.compare_digest(request.headers.get("X-Signature", "").encode(), expected):
            raise BadSignature("X-Signature does not fit the body")

    def _parse(self, request: Request) -> Handshake | Sequence[InboundEvent]:
        message = orjson.loads(request.body)
        if "receipt" in message:
            return [Receipt(key=message["id"], id=message["receipt"], state=DeliveryState.DELIVERED)]
        content = file_of(message["id"], message["file"]) if "file" in message else b""
        return [
            Received(
                key=message["id"],
                id=message["id"],
                sender=Address("drill", message["from"]),
                text=message["text"],
                part=Part(group=message["from"], number=message["part"], total=2) if "part" in message else None,
                attachments=(Attachment(name="f", media_type="text/plain", content=content),) if content else (),
            )
        ]

    async def send(self, message: OutboundMessage) -> Sent:
        digests = [await self._digest(file) for file in message.attachments]
        body: dict[str, Json] = {
            "key": message.key,
            "to": message.to.value,
            "text": message.text,
            "files": digests,
            "attempt": message.attempt,
        }
        reply = await self._context.http.request(
            "POST", self._settings.url, json=body, timeout_s=self._settings.timeout_s
        )
        if reply.status == 429:
            raise Throttled("too fast", after_s=0.1)
        if reply.status == 503:
            raise Unreachable("the provider says that it took nothing", certain=True, code="503")
        if reply.status != 200:
            raise Unreachable("an answer that the provider's table does not know", certain=False)
        return Sent(ids=(orjson.loads(reply.body)["id"],))

    async def _digest(self, file: Attachment) -> str:
        assert isinstance(file.content, Blob)
        digest = hashlib.sha256()
        async for chunk in self._context.blobs.open(file.content):
            digest.update(chunk)
        return digest.hexdigest()


@hookimpl
def fernamt_register(registry: Registry) -> None:
    """Offer the line."""
    registry.connector("drill", settings=LineSettings, factory=DrilledLine, about="the line that drills are made on")
