"""The daemon's HTTP: nothing unsigned is read, nothing that was acknowledged is lost, and a provider that must wait is told."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import Any, NamedTuple

import aiohttp
import pytest
from structlog.testing import capture_logs

from fernamt._runtime.clock import SystemClock
from fernamt._runtime.intake import ChannelIntake, Room
from fernamt._runtime.web import BODY_MAX, Hook, Web, writable
from fernamt._store.blobs import open_blobs
from fernamt._store.channels import Entrance, enter
from fernamt._store.engine import Store
from fernamt._store.names import Names
from fernamt._store.reception import Line, Reception
from fernamt._store.writer import Writer
from fernamt.connector import Webhook
from fernamt.errors import BadSignature, NotStored, Unparsable
from fernamt.inbound import Accepted, Handshake, Ignored, InboundEvent, Received, Request, Response, Unparsed
from fernamt.model import Address, ChannelId
from fernamt.session import HangUp, Session, SessionEvent, Started, Turn

PUBLIC = "https://service.example.org/base"
EVENT = Received(key="k", sender=Address("phone", "+49301"), text="Hallo")


class Provider:
    """A webhook whose verification and parsing the test decides, and an intake that remembers what it took."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.requests: list[Request] = []
        self.taken: list[tuple[tuple[InboundEvent, ...], bytes]] = []
        self.verifies: Any = None
        self.parses: Any = [EVENT]
        self.stores: Any = ()

    def verify(self, request: Request) -> None:
        self.calls.append("verify")
        self.requests.append(request)
        said: None = self._outcome(self.verifies)
        return said

    def parse(self, request: Request) -> Any:
        self.calls.append("parse")
        return self._outcome(self.parses)

    async def accept(self, events: Sequence[InboundEvent], *, raw: bytes) -> tuple[Accepted, ...]:
        self.calls.append("accept")
        self.taken.append((tuple(events), raw))
        accepted: tuple[Accepted, ...] = self._outcome(self.stores)
        return accepted

    @staticmethod
    def _outcome(wanted: Any) -> Any:
        if isinstance(wanted, BaseException):
            raise wanted
        return wanted() if callable(wanted) else wanted

    def hook(self, path: str = "hook", intake: Any = None, plugin: str = "", answers: Any = None, **more: Any) -> Hook:
        webhook = Webhook(path=path, verify=self.verify, parse=self.parse, **more)
        taken_by: Any = intake or self
        return Hook(channel="chat", plugin=plugin, webhook=webhook, intake=taken_by, answers=answers)


class Answer(NamedTuple):
    status: int
    body: bytes
    media_type: str
    retry_after: str | None


class Site:
    """A running web with a client."""

    def __init__(self) -> None:
        self.provider = Provider()
        self.why_not: Any = ""
        self.web = Web(PUBLIC, SystemClock(), self.ready)
        self.asked = 0
        self.port = 0

    async def ready(self) -> str:
        self.asked += 1
        why_not: str = await self.why_not() if callable(self.why_not) else self.why_not
        return why_not

    def serve(self, *hooks: Hook, **more: Any) -> None:
        self.web.serve({f"chat/{hook.webhook.path}": hook for hook in hooks or (self.provider.hook(),)}, **more)

    async def post(self, path: str = "/in/chat/hook", data: Any = b"{}", **more: Any) -> Answer:
        return await self.ask("POST", path, data=data, **more)

    async def ask(self, method: str, path: str, **more: Any) -> Answer:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"http://127.0.0.1:{self.port}{path}", **more) as answer,
        ):
            return Answer(answer.status, await answer.read(), answer.content_type, answer.headers.get("Retry-After"))

    async def raw(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        whole = await reader.read()
        writer.close()
        await writer.wait_closed()
        return whole


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    site.port = await site.web.start("127.0.0.1", 0)
    site.serve()
    yield site
    await site.web.stop_listening()
    await site.web.stop()


# ---- the signature first
async def coroutine() -> None:
    raise AssertionError("nobody waits for it")


@pytest.mark.parametrize(
    "verifies",
    [BadSignature("no"), KeyError("X-Signature"), SystemExit(0), lambda: False, lambda: True, coroutine],
    ids=["bad", "a bug", "an exit", "false", "true", "a coroutine"],
)
async def test_what_is_not_verified_is_refused_and_never_parsed(site: Site, verifies: Any) -> None:
    site.provider.verifies = verifies
    with capture_logs() as logs:
        assert (await site.post())[0] == 403
    assert site.provider.calls == ["verify"]
    [log] = logs
    assert (log["event"], log["channel"]) == ("webhook_refused", "chat")
    assert (log["exc_info"] is None) is isinstance(verifies, BadSignature)
    assert log["reason"] == ("no" if isinstance(verifies, BadSignature) else "")


async def test_the_answer_comes_after_the_commit(site: Site) -> None:
    stored = asyncio.get_running_loop().create_future()
    reached = asyncio.Event()

    class Slow:
        async def accept(self, _events: object, *, raw: bytes) -> tuple[Accepted, ...]:
            reached.set()
            await stored
            return ()

    site.serve(site.provider.hook(intake=Slow()))
    posting = asyncio.create_task(site.post())
    await reached.wait()
    await asyncio.sleep(0)
    assert not posting.done()
    stored.set_result(None)
    assert (await posting).status == 200
    assert site.provider.calls == ["verify", "parse"]


async def test_the_request_is_what_a_signature_is_computed_over(site: Site) -> None:
    site.serve(site.provider.hook("hook"))
    await site.post("/in/chat/hook/sms/7?a=%20b&c=1", data=b"\xff{}", headers={"X-Sig": "s"})
    [request] = site.provider.requests
    assert request.method == "POST"
    assert request.url == f"{PUBLIC}/in/chat/hook/sms/7?a=%20b&c=1"
    assert request.path == "sms/7"
    assert dict(request.query) == {"a": " b", "c": "1"}
    assert request.headers["x-sig"] == request.headers["X-SIG"] == "s"
    assert request.body == b"\xff{}"
    assert request.at.tzinfo is not None


@pytest.mark.parametrize("names", [("X-Sig", "X-Sig"), ("X-Sig", "x-sig"), ("X-SIG", "X-Sig")])
async def test_a_header_that_stands_twice_is_refused_however_it_is_spelled(site: Site, names: tuple[str, str]) -> None:
    lines = "".join(f"{name}: {value}\r\n" for value, name in enumerate(names))
    head = f"POST /in/chat/hook HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: 2\r\nConnection: close\r\n\r\n{{}}"
    assert (await site.raw(head.encode())).startswith(b"HTTP/1.1 400 ")
    assert site.provider.calls == []


async def test_headers_that_proxies_repeat_may_stand_twice(site: Site) -> None:
    lines = "Via: 1.1 a\r\nVia: 1.1 b\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\n"
    head = f"POST /in/chat/hook HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: 2\r\nConnection: close\r\n\r\n{{}}"
    assert (await site.raw(head.encode())).startswith(b"HTTP/1.1 200 ")


# ---- what was parsed
async def test_what_was_parsed_is_stored_with_the_bytes_that_it_was_read_from(site: Site) -> None:
    assert (await site.post(data=b"whole"))[:2] == (200, b"")
    assert site.provider.taken == [((EVENT,), b"whole")]
    site.provider.parses = []
    assert (await site.post(data=b"nothing"))[0] == 200
    assert site.provider.taken[1] == ((), b"nothing")


def failing() -> Any:
    yield EVENT
    raise KeyError("the second element")


@pytest.mark.parametrize(
    ("parses", "reason"),
    [
        (Unparsable("no sender in it"), "no sender in it"),
        (KeyError("from"), "KeyError"),
        (SystemExit(1), "SystemExit"),
        (lambda: None, "TypeError"),
        (lambda: 7, "TypeError"),
        (failing, "KeyError"),
    ],
    ids=["unparsable", "a bug", "an exit", "nothing", "no events", "a generator that breaks"],
)
async def test_what_cannot_be_parsed_is_kept_and_acknowledged(site: Site, parses: Any, reason: str) -> None:
    site.provider.parses = parses
    with capture_logs() as logs:
        assert (await site.post(data=b"whole"))[0] == 200
    [((event,), raw)] = site.provider.taken
    assert isinstance(event, Unparsed)
    assert reason in event.reason
    assert raw == b"whole"
    assert [log["event"] for log in logs] == ["webhook_not_parsed"]


async def test_what_cannot_be_parsed_makes_one_row_however_often_it_comes(
    store: Store, writer: Writer, site: Site
) -> None:
    number = await writer.write(enter, Entrance(id="chat", kind="fake", label=""))
    intake = ChannelIntake(
        Line(number=number, id="chat"),
        writer=writer,
        reception=Reception(Names(store.keys())),
        blobs=open_blobs(store),
        room=Room(),
        clock=SystemClock(),
    )
    site.provider.parses = Unparsable("what is this")
    site.serve(site.provider.hook(intake=intake))
    with capture_logs():
        assert [(await site.post(data=data))[0] for data in (b"one", b"one", b"two")] == [200] * 3
    with store.read() as connection:
        rows = store.statements(connection).rows("SELECT r.body FROM quarantine q JOIN raw r ON r.id = q.raw")
    assert sorted(bytes(row[0]) for row in rows) == [b"one", b"two"]


async def test_ignored_events_are_passed_on(site: Site) -> None:
    site.provider.parses = [Ignored(reason="typing"), EVENT]
    assert (await site.post())[0] == 200
    assert len(site.provider.taken[0][0]) == 2


# ---- turns
CALL = SessionEvent(
    key="1", session="c", address=Address("phone", "+49301"), at=datetime(2026, 11, 22, tzinfo=UTC), what=Started("")
)


class Phone:
    """An intake that gives turns, and a connector that renders them."""

    def __init__(self, turns: Any = None, renders: BaseException | None = None) -> None:
        self.turns = (HangUp(),) if turns is None else turns
        self.renders = renders
        self.accepted: list[Any] = []

    async def turn(self, event: SessionEvent) -> Turn:
        if isinstance(self.turns, Exception):
            raise self.turns
        session = Session(id="1", call_id="c", channel=ChannelId("chat"), address=event.address, language="", version=1)
        return Turn(session=session, n=1, actions=self.turns)

    async def accept(self, events: Sequence[InboundEvent], **_raw: bytes) -> tuple[Accepted, ...]:
        self.accepted += events
        return ()

    def answer(self, turn: Turn) -> Response:
        if self.renders is not None:
            raise self.renders
        return Response(body=b"<Hangup/>", media_type="text/xml")


@pytest.mark.parametrize(
    ("phone", "events", "answer", "accepted"),
    [
        (Phone(), [CALL], (200, b"<Hangup/>", "text/xml"), 0),
        (Phone(turns=()), [CALL], (200, b"", "text/plain"), 0),
        (Phone(), [CALL, CALL], (200, b"", "text/plain"), 2),
        (Phone(), [EVENT], (200, b"", "text/plain"), 1),
        (Phone(turns=ValueError("it names no session")), [CALL], (200, b"", "text/plain"), 1),
        (Phone(turns=NotStored("full", after_s=3.0)), [CALL], (503, b"", "application/octet-stream"), 0),
        (Phone(renders=KeyError("verb")), [CALL], (500, b"plugin twiml failed to render the turn\n", "text/plain"), 0),
        (Phone(renders=SystemExit(1)), [CALL], (500, b"plugin twiml failed to render the turn\n", "text/plain"), 0),
    ],
    ids=["a turn", "it is over", "two events", "no call", "no turn of it", "full", "a bug in rendering", "an exit"],
)
async def test_a_single_event_of_a_call_is_answered_with_its_turn(
    site: Site, phone: Any, events: list[InboundEvent], answer: Any, accepted: int
) -> None:
    site.provider.parses = events
    site.serve(site.provider.hook(intake=phone, plugin="twiml", answers=phone))
    with capture_logs():
        assert (await site.post())[:3] == answer
    assert len(phone.accepted) == accepted


async def test_a_handshake_is_answered_at_once_and_stores_nothing(site: Site) -> None:
    site.provider.parses = Handshake(Response(status=202, body=b"challenge", media_type="text/html"))
    answer = await site.ask("GET", "/in/chat/hook?hub.challenge=1")
    assert answer[:3] == (202, b"challenge", "text/html")
    assert site.provider.taken == []


@pytest.mark.parametrize(("after_s", "told"), [(0.2, "1"), (1.0, "1"), (7.4, "7")])
async def test_what_cannot_be_stored_is_offered_again_by_the_provider(site: Site, after_s: float, told: str) -> None:
    site.provider.stores = NotStored("intake is full", after_s=after_s)
    with capture_logs():
        answer = await site.ask("POST", "/in/chat/hook", data=b"{}")
    assert (answer.status, answer.retry_after) == (503, told)


async def test_the_webhook_says_what_its_provider_gets(site: Site) -> None:
    done = Response(status=201, body=b"<Response/>", media_type="application/xml")
    site.serve(site.provider.hook(done=done))
    async with aiohttp.ClientSession() as session:
        for _ in range(3):  # the same connection each time
            async with session.post(f"http://127.0.0.1:{site.port}/in/chat/hook", data=b"{}") as answer:
                assert (answer.status, answer.content_type) == (201, "application/xml")
                assert await answer.read() == b"<Response/>"


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("method", ["POST", "HEAD"])
async def test_every_client_gets_a_whole_answer_and_no_more(site: Site, version: str, method: str) -> None:
    site.serve(site.provider.hook(done=Response(body=b"done")))
    request = f"{method} /in/chat/hook HTTP/{version}\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    head, _, body = (await site.raw(request.encode())).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/{version} 200 OK".encode())
    assert b"Content-Length: 4" in head
    assert body == (b"" if method == "HEAD" else b"done")


async def test_an_answer_without_content_says_no_length(site: Site) -> None:
    site.serve(site.provider.hook(done=Response(status=204)))
    twice = b"POST /in/chat/hook HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" * 2
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(twice)
    for _ in range(2):
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 204 No Content\r\n")
        assert b"content-length" not in head.lower()
    writer.close()
    await writer.wait_closed()


# ---- bounds and addresses
async def test_a_body_above_the_limit_is_not_read(site: Site) -> None:
    with capture_logs():
        assert (await site.post(data=BytesIO(b"x" * (BODY_MAX + 1))))[0] == 413
        assert (await site.post(data=gzip.compress(b"x" * (BODY_MAX + 1)), headers={"Content-Encoding": "gzip"}))[
            0
        ] == 413
    assert site.provider.calls == []
    assert (await site.post(data=BytesIO(b"x" * (BODY_MAX - 1))))[0] == 200


PATHS = {
    "/in/chat/hook": (200, ""),
    "/in/chat/hook/": (200, ""),
    "/in/chat/hook/a/b": (200, "a/b"),
    "/in/chat/hooks": (404, ""),
    "/in/chat": (404, ""),
    "/in/chat/": (404, ""),
    "/in/other/hook": (404, ""),
    "/in/": (404, ""),
    "/in": (404, ""),
    "/": (404, ""),
    "/in//hook": (404, ""),
    "/in/chat/other/../hook": (200, ""),
}


async def test_a_webhook_owns_its_path_and_what_is_below_it(site: Site) -> None:
    found = {path: (await site.post(path))[0] for path in PATHS}
    assert found == {path: status for path, (status, _) in PATHS.items()}
    assert [one.path for one in site.provider.requests] == [below for status, below in PATHS.values() if status == 200]


async def test_the_longest_path_wins_and_a_channel_may_have_a_webhook_at_its_root(site: Site) -> None:
    root, deep = Provider(), Provider()
    site.serve(root.hook(""), deep.hook("a/b"))
    for path in ("/in/chat", "/in/chat/", "/in/chat/a", "/in/chat/a/bc"):
        assert (await site.post(path))[0] == 200, path
    for path in ("/in/chat/a/b", "/in/chat/a/b/c"):
        assert (await site.post(path))[0] == 200, path
    assert [one.path for one in root.requests] == ["", "", "a", "a/bc"]
    assert [one.path for one in deep.requests] == ["", "c"]


async def test_the_provider_of_a_channel_that_is_broken_is_told_to_come_again(site: Site) -> None:
    site.serve(down={"fax"})
    answer = await site.ask("POST", "/in/fax/hook", data=b"{}")
    assert (answer.status, answer.retry_after) == (503, "60")
    assert (await site.post())[0] == 200
    assert (await site.post("/in/faxes/hook"))[0] == 404


# ---- alive and ready
async def test_alive_is_not_ready(site: Site) -> None:
    site.why_not = "the store cannot be written"
    answer = await site.ask("GET", "/readyz")
    assert answer[:2] == (503, b"the store cannot be written\n")
    assert (await site.ask("GET", "/healthz")).status == 200
    site.why_not = ""
    answer = await site.ask("GET", "/readyz")
    assert answer[:2] == (200, b"ready\n")


async def test_all_who_ask_at_once_whether_it_is_ready_cost_one_look(site: Site) -> None:
    asked = asyncio.Event()

    async def slow() -> str:
        await asked.wait()
        return ""

    site.why_not = slow
    waiting = [asyncio.create_task(site.ask("GET", "/readyz")) for _ in range(20)]
    while not site.asked:
        await asyncio.sleep(0)
    waiting.pop().cancel()
    asked.set()
    assert {answer.status for answer in await asyncio.gather(*waiting)} == {200}
    assert site.asked < 20


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_a_store_that_cannot_be_written_says_why(store: Store) -> None:
    assert await writable(store.probe) == ""

    def away() -> None:
        raise NotStored("the disk is full")

    assert await writable(away) == "the disk is full"


async def test_a_port_that_is_taken_is_an_error_and_stopping_after_it_is_none(site: Site) -> None:
    second = Web(PUBLIC, SystemClock(), site.ready)
    with pytest.raises(OSError, match="in use"):
        await second.start("127.0.0.1", site.port)
    await second.stop_listening()
    await second.stop()


async def test_a_request_under_way_is_answered_after_nobody_listens_any_more(site: Site) -> None:
    go: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    reached = asyncio.Event()

    class Slow:
        async def accept(self, _events: object, *, raw: bytes) -> tuple[Accepted, ...]:
            reached.set()
            await go
            return ()

    site.serve(site.provider.hook(intake=Slow()))
    posting = asyncio.create_task(site.post())
    await reached.wait()
    await site.web.stop_listening()
    with pytest.raises(aiohttp.ClientConnectorError):
        await site.post()
    stopping = asyncio.create_task(site.web.stop())
    go.set_result(None)
    assert (await posting)[0] == 200
    await stopping


async def test_a_slow_or_broken_client_hinders_nobody(site: Site) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(b"POST /in/chat/hook HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
    await writer.drain()
    assert (await site.post())[0] == 200
    writer.close()
    await writer.wait_closed()
    assert await reader.read() == b""
    assert (await site.post())[0] == 200
    assert site.provider.calls.count("verify") == 2
