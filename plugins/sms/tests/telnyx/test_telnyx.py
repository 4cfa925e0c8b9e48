"""A line at Telnyx: what goes out, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from fernamt import Attachment, NeedsLogin, OptedOut, Rejected, Secret, Sent, Unreachable
from fernamt.testing import ProviderFault

from ..faults import Outgoing
from ..lines import ANN, URL, US, message
from .fake import PROFILE, TOKEN, FakeTelnyx
from .given import settings, telnyx

FIRST = "40385f64-5717-4562-b3fc-000000000001"


# ---- out
class TestOutgoing(Outgoing):
    line = staticmethod(telnyx)
    from_a_name: ClassVar[Mapping[str, Any]] = {"sender": "Example", "profile": PROFILE}


async def test_a_message_says_where_its_receipts_go_and_which_it_is() -> None:
    async with telnyx(profile=PROFILE) as it:
        assert await it.line.send(message()) == Sent(ids=(FIRST,))
        assert it.there.calls[-1].headers["Idempotency-Key"] == "k1"
        assert it.there.calls[-1].json() == {
            "from": US,
            "to": ANN,
            "type": "SMS",
            "text": "Ihr Paket ist da",
            "messaging_profile_id": PROFILE,
            "webhook_url": f"{URL}receipts?key=k1",
            "webhook_failover_url": f"{URL}receipts?key=k1",
            "use_profile_webhooks": False,
        }


async def test_a_message_whose_answer_was_lost_is_sent_again_and_makes_no_second_one() -> None:
    async with telnyx() as it:
        assert it.line.capabilities().idempotent
        it.there.next(ProviderFault.lost_answer())
        with pytest.raises(Unreachable):
            await it.line.send(message())
        assert await it.line.send(message(attempt=2)) == Sent(ids=(FIRST,))
        first, second = it.there.calls
        assert first.body == second.body  # Telnyx compares every byte
        assert len(it.there.acted) == 1


async def test_pictures_go_out_by_signed_addresses_and_are_never_sent_again_by_themselves() -> None:
    async with telnyx(mms=True) as it:
        assert not it.line.capabilities().idempotent
        blob = it.context.blobs.add(b"\x89PNG of the test")
        file = Attachment(name="Foto.png", media_type="image/png", content=blob)
        await it.line.send(message("", attachments=(file,)))
        said = it.there.calls[-1].json()
        assert (said["type"], "text" in said, "Idempotency-Key" in it.there.calls[-1].headers) == ("MMS", False, False)
        [address] = said["media_urls"]
        assert address.startswith(f"{URL}media/Foto.png?token=")
        assert it.line.routes()


async def test_no_number_and_no_word_of_telnyxs_stands_in_an_error() -> None:
    async with telnyx() as it:
        it.there.refusing = (403, "40300", "Blocked due to STOP message")
        with pytest.raises(OptedOut) as why:
            await it.line.send(message())
        assert str(why.value) == "they wrote STOP to this sender (40300)"


# ---- who we are
async def test_whoever_checks_the_settings_reads_where_messages_go() -> None:
    async with telnyx() as it:
        assert await it.line.verify() == f"{US} (balance 300.00 USD)"
    async with telnyx(profile=PROFILE) as it:
        assert await it.line.verify() == f"{US} (balance 300.00 USD) (its messages do not go to {URL}messages)"
        it.there.profile["webhook_url"] = f"{URL}messages"
        assert await it.line.verify() == f"{US} (balance 300.00 USD)"
        it.there.profile["enabled"] = False
        with pytest.raises(NeedsLogin, match="switched off"):
            await it.line.verify()


async def test_a_profile_that_is_none_of_the_account_is_told() -> None:
    async with telnyx(profile=PROFILE.replace("4", "5")) as it:
        with pytest.raises(Rejected, match="does not know it"):
            await it.line.verify()


# ---- the settings
WRONG: dict[str, tuple[Mapping[str, Any], str]] = {
    "a key that is none": ({"verify_key": "abc"}, "verify_key must be the public key"),
    "an empty key": ({"verify_key": ""}, "verify_key must be the public key"),
    "a key of other bytes": ({"new_verify_key": "QUJD"}, "new_verify_key must be the public key"),
    "a sender that is none": ({"sender": "0301234"}, "sender is '0301234'; write a number"),
    "a name without a profile": ({"sender": "Example"}, "a name as sender needs profile"),
    "a profile that is none": ({"profile": "../x"}, "profile is '../x'; copy the id"),
    "no https": ({"api": "http://api.example.org"}, "api must begin with https"),
}


@pytest.mark.parametrize(("wrong", "says"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_refused_with_the_remedy(wrong: Mapping[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        settings(**wrong)


def test_the_key_in_an_error_is_never_the_secret_one() -> None:
    assert TOKEN not in repr(settings(api_key=Secret(TOKEN)))


# ---- Telnyx's own client at our fake: what it takes for an answer of Telnyx's
async def test_the_fake_speaks_as_telnyx_does_to_telnyxs_own_client() -> None:
    # Here, because it takes two seconds and every worker collects every test.
    from telnyx import AsyncTelnyx, PermissionDeniedError

    async with FakeTelnyx() as there, AsyncTelnyx(api_key=TOKEN, base_url=f"{there.url}/v2", max_retries=0) as client:
        sent = await client.messages.send(from_=US, to=ANN, text="Größe 🙂", type="SMS", idempotency_key="k1")
        assert sent.data is not None
        assert sent.data.id == FIRST
        assert sent.data.to is not None
        assert sent.data.to[0].status == "queued"
        there.refusing = (403, "40300", "Blocked due to STOP message")
        with pytest.raises(PermissionDeniedError) as why:
            await client.messages.send(from_=US, to=ANN, text="x")
        assert why.value.status_code == 403
        theirs = there.acted[0]
    async with telnyx() as it:
        await it.line.send(message("Größe 🙂"))
        ours = it.there.acted[0]
    assert theirs.json().items() <= ours.json().items()
    assert (theirs.path, theirs.headers["Authorization"], theirs.headers["Idempotency-Key"]) == (
        ours.path,
        ours.headers["Authorization"],
        ours.headers["Idempotency-Key"],
    )
