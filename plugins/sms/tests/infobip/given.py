"""A Infobip channel for the tests."""

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
from fernamt_sms.infobip.connector import Infobip
from fernamt_sms.infobip.settings import InfobipSettings

from .fake import ANN, KEY, SECRET, US, FakeInfobip

URL: Final = "https://desk.example.org/in/shop-sms/"
NOW: Final = datetime(2026, 11, 30, 12, tzinfo=UTC)


def settings(**more: Any) -> InfobipSettings:
    """Return a right section."""
    said: dict[str, Any] = {
        "api": "https://abc123.api.infobip.com",
        "api_key": Secret(KEY),
        "call_secret": Secret(SECRET),
        "sender": US,
    }
    return InfobipSettings(**(said | more))


def message(text: str = "Ihr Paket ist da", **more: Any) -> OutboundMessage:
    """Return a message to Ann."""
    said: dict[str, Any] = {"key": "k1", "entry_key": "e1", "attempt": 1, "to": Address("phone", ANN)} | more
    return OutboundMessage(text=text, **said)


def call(said: Any = b"", *, path: str = "messages", behind: str = SECRET, at: datetime = NOW) -> Request:
    """Return a call of Infobip's, not signed."""
    return Request(
        method="POST",
        url=f"{URL}{path}",
        path=behind,
        query={},
        headers=CIMultiDict({"Content-Type": "application/json"}),
        body=said if isinstance(said, bytes) else orjson.dumps(said),
        at=at,
    )


@frozen
class Given:
    """A channel and the Infobip at its other end."""

    there: FakeInfobip
    context: FakeContext
    line: Infobip


@asynccontextmanager
async def infobip(**more: Any) -> AsyncIterator[Given]:
    """Give a channel at a fake Infobip."""
    async with FakeInfobip() as there, loopback_http(timeout_s=5.0) as http:
        context = FakeContext(http=http)
        there.clock = context.clock
        section = settings(**({"api": there.url} | more))
        channel = Channel(id=ChannelId("shop-sms"), name="Shop", kind="sms.infobip", settings=section, url=URL)
        yield Given(there, context, Infobip(channel, context))
