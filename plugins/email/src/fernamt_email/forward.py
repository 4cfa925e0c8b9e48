"""Mails that an agent passed on: whoever wrote the original is the customer. Pure."""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

from fernamt_email.sender import Sender

MAX_TEXT: Final = 65_536
"""So many characters of a text are looked at."""

_PREFIX: Final = re.compile(
    r"(?i)\s*(?:fwd?|wg|wtr|tr|rv|i|enc|doorst|vl|vb|vs|pd|továbbítás)\s*:\s*",
)
_SEPARATOR: Final = re.compile(
    r"(?im)^[> ]{0,4}(?:-{2,20} ?(?:forwarded message|weitergeleitete nachricht|forwarded by|message transféré|mensaje reenviado).{0,80}"
    r"|begin forwarded message:|anfang der weitergeleiteten (?:nachricht|e-mail):)\s*$"
)
_FROM: Final = re.compile(
    r"(?im)^[> ]{0,4}\*{0,2}(?:from|von|de|da|van|od|från|fra|expéditeur) ?:\*{0,2}[ \t]{0,4}(\S.{0,500})$"
)
_ADDRESS: Final = re.compile(r"(?:mailto:)?([^\s<>()\[\],;:\"@]{1,255}@[^\s<>()\[\],;:\"@]{1,255})", re.IGNORECASE)


@frozen
class Forwarded:
    """Who wrote the mail that was passed on, and what it was called."""

    name: str
    address: str
    subject: str


def enclosed(subject: str, sender: Sender | None) -> Forwarded | None:
    """Return who wrote the mail that is passed on as a file, by the *sender* that it names."""
    if sender is None or not sender.address:
        return None
    prefix = _PREFIX.match(subject)
    return Forwarded(sender.name, sender.address, subject[prefix.end() :] if prefix else subject)


def forwarded(subject: str, text: str) -> Forwarded | None:
    """Return who wrote what is passed on within a mail's text; ``None``: it passes nothing on, or does not say from whom."""
    looked_at = text[:MAX_TEXT]
    prefix, separator = _PREFIX.match(subject), _SEPARATOR.search(looked_at)
    if prefix is None and separator is None:
        return None
    line = _FROM.search(looked_at, separator.end() if separator else 0)
    found = _ADDRESS.search(line[1]) if line else None
    if line is None or found is None:
        return None
    name = line[1][: found.start()].strip(" \t\"'<[*")
    return Forwarded(name, found[1].rstrip("*.]>"), subject[prefix.end() :] if prefix else subject)
