"""Mails that an agent passed on: whoever wrote the original is the customer. Pure."""

from __future__ import annotations

import re
from typing import Final

from attrs import field, frozen

from fernamt_email.quote_words import FORWARDED, FORWARDING_SUBJECT, HEADER_KEYS
from fernamt_email.sender import Sender

MAX_TEXT: Final = 65_536
"""So many characters of a text are looked at."""

_FIELD: Final = re.compile(r"[> *]{0,6}([^\W\d_][^:\n]{0,39}?)[ *]{0,3}[:\uff1a]\*{0,2}[ \t]{0,4}(\S.{0,500})")
_ADDRESS: Final = re.compile(r"(?:mailto:)?([^\s<>()\[\],;:\"@]{1,255}@[^\s<>()\[\],;:\"@]{1,255})", re.IGNORECASE)


@frozen
class Forwarded:
    """Who wrote the mail that was passed on, and what it was called."""

    name: str = field(repr=False)
    address: str
    subject: str = field(repr=False)


def enclosed(subject: str, sender: Sender | None) -> Forwarded | None:
    """Return who wrote the mail that is passed on as a file, by the *sender* that it names."""
    if sender is None or not sender.address:
        return None
    return Forwarded(sender.name, sender.address, _bare(subject))


def forwarded(subject: str, text: str) -> Forwarded | None:
    """Return who wrote what is passed on within a mail's text; ``None``: it passes nothing on, or does not say from whom."""
    lines = text[:MAX_TEXT].split("\n")
    prefix = FORWARDING_SUBJECT.match(subject)
    begin = next((n + 1 for n, line in enumerate(lines) if FORWARDED.match(line[:200].lstrip("> "))), None)
    if prefix is None and begin is None:
        return None
    written = next(filter(None, map(_written_by, lines[begin or 0 :])), "")
    found = _ADDRESS.search(written)
    if found is None:
        return None
    name = written[: found.start()].strip(" \t\"'<[*")
    return Forwarded(name, found[1].rstrip("*.]>"), _bare(subject))


def _written_by(line: str) -> str:
    """Return what a line names as the writer, ``""`` if it is no such line."""
    found = _FIELD.match(line)
    return found[2] if found and HEADER_KEYS.get(found[1].strip().lower()) == "from" else ""


def _bare(subject: str) -> str:
    prefix = FORWARDING_SUBJECT.match(subject)
    return subject[prefix.end() :].lstrip() if prefix else subject
