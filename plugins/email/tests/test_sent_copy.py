"""A copy of each answer in the mailbox's own folder: once, and never to the answer's harm."""

from __future__ import annotations

from typing import Any

import pytest

from fernamt import Address, Channel, Purpose, Secret
from fernamt.testing import FakeContext
from fernamt_email.imap import Imap
from fernamt_email.settings import ImapSettings, SmtpSettings

from .dovecot import Dovecot
from .given import CHANNEL, message
from .sink import Sink

pytestmark = pytest.mark.slow


def imap(context: FakeContext, imap_port: int, user: str, sink: Sink, **changes: Any) -> Imap:
    settings = ImapSettings(
        **{
            "address": "support@support.test",
            "host": "127.0.0.1",
            "port": imap_port,
            "security": "none",
            "user": user,
            "password": Secret("secret"),
            "timeout_s": 2.0,
            "sent_folder": "Gesendete Größen",
            "smtp": SmtpSettings(host="127.0.0.1", port=sink.port, security="none"),
            **changes,
        }
    )
    return Imap(Channel(id=CHANNEL, name="Support", kind="email.imap", settings=settings, url=""), context)


async def test_each_answer_is_kept_once_however_many_get_it(context: FakeContext, dovecot: Dovecot, user: str) -> None:
    async with Sink().listening() as sink:
        channel = imap(context, dovecot.imap_port, user, sink)
        await channel.send(message(cc=(Address("email", "bob@customer.test"),)))
        await channel.send(message(to=Address("email", "bob@customer.test"), key="k2"))
        await channel.send(message(attempt=2))
        await channel.send(message(entry_key="e2", text="Noch etwas."))
        await channel.send(message(entry_key="e3", purpose=Purpose.OUTREACH))
    copies = dovecot.mails(user, "Gesendete Gr&APYA3w-en")
    assert len(copies) == 2
    assert copies[0] == (sink.mails[0].original_content or b"").replace(b"\r\n", b"\n")


async def test_a_mailbox_in_trouble_costs_the_answer_nothing_and_is_left_alone(context: FakeContext) -> None:
    async with Sink().listening() as sink:
        channel = imap(context, 1, "nobody", sink)
        assert (await channel.send(message())).ids
        assert (await channel.send(message(entry_key="e2"))).ids
    assert len(sink.mails) == 2
    assert [event["event"] for event in context.logged].count("sent_copy_failed") == 1


async def test_without_a_folder_nothing_is_kept(context: FakeContext) -> None:
    async with Sink().listening() as sink:
        channel = imap(context, 1, "nobody", sink, sent_folder="")
        await channel.send(message())
    assert context.logged == []
