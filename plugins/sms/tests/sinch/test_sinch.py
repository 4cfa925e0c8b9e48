"""A line at Sinch: what goes out, what becomes of it, what we missed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from fernamt import Attachment, NeedsLogin, Receipt, Received, Rejected, Sent, Unreachable
from fernamt.testing import ProviderFault

from ..faults import Outgoing
from ..lines import ANN, URL, US, looked, message
from .fake import PLAN
from .given import settings, sinch


# ---- out
class TestOutgoing(Outgoing):
    line = staticmethod(sinch)


async def test_a_message_is_a_batch_of_one_that_bears_our_key() -> None:
    from .theirs import TextRequest

    async with sinch() as it:
        sent = await it.line.send(message())
        assert sent == Sent(ids=(it.there.kept["batches"][0]["id"],))
        said = it.there.calls[-1].json()
        assert said == {
            "from": US,
            "to": [ANN],
            "type": "mt_text",
            "body": "Ihr Paket ist da",
            "delivery_report": "per_recipient",
            "client_reference": "k1",
            "callback_url": f"{URL}calls",
        }
        assert TextRequest(**said).model_dump(by_alias=True, exclude_none=True) == said  # as Sinch's library knows it


async def test_a_picture_goes_out_with_its_words() -> None:
    async with sinch(mms=True) as it:
        blob = it.context.blobs.add(b"\x89PNG of the test")
        file = Attachment(name="Foto.png", media_type="image/png", content=blob)
        await it.line.send(message("Anbei", attachments=(file,)))
        said = it.there.calls[-1].json()
        assert (said["type"], said["body"]["message"]) == ("mt_media", "Anbei")
        assert said["body"]["url"].startswith(f"{URL}media/Foto.png?token=")
        await it.line.send(message("", attachments=(file,)))
        assert it.there.calls[-1].json()["body"].keys() == {"url"}


async def test_no_number_and_no_word_of_sinchs_stands_in_an_error() -> None:
    async with sinch() as it:
        it.there.refusing = (400, "new_code")
        with pytest.raises(Rejected) as why:
            await it.line.send(message())
        assert str(why.value) == "Sinch refused the message (400)"


# ---- what became of it
async def test_a_message_whose_answer_was_lost_is_found_by_our_key() -> None:
    async with sinch() as it:
        assert await it.line.lookup(message()) == "unknown"
        await it.line.send(message(key="k2"))
        assert await it.line.lookup(message()) == "unknown"
        it.there.next(ProviderFault.lost_answer())
        with pytest.raises(Unreachable):
            await it.line.send(message())
        assert await it.line.lookup(message()) == Sent(ids=(it.there.kept["batches"][1]["id"],))


async def test_a_list_that_is_not_filtered_makes_no_other_message_ours() -> None:
    async with sinch() as it:
        body = b'{"count": 2, "batches": [{"id": "b1", "client_reference": "other"}, {"id": "b2"}, 1]}'
        it.there.next(ProviderFault(body=body))
        assert await it.line.lookup(message()) == "unknown"


# ---- who we are
async def test_whoever_checks_the_settings_reads_the_plan() -> None:
    async with sinch() as it:
        assert await it.line.verify() == f"{PLAN}, {US}"
        it.there.next(ProviderFault.expired_login())
        with pytest.raises(NeedsLogin):
            await it.line.verify()


# ---- what we missed
async def test_what_came_while_we_were_down_and_what_became_of_ours_is_handed_over_once() -> None:
    async with sinch() as it:
        it.there.page = 2
        await it.there.hold("eins", "zwei", "drei")
        it.there.came(body="other", to="493099999999")
        it.there.told("b1", "DELIVERED", 0)
        it.there.told("b2", "DELIVERED", 0, client_reference=None)
        it.there.told("b3", "QUEUED", 400)
        await looked(it, times=2)
        events = it.context.intake.events
        assert [one.text for one in events if isinstance(one, Received)] == ["eins", "zwei", "drei"]
        assert [one.id for one in events if isinstance(one, Receipt)] == ["b1"]


async def test_a_status_that_changes_later_is_seen_too() -> None:
    async with sinch() as it:
        report = it.there.told("b1", "DISPATCHED", 401)
        await looked(it)
        report["status"] = "DELIVERED"
        await looked(it)
        assert it.context.intake.keys == ["DISPATCHED:b1", "DELIVERED:b1"]


async def test_who_asks_for_no_reconciliation_gets_none() -> None:
    async with sinch(reconcile_s=0) as it:
        await it.line.run()
        assert it.there.calls == []


async def test_a_list_that_is_none_is_no_silence() -> None:
    async with sinch() as it:
        it.there.next(ProviderFault(body=b'{"inbounds": {}}'))
        with pytest.raises(Unreachable):
            await it.line.run()


# ---- the settings
WRONG: dict[str, tuple[Mapping[str, Any], str]] = {
    "a plan that is none": ({"plan": "../x"}, "plan is '../x'; copy it"),
    "a sender that is none": ({"sender": "0301234"}, "sender is '0301234'; write a number"),
    "a hurry": ({"reconcile_s": 5}, "must be at least 60"),
    "no https": ({"api": "http://api.example.org"}, "api must begin with https"),
}


@pytest.mark.parametrize(("wrong", "says"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_refused_with_the_remedy(wrong: Mapping[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        settings(**wrong)


def test_sinch_listens_where_the_plan_lies() -> None:
    assert settings(place="us").address == "https://us.sms.api.sinch.com"
    assert settings(api="https://gateway.example/").address == "https://gateway.example"
