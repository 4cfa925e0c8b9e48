"""The connector of the benchmark of notices: a line whose turn never comes, so that what is queued stays queued."""

from __future__ import annotations

from attrs import frozen

from fernamt import Capabilities, Channel, ConnectorContext, OutboundMessage, Registry, Sent, hookimpl


@frozen
class NoKeys:
    """The line has no settings."""


class BenchIdle:
    """The connector."""

    def __init__(self, channel: Channel[NoKeys], context: ConnectorContext) -> None:
        pass

    def capabilities(self) -> Capabilities:
        return Capabilities(units_per_s=1e-6)

    async def send(self, message: OutboundMessage) -> Sent:
        return Sent()


@hookimpl
def fernamt_register(registry: Registry) -> None:
    """Offer the line."""
    registry.connector("idle", settings=NoKeys, factory=BenchIdle, about="the line that notices wait on")
