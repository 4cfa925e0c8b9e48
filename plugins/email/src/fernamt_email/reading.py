"""From the bytes of a mail to the events that intake takes: parsed, put into the words of this channel, big files stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from fernamt import (
    INLINE_MAX_BYTES,
    Address,
    Attachment,
    Blob,
    ChannelError,
    ConnectorContext,
    Consent,
    DeliveryState,
    Ignored,
    InboundEvent,
    NotStored,
    Receipt,
    Received,
    Rejected,
    Thread,
    Unparsable,
    Unparsed,
    Unreachable,
)
from fernamt_email.acknowledge import acknowledgement
from fernamt_email.address import normalised, person
from fernamt_email.files import File
from fernamt_email.forward import Forwarded, enclosed, forwarded
from fernamt_email.identity import Identity
from fernamt_email.language import Language
from fernamt_email.marks import FORGED, SPAM, marks_of, without_proof
from fernamt_email.parse import Mail, event_key, parse
from fernamt_email.report import Fate, Report
from fernamt_email.settings import LayoutSettings
from fernamt_email.status import explained
from fernamt_email.unsubscribe import Unsubscribing

THREAD_FROM_BYTES: Final = 16_384
"""Smaller mails are parsed on the loop: even one made to be slow cannot hold it up for long."""
HASH_THREAD_FROM_BYTES: Final = 1_000_000
"""Below it the hash takes less than the way to a thread is worth."""


class Reader:
    """Reads the mails of one channel, each in memory: whoever calls has kept to the size limit before."""

    def __init__(
        self,
        identity: Identity,
        context: ConnectorContext,
        language: Language = "en",
        unsubscribing: Unsubscribing | None = None,
        acknowledges: LayoutSettings | None = None,
        *,
        authserv_id: str = "",
    ) -> None:
        self._authserv_id = authserv_id
        self._identity = identity
        self._context = context
        self._language = language
        self._unsubscribing = unsubscribing
        self._acknowledges = acknowledges

    async def read(
        self, content: bytes, *, trace: bytes = b"", spam: bool = False
    ) -> tuple[list[InboundEvent], bytes | Blob]:
        """Return what a mail says, and its raw form as ``Intake.accept`` wants it.

        Args:
            content: The mail as its sender's server handed it over: its event key is made of this.
            trace: Fields that we put in front of it as the receiving server.
            spam: The mailbox calls it spam.

        Raises:
            NotStored: An attachment or the raw mail could not be stored.
        """
        raw = trace + content
        large = len(raw) > THREAD_FROM_BYTES
        hashed_here = len(raw) <= HASH_THREAD_FROM_BYTES
        key = event_key(content) if hashed_here else await asyncio.to_thread(event_key, content)
        marks = marks_of(content, self._authserv_id)
        if spam and SPAM not in marks:
            marks = (SPAM, *marks)
        try:
            mail = await asyncio.to_thread(parse, raw, key=key) if large else parse(raw, key=key)
            events = await self._events(mail, marks)
        except NotStored:
            raise
        except Unparsable as why:
            events = [Unparsed(key=key, reason=str(why))]
        except Exception as why:  # noqa: BLE001  whatever a hostile mail found in the parser: the mail is kept, the next one is read
            self._context.log.warning("mail_unparsable", key=key, error=type(why).__name__)
            events = [Unparsed(key=key, reason=f"the mail cannot be read ({type(why).__name__})")]
        return events, await self.kept(raw)

    async def kept(self, data: bytes) -> bytes | Blob:
        """Return *data* as it may travel: itself if it is small, else as a blob. Raises ``NotStored``."""
        if len(data) <= INLINE_MAX_BYTES:
            return data
        return await self._context.blobs.put(_pieces(data), max_bytes=len(data))

    async def _events(self, mail: Mail, marks: tuple[str, ...]) -> list[InboundEvent]:
        if self._is_our_own(mail):
            return [Ignored(reason="our own mail")]
        if mail.report and self._identity.made(mail.report.original_id):
            told = _told(mail, mail.report, self._language)
            if told:
                return told
        if self._unsubscribing and (stopped := self._unsubscribing.event_of(mail.subject, key=mail.key)):
            return [stopped]
        if not mail.sender:
            return [Unparsed(key=mail.key, reason="the mail names no sender")]
        return [await self._received(mail, marks)]

    def _is_our_own(self, mail: Mail) -> bool:
        """Whether we wrote it, also with a store that is lost. To be passed by harms only whoever forges such a mail."""
        ours = self._identity
        about = mail.report.original_id if mail.report else ""
        named = ours.is_ours(mail.sender) and ours.is_of_ours(mail.id)
        return named or ours.made(mail.id) or ours.is_probe(mail.id) or ours.is_probe(about)

    async def _received(self, mail: Mail, marks: tuple[str, ...]) -> Received:
        hint, subject = self._identity.untagged(mail.subject)
        ours = self._identity.is_ours(mail.sender) or self._identity.is_of_ours(mail.id)
        passed_on = self._passed_on(mail, subject)
        sender, name = mail.sender, mail.sender_name
        if passed_on is not None:
            sender, name, subject = passed_on.address, passed_on.name, passed_on.subject
        if mail.sender_named_elsewhere or passed_on is not None:
            marks = without_proof(marks)
        # An automatic answer to spam would tell its sender that somebody is there, or hit whoever it was forged for.
        unwanted = SPAM in marks or FORGED in marks
        returned = (mail.report.original_id,) if mail.report and mail.report.original_id else ()
        return Received(
            key=mail.key,
            id=mail.id,
            sender=person(sender),
            sender_name=name,
            cc=() if passed_on else self._others(mail, sender),
            subject=subject,
            text=mail.body.text,
            folded=mail.folded,
            marks=(*mail.body.marks, *marks),
            html=mail.body.html,
            attachments=tuple([await self._attachment(file) for file in mail.body.files]),
            thread=Thread(
                token=next(filter(None, map(self._identity.token_in, mail.arrived_for)), ""),
                references=() if passed_on else (*returned, *mail.references),
                hint=hint,
                place=mail.id,
                learns=bool(mail.references) and passed_on is None,
            ),
            at=mail.at,
            automatic=mail.automatic or ours or passed_on is not None or unwanted,
            silent=mail.origin.is_silent,
            acknowledgement=acknowledgement(mail.body.text, self._acknowledges, self._language)
            if self._acknowledges
            else None,
        )

    def _passed_on(self, mail: Mail, subject: str) -> Forwarded | None:
        """Return whose mail a colleague passes on to us. It says no more than From would, which anybody can write."""
        if not self._identity.is_agent(mail.sender) or mail.automatic:
            return None
        found = enclosed(subject, mail.enclosed) or forwarded(subject, mail.body.text)
        if found is None or self._identity.is_ours(found.address) or self._identity.is_agent(found.address):
            return None
        return found

    def _others(self, mail: Mail, sender: str) -> tuple[Address, ...]:
        """Return who else got this mail: they take part, so their answers join by reference."""
        others = (one for one in mail.recipients if not self._identity.is_ours(one))
        return tuple(dict.fromkeys(person(one) for one in others if normalised(one) != normalised(sender)))

    async def _attachment(self, file: File) -> Attachment:
        return Attachment(
            name=file.name,
            media_type=file.media_type,
            content=await self.kept(file.data),
            content_id=file.content_id,
        )


def _told(mail: Mail, report: Report, language: Language) -> list[InboundEvent]:
    """Return what a report on a mail of ours tells of each recipient; nothing, if it tells nothing that we can use."""
    found = (_event(mail, report, n, fate, language) for n, fate in enumerate(report.fates))
    return [one for one in found if one is not None]


def _event(mail: Mail, report: Report, n: int, fate: Fate, language: Language) -> InboundEvent | None:
    key, address = f"{mail.key}:{n}", person(fate.address) if "@" in fate.address else None
    if fate.action == "complained":
        return Consent(key=key, address=address, allowed=False, scope="marketing") if address else None
    tells: dict[str, tuple[DeliveryState, ChannelError | None]] = {
        "failed": (DeliveryState.FAILED, Rejected(explained(fate.status, fate.said, language), code=fate.status)),
        "delayed": (
            DeliveryState.SENT,
            Unreachable(explained(fate.status, fate.said, language, late=True), certain=True, code=fate.status),
        ),
        "delivered": (DeliveryState.DELIVERED, None),
    }
    if fate.action not in tells:
        return None
    state, error = tells[fate.action]
    return Receipt(key=key, state=state, id=report.original_id, address=address, error=error, at=mail.at)


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), INLINE_MAX_BYTES):
        yield data[start : start + INLINE_MAX_BYTES]
