"""What goes wrong between us and any provider that answers in HTTP's own words, and what has to follow from it."""

from __future__ import annotations

from typing import Final

from fernamt import NeedsLogin, Rejected, Throttled, Unreachable
from fernamt.testing import ProviderFault

FAULTS: Final[dict[str, tuple[ProviderFault, type[Exception], bool | None]]] = {
    "too fast": (ProviderFault.throttled(after_s=7), Throttled, None),
    "an old login": (ProviderFault.expired_login(), NeedsLogin, None),
    "no money": (ProviderFault.refused(402), NeedsLogin, None),
    "refused": (ProviderFault.refused(400), Rejected, None),
    "not done in time": (ProviderFault.refused(408), Unreachable, False),
    "failed": (ProviderFault.failed(503), Unreachable, False),
    "moved": (ProviderFault(acts=False, status=302, body=b""), Unreachable, False),
    "a lost answer": (ProviderFault.lost_answer(), Unreachable, False),
    "a lost question": (ProviderFault.lost_question(), Unreachable, False),
    "an answer cut short": (ProviderFault.cut_short(), Unreachable, False),
    "a page for people": (ProviderFault.html(), Unreachable, False),
    "an answer without an id": (ProviderFault(body=b"{}"), Unreachable, False),
    "an answer that is no object": (ProviderFault(body=b"[]"), Unreachable, False),
    "an empty answer": (ProviderFault(body=b""), Unreachable, False),
}
"""The fault, the error, and of ``Unreachable`` whether it is certain."""
