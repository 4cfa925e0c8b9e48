"""A line at a provider that is a fake: what the tests of every provider are given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

import orjson
from attrs import frozen
from multidict import CIMultiDict

from fernamt import Address, Channel, ChannelId, OutboundMessage, Request
from fernamt.testing import FakeContext, FaultyProvider, loopback_http

URL: Final = "https://desk.example.org/in/shop-sms/"
NOW: Final = datetime(2026, 11, 30, 12, tzinfo=UTC)
US: Final = "+493023125000"
ANN: Final = "+4915112345678"

There = TypeVar("There", bound=FaultyProvider)
Line = TypeVar("Line")


def message(text: str = "Ihr Paket ist da", **more: Any) -> OutboundMessage:
    """Return a message to Ann."""
    said: dict[str, Any] = {"key": "k1", "entry_key": "e1", "attempt": 1, "to": Address("phone", ANN)} | more
    return OutboundMessage(text=text, **said)


def call(
    said: Any = b"",
    *,
    path: str,
    behind: str = "",
    query: Mapping[str, str] | None = None,
    media_type: str = "application/json",
    at: datetime = NOW,
) -> Request:
    """Return a call of a provider's, not signed: bytes as they are, anything else as JSON."""
    return Request(
        method="POST",
        url=f"{URL}{path}",
        path=behind,
        query=query or {},
        headers=CIMultiDict({"Content-Type": media_type}),
        body=said if isinstance(said, bytes) else orjson.dumps(said),
        at=at,
    )


@frozen
class Given(Generic[There, Line]):
    """A channel and the provider at its other end."""

    there: There
    context: FakeContext
    line: Line


@asynccontextmanager
async def given(
    kind: str, provider: There, make: Callable[[Channel[Any], FakeContext], Line], settings: Callable[[str], Any]
) -> AsyncIterator[Given[There, Line]]:
    """Give a channel of *kind* at a fake; *settings* returns its section, given where the fake listens."""
    async with provider as there, loopback_http(timeout_s=5.0) as http:
        context = FakeContext(http=http)
        there.clock = context.clock
        section = settings(there.url)
        channel = Channel(id=ChannelId("shop-sms"), name="Shop", kind=kind, settings=section, url=URL)
        yield Given(there, context, make(channel, context))


async def looked(it: Given[Any, Any], *, times: int = 1, every_s: float = 900) -> None:
    """Let a line look so many times for what it missed."""
    running = asyncio.create_task(it.line.run())
    for _ in range(times):
        before = len(it.context.clock.slept)
        while len(it.context.clock.slept) == before and not running.done():
            await asyncio.sleep(0)
        it.context.clock.advance(every_s)
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled() or running.result() is None
