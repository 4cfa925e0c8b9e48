"""How IMAP servers say no (RFC 3501, RFC 5530), as the library hands it on. Pure."""

from __future__ import annotations

import re
from typing import Final

_TEMPORARY: Final = ("[UNAVAILABLE]", "[SERVERBUG]", "[OVERQUOTA]")
_TOO_MUCH: Final = re.compile(
    r"\[(?:LIMIT|INUSE|THROTTLED)\]|too many (?:simultaneous |concurrent )?(?:imap )?connections"
    r"|maximum number of connections|connection limit|bandwidth limit|rate limit|throttl|request is throttled"
    r"|temporarily (?:locked|blocked|suspended|unavailable)|system busy|server busy|try again (?:later|in)",
    re.IGNORECASE,
)
_WRAPPED: Final = re.compile(r"""\bb(['"])(.*)\1$""", re.DOTALL)
_CREDENTIALS: Final = re.compile(r"\b(XOAUTH2|OAUTHBEARER|PLAIN) +[A-Za-z0-9+/=]{8,}")
MAX_SAID: Final = 500


def said(why: BaseException) -> str:
    """Return the words of an error; the libraries wrap those of the server as the text of a bytes literal."""
    text = str(why)
    wrapped = _WRAPPED.search(text)
    return (text[: wrapped.start()] + wrapped[2] if wrapped else text)[:MAX_SAID] or type(why).__name__


def without_secret(words: str, secret: str) -> str:
    """Return what a server said without what we logged in with: some repeat the whole command that they do not like."""
    words = _CREDENTIALS.sub(r"\1 ***", words)
    return words.replace(secret, "***") if secret else words


def is_too_much(words: str) -> bool:
    """Return whether the server says that we ask too much of it, within a command, a login or a goodbye."""
    return _TOO_MUCH.search(words) is not None


def is_temporary(words: str) -> bool:
    """Return whether a login failed although the password may be right."""
    return any(code in words.upper() for code in _TEMPORARY)
