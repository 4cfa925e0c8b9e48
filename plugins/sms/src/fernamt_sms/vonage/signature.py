"""How Vonage signs its calls: a token with the body's hash (Messages API), or a parameter over all others (SMS API). Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import parse_qsl

import jwt
import orjson
from attrs import evolve, frozen

from fernamt import BadSignature, Request, Secret
from fernamt_sms.fresh import DAY_S, check_time

Method: TypeAlias = Literal["md5hash", "md5", "sha1", "sha256", "sha512"]
_MAX_FIELDS: Final = 200
_MAX_TOKEN: Final = 4_096
_BEARER: Final = "Bearer "
# We look at the times ourselves: by the clock of the request, and with a tolerance.
_OPTIONS: Final[Any] = {
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "verify_aud": False,
    "require": ["iat", "payload_hash"],
}


@frozen
class Keys:
    """What a signature may be made with."""

    secrets: tuple[Secret, ...]
    """The account's, and while it is changed the next one."""
    method: Method = "sha256"
    """Of the SMS API."""


# ---- the Messages API
def check_token(request: Request, keys: Keys) -> None:
    """Let a call of the Messages API pass; raises ``BadSignature`` for any other."""
    given = request.headers.get("Authorization", "")
    if not given.startswith(_BEARER) or len(given) > _MAX_TOKEN:
        raise BadSignature("there is no token in Authorization: switch on signed webhooks at Vonage")
    claims = _claims(given.removeprefix(_BEARER), keys)
    found = hashlib.sha256(request.body).hexdigest()
    said = claims["payload_hash"]
    if not isinstance(said, str) or not hmac.compare_digest(found.encode(), _bytes(said.lower())):
        raise BadSignature("the token is of another body")
    made = claims["iat"]
    check_time(str(made) if isinstance(made, int) and not isinstance(made, bool) else "", request.at, oldest_s=DAY_S)


def sign_token(request: Request, keys: Keys) -> Request:
    """Return *request* as the Messages API sends it."""
    claims = {
        "iat": int(request.at.timestamp()),
        "jti": hashlib.sha256(request.body).hexdigest()[:32],
        "iss": "Vonage",
        "payload_hash": hashlib.sha256(request.body).hexdigest(),
    }
    token = jwt.encode(claims, keys.secrets[0].reveal(), algorithm="HS256")
    return evolve(request, headers={**request.headers, "Authorization": f"{_BEARER}{token}"})


def _claims(token: str, keys: Keys) -> Mapping[str, Any]:
    for secret in keys.secrets:
        try:
            claims: Mapping[str, Any] = jwt.decode(token, secret.reveal(), algorithms=["HS256"], options=_OPTIONS)
        except jwt.InvalidSignatureError:
            continue
        except (jwt.InvalidTokenError, ValueError, TypeError, RecursionError) as why:
            raise BadSignature(f"the token in Authorization is none: {type(why).__name__}") from None
        return claims
    raise BadSignature("the token fits no signature secret of ours")


# ---- the SMS API
def parameters(request: Request) -> Mapping[str, str]:
    """Return what a call of the SMS API says: in its query, as a form, or as JSON, whichever the account is set to.

    Raises:
        ValueError: It says a thing twice or in two places, or not in texts: such a call could mean something else to whoever
            signed it.
    """
    said = _fields(request)
    if request.body and request.query:
        raise ValueError("it says something in its body and in its address")
    names = [name for name, _ in said]
    if len({*names}) < len(names) or any("&" in name or "=" in name for name in names):
        raise ValueError("it says a thing twice")
    return dict(said)


def _fields(request: Request) -> list[tuple[str, str]]:
    if not request.body:
        return [*request.query.items()]
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
        return parse_qsl(request.body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    said = orjson.loads(request.body)
    if not isinstance(said, dict) or len(said) > _MAX_FIELDS:
        raise ValueError("its JSON is no object")
    if not all(isinstance(value, str | int) for value in said.values()):
        raise ValueError("its JSON holds something else than texts")
    return [(name, value if isinstance(value, str) else orjson.dumps(value).decode()) for name, value in said.items()]


def check_parameters(request: Request, keys: Keys) -> None:
    """Let a call of the SMS API pass; raises ``BadSignature`` for any other."""
    try:
        said = parameters(request)
    except ValueError as why:
        raise BadSignature(f"nothing signs the call: {type(why).__name__}") from None
    given, fits = _bytes(said.get("sig", "").lower()), False
    for secret in keys.secrets:
        fits |= hmac.compare_digest(_signature(said, secret, keys.method).encode(), given)
    if not fits:
        raise BadSignature("sig fits no signature secret of ours: see signature_method, and ask Vonage to sign calls")
    check_time(said.get("timestamp", ""), request.at, oldest_s=DAY_S)


def sign_parameters(request: Request, keys: Keys) -> Request:
    """Return *request* as the SMS API sends it: in JSON."""
    said = {**parameters(request), "timestamp": str(int(request.at.timestamp()))}
    said["sig"] = _signature(said, keys.secrets[0], keys.method)
    headers = {**request.headers, "Content-Type": "application/json"}
    return evolve(request, body=orjson.dumps(said), headers=headers, query={}, url=request.url.partition("?")[0])


def _signature(said: Mapping[str, str], secret: Secret, method: Method) -> str:
    signed = "".join(
        f"&{name}={value.replace('&', '_').replace('=', '_')}" for name, value in sorted(said.items()) if name != "sig"
    )
    content, key = _bytes(signed), secret.reveal().encode()
    if method == "md5hash":
        return hashlib.md5(content + key, usedforsecurity=False).hexdigest()
    return hmac.digest(key, content, method).hex()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
