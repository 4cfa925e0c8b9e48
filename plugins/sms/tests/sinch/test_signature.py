"""Which calls are Sinch's: our check beside the validator of Sinch's own library."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from fernamt import BadSignature, Request, Secret
from fernamt_sms.sinch.signature import Keys, check, sign

from ..lines import NOW
from .fake import SECRET
from .given import call

KEYS = Keys((Secret(SECRET),))
SAID = {"type": "mo_text", "body": "Größe. Farbe = 🙂"}
NAME = "X-Sinch-Webhook-Signature"
STAMP = int(NOW.timestamp())


def by_sinch(
    request: Request, secret: str = SECRET, *, nonce: str = "01FJA8B4A7BM43YGWSG9GBV067", at: str = str(STAMP)
) -> Request:
    from .theirs import calculate_sinch_event_signature

    signed = f"{request.body.decode('utf-8', 'surrogateescape')}.{nonce}.{at}"
    headers = {
        NAME: calculate_sinch_event_signature(signed, secret),
        f"{NAME}-Nonce": nonce,
        f"{NAME}-Timestamp": at,
        f"{NAME}-Algorithm": "HmacSHA256",
    }
    return evolve(request, headers=CIMultiDict({**request.headers, **headers}))


def taken_by_sinch(request: Request) -> bool:
    from .theirs import SmsSinchEvent

    return bool(SmsSinchEvent(SECRET).validate_authentication_header(dict(request.headers), request.body))


def heading(request: Request, name: str, value: str | None) -> Request:
    headers = {**request.headers, name: value}
    return evolve(request, headers=CIMultiDict({it: said for it, said in headers.items() if said is not None}))


def test_what_sinchs_library_signs_is_taken_and_what_we_sign_too() -> None:
    check(by_sinch(call(SAID)), KEYS)
    ours = sign(call(SAID), KEYS)
    assert taken_by_sinch(ours)


def test_while_the_secret_is_changed_both_count() -> None:
    both = Keys((Secret("other"), Secret(SECRET)))
    for secret in (SECRET, "other"):
        check(by_sinch(call(SAID), secret), both)
    with pytest.raises(BadSignature, match="fits no secret"):
        check(by_sinch(call(SAID), "other"), KEYS)


def test_what_sinchs_library_takes_of_last_year_and_we_do_not() -> None:
    old = by_sinch(call(SAID), at=str(STAMP - 31_536_000))
    assert taken_by_sinch(old)
    with pytest.raises(BadSignature, match="older than 300 s"):
        check(old, KEYS)


def moved(request: Request) -> Request:
    """Move what is signed from the body into the word behind it: the same bytes are signed."""
    signed = by_sinch(evolve(request, body=request.body + b".more"), nonce="n")
    return heading(evolve(signed, body=request.body), f"{NAME}-Nonce", "more.n")


FORGED: dict[str, Any] = {
    "no signature": lambda it: heading(it, NAME, None),
    "an empty one": lambda it: heading(it, NAME, ""),
    "strange characters": lambda it: heading(it, NAME, "ö\udc80"),
    "no word": lambda it: heading(it, f"{NAME}-Nonce", None),
    "another word": lambda it: heading(it, f"{NAME}-Nonce", "other"),
    "no time": lambda it: heading(it, f"{NAME}-Timestamp", None),
    "another time": lambda it: heading(it, f"{NAME}-Timestamp", str(STAMP + 1)),
    "of yesterday": lambda it: by_sinch(it, at=str(STAMP - 301)),
    "of tomorrow": lambda it: by_sinch(it, at=str(STAMP + 301)),
    "a time that is none": lambda it: by_sinch(it, at="soon"),
    "another algorithm": lambda it: heading(it, f"{NAME}-Algorithm", "none"),
    "another body": lambda it: evolve(it, body=it.body + b" "),
    "the full stop moved": moved,
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_what_is_not_sinchs_is_refused(forge: Any) -> None:
    good = by_sinch(call(SAID))
    check(good, KEYS)
    with pytest.raises(BadSignature):
        check(forge(good), KEYS)


@pytest.mark.parametrize("off_s", [-299, 299])
def test_clocks_may_differ_by_some_minutes(off_s: int) -> None:
    check(evolve(by_sinch(call(SAID)), at=NOW + timedelta(seconds=off_s)), KEYS)


@settings(deadline=None)  # whoever asks first imports their library
@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_we_and_sinchs_library_sign_everything_alike(body: str) -> None:
    request = call(body.encode())
    check(by_sinch(request), KEYS)
    ours = sign(request, KEYS)
    assert taken_by_sinch(ours)


@given(st.binary(max_size=60), st.text(st.characters(max_codepoint=255), max_size=60), st.text(max_size=12))
def test_nothing_but_a_refusal_comes_of_what_somebody_makes_up(body: bytes, signature: str, nonce: str) -> None:
    request = heading(heading(call(body), NAME, signature), f"{NAME}-Nonce", nonce)
    with pytest.raises(BadSignature):
        check(heading(request, f"{NAME}-Timestamp", str(STAMP)), KEYS)
