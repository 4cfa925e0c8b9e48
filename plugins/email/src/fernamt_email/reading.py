"""From the bytes of a mail to the events that intake takes: parsed, put into the words of this channel, big files stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from attrs import evolve

from fernamt import (
    INLINE_MAX_BYTES,
    Attachment,
    Blob,
    ConnectorContext,
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
)
from fernamt_email.address import person
from fernamt_email.body import File
from fernamt_email.identity import Identity
from fernamt_email.marks import SPAM, marks_of
from fernamt_email.parse import Mail, event_key, parse
from fernamt_email.report import Report

THREAD_FROM_BYTES: Final = 16_384
"""Smaller mails are parsed on the loop: even one made to be slow cannot hold it up for long."""


class Reader:
    """Reads the mails of one channel, each in memory: whoever calls has kept to the size limit before."""

    def __init__(self, identity: Identity, context: ConnectorContext, *, authserv_id: str = "") -> None:
        self._authserv_id = authserv_id
        self._identity = identity
        self._context = context

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
        key = event_key(content)
        try:
            large = len(raw) > THREAD_FROM_BYTES
            mail = await asyncio.to_thread(parse, raw, key=key) if large else parse(raw, key=key)
            events = await self._events(mail)
        except NotStored:
            raise
        except Unparsable as why:
            events = [Unparsed(key=key, reason=str(why))]
        except Exception as why:  # noqa: BLE001  whatever a hostile mail found in the parser: the mail is kept, the next one is read
            self._context.log.warning("mail_unparsable", key=key, error=type(why).__name__)
            events = [Unparsed(key=key, reason=f"the mail cannot be read ({type(why).__name__})")]
        marks = marks_of(content, self._authserv_id)
        if spam and SPAM not in marks:
            marks = (SPAM, *marks)
        return [_marked(one, marks) for one in events] if marks else events, await self.kept(raw)

    async def kept(self, data: bytes) -> bytes | Blob:
        """Return *data* as it may travel: itself if it is small, else as a blob. Raises ``NotStored``."""
        if len(data) <= INLINE_MAX_BYTES:
            return data
        return await self._context.blobs.put(_pieces(data), max_bytes=len(data))

    async def _events(self, mail: Mail) -> list[InboundEvent]:
        if self._identity.made(mail.id):
            return [Ignored(reason="our own mail")]
        if mail.report and self._identity.made(mail.report.original_id):
            told = _receipts(mail, mail.report)
            if told:
                return told
        if not mail.sender:
            return [Unparsed(key=mail.key, reason="the mail names no sender")]
        return [await self._received(mail)]

    async def _received(self, mail: Mail) -> Received:
        returned = (mail.report.original_id,) if mail.report and mail.report.original_id else ()
        return Received(
            key=mail.key,
            id=mail.id,
            sender=person(mail.sender),
            sender_name=mail.sender_name,
            cc=tuple(dict.fromkeys(person(one) for one in mail.recipients if not self._identity.is_ours(one))),
            subject=mail.subject,
            text=mail.body.text,
            html=mail.body.html,
            attachments=tuple([await self._attachment(file) for file in mail.body.files]),
            thread=Thread(
                token=next(filter(None, map(self._identity.token_in, mail.arrived_for)), ""),
                references=(*returned, *mail.references),
                place=mail.id,
            ),
            at=mail.at,
            automatic=mail.automatic or self._identity.is_ours(mail.sender),
        )

    async def _attachment(self, file: File) -> Attachment:
        return Attachment(
            name=file.name,
            media_type=file.media_type,
            content=await self.kept(file.data),
            content_id=file.content_id,
        )


def _marked(event: InboundEvent, marks: tuple[str, ...]) -> InboundEvent:
    if not isinstance(event, Received):
        return event
    # An automatic answer to spam would tell its sender that somebody is there, or hit whoever it was forged for.
    return evolve(event, marks=(*event.marks, *marks), automatic=event.automatic or SPAM in marks)


def _receipts(mail: Mail, report: Report) -> list[InboundEvent]:
    """Return what a report on a mail of ours tells: nothing, if it tells neither of failure nor of delay."""
    failed: list[InboundEvent] = [
        Receipt(
            key=f"{mail.key}:{n}",
            state=DeliveryState.FAILED,
            id=report.original_id,
            address=person(fate.address),
            error=Rejected(fate.reason, code=fate.status),
            at=mail.at,
        )
        for n, fate in enumerate(report.fates)
        if fate.action == "failed"
    ]
    if failed or all(fate.action != "delayed" for fate in report.fates):
        return failed
    return [Ignored(reason="delayed: the other server still tries")]


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), INLINE_MAX_BYTES):
        yield data[start : start + INLINE_MAX_BYTES]
