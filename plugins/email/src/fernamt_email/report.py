"""Reports on what became of a mail of ours (RFC 3464), and complaints about one (RFC 5965). Pure."""

from __future__ import annotations

import re
from email.utils import getaddresses
from typing import Final

from attrs import evolve, frozen

from fernamt_email import bounce
from fernamt_email.headers import Headers
from fernamt_email.mime import Part
from fernamt_email.status import enhanced_in

MAX_RECIPIENTS: Final = 100
MAX_RETURNED: Final = 65_536
"""So many bytes of a returned mail are looked at: its header fields stand at its beginning."""

_COMPLAINTS: Final = frozenset({"abuse", "fraud", "opt-out", "opt-out-list", "dmarc", "auth-failure", "other"})


@frozen(kw_only=True)
class Fate:
    """What a report says of one recipient."""

    address: str
    """To whom we sent, if the report still knows it, else whom it reached in the end."""
    action: str
    """failed, delayed, delivered, relayed or expanded; of a complaint: complained."""
    status: str = ""
    """The enhanced status code, ``5.1.1``."""
    said: str = ""
    """What the refusing server said."""


@frozen(kw_only=True)
class Report:
    """A delivery status notification, a complaint, or what a mail server wrote for people instead of one."""

    original_id: str
    """The Message-ID of the mail that it is about; ``""`` if it does not say."""
    fates: tuple[Fate, ...]


@frozen(kw_only=True)
class _Returned:
    """What a report still has of our mail."""

    id: str = ""
    to: str = ""
    """Whom we wrote to, if it was one person: each mail of ours is."""


def report_of(mail: Part) -> Report | None:
    """Return the report that a mail is, or ``None``.

    The standard forms count first. What no standard knows counts if a mail server wrote it, says that it failed or is late,
    and returns a mail: whether that is ours is for the caller to see by its Message-ID.
    """
    parts = [part for part in _walk(mail) if part is not mail]
    returned = _returned(parts)
    if mail.kind == "multipart/report":
        fates = [fate for part in parts for fate in _fates(part)][:MAX_RECIPIENTS]
        if complaint := next((found for part in parts if (found := _complaint(part, returned))), None):
            fates = [complaint]
        if returned.to:  # whoever else is named there got it from them: an alias, a list of theirs
            fates = [evolve(fate, address=returned.to) for fate in fates]
        if fates:
            return Report(original_id=returned.id, fates=tuple(fates))
    return _guessed(mail, parts, returned)


def _guessed(mail: Part, parts: list[Part], returned: _Returned) -> Report | None:
    headers = mail.headers
    if not bounce.is_from_a_server(headers):
        return None
    first = next((part for part in parts or [mail] if part.kind in ("text/plain", "text/html")), None)
    text = _text(first) if first is not None else ""
    told, written = bounce.divided(text)
    if not returned.id:
        returned = _from_fields(written)
    action = bounce.action_of(told, headers)
    address = bounce.recipient_of(told, headers) or returned.to
    if not (action and address and returned.id):
        return None
    said = bounce.said_in(told)
    fate = Fate(address=returned.to or address, action=action, status=enhanced_in(told), said=said)
    return Report(original_id=returned.id, fates=(fate,))


def _fates(part: Part) -> list[Fate]:
    if part.kind not in ("message/delivery-status", "message/global-delivery-status"):
        return []
    found: list[Fate] = []
    for block in part.children:
        fields = block.headers
        address = _typed(fields.text("original-recipient")) or _typed(fields.text("final-recipient"))
        if "@" not in address:
            continue  # the first block speaks of the whole mail
        said = _typed(fields.text("diagnostic-code"))
        found.append(
            Fate(
                address=address,
                action=fields.raw("action").strip().lower().partition(" ")[0],
                status=enhanced_in(fields.raw("status")) or enhanced_in(said),
                said=said[:500],
            )
        )
    return found


def _complaint(part: Part, returned: _Returned) -> Fate | None:
    """Return who complained. Many providers hide it in their report, but leave the mail that they return as it was."""
    if part.kind != "message/feedback-report":
        return None
    fields = next((block.headers for block in part.children), Part(part.content).headers)
    kind = fields.raw("feedback-type").strip().lower()
    if kind not in _COMPLAINTS or kind in ("dmarc", "auth-failure"):
        return None
    return Fate(address=returned.to or _typed(fields.text("original-rcpt-to")), action="complained", said=kind)


def _typed(value: str) -> str:
    """Return what follows the type in ``rfc822; ann@example.org``."""
    kind, semicolon, rest = value.partition(";")
    return (rest if semicolon else kind).strip().strip("<>")


def _returned(parts: list[Part]) -> _Returned:
    """Return what is left of our mail: it, its header fields, or only those that a program thought worth keeping."""
    for part in parts:
        kind = part.kind
        if kind == "message/rfc822" or kind == "message/global":
            for inner in part.children:
                return _named(inner.headers)
        if kind in ("message/rfc822", "text/rfc822-headers", "message/rfc822-headers", "message/global-headers"):
            inner_fields = [inner.headers for inner in part.children]
            return _named(inner_fields[0]) if inner_fields else _from_fields(_text(part))
    return _Returned()


def _named(fields: Headers) -> _Returned:
    to = fields.addresses("to")
    return _Returned(id=next(iter(fields.ids("message-id")), ""), to=to[0][1] if len(to) == 1 else "")


def _from_fields(text: str) -> _Returned:
    found = re.search(r"(?im)^[> ]*message-id:\s*(<[^<>\s]{1,900}>)", text)
    to = re.search(r"(?im)^[> ]*to:[ \t]*(\S[^\r\n]{0,500})", text)
    people = [address for _, address in getaddresses([to[1]]) if "@" in address] if to else []
    return _Returned(id=found[1] if found else "", to=people[0] if len(people) == 1 else "")


def _walk(part: Part, depth: int = 0) -> list[Part]:
    """Return a part and those within it, but nothing of a mail that is within."""
    inner = part.children if part.kind.startswith("multipart/") and depth < 5 else ()
    return [part, *(found for child in inner for found in _walk(child, depth + 1))]


def _text(part: Part) -> str:
    return part.content[:MAX_RETURNED].decode("utf-8", "replace")
