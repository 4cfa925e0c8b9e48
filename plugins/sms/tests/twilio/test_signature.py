"""Which calls are Twilio's: our check beside the validator of Twilio's own library."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from twilio.request_validator import RequestValidator

from fernamt import BadSignature, Request, Secret
from fernamt_sms.twilio.signature import Keys, check, sign

from ..lines import URL
from .fake import TOKEN
from .given import call

KEYS = Keys((Secret(TOKEN),))
THEIRS = RequestValidator(TOKEN)
FORM = {"MessageSid": "SM1", "From": "+4915112345678", "Body": "Größe & Farbe = 🙂", "NumMedia": "0", "ToCity": ""}


def signed(request: Request, signature: str, **more: str) -> Request:
    return evolve(request, headers=CIMultiDict({**request.headers, "X-Twilio-Signature": signature, **more}))


def by_twilio(form: Mapping[str, str], url: str, token: str = TOKEN, algorithm: str | None = None) -> str:
    return str(RequestValidator(token).compute_signature(url, form, algorithm))


@pytest.mark.parametrize(
    "signed_as",
    [f"{URL}sms", "https://desk.example.org:443/in/shop-sms/sms", f"{URL}sms#rc=5&rp=all"],
    ids=["as it is", "with the port", "with the overrides"],
)
def test_what_twilios_library_signs_is_taken(signed_as: str) -> None:
    check(signed(call(FORM), by_twilio(FORM, signed_as)), KEYS)


def test_a_port_in_our_address_may_be_left_out_by_twilio() -> None:
    request = call(FORM, url="https://desk.example.org:8443/in/shop-sms/")
    check(signed(request, by_twilio(FORM, f"{URL}sms")), KEYS)


def test_the_query_is_signed_as_it_was_sent() -> None:
    url = f"{URL}status?key=k1&name={quote('ö & ü')}"
    check(signed(evolve(call(FORM, path="status"), url=url), by_twilio(FORM, url)), KEYS)


def test_while_the_token_is_changed_both_count() -> None:
    both = Keys((Secret("old"), Secret("new")))
    for token in ("old", "new"):
        check(signed(call(FORM), by_twilio(FORM, f"{URL}sms", token)), both)
    with pytest.raises(BadSignature):
        check(signed(call(FORM), by_twilio(FORM, f"{URL}sms", "older")), both)


@pytest.mark.parametrize("algorithm", ["HMAC_SHA1", "HMAC_SHA256"])
def test_the_key_of_a_webhook_rule_counts_where_twilio_names_it(algorithm: str) -> None:
    keys = Keys((Secret(TOKEN),), Secret("shared"))
    said = {"X-Twilio-Webhooks-Signature-Settings": f"key=webhooks_sharedkey_1,algorithm={algorithm}"}
    check(signed(call(FORM), by_twilio(FORM, f"{URL}sms", "shared", algorithm), **said), keys)
    for wrong in (by_twilio(FORM, f"{URL}sms", TOKEN, algorithm), by_twilio(FORM, f"{URL}sms", "other", algorithm)):
        with pytest.raises(BadSignature):
            check(signed(call(FORM), wrong, **said), keys)
    with pytest.raises(BadSignature, match="set webhook_key"):
        check(signed(call(FORM), by_twilio(FORM, f"{URL}sms", "shared", algorithm), **said), KEYS)
    with pytest.raises(BadSignature):  # the name of the key cannot be left out to make the token count
        check(signed(call(FORM), by_twilio(FORM, f"{URL}sms", "shared", algorithm)), keys)


def test_json_is_signed_by_the_hash_of_its_bytes_in_the_address() -> None:
    body = json.dumps({"a": "ö"}).encode()
    query = f"bodySHA256={hashlib.sha256(body).hexdigest()}"
    request = call(body, query=query, headers={"Content-Type": "application/json"})
    request = signed(request, by_twilio({}, request.url))

    check(request, KEYS)
    assert THEIRS.validate(request.url, body.decode(), request.headers["X-Twilio-Signature"])
    with pytest.raises(BadSignature, match="bodySHA256"):
        check(evolve(request, body=body + b" "), KEYS)


FORGED: dict[str, Any] = {
    "no signature": lambda request: evolve(request, headers=CIMultiDict({"Content-Type": "application/x-www-form-urlencoded"})),
    "an empty signature": lambda request: signed(request, ""),
    "a signature of characters that nobody sends": lambda request: signed(request, "ö\udc80"),
    "another body": lambda request: evolve(request, body=request.body + b"&Body=More"),
    "a body without its type": lambda request: evolve(request, headers=CIMultiDict({"X-Twilio-Signature": request.headers["X-Twilio-Signature"]})),
    "another address": lambda request: evolve(request, url=f"{URL}status"),
    "http for https": lambda request: evolve(request, url=request.url.replace("https", "http")),
    "bytes that are no text": lambda request: evolve(request, body=b"\xff=\xff"),
    "fields without end": lambda request: evolve(request, body=b"&".join(b"a=1" for _ in range(501))),
    "a hash beside a form": lambda request: evolve(request, url=f"{request.url}?bodySHA256={hashlib.sha256(request.body).hexdigest()}"),
    "a wrong algorithm": lambda request: signed(request, request.headers["X-Twilio-Signature"], **{"X-Twilio-Webhooks-Signature-Settings": "key=k,algorithm=NONE"}),
}  # fmt: skip


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_what_is_not_twilios_is_refused(forge: Any) -> None:
    good = sign(call(FORM), KEYS)
    check(good, KEYS)
    with pytest.raises(BadSignature):
        check(forge(good), KEYS)


_WORDS = st.text(st.characters(codec="utf-8"), max_size=12)


@given(st.dictionaries(_WORDS, _WORDS, max_size=6))
def test_we_and_twilios_library_sign_every_form_alike(form: dict[str, str]) -> None:
    request = sign(call(form), KEYS)
    signature = request.headers["X-Twilio-Signature"]

    check(request, KEYS)
    assert THEIRS.validate(request.url, form, signature)
    assert signature == by_twilio(form, request.url)


@given(
    st.binary(max_size=60),
    st.text(st.characters(max_codepoint=255), max_size=30),
    st.sampled_from(["form", "json", ""]),
)
def test_nothing_but_a_refusal_comes_of_what_somebody_makes_up(body: bytes, signature: str, kind: str) -> None:
    types = {"form": "application/x-www-form-urlencoded", "json": "application/json"}
    headers = {"X-Twilio-Signature": signature} | ({"Content-Type": types[kind]} if kind else {})
    with pytest.raises(BadSignature):
        check(call(body, headers=headers), KEYS)
