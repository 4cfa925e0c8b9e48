"""Which calls are Bird's: our check beside the validator of Bird's own library."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from fernamt import BadSignature, Request, Secret
from fernamt_sms.messagebird.signature import Keys, check, sign

from ..lines import NOW
from .fake import OTHER, SECRET
from .given import call

SAID = {"type": "realtime.tested", "timestamp": "2026-11-30T12:00:00Z", "data": {"text": "Größe. Farbe = 🙂"}}
KEYS = Keys((Secret(SECRET),))
STAMP = int(NOW.timestamp())


def by_bird(request: Request, secret: str = SECRET) -> bool:
    """Say whether Bird's library takes a call; it looks at the machine's own clock."""
    from .theirs import Bird, WebhookVerificationError

    with Bird(webhook_secret=secret) as bird:
        try:
            bird.webhooks.unwrap(request.body, dict(request.headers))
        except WebhookVerificationError:
            return False
    return True


def heading(request: Request, name: str, value: str | None) -> Request:
    headers = {**request.headers, name: value}
    return evolve(request, headers=CIMultiDict({it: said for it, said in headers.items() if said is not None}))


def now() -> datetime:
    return datetime.fromtimestamp(int(time.time()), UTC)


def test_what_we_take_is_taken_by_birds_library_and_nothing_else() -> None:
    request = sign(call(SAID, at=now()), KEYS)
    check(request, KEYS)
    assert by_bird(request)
    with pytest.raises(BadSignature):
        check(request, Keys((Secret(OTHER),)))
    assert not by_bird(request, OTHER)


def test_while_the_secret_is_changed_bird_signs_with_both_and_each_alone_counts() -> None:
    both = Keys((Secret(OTHER), Secret(SECRET)))
    signed = sign(call(SAID, at=now()), both)
    assert signed.headers["Webhook-Signature"].count("v1,") == 2
    for secret in (SECRET, OTHER):
        check(signed, Keys((Secret(secret),)))
        assert by_bird(signed, secret)
        check(sign(call(SAID), Keys((Secret(secret),))), both)
    with pytest.raises(BadSignature, match="neither webhook_secret"):
        check(sign(call(SAID), Keys((Secret(OTHER),))), KEYS)


def test_a_signature_of_another_version_is_passed_over() -> None:
    good = sign(call(SAID, at=now()), KEYS)
    both = heading(good, "Webhook-Signature", f"v1a,AAAA {good.headers['Webhook-Signature']}")
    check(both, KEYS)
    assert by_bird(both)


def moved(request: Request) -> Request:
    """Part what is signed elsewhere: the same bytes are signed."""
    signed = sign(request, KEYS)
    id_, stamp = signed.headers["Webhook-Id"], signed.headers["Webhook-Timestamp"]
    return heading(heading(signed, "Webhook-Id", f"{id_}.{stamp}"), "Webhook-Timestamp", "7")


FORGED: dict[str, Any] = {
    "no signature": lambda it: heading(it, "Webhook-Signature", None),
    "an empty one": lambda it: heading(it, "Webhook-Signature", "v1,"),
    "strange characters": lambda it: heading(it, "Webhook-Signature", "v1,ö\udc80"),
    "another version": lambda it: heading(it, "Webhook-Signature", "v2" + it.headers["Webhook-Signature"][2:]),
    "the right one behind many": lambda it: heading(
        it, "Webhook-Signature", "v1,x " * 8 + it.headers["Webhook-Signature"]
    ),
    "no id": lambda it: heading(it, "Webhook-Id", None),
    "another id": lambda it: heading(it, "Webhook-Id", "evt_other"),
    "no time": lambda it: heading(it, "Webhook-Timestamp", None),
    "another time": lambda it: heading(it, "Webhook-Timestamp", str(STAMP + 1)),
    "a time that is none": lambda it: heading(it, "Webhook-Timestamp", "soon"),
    "of yesterday": lambda it: sign(evolve(it, at=NOW - timedelta(seconds=301)), KEYS),
    "of tomorrow": lambda it: sign(evolve(it, at=NOW + timedelta(seconds=301)), KEYS),
    "another body": lambda it: evolve(it, body=it.body + b" "),
    "the full stop moved": moved,
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_what_is_not_birds_is_refused(forge: Any) -> None:
    good = sign(call(SAID), KEYS)
    check(good, KEYS)
    with pytest.raises(BadSignature):
        check(evolve(forge(good), at=NOW), KEYS)


@pytest.mark.parametrize("off_s", [-299, 299])
def test_clocks_may_differ_by_some_minutes(off_s: int) -> None:
    check(evolve(sign(call(SAID), KEYS), at=NOW + timedelta(seconds=off_s)), KEYS)


@given(st.binary(max_size=60), st.text(st.characters(max_codepoint=255), max_size=60), st.text(max_size=12))
def test_nothing_but_a_refusal_comes_of_what_somebody_makes_up(body: bytes, signature: str, id_: str) -> None:
    request = heading(heading(call(body), "Webhook-Signature", signature), "Webhook-Id", id_)
    with pytest.raises(BadSignature):
        check(heading(request, "Webhook-Timestamp", str(STAMP)), KEYS)
