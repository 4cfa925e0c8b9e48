"""A Vonage channel for the tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from attrs import frozen
from multidict import CIMultiDict

from fernamt import Address, Channel, ChannelId, OutboundMessage, Request, Secret
from fernamt.testing import FakeContext, loopback_http
from fernamt_sms.vonage.connector import Vonage
from fernamt_sms.vonage.settings import VonageSettings

from .fake import ANN, KEY, SECRET, SIGNATURE, US, FakeVonage

URL: Final = "https://desk.example.org/in/shop-sms/"
NOW: Final = datetime(2026, 11, 30, 12, tzinfo=UTC)


def settings(**more: Any) -> VonageSettings:
    """Return a right section."""
    said: dict[str, Any] = {
        "account": KEY,
        "api_secret": Secret(SECRET),
        "signature_secret": Secret(SIGNATURE),
        "sender": US,
    }
    return VonageSettings(**(said | more))


def message(text: str = "Ihr Paket ist da", **more: Any) -> OutboundMessage:
    """Return a message to Ann."""
    said: dict[str, Any] = {"key": "k1", "entry_key": "e1", "attempt": 1, "to": Address("phone", ANN)} | more
    return OutboundMessage(text=text, **said)


def call(
    said: Any = b"",
    *,
    path: str = "messages",
    query: Mapping[str, str] | None = None,
    media_type: str = "application/json",
) -> Request:
    """Return a call of Vonage's, not signed."""
    return Request(
        method="POST",
        url=f"{URL}{path}",
        path="",
        query=query or {},
        headers=CIMultiDict({"Content-Type": media_type}),
        body=said if isinstance(said, bytes) else orjson.dumps(said),
        at=NOW,
    )


@frozen
class Given:
    """A channel and the Vonage at its other end."""

    there: FakeVonage
    context: FakeContext
    line: Vonage


@asynccontextmanager
async def vonage(**more: Any) -> AsyncIterator[Given]:
    """Give a channel at a fake Vonage."""
    async with FakeVonage(api=more.get("api", "messages")) as there, loopback_http(timeout_s=5.0) as http:
        context = FakeContext(http=http)
        there.clock = context.clock
        section = settings(messages_url=there.url, sms_url=there.url, **more)
        channel = Channel(id=ChannelId("shop-sms"), name="Shop", kind="sms.vonage", settings=section, url=URL)
        yield Given(there, context, Vonage(channel, context))
