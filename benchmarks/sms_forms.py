"""What the benchmark of SMS sends: forms as Twilio posts them, signed over address and fields, one in six from a known number."""

from __future__ import annotations

import random
from urllib.parse import urlencode

from callers import form_of, signature

PATH = "/in/bench/sms"
PUBLIC_URL = "https://desk.example.org"
TOKEN = "the benchmark's voice secret"  # what callers.signature signs with
ACCOUNT = "AC" + "0123456789abcdef" * 2
US = "+493023125000"
_KNOWN = 1 / 6
_RECENT = 5_000

__all__ = ("ACCOUNT", "PATH", "PUBLIC_URL", "TOKEN", "US", "form_of", "requests", "signature")


def requests(count: int, seed: int) -> list[bytes]:
    """Return *count* whole HTTP requests, made before the clock runs."""
    dice = random.Random(seed)
    wrote: list[str] = []
    made = []
    for _ in range(count):
        if wrote and dice.random() < _KNOWN:
            sender = dice.choice(wrote[-_RECENT:])
        else:
            sender = f"+4915{dice.randrange(10):01d}{dice.randrange(10**8):08d}"
            wrote.append(sender)
        made.append(_request(f"SM{dice.getrandbits(128):032x}", sender))
    return made


def _request(sid: str, sender: str) -> bytes:
    form = [
        ("ToCountry", "DE"),
        ("ToState", ""),
        ("SmsMessageSid", sid),
        ("NumMedia", "0"),
        ("ToCity", "Berlin"),
        ("FromZip", ""),
        ("SmsSid", sid),
        ("FromState", ""),
        ("SmsStatus", "received"),
        ("FromCity", ""),
        ("Body", "Wo ist meine Bestellung? Größe 38, bitte. " * 5),
        ("FromCountry", "DE"),
        ("To", US),
        ("MessagingServiceSid", "MG" + "0" * 32),
        ("ToZip", ""),
        ("NumSegments", "2"),
        ("MessageSid", sid),
        ("AccountSid", ACCOUNT),
        ("From", sender),
        ("ApiVersion", "2010-04-01"),
    ]
    body = urlencode(form)
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n"
        f"User-Agent: TwilioProxy/1.1\r\nI-Twilio-Idempotency-Token: {sid[2:]}\r\n"
        f"X-Twilio-Signature: {signature(PUBLIC_URL + PATH, form)}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()
