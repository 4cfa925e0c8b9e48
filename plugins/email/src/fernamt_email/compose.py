"""An outbound message becomes the bytes of a mail. Pure, but for the time that is handed in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from email.headerregistry import Address as Mailbox
from email.headerregistry import BaseHeader, HeaderRegistry
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy, Policy
from email.utils import format_datetime
from typing import Any, ClassVar, Final, Literal

from fernamt import Attachment, OutboundMessage, Purpose, Rejected
from fernamt_email.address import MAILBOX
from fernamt_email.identity import NO_ID_DOMAIN, Identity, tag_of
from fernamt_email.layout import Body, Style, laid_out

LATEST_REFERENCES: Final = 20
"""So many ids at the end of References, beside the first: threads of years keep their root and a bearable header."""

_REPLY_PREFIX = re.compile(r"(?i)(?:re|aw|antw|sv|vs|odp|rif|res)(?:\[\d+\]|\(\d+\))?\s*:")
_ID = re.compile(r"<[\x21-\x3b\x3d\x3f-\x7e]{1,900}>")
_MEDIA_TYPE = re.compile(r"(?!message/|multipart/)[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+")


class _Ids(BaseHeader):
    """Message-ID, In-Reply-To, References and the like: one id to a line, never encoded, however long an id is."""

    max_count: ClassVar[Literal[1] | None] = 1

    @classmethod
    def parse(cls, value: str, kwds: dict[str, Any]) -> None:
        kwds["parse_tree"] = value
        kwds["decoded"] = value

    def fold(self, *, policy: Policy[Any]) -> str:
        return f"{self.name}: {(policy.linesep + ' ').join(str(self).split())}{policy.linesep}"


def _policy(*, utf8: bool) -> EmailPolicy[EmailMessage]:
    registry = HeaderRegistry()
    for name in ("message-id", "in-reply-to", "references", "list-unsubscribe"):
        registry.map_to_type(name, _Ids)
    return SMTP.clone(header_factory=registry, cte_type="7bit", utf8=utf8)


def compose(
    message: OutboundMessage,
    identity: Identity,
    *,
    sender_name: str,
    at: datetime,
    files: Sequence[bytes],
    utf8: bool = False,
    style: Style | None = None,
    unsubscribe: Sequence[str] = (),
) -> bytes:
    """Return the mail for one recipient, with CRLF lines, in ASCII unless *utf8*.

    Args:
        message: What is to be said; its parts are checked for line breaks here, whoever checked before.
        identity: Who we are.
        sender_name: Shown beside our address; may be empty.
        at: For the Date field.
        files: The contents of ``message.attachments``, in their order.
        style: How it is laid out; without it: the words alone.
        unsubscribe: Addresses by which the reader of outreach stops it (RFC 2369), https ones first.
        utf8: Header fields in UTF-8 (RFC 6532), for servers that take addresses beyond ASCII.

    Raises:
        Rejected: An address cannot be written into a mail, or something that stands in a header field has a line break.
    """
    mail = EmailMessage(policy=_policy(utf8=utf8))
    reply_to = identity.reply_address(message.reply_token)
    mail["From"] = _mailbox(identity.address, sender_name)
    mail["To"] = _mailbox(message.to.value)
    if message.cc:
        mail["Cc"] = tuple(_mailbox(address.value) for address in message.cc)
    if reply_to != identity.address:
        mail["Reply-To"] = _mailbox(reply_to, sender_name)
    mail["Subject"] = " ".join(
        filter(None, (subject_of(message), tag_of(message.reply_token) if style and style.tagged else ""))
    )
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = identity.message_id(message.entry_key)
    answered, chain = references_of(message)
    if answered:
        mail["In-Reply-To"] = answered
    if chain:
        mail["References"] = " ".join(chain)
    if message.automatic:
        mail["Auto-Submitted"] = "auto-replied" if answered else "auto-generated"
        mail["X-Auto-Response-Suppress"] = "All"
    if message.purpose == Purpose.OUTREACH:
        mail["Precedence"] = "bulk"
    if message.purpose == Purpose.OUTREACH and unsubscribe:
        mail["List-Unsubscribe"] = ", ".join(f"<{one}>" for one in unsubscribe)
        if unsubscribe[0].startswith("https:"):
            mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    _fill(mail, message, laid_out(message, style) if style else Body(message.text, message.html), files)
    return mail.as_bytes()


def subject_of(message: OutboundMessage) -> str:
    """Return the subject; that of an answer says so, once, whatever the language of the mailer that said it before.

    A machine's mail keeps its own: it may be a notice beside the correspondence.
    """
    subject = _one_line(message.subject, "the subject").strip()
    if not message.reply_to or message.automatic or _REPLY_PREFIX.match(subject):
        return subject
    return f"Re: {subject}".rstrip()


def references_of(message: OutboundMessage) -> tuple[str, tuple[str, ...]]:
    """Return the id that is answered, and the chain: oldest first, the first and the latest ones (RFC 5322, 3.6.4)."""
    answered = message.reply_to if _is_real_id(message.reply_to) else ""
    known = [one for one in dict.fromkeys(message.references) if _is_real_id(one) and one != answered]
    if answered:
        known.append(answered)
    if len(known) > LATEST_REFERENCES + 1:
        known = [known[0], *known[-LATEST_REFERENCES:]]
    return answered, tuple(known)


def _is_real_id(written: str) -> bool:
    return _ID.fullmatch(written) is not None and not written.endswith(f"@{NO_ID_DOMAIN}>")


def _fill(mail: EmailMessage, message: OutboundMessage, body: Body, files: Sequence[bytes]) -> None:
    mail.set_content(body.text)
    pictures: set[int] = set()
    if body.html:
        mail.add_alternative(body.html, subtype="html")
        page = next(part for part in mail.iter_parts() if part.get_content_type() == "text/html")
        for n, file in enumerate(message.attachments):
            if file.content_id and f"cid:{file.content_id}" in body.html:
                main, _, sub = _media_type(file).partition("/")
                page.add_related(
                    files[n],
                    main,
                    sub,
                    cid=f"<{_one_line(file.content_id, 'a content id')}>",
                    disposition="inline",
                    filename=_one_line(file.name, "a file name"),
                )
                pictures.add(n)
    for n, file in enumerate(message.attachments):
        if n not in pictures:
            main, _, sub = _media_type(file).partition("/")
            mail.add_attachment(files[n], main, sub, filename=_one_line(file.name, "a file name"))


def _media_type(file: Attachment) -> str:
    """Return the media type, or the one of plain bytes where base64 is not allowed (RFC 2046, 5.1 and 5.2.1)."""
    return file.media_type if _MEDIA_TYPE.fullmatch(file.media_type) else "application/octet-stream"


def _mailbox(address: str, name: str = "") -> Mailbox:
    found = MAILBOX.fullmatch(address)
    if found is None:
        raise Rejected(f"{address!r} is no mail address")
    return Mailbox(display_name=_one_line(name, "the sender's name"), username=found[1], domain=found[2])


def _one_line(value: str, what: str) -> str:
    """Return *value*, which goes into a header field. A line break in it could add fields to our mail."""
    if any(ord(character) < 32 or ord(character) == 127 or character in "\x85\u2028\u2029" for character in value):
        raise Rejected(f"{what} has a line break or another control character")
    return value
