"""Notify, then fetch: the webhook only says that there is something new, pages bring it, and files are fetched later still."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from attrs import field, frozen
from attrs.validators import min_len

from fernamt import (
    Address,
    Attachment,
    Channel,
    ConnectorContext,
    Fetch,
    InboundEvent,
    NeedsLogin,
    OutboundMessage,
    Page,
    Received,
    Registry,
    Rejected,
    Remote,
    Request,
    Sent,
    Unreachable,
    Unsupported,
    Webhook,
    hookimpl,
)


@frozen(kw_only=True)
class NotifierSettings:
    """An inbox at the provider."""

    base: str = field(validator=min_len(1))
    """Where the provider listens."""


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

    async def verify(self) -> str:
        reply = await self._http.request("GET", f"{self._base}/history")
        if reply.status == 401:
            raise NeedsLogin("the inbox does not know us any more")
        if reply.status != 200:
            raise Unreachable("the inbox has trouble", certain=False, code=str(reply.status))
        return self._base

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
        raise Unsupported("this inbox is for reading only")


@hookimpl
def fernamt_register(registry: Registry) -> None:
    registry.connector("notifier", settings=NotifierSettings, factory=Notifier, about="An inbox that calls for us")
