"""What the outbound benchmark measures against: a provider that takes everything, and a client that only posts.

provider   answers 200 with an id of its own; GET /count says how many it took
bare       the ceiling: aiohttp and uvloop, the same bodies, as many at a time; nothing is kept, nothing is decided
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator

import aiohttp
import orjson
import uvloop
from aiohttp import web


async def provide(port: int) -> None:
    """Serve until killed."""
    took = 0

    async def take(request: web.Request) -> web.Response:
        nonlocal took
        message = orjson.loads(await request.read())
        took += 1
        return web.Response(headers={"X-Id": f"p{took}-{message['key']}"})

    async def count(_request: web.Request) -> web.Response:
        return web.Response(text=str(took))

    app = web.Application()
    app.router.add_post("/send", take)
    app.router.add_get("/count", count)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


async def post(url: str, messages: int, at_a_time: int) -> tuple[float, float]:
    """Post so many bodies, after a tenth of them as a warm-up; return how many went a second, and the processor time of one."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=at_a_time)) as session:
        await _posted(session, url, messages // 10, at_a_time)
        began, used = time.perf_counter(), time.process_time()
        await _posted(session, url, messages, at_a_time)
        return messages / (time.perf_counter() - began), (time.process_time() - used) / messages * 1e6


async def _posted(session: aiohttp.ClientSession, url: str, messages: int, at_a_time: int) -> None:
    numbers = iter(range(messages))
    await asyncio.gather(*(_worker(session, url, numbers) for _ in range(at_a_time)))


async def _worker(session: aiohttp.ClientSession, url: str, numbers: Iterator[int]) -> None:
    for number in numbers:
        body = orjson.dumps({"key": f"a1b2c3d4d{number}", "to": f"{number:032x}", "text": text(number)})
        async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as answer:
            assert answer.status == 200
            assert answer.headers["X-Id"]
            await answer.read()


def text(number: int) -> str:
    """Return what message *number* says: 250 characters."""
    return f"{number:9} " + "Ihre Bestellung ist unterwegs. " * 7 + "Danke!!"


def main() -> None:
    """Run ``senders.py provider PORT`` or ``senders.py bare URL MESSAGES AT_A_TIME``."""
    kind, where, *more = sys.argv[1:]
    if kind == "provider":
        os.sched_setaffinity(0, {1})
        uvloop.run(provide(int(where)))
    else:
        os.sched_setaffinity(0, {0})
        print(*uvloop.run(post(where, int(more[0]), int(more[1]))))


if __name__ == "__main__":
    main()
