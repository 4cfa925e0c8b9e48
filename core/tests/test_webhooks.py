"""A provider's calls to us: what arrives, how often, and in which order."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from fernamt.testing import FaultyWebhooks, WebhookFaults


class Ours:
    """The receiving side: notes bodies and answers with the statuses that it is told, then with 200."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.signatures: list[str] = []
        self.statuses: list[int] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.got.append(await request.read())
        self.signatures.append(request.headers.get("X-Signature", ""))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)


@pytest.fixture
async def ours() -> AsyncIterator[Ours]:
    ours, app = Ours(), web.Application()
    app.router.add_post("/hook", ours.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    ours.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield ours
    await runner.cleanup()


@pytest.mark.parametrize(
    ("faults", "arrives"),
    [
        ({}, b"abcde"),
        ({"reversed_by": 3}, b"cbaed"),
        ({"reversed_by": 5, "duplicates": 1}, b"edcbaedcba"),
        ({"delay_s": 0.01, "reversed_by": 9}, b"edcba"),
    ],
)
async def test_calls_arrive_in_the_order_of_their_faults(ours: Ours, faults: dict[str, Any], arrives: bytes) -> None:
    async with FaultyWebhooks(ours.url, faults=WebhookFaults(**faults)) as webhooks:
        webhooks.tell(*(bytes([letter]) for letter in b"abcde"))
        await webhooks.settled()
    assert b"".join(ours.got) == arrives


async def test_each_is_repeated_as_often_as_it_is_told(ours: Ours) -> None:
    async with FaultyWebhooks(ours.url, faults=WebhookFaults(duplicates=2)) as webhooks:
        webhooks.tell(b"a", b"b")
        await webhooks.settled()
    assert sorted(ours.got) == [b"a"] * 3 + [b"b"] * 3


async def test_what_is_not_answered_with_a_yes_is_called_again_with_the_same_bytes(ours: Ours) -> None:
    ours.statuses = [503, 500, 403]
    async with FaultyWebhooks(ours.url, headers=lambda body: {"X-Signature": body.decode() * 2}) as webhooks:
        webhooks.tell(b"a")
        await webhooks.settled()
    assert ours.got == [b"a"] * 4
    assert ours.signatures == ["aa"] * 4
    assert [status for _, status in webhooks.statuses] == [503, 500, 403, 200]


async def test_what_is_never_taken_is_given_up(ours: Ours) -> None:
    ours.statuses = [503] * 9
    async with FaultyWebhooks(ours.url, faults=WebhookFaults(gives_up_after=3)) as webhooks:
        webhooks.tell(b"a")
        await webhooks.settled()
    assert (len(ours.got), webhooks.given_up) == (3, [b"a"])


async def test_nobody_there_is_no_answer(unused_tcp_port: int) -> None:
    faults = WebhookFaults(gives_up_after=2)
    async with FaultyWebhooks(f"http://127.0.0.1:{unused_tcp_port}/hook", faults=faults) as webhooks:
        webhooks.tell(b"a")
        await webhooks.settled()
    assert webhooks.statuses == [(b"a", 0)] * 2


async def test_leaving_early_stops_calling(ours: Ours) -> None:
    ours.statuses = [503] * 1000
    async with FaultyWebhooks(ours.url) as webhooks:
        webhooks.tell(b"a")
        while not ours.got:
            await asyncio.sleep(0)
    assert len(ours.got) < 100
    assert webhooks.given_up == []
