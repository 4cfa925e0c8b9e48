"""What comes in, what goes out, and what is said of it when the other side is not well."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fernamt import (
    Address,
    BadSignature,
    Channel,
    ChannelError,
    ChannelId,
    ConnectorContext,
    Http,
    NeedsLogin,
    OutboundMessage,
    Received,
    Rejected,
    Request,
    Secret,
    Sent,
    Throttled,
    Unparsed,
    Unreachable,
)
from fernamt.testing import FaultProxy, FaultyProvider, ProviderFault, WireFault, loopback_http
from fernamt_hello import Hello, HelloSettings, event_of, parse

ANN = {"id": "1", "from": "ann", "text": "Hallo"}


def hello(port: int = 1, http: Http | None = None) -> Hello:
    settings = HelloSettings(url=f"http://127.0.0.1:{port}/", secret=Secret("s"))
    channel = Channel(id=ChannelId("hello"), name="Hello", kind="hello", settings=settings, url="")
    return Hello(channel, cast("ConnectorContext", SimpleNamespace(http=http)))


def call(body: bytes, signature: str) -> Request:
    headers = {"X-Signature": signature}
    return Request(method="POST", url="", path="", query={}, headers=headers, body=body, at=datetime.now(UTC))


async def said(port: int) -> object:
    """Return what one message came to."""
    message = OutboundMessage(key="k1", entry_key="e1", attempt=1, to=Address("hello", "ann"), text="Guten Tag")
    async with loopback_http(timeout_s=0.2) as http:
        try:
            return await hello(port, http).send(message)
        except ChannelError as why:
            return why


@pytest.mark.parametrize("signature", ["", "00", hmac.new(b"another", b"[]", hashlib.sha256).hexdigest()])
def test_who_does_not_sign_is_not_heard(signature: str) -> None:
    [webhook] = hello().webhooks()
    webhook.verify(call(b"[]", hmac.new(b"s", b"[]", hashlib.sha256).hexdigest()))
    with pytest.raises(BadSignature):
        webhook.verify(call(b"[]", signature))


def test_a_message_is_known_again_by_its_id_and_what_is_none_keeps_nobody_up() -> None:
    broken, message = parse(call(json.dumps([{"id": 7}, ANN]).encode(), ""))

    assert message == Received(key="1", id="1", sender=Address("hello", "ann"), sender_name="ann", text="Hallo")
    assert isinstance(broken, Unparsed)
    assert broken == event_of({"id": 7})


@pytest.mark.parametrize(
    ("fault", "says", "arrived"),
    [
        (ProviderFault(), Sent, 1),
        (ProviderFault.throttled(after_s=7), Throttled, 0),
        (ProviderFault.failed(401), NeedsLogin, 0),
        (ProviderFault.failed(422), Rejected, 0),
        (ProviderFault.failed(503), Unreachable, 0),
        (ProviderFault.html(), Unreachable, 1),
        (ProviderFault.lost_answer(), Unreachable, 1),
        (ProviderFault.cut_short(), Unreachable, 1),
        (ProviderFault.slow(0.3), Unreachable, 1),
    ],
)
async def test_whatever_they_do_a_repeat_makes_no_second_copy(fault: ProviderFault, says: type, arrived: int) -> None:
    async with FaultyProvider(honours_keys=True) as provider:
        provider.next(fault)
        first: Any = await said(provider.port)
        assert isinstance(first, says)
        assert not getattr(first, "certain", False)
        assert getattr(first, "after_s", 7) == 7
        assert len(provider.acted) == arrived
        assert isinstance(await said(provider.port), Sent)
        assert len(provider.acted) == 1


async def test_where_nobody_listens_nothing_was_sent_and_a_broken_line_leaves_it_open() -> None:
    async with FaultyProvider() as provider, FaultProxy("127.0.0.1", provider.port) as proxy:
        proxy.next(WireFault.reset())
        broken = await said(proxy.port)
        port = proxy.port
    nobody = await said(port)
    assert (cast("Unreachable", broken).certain, cast("Unreachable", nobody).certain) == (False, True)
