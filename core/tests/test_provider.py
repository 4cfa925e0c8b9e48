"""The provider with faults, asked by an independent client, and what our own client makes of it."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from email.utils import parsedate_to_datetime

import aiohttp
import orjson
import pytest

from fernamt._runtime.http import ClientHttp
from fernamt.errors import Unreachable
from fernamt.inbound import Response
from fernamt.testing import FakeClock, FaultyProvider, ProviderCall, ProviderFault


@pytest.fixture
async def provider() -> AsyncIterator[FaultyProvider]:
    async with FaultyProvider(honours_keys=True) as provider:
        yield provider


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def sent(session: aiohttp.ClientSession, provider: FaultyProvider, key: str = "k1") -> tuple[int, bytes]:
    """Send once; return status and body, or 0 and the kind of failure."""
    try:
        async with session.post(f"{provider.url}/send?a=1", data=key, headers={"Idempotency-Key": key}) as answer:
            return answer.status, await answer.read()
    except aiohttp.ClientError as why:
        return 0, type(why).__name__.encode()


GOOD = (200, b'{"id":"p-1"}')


@pytest.mark.parametrize(
    ("fault", "answer", "acted"),
    [
        (ProviderFault(), GOOD, 1),
        (ProviderFault.slow(0.01), GOOD, 1),
        (ProviderFault.throttled(), (429, b'{"error": "too many requests"}'), 0),
        (ProviderFault.failed(), (503, b'{"error": "something went wrong"}'), 0),
        (ProviderFault.failed(500, acts=True), (500, b'{"error": "something went wrong"}'), 1),
        (ProviderFault.cut_short(), (0, b"ClientPayloadError"), 1),
        (ProviderFault.lost_answer(), (0, b"ServerDisconnectedError"), 1),
        (ProviderFault.lost_question(), (0, b"ServerDisconnectedError"), 0),
        (ProviderFault.lost_answer().late(0.01), (0, b"ServerDisconnectedError"), 1),
    ],
    ids=str,
)
async def test_a_call_ends_as_it_was_told_to_and_the_next_one_well(
    provider: FaultyProvider,
    session: aiohttp.ClientSession,
    fault: ProviderFault,
    answer: tuple[int, bytes],
    acted: int,
) -> None:
    provider.next(fault)

    assert await sent(session, provider) == answer
    assert (len(provider.calls), len(provider.acted)) == (1, acted)
    status, _ = await sent(session, provider, "k2")
    assert status == 200
    assert [call.fault for call in provider.calls] == [fault, ProviderFault()]


async def test_a_page_for_people_comes_where_json_should_be(
    provider: FaultyProvider, session: aiohttp.ClientSession
) -> None:
    provider.next(ProviderFault.html(502))
    async with session.post(provider.url) as answer:
        assert (answer.status, answer.content_type) == (502, "text/html")
        with pytest.raises(ValueError, match="unexpected character"):
            orjson.loads(await answer.read())


@pytest.mark.parametrize(("after_s", "said"), [(7, "7"), (None, None)])
async def test_a_throttled_call_says_when_to_come_again_if_it_is_told_to(
    provider: FaultyProvider, session: aiohttp.ClientSession, after_s: int | None, said: str | None
) -> None:
    provider.next(ProviderFault.throttled(after_s))
    async with session.post(provider.url) as answer:
        assert (answer.status, answer.headers.get("Retry-After")) == (429, said)


@pytest.mark.parametrize("by_s", [0, 3600, -3600])
async def test_a_date_to_come_again_is_one_of_the_providers_own_clock(
    provider: FaultyProvider, session: aiohttp.ClientSession, by_s: float
) -> None:
    clock = FakeClock()
    provider.clock = clock.skewed(by_s)
    provider.next(ProviderFault.throttled_until(17))
    async with session.post(provider.url) as answer:
        date, again = (parsedate_to_datetime(answer.headers[name]) for name in ("Date", "Retry-After"))
    assert (date - clock.now(), again - date) == (timedelta(seconds=by_s), timedelta(seconds=17))


async def test_a_late_answer_is_late(provider: FaultyProvider, session: aiohttp.ClientSession) -> None:
    provider.next(ProviderFault.slow(0.05))
    began = time.monotonic()
    assert await sent(session, provider) == GOOD
    assert time.monotonic() - began >= 0.05


@pytest.mark.parametrize(("honours_keys", "acted", "doubled"), [(True, 1, 0), (False, 3, 2)])
async def test_a_repeat_acts_once_and_is_told_the_same_if_the_provider_honours_keys(
    session: aiohttp.ClientSession, honours_keys: bool, acted: int, doubled: int
) -> None:
    async with FaultyProvider(honours_keys=honours_keys) as provider:
        provider.next(ProviderFault.lost_answer())
        answers = [await sent(session, provider) for _ in range(3)]
        assert answers[0][0] == 0
        assert len({body for _, body in answers[1:]}) == acted - (not honours_keys)
        assert (len(provider.acted), provider.doubled()) == (acted, doubled)


async def test_what_was_not_done_is_done_by_the_repeat(
    provider: FaultyProvider, session: aiohttp.ClientSession
) -> None:
    provider.next(ProviderFault.failed(), times=2)
    assert [(await sent(session, provider))[0] for _ in range(3)] == [503, 503, 200]
    assert [call.number for call in provider.acted] == [3]


async def test_a_function_chooses_the_fault_of_each_call_until_all_are_forgotten(
    provider: FaultyProvider, session: aiohttp.ClientSession
) -> None:
    provider.use(lambda call: ProviderFault.failed() if call.number % 2 else ProviderFault())
    assert [(await sent(session, provider, f"k{n}"))[0] for n in range(4)] == [503, 200, 503, 200]
    provider.heal()
    assert (await sent(session, provider, "k9"))[0] == 200


async def test_a_call_is_kept_whole(provider: FaultyProvider, session: aiohttp.ClientSession) -> None:
    waiting = asyncio.create_task(provider.called(1))
    async with session.put(f"{provider.url}/v1/send?to=ann", data=b'{"text": "hi"}', headers={"X-Token": "t"}):
        await waiting
    (call,) = provider.calls
    assert (call.method, call.path, dict(call.query), call.headers["x-token"]) == (
        "PUT",
        "/v1/send",
        {"to": "ann"},
        "t",
    )
    assert call.json() == {"text": "hi"}


@pytest.mark.parametrize(
    ("body", "media_type", "written"),
    [
        (b'{"b":1,"a":"\xc3\xa4"}', "application/json", '{\n  "b": 1,\n  "a": "ä"\n}'),
        (b"to=ann&text=hi", "application/x-www-form-urlencoded", "to=ann&text=hi"),
        (
            b"\x89PNG",
            "image/png",
            "<4 bytes, SHA-256 0f4636c78f65d3639ece5a064b5ae753e3408614a14fb18ab4d7540d2c248543>",
        ),
        (b"--x7f\r\n\r\nhi\r\n--x7f--", "multipart/form-data; boundary=x7f", "--boundary\r\n\r\nhi\r\n--boundary--"),
    ],
)
async def test_a_transcript_says_what_was_asked_without_chance_and_without_secrets(
    provider: FaultyProvider, session: aiohttp.ClientSession, body: bytes, media_type: str, written: str
) -> None:
    headers = {"X-Token": "hush", "Content-Type": media_type, "X-Kind": "text"}
    async with session.put(f"{provider.url}/v1/send?to=ann", data=body, headers=headers):
        pass
    head = f"PUT /v1/send?to=ann\ncontent-type: {media_type.replace('x7f', 'boundary')}\nx-kind: text\nx-token: masked"
    assert provider.transcript() == [f"{head}\n\n{written}"]


async def test_key_and_answer_are_the_providers_own(session: aiohttp.ClientSession) -> None:
    def answer(call: ProviderCall) -> Response:
        return Response(status=202, body=b"<ok/>", media_type="text/xml")

    async with FaultyProvider(honours_keys=True, key=lambda call: call.body.decode(), answer=answer) as provider:
        for _ in range(2):
            async with session.post(provider.url, data=b"the key") as said:
                assert (said.status, said.content_type, await said.read()) == (202, "text/xml", b"<ok/>")
        assert len(provider.acted) == 1


@pytest.mark.parametrize(
    "fault", [ProviderFault.lost_answer(), ProviderFault.lost_question(), ProviderFault.cut_short()], ids=str
)
async def test_our_own_client_is_never_certain_of_a_call_that_the_provider_got(
    provider: FaultyProvider, fault: ProviderFault
) -> None:
    provider.use(fault)
    http = ClientHttp(allow_private=frozenset({f"127.0.0.1:{provider.port}"}))
    with pytest.raises(Unreachable) as caught:
        await http.request("POST", provider.url, json={"text": "hi"})
    await http.close()
    assert caught.value.certain is False
