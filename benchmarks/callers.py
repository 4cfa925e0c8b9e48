"""What the benchmark of turns sends: telephone calls as a provider of TwiML tells them, each request signed over address and form."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
from urllib.parse import parse_qsl, urlencode

SECRET = b"the benchmark's voice secret"
PATH = "/in/bench/voice"
PUBLIC_URL = "https://calls.example.org"
STEPS = 6
"""Requests of one call: it begins, keys are pressed four times, and it is over."""
_AT_ONCE = 512
"""So many calls are under way: the next request of a call is far behind its last one."""


def signature(url: str, form: list[tuple[str, str]]) -> str:
    """Return what ``X-Signature`` carries: over the address and the sorted form."""
    signed = url + "".join(name + value for name, value in sorted(form))
    return base64.b64encode(hmac.new(SECRET, signed.encode(), hashlib.sha1).digest()).decode()


def form_of(body: bytes) -> list[tuple[str, str]]:
    """Read a form."""
    return parse_qsl(body.decode(), keep_blank_values=True)


def verified(given: str, url: str, form: list[tuple[str, str]]) -> bool:
    """Say whether the signature fits, in constant time."""
    return hmac.compare_digest(given.encode(), signature(url, form).encode())


def calls(count: int, seed: int) -> list[bytes]:
    """Return *count* whole HTTP requests, made before the clock runs."""
    dice = random.Random(seed)
    made: list[bytes] = []
    while len(made) < count:
        block = [(f"CA{dice.getrandbits(128):032x}", f"+4930{dice.randrange(10**8):08d}") for _ in range(_AT_ONCE)]
        for step in range(STEPS):
            made += [_request(call, caller, step, dice) for call, caller in block]
    return made[:count]


def _request(call: str, caller: str, step: int, dice: random.Random) -> bytes:
    form = [("CallSid", call), ("From", caller), ("To", "+4930999"), ("CallStatus", "in-progress"), ("ApiVersion", "1")]
    if step == STEPS - 1:
        form[3] = ("CallStatus", "completed")
    elif step:
        form.append(("Digits", str(dice.randrange(1, 4))))
    path = f"{PATH}?turn={step}"
    body = urlencode(form)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"X-Signature: {signature(PUBLIC_URL + path, form)}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()
