"""Which mails were written by a machine, so that no machine of ours answers them. Pure."""

from __future__ import annotations

import re
from typing import Final

from fernamt_email.headers import Headers

_SUPPRESS: Final = frozenset({"all", "oof", "autoreply", "dr", "rn", "nrn"})
_PRECEDENCE: Final = frozenset({"bulk", "list", "junk", "auto_reply"})
_TELLING: Final = (
    "list-id",
    "list-unsubscribe",
    "list-post",
    "x-autoreply",
    "x-autorespond",
    "x-auto-reply-from",
    "x-loop",
    "x-ms-exchange-inbox-rules-loop",
    "feedback-type",
)
"""Fields that only machines write."""
_MACHINES: Final = frozenset({"mailer-daemon", "postmaster"})


def is_automatic(headers: Headers, sender: str) -> bool:
    """Return whether the mail with these header fields came from a machine: an out-of-office note, a list, a bounce.

    The first sign is the standard one (RFC 3834, 5), the others are what mailers write beside it or instead of it.
    """
    submitted = _first_word(headers.raw("auto-submitted"))
    suppressed = set(re.split(r"[\s,]+", headers.raw("x-auto-response-suppress").lower()))
    return (
        submitted not in ("", "no")
        or _first_word(headers.raw("precedence")) in _PRECEDENCE
        or not suppressed.isdisjoint(_SUPPRESS)
        or any(headers.has(name) for name in _TELLING)
        or headers.raw("return-path") == "<>"
        or headers.raw("content-type").lower().startswith("multipart/report")
        or sender.partition("@")[0].lower() in _MACHINES
    )


def _first_word(value: str) -> str:
    return re.split(r"[\s;(,]", value.strip().lower(), maxsplit=1)[0]
