"""Notify, then fetch: the webhook only says that there is something new, pages bring it, and files are fetched later still."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from attrs import frozen

from fernamt import (
    Address,
    Attachment,
    Channel,
    ConnectorContext,
    Fetch,
    InboundEvent,
    OutboundMessage,
    Page,
    Received,
    Registry,
    Rejected,
    Remote,
    Request,
    Sent,
    Webhook,
    hookimpl,
)


@frozen(kw_only=True)
class NotifierSettings:
    """An inbox at the provider."""

    base: str


class Notifier:
    """One inbox."""

    def __init__(self, channel: Channel[NotifierSettings], context: ConnectorContext) -> None:
        self._base = channel.settings.base
        self._http = context.http

    def webhooks(self) -> Sequence[Webhook]:
        return [Webhook(path="hook", verify=self._verify, parse=self._parse)]

    def _verify(self, request: Request) -> None:
        """Whoever calls learns nothing and makes us ask the provider once: nothing is believed that stands in the call."""

    def _parse(self, request: Request) -> Sequence[InboundEvent]:
        return [Fetch(request.query.get("since", ""))]

    async def fetch(self, cursor: str) -> Page:
        reply = await self._http.request("GET", f"{self._base}/history", query={"since": cursor})
        if reply.status == 410:
            raise Rejected("the provider does not know this cursor any more")
        page: Any = reply.json()
        return Page(events=tuple(self._event(one) for one in page["messages"]), next=page["next"])

    def _event(self, one: Any) -> InboundEvent:
        files = tuple(Attachment(name=ref, media_type="image/png", content=Remote(ref)) for ref in one["files"])
        sender = Address("probe", one["from"])
        return Received(key=one["id"], id=one["id"], sender=sender, text=one["text"], attachments=files)

    def fetch_media(self, ref: str) -> AsyncIterator[bytes]:
        return self._http.download(f"{self._base}/files/{ref}", max_bytes=10_000_000)

    async def send(self, message: OutboundMessage) -> Sent:
        return Sent(ids=(message.key,))


@hookimpl
def fernamt_register(registry: Registry) -> None:
    registry.connector("notifier", settings=NotifierSettings, factory=Notifier, about="An inbox that calls for us")
