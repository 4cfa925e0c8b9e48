"""The other two sides of a drill, each with a ledger of its own: customers who repeat themselves, a provider who answers badly."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict

import aiohttp
import orjson
from aiohttp import web
from attrs import define, field
from drilled_line import signature

REPEATS = 0.03


@define
class Customers:
    """Write until told to stop; each waits for its acknowledgement before it writes on, and repeats what was not answered."""

    urls: list[str]
    """One for each runner: any will do."""
    secret: str
    seed: int
    acknowledged: dict[str, list[str]] = field(factory=lambda: defaultdict(list))
    repeated: int = 0
    stopped: bool = False
    file_bytes: int = 0
    """Every other message brings a file of this size."""
    answers: Counter[int] = field(factory=Counter)
    """How often each status came."""
    _dice: random.Random = field(init=False, factory=lambda: random.Random(0))

    async def write(self, customer: str, session: aiohttp.ClientSession) -> None:
        """Play one customer."""
        dice = random.Random(f"{self.seed}-{customer}")
        number = 0
        while not self.stopped:
            number += 1
            await self._deliver(session, customer, f"{customer}-{number}")
            self.acknowledged[customer].append(f"{customer}-{number}")
            if dice.random() < REPEATS:
                self.repeated += 1
                await self._deliver(session, customer, dice.choice(self.acknowledged[customer]))
            await asyncio.sleep(dice.uniform(0.0, 0.2))

    async def _deliver(self, session: aiohttp.ClientSession, customer: str, key: str) -> None:
        message: dict[str, str | int] = {"id": key, "from": customer, "text": f"text of {key}"}
        if self.file_bytes and int(key.rpartition("-")[2]) % 2:
            message["file"] = self.file_bytes
        body = orjson.dumps(message)
        headers = {"X-Signature": signature(self.secret, body)}
        while True:
            try:
                async with session.post(self._dice.choice(self.urls), data=body, headers=headers) as answer:
                    self.answers[answer.status] += 1
                    if answer.status == 200:
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(0.05)


@define
class Provider:
    """Takes messages; answers late, not at all, or that it took nothing. Keeps what a customer would have got, in order."""

    honours_keys: bool
    seed: int
    got: dict[str, list[str]] = field(factory=lambda: defaultdict(list))
    keys: Counter[str] = field(factory=Counter)
    repeats: int = 0
    arrived: dict[tuple[str, int], float] = field(factory=dict)
    """When an attempt came, by its key and number."""
    dice: random.Random = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.dice = random.Random(self.seed)

    async def take(self, request: web.Request) -> web.Response:
        """Answer one call."""
        message = orjson.loads(await request.read())
        self.arrived[message["key"], message["attempt"]] = time.time()
        chance = self.dice.random()
        if chance < 0.03:
            return web.Response(status=503)
        if chance < 0.05:
            return web.Response(status=429)
        key = message["key"]
        if self.honours_keys and key in self.keys:
            self.repeats += 1
        else:
            self.keys[key] += 1
            self.got[message["to"]].append(message["text"])
        if chance < 0.07:
            assert request.transport is not None
            request.transport.abort()
        elif chance < 0.08:
            await asyncio.sleep(1.5)
        return web.json_response({"id": f"id-{key}"})

    async def start(self) -> str:
        """Listen on a free port and return the address."""
        app = web.Application()
        app.router.add_post("/send", self.take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}/send"

    def doubled(self) -> int:
        """Return how many messages a customer got more than once."""
        return sum(count - 1 for count in self.keys.values() if count > 1)
