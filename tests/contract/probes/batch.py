"""A webhook of batches: signed, with a handshake, and a bad element spoils nothing beside it."""

import hmac
import json
from collections.abc import Sequence
from typing import Any

from attrs import frozen

from fernamt import (
    Address,
    BadSignature,
    Channel,
    ConnectorContext,
    Handshake,
    InboundEvent,
    OutboundMessage,
    Received,
    Registry,
    Request,
    Response,
    Secret,
    Sent,
    Unparsed,
    Webhook,
    hookimpl,
)


@frozen(kw_only=True)
class BatchSettings:
    """A page at the provider."""

    secret: Secret
    """What the provider signs with."""


class Batch:
    """One page."""

    def __init__(self, channel: Channel[BatchSettings], context: ConnectorContext) -> None:
        self._secret = channel.settings.secret

    def webhooks(self) -> Sequence[Webhook]:
        return [Webhook(path="hook", verify=self._verify, parse=self._parse, done=Response(body=b"thanks"))]

    def _verify(self, request: Request) -> None:
        secret = self._secret.reveal()
        if request.method == "GET":
            right, given = secret, request.query.get("token", "")
        else:
            right, given = hmac.digest(secret.encode(), request.body, "sha256").hex(), request.headers.get("X-Sign", "")
        if not hmac.compare_digest(right.encode(), given.encode()):
            raise BadSignature("it was not signed with our secret")

    def _parse(self, request: Request) -> Handshake | Sequence[InboundEvent]:
        if request.method == "GET":
            return Handshake(Response(body=request.query["challenge"].encode()))
        return [self._event(element) for element in json.loads(request.body)["messages"]]

    def _event(self, element: Any) -> InboundEvent:
        try:
            sender = Address("probe", element["from"])
            return Received(key=element["id"], id=element["id"], sender=sender, text=element["text"])
        except (KeyError, TypeError) as why:
            raw = json.dumps(element).encode()
            return Unparsed(key=f"bad:{raw.hex()}", reason=f"an element without {why}", raw=raw)

    async def send(self, message: OutboundMessage) -> Sent:
        return Sent(ids=(message.key,))


@hookimpl
def fernamt_register(registry: Registry) -> None:
    registry.connector("batch", settings=BatchSettings, factory=Batch, about="A page that calls us")
