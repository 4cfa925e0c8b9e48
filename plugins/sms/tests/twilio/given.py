"""A Twilio channel for the tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from attrs import frozen
from multidict import CIMultiDict

from fernamt import Address, Channel, ChannelId, OutboundMessage, Request, Secret
from fernamt.testing import FakeContext, loopback_http
from fernamt_sms.twilio.connector import Twilio
from fernamt_sms.twilio.settings import TwilioSettings

from .fake import ACCOUNT, ANN, TOKEN, US, FakeTwilio

URL: Final = "https://desk.example.org/in/shop-sms/"


def settings(**more: Any) -> TwilioSettings:
    """Return a right section."""
    said: dict[str, Any] = {"account_sid": ACCOUNT, "auth_token": Secret(TOKEN), "sender": US} | more
    return TwilioSettings(**said)


def message(text: str = "Ihr Paket ist da", **more: Any) -> OutboundMessage:
    """Return a message to Ann."""
    said: dict[str, Any] = {"key": "k1", "entry_key": "e1", "attempt": 1, "to": Address("phone", ANN)} | more
    return OutboundMessage(text=text, **said)


def call(
    form: Mapping[str, str] | bytes = b"",
    *,
    path: str = "sms",
    query: str = "",
    headers: Mapping[str, str] | None = None,
    url: str = URL,
) -> Request:
    """Return a call of Twilio's, not signed."""
    body = form if isinstance(form, bytes) else urlencode(form).encode()
    said = {"Content-Type": "application/x-www-form-urlencoded"} if headers is None else headers
    return Request(
        method="POST",
        url=f"{url}{path}{f'?{query}' if query else ''}",
        path="",
        query=dict(one.split("=", 1) for one in query.split("&") if one),
        headers=CIMultiDict(said),
        body=body,
        at=datetime(2026, 11, 30, 12, tzinfo=UTC),
    )


@frozen
class Given:
    """A channel and the Twilio at its other end."""

    there: FakeTwilio
    context: FakeContext
    line: Twilio


@asynccontextmanager
async def twilio(**more: Any) -> AsyncIterator[Given]:
    """Give a channel at a fake Twilio."""
    async with FakeTwilio() as there, loopback_http(timeout_s=5.0) as http:
        context = FakeContext(http=http)
        there.clock = context.clock
        section = settings(api=there.url, **more)
        channel = Channel(id=ChannelId("shop-sms"), name="Shop", kind="sms.twilio", settings=section, url=URL)
        yield Given(there, context, Twilio(channel, context))
