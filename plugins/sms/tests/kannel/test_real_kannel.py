"""A real Kannel: what we hand over reaches the operator as it was written, and what comes from there reaches us."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from attrs import frozen

from fernamt import (
    Address,
    Channel,
    ChannelId,
    InboundEvent,
    NeedsLogin,
    OutboundMessage,
    Receipt,
    Received,
    Request,
    Secret,
    Sent,
    Unreachable,
)
from fernamt.testing import FakeContext, loopback_http
from fernamt_sms.alphabet import to_septets
from fernamt_sms.kannel.connector import Kannel
from fernamt_sms.kannel.settings import KannelSettings
from fernamt_sms.text import Encoding, segment

from .gateway import PASSWORD, USER, Operator, operator_of, running_kannel
from .gateway import Kannel as RealKannel

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

ANN = "+4915112345678"
SECRET = "inbound-Secret_1"


@frozen
class Given:
    """A channel, the Kannel at its other end, the operator behind that, and what came to us."""

    line: Kannel
    real: RealKannel
    operator: Operator
    events: asyncio.Queue[InboundEvent]


@asynccontextmanager
async def kannel(**more: Any) -> AsyncIterator[Given]:
    """Give a channel at a real Kannel, whose calls are taken as the daemon takes them."""
    events = asyncio.Queue[InboundEvent]()
    line: Kannel

    async def taken(request: web.Request) -> web.Response:
        kind, _, path = request.path.removeprefix("/in/k/").partition("/")
        [hook] = [one for one in line.webhooks() if one.path == kind]
        url = f"{ours}{request.raw_path.removeprefix('/in/k/')}"
        said = Request(
            method=request.method,
            url=url,
            path=path,
            query=request.query,
            headers=request.headers,
            body=b"",
            at=datetime.now(UTC),
        )
        hook.verify(said)
        parsed = hook.parse(said)
        assert isinstance(parsed, list)
        for event in parsed:
            events.put_nowait(event)
        return web.Response(status=hook.done.status, body=hook.done.body)

    app = web.Application()
    app.router.add_route("*", "/in/k/{path:.*}", taken)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    ours = f"http://127.0.0.1:{runner.addresses[0][1]}/in/k/"
    try:
        with running_kannel(ours, SECRET) as real:
            async with operator_of(real) as operator, loopback_http(timeout_s=10) as http:
                said: dict[str, Any] = {
                    "url": real.sendsms,
                    "user": USER,
                    "password": Secret(PASSWORD),
                    "sender": "Example",
                    "inbound_secret": Secret(SECRET),
                }
                settings = KannelSettings(**said | more)
                line = Kannel(
                    Channel(id=ChannelId("k"), name="K", kind="sms.kannel", settings=settings, url=ours),
                    FakeContext(http=http),
                )
                yield Given(line, real, operator, events)
    finally:
        await runner.cleanup()


def message(text: str, key: str) -> OutboundMessage:
    return OutboundMessage(key=key, entry_key=key, attempt=1, to=Address("phone", ANN), text=text)


TEXTS = [
    "Größe 38: 5 € [x] {y} ~ @ £ Δ \\ ^ | 100% & more = ?",
    " Leerzeichen vorn und hinten ",
    "Привет, Анна! 👋🏽 Ihr Paket ist da.",
    "Ihr Paket ist da. Es wiegt 3 kg und kostet 5 €. " * 8,
    "Пакет пришёл. 👨‍👩‍👧‍👦 " * 12,
]


async def test_every_text_reaches_the_operator_as_it_was_written_and_its_reports_reach_us() -> None:
    async with kannel() as it:
        for number, text in enumerate(TEXTS):
            segments = segment(text)
            sent = await it.line.send(message(text, f"k{number}"))
            assert len(sent.ids) == len(segments.parts)
            for at, part in enumerate(segments.parts, 1):
                took = await asyncio.wait_for(it.operator.take(), 10)
                assert (took.sender, took.to) == ("Example", ANN)
                expected = part.encode() if segments.encoding is Encoding.GSM else part.encode("utf-16-be")
                assert took.content == expected
                assert took.udh[3:] == (
                    bytes([took.udh[3], len(segments.parts), at]) if len(segments.parts) > 1 else b""
                )
                if segments.encoding is Encoding.GSM:
                    assert len(took.udh) * 8 + len(to_septets(part)) * 7 <= 140 * 8
                else:
                    assert len(took.udh) + len(took.content) <= 140
            states: list[str] = []
            while len(states) < 2:
                event = await asyncio.wait_for(it.events.get(), 10)
                assert isinstance(event, Receipt)
                assert (event.id, event.message_key) == (sent.ids[-1], f"k{number}")
                states.append(event.state.value)
            assert sorted(states) == ["delivered", "sent"]


async def test_what_a_customer_writes_reaches_us_and_the_answer_is_not_sent_to_them() -> None:
    async with kannel(region="DE") as it:
        for words, text in (
            (b"Hallo = & 100%", "Hallo = & 100%"),
            ("Größe €".encode(), "Größe €"),
            (b"Gr\xf6\xdfe", "Größe"),
        ):
            await it.operator.say(ANN, "12345", words)
            event = await asyncio.wait_for(it.events.get(), 10)
            assert isinstance(event, Received)
            assert (event.sender, event.text) == (Address("phone", ANN), text)
        await it.line.send(message("Ende", "k1"))
        assert (await asyncio.wait_for(it.operator.take(), 10)).content == b"Ende"


async def test_a_wrong_password_and_a_kannel_that_is_gone_are_told() -> None:
    async with kannel() as it:
        assert (await it.line.verify()).startswith("fernamt at 127.0.0.1:")
        assert isinstance(await it.line.send(message("da", "k1")), Sent)
        it.real.kill()
        with pytest.raises(Unreachable):
            await it.line.send(message("weg", "k2"))  # on a connection that stood: nobody knows
        with pytest.raises(Unreachable) as why:
            await it.line.send(message("weg", "k3"))
        assert why.value.certain
    async with kannel(password=Secret("other")) as it:
        for attempt in (it.line.verify(), it.line.send(message("x", "k3"))):
            with pytest.raises(NeedsLogin):
                await attempt
