"""A line at Bird: what goes out, what becomes of it, what we missed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from fernamt import NeedsLogin, OptedOut, Receipt, Received, Rejected, Secret, Sent, Unreachable
from fernamt.testing import ProviderFault

from ..faults import Outgoing
from ..lines import ANN, URL, US, looked, message
from .fake import KEY, SECRET, FakeBird
from .given import messagebird, settings

EVENTS = ["sms.received", "sms.sent", "sms.delivered", "sms.undelivered", "sms.failed", "sms.rejected", "sms.expired"]


# ---- out
class TestOutgoing(Outgoing):
    line = staticmethod(messagebird)


async def test_a_message_bears_our_key_for_repeats_and_in_its_metadata() -> None:
    async with messagebird() as it:
        sent = await it.line.send(message())
        assert sent == Sent(ids=(it.there.kept[0]["id"],))
        assert it.there.calls[-1].headers["Idempotency-Key"] == "k1"
        assert it.there.calls[-1].json() == {
            "from": US,
            "to": ANN,
            "text": "Ihr Paket ist da",
            "category": "service",
            "metadata": {"fernamt": "k1"},
        }


async def test_bird_forgets_keys_so_a_lost_answer_is_not_repeated_by_itself() -> None:
    async with messagebird() as it:
        assert not it.line.capabilities().idempotent


async def test_a_longer_text_than_bird_takes_becomes_several_messages() -> None:
    async with messagebird(max_parts=40) as it:
        assert it.line.capabilities().max_units == 12
    async with messagebird(max_parts=3) as it:
        assert it.line.capabilities().max_units == 3


async def test_a_refusal_that_is_only_remembered_is_no_answer_to_this_attempt() -> None:
    async with messagebird() as it:
        it.there.remember("k1", 402, "E05001", "BillingError")
        assert await it.line.send(message(attempt=2)) == Sent(ids=(it.there.kept[0]["id"],))
        assert [call.headers["Idempotency-Key"] for call in it.there.calls] == ["k1", "k1-2"]
        assert len(it.there.acted) == 1


async def test_a_refusal_of_this_attempt_is_one() -> None:
    async with messagebird() as it:
        it.there.refusing = (402, "E05001", "BillingError")
        with pytest.raises(NeedsLogin, match="balance"):
            await it.line.send(message(attempt=2))
        assert len(it.there.calls) == 1


async def test_a_message_that_bird_refuses_in_the_same_breath_has_failed() -> None:
    async with messagebird() as it:
        said = b'{"id": "sms_1", "status": "rejected", "last_error": {"code": "recipient_opted_out"}}'
        it.there.next(ProviderFault(body=said))
        with pytest.raises(OptedOut):
            await it.line.send(message())


async def test_no_number_and_no_word_of_birds_stands_in_an_error() -> None:
    async with messagebird() as it:
        it.there.refusing = (422, "E15001", "SomethingNew")
        with pytest.raises(Rejected) as why:
            await it.line.send(message())
        assert str(why.value) == "Bird refused the message (E15001)"


# ---- what became of it
async def test_a_message_whose_answer_was_lost_is_found_by_our_key() -> None:
    async with messagebird() as it:
        assert await it.line.lookup(message()) == "unknown"
        await it.line.send(message(key="k2"))
        assert await it.line.lookup(message()) == "unknown"
        it.there.next(ProviderFault.lost_answer())
        with pytest.raises(Unreachable):
            await it.line.send(message())
        assert await it.line.lookup(message()) == Sent(ids=(it.there.kept[1]["id"],))


async def test_a_list_that_is_not_filtered_makes_no_other_message_ours() -> None:
    async with messagebird() as it:
        body = (
            b'{"data": [{"id": "m1", "metadata": {"fernamt": "other"}}, {"id": "m2", "metadata": "k1"}, 1, {"id": 3}]}'
        )
        it.there.next(ProviderFault(body=body))
        assert await it.line.lookup(message()) == "unknown"


# ---- who we are
ENDPOINTS: dict[str, tuple[dict[str, Any], str]] = {
    "ours": ({}, US),
    "of somebody else": ({"url": "https://other.example/hook"}, f"{US} (no webhook endpoint calls {URL}calls)"),
    "paused": ({"status": "paused"}, f"{US} (Bird has paused the webhook endpoint)"),
    "not told of all": (
        {"events": EVENTS[2:]},
        f"{US} (the webhook endpoint is not told of sms.received, sms.sent)",
    ),
}


@pytest.mark.parametrize(("said", "told"), ENDPOINTS.values(), ids=ENDPOINTS)
async def test_whoever_checks_the_settings_reads_whether_bird_calls_us(said: dict[str, Any], told: str) -> None:
    async with messagebird() as it:
        it.there.endpoints = [{"id": "whk_1", "url": f"{URL}calls", "events": EVENTS, "status": "active"} | said]
        assert await it.line.verify() == told


async def test_a_key_that_may_not_see_endpoints_is_a_good_one_and_one_that_may_nothing_is_none() -> None:
    async with messagebird() as it:
        it.there.use(lambda call: ProviderFault.refused(403) if call.path == "/v1/webhooks" else ProviderFault())
        assert await it.line.verify() == US
        it.there.next(ProviderFault.expired_login())
        with pytest.raises(NeedsLogin):
            await it.line.verify()


# ---- what we missed
async def test_what_came_while_we_were_down_and_what_became_of_ours_is_handed_over_once() -> None:
    async with messagebird() as it:
        it.there.page = 2
        await it.there.hold("eins", "zwei", "drei")
        it.there.came(text="other", to="493099999999")
        ours = it.there.sent("delivered")
        it.there.sent("delivered", metadata=None)
        it.there.sent("delivered", **{"from": "+493099999999"})
        it.there.sent("accepted")
        await looked(it, times=2)
        events = it.context.intake.events
        assert [one.text for one in events if isinstance(one, Received)] == ["eins", "zwei", "drei"]
        assert [one.id for one in events if isinstance(one, Receipt)] == [ours["id"]]


async def test_a_status_that_changes_within_two_hours_is_seen_too() -> None:
    async with messagebird() as it:
        ours = it.there.sent("sent")
        await looked(it, times=7)
        ours["status"] = "delivered"
        await looked(it)
        assert it.context.intake.keys == [f"sent:{ours['id']}", f"delivered:{ours['id']}"]


async def test_who_writes_under_a_name_asks_for_every_number_of_the_workspace() -> None:
    async with messagebird(sender="Example") as it:
        it.there.came(to="+493099999999")
        await looked(it)
        assert [type(one) for one in it.context.intake.events] == [Received]


async def test_who_asks_for_no_reconciliation_gets_none() -> None:
    async with messagebird(reconcile_s=0) as it:
        await it.line.run()
        assert it.there.calls == []


async def test_a_list_that_is_none_is_no_silence() -> None:
    async with messagebird() as it:
        it.there.next(ProviderFault(body=b'{"data": {}}'))
        with pytest.raises(Unreachable):
            await it.line.run()


# ---- the settings
WRONG: dict[str, tuple[Mapping[str, Any], str]] = {
    "a key of the former API": ({"api_key": Secret("live_abcdef")}, "api_key must be an API key of Bird's"),
    "a secret that is none": ({"webhook_secret": Secret("whsec_?")}, "webhook_secret must be the endpoint's signing"),
    "an empty secret": ({"new_webhook_secret": Secret("whsec_")}, "new_webhook_secret must be the endpoint's signing"),
    "a sender that is none": ({"sender": "0301234"}, "sender is '0301234'; write a number"),
    "a hurry": ({"reconcile_s": 5}, "must be at least 60"),
    "no https": ({"api": "http://api.example.org"}, "api must begin with https"),
}


@pytest.mark.parametrize(("wrong", "says"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_refused_with_the_remedy(wrong: Mapping[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says) as why:
        settings(**wrong)
    assert "abcdef" not in str(why.value)


def test_bird_listens_where_the_key_says() -> None:
    assert settings().address == "https://eu1.platform.bird.com"
    assert settings(api_key=Secret("bk_us1_x")).address == "https://us1.platform.bird.com"
    assert settings(api="https://gateway.example/", api_key=Secret("x")).address == "https://gateway.example"


def test_no_secret_stands_in_the_section() -> None:
    assert KEY not in repr(settings())
    assert SECRET not in repr(settings())


# ---- Bird's own client at our fake: what it takes for an answer of Bird's
async def test_the_fake_speaks_as_bird_does_to_birds_own_client() -> None:
    from .theirs import AsyncBird, ValidationError

    async with FakeBird() as there, AsyncBird(api_key=KEY, base_url=there.url, max_retries=0) as client:
        sent = await client.sms.send(
            from_=US,
            to=ANN,
            text="Größe 🙂",
            category="service",
            metadata={"fernamt": "k1"},
            options={"idempotency_key": "k1"},
        )
        assert (sent.id, sent.status.value) == (there.kept[0]["id"], "accepted")
        assert [one.id async for one in client.sms.list(direction="outbound", to=ANN)] == [sent.id]
        there.refusing = (422, "E15001", "SMSInvalidRecipient")
        with pytest.raises(ValidationError) as why:
            await client.sms.send(from_=US, to=ANN, text="x", category="service")
        assert (why.value.code, why.value.name) == ("E15001", "SMSInvalidRecipient")
        theirs = there.acted[0]
    async with messagebird() as it:
        await it.line.send(message("Größe 🙂"))
        ours = it.there.acted[0]
    assert (theirs.path, theirs.json(), theirs.headers["Authorization"], theirs.headers["Idempotency-Key"]) == (
        ours.path,
        ours.json(),
        ours.headers["Authorization"],
        ours.headers["Idempotency-Key"],
    )
