"""A mailbox read over IMAP and answered over SMTP: the kind ``email.imap``."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from fernamt import Capabilities, Channel, ConnectorContext, OutboundMessage, Page, Sent, Throttled
from fernamt_email.folder import Fetcher, Folder
from fernamt_email.history import BUSY_S, History
from fernamt_email.identity import IDS, Identity
from fernamt_email.mailbox import Busy, Mailbox
from fernamt_email.oauth import Tokens
from fernamt_email.probe import probe
from fernamt_email.reading import Reader
from fernamt_email.sent_copy import SentCopies
from fernamt_email.settings import ImapSettings
from fernamt_email.smtp import Submission
from fernamt_email.unsubscribe import Unsubscribing

BUSY_FIRST_S: Final = 15.0
BUSY_MAX_S: Final = 900.0
"""How long a server that takes no more is left alone: twice as long each time, up to this."""


class Imap:
    """Takes every mail of its folders, once: stored first, moved away after that."""

    def __init__(self, channel: Channel[ImapSettings], context: ConnectorContext) -> None:
        self._settings = settings = channel.settings
        self._context = context
        self._identity = Identity.of(channel.id, settings, context.sign(IDS, valid=None))
        self._tokens = Tokens(settings.oauth, context.http, context.clock) if settings.oauth else None
        self._unsubscribing = Unsubscribing(self._identity, context, channel.url)
        self._submission = Submission(
            settings,
            self._identity,
            context,
            tokens=self._tokens,
            unsubscribing=self._unsubscribing,
            keep=SentCopies(settings, context, self._tokens).keep,
        )
        reader = Reader(
            self._identity,
            context,
            settings.house_language,
            self._unsubscribing,
            settings.layout if settings.acknowledge else None,
            authserv_id=settings.authserv_id,
        )
        self._fetcher = Fetcher(settings, reader)
        self._history = History(settings, self._fetcher)
        self._told = ("", "")
        self._refused = 0

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
        """Send ourselves a probe, find it in the mailbox, remove it; return our address and what was learned.

        Errors as in ``send``.
        """
        ours = self._identity.of_a_probe()
        submission = Submission(self._settings, ours, self._context, tokens=self._tokens)
        async with self._mailbox() as box:
            return await probe(self._settings, box, submission, ours, self._context.clock)

    async def fetch(self, cursor: str) -> Page:
        """See ``Backfills``; *cursor* may be the name of any folder, which is then read alone."""
        try:
            async with self._mailbox() as box:
                return await self._history.page(box, cursor)
        except Busy as why:
            raise Throttled(why.reason, after_s=BUSY_S) from why

    async def run(self) -> None:
        """Take what is there and what comes, until cancelled.

        A lost connection raises ``Unreachable``, so that the supervisor starts this again with back-off; a wrong password
        raises ``NeedsLogin``. A server that takes no more for now is left alone for a while.
        """
        self._refused, self._told = 0, ("", "")
        while True:
            try:
                await self._read()
            except Busy as why:
                pause_s = min(BUSY_FIRST_S * 2**self._refused, BUSY_MAX_S) * random.uniform(0.8, 1.2)  # noqa: S311  no secret
                self._refused += 1
                self._report("degraded", f"{why.reason}. It is asked again in about {pause_s:.0f} s")
                await self._context.clock.sleep(pause_s)

    async def _read(self) -> None:
        settings = self._settings
        first, *others = [self._folder(name) for name in settings.folders]
        if settings.spam_folder:
            others.append(self._folder(settings.spam_folder, spam=True))
        async with self._mailbox() as box:
            self._say(box, [])
            swept_at = None
            while True:
                now = self._context.clock.now()
                if others and (swept_at is None or (now - swept_at).total_seconds() >= settings.sweep_s):
                    for folder in others:
                        await folder.catch_up(box)
                    swept_at = now
                await first.catch_up(box)
                self._refused = 0
                self._say(box, [first, *others])
                await box.wait(min(settings.idle_s, settings.sweep_s))

    def _mailbox(self) -> Mailbox:
        return Mailbox(self._settings, self._tokens)

    def _folder(self, name: str, *, spam: bool = False) -> Folder:
        return Folder(name, spam=spam, settings=self._settings, fetcher=self._fetcher, context=self._context)

    def _say(self, box: Mailbox, folders: list[Folder]) -> None:
        """Report how it is: what does not work, and what became of the mails of each folder."""
        troubles = dict.fromkeys(filter(None, [box.trouble, *(one.trouble for one in folders)]))
        lost = [one for one in folders if one.progress and one.progress.missing]
        counts = [f"{one.name}: {one.progress.said()}" for one in folders if one.progress and one.progress.seen]
        self._report("degraded" if troubles or lost else "up", "; ".join([*troubles, *counts]))

    def _report(self, state: str, reason: str) -> None:
        if (state, reason) != self._told:
            self._told = (state, reason)
            self._context.report_state("up" if state == "up" else "degraded", reason)
