"""A mail as it came, bytes, becomes a value. Pure: the same bytes give the same value, and nothing is looked up."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import Final

from attrs import field, frozen

from fernamt import Lines
from fernamt_email.automatic import Origin
from fernamt_email.body import Body, body_of
from fernamt_email.identity import NO_ID_DOMAIN
from fernamt_email.mime import Part
from fernamt_email.quotes import folded
from fernamt_email.report import Report, report_of
from fernamt_email.sender import Sender, sender_of

MAX_REFERENCES: Final = 50
MAX_SUBJECT: Final = 1_000

_MANY_LINE_ENDS = re.compile(rb"\r{2,}\n")


@frozen(kw_only=True)
class Mail:
    """One mail, as far as it can be read without knowing whose it is."""

    key: str
    """The same on every repeat of this mail, another one for another mail that borrows its Message-ID."""
    id: str
    """``<...>``; for a mail without one made from its content."""
    sender: str
    """``""``: it names none."""
    sender_name: str = field(repr=False)
    sender_named_elsewhere: bool = False
    """By Reply-To for instance, and not by From, which is what servers check."""
    recipients: tuple[str, ...]
    """To and Cc."""
    arrived_for: tuple[str, ...]
    """The addresses that may carry a reply token, the most trustworthy first."""
    references: tuple[str, ...]
    """What it answers, nearest first."""
    subject: str = field(repr=False)
    at: datetime | None
    origin: Origin
    body: Body
    folded: tuple[Lines, ...]
    """Of the body's text: quotes and signatures."""
    report: Report | None
    enclosed: Sender | None = None
    """Who wrote the one mail that it has as a file."""

    @property
    def automatic(self) -> bool:
        return self.origin.is_automatic


def parse(raw: bytes, *, key: str) -> Mail:
    """Read one mail.

    Args:
        raw: The whole mail, with the trace fields that a server put in front.
        key: What :func:`event_key` gave for it.

    Raises:
        Unparsable: It has more parts, or more levels of them, than any mail needs.
    """
    return _mail(Part(_with_lines(raw)), key)


def _with_lines(raw: bytes) -> bytes:
    r"""Return the mail with lines that end in ``\n``: some gateways double the CR, and old ones know nothing else."""
    end = raw.find(b"\n")
    if end < 0:
        return raw.replace(b"\r", b"\n")
    return _MANY_LINE_ENDS.sub(b"\r\n", raw) if raw.startswith(b"\r\r", end - 2) else raw


def event_key(raw: bytes) -> str:
    """Return what is the same on every repeat of a mail.

    With a Message-ID it is made of that, sender, date, subject and content: the trace that servers add on the way differs
    when one mail reaches us by two addresses, and a Message-ID alone is reused by some senders for other mails. Without
    one all bytes count. No limit is needed: this splits off the head and hashes.
    """
    head, _, content = raw.partition(b"\r\n\r\n")
    if not content:
        head, _, content = raw.partition(b"\n\n")
    fields = re.findall(
        rb"^(?:message-id|from|date|subject):[^\n]*(?:\n[ \t][^\n]*)*", head, re.IGNORECASE | re.MULTILINE
    )
    if not any(one[:11].lower() == b"message-id:" for one in fields):
        return hashlib.sha256(raw).hexdigest()
    digest = hashlib.sha256(b"\n".join(fields))
    digest.update(b"\n\n")
    digest.update(content)
    return digest.hexdigest()


def _mail(message: Part, key: str) -> Mail:
    headers = message.headers
    sender = sender_of(headers)
    own_id = next(iter(headers.ids("message-id")), "")
    nearest_first = dict.fromkeys(headers.ids("in-reply-to") + headers.ids("references")[::-1])
    named = [address for _, address in headers.addresses("to", "cc")]
    arrived_for = [address for _, address in headers.addresses("delivered-to", "x-original-to", "envelope-to")]
    report = report_of(message)
    subject = headers.text("subject")[:MAX_SUBJECT]
    body = body_of(message)
    return Mail(
        key=key,
        id=own_id or f"<{key[:32]}@{NO_ID_DOMAIN}>",
        sender=sender.address,
        sender_name=sender.name,
        sender_named_elsewhere=sender.named_elsewhere,
        recipients=tuple(dict.fromkeys(named)),
        arrived_for=(*arrived_for, *named),
        references=tuple(one for one in nearest_first if one != own_id)[:MAX_REFERENCES],
        subject=subject,
        at=headers.date(),
        origin=sender.origin,
        body=body,
        folded=folded(body.text, subject),
        report=report,
        enclosed=_enclosed(message),
    )


def _enclosed(message: Part) -> Sender | None:
    mails = [inner for part in message.children if part.kind == "message/rfc822" for inner in part.children]
    return sender_of(mails[0].headers) if len(mails) == 1 else None
