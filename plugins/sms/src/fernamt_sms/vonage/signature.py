"""How Vonage signs its calls: an HMAC over all fields, a time among them (``sig``). Pure."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlencode

import orjson
from attrs import evolve

from fernamt import BadSignature, Request
from fernamt_sms.vonage.settings import VonageSettings

OLDEST_S: Final = 25 * 3600.0
"""Vonage calls again for a day. Whether it signs anew is not said; so an old call passes, and is known by its id."""

_MAX_FIELDS: Final = 100
_FORM: Final = "application/x-www-form-urlencoded"


def fields_of(request: Request) -> dict[str, str]:
    """Return the fields of a call, which may come as a query, a form or JSON; raises ``ValueError`` if it is none of these."""
    if not request.body:
        return dict(request.query)
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        said = orjson.loads(request.body)
        if not isinstance(said, Mapping) or len(said) > _MAX_FIELDS:
            raise ValueError("the JSON is no object, or a large one")
        return {name: value if isinstance(value, str) else orjson.dumps(value).decode() for name, value in said.items()}
    if kind != _FORM:
        raise ValueError("the body is neither a form nor JSON")
    return dict(parse_qsl(request.body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS))


def check(request: Request, settings: VonageSettings) -> None:
    """Let a call of Vonage's pass; raises ``BadSignature`` for any other, and for one that is more than a day old."""
    try:
        fields = fields_of(request)
    except ValueError as why:
        raise BadSignature(f"nothing signs the call: {why}") from None
    given = fields.pop("sig", "").lower().encode("utf-8", "surrogateescape")
    if not hmac.compare_digest(signature(fields, settings), given):
        raise BadSignature("sig does not fit the fields")
    at = fields.get("timestamp", "")
    if not at.isascii() or not at.isdecimal() or abs(float(at[:15]) - request.at.timestamp()) > OLDEST_S:
        raise BadSignature("the call is too old, or from the future")


def signature(fields: Mapping[str, str], settings: VonageSettings) -> bytes:
    """Return what ``sig`` has to be."""
    signed = "".join(f"&{name}={_harmless(fields[name])}" for name in sorted(fields))
    key = settings.signature_secret.reveal().encode()
    return hmac.digest(key, signed.encode("utf-8", "surrogateescape"), settings.signature_method).hex().encode()


def _harmless(value: str) -> str:
    return value.replace("&", "_").replace("=", "_")


def sign(request: Request, settings: VonageSettings) -> Request:
    """Return *request* as Vonage sends it, at its time."""
    fields = fields_of(request) | {"timestamp": str(int(request.at.timestamp()))}
    fields.pop("sig", None)
    fields["sig"] = signature(fields, settings).decode()
    if not request.body:
        place = request.url.partition("?")[0]
        return evolve(request, query=fields, url=f"{place}?{urlencode(fields)}")
    if request.headers.get("Content-Type", "").startswith("application/json"):
        return evolve(request, body=orjson.dumps(fields))
    return evolve(request, body=urlencode(fields).encode())
