"""The HTTP API: who may, what it takes, what it says, and that 202 means: on the disk."""

import asyncio
import gzip
import io
import re
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from attrs import field, frozen
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from structlog.testing import capture_logs

from fernamt._runtime.api.description import OPERATIONS, describe, schema_of
from fernamt._runtime.api.description import Operation as Asking
from fernamt._runtime.api.serving import BODY_MAX, Api
from fernamt._runtime.api.shapes import ROWS_MAX, NoticeAsked, names
from fernamt._runtime.notice_rows import _KNOWN
from fernamt._store.channels import Entrance, enter
from fernamt._store.engine import Store
from fernamt._store.notices import give
from fernamt._store.views.notices import run_numbered
from fernamt._store.writer import Operation, Writer
from fernamt.errors import NotStored
from fernamt.model import ChannelId
from fernamt.settings import (
    ApiSettings,
    ChannelSection,
    ConfigErrors,
    NoticeTemplate,
    Secret,
    Settings,
    Value,
    Words,
    structure_section,
)

from .stage import rows

API = "fernamt._runtime.api.serving"
SHOP, CRM = "s" * 40, "c" * 40
TEMPLATE = NoticeTemplate(
    name="dispatched",
    channel="sms",
    values={"order": Value(example="4711", max=20)},
    texts={"de": Words(text="Bestellung {order} ist unterwegs."), "en": Words(text="Order {order} is on its way.")},
)
ONE = {"template": "dispatched", "key": "k", "to": "+491701234567", "values": {"order": 4711}}
ON_SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


DESCRIPTION = describe(version="1.0", url="https://desk.example.org", templates=["dispatched"])


def validate(schema: Any, value: Any) -> None:
    OAS31Validator({**schema, "components": DESCRIPTION["components"]}).validate(value)


def matches(one: Asking, path: str) -> bool:
    return re.fullmatch(one.path.replace("{run}", "[0-9]+"), path) is not None


class Desk:
    """The API in front of a store, seen from outside."""

    def __init__(self, client: Any, store: Store) -> None:
        self.client = client
        self.store = store

    async def ask(
        self,
        method: str = "POST",
        path: str = "",
        *,
        body: Any = None,
        token: str = SHOP,
        data: Any = None,
        under: str = "/notices",
        **headers: str,
    ) -> tuple[int, Any]:
        more = {"Authorization": f"Bearer {token}"} if token else {}
        if body is not None:
            data, more["Content-Type"] = orjson.dumps(body), "application/json"
        more |= {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.request(method, f"/api/v1{under}{path}", data=data, headers=more) as answer:
            text = await answer.read()
            assert answer.headers["Content-Type"].startswith("application/") or answer.status in {404, 405}
            told = orjson.loads(text) if answer.content_type.endswith("json") else text
            if not isinstance(told, bytes):
                self.is_described(method, f"/api/v1{under}{path}", answer.status, answer.content_type, told, body)
            return answer.status, told

    def is_described(self, method: str, path: str, status: int, media_type: str, told: Any, body: Any) -> None:
        """Hold an answer, and what was taken, against the description: by a validator that knows nothing of us."""
        one = next(it for it in OPERATIONS if it.method == method and matches(it, path.partition("?")[0]))
        described = DESCRIPTION["paths"][one.path][method.lower()]
        validate(described["responses"][str(status)]["content"][media_type]["schema"], told)
        if status in {200, 202} and body is not None:
            validate(described["requestBody"]["content"]["application/json"]["schema"], body)

    def count(self, table: str = "delivery") -> int:
        [(count,)] = rows(self.store, f"SELECT count(*) FROM {table}")
        return int(count)


def settings(**more: Any) -> Settings:
    section = ChannelSection(id=ChannelId("sms"), kind="demo")
    return Settings(file=Path("fernamt.toml"), channels=(section,), notices={"dispatched": TEMPLATE}, **more)


@pytest.fixture
async def desk(store: Store, writer: Writer) -> AsyncIterator[Desk]:
    await writer.write(enter, Entrance(id="sms", kind="demo", label="SMS"))
    tokens = ApiSettings(tokens={"shop": Secret(SHOP), "crm": Secret(CRM)})
    app = web.Application(client_max_size=BODY_MAX * 4)
    Api(settings(), tokens, store=store, writer=writer).mount(app)
    async with TestClient(TestServer(app)) as client:
        yield Desk(client, store)


# ---- who may
@ON_SQLITE
@pytest.mark.parametrize("token", ["", "x", SHOP[:-1], SHOP + "s", "ü" * 40, SHOP.upper()])
@pytest.mark.parametrize(("method", "path"), [("POST", ""), ("GET", "/1"), ("GET", "/1/results"), ("DELETE", "/1")])
async def test_whoever_brings_no_token_is_told_nothing_and_read_nothing_of(
    desk: Desk, token: str, method: str, path: str
) -> None:
    with capture_logs() as logs:
        status, said = await desk.ask(method, path, token=token, data=b"x" * 100 if method == "POST" else None)
    assert (status, said["title"]) == (401, "who are you?")
    assert [log["event"] for log in logs] == ["api_refused"]
    assert not token or token not in str(logs)


@ON_SQLITE
async def test_two_tokens_at_once_are_none(desk: Desk) -> None:
    request = f"GET /api/v1/notices/1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SHOP}\r\nauthorization: Bearer {CRM}\r\n\r\n"
    reader, sender = await asyncio.open_connection("127.0.0.1", desk.client.server.port)
    sender.write(request.encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
    sender.close()


async def test_without_a_token_in_the_configuration_there_is_no_api(store: Store, writer: Writer) -> None:
    app = web.Application()
    Api(settings(), ApiSettings(), store=store, writer=writer).mount(app)
    async with TestClient(TestServer(app)) as client, client.post("/api/v1/notices", json=ONE) as answer:
        assert answer.status == 404


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        ({"shop": "env:SHORT"}, "must be at least 32 letters and digits, for instance of: openssl rand -hex 32"),
        ({"shop": "env:SHOP", "crm": "env:SHOP"}, "two tokens are the same"),
        ({"Shop!": "env:SHOP"}, "the name of a token is at most 31"),
        ({"shop": "env:NONE"}, "the environment has no NONE"),
        ({"shop": SHOP}, "a secret does not stand in this file itself"),
        ({"shop": "env:BLANK"}, "must be at least 32"),
    ],
)
def test_a_token_that_could_be_guessed_stops_the_start_and_is_not_shown(tokens: dict[str, str], said: str) -> None:
    environ = {"SHOP": SHOP, "SHORT": "geheim", "BLANK": "a b" * 20}
    with pytest.raises(ConfigErrors) as caught:
        structure_section(settings(), "api", {"tokens": tokens}, ApiSettings, environ=environ)
    assert said in str(caught.value)
    assert SHOP not in str(caught.value)
    assert "geheim" not in str(caught.value)


# ---- asking
async def test_a_notice_is_on_the_disk_before_it_is_accepted_and_a_repeat_gets_its_state(desk: Desk) -> None:
    status, said = await desk.ask(body=ONE)
    assert (status, said["run"], said["state"], said["total"], said["states"]) == (202, 1, "sending", 1, {"queued": 1})
    again = await desk.ask(body=ONE)
    assert again == (200, said)
    assert rows(desk.store, "SELECT c.author, c.text FROM content c") == [
        ("api:shop", "Bestellung 4711 ist unterwegs.")
    ]


async def test_many_are_accepted_at_once_each_in_its_language(desk: Desk) -> None:
    several = [{"to": f"+49170{n:07}", "values": {"order": n}, "language": "en" if n % 2 else "de"} for n in range(600)]
    status, said = await desk.ask(body={"template": "dispatched", "notices": several}, Idempotency_Key='"monday"')
    assert (status, said["total"], said["given"], said["key"]) == (202, 600, 600, "monday")
    [(german,)] = rows(desk.store, "SELECT count(*) FROM content WHERE text LIKE ?", "Bestellung%")
    assert german == 300
    first, second = [(await desk.ask("GET", f"/1/results?limit=400&after={after}"))[1] for after in (0, 400)]
    assert (len(first["results"]), first["next"], len(second["results"]), second["next"]) == (400, 400, 200, None)
    assert first["results"][1] == {
        "n": 2,
        "key": "",
        "to": "phone:+491700000001",
        "state": "queued",
        "reason": "",
        "code": "",
        "next_at": None,
        "at": first["results"][1]["at"],
        "order": "1",
        "conversation": 2,
        "delivery": 2,
        "ids": [],
        "repeats": "",
    }


async def test_a_request_that_was_broken_off_goes_on_where_it_was(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    several = [{"to": f"+49170{n:07}", "values": {"order": n}} for n in range(600)]
    body = {"template": "dispatched", "key": "k", "notices": several}
    calls = iter(range(10))

    def breaking(tx: Any, payloads: Any) -> Any:
        return give(tx, payloads) if next(calls) != 1 else [NotStored("away", after_s=3.0)] * len(payloads)

    monkeypatch.setattr(f"{API}.give", breaking)
    status, said = await desk.ask(body=body)
    assert (status, said["title"]) == (503, "this cannot be stored now: send it again later")
    assert (await desk.ask("GET", "/1"))[1]["state"] == "interrupted"
    assert desk.count() == 250
    assert (await desk.ask(body=body))[1]["given"] == 600
    assert desk.count() == 600


async def test_a_key_belongs_to_the_program_that_gave_it(desk: Desk) -> None:
    await desk.ask(body=ONE)
    status, said = await desk.ask(body={**ONE, "values": {"order": "4712"}})
    assert (status, said["problems"][0]["field"]) == (409, "key")
    assert "for run 1 with other values or recipients" in said["title"]
    assert (await desk.ask(body={**ONE, "values": {"order": "4712"}}, token=CRM))[0] == 202
    assert desk.count() == 2


@ON_SQLITE
async def test_what_others_asked_for_is_not_there(desk: Desk) -> None:
    await desk.ask(body=ONE)
    for method, path in (
        ("GET", "/1"),
        ("GET", "/1/results"),
        ("DELETE", "/1"),
        ("GET", "/2"),
        ("GET", "/999999999999999"),
    ):
        assert (await desk.ask(method, path, token=CRM))[0] == 404
    assert rows(desk.store, "SELECT state FROM delivery") == [("queued",)]


async def test_a_run_is_called_off_and_its_key_is_spent(desk: Desk) -> None:
    await desk.ask(body=ONE)
    assert await desk.ask("DELETE", "/1") == (200, {"run": 1, "cancelled": 1})
    assert (await desk.ask("GET", "/1"))[1]["state"] == "cancelled"
    [row] = (await desk.ask("GET", "/1/results"))[1]["results"]
    assert (row["state"], row["reason"]) == ("refused", "cancelled by api:shop")
    assert (await desk.ask(body=ONE))[0] == 409


async def test_a_run_that_is_forgotten_while_it_is_called_off_is_not_there(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.ask(body=ONE)

    def seen_and_forgotten(connection: Any, number: int) -> Any:
        found = run_numbered(connection, number)
        with closing(desk.store.session()) as session, session.transaction() as tx:
            for table in ("notice", "notice_run"):
                tx.do.one(f"DELETE FROM {table}")
        return found

    monkeypatch.setattr(f"{API}.run_numbered", seen_and_forgotten)
    assert (await desk.ask("DELETE", "/1"))[0] == 404


async def test_a_row_key_belongs_to_the_program_that_gave_it(desk: Desk) -> None:
    asked = {**ONE, "notices": [{"to": ONE["to"], "values": ONE["values"], "key": "4711"}]}
    for one in ("to", "values"):
        del asked[one]
    assert (await desk.ask(body=asked))[0] == 202
    assert (await desk.ask(body=asked, token=CRM))[0] == 202
    assert desk.count() == 2


# ---- what is wrong
@ON_SQLITE
@pytest.mark.parametrize(
    ("change", "field", "cause"),
    [
        ({"template": "dispatchd"}, "template", "is none that is known here"),
        ({"template": 7}, "template", "is none that is known here"),
        ({"channel": "fax"}, "channel", "is none that is known here"),
        ({"channel": ["sms"]}, "channel", "is none that is known here"),
        ({"key": ""}, "key", "is no text of 1 to 200 characters"),
        ({"key": 7}, "key", "is no text of 1 to 200 characters"),
        ({"key": "a\nb"}, "key", "is no text of 1 to 200 characters"),
        ({"key": "k" * 201}, "key", "is no text of 1 to 200 characters"),
        ({"valeus": {}}, "valeus", "unknown key"),
        ({"to": "0170"}, "to", "is no address"),
        ({"values": {}}, "values.order", "is missing"),
        ({"values": {"order": "x" * 21}}, "values.order", "has 21 characters, 20 are the most"),
        ({"values": {"order": "1", "day": "x"}}, "values.day", "dispatched has no such value"),
        ({"notices": []}, "notices", "is no list, or stands beside a single notice"),
    ],
)
async def test_what_is_wrong_is_told_by_field_cause_and_remedy_and_nothing_is_queued(
    desk: Desk, change: dict[str, Any], field: str, cause: str
) -> None:
    status, said = await desk.ask(body={**ONE, **change})
    found = [one for one in said["problems"] if one["field"] == field]
    assert (status, said["title"], found[0]["cause"]) == (422, "nothing was queued", cause)
    assert found[0]["remedy"]
    assert desk.count() == desk.count("notice_run") == 0


@ON_SQLITE
async def test_every_wrong_row_is_named_and_the_right_ones_are_not_queued(desk: Desk) -> None:
    several = [{"to": "+491701234567", "values": {"order": 1}}, {"to": "x"}, 7, {"to": "a@b.de", "values": {}}]
    status, said = await desk.ask(body={"template": "dispatched", "key": "k", "notices": several})
    assert status == 422
    assert [one["field"] for one in said["problems"]] == [
        *("notices[1].values.order", "notices[1].to", "notices[2]", "notices[3].values.order"),
    ]
    for count in (0, ROWS_MAX + 1):
        body = {"template": "dispatched", "key": "k", "notices": [several[0]] * count}
        status, said = await desk.ask(body=body)
        assert (status, said["problems"][0]["cause"]) == (422, f"has {count} elements")
    assert desk.count() == 0


@ON_SQLITE
@pytest.mark.parametrize(
    ("data", "headers", "status"),
    [
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (gzip.compress(b"{}"), {"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415),
        (b"{", {"Content-Type": "application/json"}, 400),
        (b"\xff", {"Content-Type": "application/json"}, 400),
        (b"[" * 100_000, {"Content-Type": "application/json"}, 400),
        (b"[]", {"Content-Type": "application/json"}, 422),
        (b" " * (BODY_MAX + 1), {"Content-Type": "application/json"}, 413),
    ],
    ids=["no JSON", "compressed", "broken", "no UTF-8", "deep", "no object", "too large"],
)
async def test_a_body_that_cannot_be_read_is_refused(
    desk: Desk, data: bytes, headers: dict[str, str], status: int
) -> None:
    assert (await desk.ask(data=io.BytesIO(data), **headers))[0] == status


@ON_SQLITE
async def test_a_body_of_unknown_length_is_read_no_further_than_it_may_be_long(desk: Desk) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 64 * BODY_MAX:
            sent += 65_536
            yield b" " * 65_536

    status, said = await desk.ask(data=endless(), Content_Type="application/json")
    assert (status, said["status"]) == (413, 413)
    assert sent < 64 * BODY_MAX


@ON_SQLITE
async def test_keys_in_body_and_header_must_be_the_same(desk: Desk) -> None:
    assert (await desk.ask(body=ONE, Idempotency_Key="other"))[1]["problems"][0]["field"] == "key"
    assert (await desk.ask(body=ONE, Idempotency_Key="k"))[0] == 202


@ON_SQLITE
@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "after=-1", "after=²", "limit=99999999999999"])
async def test_a_page_that_cannot_be_is_refused(desk: Desk, query: str) -> None:
    await desk.ask(body=ONE)
    assert (await desk.ask("GET", f"/1/results?{query}"))[0] == 422


# ---- when something else is wrong
@ON_SQLITE
async def test_a_fault_of_ours_is_noted_and_not_shown(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{API}.open_run", lambda _tx, _payloads: 1 / 0)
    with capture_logs() as logs:
        status, said = await desk.ask(body=ONE)
    assert (status, said) == (500, {"title": "this went wrong here; it has been noted", "status": 500, "problems": []})
    assert [log["event"] for log in logs] == ["api_failed"]


@ON_SQLITE
async def test_too_many_at_once_are_told_to_come_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    release = asyncio.Event()
    writes = Writer.write

    async def slow(self: Writer, operation: Operation[Any, Any], payload: Any) -> Any:
        await release.wait()
        return await writes(self, operation, payload)

    monkeypatch.setattr(Writer, "write", slow)
    asked = [asyncio.create_task(desk.ask(body={**ONE, "key": str(n)})) for n in range(17)]
    done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    assert [task.result()[0] for task in done] == [503]
    release.set()
    assert sorted([status for status, _ in await asyncio.gather(*asked)]) == [202] * 16 + [503]


@ON_SQLITE
async def test_a_large_run_is_not_counted_more_often_than_it_takes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = []

    def slow(connection: Any, number: int) -> Any:
        counted.append(number)
        times.append(times[-1] + 2.0)
        return run_numbered(connection, number)

    times = [100.0]
    monkeypatch.setattr(f"{API}.run_numbered", slow)
    monkeypatch.setattr(f"{API}.time.monotonic", lambda: times[-1])
    await desk.ask(body=ONE)
    for _ in range(5):
        assert (await desk.ask("GET", "/1"))[0] == 200
    assert len(counted) == 1
    times.append(times[-1] + 20)
    await desk.ask("GET", "/1")
    assert len(counted) == 2


# ---- what programs read of it
async def test_the_description_is_served_to_whoever_has_a_token_and_says_what_there_is(desk: Desk) -> None:
    assert (await desk.ask("GET", "/openapi.json", under="", token=""))[0] == 401
    status, said = await desk.ask("GET", "/openapi.json", under="")
    assert status == 200
    assert said["servers"] == [{"url": "http://127.0.0.1:8080"}]
    assert said["components"]["schemas"]["OneNotice"]["properties"]["template"]["enum"] == ["dispatched"]
    assert {(path, method.upper()) for path, methods in said["paths"].items() for method in methods} == {
        (one.path, one.method) for one in OPERATIONS
    }


def test_the_description_is_one_by_a_validator_that_knows_nothing_of_us() -> None:
    OpenAPIV31SpecValidator(DESCRIPTION).validate()
    assert orjson.loads(orjson.dumps(DESCRIPTION)) == DESCRIPTION


def test_a_daemon_without_templates_is_described_too() -> None:
    found = describe(version="1.0", url="https://desk.example.org", templates=())
    OpenAPIV31SpecValidator(found).validate()
    assert "enum" not in found["components"]["schemas"]["OneNotice"]["properties"]["template"]


def test_a_row_has_the_keys_that_are_read() -> None:
    assert names(NoticeAsked) == {*_KNOWN}


@pytest.mark.parametrize(
    "wrong",
    [
        {"template": "dispatched"},
        {"template": "unknown", "to": "+491701234567"},
        {"template": "dispatched", "to": "+491701234567", "too": 1},
        {"template": "dispatched", "notices": []},
        {"template": "dispatched", "notices": [{"values": {}}]},
        {"template": "dispatched", "to": "+491701234567", "notices": [{"to": "+491701234567"}]},
        {"template": "dispatched", "to": "+491701234567", "values": {"order": None}},
    ],
)
def test_what_would_be_refused_does_not_fit_the_description(wrong: dict[str, Any]) -> None:
    body = DESCRIPTION["paths"]["/api/v1/notices"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert not OAS31Validator({**body, "components": DESCRIPTION["components"]}).is_valid(wrong)


@frozen
class Strange:
    at: complex = field(metadata={"about": "nobody can write that", "schema": {}})


def test_a_type_that_nobody_can_write_in_json_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match="nothing says how"):
        schema_of(Strange, {})
