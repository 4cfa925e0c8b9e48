"""A line at Twilio: what goes out, what becomes of it, what we missed."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import pytest
from aiohttp import web
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from fernamt import (
    Address,
    Attachment,
    Channel,
    ChannelId,
    NeedsLogin,
    Receipt,
    Received,
    Rejected,
    Remote,
    Secret,
    Sent,
    Throttled,
    Unparsed,
    Unreachable,
)
from fernamt.testing import FakeContext, FaultProxy, ProviderFault, WireFault
from fernamt_sms.twilio.connector import Twilio
from fernamt_sms.twilio.history import Window
from fernamt_sms.twilio.settings import TwilioSettings

from ..lines import ANN, URL, US, Given, looked, message
from .fake import ACCOUNT, TOKEN, FakeTwilio
from .given import settings, twilio

SERVICE = "MG" + "0" * 32


def form_of(there: FakeTwilio) -> list[tuple[str, str]]:
    return parse_qsl(there.calls[-1].body.decode(), strict_parsing=True)


# ---- out
async def test_a_message_says_where_its_status_goes_and_which_it_is() -> None:
    async with twilio() as it:
        assert await it.line.send(message()) == Sent(ids=(it.there.messages[0]["sid"],))
        assert form_of(it.there) == [
            ("To", ANN),
            ("From", US),
            ("Body", "Ihr Paket ist da"),
            ("StatusCallback", f"{URL}status?key=k1#rc=5&rp=all"),
        ]


async def test_a_messaging_service_chooses_the_sender() -> None:
    async with twilio(sender=SERVICE) as it:
        await it.line.send(message())
        assert dict(form_of(it.there)).keys() == {"To", "MessagingServiceSid", "Body", "StatusCallback"}


async def test_an_api_key_logs_in_instead_of_the_token() -> None:
    async with twilio(login_sid="SK1", login_secret=Secret("hush")) as it:
        await it.line.send(message())
        login = it.there.calls[-1].headers["Authorization"].removeprefix("Basic ")
        assert base64.b64decode(login) == b"SK1:hush"


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "a name": ("sms:Vodafone", {}, "under a name"),
    "a mail address": ("email:ann@example.org", {}, "goes to an address such as phone:"),
    "a number that is none": ("phone:+1555", {}, "too short"),
    "a national number": ("phone:015112345678", {}, "no country code"),
    "a name writes to the USA": ("phone:+12025550123", {"sender": "Example"}, "networks in that country"),
}


@pytest.mark.parametrize(("to", "section", "why"), REFUSED.values(), ids=REFUSED)
async def test_what_can_never_pass_is_refused_before_twilio_sees_it(to: str, section: dict[str, Any], why: str) -> None:
    async with twilio(**section) as it:
        with pytest.raises(Rejected, match=why):
            await it.line.send(message(to=Address.parse(to)))
        assert it.there.calls == []


async def test_a_name_passes_where_twilio_replaces_it() -> None:
    async with twilio(sender="Example", sender_is_replaced=True) as it:
        await it.line.send(message(to=Address("phone", "+12025550123")))
        assert dict(form_of(it.there))["From"] == "Example"


FAULTS: list[tuple[ProviderFault, type[Exception], bool | None]] = [
    (ProviderFault.throttled(after_s=7), Throttled, None),
    (ProviderFault.expired_login(), NeedsLogin, None),
    (ProviderFault.refused(400), Rejected, None),
    (ProviderFault.failed(503), Unreachable, False),
    (ProviderFault.lost_answer(), Unreachable, False),
    (ProviderFault.lost_question(), Unreachable, False),
    (ProviderFault.cut_short(), Unreachable, False),
    (ProviderFault.html(), Unreachable, False),
    (ProviderFault(body=b'{"status": "queued"}'), Unreachable, False),
    (ProviderFault(body=b"[]"), Unreachable, False),
]


@pytest.mark.parametrize(("fault", "kind", "certain"), FAULTS)
async def test_trouble_is_said_in_the_words_of_the_retry_protocol(
    fault: ProviderFault, kind: type[Exception], certain: bool | None
) -> None:
    async with twilio() as it:
        it.there.next(fault)
        with pytest.raises(kind) as why:
            await it.line.send(message())
        assert getattr(why.value, "certain", None) == certain
        assert len(it.there.calls) == 1


@pytest.mark.parametrize("fault", [WireFault.reset(), WireFault.cut(), WireFault.garbage()])
async def test_a_broken_line_is_never_certain(fault: WireFault) -> None:
    async with twilio() as it, FaultProxy("127.0.0.1", it.there.port) as proxy:
        proxy.next(fault)
        async with twilio() as other:
            line = type(it.line)(_channel(f"http://127.0.0.1:{proxy.port}"), other.context)
            with pytest.raises(Unreachable) as why:
                await line.send(message())
        assert not why.value.certain


def _channel(api: str) -> Any:
    return Channel(id=ChannelId("x"), name="x", kind="sms.twilio", settings=settings(api=api), url=URL)


async def test_no_number_and_no_word_of_twilios_stands_in_an_error() -> None:
    async with twilio() as it:
        it.there.refusing = (400, 29_999)
        with pytest.raises(Rejected) as why:
            await it.line.send(message())
        assert str(why.value) == "Twilio refused the message (29999)"


async def test_what_failed_at_once_is_said_at_once() -> None:
    async with twilio() as it:
        it.there.next(ProviderFault(body=b'{"sid": "SM1", "status": "failed", "error_code": 30002}', status=201))
        with pytest.raises(NeedsLogin, match="suspended"):
            await it.line.send(message())


# ---- what became of it
async def test_a_message_whose_answer_was_lost_is_found_by_its_words() -> None:
    async with twilio() as it:
        it.there.next(ProviderFault.lost_answer())
        with pytest.raises(Unreachable):
            await it.line.send(message())
        assert await it.line.lookup(message()) == Sent(ids=(it.there.messages[0]["sid"],))


Scene = Any
OURS = {"direction": "outbound-api", "to": ANN, "from": US, "body": "Ihr Paket ist da", "status": "sent"}
DOUBTS: dict[str, Scene] = {
    "nothing was sent": lambda _: {},
    "two have the same words": lambda there: there.add(**OURS) and there.add(**OURS) and {},
    "it is known as another message": lambda there: {"references": (there.add(**OURS)["sid"],)},
    "it is older than an hour": lambda there: there.add(**OURS, date_created="Sat, 21 Nov 2026 10:00:00 +0000") and {},
    "the customer wrote it": lambda there: there.add(**{**OURS, "direction": "inbound"}) and {},
    "it has no words": lambda there: there.add(**{**OURS, "body": ""}) and {"text": ""},
    "its date is none": lambda there: there.add(**OURS, date_created=None) and {},
}


@pytest.mark.parametrize("scene", DOUBTS.values(), ids=DOUBTS)
async def test_where_it_could_be_another_message_nothing_is_said(scene: Scene) -> None:
    async with twilio() as it:
        assert await it.line.lookup(message(**scene(it.there))) == "unknown"


async def test_the_words_of_a_trial_account_do_not_hide_it() -> None:
    async with twilio() as it:
        sent = it.there.add(**{**OURS, "body": f"Sent from your Twilio trial account - {OURS['body']}"})
        assert await it.line.lookup(message()) == Sent(ids=(sent["sid"],))


# ---- who we are
async def test_whoever_checks_the_settings_reads_where_messages_go() -> None:
    async with twilio() as it:
        assert await it.line.verify() == f"Example GmbH, {US} (its messages do not go to {URL}sms)"
        it.there.sms_url = f"{URL}sms#rc=5&rp=all"
        assert await it.line.verify() == f"Example GmbH, {US}"


async def test_a_number_that_is_not_ours_and_an_account_that_is_closed_are_told() -> None:
    async with twilio(sender="+493000000000") as it:
        with pytest.raises(Rejected, match="has no number"):
            await it.line.verify()
        it.there.status = "suspended"
        with pytest.raises(NeedsLogin, match="is suspended"):
            await it.line.verify()


# ---- what we missed
async def test_what_came_while_we_were_down_is_handed_over_once() -> None:
    async with twilio() as it:
        await it.there.hold("eins", "zwei")
        it.there.add(direction="outbound-api", **{"from": US}, to=ANN, body="x", status="undelivered", error_code=30003)
        it.there.add(direction="outbound-api", **{"from": US}, to=ANN, body="x", status="queued")
        it.there.add(direction="outbound-api", **{"from": "+4930999"}, to=ANN, body="other", status="delivered")
        it.there.add(direction="inbound", **{"from": ANN}, to="+4930999", body="other", status="received")
        await looked(it, times=3)
        events = it.context.intake.events
        assert [type(one) for one in events] == [Received, Received, Receipt]
        assert [one.text for one in events if isinstance(one, Received)] == ["eins", "zwei"]


async def test_a_status_that_changes_later_is_seen_too() -> None:
    async with twilio() as it:
        sent = it.there.add(direction="outbound-api", **{"from": US}, to=ANN, body="x", status="sent")
        await looked(it, times=1)
        sent["status"] = "delivered"
        await looked(it, times=1)
        assert it.context.intake.keys == [f"sent:{sent['sid']}", f"delivered:{sent['sid']}"]


async def test_a_long_outage_is_caught_up_in_the_order_of_time() -> None:
    async with twilio() as it:
        await looked(it, times=1)
        it.there.page = 4
        for number in range(20):
            await it.there.hold(f"Nachricht {number}")
            it.context.clock.advance(6 * 3600)
        await looked(it, times=1)
        assert [one.text for one in it.context.intake.events if isinstance(one, Received)] == [
            f"Nachricht {number}" for number in range(20)
        ]


async def test_more_than_a_page_within_an_hour_comes_whole_and_in_order() -> None:
    async with twilio() as it:
        it.there.page = 4
        await it.there.hold(*map(str, range(11)))
        await looked(it, times=1)
        assert [one.text for one in it.context.intake.events if isinstance(one, Received)] == [*map(str, range(11))]


async def test_pictures_of_a_message_that_we_missed_come_with_it() -> None:
    async with twilio() as it:
        url = await it.there.hold_media(b"picture")
        sid = url.split("/")[-3]
        it.there.add(sid=sid, direction="inbound", **{"from": ANN}, to=US, body="", status="received", num_media="1")
        await looked(it, times=1)
        [event] = it.context.intake.events
        assert isinstance(event, Received)
        assert event.attachments == (Attachment(name=f"{sid}-1.png", media_type="image/png", content=Remote(url)),)


async def test_a_message_that_was_deleted_meanwhile_holds_up_nothing() -> None:
    async with twilio() as it:
        it.there.gone = True
        it.there.add(direction="inbound", **{"from": ANN}, to=US, body="weg", status="received", num_media="1")
        await it.there.hold("da")
        await looked(it, times=1)
        assert [one.text for one in it.context.intake.events if isinstance(one, Received)] == ["weg", "da"]


async def test_of_a_messaging_service_only_its_own_messages_count() -> None:
    async with twilio(sender=SERVICE) as it:
        it.there.add(direction="inbound", **{"from": ANN}, to=US, body="ours", messaging_service_sid=SERVICE)
        it.there.add(direction="inbound", **{"from": ANN}, to=US, body="theirs")
        await looked(it, times=1)
        assert [one.text for one in it.context.intake.events if isinstance(one, Received)] == ["ours"]


async def test_who_asks_for_no_reconciliation_gets_none() -> None:
    async with twilio(reconcile_s=0) as it:
        await it.line.run()
        assert it.there.calls == []


async def test_what_cannot_be_read_in_the_list_is_kept_once() -> None:
    async with twilio() as it:
        await it.there.hold_poison()
        await looked(it, times=2)
        [event] = it.context.intake.events
        assert isinstance(event, Unparsed)


@pytest.mark.parametrize(
    "cursor", ["", "x", "2026-11-30 x", "2026-11-30T00:00:00+00:00 1e9", "2026-11-30 9" + "9" * 30]
)
def test_a_cursor_that_nobody_gave_out_is_refused(cursor: str) -> None:
    with pytest.raises(Rejected):
        Window.parse(cursor)


def test_a_window_is_read_as_it_was_written() -> None:
    window = Window(datetime(2026, 11, 30, 12, tzinfo=UTC), timedelta(hours=5))
    assert Window.parse(str(window)) == window


def test_no_text_goes_out_that_is_longer_than_twilio_takes() -> None:
    for parts, most in ((3, 3), (10, 10), (200, 10)):
        section = Channel(id=ChannelId("x"), name="x", kind="sms.twilio", settings=settings(max_parts=parts), url=URL)
        assert Twilio(section, FakeContext()).capabilities().max_units == most


# ---- pictures
async def test_twilio_fetches_a_picture_by_its_signed_address_and_nobody_else_does() -> None:
    async with twilio(mms=True) as it:
        content = b"\x89PNG" * 50_000
        blob = it.context.blobs.add(content)
        file = Attachment(name="Schaden & Co.png", media_type="image/png", content=blob)
        await it.line.send(message(attachments=(file,)))
        address = dict(form_of(it.there))["MediaUrl"]
        assert address.startswith(f"{URL}media/Schaden%20%26%20Co.png?token=")
        async with Served(it) as base, aiohttp.ClientSession() as session:
            path = f"{base}/{address.removeprefix(URL)}"
            async with session.get(path) as answer:
                assert (answer.status, await answer.read()) == (200, content)
                assert answer.headers["Content-Type"] == "image/png"
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
            for wrong in (
                path.replace("signed", "forged"),
                path.partition("?")[0],
                f"{base}/media/x?token=other+x.signed",
            ):
                async with session.get(wrong) as answer:
                    assert answer.status == 403
            async with session.head(path) as answer:
                assert (answer.status, answer.content_length) == (200, len(content))
            it.context.blobs.kept.clear()
            async with session.get(path) as answer:
                assert answer.status == 404


class Served:
    """The channel's own handlers, as the daemon serves them."""

    def __init__(self, it: Given[FakeTwilio, Twilio]) -> None:
        app = web.Application()
        app.add_routes([web.get(route.path, route.handler) for route in it.line.routes()])
        self._runner = web.AppRunner(app)

    async def __aenter__(self) -> str:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


async def test_our_login_goes_to_nobody_but_twilio() -> None:
    async with twilio() as it:
        url = await it.there.hold_media(b"picture")
        assert b"".join([piece async for piece in it.line.fetch_media(url)]) == b"picture"
        for elsewhere in ("https://example.org/x.png", f"http://127.0.0.1:1{urlsplit(url).path}", "file:///etc/passwd"):
            with pytest.raises(Rejected, match="does not lie at Twilio"):
                it.line.fetch_media(elsewhere)


# ---- the settings
WRONG: dict[str, tuple[Mapping[str, Any], str]] = {
    "an account that is none": ({"account_sid": "AC1"}, "account_sid must be AC and 32"),
    "a sender that is none": ({"sender": "0301234"}, "sender is '0301234'; write a number"),
    "a long name": ({"sender": "ExampleCompany"}, "sender is"),
    "a key without a secret": ({"login_sid": "SK1"}, "login_sid and login_secret go together"),
    "a hurry": ({"reconcile_s": 5}, "must be at least 60"),
    "no https": ({"api": "http://api.example.org"}, "api must begin with https"),
    "no country": ({"region": "Germany"}, "region is 'Germany'"),
    "no parts": ({"max_parts": 0}, "max_parts is 0"),
    "no rate": ({"parts_per_s": 0.0}, "parts_per_s is 0"),
}


@pytest.mark.parametrize(("wrong", "says"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_refused_with_the_remedy(wrong: Mapping[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        settings(**wrong)


@pytest.mark.parametrize("sender", [US, "72404", "Example", SERVICE])
def test_every_kind_of_sender_is_taken(sender: str) -> None:
    assert settings(sender=sender).sender == sender


# ---- Twilio's own client at our fake: what it takes for an answer of Twilio's
class Loopback(TwilioHttpClient):  # type: ignore[misc]  # it has no types
    """Calls the fake instead."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def request(self, method: str, url: str, *rest: Any, **more: Any) -> Any:
        return super().request(method, url.replace("https://api.twilio.com", self._url), *rest, **more)


async def test_the_fake_speaks_as_twilio_does_to_twilios_own_client() -> None:
    async with FakeTwilio() as there:
        client = Client(ACCOUNT, TOKEN, http_client=Loopback(there.url))

        def used() -> None:
            sent = client.messages.create(to=ANN, from_=US, body="Größe 🙂", media_url=["https://example.org/1.png"])
            assert (sent.status, sent.to, sent.from_, sent.body) == ("queued", ANN, US, "Größe 🙂")
            start = datetime(2026, 1, 1, tzinfo=UTC)
            end = datetime(2100, 1, 1, tzinfo=UTC)
            assert [one.sid for one in client.messages.list(date_sent_after=start, date_sent_before=end)] == [sent.sid]
            assert client.messages.list(date_sent_before=start) == []
            there.refusing = (400, 21_610)
            with pytest.raises(TwilioRestException) as why:
                client.messages.create(to=ANN, from_=US, body="x")
            assert (why.value.status, why.value.code) == (400, 21_610)

        await asyncio.to_thread(used)
        ours = form_of_ours(await sent_by_us())
        theirs = dict(parse_qsl(there.acted[0].body.decode()))
        assert theirs.keys() - {"MediaUrl"} <= ours.keys()
        assert there.acted[0].path == (await sent_by_us())[0]


async def sent_by_us() -> tuple[str, bytes]:
    async with twilio() as it:
        await it.line.send(message("Größe 🙂"))
        return it.there.calls[-1].path, it.there.calls[-1].body


def form_of_ours(sent: tuple[str, bytes]) -> dict[str, str]:
    return dict(parse_qsl(sent[1].decode()))


def test_the_section_is_told_apart_from_others() -> None:
    assert isinstance(settings(), TwilioSettings)
