"""A mail as it came, bytes, becomes a value. Pure: the same bytes give the same value, and nothing is looked up."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from email.message import Message
from email.parser import BytesParser
from email.policy import Compat32
from typing import Final

from attrs import field, frozen

from fernamt import Unparsable
from fernamt_email.automatic import Origin
from fernamt_email.body import Body, body_of
from fernamt_email.headers import Headers, children, mended
from fernamt_email.identity import NO_ID_DOMAIN
from fernamt_email.report import Report, report_of
from fernamt_email.sender import Sender, sender_of

MAX_PARTS: Final = 200
MAX_LINES: Final = 1_000_000
MAX_TESTS: Final = 20_000_000
"""How many lines may be held against how many boundaries: the parser compares each line with every open one."""
MAX_PARAMETERS: Final = 8_192
"""Characters of a Content-Type or Content-Disposition."""
MAX_REFERENCES: Final = 50
MAX_SUBJECT: Final = 1_000

_CONTAINER = re.compile(rb"multipart/", re.IGNORECASE)


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
        Unparsable: It has more lines or parts than any mail needs; a hostile one would cost minutes.
    """
    lines = raw.count(b"\n")
    if lines > MAX_LINES or lines * (1 + len(_CONTAINER.findall(raw))) > MAX_TESTS:
        raise Unparsable(f"the mail has {lines} lines in more parts than any mail needs")
    message = BytesParser(policy=_BOUNDED).parsebytes(mended(raw))
    if sum(1 for _ in message.walk()) > MAX_PARTS:
        raise Unparsable(f"the mail has more than {MAX_PARTS} parts")
    return _mail(message, key)


class _Bounded(Compat32):
    """Leaves the fields alone, where the default policy would parse them while it reads and raise on broken ones.

    But fields with parameters are cut: the library needs minutes for long ones that are made of quotes.
    """

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[:MAX_PARAMETERS] if name.lower().startswith("content-") else value


_BOUNDED: Final = _Bounded()


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


def _mail(message: Message, key: str) -> Mail:
    headers = Headers(message)
    sender = sender_of(headers)
    own_id = next(iter(headers.ids("message-id")), "")
    nearest_first = dict.fromkeys(headers.ids("in-reply-to") + headers.ids("references")[::-1])
    report = report_of(message)
    return Mail(
        key=key,
        id=own_id or f"<{key[:32]}@{NO_ID_DOMAIN}>",
        sender=sender.address,
        sender_name=sender.name,
        recipients=tuple(dict.fromkeys(address for _, address in headers.addresses("to", "cc"))),
        arrived_for=tuple(
            address for _, address in headers.addresses("delivered-to", "x-original-to", "envelope-to", "to", "cc")
        ),
        references=tuple(one for one in nearest_first if one != own_id)[:MAX_REFERENCES],
        subject=headers.text("subject")[:MAX_SUBJECT],
        at=headers.date(),
        origin=sender.origin,
        body=body_of(message),
        report=report,
        enclosed=_enclosed(message),
    )


def _enclosed(message: Message) -> Sender | None:
    mails = [
        inner for part in children(message) if part.get_content_type() == "message/rfc822" for inner in children(part)
    ]
    return sender_of(Headers(mails[0])) if len(mails) == 1 else None
