"""Gateways as their documentation describes them, each by its tables alone: see the folder ``gateways``."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import attrs
import pytest
from attrs import evolve, frozen
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from fernamt import (
    Address,
    BadSignature,
    Channel,
    ChannelId,
    DeliveryState,
    FernamtError,
    Ignored,
    InboundEvent,
    NeedsLogin,
    OptedOut,
    OutboundMessage,
    Part,
    Receipt,
    Received,
    Rejected,
    Request,
    Response,
    Secret,
    Sent,
    Throttled,
    Unparsable,
    Unparsed,
    Unreachable,
    channel_settings,
)
from fernamt.testing import FakeContext, FaultyProvider, ProviderFault, loopback_http
from fernamt_sms.http import template
from fernamt_sms.http.connector import Gateway
from fernamt_sms.http.place import Document, Place
from fernamt_sms.http.settings import HttpSettings, InboundSettings

GATEWAYS: Final = Path(__file__).with_name("gateways")
URL: Final = "https://desk.example.org/in/shop-sms/"
ANN: Final = "+4915112345678"
SECRETS: Final = {"GATEWAY_TOKEN": "t0ken & co", "GATEWAY_PATH": "p4th-secret"}
SHARP: Final = 'Größe <38> & "39"? a=b+c {to} \\ 🙂\nzwei'


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


@cache
def section(name: str) -> HttpSettings:
    """Return a gateway's section, read as the daemon reads it."""
    return channel_settings(GATEWAYS / f"{name}.toml", "shop-sms", {"sms.http": HttpSettings})


def channel(settings: HttpSettings) -> Channel[HttpSettings]:
    return Channel(id=ChannelId("shop-sms"), name="Shop", kind="sms.http", settings=settings, url=URL)


@frozen
class Given:
    """A channel and the gateway at its other end."""

    there: FaultyProvider
    line: Gateway


@asynccontextmanager
async def gateway(name: str, body: str, *, status: int = 200) -> AsyncIterator[Given]:
    """Give a channel at a gateway that answers with *body*."""
    answer = Response(status=status, body=body.encode())
    async with FaultyProvider(answer=lambda _: answer) as there, loopback_http(timeout_s=5.0) as http:
        settings = section(name)
        place = urlsplit(settings.send.url)
        send = evolve(settings.send, url=f"{there.url}{place.path}")
        if send.check_url:
            send = evolve(send, check_url=f"{there.url}{urlsplit(send.check_url).path}")
        yield Given(there, Gateway(channel(evolve(settings, send=send)), FakeContext(http=http)))


def message(text: str = SHARP, **more: Any) -> OutboundMessage:
    said: dict[str, Any] = {"key": "k1", "entry_key": "e1", "attempt": 1, "to": Address("phone", ANN)} | more
    return OutboundMessage(text=text, **said)


@cache
def hook(name: str, path: str) -> Any:
    [found] = [one for one in Gateway(channel(section(name)), FakeContext()).webhooks() if one.path == path]
    return found


def call(
    path: str, body: bytes = b"", *, query: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> Request:
    return Request(
        method="POST" if body else "GET",
        url=f"{URL}{path}",
        path="",
        query=dict(query or {}),
        headers=CIMultiDict(headers or {}),
        body=body,
        at=datetime(2026, 11, 30, 12, tzinfo=UTC),
    )


def read(name: str, path: str, body: Any = b"", **query: str) -> list[InboundEvent]:
    """Return the events of a call that the gateway makes."""
    one = hook(name, path)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = one.sign(call(path, content, query=query))
    one.verify(request)
    return list(one.parse(request))


# ---- out
async def test_json_is_filled_in_and_escaped_by_its_own_rules() -> None:
    async with gateway("json", '{"uuid": "u-1"}') as it:
        assert await it.line.send(message()) == Sent(ids=("u-1",))
        [sent] = it.there.calls
        assert sent.headers["X-LOX24-AUTH-TOKEN"] == SECRETS["GATEWAY_TOKEN"]
        assert sent.json() == {"sender_id": "Example", "phone": ANN, "text": SHARP, "callback_data": "k1", "parts": 1}


async def test_a_form_is_filled_in_and_escaped_by_its_own_rules() -> None:
    async with gateway("form", '{"id": "s-1", "status": "created"}') as it:
        assert await it.line.send(message()) == Sent(ids=("s-1",))
        [sent] = it.there.calls
        assert sent.headers["Content-Type"] == "application/x-www-form-urlencoded"
        assert base64.b64decode(sent.headers["Authorization"].removeprefix("Basic ")) == b"u-example:t0ken & co"
        assert parse_qsl(sent.body.decode(), strict_parsing=True) == [
            ("from", "+46700000000"),
            ("to", ANN),
            ("message", SHARP),
            ("whendelivered", f"{URL}receipts?token=p4th-secret&fernamt=k1"),
        ]


async def test_an_address_is_filled_in_and_escaped_by_its_own_rules() -> None:
    async with gateway("text", "OK: abc-1\n") as it:
        assert await it.line.send(message()) == Sent(ids=("abc-1",))
        [sent] = it.there.calls
        assert (sent.method, sent.path, sent.body) == ("GET", f"/send/{ANN[1:]}", b"")
        assert dict(sent.query) == {
            "user": "shop",
            "key": SECRETS["GATEWAY_TOKEN"],
            "from": "Example",
            "msg": SHARP,
            "ref": "k1",
            "type": "ucs-2",
        }


async def test_xml_is_filled_in_and_escaped_by_its_own_rules() -> None:
    async with gateway("xml", "<r><status>1</status><id>x-1</id></r>") as it:
        assert await it.line.send(message(SHARP + "\x0b")) == Sent(ids=("x-1",))
        [sent] = it.there.calls
        found = ET.fromstring(sent.body)
        assert (sent.method, found.attrib, found.findtext("to")) == ("PUT", {"login": "t0ken & co"}, ANN)
        assert found.findtext("text") == SHARP + " "


_WORDS = st.text(st.characters(codec="utf-8"), max_size=40)


@given(_WORDS, _WORDS)
def test_whatever_a_customer_is_told_stays_a_value(text: str, sender: str) -> None:
    values = dict.fromkeys(template.NAMES, "") | {"text": text, "sender": sender, "to": ANN}
    as_json = template.body('{"a": ["{text}", {"b": "{sender}{to}"}], "n": "{to:number}"}', "json", values)
    assert json.loads(as_json) == {"a": [text, {"b": sender + ANN}], "n": int(ANN)}
    as_form = template.body("a={text}&b=x{sender}", "form", values)
    assert parse_qsl(as_form.decode(), keep_blank_values=True) == [("a", text), ("b", f"x{sender}")]
    as_xml = template.body('<m a="{sender}"><b>{text}</b><c/></m>', "xml", values)
    assert [one.tag for one in ET.fromstring(as_xml).iter()] == ["m", "b", "c"]
    assert urlsplit(f"https://x/{template.filled('{text}', values, template.in_path)}?q").query == "q"


ANSWERS: list[tuple[str, int, str, type[Exception], str]] = [
    ("text", 200, "ERR: 11", Throttled, "11"),
    ("text", 200, "ERR: 12", Unreachable, "12"),
    ("text", 200, "ERR: 17", OptedOut, "17"),
    ("text", 200, "ERR: 18", Rejected, "18"),
    ("text", 200, "ERR: 99", Unreachable, "99"),
    ("text", 200, "<html>Gateway</html>", Unreachable, "200"),
    ("text", 200, "", Unreachable, "200"),
    ("text", 200, "OK", Unreachable, ""),
    ("text", 503, "later", Unreachable, "503"),
    ("text", 502, "OK: 1", Unreachable, "502"),
    ("text", 404, "no", Rejected, "404"),
    ("text", 401, "no", NeedsLogin, "401"),
    ("text", 403, "no", NeedsLogin, "403"),
    ("text", 429, "slow", Throttled, "429"),
    ("json", 400, '{"code": 410}', Rejected, "410"),
    ("json", 400, '{"code": 6000}', OptedOut, "6000"),
    ("json", 402, '{"code": 2000}', NeedsLogin, "2000"),
    ("json", 201, '{"no": "uuid"}', Unreachable, ""),
    ("xml", 200, "<r><status>7</status></r>", Rejected, "7"),
    ("xml", 200, "<r/>", Unreachable, "200"),
]


@pytest.mark.parametrize(("name", "status", "body", "kind", "code"), ANSWERS)
async def test_an_answer_means_what_the_tables_say(
    name: str, status: int, body: str, kind: type[Exception], code: str
) -> None:
    async with gateway(name, body, status=status) as it:
        with pytest.raises(kind) as why:
            await it.line.send(message())
        assert getattr(why.value, "code", None) == code
        assert getattr(why.value, "certain", None) in ({"12": (True,), "503": (True,)}.get(code, (False, None)))
        assert SECRETS["GATEWAY_TOKEN"] not in str(why.value)


@pytest.mark.parametrize("fault", [ProviderFault.lost_answer(), ProviderFault.cut_short(), ProviderFault.html()])
async def test_what_may_have_happened_is_uncertain(fault: ProviderFault) -> None:
    async with gateway("json", '{"uuid": "u-1"}') as it:
        it.there.next(fault)
        with pytest.raises(Unreachable) as why:
            await it.line.send(message())
        assert not why.value.certain


async def test_a_check_asks_where_the_settings_say_and_tells_a_wrong_login() -> None:
    async with gateway("json", "{}") as it:
        assert await it.line.verify() == f"127.0.0.1:{it.there.port}"
        assert (it.there.calls[-1].path, it.there.calls[-1].method) == ("/me", "GET")
        it.there.next(ProviderFault.expired_login())
        with pytest.raises(NeedsLogin):
            await it.line.verify()
    async with gateway("form", "{}") as it:
        assert "nothing was asked: set check_url" in await it.line.verify()
        assert it.there.calls == []


# ---- in
def test_one_address_may_bring_messages_and_receipts() -> None:
    incoming = {"name": "sms.incoming", "data": {"id": "i-1", "from": ANN, "to": "+4930", "text": SHARP}}
    told = {"name": "sms.delivery", "data": {"id": "u-1", "dlr_code": 16, "status_code": 6000, "callback_data": "k1"}}
    for path in ("messages", "receipts"):
        assert read("json", path, incoming) == [
            Received(key="in:i-1", id="i-1", sender=Address("phone", ANN), text=SHARP)
        ]
        [found] = read("json", path, told)
        assert isinstance(found, Receipt)
        assert (found.key, found.id, found.message_key, found.state) == ("16:u-1", "u-1", "k1", DeliveryState.FAILED)
        assert isinstance(found.error, OptedOut)
    assert read("json", "receipts", {"name": "sms.delivery.dryrun"}) == [
        Ignored(reason="an event of the type sms.delivery.dryrun")
    ]
    waiting = {**told, "data": {**told["data"], "dlr_code": 0}}  # type: ignore[dict-item]
    assert read("json", "receipts", waiting) == [Ignored(reason="the status 0")]


def test_a_form_brings_a_message_and_its_receipt_our_key() -> None:
    body = b"direction=incoming&id=sf1&from=%2B4915112345678&to=%2B46&message=Hej%21+%C3%A5"
    assert read("form", "messages", body) == [
        Received(key="in:sf1", id="sf1", sender=Address("phone", ANN), text="Hej! å")
    ]
    assert read("form", "receipts", b"id=s-1&status=delivered&delivered=2026", fernamt="k1") == [
        Receipt(key="delivered:s-1", id="s-1", message_key="k1", state=DeliveryState.DELIVERED)
    ]


def test_a_call_without_a_body_is_read_by_its_query_and_pieces_are_told() -> None:
    query = {"sender": "015112345678", "msg": "Teil", "ref": "77", "part": "2", "parts": "3"}
    [found] = read("text", "messages", **query)
    assert isinstance(found, Received)
    assert (found.sender, found.text, found.part) == (
        Address("phone", ANN),
        "Teil",
        Part(group="77", number=2, total=3),
    )
    assert (found.id, found.key_valid_s) == ("", 60.0)
    assert read("text", "messages", **query) == [found]
    [other] = read("text", "messages", **{**query, "part": "3"})
    assert isinstance(other, Received)
    assert other.key != found.key
    assert read("text", "receipts", ref="k1", status="READ") == [
        Receipt(key="READ:k1", message_key="k1", state=DeliveryState.READ)
    ]


def test_a_list_brings_each_of_its_elements_and_keeps_what_cannot_be_read() -> None:
    good = {"messageId": "m1", "status": {"groupId": 3}}
    bad = [{"messageId": "m2", "status": {"groupId": 9}}, {"status": {"groupId": 3}}, "text", {"messageId": "m3"}]
    found = read("xml", "receipts", {"results": [good, *bad, {"messageId": "m4", "status": {"groupId": 1}}]})
    assert [type(one) for one in found] == [Receipt, Unparsed, Unparsed, Unparsed, Unparsed, Ignored]
    assert all(one.raw and one.reason for one in found if isinstance(one, Unparsed))
    assert hook("text", "messages").done.body == b"ACK"


BROKEN: list[tuple[str, str, bytes]] = [
    ("json", "messages", b"{"),
    ("json", "messages", b"\xff"),
    ("xml", "messages", b'{"other": []}'),
    ("form", "messages", b"a=\xff"),
    ("form", "messages", b"&".join(b"a=1" for _ in range(501))),
]


@pytest.mark.parametrize(("name", "path", "body"), BROKEN)
def test_a_call_that_cannot_be_read_is_kept_whole(name: str, path: str, body: bytes) -> None:
    with pytest.raises(Unparsable):
        read(name, path, body)


def test_the_secret_of_an_address_is_in_nothing_that_is_kept() -> None:
    [found] = read("form", "messages", other="1")
    assert isinstance(found, Unparsed)
    assert SECRETS["GATEWAY_PATH"].encode() not in found.raw


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False), st.text(max_size=5)),
    lambda it: st.lists(it, max_size=3) | st.dictionaries(st.sampled_from(["id", "data", "from", "text", "name", "results", "status"]), it, max_size=3),
    max_leaves=8,
)  # fmt: skip
HOOKS: Final = [(name, path) for name in ("json", "form", "text", "xml") for path in ("messages", "receipts")]


@given(st.one_of(st.binary(max_size=60), _JSON.map(lambda it: json.dumps(it).encode())), st.sampled_from(HOOKS))
def test_nothing_but_unparsable_comes_of_any_call(body: bytes, where: tuple[str, str]) -> None:
    with contextlib.suppress(Unparsable):
        for event in read(*where, body):
            assert isinstance(event, Ignored | Received | Receipt | Unparsed)


# ---- who calls
AUTH: dict[str, dict[str, Any]] = {
    "path": {"auth": "path"},
    "basic": {"auth": "basic", "auth_user": "gateway"},
    "header": {"auth": "header", "auth_name": "X-Token"},
    "query": {"auth": "query", "auth_name": "token"},
    "hmac in hex": {"auth": "hmac", "auth_name": "X-Sig", "prefix": "sha256="},
    "hmac behind a word": {"auth": "hmac", "auth_name": "X-Sig", "prefix": "SHA256="},
    "hmac in base64": {"auth": "hmac", "auth_name": "X-Sig", "encoding": "base64", "algorithm": "sha1"},
}


@pytest.mark.parametrize("said", AUTH.values(), ids=AUTH)
def test_who_does_not_show_the_secret_is_refused(said: dict[str, Any]) -> None:
    def hooked(secret: str) -> Any:
        settings = evolve(section("json"), inbound=InboundSettings(**said, auth_secret=Secret(secret)))
        return Gateway(channel(settings), FakeContext()).webhooks()[0]

    ours, theirs = hooked("s3cret-ü"), hooked("other")
    request = call("messages", b"{}")
    ours.verify(ours.sign(request))
    for forged in (
        request,
        theirs.sign(request),
        call("messages", b"{}", headers={"Authorization": "Basic !", "X-Token": "", "X-Sig": "sha256="}),
    ):
        with pytest.raises(BadSignature):
            ours.verify(forged)


@pytest.mark.parametrize("said", AUTH.values(), ids=AUTH)
def test_while_the_secret_is_changed_the_next_one_counts_as_well(said: dict[str, Any]) -> None:
    def hooked(**secrets: str) -> Any:
        known: dict[str, Any] = {name: Secret(secret) for name, secret in secrets.items()}
        settings = evolve(section("json"), inbound=InboundSettings(**said, **known))
        return Gateway(channel(settings), FakeContext()).webhooks()[0]

    ours = hooked(auth_secret="old", new_auth_secret="next")
    for theirs in ("old", "next"):
        ours.verify(hooked(auth_secret=theirs).sign(call("messages", b"{}")))
    with pytest.raises(BadSignature):
        ours.verify(hooked(auth_secret="third").sign(call("messages", b"{}")))


def test_an_hmac_is_over_the_bytes_and_its_letters_may_be_large() -> None:
    settings = evolve(section("json"), inbound=InboundSettings(auth="hmac", auth_name="X-Sig", auth_secret=Secret("s")))
    one = Gateway(channel(settings), FakeContext()).webhooks()[0]
    made = hmac.new(b"s", b"{ }", hashlib.sha256).hexdigest()
    one.verify(call("messages", b"{ }", headers={"X-Sig": made.upper()}))
    with pytest.raises(BadSignature):
        one.verify(call("messages", b"{}", headers={"X-Sig": made}))


def test_a_channel_without_a_table_for_it_is_not_called() -> None:
    assert Gateway(channel(evolve(section("json"), inbound=None)), FakeContext()).webhooks() == ()


# ---- the settings
WRONG: list[tuple[str, str, str]] = [
    ('url = "https://gateway.example/sms"', 'url = ""', "url must not be empty"),
    ('url = "https://gateway.example/sms"', 'url = "gateway"', "it must begin with https://"),
    ("X-LOX24-AUTH-TOKEN: {secret}", "X-LOX24", "write it as 'Authorization"),
    ("{to}", "{too}", "there is no {too}; there are {callback}"),
    ("{to}", "{To}", "there is no {To}; there are {callback}"),
    ("{to}", "{ to }", "there is no { to }; there are {callback}"),
    ("{parts:number}", "{parts:int}", "there is no {parts:int}; there are {callback}"),
    ('"text": "{text}"', '"text": {text}', "it is no JSON"),
    ('id = "uuid"', 'id = "/[/"', "no regular expression"),
    ('id = "uuid"', 'id = "/(a)(b)/"', "one group at most"),
    ('id = "uuid"', 'id = "/x"', "between two slashes"),
    ('id = "data.id"', 'id = "/x/"', "here only a path counts"),
    ('sender = "data.from"', 'sender = ""', "sender must not be empty"),
    ('auth = "path"', 'auth = "basic"', "auth = 'basic' needs auth_user"),
    ('auth_secret = "env:GATEWAY_PATH"', "", "auth_secret: is missing"),
]


@pytest.mark.parametrize(("right", "wrong", "says"), WRONG)
def test_a_wrong_setting_is_refused_with_the_remedy(right: str, wrong: str, says: str, tmp_path: Path) -> None:
    text = (GATEWAYS / "json.toml").read_text()
    assert right in text
    file = tmp_path / "fernamt.toml"
    file.write_text(text.replace(right, wrong))
    with pytest.raises(FernamtError) as why:
        channel_settings(file, "shop-sms", {"sms.http": HttpSettings})
    assert says in str(why.value)


@pytest.mark.parametrize("file", sorted(GATEWAYS.glob("*.toml")), ids=lambda file: file.stem)
def test_a_gateway_uses_only_keys_that_there_are(file: Path) -> None:
    said = tomllib.loads(file.read_text())["channels"]["shop-sms"]
    known = {field.name for field in attrs.fields(HttpSettings)} | {"kind", "name"}
    assert set(said) <= known


# ---- places
PLACES: list[tuple[str, str, str | None]] = [
    ("a.b", '{"a": {"b": "x"}}', "x"),
    ("a.1.b", '{"a": [0, {"b": 7}]}', "7"),
    ("a.b", '{"a.b": "whole"}', "whole"),
    ("a", '{"a": true}', "true"),
    ("a", '{"a": null}', None),
    ("a", '{"a": {}}', None),
    ("a.9", '{"a": []}', None),
    ("a", "[]", None),
    ("a", "not json", None),
    ("/OK/", "all OK here", "OK"),
    ("/^id=(.+)$/", "x\nid=4711", "4711"),
    ("/x/", "", None),
]


@pytest.mark.parametrize(("written", "body", "value"), PLACES)
def test_a_place_names_a_value(written: str, body: str, value: str | None) -> None:
    place = Place.parse(written)
    assert place is not None
    assert place.find(Document.of(body.encode())) == value
