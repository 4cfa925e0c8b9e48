"""Whether a signed call is of now: what is older than its time allows was caught on its way, and is sent again by somebody else."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from fernamt import BadSignature

TOLERANCE_S: Final = 300.0
"""So far the provider's clock may be from ours, and so long a call may be under way."""


def check_time(said: str, now: datetime) -> None:
    """Let a time pass, in seconds since 1970, that is within five minutes of *now*; raises ``BadSignature``."""
    # No float() of whatever stands there: nan and inf compare with nothing.
    if not (said.isascii() and said.isdecimal() and len(said) <= 12):
        raise BadSignature("the time of the signature is missing, or none")
    if abs(int(said) - now.timestamp()) > TOLERANCE_S:
        raise BadSignature("the signature is older than five minutes, or our clock is wrong")
