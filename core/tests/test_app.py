"""One daemon: what starts, what is told when something cannot, and that it ends without losing what was under way."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from fernamt import app as module
from fernamt._runtime import log, outbox
from fernamt._runtime.clock import SystemClock
from fernamt._runtime.redact import Redactor
from fernamt._store.desk import Composition, compose
from fernamt._store.engine import Store
from fernamt.app import App, verify_channels
from fernamt.errors import ConfigError, NotStored
from fernamt.model import ChannelId
from fernamt.outbound import Sent
from fernamt.settings import ChannelSection, ConfigErrors, Settings

# A stranger's plugin: its lines do what their settings say.
PLUGIN = """
import asyncio
from attrs import frozen
from fernamt import Address, BadSignature, Capabilities, Received, Rejected, Sent, Webhook, hookimpl

TOLD = []

@frozen
class LineSettings:
    breaks: str = ""

class Line:
    def __init__(self, channel, context):
        self.channel, self.context, self.calls = channel, context, asyncio.Queue()
        self.runs = asyncio.Queue()
        self.breaks = channel.settings.breaks
        if self.breaks == "construction":
            raise KeyError("a bug in the constructor")

    def capabilities(self):
        if self.breaks == "capabilities":
            raise KeyError("a bug in the capabilities")
        return Capabilities()

    def webhooks(self):
        if self.breaks == "webhooks":
            raise KeyError("a bug in the webhooks")
        return [Webhook(path="hook", verify=self.check, parse=self.read)]

    def check(self, request):
        if request.headers.get("X-Sig") != "right":
            raise BadSignature("wrong")

    def read(self, request):
        return [Received(key=request.body.decode(), sender=Address("phone", "+49301"), text="Hallo")]

    async def run(self):
        await self.runs.put(None)
        self.context.report_state("up")
        await asyncio.Event().wait()

    async def send(self, message):
        answer = asyncio.get_running_loop().create_future()
        await self.calls.put((message, answer))
        return await answer

    async def verify(self):
        if self.breaks == "verify":
            raise Rejected("who are you")
        return "ann@example.org"

class Mute:
    def __init__(self, channel, context): ...
    async def send(self, message): return Sent()

@hookimpl
def fernamt_register(registry):
    registry.connector("appline", settings=LineSettings, factory=Line, about="a line")
    registry.connector("appline.mute", settings=LineSettings, factory=Mute, about="a mute line")

@hookimpl
def fernamt_started(context):
    TOLD.append("started")

@hookimpl
def fernamt_stopping():
    TOLD.append("stopping")
"""
BROKEN = "raise ImportError('this plugin does not work')"


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The stranger's plugin, installed beside one that cannot be imported; the module of the first, loaded or not."""
    folder = tmp_path / "site"
    folder.mkdir()
    for name, source in (("appline", PLUGIN), ("appbroken", BROKEN)):
        info = folder / f"fernamt_{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: fernamt-{name}\nVersion: 1.0\nRequires-Dist: fernamt\n"
        )
        (info / "entry_points.txt").write_text(f"[fernamt]\n{name} = {name}_of_a_test\n")
        (folder / f"{name}_of_a_test.py").write_text(source)
        monkeypatch.delitem(sys.modules, f"{name}_of_a_test", raising=False)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(log, "configure", lambda _settings: Redactor())
    monkeypatch.setattr(outbox, "POLL_S", 0.02)
    return lambda: sys.modules["appline_of_a_test"]


def line(name: str = "line", kind: str = "appline", **options: str) -> ChannelSection:
    return ChannelSection(id=ChannelId(name), kind=kind, options=options)


class Daemon:
    """A daemon in this process, and the outside of it."""

    def __init__(self, store_url: str, folder: Path) -> None:
        self.store_url = store_url
        self.folder = folder
        self.points: asyncio.Queue[str] = asyncio.Queue()
        self.apps: list[App] = []

    def settings(self, *channels: ChannelSection, **more: Any) -> Settings:
        more.setdefault("listen", "127.0.0.1:0")
        return Settings(file=self.folder / "fernamt.toml", store=self.store_url, channels=channels, **more)

    def app(self, *channels: ChannelSection, **more: Any) -> App:
        app = App.from_settings(self.settings(*channels, **more), reached=self._reached(asyncio.get_running_loop()))
        self.apps.append(app)
        return app

    def _reached(self, loop: asyncio.AbstractEventLoop) -> Callable[[str], None]:
        def told(point: str) -> None:
            loop.call_soon_threadsafe(self.points.put_nowait, point)  # the writer tells from its own thread

        return told

    async def start(self, *channels: ChannelSection, **more: Any) -> App:
        app = self.app(*channels, **more)
        await app.start()
        return app

    async def until(self, point: str) -> None:
        while await self.points.get() != point:
            pass

    @staticmethod
    async def ask(app: App, path: str, *, data: bytes | None = None, signature: str = "right") -> tuple[int, str]:
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                "GET" if data is None else "POST",
                f"http://127.0.0.1:{app.port}{path}",
                data=data,
                headers={"X-Sig": signature},
            ) as answer,
        ):
            return answer.status, await answer.text()

    @staticmethod
    async def reply(app: App, text: str = "Guten Tag") -> int:
        written = Composition(conversation=1, kind="sent", author="agent:maria", text=text)
        composed = await app._writer.write(compose, written)
        assert not isinstance(composed, Exception)
        return int(composed.deliveries[0])

    @staticmethod
    def rows(app: App, sql: str) -> list[tuple[Any, ...]]:
        with app._store.read() as connection:
            return [tuple(row) for row in app._store.statements(connection).rows(sql)]

    async def states(self, app: App, **wanted: str) -> dict[str, str]:
        """Return the reasons when the store says that the channels are as *wanted*."""
        while True:
            rows = self.rows(app, "SELECT name, state, reason FROM channel ORDER BY name")
            if {name: state for name, state, _ in rows} == wanted:
                return {name: reason for name, _, reason in rows}
            await asyncio.sleep(0.002)


@pytest.fixture
async def daemon(store_url: str, tmp_path: Path, plugin: Any) -> AsyncIterator[Daemon]:
    daemon = Daemon(store_url, tmp_path)
    yield daemon
    for app in daemon.apps:
        for supervised in app._channels:
            for task in supervised._outbox._under_way() if supervised._outbox else ():
                task.cancel()
        await app.stop()


on_sqlite = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


async def test_it_starts_with_no_plugin_and_no_channel(daemon: Daemon) -> None:
    app = await daemon.start()
    assert await daemon.ask(app, "/readyz") == (200, "ready\n")
    assert await daemon.ask(app, "/healthz") == (200, "ok\n")
    assert (await daemon.ask(app, "/in/chat/hook", data=b"x"))[0] == 404


async def test_a_message_comes_in_and_an_answer_goes_out(daemon: Daemon, plugin: Any) -> None:
    app = await daemon.start(line())
    assert (await daemon.ask(app, "/in/line/hook", data=b"m1", signature="wrong"))[0] == 403
    assert (await daemon.ask(app, "/in/line/hook", data=b"m1"))[0] == 200
    assert (await daemon.ask(app, "/in/line/hook", data=b"m1"))[0] == 200
    assert daemon.rows(app, "SELECT conversation, n, kind FROM entry") == [(1, 1, "received")]
    await daemon.reply(app)
    connector: Any = app._connectors[ChannelId("line")]
    message, answer = await connector.calls.get()
    assert message.text == "Guten Tag"
    answer.set_result(Sent(ids=("p1",)))
    await daemon.until("outbox.finished")
    assert daemon.rows(app, "SELECT state FROM delivery") == [("sent",)]
    assert plugin().TOLD == ["started"]
    await app.stop()
    assert plugin().TOLD == ["started", "stopping"]
    daemon.apps.clear()


async def test_what_is_broken_beside_a_healthy_channel_hurts_nobody_and_is_named(daemon: Daemon) -> None:
    with capture_logs() as logs:
        app = await daemon.start(
            line("good"),
            line("import", "appbroken"),
            line("missing", "appnowhere"),
            line("construction", breaks="construction"),
            line("capabilities", breaks="capabilities"),
            line("webhooks", breaks="webhooks"),
        )
    assert (await daemon.ask(app, "/in/good/hook", data=b"m1"))[0] == 200
    assert await daemon.ask(app, "/readyz") == (200, "ready\n")
    broken = ("import", "missing", "construction", "capabilities", "webhooks")
    reasons = await daemon.states(app, good="up", **dict.fromkeys(broken, "down"))
    assert "fernamt-appbroken 1.0" in reasons["import"]
    assert "this plugin does not work" in reasons["import"]
    assert "pip install" in reasons["missing"]
    for name in broken[2:]:
        assert f"a bug in the {name.replace('construction', 'constructor')}" in reasons[name]
    for name in broken:
        assert (await daemon.ask(app, f"/in/{name}/hook", data=b"m1"))[0] == 503
    events = [one["event"] for one in logs if one["log_level"] == "error"]
    assert events.count("plugin_failed") == 2
    assert events.count("channel_not_built") == 5


@on_sqlite
async def test_a_mistake_in_the_configuration_starts_nothing(daemon: Daemon) -> None:
    app = daemon.app(line(brakes="typo"))
    with pytest.raises(ConfigErrors, match="brakes"):
        await app.start()
    assert app.port == 0
    assert app._lock is None


async def test_a_port_that_is_taken_says_so_and_leaves_nothing_behind(daemon: Daemon) -> None:
    first = await daemon.start(line())
    other = Settings(
        file=daemon.folder / "fernamt.toml",
        store=f"sqlite:///{daemon.folder}/other.db",
        listen=f"127.0.0.1:{first.port}",
    )
    second = App.from_settings(other)
    with pytest.raises(ConfigError, match=r"cannot be listened on.*Is another daemon running\?"):
        await second.run()
    assert (await daemon.ask(first, "/in/line/hook", data=b"m1"))[0] == 200
    third = App.from_settings(Settings(file=other.file, store=other.store, listen="127.0.0.1:0"))
    await third.start()  # the lock was given back
    await third.stop()


@on_sqlite
async def test_a_second_daemon_on_the_same_file_is_refused_with_the_remedy(daemon: Daemon) -> None:
    first = await daemon.start(line())
    second = App.from_settings(daemon.settings(line()))
    with pytest.raises(ConfigError, match=rf"process {os.getpid()}.*Stop it first, or use PostgreSQL"):
        await second.run()
    assert await daemon.ask(first, "/readyz") == (200, "ready\n")


async def test_sigterm_lets_what_is_under_way_end_and_gives_everything_back(daemon: Daemon) -> None:
    app = daemon.app(line())
    running = asyncio.create_task(app.run())
    while not app.port:
        await asyncio.sleep(0.002)
    await daemon.ask(app, "/in/line/hook", data=b"m1")
    await daemon.reply(app)
    await daemon.reply(app, "the next one of the lane")
    connector: Any = app._connectors[ChannelId("line")]
    _, answer = await connector.calls.get()
    os.kill(os.getpid(), signal.SIGTERM)
    while app._not_ready != "stopping":
        await asyncio.sleep(0.002)
    with pytest.raises(aiohttp.ClientConnectorError):
        await daemon.ask(app, "/in/line/hook", data=b"m2")
    assert not running.done()
    answer.set_result(Sent())
    assert await running == 0
    daemon.apps.clear()
    store = Store.open(daemon.store_url, app._clock)
    with contextlib.closing(store), store.read() as connection:
        do = store.statements(connection)
        assert do.rows("SELECT state FROM delivery ORDER BY id") == [("sent",), ("queued",)]
        assert do.rows("SELECT count(*) FROM due WHERE until > ?", (do.now_us(),)) == [(0,)]
    assert connector.calls.empty()


async def test_the_drain_has_an_end_and_what_was_cut_off_is_uncertain_at_the_next_start(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DRAIN_S", 0.02)
    app = await daemon.start(line())
    await daemon.ask(app, "/in/line/hook", data=b"m1")
    await daemon.reply(app)
    connector: Any = app._connectors[ChannelId("line")]
    await connector.calls.get()
    with capture_logs() as logs:
        await app.stop()
    assert "outbox_not_quiet" in [one["event"] for one in logs]
    daemon.apps.clear()
    again = await daemon.start(line())
    while daemon.rows(again, "SELECT state FROM delivery") != [("uncertain",)]:
        await asyncio.sleep(0.002)


@on_sqlite
async def test_after_a_kill_the_next_daemon_works_at_once(daemon: Daemon) -> None:
    app = await daemon.start(line())
    await daemon.ask(app, "/in/line/hook", data=b"m1")
    await app.stop()
    daemon.apps.clear()
    store = Store.open(daemon.store_url, app._clock)
    with contextlib.closing(store.session()) as session, session.transaction() as tx:
        compose(tx, [Composition(conversation=1, kind="sent", author="agent:maria", text="Guten Tag")])
        tx.do.one("UPDATE due SET owner = 'dead', until = ?", (2**60,))
    store.close()
    again = await daemon.start(line())
    connector: Any = again._connectors[ChannelId("line")]
    message, answer = await connector.calls.get()
    assert message.attempt == 1
    answer.set_result(Sent())
    await daemon.until("outbox.finished")


@on_sqlite
async def test_systemd_is_told_when_it_is_ready_and_when_it_stops(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(path)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        app = await daemon.start()
        assert told.recv(100) == b"READY=1"
        await app.stop()
        assert told.recv(100) == b"STOPPING=1"
    daemon.apps.clear()
    monkeypatch.setenv("NOTIFY_SOCKET", f"{path}-nobody")
    with capture_logs() as logs:
        await daemon.start()
    assert "systemd_not_told" in [one["event"] for one in logs]


@on_sqlite
async def test_it_is_not_ready_while_the_store_cannot_be_written_and_alive_all_the_same(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await daemon.start()

    def away() -> None:
        raise NotStored("the disk is full")

    monkeypatch.setattr(app._store, "probe", away)
    assert await daemon.ask(app, "/readyz") == (503, "the disk is full\n")
    assert await daemon.ask(app, "/healthz") == (200, "ok\n")


@on_sqlite
async def test_blobs_are_swept_whatever_a_sweep_meets(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fernamt._runtime.upkeep._EVERY_S", 0.001)
    app = daemon.app()
    swept = asyncio.Event()
    loop = asyncio.get_running_loop()
    outcomes: list[int | Exception] = [NotStored("away"), OSError("gone"), 3]

    def sweep() -> int:
        outcome = outcomes.pop(0) if outcomes else 0
        if isinstance(outcome, Exception):
            raise outcome
        loop.call_soon_threadsafe(swept.set)
        return outcome

    monkeypatch.setattr(app._blobs, "sweep", sweep)
    with capture_logs() as logs:
        await app.start()
        await swept.wait()
        await app.stop()
    daemon.apps.clear()
    assert [one["event"] for one in logs].count("blobs_not_swept") == 2


@on_sqlite
async def test_a_part_of_the_daemon_that_ends_by_itself_is_said_loudly(daemon: Daemon) -> None:
    app = await daemon.start()

    async def broken() -> None:
        raise KeyError("a bug of ours")

    with capture_logs() as logs:
        app._begin("some-part", broken())
        await asyncio.wait(app._tasks[-1:])
        await asyncio.sleep(0)
    assert [(one["event"], one["part"], one["log_level"]) for one in logs] == [
        ("daemon_part_failed", "some-part", "critical")
    ]


@on_sqlite
async def test_channels_prove_their_settings_on_a_store_of_their_own(daemon: Daemon) -> None:
    settings = daemon.settings(
        line("good"), line("bad", breaks="verify"), line("mute", "appline.mute"), line("broken", "appbroken")
    )
    with capture_logs():
        found = [result async for result in verify_channels(settings)]
    assert [(channel, outcome) for channel, outcome, _ in found] == [
        ("good", "ok"),
        ("bad", "failed"),
        ("mute", "skipped"),
        ("broken", "failed"),
    ]
    assert found[0][2] == "ann@example.org"
    assert "who are you" in found[1][2]
    store = Store.open(daemon.store_url, SystemClock())
    with contextlib.closing(store), store.read() as connection:
        assert store.statements(connection).rows("SELECT count(*) FROM channel") == [(0,)]
