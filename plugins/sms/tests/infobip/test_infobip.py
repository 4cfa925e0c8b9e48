"""A line at Infobip: what goes out, what becomes of it, and who may call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fernamt import BadSignature, NeedsLogin, Rejected, Secret, Sent, Unreachable
from fernamt.testing import FakeContext, ProviderFault
from fernamt_sms.infobip.connector import Infobip

from ..faults import Outgoing
from ..lines import URL, US, message
from .fake import SECRET
from .given import call, infobip, settings
from .oracle import as_their_library_knows

RECORDINGS = Path(__file__).parent / "recordings"


# ---- out
class TestOutgoing(Outgoing):
    line = staticmethod(infobip)


async def test_a_message_bears_our_key_as_its_id_and_says_where_its_receipts_go() -> None:
    async with infobip() as it:
        assert await it.line.send(message()) == Sent(ids=("k1",))
        said = it.there.calls[-1].json()
        assert said == {
            "messages": [
                {
                    "sender": "493023125000",
                    "destinations": [{"to": "4915112345678", "messageId": "k1"}],
                    "content": {"text": "Ihr Paket ist da"},
                    "webhooks": {
                        "delivery": {"url": f"{URL}receipts/{SECRET}", "intermediateReport": True},
                        "contentType": "application/json",
                    },
                }
            ]
        }


@pytest.mark.slow
async def test_a_message_is_one_by_infobips_own_library() -> None:
    async with infobip() as it:
        await it.line.send(message())
        said = it.there.calls[-1].json()
    assert as_their_library_knows(("SmsRequest", said)) == [said]


async def test_an_attempt_that_infobip_took_before_is_no_failure_and_no_second_message() -> None:
    async with infobip() as it:
        it.there.next(ProviderFault.lost_answer())
        with pytest.raises(Unreachable):
            await it.line.send(message())
        assert await it.line.send(message(attempt=2)) == Sent(ids=("k1",))
        assert len(it.there.taken) == 1


SAID: list[tuple[int, str, type[Exception]]] = [
    (5, "REJECTED_NOT_ENOUGH_CREDITS", NeedsLogin),
    (5, "REJECTED_DESTINATION", Rejected),
    (5, "REJECTED_SYSTEM_ERROR", Unreachable),
    (2, "UNDELIVERABLE_REJECTED_PLATFORM", Rejected),
]


@pytest.mark.parametrize(("group", "name", "kind"), SAID)
async def test_a_good_answer_of_http_may_say_no(group: int, name: str, kind: type[Exception]) -> None:
    async with infobip() as it:
        it.there.saying = (group, name)
        with pytest.raises(kind) as why:
            await it.line.send(message())
        assert name in str(why.value)
        assert "4915112345678" not in str(why.value)


@pytest.mark.parametrize(
    "body", [b'{"messages": []}', b'{"messages": [{}, {}]}', b'{"messages": [{}]}', b'{"messages": [{"status": 1}]}']
)
async def test_an_answer_that_is_none_is_uncertain(body: bytes) -> None:
    async with infobip() as it:
        it.there.next(ProviderFault(body=body))
        with pytest.raises(Unreachable) as why:
            await it.line.send(message())
        assert not why.value.certain


# ---- what became of it
async def test_a_message_whose_answer_was_lost_is_found_in_the_log() -> None:
    async with infobip() as it:
        assert await it.line.lookup(message()) == "unknown"
        await it.line.send(message(key="k2"))
        assert await it.line.lookup(message()) == "unknown"
        assert await it.line.lookup(message(key="k2")) == Sent(ids=("k2",))


async def test_a_log_that_is_not_filtered_makes_no_other_message_ours() -> None:
    async with infobip() as it:
        it.there.next(ProviderFault(body=b'{"results": [{"messageId": "other"}, {}, 1]}'))
        assert await it.line.lookup(message()) == "unknown"


# ---- who we are
async def test_whoever_checks_the_settings_reads_the_balance() -> None:
    async with infobip() as it:
        assert await it.line.verify() == f"{US} (balance 47.79 EUR)"
        it.there.next(ProviderFault(body=b'{"balance": "much"}'))
        with pytest.raises(Unreachable):
            await it.line.verify()


# ---- who may call
async def test_while_the_secret_is_changed_both_count_and_the_new_one_is_given_out() -> None:
    async with infobip(new_call_secret=Secret("next ö")) as it:
        for webhook in it.line.webhooks():
            for secret in (SECRET, "next ö"):
                webhook.verify(call(behind=secret))
            for wrong in ("", "next", f"{SECRET}/", f"/{SECRET}", "ö\udc80"):
                with pytest.raises(BadSignature):
                    webhook.verify(call(behind=wrong))
        await it.line.send(message())
        [sent] = it.there.calls[-1].json()["messages"]
        assert sent["webhooks"]["delivery"]["url"] == f"{URL}receipts/next%20%C3%B6"


@given(st.text(max_size=40))
def test_nothing_but_a_refusal_comes_of_what_somebody_makes_up(behind: str) -> None:
    from fernamt import Channel, ChannelId

    channel = Channel(id=ChannelId("x"), name="x", kind="sms.infobip", settings=settings(), url=URL)
    [verify, _] = [webhook.verify for webhook in Infobip(channel, FakeContext()).webhooks()]
    with pytest.raises(BadSignature):
        verify(call(behind=behind))


# ---- Infobip's own library on what we take for calls of Infobip's
@pytest.mark.slow
def test_a_recording_is_one_by_infobips_own_library() -> None:
    requests = [json.loads(file.read_text())["request"] for file in sorted(RECORDINGS.glob("*.json"))]
    model = {"messages": "SmsInboundMessageResult"}
    said = [json.loads(one["body"]) for one in requests]
    known = as_their_library_knows(
        *((model.get(one["path"], "SmsDeliveryResult"), body) for one, body in zip(requests, said, strict=True))
    )
    assert [[one["messageId"] for one in body["results"]] for body in known] == [
        [one["messageId"] for one in body["results"]] for body in said
    ]


# ---- the settings
WRONG: dict[str, tuple[Mapping[str, Any], str]] = {
    "a sender that is none": ({"sender": "0301234"}, "sender is '0301234'; write a number"),
    "no https": ({"api": "abc123.api.infobip.com"}, "api must begin with https"),
}


@pytest.mark.parametrize(("wrong", "says"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_refused_with_the_remedy(wrong: Mapping[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        settings(**wrong)
