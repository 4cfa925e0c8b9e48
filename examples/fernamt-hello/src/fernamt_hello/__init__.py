"""The smallest connector that is still right: words come in by a signed call, and go out by one."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve, field, frozen
from attrs.validators import matches_re

from fernamt import (
    Address,
    BadSignature,
    Capabilities,
    Channel,
    ConnectorContext,
    HttpReply,
    InboundEvent,
    Json,
    NeedsLogin,
    OutboundMessage,
    Received,
    Registry,
    Rejected,
    Request,
    Secret,
    Sent,
    Throttled,
    Unparsed,
    Unreachable,
    Webhook,
    hookimpl,
)

AGAIN_S = 30.0
"""How long to wait if the other side only says that it was too much."""


@frozen(kw_only=True)
class HelloSettings:
    """A channel of kind ``hello``."""

    url: str = field(validator=matches_re("https?://.+"), metadata={"help": "Where our words are posted to."})
    secret: Secret = field(metadata={"help": "What both sides sign with: env:NAME, file:/path or credential:name."})


class Hello:
    """One line."""

    def __init__(self, channel: Channel[HelloSettings], context: ConnectorContext) -> None:
        self._settings = channel.settings
        self._http = context.http

    def capabilities(self) -> Capabilities:
        """Say that the other side knows a repeat by its key, so that what nobody answered may be said again."""
        return Capabilities(max_units=2000, idempotent=True)

    def webhooks(self) -> Sequence[Webhook]:
        """Be called at ``/in/<channel>/said``."""
        return [Webhook(path="said", verify=self._verify, parse=parse, sign=self._signed)]

    async def send(self, message: OutboundMessage) -> Sent:
        """Post one message."""
        body = json.dumps({"to": message.to.value, "text": message.text}).encode()
        headers = {"Idempotency-Key": message.key, "X-Signature": self._sign(body), "Content-Type": "application/json"}
        reply = await self._http.request("POST", self._settings.url, headers=headers, body=body)
        return Sent(ids=ids_of(answered(reply)))

    async def verify(self) -> str:
        """Ask whether they know our signature; nothing is said."""
        answered(await self._http.request("GET", self._settings.url, headers={"X-Signature": self._sign(b"")}))
        return self._settings.url

    def _verify(self, request: Request) -> None:
        said = request.headers.get("X-Signature", "").encode()
        if not hmac.compare_digest(said, self._sign(request.body).encode()):
            raise BadSignature("X-Signature does not fit the body")

    def _signed(self, request: Request) -> Request:
        return evolve(request, headers={**request.headers, "X-Signature": self._sign(request.body)})

    def _sign(self, body: bytes) -> str:
        return hmac.new(self._settings.secret.reveal().encode(), body, hashlib.sha256).hexdigest()


def parse(request: Request) -> Sequence[InboundEvent]:
    """Return what was said. Whatever cannot be read raises, and is kept by the core."""
    return [event_of(one) for one in json.loads(request.body)]


def event_of(one: Mapping[str, Any]) -> InboundEvent:
    """Return one element of a call."""
    match one:
        case {"id": str(number), "from": str(who), "text": str(text)}:
            return Received(key=number, id=number, sender=Address("hello", who), sender_name=who, text=text)
        case _:
            raw = json.dumps(one, sort_keys=True).encode()
            return Unparsed(key=hashlib.sha256(raw).hexdigest(), reason="no id, from and text", raw=raw)


def answered(reply: HttpReply) -> Json:
    """Return what they say, or raise what their status means."""
    match reply.status:
        case 200:
            return reply.json()
        case 401 | 403:
            raise NeedsLogin("they do not accept our signature", code=str(reply.status))
        case 429:
            raise Throttled("too many messages", after_s=reply.retry_after_s(AGAIN_S))
        case status if 400 <= status < 500:
            raise Rejected("they refused it", code=str(status))
        case status:
            raise Unreachable("they have trouble", certain=False, code=str(status))


def ids_of(said: Json) -> tuple[str, ...]:
    """Return the id that they gave the message; whoever gives none has taken it all the same."""
    number = said.get("id") if isinstance(said, Mapping) else None
    return (number,) if isinstance(number, str) else ()


@hookimpl
def fernamt_register(registry: Registry) -> None:
    """Offer the kind of channel."""
    registry.connector("hello", settings=HelloSettings, factory=Hello, about="Signed calls, in and out")
