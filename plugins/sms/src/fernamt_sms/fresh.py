"""Whether a signed call is of now: what is older than its time allows was caught on its way, and is sent again by somebody else."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from fernamt import BadSignature

TOLERANCE_S: Final = 300.0
"""So far the provider's clock may be from ours, and so long a call may be under way."""
DAY_S: Final = 25 * 3600.0
"""For a provider that calls again for a day, perhaps with its first signature: to refuse that would lose what it brings, and a repeat is known
by its id for at least two weeks."""


def check_time(said: str, now: datetime, *, oldest_s: float = TOLERANCE_S) -> None:
    """Let a time pass, in seconds since 1970, that is no older than *oldest_s* and not of the future; raises ``BadSignature``."""
    # No float() of whatever stands there: nan and inf compare with nothing.
    if not (said.isascii() and said.isdecimal() and len(said) <= 12):
        raise BadSignature("the time of the signature is missing, or none")
    age_s = now.timestamp() - int(said)
    if age_s > oldest_s or age_s < -TOLERANCE_S:
        raise BadSignature(f"the signature is older than {oldest_s:g} s, or our clock is wrong")
