"""Which calls are Telnyx's: our check beside the validator of Telnyx's own library."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from fernamt import BadSignature, Request
from fernamt_sms.telnyx.signature import Keys, check

from ..lines import NOW
from .fake import OTHER, PRIVATE, public, sign
from .given import call

SAID = {"data": {"event_type": "message.received", "payload": {"text": "Größe | Farbe 🙂"}}}
STAMP = int(NOW.timestamp())


def keys(*private: Ed25519PrivateKey) -> Keys:
    return Keys.of(*(key.public_key().public_bytes_raw() for key in private))


KEYS = keys(PRIVATE)


def by_telnyx(request: Request, key: Ed25519PrivateKey = PRIVATE) -> bool:
    # Here, because it takes two seconds and every worker collects every test.
    from telnyx.lib.webhook_verification import WebhookVerificationError, verify_webhook_signature

    try:
        verify_webhook_signature(request.body, dict(request.headers), public(key))
    except WebhookVerificationError:
        return False
    return True


def test_what_we_take_is_taken_by_telnyxs_library() -> None:
    request = sign(call(SAID, at=datetime.now(UTC)))
    check(request, KEYS)
    assert by_telnyx(request)
    assert not by_telnyx(request, OTHER)


def test_while_the_key_is_changed_both_count() -> None:
    both = keys(OTHER, PRIVATE)
    for key in (PRIVATE, OTHER):
        check(sign(call(SAID), key), both)
    with pytest.raises(BadSignature, match="neither verify_key"):
        check(sign(call(SAID), OTHER), KEYS)


def heading(request: Request, **more: str | None) -> Request:
    headers = {**request.headers, **{name.replace("_", "-"): value for name, value in more.items()}}
    return evolve(request, headers=CIMultiDict({name: value for name, value in headers.items() if value is not None}))


def moved(request: Request) -> Request:
    """Sign a time and a body whose bar stands elsewhere: the same bytes are signed."""
    body = b"7|" + request.body
    signed = sign(evolve(request, body=body), at=str(STAMP))
    return heading(evolve(signed, body=request.body), Telnyx_Timestamp=f"{STAMP}|7")


FORGED: dict[str, Any] = {
    "no signature": lambda it: heading(it, Telnyx_Signature_Ed25519=None),
    "no time": lambda it: heading(it, Telnyx_Timestamp=None),
    "an empty signature": lambda it: heading(it, Telnyx_Signature_Ed25519=""),
    "a signature that is too short": lambda it: heading(it, Telnyx_Signature_Ed25519=base64.b64encode(bytes(63)).decode()),
    "zeros": lambda it: heading(it, Telnyx_Signature_Ed25519=base64.b64encode(bytes(64)).decode()),
    "strange characters": lambda it: heading(it, Telnyx_Signature_Ed25519="ö\udc80"),
    "another body": lambda it: evolve(it, body=it.body + b" "),
    "another time": lambda it: heading(it, Telnyx_Timestamp=str(STAMP + 1)),
    "of yesterday": lambda it: sign(it, at=str(STAMP - 301)),
    "of tomorrow": lambda it: sign(it, at=str(STAMP + 301)),
    "a time with a fraction": lambda it: sign(it, at=f"{STAMP}.0"),
    "a time that is infinite": lambda it: sign(it, at="inf"),
    "a time without end": lambda it: sign(it, at="9" * 400),
    "a time in another script": lambda it: heading(sign(it), Telnyx_Timestamp="١٧٩"),
    "the bar moved": moved,
}  # fmt: skip


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_what_is_not_telnyxs_is_refused(forge: Any) -> None:
    check(sign(call(SAID)), KEYS)
    with pytest.raises(BadSignature):
        check(forge(sign(call(SAID))), KEYS)


@pytest.mark.parametrize("off_s", [-299, 299])
def test_clocks_may_differ_by_some_minutes(off_s: int) -> None:
    check(evolve(sign(call(SAID)), at=NOW + timedelta(seconds=off_s)), KEYS)


@settings(deadline=None)  # whoever asks first imports their library
@given(st.binary(max_size=60))
def test_we_and_telnyxs_library_take_every_body_alike(body: bytes) -> None:
    request = sign(call(body, at=datetime.now(UTC)))
    check(request, KEYS)
    try:
        body.decode()
    except UnicodeDecodeError:
        return  # their library reads texts only
    assert by_telnyx(request)


@given(st.binary(max_size=60), st.text(st.characters(max_codepoint=255), max_size=90), st.text(max_size=12))
def test_nothing_but_a_refusal_comes_of_what_somebody_makes_up(body: bytes, signature: str, at: str) -> None:
    with pytest.raises(BadSignature):
        check(heading(call(body), Telnyx_Signature_Ed25519=signature, Telnyx_Timestamp=at), KEYS)
