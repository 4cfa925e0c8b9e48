"""The benchmark's connector: what any webhook connector does, no more."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from attrs import frozen
from voice_line import Tree
from workload import verified

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
    Sent,
    Unsupported,
    Webhook,
    hookimpl,
)


@frozen
class NoKeys:
    """The line has no settings."""


class BenchLine:
    """The connector."""

    def __init__(self, channel: Channel[NoKeys], context: ConnectorContext) -> None:
        pass

    def webhooks(self) -> Sequence[Webhook]:
        return (Webhook(path="hook", verify=self._verify, parse=self._parse),)

    def _verify(self, request: Request) -> None:
        if not verified(request.headers.get("X-Signature", ""), request.body):
            raise BadSignature("X-Signature does not fit the body")

    def _parse(self, request: Request) -> Handshake | Sequence[InboundEvent]:
        message = orjson.loads(request.body)
        return [
            Received(
                key=message["id"],
                id=message["id"],
                sender=Address("bench", message["from"]),
                sender_name=message["name"],
                text=message["text"],
            )
        ]

    async def send(self, message: OutboundMessage) -> Sent:
        raise Unsupported("the benchmark sends nothing")


@hookimpl
def fernamt_register(registry: Registry) -> None:
    """Offer the line."""
    registry.connector("bench", settings=NoKeys, factory=BenchLine, about="the line that benchmarks are made on")
    registry.connector("bench.voice", settings=NoKeys, factory="voice_line:VoiceLine", about="a telephone line")
    registry.menu("tree", Tree())
