"""A mailbox read over IMAP and answered over SMTP: the kind ``email.imap``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from fernamt import (
    Capabilities,
    Channel,
    ConnectorContext,
    Cursor,
    NotStored,
    OutboundMessage,
    Sent,
    Unparsed,
)
from fernamt_email.identity import Identity
from fernamt_email.mailbox import CommandRefused, Mailbox
from fernamt_email.parse import event_key
from fernamt_email.reading import Reader
from fernamt_email.sent_copy import SentCopies
from fernamt_email.settings import ImapSettings
from fernamt_email.smtp import Submission
from fernamt_email.unsubscribe import Unsubscribing

BATCH: Final = 100
"""Mails whose sizes are asked for at once."""


class Imap:
    """Takes every mail of one folder, once: stored first, moved away after that."""

    def __init__(self, channel: Channel[ImapSettings], context: ConnectorContext) -> None:
        self._settings = channel.settings
        self._context = context
        self._identity = Identity.of(channel.id, channel.settings)
        self._unsubscribing = Unsubscribing(self._identity, context, channel.url)
        self._submission = Submission(
            channel.settings,
            self._identity,
            context,
            unsubscribing=self._unsubscribing,
            keep=SentCopies(channel.settings, context).keep,
        )
        self._reader = Reader(
            self._identity,
            context,
            channel.settings.house_language,
            self._unsubscribing,
            channel.settings.layout if channel.settings.acknowledge else None,
        )
        self._stuck = False

    def capabilities(self) -> Capabilities:
        """See ``Describes``."""
        return self._submission.capabilities()

    def routes(self) -> Sequence[web.RouteDef]:
        """See ``Serves``: where the reader of outreach stops it."""
        return self._unsubscribing.routes()

    def id_for(self, message: OutboundMessage) -> str:
        """See ``ChoosesId``: one Message-ID for all who get this entry."""
        return self._identity.message_id(message.entry_key)

    async def send(self, message: OutboundMessage) -> Sent:
        """See ``Connector``."""
        return await self._submission.send(message)

    async def verify(self) -> str:
        """Log in to both servers and return our address. Errors as in ``send``."""
        async with Mailbox(self._settings):
            return await self._submission.verify()

    async def run(self) -> None:
        """Take what is there and what comes, until cancelled.

        A lost connection raises ``Unreachable``, so that the supervisor starts this again with back-off; a wrong password
        raises ``NeedsLogin``.
        """
        async with Mailbox(self._settings) as box:
            done = await self._cursor(box)
            self._stuck = False
            self._context.report_state("degraded" if box.trouble else "up", box.trouble)
            if box.moves:  # stored before a crash, but not moved: intake knows them by their keys
                await self._take_all(box, await box.uids_until(done), done)
            while True:
                uids = await box.uids_after(done)
                await self._take_all(box, uids, done)
                if uids:
                    done = uids[-1]
                else:
                    await box.wait(min(self._settings.idle_s, self._settings.sweep_s))

    async def _cursor(self, box: Mailbox) -> int:
        """Return up to which UID all is stored; 0 if the server numbered the folder anew: keys catch the repeats."""
        validity, _, uid = (await self._context.cursor(self._settings.folder)).partition(":")
        return int(uid) if validity == str(box.validity) and uid.isdecimal() else 0

    async def _take_all(self, box: Mailbox, uids: list[int], done: int) -> None:
        for start in range(0, len(uids), BATCH):
            batch = uids[start : start + BATCH]
            sizes = await box.sizes(batch)
            for uid in batch:
                await self._take(box, uid, sizes.get(uid, 0), done)

    async def _take(self, box: Mailbox, uid: int, size: int, done: int) -> None:
        """Store one mail, and only then move it. The cursor never goes back below *done*."""
        fetched = await self._fetched(box, uid, size)
        if fetched is None:
            return
        content, problem = fetched
        key = event_key(content) if content else f"{self._settings.folder}:{box.validity}:{uid}"
        broken = Unparsed(key=key, reason=problem) if problem else None
        await self._store(content, broken, Cursor(self._settings.folder, f"{box.validity}:{max(uid, done)}"))
        if box.moves and content:
            await self._move(box, uid)

    async def _move(self, box: Mailbox, uid: int) -> None:
        try:
            await box.move(uid)
        except CommandRefused as why:
            if not self._stuck:
                reason = f"stored mails cannot be moved to {self._settings.done_folder!r}: {why.reason}"
                self._context.report_state("degraded", reason)
            self._stuck = True
        else:
            if self._stuck:
                self._context.report_state("up")
            self._stuck = False

    async def _fetched(self, box: Mailbox, uid: int, size: int) -> tuple[bytes, str] | None:
        """Return a mail, or what can be had of it and what is wrong with it; ``None`` if it is gone."""
        limit, folder = self._settings.max_bytes, self._settings.folder
        try:
            content = await (box.mail(uid) if size <= limit else box.head(uid))
        except CommandRefused as why:
            return b"", f"the mail with UID {uid} in {folder!r} cannot be fetched: {why.reason}"
        if content is None:
            return None
        if size <= limit:
            return content, ""
        where = self._settings.done_folder if box.moves else folder
        return (
            content,
            f"the mail is too large: {size} bytes, the limit is {limit}. All of it is in the folder {where!r}",
        )

    async def _store(self, content: bytes, broken: Unparsed | None, cursor: Cursor) -> None:
        """Return when the mail is on disk, however long the disk takes."""
        while True:
            try:
                events, raw = ([broken], content) if broken else await self._reader.read(content)
                await self._context.intake.accept(events, raw=raw, cursor=cursor, wait=True)
            except NotStored as full:
                self._context.log.warning("mail_waits", reason=full.reason)
                await self._context.clock.sleep(full.after_s)
            else:
                return
