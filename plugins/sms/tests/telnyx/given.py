"""A Telnyx channel for the tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from attrs import frozen
from multidict import CIMultiDict

from fernamt import Address, Channel, ChannelId, OutboundMessage, Request, Secret
from fernamt.testing import FakeContext, loopback_http
from fernamt_sms.telnyx.connector import Telnyx
from fernamt_sms.telnyx.settings import TelnyxSettings

from .fake import ANN, PRIVATE, TOKEN, US, FakeTelnyx, public

URL: Final = "https://desk.example.org/in/shop-sms/"
NOW: Final = datetime(2026, 11, 30, 12, tzinfo=UTC)


def settings(**more: Any) -> TelnyxSettings:
    """Return a right section."""
    said: dict[str, Any] = {"api_key": Secret(TOKEN), "verify_key": public(PRIVATE), "sender": US} | more
    return TelnyxSettings(**said)


def message(text: str = "Ihr Paket ist da", **more: Any) -> OutboundMessage:
    """Return a message to Ann."""
    said: dict[str, Any] = {"key": "k1", "entry_key": "e1", "attempt": 1, "to": Address("phone", ANN)} | more
    return OutboundMessage(text=text, **said)


def call(said: Any = b"", *, path: str = "messages", at: datetime = NOW) -> Request:
    """Return a call of Telnyx's, not signed."""
    return Request(
        method="POST",
        url=f"{URL}{path}",
        path="",
        query={},
        headers=CIMultiDict({"Content-Type": "application/json"}),
        body=said if isinstance(said, bytes) else orjson.dumps(said),
        at=at,
    )


@frozen
class Given:
    """A channel and the Telnyx at its other end."""

    there: FakeTelnyx
    context: FakeContext
    line: Telnyx


@asynccontextmanager
async def telnyx(**more: Any) -> AsyncIterator[Given]:
    """Give a channel at a fake Telnyx."""
    async with FakeTelnyx() as there, loopback_http(timeout_s=5.0) as http:
        context = FakeContext(http=http)
        there.clock = context.clock
        section = settings(**({"api": there.url} | more))
        channel = Channel(id=ChannelId("shop-sms"), name="Shop", kind="sms.telnyx", settings=section, url=URL)
        yield Given(there, context, Telnyx(channel, context))
