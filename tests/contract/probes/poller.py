"""A poller: it takes what waits at the provider, and acknowledges it there only after the commit."""

from attrs import frozen

from fernamt import Address, Channel, ConnectorContext, OutboundMessage, Received, Registry, Rejected, Sent, hookimpl


@frozen(kw_only=True)
class PollerSettings:
    """A mailbox at the provider."""

    base: str
    every_s: float = 0.05


class Poller:
    """One mailbox."""

    def __init__(self, channel: Channel[PollerSettings], context: ConnectorContext) -> None:
        self._settings = channel.settings
        self._context = context

    async def run(self) -> None:
        while True:
            if not await self._polled():
                await self._context.clock.sleep(self._settings.every_s)

    async def _polled(self) -> bool:
        reply = await self._context.http.request("GET", f"{self._settings.base}/waiting")
        waiting = reply.json()
        assert isinstance(waiting, list)
        events = [
            Received(key=one["id"], id=one["id"], sender=Address("probe", one["from"]), text=one["text"])
            for one in waiting
        ]
        if not events:
            return False
        await self._context.intake.accept(events, raw=reply.body, wait=True)
        # Whatever happens from here on: it is on disk, and offered again it is a repeat.
        await self._context.http.request("POST", f"{self._settings.base}/taken", json=[event.id for event in events])
        return True

    async def send(self, message: OutboundMessage) -> Sent:
        raise Rejected("this mailbox is for reading only")


@hookimpl
def fernamt_register(registry: Registry) -> None:
    registry.connector("poller", settings=PollerSettings, factory=Poller, about="A mailbox that is polled")
