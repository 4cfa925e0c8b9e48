"""A poller: it takes what waits at the provider, and acknowledges it there only after the commit."""

from attrs import field, frozen
from attrs.validators import min_len

from fernamt import (
    Address,
    Channel,
    ConnectorContext,
    HttpReply,
    NeedsLogin,
    OutboundMessage,
    Received,
    Registry,
    Sent,
    Unreachable,
    Unsupported,
    hookimpl,
)


@frozen(kw_only=True)
class PollerSettings:
    """A mailbox at the provider."""

    base: str = field(validator=min_len(1))
    """Where the provider listens."""
    every_s: float = 0.05
    """How often to look."""


class Poller:
    """One mailbox."""

    def __init__(self, channel: Channel[PollerSettings], context: ConnectorContext) -> None:
        self._settings = channel.settings
        self._context = context

    async def run(self) -> None:
        while True:
            if not await self._polled():
                await self._context.clock.sleep(self._settings.every_s)

    async def verify(self) -> str:
        await self._asked("GET", "waiting")
        return self._settings.base

    async def _asked(self, method: str, path: str, said: list[str] | None = None) -> HttpReply:
        json = None if said is None else [*said]
        reply = await self._context.http.request(method, f"{self._settings.base}/{path}", json=json)
        if reply.status == 401:
            raise NeedsLogin("the mailbox does not know us any more")
        if reply.status != 200:
            raise Unreachable("the mailbox has trouble", certain=False, code=str(reply.status))
        return reply

    async def _polled(self) -> bool:
        reply = await self._asked("GET", "waiting")
        waiting = reply.json()
        assert isinstance(waiting, list)
        self._context.report_state("up")
        events = [
            Received(key=one["id"], id=one["id"], sender=Address("probe", one["from"]), text=one["text"])
            for one in waiting
        ]
        if not events:
            return False
        await self._context.intake.accept(events, raw=reply.body, wait=True)
        # Whatever happens from here on: it is on disk, and offered again it is a repeat.
        await self._asked("POST", "taken", [event.id for event in events])
        return True

    async def send(self, message: OutboundMessage) -> Sent:
        raise Unsupported("this mailbox is for reading only")


@hookimpl
def fernamt_register(registry: Registry) -> None:
    registry.connector("poller", settings=PollerSettings, factory=Poller, about="A mailbox that is polled")
