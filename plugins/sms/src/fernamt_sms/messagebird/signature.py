"""How Bird signs its calls, by the specification "Standard Webhooks": an HMAC over an id, the time and the bytes of the body. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import Final

from attrs import evolve, frozen

from fernamt import BadSignature, Request, Secret
from fernamt_sms.fresh import check_time

_ID: Final = "Webhook-Id"
_TIME: Final = "Webhook-Timestamp"
_SIGNATURE: Final = "Webhook-Signature"
_PREFIX: Final = "whsec_"
_VERSION: Final = "v1"
_MOST: Final = 8
"""While a secret is changed, Bird signs with both."""
# With a full stop in it the three signed pieces could be parted elsewhere.
_WORD: Final = re.compile(r"[A-Za-z0-9_\-]{1,128}")


def key_bytes(secret: Secret) -> bytes:
    """Return what a signing secret stands for; raises ``ValueError`` if it is none."""
    found = base64.b64decode(secret.reveal().removeprefix(_PREFIX), validate=True)
    if not found:
        raise ValueError("no signing secret")
    return found


@frozen
class Keys:
    """What a signature may be made with: the endpoint's secret, and while it is changed the next one."""

    secrets: tuple[Secret, ...]


def check(request: Request, keys: Keys) -> None:
    """Let a request of Bird's pass; raises ``BadSignature`` for any other."""
    headers = request.headers
    id_, time = headers.get(_ID, ""), headers.get(_TIME, "")
    if not _WORD.fullmatch(id_):
        raise BadSignature(f"{_ID} is missing, or none")
    check_time(time, request.at)
    # Several, parted by blanks: of any secret, and of versions that may come.
    given = [one.partition(",") for one in headers.get(_SIGNATURE, "").split(" ", _MOST)[:_MOST]]
    fits = False
    for secret in keys.secrets:
        made = _made(request.body, id_, time, secret)
        for version, _, signature in given:
            fits |= version == _VERSION and hmac.compare_digest(made, signature.encode("utf-8", "surrogateescape"))
    if not fits:
        raise BadSignature(f"{_SIGNATURE} fits neither webhook_secret nor new_webhook_secret")


def sign(request: Request, keys: Keys) -> Request:
    """Return *request* as Bird sends it."""
    time, id_ = str(int(request.at.timestamp())), f"evt_{hashlib.sha256(request.body).hexdigest()[:26]}"
    made = " ".join(f"{_VERSION},{_made(request.body, id_, time, secret).decode()}" for secret in keys.secrets)
    return evolve(request, headers={**request.headers, _ID: id_, _TIME: time, _SIGNATURE: made})


def _made(body: bytes, id_: str, time: str, secret: Secret) -> bytes:
    signed = b".".join((id_.encode(), time.encode(), body))
    return base64.b64encode(hmac.digest(key_bytes(secret), signed, "sha256"))
