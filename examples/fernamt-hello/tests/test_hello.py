"""Every rule of the kit, and the table of what is said when the other side is not well."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from fernamt import (
    Channel,
    ChannelError,
    ChannelId,
    NeedsLogin,
    OutboundMessage,
    Rejected,
    Secret,
    Sent,
    Throttled,
    Unreachable,
)
from fernamt.testing import ConnectorConformance, FakeContext, FaultyProvider, ProviderFault, loopback_http
from fernamt_hello import AGAIN_S, Hello, HelloSettings


class TestHello(ConnectorConformance):
    kind = "hello"

    def server(self) -> FaultyProvider:
        return FaultyProvider(honours_keys=True)

    def settings(self, server: FaultyProvider) -> Mapping[str, object]:
        return {"url": server.url, "secret": Secret("what both sides know")}


async def said(provider: FaultyProvider) -> object:
    """Return what one message came to."""
    settings = HelloSettings(url=provider.url, secret=Secret("s"))
    channel = Channel(id=ChannelId("hello"), name="", kind="hello", settings=settings, url="")
    message = OutboundMessage(key="k1", entry_key="e1", attempt=1, to=TestHello().recipient(), text="Guten Tag")
    async with loopback_http(timeout_s=0.2) as http:
        try:
            return await Hello(channel, FakeContext(http=http)).send(message)
        except ChannelError as why:
            return why


@pytest.mark.parametrize(
    ("fault", "says", "arrived"),
    [
        (ProviderFault(), Sent, 1),
        (ProviderFault(body=b'["no id"]'), Sent, 1),
        (ProviderFault.throttled(), Throttled, 0),
        (ProviderFault.failed(401), NeedsLogin, 0),
        (ProviderFault.failed(403), NeedsLogin, 0),
        (ProviderFault.refused(), Rejected, 0),
        (ProviderFault.failed(503), Unreachable, 0),
        (ProviderFault.lost_answer(), Unreachable, 1),
    ],
)
async def test_whatever_they_do_a_repeat_makes_no_second_copy(fault: ProviderFault, says: type, arrived: int) -> None:
    async with FaultyProvider(honours_keys=True) as provider:
        provider.next(fault)
        first = await said(provider)
        assert isinstance(first, says)
        assert getattr(first, "after_s", AGAIN_S) == AGAIN_S
        assert len(provider.acted) == arrived
        assert isinstance(await said(provider), Sent)
        assert len(provider.acted) == 1
