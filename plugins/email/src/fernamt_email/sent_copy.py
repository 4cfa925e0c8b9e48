"""Copies of what we sent, in the mailbox's own folder for it, so that colleagues see our answers in their mail program."""

from __future__ import annotations

import asyncio
from typing import Final

from fernamt import ConnectorContext
from fernamt_email.mailbox import Mailbox
from fernamt_email.oauth import Tokens
from fernamt_email.settings import ImapSettings

COPY_S: Final = 10.0
"""The longest that an answer waits for its copy."""
REST_S: Final = 300.0
"""After a copy that failed none is tried for so long: a mailbox in trouble must not slow down every answer."""


class SentCopies:
    """Best effort: nothing that goes wrong here is a fault of the answer, which has left already."""

    def __init__(self, settings: ImapSettings, context: ConnectorContext, tokens: Tokens | None = None) -> None:
        """*tokens* are there if the settings name no password."""
        self._settings = settings
        self._tokens = tokens
        self._context = context
        self._resting_until = float("-inf")

    async def keep(self, mail: bytes, message_id: str) -> None:
        """Put a copy of *mail* into the folder, unless one with its id is there already."""
        loop = asyncio.get_running_loop()
        if not self._settings.sent_folder or loop.time() < self._resting_until:
            return
        try:
            async with asyncio.timeout(COPY_S), Mailbox(self._settings, self._tokens) as box:
                await box.append(self._settings.sent_folder, mail, message_id)
        except Exception as why:  # noqa: BLE001  also what no server should make of the library: the answer has left, and must not leave again
            self._resting_until = loop.time() + REST_S
            self._context.log.warning("sent_copy_failed", folder=self._settings.sent_folder, error=type(why).__name__)
