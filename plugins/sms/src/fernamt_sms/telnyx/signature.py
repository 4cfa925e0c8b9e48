"""How Telnyx signs its calls: with a key of its own (Ed25519), over the time and the bytes of the body. Pure."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from attrs import frozen
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from fernamt import BadSignature, Request
from fernamt_sms.fresh import check_time

SIGNATURE: Final = "Telnyx-Signature-Ed25519"
TIMESTAMP: Final = "Telnyx-Timestamp"
_SIGNATURE_BYTES: Final = 64


@frozen
class Keys:
    """What a signature may fit: the account's public key, and while it is changed the next one."""

    public: tuple[Ed25519PublicKey, ...]

    @classmethod
    def of(cls, *keys: bytes) -> Keys:
        """Return keys of their bytes."""
        return cls(tuple(Ed25519PublicKey.from_public_bytes(one) for one in keys))


def check(request: Request, keys: Keys) -> None:
    """Let a request of Telnyx's pass; raises ``BadSignature`` for any other."""
    time, given = request.headers.get(TIMESTAMP, ""), _decoded(request.headers.get(SIGNATURE, ""))
    # The time is signed as it is written, so it is checked as it is written: digits and nothing else.
    check_time(time, request.at)
    signed = time.encode() + b"|" + request.body
    if not any(_fits(key, given, signed) for key in keys.public):
        raise BadSignature(f"{SIGNATURE} fits neither verify_key nor new_verify_key")


def _decoded(text: str) -> bytes:
    try:
        given = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        given = b""
    if len(given) != _SIGNATURE_BYTES:
        raise BadSignature(f"{SIGNATURE} is missing, or none")
    return given


def _fits(key: Ed25519PublicKey, given: bytes, signed: bytes) -> bool:
    try:
        key.verify(given, signed)
    except InvalidSignature:
        return False
    return True
