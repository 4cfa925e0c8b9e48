"""The outbound benchmark's connector: one HTTP call for each message, as any connector of a web API makes it, no more."""

from __future__ import annotations

from attrs import frozen

from fernamt import (
    Capabilities,
    Channel,
    ConnectorContext,
    OutboundMessage,
    Registry,
    Sent,
    Unreachable,
    hookimpl,
)


@frozen
class SenderSettings:
    """Where the provider is, and how many calls it takes at a time."""

    url: str
    in_flight: int


class BenchSender:
    """The connector."""

    def __init__(self, channel: Channel[SenderSettings], context: ConnectorContext) -> None:
        self._settings = channel.settings
        self._http = context.http

    def capabilities(self) -> Capabilities:
        return Capabilities(in_flight=self._settings.in_flight)

    async def send(self, message: OutboundMessage) -> Sent:
        body = {"key": message.key, "to": message.to.value, "text": message.text}
        reply = await self._http.request("POST", self._settings.url, json=body)
        if reply.status != 200:
            raise Unreachable(f"status {reply.status}", certain=False)
        return Sent(ids=(reply.headers["X-Id"],))


@hookimpl
def fernamt_register(registry: Registry) -> None:
    """Offer the line."""
    registry.connector("sender", settings=SenderSettings, factory=BenchSender, about="the line that benchmarks send on")
