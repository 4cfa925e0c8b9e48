"""A channel's own handlers: below its path, beside the webhooks, within limits; their faults are named and they end in time."""

import asyncio
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import aiohttp
import pytest
from aiohttp import WSCloseCode, web
from structlog.testing import capture_logs

from fernamt._runtime import served as module
from fernamt._runtime.clock import SystemClock
from fernamt._runtime.served import UPLOAD_MAX, Served
from fernamt._runtime.web import BODY_MAX, Web
from fernamt.errors import BadSignature, ConfigError, NotStored


class Site:
    """A web with one channel's handlers, and a client."""

    def __init__(self) -> None:
        async def ready() -> str:
            return ""

        self.web = Web("https://service.example.org", SystemClock(), ready)
        self.port = 0

    async def start(self, *routes: web.RouteDef) -> None:
        self.web.served.add("chat", "parrot", routes, ())
        self.web.serve({})
        self.port = await self.web.start("127.0.0.1", 0)

    async def stop(self) -> None:
        await self.web.stop_listening()
        await self.web.served.close()
        await self.web.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/in/chat"

    async def ask(self, method: str, path: str, **more: Any) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.request(method, self.url + path, **more) as answer:
            return answer.status, await answer.text()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    yield site
    await site.stop()


async def hello(request: web.Request) -> web.Response:
    return web.Response(text=f"hello {request.match_info.get('name', '')}")


def failing(why: Exception) -> Any:
    async def handler(_request: web.Request) -> web.Response:
        raise why

    return handler


async def echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for frame in socket:
        await socket.send_str(frame.data)
    return socket


async def test_routes_lie_below_the_path_of_their_channel(site: Site) -> None:
    await site.start(web.get("/hello", hello), web.get("/hello/{name}", hello))
    assert await site.ask("GET", "/hello") == (200, "hello ")
    assert await site.ask("GET", "/hello/ann") == (200, "hello ann")
    assert (await site.ask("POST", "/hello"))[0] == 404
    assert (await site.ask("GET", "/other"))[0] == 404


async def test_a_websocket_talks(site: Site) -> None:
    await site.start(web.get("/ws", echo))
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{site.url}/ws") as socket:
        await socket.send_str("Hallo")
        assert await socket.receive_str() == "Hallo"


@pytest.mark.parametrize(
    ("why", "status"),
    [
        (KeyError("a bug"), 500),
        (NotStored("full", after_s=3.0), 503),
        (BadSignature("old"), 403),
        (web.HTTPConflict(), 409),
    ],
)
async def test_what_a_handler_raises_becomes_an_answer(site: Site, why: Exception, status: int) -> None:
    await site.start(web.get("/fails", failing(why)))
    with capture_logs() as logs:
        assert (await site.ask("GET", "/fails"))[0] == status
    if status == 500:
        [entry] = logs
        assert (entry["event"], entry["channel"], entry["plugin"], entry["path"]) == (
            "route_failed",
            "chat",
            "parrot",
            "/fails",
        )
    else:
        assert logs == []


async def test_a_body_has_a_length_and_a_limit(site: Site) -> None:
    async def read(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    async def stream(request: web.Request) -> web.Response:
        return web.Response(text=str(sum([len(piece) async for piece in request.content.iter_chunked(65_536)])))

    await site.start(web.post("/read", read), web.post("/stream", stream))
    assert await site.ask("POST", "/read", data=b"x" * 1000) == (200, "1000")
    assert (await site.ask("POST", "/read", data=BytesIO(b"x" * (BODY_MAX + 1))))[0] == 413
    assert await site.ask("POST", "/stream", data=BytesIO(b"x" * (BODY_MAX + 1))) == (200, str(BODY_MAX + 1))
    headers = {"Content-Length": str(UPLOAD_MAX + 1)}
    assert (await site.ask("POST", "/stream", headers=headers))[0] == 413

    async def endless() -> AsyncIterator[bytes]:
        yield b"x"

    assert (await site.ask("POST", "/stream", data=endless()))[0] == 411


@pytest.mark.parametrize(
    ("routes", "webhooks", "said"),
    [
        ([web.get("/hook", hello)], ["hook"], "has a webhook there"),
        ([web.get("/{anything}", hello)], ["hook"], "has a webhook there"),
        ([web.get("/{anything:.*}", hello)], ["a/b"], "has a webhook there"),
        ([web.get("/x", hello), web.get("/x", hello)], [], "will never be executed"),
        (["/x"], [], "which is no route"),
        ([web.get("/{x", hello)], [], "Invalid path"),
    ],
)
def test_routes_that_cannot_be_served_are_refused_by_name(routes: Any, webhooks: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match="parrot serves") as refused:
        Served().add("chat", "parrot", routes, webhooks)
    assert said in str(refused.value)
    assert refused.value.section == "channels.chat"


def test_routes_beside_webhooks_are_taken() -> None:
    Served().add("chat", "parrot", [web.get("/ws", hello), web.get("/hook/{x}", hello)], ["hook", ""])


async def test_when_the_daemon_stops_a_browser_is_told_and_nobody_waits_for_it(site: Site) -> None:
    ended = asyncio.Event()

    async def talk(request: web.Request) -> web.WebSocketResponse:
        try:
            return await echo(request)
        finally:
            ended.set()

    await site.start(web.get("/ws", talk))
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{site.url}/ws") as socket:
        await socket.send_str("Hallo")
        await socket.receive_str()
        closing = asyncio.create_task(site.web.served.close())
        assert (await socket.receive()).type == aiohttp.WSMsgType.CLOSE
        assert socket.close_code == WSCloseCode.GOING_AWAY
        await closing
        assert ended.is_set()
        async with session.get(f"{site.url}/ws") as late:
            assert late.status == 503


async def test_what_does_not_end_is_cut_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLOSING_S", 0.05)
    began, cancelled = asyncio.Event(), asyncio.Event()

    async def stubborn(_request: web.Request) -> web.Response:
        began.set()
        try:
            return await asyncio.Future()
        finally:
            cancelled.set()

    await site.start(web.get("/stream", stubborn))
    asking = asyncio.create_task(site.ask("GET", "/stream"))
    await began.wait()
    with capture_logs() as logs:
        await site.web.served.close()
    assert cancelled.is_set()
    assert [(entry["event"], entry["count"]) for entry in logs] == [("routes_cut_off", 1)]
    asking.cancel()
    await asyncio.wait({asking})
