"""A line at Vonage: what goes out by either API, and what becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import pytest
from vonage_http_client.auth import Auth
from vonage_http_client.http_client import HttpClient, HttpClientOptions
from vonage_messages import Messages
from vonage_messages import Sms as TheirMessage
from vonage_sms import Sms, SmsMessage

from fernamt import (
    Attachment,
    NeedsLogin,
    OptedOut,
    Rejected,
    Request,
    Sent,
    Throttled,
    Unparsable,
    Unreachable,
)
from fernamt.testing import FaultProxy, ProviderFault, WireFault

from ..faults import Outgoing
from ..lines import ANN, URL, US, message
from .fake import KEY, SECRET, FakeVonage
from .given import call, settings, vonage


def form_of(there: FakeVonage) -> dict[str, str]:
    return dict(parse_qsl(there.calls[-1].body.decode(), strict_parsing=True))


# ---- out
class TestOutgoingByTheMessagesApi(Outgoing):
    line = staticmethod(partial(vonage, api="messages"))


class TestOutgoingByTheSmsApi(Outgoing):
    line = staticmethod(partial(vonage, api="sms"))


async def test_a_message_says_where_its_receipts_go_and_which_it_is() -> None:
    async with vonage() as it:
        sent = await it.line.send(message())
        assert it.there.calls[-1].json() == {
            "from": "493023125000",
            "to": "4915112345678",
            "channel": "sms",
            "message_type": "text",
            "text": "Ihr Paket ist da",
            "client_ref": "k1",
            "webhook_url": f"{URL}receipts",
            "webhook_version": "v1",
        }
        assert sent == Sent(ids=("aaaaaaaa-bbbb-4ccc-8ddd-000000000001",))


async def test_a_picture_goes_out_with_its_words() -> None:
    async with vonage(mms=True) as it:
        blob = it.context.blobs.add(b"\x89PNG of the test")
        file = Attachment(name="Foto.png", media_type="image/png", content=blob)
        await it.line.send(message("Anbei", attachments=(file,)))
        said = it.there.calls[-1].json()
        assert (said["channel"], said["message_type"], said["image"]["caption"]) == ("mms", "image", "Anbei")
        assert said["image"]["url"].startswith(f"{URL}media/Foto.png?token=")
        await it.line.send(message("", attachments=(file,)))
        assert it.there.calls[-1].json()["image"].keys() == {"url"}


@pytest.mark.parametrize(("text", "kind"), [("Größe [38] für 5 €", "text"), ("Größe 38 🙂", "unicode")])
async def test_the_sms_api_is_told_which_characters_a_text_needs(text: str, kind: str) -> None:
    async with vonage(api="sms") as it:
        await it.line.send(message(text))
        assert form_of(it.there) == {
            "from": "493023125000",
            "to": "4915112345678",
            "text": text,
            "type": kind,
            "status-report-req": "1",
            "client-ref": "k1",
        }


async def test_a_long_message_of_the_sms_api_has_the_ids_of_its_parts() -> None:
    async with vonage(api="sms") as it:
        it.there.statuses = ["0", "0"]
        assert await it.line.send(message("x" * 200)) == Sent(ids=("0A0000000123ABC1", "0A0000000123ABC2"))


SMS_ANSWERS: list[tuple[str, type[Exception], bool | None]] = [
    ("1", Throttled, None),
    ("3", Rejected, None),
    ("4", NeedsLogin, None),
    ("5", Unreachable, False),
    ("6", Rejected, None),
    ("9", NeedsLogin, None),
    ("13", Unreachable, True),
    ("15", NeedsLogin, None),
    ("77", Unreachable, False),
]


@pytest.mark.parametrize(("status", "kind", "certain"), SMS_ANSWERS)
async def test_a_good_answer_of_http_is_none_of_the_sms_api(
    status: str, kind: type[Exception], certain: bool | None
) -> None:
    async with vonage(api="sms") as it:
        it.there.statuses = [status]
        with pytest.raises(kind) as why:
            await it.line.send(message())
        assert getattr(why.value, "certain", None) == certain
        assert ANN not in str(why.value)
        assert "4915112345678" not in str(why.value)


async def test_a_message_of_which_some_parts_are_under_way_is_never_sent_again_by_itself() -> None:
    async with vonage(api="sms") as it:
        it.there.statuses = ["0", "1"]
        with pytest.raises(Unreachable, match="only some parts") as why:
            await it.line.send(message("x" * 200))
        assert (why.value.certain, why.value.sent_ids) == (False, ("0A0000000123ABC1",))


@pytest.mark.parametrize(
    "body",
    [b'{"messages": []}', b'{"messages": [1]}', b'{"messages": [{"status": "0"}]}', b'{"messages": {"status": "0"}}'],
)
async def test_an_answer_of_the_sms_api_that_is_none_is_uncertain(body: bytes) -> None:
    async with vonage(api="sms") as it:
        it.there.next(ProviderFault(body=body))
        with pytest.raises(Unreachable) as why:
            await it.line.send(message())
        assert not why.value.certain


@pytest.mark.parametrize("fault", [WireFault.reset(), WireFault.cut(), WireFault.garbage()])
async def test_a_broken_line_is_never_certain(fault: WireFault) -> None:
    async with FakeVonage() as there, FaultProxy("127.0.0.1", there.port) as proxy:
        proxy.next(fault)
        async with vonage() as it:
            section = settings(messages_url=f"http://127.0.0.1:{proxy.port}")
            line = type(it.line)(_channel(section), it.context)
            with pytest.raises(Unreachable) as why:
                await line.send(message())
        assert not why.value.certain


def _channel(section: Any) -> Any:
    from fernamt import Channel, ChannelId

    return Channel(id=ChannelId("x"), name="x", kind="sms.vonage", settings=section, url=URL)


async def test_no_number_and_no_word_of_vonages_stands_in_an_error() -> None:
    async with vonage() as it:
        it.there.refusing = (422, "1240")
        with pytest.raises(OptedOut) as why:
            await it.line.send(message())
        assert str(why.value) == "they wrote STOP to this sender (1240)"


# ---- who we are
async def test_whoever_checks_the_settings_reads_the_balance() -> None:
    async with vonage() as it:
        assert await it.line.verify() == f"{KEY}, {US} (balance 10.29 EUR)"
        it.there.next(ProviderFault(body=b'{"value": "much"}'))
        with pytest.raises(Unreachable):
            await it.line.verify()


# ---- in
async def test_what_is_no_call_of_the_sms_api_is_kept() -> None:
    async with vonage(api="sms") as it:
        for webhook in it.line.webhooks():
            with pytest.raises(Unparsable):
                webhook.parse(call(b"["))


async def test_the_sms_api_may_call_with_a_form_or_by_the_address_alone() -> None:
    said = {"msisdn": "4915112345678", "to": "493023125000", "messageId": "0A1", "text": "Hallo", "type": "text"}
    async with vonage(api="sms") as it:
        parse = it.line.webhooks()[0].parse
        requests: list[Request] = [
            call(said),
            call(b"", query=said),
            call(
                b"&".join(f"{n}={v}".encode() for n, v in said.items()), media_type="application/x-www-form-urlencoded"
            ),
        ]
        assert len({repr(parse(request)) for request in requests}) == 1


# ---- the settings
WRONG: dict[str, tuple[Mapping[str, Any], str]] = {
    "an account that is none": ({"account": "a b"}, "account is 'a b'; copy it"),
    "a sender that is none": ({"sender": "0301234"}, "sender is '0301234'; write a number"),
    "pictures by the SMS API": ({"api": "sms", "mms": True}, "mms needs api = 'messages'"),
    "no https": ({"messages_url": "http://api.example.org"}, "messages_url must begin with https"),
    "no https for the other": ({"sms_url": "ftp://x"}, "sms_url must begin with https"),
}


@pytest.mark.parametrize(("wrong", "says"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_refused_with_the_remedy(wrong: Mapping[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        settings(**wrong)


# ---- Vonage's own client at our fake: what it takes for an answer of Vonage's
async def test_the_fake_speaks_as_vonage_does_to_vonages_own_client() -> None:
    async with FakeVonage() as there:
        client = _client(there.url)

        def used() -> None:
            sent = Messages(client).send(TheirMessage(to="4915112345678", from_="493023125000", text="Größe 🙂"))
            assert sent.message_uuid.endswith("000000000001")
            there.statuses = ["0", "0"]
            parts = Sms(client).send(SmsMessage(to="4915112345678", from_="493023125000", text="x" * 200))
            assert [one.status for one in parts.messages] == ["0", "0"]

        await asyncio.to_thread(used)
        theirs = there.acted[0]
    async with vonage() as it:
        await it.line.send(message("Größe 🙂"))
        ours = it.there.acted[0]
    assert theirs.json().items() <= ours.json().items()
    assert (theirs.path, theirs.headers["Authorization"]) == (ours.path, ours.headers["Authorization"])


def _client(url: str) -> HttpClient:
    client = HttpClient(Auth(api_key=KEY, api_secret=SECRET), HttpClientOptions())
    host = url.removeprefix("http://")
    client._api_host = client._rest_host = host
    session = client._session
    send = session.send

    def plain(request: Any, **more: Any) -> Any:
        request.url = request.url.replace("https://", "http://")
        return send(request, **more)

    session.send = plain
    return client
