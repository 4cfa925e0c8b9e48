"""How Sinch signs its calls: an HMAC over the bytes of the body, a word that is used once, and the time. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import Final

from attrs import evolve, frozen

from fernamt import BadSignature, Request, Secret
from fernamt_sms.fresh import check_time

_SIGNATURE: Final = "X-Sinch-Webhook-Signature"
_NONCE: Final = "X-Sinch-Webhook-Signature-Nonce"
_TIME: Final = "X-Sinch-Webhook-Signature-Timestamp"
_ALGORITHM: Final = "X-Sinch-Webhook-Signature-Algorithm"
_ONLY: Final = "HmacSHA256"
# With a full stop in it the three signed pieces could be parted elsewhere.
_WORD: Final = re.compile(r"[A-Za-z0-9_+/=:\-]{1,128}")


@frozen
class Keys:
    """What a signature may be made with: the secret, and while it is changed the next one."""

    secrets: tuple[Secret, ...]


def check(request: Request, keys: Keys) -> None:
    """Let a request of Sinch's pass; raises ``BadSignature`` for any other."""
    headers = request.headers
    given = headers.get(_SIGNATURE, "").encode("utf-8", "surrogateescape")
    nonce, time = headers.get(_NONCE, ""), headers.get(_TIME, "")
    if headers.get(_ALGORITHM, _ONLY).lower() != _ONLY.lower():
        raise BadSignature(f"{_ALGORITHM} names another one than {_ONLY}")
    if not _WORD.fullmatch(nonce):
        raise BadSignature(f"{_NONCE} is missing, or none: ask Sinch to sign the calls of the service plan (HMAC)")
    check_time(time, request.at)
    fits = False
    for secret in keys.secrets:
        fits |= hmac.compare_digest(_made(request.body, nonce, time, secret), given)
    if not fits:
        raise BadSignature(f"{_SIGNATURE} fits no secret of ours")


def sign(request: Request, keys: Keys) -> Request:
    """Return *request* as Sinch sends it."""
    time, nonce = str(int(request.at.timestamp())), hashlib.sha256(request.body).hexdigest()[:26]
    made = _made(request.body, nonce, time, keys.secrets[0]).decode()
    headers = {_SIGNATURE: made, _NONCE: nonce, _TIME: time, _ALGORITHM: _ONLY}
    return evolve(request, headers={**request.headers, **headers})


def _made(body: bytes, nonce: str, time: str, secret: Secret) -> bytes:
    signed = b".".join((body, nonce.encode(), time.encode()))
    return base64.b64encode(hmac.digest(secret.reveal().encode(), signed, "sha256"))
