"""How Twilio signs its calls (X-Twilio-Signature): over our public address and what a form holds. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias
from urllib.parse import parse_qs, parse_qsl, urlsplit

from attrs import evolve, frozen

from fernamt import BadSignature, Request, Secret

OVERRIDES: Final = "#rc=5&rp=all"
"""Asks Twilio to call up to five times more, whatever went wrong; without it a 500 of ours loses the call."""

_HEADER: Final = "X-Twilio-Signature"
_SETTINGS: Final = "X-Twilio-Webhooks-Signature-Settings"
_ALGORITHMS: Final = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}
_FORM: Final = "application/x-www-form-urlencoded"
_MAX_FIELDS: Final = 500
_PORTS: Final = {"https": 443, "http": 80}


@frozen
class Keys:
    """What a signature may be made with."""

    tokens: tuple[Secret, ...]
    """The account's token, and while it is changed the next one."""
    shared: Secret | None = None
    """The key of a webhook rule."""


Fields: TypeAlias = Sequence[tuple[str, str]]


def fields_of(media_type: str, body: bytes) -> Fields:
    """Return what a form holds; raises ``ValueError`` if it is none, or has more than 500 fields."""
    if not body:
        return ()
    if media_type.partition(";")[0].strip().lower() != _FORM:
        raise ValueError("the body is no form")
    return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS)


def check(request: Request, keys: Keys, *, read: Callable[[str, bytes], Fields] = fields_of) -> None:
    """Let a request of Twilio's pass; raises ``BadSignature`` for any other. *read* is :func:`fields_of`, perhaps remembered."""
    given = request.headers.get(_HEADER, "").encode("utf-8", "surrogateescape")
    signed = _signed(request, read)
    for key, algorithm in _secrets(request.headers, keys):
        for url in _addresses(request.url):
            if hmac.compare_digest(_signature(url + signed, key, algorithm), given):
                return
    raise BadSignature(f"{_HEADER} fits neither the token nor the address")


def sign(request: Request, keys: Keys) -> Request:
    """Return *request* as Twilio sends it."""
    made = _signature(request.url + _signed(request, fields_of), keys.tokens[0], "sha1")
    return evolve(request, headers={**request.headers, _HEADER: made.decode()})


def _signed(request: Request, read: Callable[[str, bytes], Fields]) -> str:
    """Return what is signed behind the address: every field of the form, or nothing if the address holds the body's hash."""
    hashes = parse_qs(urlsplit(request.url).query).get("bodySHA256", []) if "bodySHA256" in request.url else []
    if hashes:
        found = hashlib.sha256(request.body).hexdigest().encode()
        if len(hashes) > 1 or not hmac.compare_digest(found, hashes[0].lower().encode("utf-8", "surrogateescape")):
            raise BadSignature("bodySHA256 does not fit the body")
        return ""
    try:
        fields = read(request.headers.get("Content-Type", ""), request.body)
    except ValueError as why:
        raise BadSignature(f"nothing signs the body: {why}") from None
    return "".join(name + value for name, value in sorted(set(fields)))


def _secrets(headers: Mapping[str, str], keys: Keys) -> Iterator[tuple[Secret, str]]:
    settings = headers.get(_SETTINGS, "")
    if not settings:
        yield from ((token, "sha1") for token in keys.tokens)
        return
    said = dict(part.strip().partition("=")[::2] for part in settings.split(","))
    algorithm = _ALGORITHMS.get(said.get("algorithm", "HMAC_SHA1").upper())
    if keys.shared is None or algorithm is None:
        raise BadSignature("it is signed with the key of a webhook rule: set webhook_key")
    yield keys.shared, algorithm


def _addresses(url: str) -> Iterator[str]:
    """Yield the forms in which Twilio may have signed our address: with and without the port, and with the overrides."""
    yield url
    yield url + OVERRIDES
    split = urlsplit(url)
    host = split.netloc.removesuffix(f":{split.port}") if split.port else split.netloc
    for netloc in sorted({host, f"{host}:{split.port or _PORTS.get(split.scheme, 443)}"} - {split.netloc}):
        form = split._replace(netloc=netloc).geturl()
        yield form
        yield form + OVERRIDES


def _signature(signed: str, key: Secret, algorithm: str) -> bytes:
    return base64.b64encode(hmac.digest(key.reveal().encode(), signed.encode("utf-8", "surrogateescape"), algorithm))
