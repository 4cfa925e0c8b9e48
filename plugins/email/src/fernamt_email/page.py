"""What we make of a mail: as a page for people, and as an object for programs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from fernamt_email.language import Language
from fernamt_email.parse import Mail

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
)
SHORTEST_FOLD: Final = 4
"""Fewer lines are shown though they may be folded."""

_WORDS: Final[dict[Language, dict[str, str]]] = {
    "en": {
        "from": "From", "to": "To", "subject": "Subject", "date": "Date", "id": "Message-ID", "answers": "Answers",
        "flags": "Flags", "file": "File", "report": "Report", "quote": "[{} quoted lines; --full shows them]",
        "signature": "[{} lines of signature; --full shows them]", "automatic": "automatic",
        "signed": "signed, not verified", "encrypted": "encrypted", "html": "HTML", "nobody": "(no sender)",
        "no_text": "(no text)", "place": "in the page",
    },
    "de": {
        "from": "Von", "to": "An", "subject": "Betreff", "date": "Datum", "id": "Message-ID", "answers": "Antwort auf",
        "flags": "Merkmale", "file": "Datei", "report": "Bericht", "quote": "[{} zitierte Zeilen; --full zeigt sie]",
        "signature": "[{} Zeilen Signatur; --full zeigt sie]", "automatic": "automatisch",
        "signed": "signiert, nicht geprüft", "encrypted": "verschlüsselt", "html": "HTML", "nobody": "(kein Absender)",
        "no_text": "(kein Text)", "place": "im Text",
    },
}  # fmt: skip


def as_object(mail: Mail, source: str) -> dict[str, Any]:
    """Return a mail as values that JSON knows; every key is always there."""
    return {
        "source": source,
        "id": mail.id,
        "sender": mail.sender,
        "sender_name": mail.sender_name,
        "recipients": list(mail.recipients),
        "subject": mail.subject,
        "at": mail.at.isoformat() if mail.at else None,
        "references": list(mail.references),
        "text": mail.body.text,
        "folded": [{"first": one.first, "end": one.end, "kind": one.kind} for one in mail.folded],
        "html": mail.body.html,
        "files": [
            {
                "name": file.name,
                "media_type": file.media_type,
                "size": len(file.data),
                "content_id": file.content_id,
            }
            for file in mail.body.files
        ],
        "automatic": mail.automatic,
        "signed": mail.body.signed,
        "encrypted": mail.body.encrypted,
        "report": [
            {"address": fate.address, "action": fate.action, "status": fate.status, "reason": fate.said}
            for fate in (mail.report.fates if mail.report else ())
        ],
    }


def as_page(mail: Mail, source: str, *, full: bool, language: Language) -> Iterator[str]:
    """Yield the lines of a page; no letter in them steers a terminal."""
    words = _WORDS[language]
    yield f"== {_one_line(source)}"
    sender = f"{mail.sender_name} <{mail.sender}>" if mail.sender_name else mail.sender
    yield _field(words["from"], sender or words["nobody"])
    if mail.recipients:
        yield _field(words["to"], ", ".join(mail.recipients))
    yield _field(words["subject"], mail.subject)
    if mail.at:
        yield _field(words["date"], f"{mail.at:%Y-%m-%d %H:%M:%S} UTC")
    yield _field(words["id"], mail.id)
    if mail.references:
        yield _field(words["answers"], " ".join(mail.references[:3]))
    if flags := _flags(mail, words):
        yield _field(words["flags"], ", ".join(flags))
    for fate in mail.report.fates if mail.report else ():
        yield _field(words["report"], f"{fate.address}  {fate.action}  {fate.status}  {fate.said}")
    for file in mail.body.files:
        place = f"  {words['place']}: {file.content_id}" if file.content_id else ""
        yield _field(words["file"], f"{file.name}  {file.media_type}  {len(file.data)} B{place}")
    yield ""
    text = [harmless(line) for line in _text(mail, words, full=full)]
    while text and not text[-1].strip():
        text.pop()
    yield from text or [words["no_text"]]
    yield ""


def harmless(text: str) -> str:
    """Return *text* without what steers a terminal or turns the direction of writing."""
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text)


def _field(name: str, value: str) -> str:
    return f"{name + ':':<13}{_one_line(value)}"


def _one_line(text: str) -> str:
    return harmless(" ".join(text.split()))


def _flags(mail: Mail, words: dict[str, str]) -> list[str]:
    body = mail.body
    marks = {
        "automatic": mail.automatic,
        "signed": body.signed,
        "encrypted": body.encrypted,
        "html": bool(body.html),
    }
    return [words[name] for name, is_so in marks.items() if is_so]


def _text(mail: Mail, words: dict[str, str], *, full: bool) -> Iterator[str]:
    lines = mail.body.text.split("\n")
    at = 0
    for fold in mail.folded:
        yield from lines[at : fold.first]
        if full or fold.end - fold.first < SHORTEST_FOLD:
            yield from lines[fold.first : fold.end]
        else:
            yield words[fold.kind].format(fold.end - fold.first)
        at = fold.end
    yield from lines[at:]
