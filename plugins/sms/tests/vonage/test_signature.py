"""Which calls are Vonage's: our checks beside those of Vonage's own library, and what that library does not look at."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import jwt
import orjson
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from vonage_http_client.auth import Auth
from vonage_jwt.verify_jwt import verify_signature

from fernamt import BadSignature, Request, Secret
from fernamt_sms.vonage.signature import Keys, check_parameters, check_token, sign_parameters, sign_token

from ..lines import NOW
from .fake import KEY, SIGNATURE
from .given import call

KEYS = Keys((Secret(SIGNATURE),))
SAID = {"channel": "sms", "text": "Größe & Farbe = 🙂"}
SMS = {"msisdn": "4915112345678", "text": "Größe & Farbe = 🙂", "messageId": "0A1", "nonce": "n1"}
OTHER = "another-signature-secret-of-the-tests-01"


def token(body: bytes, secret: str = SIGNATURE, *, algorithm: str = "HS256", **claims: Any) -> str:
    said = {
        "iat": int(NOW.timestamp()),
        "jti": "c5ba8f24-1a14-4c10-bfdf-3fbe8ce511b5",
        "iss": "Vonage",
        "payload_hash": hashlib.sha256(body).hexdigest(),
        "api_key": KEY,
        "application_id": "aaaaaaaa-bbbb-cccc-dddd-0123456789ab",
    } | claims
    said = {name: value for name, value in said.items() if value is not None}
    return jwt.encode(said, secret if algorithm != "none" else None, algorithm=algorithm)  # type: ignore[arg-type]


def bearing(request: Request, given: str) -> Request:
    return evolve(request, headers=CIMultiDict({**request.headers, "Authorization": f"Bearer {given}"}))


# ---- the Messages API
def test_a_token_of_vonages_is_taken_by_us_and_by_its_library() -> None:
    request = call(SAID)
    check_token(bearing(request, token(request.body)), KEYS)
    ours = sign_token(request, KEYS).headers["Authorization"].removeprefix("Bearer ")
    assert verify_signature(ours, SIGNATURE)


def test_while_the_secret_is_changed_both_count() -> None:
    request, both = call(SAID), Keys((Secret(OTHER), Secret(SIGNATURE)))
    for secret in (SIGNATURE, OTHER):
        check_token(bearing(request, token(request.body, secret)), both)
    with pytest.raises(BadSignature, match="no signature secret"):
        check_token(bearing(request, token(request.body, OTHER)), KEYS)


FORGED: dict[str, Any] = {
    "of another body": lambda body: token(body + b" "),
    "without a hash": lambda body: token(body, payload_hash=None),
    "with a hash that is none": lambda body: token(body, payload_hash=1),
    "without a time": lambda body: token(body, iat=None),
    "of tomorrow": lambda body: token(body, iat=int(NOW.timestamp()) + 301),
    "of yesterday": lambda body: token(body, iat=int(NOW.timestamp()) - 90_001),
    "with a time that is a text": lambda body: token(body, iat=str(int(NOW.timestamp()))),
    "with a time that is yes": lambda body: token(body, iat=True),
    "without a signature": lambda body: token(body, algorithm="none"),
    "by another algorithm": lambda body: token(body, algorithm="HS512", secret=SIGNATURE * 2),
    "of another account": lambda body: token(body, secret=OTHER),
    "that is none": lambda _: "a.b.c",
    "that is empty": lambda _: "",
    "without end": lambda _: "a" * 5_000,
    "of strange characters": lambda _: "ö\udc80.a.b",
}  # fmt: skip


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_token_is_refused(forge: Any) -> None:
    request = call(SAID)
    with pytest.raises(BadSignature):
        check_token(bearing(request, forge(request.body)), KEYS)


def test_what_vonages_library_takes_and_we_do_not() -> None:
    request = call(SAID)
    for made in (token(request.body + b" "), token(request.body, iat=int(NOW.timestamp()) - 90_001)):
        assert verify_signature(made, SIGNATURE)
        with pytest.raises(BadSignature):
            check_token(bearing(request, made), KEYS)


def test_another_way_to_log_in_is_no_signature() -> None:
    with pytest.raises(BadSignature, match="switch on signed webhooks"):
        check_token(evolve(call(SAID), headers=CIMultiDict({"Authorization": "Basic abc"})), KEYS)


@pytest.mark.parametrize("off_s", [-299, 0, 86_400])
def test_what_vonage_brings_again_for_a_day_is_taken(off_s: int) -> None:
    request = bearing(call(SAID), token(call(SAID).body))
    check_token(evolve(request, at=NOW + timedelta(seconds=off_s)), KEYS)
    check_parameters(evolve(call(by_vonage(SMS)), at=NOW + timedelta(seconds=off_s)), KEYS)


@given(st.binary(max_size=60), st.text(st.characters(max_codepoint=255), max_size=60))
def test_nothing_but_a_refusal_comes_of_a_token_that_somebody_makes_up(body: bytes, given_: str) -> None:
    with pytest.raises(BadSignature):
        check_token(bearing(call(body), given_), KEYS)


# ---- the SMS API
METHODS = ["md5", "sha1", "sha256", "sha512"]


def by_vonage(said: dict[str, Any], method: str = "sha256", secret: str = SIGNATURE) -> dict[str, Any]:
    signed = {"timestamp": str(int(NOW.timestamp()))} | said
    auth = Auth(api_key=KEY, signature_secret=secret, signature_method=method)
    return {**signed, "sig": auth.sign_params({**signed})}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("way", ["JSON", "form", "query"])
def test_what_vonages_library_signs_is_taken(method: Any, way: str) -> None:
    said = by_vonage(SMS, method)
    check_parameters(as_sent(said, way), Keys((Secret(SIGNATURE),), method))


def as_sent(said: dict[str, Any], way: str) -> Request:
    if way == "JSON":
        return call(said)
    if way == "form":
        return call(urlencode(said).encode(), media_type="application/x-www-form-urlencoded")
    return call(b"", query=said, media_type="")


@pytest.mark.parametrize("method", METHODS)
def test_what_we_sign_is_taken_by_vonages_library(method: Any) -> None:
    signed = orjson.loads(sign_parameters(call(SMS), Keys((Secret(SIGNATURE),), method)).body)
    assert Auth(api_key=KEY, signature_secret=SIGNATURE, signature_method=method).check_signature(signed)


def test_the_old_hash_is_the_one_of_the_documentation() -> None:
    stamp = int(NOW.timestamp())
    digest = hashlib.md5(f"&messageId=0A1&timestamp={stamp}{SIGNATURE}".encode()).hexdigest()
    request = call({"messageId": "0A1", "timestamp": str(stamp), "sig": digest.upper()})
    check_parameters(request, Keys((Secret(SIGNATURE),), "md5hash"))


def test_while_the_secret_is_changed_both_count_for_the_sms_api() -> None:
    both = Keys((Secret(OTHER), Secret(SIGNATURE)))
    for secret in (SIGNATURE, OTHER):
        check_parameters(call(by_vonage(SMS, secret=secret)), both)
    with pytest.raises(BadSignature):
        check_parameters(call(by_vonage(SMS, secret=OTHER)), KEYS)


STAMP = int(NOW.timestamp())
FORGED_SMS: dict[str, Any] = {
    "no signature": lambda: call({**SMS, "timestamp": str(STAMP)}),
    "an empty one": lambda: call({**SMS, "timestamp": str(STAMP), "sig": ""}),
    "strange characters": lambda: call({**by_vonage(SMS), "sig": "ö"}),
    "other words": lambda: call({**by_vonage(SMS), "text": "other"}),
    "one more": lambda: call({**by_vonage(SMS), "more": "1"}),
    "of yesterday": lambda: call(by_vonage({**SMS, "timestamp": str(STAMP - 90_001)})),
    "of tomorrow": lambda: call(by_vonage({**SMS, "timestamp": str(STAMP + 301)})),
    "without a time": lambda: call(by_vonage({**SMS, "timestamp": "soon"})),
    "a thing twice": lambda: as_bytes(urlencode(by_vonage(SMS)) + "&text=other"),
    "two things as one": lambda: as_bytes(urlencode({"a=1&b": "2", **{n: v for n, v in by_vonage({"a": "1", "b": "2"}).items() if n not in "ab"}})),
    "in two places": lambda: evolve(call(by_vonage(SMS)), query={"text": "other"}),
    "a list": lambda: call([1]),
    "a list in it": lambda: call({**by_vonage(SMS), "text": ["other"]}),
    "no JSON": lambda: call(b"{"),
    "no UTF-8": lambda: as_bytes("%ff\udcff"),
    "fields without end": lambda: as_bytes("&".join(f"a{n}=1" for n in range(201))),
    "nothing": lambda: call(b""),
}  # fmt: skip


def as_bytes(form: str) -> Request:
    return call(form.encode("utf-8", "surrogateescape"), media_type="application/x-www-form-urlencoded")


@pytest.mark.parametrize("forge", FORGED_SMS.values(), ids=FORGED_SMS)
def test_a_call_of_the_sms_api_is_refused(forge: Any) -> None:
    check_parameters(call(by_vonage(SMS)), KEYS)
    with pytest.raises(BadSignature):
        check_parameters(forge(), KEYS)


_NAMES = st.text(st.characters(codec="ascii", exclude_characters="&="), min_size=1, max_size=6)
_WORDS = st.text(st.characters(codec="utf-8"), max_size=12)


@given(st.dictionaries(_NAMES.filter(lambda it: it not in {"sig", "timestamp"}), _WORDS, max_size=5))
def test_we_and_vonages_library_sign_everything_alike(said: dict[str, str]) -> None:
    ours = orjson.loads(sign_parameters(call({**said, "nonce": "n"}), KEYS).body)
    assert ours == by_vonage({**said, "nonce": "n"})


@given(st.binary(max_size=60), st.sampled_from(["application/json", "application/x-www-form-urlencoded", ""]))
def test_nothing_but_a_refusal_comes_of_a_call_that_somebody_makes_up(body: bytes, media_type: str) -> None:
    with pytest.raises(BadSignature):
        check_parameters(call(body, media_type=media_type), KEYS)
