"""How a gateway shows that it is the gateway; each secret is compared in constant time. Pure."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Final
from urllib.parse import quote

from attrs import evolve

from fernamt import BadSignature, Request, Secret
from fernamt_sms.http.settings import InboundSettings

_REFUSED: Final = "the call does not show the secret of this channel"


def check(request: Request, inbound: InboundSettings) -> None:
    """Let a call of the gateway pass; raises ``BadSignature`` for any other."""
    given, fits = _given(request, inbound), False
    for secret in (inbound.auth_secret, inbound.new_auth_secret):
        if secret is not None:
            fits |= hmac.compare_digest(_expected(request, inbound, secret), given)
    if not fits:
        raise BadSignature(_REFUSED)


def _expected(request: Request, inbound: InboundSettings, key: Secret) -> bytes:
    secret = key.reveal().encode()
    match inbound.auth:
        case "hmac":
            made = hmac.digest(secret, request.body, inbound.algorithm)
            if inbound.encoding == "base64":
                return inbound.prefix.encode() + base64.b64encode(made)
            return f"{inbound.prefix}{made.hex()}".lower().encode()
        case "basic":
            return inbound.auth_user.encode() + b":" + secret
        case _:
            return secret


def _given(request: Request, inbound: InboundSettings) -> bytes:
    match inbound.auth:
        case "path":
            return _bytes(request.path)
        case "query":
            return _bytes(request.query.get(inbound.auth_name, ""))
        case "basic":
            kind, _, login = request.headers.get("Authorization", "").partition(" ")
            try:
                return base64.b64decode(login.strip(), validate=True) if kind.lower() == "basic" else b""
            except (binascii.Error, ValueError):
                return b""
        case _:
            given = request.headers.get(inbound.auth_name, "")
            return _bytes(given.lower() if inbound.auth == "hmac" and inbound.encoding == "hex" else given)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def address(url: str, inbound: InboundSettings | None) -> str:
    """Return an address of ours as the gateway has to call it: with the secret, where that stands in the address."""
    if inbound is None or inbound.auth not in {"path", "query"}:
        return f"{url}?"
    secret = quote((inbound.new_auth_secret or inbound.auth_secret).reveal(), safe="")
    return f"{url}/{secret}?" if inbound.auth == "path" else f"{url}?{quote(inbound.auth_name, safe='')}={secret}&"


def sign(request: Request, inbound: InboundSettings) -> Request:
    """Return *request* as the gateway sends it."""
    expected = _expected(request, inbound, inbound.auth_secret).decode()
    match inbound.auth:
        case "path":
            place, mark, query = request.url.partition("?")
            return evolve(request, path=expected, url=f"{place.rstrip('/')}/{quote(expected, safe='')}{mark}{query}")
        case "query":
            return evolve(request, query={**request.query, inbound.auth_name: expected})
        case "basic":
            login = base64.b64encode(expected.encode()).decode()
            return evolve(request, headers={**request.headers, "Authorization": f"Basic {login}"})
        case _:
            return evolve(request, headers={**request.headers, inbound.auth_name: expected})
