"""Against Kannel: its bearerbox as an ESME of the SMSC of our tests, and the SMSC of its own tests as ours."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from fernamt import Received, Secret
from fernamt.testing import FakeContext

from .given import channel, message
from .peers import drive_smpp, kannel
from .smsc import ANN, PASSWORD, US, Smsc, from_ann
from .test_peers import LONG

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


async def test_kannel_finds_the_smsc_of_our_tests_to_be_one() -> None:
    heard: list[tuple[str, bytes]] = []

    async def hear(request: web.Request) -> web.Response:
        heard.append((request.query["from"], request.query["text"].encode("utf-8", "surrogateescape")))
        return web.Response(text="")

    app = web.Application()
    app.router.add_get("/in", hear)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with (
            Smsc() as smsc,
            kannel(smsc_port=smsc.port, http_port=runner.addresses[0][1], password=PASSWORD) as gateway,
            aiohttp.ClientSession() as client,
        ):
            await smsc.until(lambda: smsc.binds)
            for text in ("Grüße €[]", LONG):
                asked = {"username": "test", "password": "test", "from": f"+{US}", "to": f"+{ANN}", "text": text}
                url = f"http://127.0.0.1:{gateway.sendsms_port}/cgi-bin/sendsms"
                async with client.get(url, params={**asked, "charset": "utf-8", "coding": "0"}) as answer:
                    assert answer.status == 202
            await smsc.until(lambda: len(smsc.submitted) == 3)
            smsc.bring(from_ann(data_coding=0, text=b"Guten Tag"))
            await smsc.until(lambda: smsc.taken and heard)
    finally:
        await runner.cleanup()

    assert smsc.arrived == ["Grüße €[]", LONG]
    assert smsc.submitted[0].text.hex() == "47727e1e65201b651b3c1b3e"
    assert heard == [(f"+{ANN}", b"Guten Tag")]


async def test_the_smsc_of_kannels_own_tests_binds_us_in_a_pair_and_is_kept_to_the_last_message() -> None:
    async with drive_smpp(5) as port:
        context = FakeContext()
        said: dict[str, Any] = {"system_id": "foo", "password": Secret("bar"), "system_type": "VMA", "bind": "pair"}
        connector = channel(port, context, **said)
        running = asyncio.create_task(connector.run())
        try:
            await context.ready()
            await context.intake.until(lambda it: len(it.events) >= 5)
            sent = await connector.send(message())
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    assert all(isinstance(event, Received) and event.text for event in context.intake.events)
    assert sent.ids[0]
