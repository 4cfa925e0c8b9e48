"""Reports on what became of a mail of ours (RFC 3464). Pure."""

from __future__ import annotations

import re

from attrs import frozen

from fernamt_email.mime import Part

_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_MAX_RECIPIENTS = 100


@frozen(kw_only=True)
class Fate:
    """What a report says of one recipient."""

    address: str
    """To whom we sent, if the report still knows it, else whom it reached in the end."""
    action: str
    """failed, delayed, delivered, relayed or expanded."""
    status: str
    """The enhanced status code, ``5.1.1``."""
    reason: str
    """What the refusing server said, for people."""


@frozen(kw_only=True)
class Report:
    """A delivery status notification."""

    original_id: str
    """The Message-ID of the mail that it is about; ``""`` if it does not say."""
    fates: tuple[Fate, ...]


def report_of(mail: Part) -> Report | None:
    """Return the report that a mail is, or ``None``: only multipart/report with a message/delivery-status part is one."""
    if mail.kind != "multipart/report":
        return None
    fates: list[Fate] = []
    original_id = ""
    for part in mail.children:
        kind = part.kind
        if kind in ("message/delivery-status", "message/global-delivery-status"):
            fates += _fates(part)
        elif kind.startswith(("message/", "text/rfc822-headers")):
            original_id = original_id or _returned_id(part)
    return Report(original_id=original_id, fates=tuple(fates[:_MAX_RECIPIENTS])) if fates else None


def _fates(part: Part) -> list[Fate]:
    found: list[Fate] = []
    for block in part.children:
        fields = block.headers
        address = _typed(fields.text("original-recipient")) or _typed(fields.text("final-recipient"))
        if "@" not in address:
            continue  # the first block speaks of the whole mail
        said = _typed(fields.text("diagnostic-code"))
        status = _STATUS.search(fields.raw("status")) or _STATUS.search(said)
        found.append(
            Fate(
                address=address,
                action=fields.raw("action").strip().lower(),
                status=status[0] if status else "",
                reason=said[:500] or "the mail could not be delivered",
            )
        )
    return found


def _typed(value: str) -> str:
    """Return what follows the type in ``rfc822; ann@example.org``."""
    kind, semicolon, rest = value.partition(";")
    return (rest if semicolon else kind).strip().strip("<>")


def _returned_id(part: Part) -> str:
    """Return the Message-ID of the returned mail, or of its returned header fields."""
    for inner in part.children:
        return next(iter(inner.headers.ids("message-id")), "")
    text = part.content.decode("utf-8", "replace")
    found = re.search(r"(?im)^message-id:\s*(<[^<>\s]{1,900}>)", text)
    return found[1] if found else ""
