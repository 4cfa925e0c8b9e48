"""What the servers on our side say of a mail: spam, and whether its sender is who he says he is (RFC 8601). Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final

SPAM: Final = "spam"
FORGED: Final = "dmarc=fail"
"""The domain says that mails of its own are signed, and this one is not."""
TOO_LARGE: Final = "too large"
_HEAD_BYTES: Final = 262_144
_JUNK: Final = frozenset({b"$junk", b"junk", b"\\junk"})
_METHODS: Final = ("dmarc", "dkim", "spf")
_FIELD: Final = re.compile(
    rb"^(authentication-results|x-spam-flag|received):[ \t]*([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)",
    re.IGNORECASE | re.MULTILINE,
)
_RESULT: Final = re.compile(r"\s*([a-z0-9-]{1,32})\s*(?:/\s*\d+\s*)?=\s*([a-z]{1,32})", re.IGNORECASE)
_QUOTED_OR_COMMENT: Final = re.compile(r'"(?:\\.|[^"\\])*"|\\.|[()]')
_SERVER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,250}")


def is_junk(flags: Collection[bytes]) -> bool:
    """Return whether the IMAP flags of a mail call it junk."""
    lower = {flag.lower() for flag in flags}
    return not lower.isdisjoint(_JUNK) and b"$notjunk" not in lower


def marks_of(mail: bytes, authserv_id: str) -> tuple[str, ...]:
    """Return the marks in the head of a mail.

    Results of authentication count only if a field of the server *authserv_id* gives them, the topmost one for each method:
    anybody can write such a field, and our own server puts its one above. Without *authserv_id* none counts.
    """
    spam = any(name == b"x-spam-flag" and value[:3].lower() == b"yes" for name, value in _fields(mail))
    results = _results(mail, authserv_id.lower()) if authserv_id else {}
    return (*([SPAM] if spam else []), *(f"{method}={results[method]}" for method in _METHODS if method in results))


def without_proof(marks: tuple[str, ...]) -> tuple[str, ...]:
    """Return the marks of a mail that is shown as written by somebody whom From does not name.

    What was checked, and passed, is From's domain: beside another name it would be a proof that nobody gave.
    """
    return tuple(mark for mark in marks if not mark.endswith("=pass"))


def topmost_server(mail: bytes) -> str:
    """Return who wrote the topmost field of results, ``""`` if there is none. Only of a mail of our own it says something."""
    for name, value in _fields(mail):
        if name == b"authentication-results":
            found = _SERVER.match(_plain(value).partition(";")[0].strip())
            return found[0] if found else ""
    return ""


def _results(mail: bytes, ours: str) -> dict[str, str]:
    found: dict[str, str] = {}
    begun = False
    for name, value in _fields(mail):
        if name == b"received" and begun:
            break  # what stands below came with the mail
        if name != b"authentication-results":
            continue
        server, _, rest = _plain(value).partition(";")
        if server.strip().partition(" ")[0].lower() != ours:
            continue
        begun = True
        here: dict[str, str] = {}
        for part in rest.split(";"):
            if (result := _RESULT.match(part)) and (method := result[1].lower()) in _METHODS:
                outcome = result[2].lower()
                if method not in here or outcome == "pass":  # of several signatures one that holds is enough
                    here[method] = outcome
        found = {**here, **found}
    return found


def _fields(mail: bytes) -> Iterator[tuple[bytes, bytes]]:
    end = min((at for at in (mail.find(b"\r\n\r\n"), mail.find(b"\n\n")) if at >= 0), default=len(mail))
    for found in _FIELD.finditer(mail, 0, min(end, _HEAD_BYTES)):
        yield found[1].lower(), found[2]


def _plain(value: bytes) -> str:
    """Return a field's value on one line and without comments, which may be nested and hold anything."""
    text = " ".join(value.decode("ascii", "replace").split())
    out: list[str] = []
    depth = at = 0
    for token in _QUOTED_OR_COMMENT.finditer(text):
        if depth == 0:
            out.append(text[at : token.start()])
            out.append(" " if token[0] == "(" else "" if token[0] == ")" else token[0].replace(";", " "))
        depth = max(0, depth + (token[0] == "(") - (token[0] == ")"))
        at = token.end()
    if depth == 0:
        out.append(text[at:])
    return "".join(out)
