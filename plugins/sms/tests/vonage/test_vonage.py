"""A line at Vonage: what goes out, what its answers and calls mean, and which calls are its own."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import pytest
from attrs import evolve, frozen
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from vonage_http_client.auth import Auth

from fernamt import (
    Address,
    BadSignature,
    Channel,
    ChannelId,
    NeedsLogin,
    OutboundMessage,
    Receipt,
    Rejected,
    Request,
    Secret,
    Sent,
    Throttled,
    Unparsable,
    Unreachable,
)
from fernamt.testing import FakeContext, ProviderFault, loopback_http
from fernamt_sms.vonage.codes import ANSWERS, RECEIPTS
from fernamt_sms.vonage.connector import Vonage
from fernamt_sms.vonage.events import incoming, told
from fernamt_sms.vonage.settings import VonageSettings
from fernamt_sms.vonage.signature import OLDEST_S, check, sign

from .fake import ANN, US, FakeVonage, answer

URL: Final = "https://desk.example.org/in/v/"
NOW: Final = datetime(2026, 11, 30, 12, tzinfo=UTC)
METHODS: Final = ("md5", "sha1", "sha256", "sha512")


@frozen
class Given:
    """A channel and the Vonage at its other end."""

    there: FakeVonage
    line: Vonage


def settings(**more: Any) -> VonageSettings:
    said: dict[str, Any] = {"user": "abcd1234", "secret": Secret("s"), "signature_secret": Secret("sig"), "sender": US}
    return VonageSettings(**said | more)


def line(section: VonageSettings, context: FakeContext) -> Vonage:
    return Vonage(Channel(id=ChannelId("v"), name="V", kind="sms.vonage", settings=section, url=URL), context)


@asynccontextmanager
async def vonage(**more: Any) -> AsyncIterator[Given]:
    async with FakeVonage() as there, loopback_http(timeout_s=5.0) as http:
        yield Given(there, line(settings(api=there.url, **more), FakeContext(http=http)))


def message(text: str = "Ihr Paket ist da", **more: Any) -> OutboundMessage:
    said: dict[str, Any] = {"key": "k1", "entry_key": "e1", "attempt": 1, "to": Address("phone", ANN)} | more
    return OutboundMessage(text=text, **said)


def call(fields: Mapping[str, str] | bytes, how: str = "form") -> Request:
    body, kind, query = b"", "", dict[str, str]()
    if isinstance(fields, bytes) or how == "form":
        body = fields if isinstance(fields, bytes) else urlencode(fields).encode()
        kind = "application/json" if how == "json" else "application/x-www-form-urlencoded"
    elif how == "json":
        body, kind = json.dumps(fields).encode(), "application/json; charset=utf-8"
    else:
        query = dict(fields)
    return Request(
        method="POST" if body else "GET",
        url=f"{URL}sms",
        path="",
        query=query,
        headers=CIMultiDict({"Content-Type": kind}),
        body=body,
        at=NOW,
    )


# ---- out
async def test_a_message_says_its_alphabet_its_key_and_where_its_receipts_go() -> None:
    async with vonage() as it:
        assert await it.line.send(message()) == Sent(ids=("0C00000000000001",))
        await it.line.send(message("да"))
        first, second = (dict(parse_qsl(one.body.decode(), strict_parsing=True)) for one in it.there.calls)
        assert first == {
            "api_key": "abcd1234",
            "api_secret": "s",
            "from": US[1:],
            "to": ANN[1:],
            "text": "Ihr Paket ist da",
            "type": "text",
            "client-ref": "k1",
            "callback": f"{URL}receipts",
        }
        assert (second["type"], second["text"]) == ("unicode", "да")


ANSWERED: list[tuple[bytes, type[Exception], str, bool | None]] = [
    (answer("1"), Throttled, "1", None),
    (answer("4"), NeedsLogin, "4", None),
    (answer("5"), Unreachable, "5", False),
    (answer("6"), Rejected, "6", None),
    (answer("9"), NeedsLogin, "9", None),
    (answer("77"), Rejected, "77", None),
    (answer("0", "9"), Unreachable, "9", False),
    (answer(), Unreachable, "", False),
    (b'{"messages": ["0"]}', Unreachable, "", False),
    (b'{"messages": [{"status": "0"}]}', Unreachable, "", False),
    (b"[]", Unreachable, "", False),
    (b"<html>", Unreachable, "", False),
]


@pytest.mark.parametrize(("body", "kind", "code", "certain"), ANSWERED)
async def test_a_good_status_of_http_says_nothing_yet(
    body: bytes, kind: type[Exception], code: str, certain: bool | None
) -> None:
    async with vonage() as it:
        it.there.next(ProviderFault(body=body))
        with pytest.raises(kind) as why:
            await it.line.send(message())
        assert (getattr(why.value, "code", ""), getattr(why.value, "certain", None)) == (code, certain)
        assert ANN not in str(why.value)


async def test_the_ids_of_all_parts_are_kept() -> None:
    async with vonage() as it:
        it.there.next(ProviderFault(body=answer("0", "0", "0")))
        assert await it.line.send(message("x" * 400)) == Sent(ids=("id-0", "id-1", "id-2"))


async def test_a_check_asks_for_the_balance() -> None:
    async with vonage() as it:
        assert await it.line.verify() == f"abcd1234, {US}, balance 12.5"
        it.there.next(ProviderFault(status=401))
        with pytest.raises(NeedsLogin):
            await it.line.verify()
        it.there.next(ProviderFault(body=b"{}"))
        with pytest.raises(Unreachable):
            await it.line.verify()


def test_every_code_has_a_sentence() -> None:
    for meaning in (*ANSWERS.values(), *RECEIPTS.values()):
        assert meaning.says
        assert not meaning.says.endswith(".")


# ---- who calls
FIELDS: Final = {
    "msisdn": ANN[1:],
    "to": US[1:],
    "messageId": "0B1",
    "text": "a=b & Größe",
    "type": "text",
    "nonce": "n1",
}


def by_vonage(fields: Mapping[str, str], method: str) -> str:
    """Return what Vonage's own library signs the fields with."""
    theirs = Auth(api_key="abcd1234", signature_secret="sig", signature_method=method)
    return str(theirs.sign_params(dict(fields)))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("how", ["form", "json", "query"])
@pytest.mark.parametrize("upper", [False, True])
def test_what_vonages_library_signs_is_taken(method: Any, how: str, upper: bool) -> None:
    fields = FIELDS | {"timestamp": str(int(NOW.timestamp()))}
    signature = by_vonage(fields, method)
    check(call(fields | {"sig": signature.upper() if upper else signature}, how), settings(signature_method=method))


_WORDS = st.text(st.characters(codec="utf-8"), max_size=10)


@given(
    st.dictionaries(_WORDS.filter(lambda it: it not in {"sig", "timestamp"}), _WORDS, max_size=5),
    st.sampled_from(METHODS),
)
def test_vonages_library_takes_what_we_sign(fields: dict[str, str], method: Any) -> None:
    request = sign(call(fields | {"msisdn": "1"}), settings(signature_method=method))
    check(request, settings(signature_method=method))
    theirs = Auth(api_key="abcd1234", signature_secret="sig", signature_method=method)
    assert theirs.check_signature(dict(parse_qsl(request.body.decode(), keep_blank_values=True)))


FORGED: dict[str, Any] = {
    "no signature": lambda it: call(FIELDS),
    "another word": lambda it: evolve(it, body=it.body.replace(b"text=a", b"text=b")),
    "a further field": lambda it: evolve(it, body=it.body + b"&concat=true"),
    "another method": lambda it: sign(call(FIELDS), settings(signature_method="md5")),
    "another secret": lambda it: sign(call(FIELDS), settings(signature_secret=Secret("other"))),
    "an old call": lambda it: evolve(it, at=datetime.fromtimestamp(NOW.timestamp() + OLDEST_S + 5, UTC)),
    "a body of another type": lambda it: evolve(it, headers=CIMultiDict({"Content-Type": "text/plain"})),
    "JSON that is no object": lambda it: call(b"[]", "json"),
    "JSON that is none": lambda it: call(b"{", "json"),
    "bytes that are no text": lambda it: call(b"a=\xff&sig=\xff"),
    "fields without end": lambda it: call(b"&".join(b"a=1" for _ in range(101))),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_what_is_not_vonages_is_refused(forge: Any) -> None:
    good = sign(call(FIELDS), settings())
    check(good, settings())
    with pytest.raises(BadSignature):
        check(forge(good), settings())


def test_a_call_without_a_time_is_refused_even_if_it_is_signed() -> None:
    signature = by_vonage(FIELDS | {"timestamp": "soon"}, "sha256")
    with pytest.raises(BadSignature, match="too old"):
        check(call(FIELDS | {"timestamp": "soon", "sig": signature}), settings())


# ---- in
@pytest.mark.parametrize("missing", ["messageId", "msisdn", "text"])
def test_what_is_no_message_is_kept_for_a_person(missing: str) -> None:
    with pytest.raises(Unparsable):
        incoming({name: value for name, value in FIELDS.items() if name != missing}, "")


@pytest.mark.parametrize(
    "more",
    [
        {"type": "binary"},
        {"concat": "true"},
        {"concat": "true", "concat-ref": "1", "concat-part": "x", "concat-total": "2"},
    ],
)
def test_what_cannot_be_read_is_kept_for_a_person(more: dict[str, str]) -> None:
    with pytest.raises(Unparsable):
        incoming(FIELDS | more, "")


@pytest.mark.parametrize("form", [{}, {"messageId": "1"}, {"messageId": "1", "status": "lost"}])
def test_what_is_no_receipt_is_kept_for_a_person(form: dict[str, str]) -> None:
    with pytest.raises(Unparsable):
        told(form)


def test_a_failure_of_unknown_kind_is_a_failure() -> None:
    [found] = told({"messageId": "1", "status": "failed", "err-code": "4711"})
    assert isinstance(found, Receipt)
    assert str(found.error) == "it was not delivered (4711)"


_NAMES = st.sampled_from(
    [*FIELDS, "status", "err-code", "client-ref", "concat", "concat-ref", "concat-part", "concat-total"]
)
_VALUES = st.one_of(st.text(max_size=6), st.sampled_from(["true", "1", "2", "delivered", "failed", "unicode"]))


@given(
    st.one_of(st.binary(max_size=40), st.dictionaries(_NAMES, _VALUES).map(lambda it: json.dumps(it).encode())),
    st.sampled_from(["form", "json"]),
)
def test_nothing_but_unparsable_comes_of_any_call(body: bytes, how: str) -> None:
    for hook in line(settings(), FakeContext()).webhooks():
        with contextlib.suppress(Unparsable):
            assert hook.parse(call(body, how))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"user": ""}, "user must not"),
        ({"sender": "0"}, "sender is '0'"),
        ({"api": "http://x.org"}, "must begin with https"),
    ],
)
def test_a_wrong_setting_is_refused_with_the_remedy(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        settings(**wrong)
