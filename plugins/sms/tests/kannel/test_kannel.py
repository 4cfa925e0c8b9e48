"""What goes to a smsbox, and what its calls mean, where no recording says it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from fernamt import (
    Address,
    BadSignature,
    Channel,
    ChannelId,
    NeedsLogin,
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
    Unreachable,
)
from fernamt.testing import FakeContext, ProviderFault, loopback_http
from fernamt_sms.kannel.connector import Kannel
from fernamt_sms.kannel.events import incoming, told
from fernamt_sms.kannel.settings import KannelSettings

from .fake import FakeKannel

ANN: Final = "+4915112345678"
URL: Final = "https://desk.example.org/in/k/"
LONG: Final = "Ihr Paket ist da. " * 24


@frozen
class Given:
    """A channel and the smsbox at its other end."""

    there: FakeKannel
    line: Kannel


def settings(**more: Any) -> KannelSettings:
    said: dict[str, Any] = {"user": "u", "password": Secret("p"), "sender": "Example", "inbound_secret": Secret("s")}
    return KannelSettings(**said | more)


@asynccontextmanager
async def kannel(**more: Any) -> AsyncIterator[Given]:
    async with FakeKannel() as there, loopback_http(timeout_s=5.0) as http:
        section = settings(url=f"{there.url}/cgi-bin/sendsms", **more)
        channel = Channel(id=ChannelId("k"), name="K", kind="sms.kannel", settings=section, url=URL)
        yield Given(there, Kannel(channel, FakeContext(http=http)))


def message(text: str = "da", **more: Any) -> OutboundMessage:
    said: dict[str, Any] = {"key": "k1", "entry_key": "e1", "attempt": 1, "to": Address("phone", ANN)} | more
    return OutboundMessage(text=text, **said)


def call(query: str, path: str = "messages") -> Request:
    at = datetime(2026, 11, 30, 12, tzinfo=UTC)
    return Request(method="GET", url=f"{URL}{path}/s?{query}", path="s", query={}, headers={}, body=b"", at=at)


# ---- out
async def test_the_parts_of_a_message_have_one_reference_and_ids_of_ours() -> None:
    async with kannel(smsc="fast") as it:
        assert await it.line.send(message(LONG)) == Sent(ids=("k1-1", "k1-2", "k1-3"))
        headers = [one.headers for one in it.there.calls]
        assert len({one["X-Kannel-UDH"][:8] for one in headers}) == 1
        assert [one["X-Kannel-UDH"][8:] for one in headers] == ["0301", "0302", "0303"]
        assert [one["X-Kannel-DLR-Mask"] for one in headers] == ["18", "18", "27"]
        assert {one["X-Kannel-SMSC"] for one in headers} == {"fast"}
        assert headers[2]["X-Kannel-DLR-Url"] == f"{URL}receipts/s?key=k1&part=3&status=%d&answer=%A"


async def test_a_part_that_fails_is_the_first_of_the_next_attempt() -> None:
    async with kannel() as it:
        it.there.use(lambda it_: ProviderFault.failed(500) if it_.number == 2 else ProviderFault())
        with pytest.raises(Unreachable) as why:
            await it.line.send(message(LONG))
        assert (why.value.certain, why.value.sent_ids) == (False, ("k1-1",))
        assert await it.line.send(message(LONG, sent_ids=("k1-1",))) == Sent(ids=("k1-1", "k1-2", "k1-3"))
        arrived = "".join(one.body.decode() for one in it.there.acted)
        assert arrived == LONG
        assert len({one.headers["X-Kannel-UDH"][:8] for one in it.there.calls}) == 1


ANSWERS: list[tuple[int, str, type[Exception] | None, bool | None]] = [
    (202, "0: Accepted for delivery", None, None),
    (202, "3: Queued for later delivery", None, None),
    (202, "", Unreachable, False),
    (200, "0: Accepted for delivery", Unreachable, False),
    (403, "Authorization failed for sendsms", NeedsLogin, None),
    (400, "UDH field is too long, rejected", Rejected, None),
    (404, "Not found", Unreachable, True),
    (429, "", Throttled, None),
    (503, "Temporal failure, try again later.", Unreachable, True),
    (503, "Bad gateway", Unreachable, False),
    (500, "Sending failed.", Unreachable, False),
]


@pytest.mark.parametrize(("status", "body", "kind", "certain"), ANSWERS)
async def test_an_answer_means_what_kannel_says(
    status: int, body: str, kind: type[Exception] | None, certain: bool | None
) -> None:
    async with kannel() as it:
        it.there.next(ProviderFault(status=status, body=body.encode()))
        if kind is None:
            assert await it.line.send(message()) == Sent(ids=("k1-1",))
            return
        with pytest.raises(kind) as why:
            await it.line.send(message())
        assert getattr(why.value, "certain", None) == certain


async def test_a_name_is_not_sent_where_no_network_takes_it() -> None:
    async with kannel() as it:
        with pytest.raises(Rejected, match="networks in that country"):
            await it.line.send(message(to=Address("phone", "+12025550123")))
        assert it.there.calls == []


async def test_what_takes_a_message_to_nobody_is_no_smsbox() -> None:
    async with kannel() as it:
        it.there.next(ProviderFault(status=202, body=b"0: Accepted for delivery"))
        with pytest.raises(Unreachable, match="no smsbox"):
            await it.line.verify()


# ---- in
READ = incoming("DE", plus_missing=False)
WORDS: list[tuple[str, str]] = [
    ("text=Gr%C3%B6%C3%9Fe&coding=0&charset=UTF-8", "Größe"),
    ("text=Gr%F6%DFe&coding=0&charset=UTF-8", "Größe"),
    ("text=Gr%F6%DFe&coding=0&charset=ISO-8859-1", "Größe"),
    ("text=%046%D8%3D%DCK&coding=2&charset=UTF-16BE", "ж👋"),
    ("text=%046&coding=0&charset=UTF-16BE", "ж"),
    ("text=%04&coding=2&charset=UTF-16BE", "\ufffd"),
    ("text=%046%D8%3D&coding=2&charset=UTF-16BE", "ж\ud83d"),
    ("text=%DCK&coding=2&charset=UTF-16BE", "\udc4b"),
    ("text=a&coding=0&charset=no-such", "a"),
    ("text=&coding=0&charset=", ""),
]


@pytest.mark.parametrize(("said", "text"), WORDS)
def test_words_are_read_in_their_own_charset(said: str, text: str) -> None:
    [found] = READ(call(f"id=1&from=%2B4915112345678&{said}"))
    assert isinstance(found, Received)
    assert (found.text, found.sender) == (text, Address("phone", ANN))


def test_a_plus_that_the_operator_leaves_out_is_put_back() -> None:
    [found] = incoming("DE", plus_missing=True)(call("id=1&from=4915112345678&text=a"))
    assert isinstance(found, Received)
    assert found.sender == Address("phone", ANN)


PIECES: list[tuple[str, Part | None]] = [
    ("%05%00%03%2A%03%02", Part(group=f"{ANN}:2a:3", number=2, total=3)),
    ("%06%08%04%12%2A%02%01", Part(group=f"{ANN}:122a:2", number=1, total=2)),
    ("%0B%05%04%0B%84%23%F0%00%03%2A%02%01", Part(group=f"{ANN}:2a:2", number=1, total=2)),
    ("", None),
    ("%05%00%03%2A%02", None),
    ("%05%00%03%2A%02%03", None),
    ("%05%00%03%2A%01%01", None),
    ("%05%01%03%2A%02%01", None),
    ("%00", None),
]


@pytest.mark.parametrize(("udh", "part"), PIECES)
def test_a_piece_says_which_it_is(udh: str, part: Part | None) -> None:
    [found] = READ(call(f"id=1&from=%2B4915112345678&text=a&udh={udh}"))
    assert isinstance(found, Received)
    assert found.part == part


@pytest.mark.parametrize(
    "query",
    [
        "",
        "id=1&text=a",
        "from=1&text=a",
        "id=1&from=1",
        "id=1&from=1&text=a&coding=1",
        "&".join("a=1" for _ in range(51)),
    ],
)
def test_what_is_no_message_is_kept_for_a_person(query: str) -> None:
    with pytest.raises(Unparsable):
        READ(call(query))


@pytest.mark.parametrize(
    "query", ["", "key=k1&status=1", "key=k1&part=x&status=1", "key=k1&part=1&status=7", "key=k1&part=1"]
)
def test_what_is_no_report_is_kept_for_a_person(query: str) -> None:
    with pytest.raises(Unparsable):
        told(call(query, "receipts"))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("NACK/11/Invalid", "nobody has this number (0x0b)"),
        ("NACK/0x0000000a/x", "does not let us send from this sender (0x0a)"),
        ("NACK/20/x", "the queue at the operator was full (0x14)"),
        ("NACK/99999/x", "the operator refused it (0x1869f)"),
        ("", "the operator refused it"),
    ],
)
def test_a_rejection_is_told_by_the_operators_code(answer: str, says: str) -> None:
    [found] = told(call(f"key=k1&part=1&status=16&answer={answer}", "receipts"))
    assert isinstance(found, Receipt)
    assert str(found.error).endswith(says)


@given(
    st.text(st.sampled_from("abz019%&=+;/\u00ffж\udc80 "), max_size=40).map(lambda it: f"id=1&from=2&{it}"),
    st.booleans(),
)
def test_nothing_but_unparsable_comes_of_any_call(query: str, is_report: bool) -> None:
    with contextlib.suppress(Unparsable):
        assert told(call(query)) if is_report else READ(call(query))


@given(
    st.binary(max_size=20),
    st.sampled_from(["", "1", "2"]),
    st.sampled_from(["", "UTF-8", "UTF-16BE", "utf-7", "hex", "idna"]),
)
def test_nothing_but_unparsable_comes_of_any_octets(octets: bytes, coding: str, charset: str) -> None:
    written = "".join(f"%{one:02X}" for one in octets)
    with contextlib.suppress(Unparsable):
        assert READ(call(f"id=1&from={written}&text={written}&udh={written}&coding={coding}&charset={charset}"))


def test_who_does_not_know_the_secret_is_refused() -> None:
    channel = Channel(id=ChannelId("k"), name="K", kind="sms.kannel", settings=settings(), url=URL)
    for one in Kannel(channel, FakeContext()).webhooks():
        assert one.sign is not None
        one.verify(one.sign(call("id=1", one.path)))
        assert one.done == Response()
        with pytest.raises(BadSignature):
            one.verify(
                Request(method="GET", url=URL, path="other", query={}, headers={}, body=b"", at=datetime.now(UTC))
            )


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"url": "kannel"}, "url is 'kannel'"), ({"user": ""}, "user must not"), ({"sender": " "}, "sender must not")],
)
def test_a_wrong_setting_is_refused_with_the_remedy(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        settings(**wrong)
