"""A stranger's live chat: WebSockets of its own, resumed by a position, acknowledged with the number that an entry got.

The plugin is a page and imports nothing but ``fernamt``. Two daemons share one PostgreSQL, so whoever holds a browser's socket
need not be who sends to it.
"""

import asyncio
import contextlib
import itertools
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import psycopg
import pytest

from fernamt._runtime import log
from fernamt._runtime.redact import Redactor
from fernamt._store.desk import Composition, compose
from fernamt._store.writer import Writer
from fernamt.app import App
from fernamt.model import ChannelId
from fernamt.settings import ChannelSection, Settings

CHAT = """
import asyncio
from datetime import timedelta
from uuid import uuid4

from aiohttp import WSMsgType, web
from attrs import frozen

from fernamt import Address, BadSignature, NotStored, Received, Sent, hookimpl


@frozen(kw_only=True)
class ChatSettings:
    origins: tuple[str, ...]


class Chat:
    def __init__(self, channel, context):
        self.settings, self.context = channel.settings, context

    async def send(self, message):
        return Sent(ids=(message.key,))  # it is in the feed; whichever runner holds the socket shows it

    def routes(self):
        return [web.get("/ws", self.talk)]

    async def talk(self, request):
        if request.headers.get("Origin") not in self.settings.origins:
            raise web.HTTPForbidden
        try:
            visitor = self.context.unsign(request.query["resume"])
        except (KeyError, BadSignature):
            visitor = uuid4().hex
        me = Address("chat", visitor)
        socket = web.WebSocketResponse(heartbeat=20, max_msg_size=65_536)
        await socket.prepare(request)
        await socket.send_json({"resume": self.context.sign(visitor, valid=timedelta(days=30))})
        showing = asyncio.create_task(self.show(socket, me, request.query.get("since", "")))
        try:
            async for frame in socket:
                if frame.type is WSMsgType.TEXT:
                    await self.heard(socket, me, frame.json())
        finally:
            showing.cancel()
            await asyncio.wait({showing})
        return socket

    async def heard(self, socket, me, said):
        event = Received(key=f"{me.value}:{said['uuid']}", sender=me, text=said["text"])
        try:
            [done] = await self.context.intake.accept([event])
        except NotStored as full:
            await socket.send_json({"uuid": said["uuid"], "again_after_s": full.after_s})
        else:
            await socket.send_json({"uuid": said["uuid"], "n": done.n})

    async def show(self, socket, me, since):
        async for item in self.context.feed(me, since=since):
            entry = item.entry
            shown = {"position": item.position, "n": entry.n, "kind": entry.kind, "text": entry.text}
            await socket.send_json(shown)


@hookimpl
def fernamt_register(registry):
    registry.connector("parlour", settings=ChatSettings, factory=Chat, about="a chat on a web page")
"""
ORIGIN = "https://shop.example"
_numbers = itertools.count(1)


@pytest.fixture
def contract_postgres(postgres_server: str) -> str:
    """The address of a new database."""
    name = f"chat{next(_numbers)}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return f"{postgres_server.rpartition('/')[0]}/{name}"


@pytest.fixture(params=["sqlite", "postgres"])
def store_of_contract(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a new store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/fernamt.db"
    return str(request.getfixturevalue("contract_postgres"))


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "fernamt_parlour-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: fernamt-parlour\nVersion: 1.0\nRequires-Dist: fernamt\n"
    )
    (info / "entry_points.txt").write_text("[fernamt]\nparlour = parlour_of_a_test\n")
    (tmp_path / "parlour_of_a_test.py").write_text(CHAT)
    monkeypatch.delitem(sys.modules, "parlour_of_a_test", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(log, "configure", lambda _settings: Redactor())


def settings(tmp_path: Path, store: str) -> Settings:
    section = ChannelSection(id=ChannelId("shop"), kind="parlour", options={"origins": [ORIGIN]})
    return Settings(file=tmp_path / "fernamt.toml", store=store, listen="127.0.0.1:0", channels=(section,))


@contextlib.asynccontextmanager
async def daemon(tmp_path: Path, store: str) -> AsyncIterator[App]:
    app = App.from_settings(settings(tmp_path, store))
    try:
        await app.start()
        yield app
    finally:
        await app.stop()


class Browser:
    """One tab: what it was shown, and where it stands."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session
        self.resume = self.position = ""
        self.shown: list[tuple[int, str]] = []
        self.acknowledged: dict[str, int] = {}
        self.socket: aiohttp.ClientWebSocketResponse

    async def connect(self, app: App) -> None:
        query = {"resume": self.resume, "since": self.position}
        url = f"http://127.0.0.1:{app.port}/in/shop/ws"
        self.socket = await self.session.ws_connect(url, params=query, origin=ORIGIN)
        self.resume = (await self.socket.receive_json())["resume"]

    async def say(self, uuid: str, text: str) -> None:
        await self.socket.send_json({"uuid": uuid, "text": text})

    async def until(self, count: int, acknowledged: int = 0) -> None:
        """Take what comes until so many entries were shown, and so many messages were acknowledged."""
        async with asyncio.timeout(20):
            while len(self.shown) < count or len(self.acknowledged) < acknowledged:
                frame = await self.socket.receive_json()
                if "position" in frame:
                    self.position = frame["position"]
                    self.shown.append((frame["n"], frame["text"]))
                else:
                    self.acknowledged[frame["uuid"]] = frame["n"]

    def vanish(self) -> None:
        """Lose the line without a word."""
        transport = self.socket.get_extra_info("socket")
        transport.shutdown(socket.SHUT_RDWR)


async def answer(app: App, text: str) -> None:
    """Let an agent answer the last conversation, by a runner's own writer."""
    writer: Writer = app._writer
    with app._store.read() as connection:
        [(conversation,)] = app._store.statements(connection).rows("SELECT max(id) FROM conversation")
    await writer.write(compose, Composition(conversation=conversation, kind="sent", author="agent:tom", text=text))


@pytest.mark.usefixtures("plugin")
async def test_a_visitor_talks_loses_the_line_and_goes_on_where_he_was(tmp_path: Path, store_of_contract: str) -> None:
    async with daemon(tmp_path, store_of_contract) as app, aiohttp.ClientSession() as session:
        browser = Browser(session)
        await browser.connect(app)
        await browser.say("a", "Hallo")
        await browser.until(1, acknowledged=1)
        assert (browser.shown, browser.acknowledged) == ([(1, "Hallo")], {"a": 1})
        browser.vanish()
        await answer(app, "Guten Tag")
        await browser.connect(app)
        await browser.say("a", "Hallo")  # was it heard? It says so again, and it is known
        await browser.until(2)
        await browser.say("b", "Wo ist mein Paket?")
        await browser.until(3, acknowledged=2)
        assert browser.shown == [(1, "Hallo"), (2, "Guten Tag"), (3, "Wo ist mein Paket?")]
        assert browser.acknowledged == {"a": 1, "b": 3}


@pytest.mark.usefixtures("plugin")
async def test_two_tabs_of_one_visitor_show_the_same_and_a_stranger_sees_nothing(
    tmp_path: Path, store_of_contract: str
) -> None:
    async with daemon(tmp_path, store_of_contract) as app, aiohttp.ClientSession() as session:
        first, second, stranger = Browser(session), Browser(session), Browser(session)
        await first.connect(app)
        second.resume = first.resume
        await second.connect(app)
        await stranger.connect(app)
        await first.say("a", "aus dem ersten")
        await second.until(1)
        await second.say("b", "aus dem zweiten")
        await second.until(2, acknowledged=1)
        await answer(app, "an beide")
        for tab in (first, second):
            await tab.until(3)
            assert [text for _, text in sorted(tab.shown)] == ["aus dem ersten", "aus dem zweiten", "an beide"]
        await stranger.say("c", "ein anderer")
        await stranger.until(1)
        assert [text for _, text in stranger.shown] == ["ein anderer"]


@pytest.mark.usefixtures("plugin")
async def test_a_page_of_another_origin_gets_no_socket(tmp_path: Path, store_of_contract: str) -> None:
    async with daemon(tmp_path, store_of_contract) as app, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await session.ws_connect(f"http://127.0.0.1:{app.port}/in/shop/ws", origin="https://evil.example")


@pytest.mark.usefixtures("plugin")
async def test_whichever_runner_holds_the_socket_shows_what_the_other_sends(
    tmp_path: Path, contract_postgres: str
) -> None:
    async with (
        daemon(tmp_path, contract_postgres) as one,
        daemon(tmp_path, contract_postgres) as other,
        aiohttp.ClientSession() as session,
    ):
        browsers = [Browser(session), Browser(session)]
        await browsers[0].connect(one)
        browsers[1].resume = browsers[0].resume
        await browsers[1].connect(other)
        await browsers[0].say("a", "Hallo")
        for browser in browsers:
            await browser.until(1)
        await answer(one, "von einem")
        await answer(other, "vom anderen")
        for browser in browsers:
            await browser.until(3)
            assert [text for _, text in sorted(browser.shown)] == ["Hallo", "von einem", "vom anderen"]
        # The line moves to the other runner in the middle.
        browsers[0].vanish()
        await browsers[1].say("b", "noch etwas")
        await browsers[0].connect(other)
        await browsers[0].until(4)
        assert browsers[0].shown[-1] == (4, "noch etwas")


@pytest.mark.usefixtures("plugin")
async def test_when_the_daemon_stops_a_browser_is_told_to_come_again(tmp_path: Path, store_of_contract: str) -> None:
    async with aiohttp.ClientSession() as session:
        browser = Browser(session)
        async with daemon(tmp_path, store_of_contract) as app:
            await browser.connect(app)
            closing = asyncio.create_task(browser.socket.receive())
        assert (await closing).type == aiohttp.WSMsgType.CLOSE
        assert browser.socket.close_code == aiohttp.WSCloseCode.GOING_AWAY
