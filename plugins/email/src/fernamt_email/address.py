"""Mail addresses: their one spelling, and what is one at all."""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from typing import Final

from fernamt import Address

SCHEME: Final = "email"

_ATOM: Final = r"[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]+"
MAILBOX: Final = re.compile(rf"({_ATOM})@({_ATOM})")
"""What we write into mails and take from settings: a local part without quotes, and a domain."""


def normalised(address: str) -> str:
    """Return the one spelling under which the core knows a mail address: small letters, the domain in ASCII."""
    local, _, domain = unicodedata.normalize("NFC", address.strip()).lower().rpartition("@")
    domain = domain.rstrip(".")
    with suppress(UnicodeError):  # no name that DNS could hold: kept as it was written
        domain = domain.encode("idna").decode("ascii")
    return f"{local}@{domain}"


def person(address: str) -> Address:
    """Return the normalised handle of a mail address."""
    return Address(SCHEME, normalised(address))
