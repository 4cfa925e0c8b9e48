"""A mail from ourselves to ourselves: what proves that a channel can send and receive."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Final

from fernamt import Clock, OutboundMessage, Unreachable
from fernamt_email.address import person
from fernamt_email.identity import Identity
from fernamt_email.mailbox import CommandRefused, Mailbox
from fernamt_email.marks import topmost_server
from fernamt_email.settings import ImapSettings
from fernamt_email.smtp import Submission

WITHIN_S: Final = 40.0
LOOK_EVERY_S: Final = 1.0
_TEXT: Final = (
    "Fernamt prüft, ob dieses Postfach senden und empfangen kann. Diese Mail wird gleich wieder gelöscht.\n\n"
    "Fernamt checks whether this mailbox can send and receive. This mail is removed at once.\n"
)


async def probe(settings: ImapSettings, box: Mailbox, submission: Submission, identity: Identity, clock: Clock) -> str:
    """Send a probe, find it, remove it, and return what was learned, for the operator.

    A daemon that works on the mailbox meanwhile knows it for a mail of ours, stores nothing of it, and may have moved it.

    Raises:
        Unreachable: It did not come back in time. Other errors as in ``send`` and as :class:`Mailbox` says.
    """
    key = secrets.token_hex(12)
    message = OutboundMessage(
        key=key,
        entry_key=key,
        attempt=1,
        to=person(identity.address),
        text=_TEXT,
        subject="Fernamt: Probe",
        automatic=True,
    )
    began = time.monotonic()
    await submission.send(message)
    folders = tuple(dict.fromkeys(filter(None, (*settings.folders, settings.done_folder, settings.spam_folder))))
    try:
        async with asyncio.timeout(WITHIN_S):
            folder, head = await _found(box, folders, identity.message_id(key), clock)
    except TimeoutError as why:
        places = ", ".join(map(repr, folders))
        raise Unreachable(
            f"the mail server took a probe to {identity.address}, but within {WITHIN_S:.0f} s it came into none of {places}: "
            "does this address lead to this mailbox, and does a filter put its mails elsewhere?",
            certain=False,
        ) from why
    return _learned(settings, folder, head, time.monotonic() - began, identity)


async def _found(box: Mailbox, folders: tuple[str, ...], message_id: str, clock: Clock) -> tuple[str, bytes]:
    while True:
        for folder in folders:
            try:
                await box.select(folder)
                for uid in await box.uids_of(message_id):
                    if head := await box.head(uid):
                        await box.remove(uid)
                        return folder, head
            except CommandRefused:  # the folder is not there (yet), or the mail was moved under our hands
                continue
        await clock.sleep(LOOK_EVERY_S)


def _learned(settings: ImapSettings, folder: str, head: bytes, took_s: float, identity: Identity) -> str:
    told = [f"{identity.address}: a probe came back after {took_s:.1f} s"]
    if folder == settings.spam_folder:
        told.append(
            "into the spam folder, so your customers may find your answers there, too: are SPF, DKIM and DMARC set up?"
        )
    server = topmost_server(head)
    if server and server.lower() != settings.authserv_id.lower():
        told.append(
            f"results of SPF, DKIM and DMARC are shown if you write: authserv_id = {server!r}".replace("'", '"')
        )
    return "; ".join(told)
