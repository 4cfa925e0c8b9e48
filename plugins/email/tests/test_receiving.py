"""A mailbox on a real Dovecot as companies have them: several folders, spam, old mail, limits, a line that breaks."""

from __future__ import annotations

import asyncio

import pytest
from imapclient import IMAPClient

from fernamt import Page, Received, Rejected, Throttled, Unparsed, Unreachable
from fernamt.testing import FakeContext, FaultProxy, WireFault
from fernamt_email.folder import LOST_MAX
from fernamt_email.imap import Imap
from fernamt_email.mailbox import Mailbox
from fernamt_email.progress import Fate, Progress

from .dovecot import PASSWORD, Dovecot
from .test_imap import eventually, ids, imap, mail, moved, names, running

pytestmark = pytest.mark.slow


async def progress(context: FakeContext, folder: str = "INBOX") -> Progress:
    found = Progress.of(await context.cursor(folder))
    assert found is not None
    assert found.missing == 0
    return found


async def counted(context: FakeContext, folder: str, seen: int) -> None:
    """Return when so many mails of the folder are committed as seen."""
    await context.intake.until(lambda _: bool((at := Progress.of(context.intake.cursor(folder))) and at.seen >= seen))


# ---- folders
async def test_every_folder_is_read_and_what_lies_in_spam_is_marked_and_stays(
    context: FakeContext, dovecot: Dovecot, user: str
) -> None:
    dovecot.deliver(user, mail(1))
    dovecot.append(user, mail(2), "Rechnungen")
    dovecot.append(user, mail(3), "Spam")
    async with running(context, dovecot, user, folders=("INBOX", "Rechnungen"), spam_folder="Spam"):
        await moved(dovecot, user, 2)
        told = "INBOX: 1 mail: 1 stored; Rechnungen: 1 mail: 1 stored; Spam: 1 mail: 1 stored"
        await eventually(lambda: context.states[-1] == ("up", told))
    marks = {one.id: (one.marks, one.automatic) for one in context.intake.events if isinstance(one, Received)}
    assert marks == dict(zip(names(1, 2, 3), [((), False), ((), False), (("spam",), True)], strict=True))
    assert len(dovecot.mails(user, "Spam")) == 1


async def test_a_further_folder_is_looked_at_again(context: FakeContext, dovecot: Dovecot, user: str) -> None:
    dovecot.add_folder(user, "Rechnungen")
    async with running(context, dovecot, user, folders=("INBOX", "Rechnungen"), sweep_s=1.0, idle_s=1.0):
        dovecot.append(user, mail(1), "Rechnungen")
        context.clock.advance(1.0)
        await moved(dovecot, user, 1)


async def test_a_further_folder_that_is_not_there_degrades_the_channel_and_stops_nothing(
    context: FakeContext, dovecot: Dovecot, user: str
) -> None:
    dovecot.deliver(user, mail(1))
    async with running(context, dovecot, user, folders=("INBOX", "Nirgends")):
        await moved(dovecot, user, 1)
        await eventually(lambda: context.states[-1][0] == "degraded")
    assert "'Nirgends' cannot be opened" in context.states[-1][1]


async def test_what_a_person_or_a_filter_called_junk_is_marked(
    context: FakeContext, dovecot: Dovecot, user: str
) -> None:
    dovecot.append(user, mail(1), "INBOX", "$Junk")
    dovecot.append(user, mail(2), "INBOX", "$Junk", "$NotJunk")
    dovecot.append(user, b"X-Spam-Flag: YES\r\n" + mail(3), "INBOX")
    async with running(context, dovecot, user):
        await moved(dovecot, user, 3)
    assert [one.marks for one in context.intake.events if isinstance(one, Received)] == [("spam",), (), ("spam",)]


async def test_one_mail_that_comes_by_two_addresses_is_one(context: FakeContext, dovecot: Dovecot, user: str) -> None:
    for to in (f"{user}@support.test", f"{user}+verkauf@support.test"):
        dovecot.deliver(user, mail(1), to=to)
    async with running(context, dovecot, user):
        await moved(dovecot, user, 2)
        await counted(context, "INBOX", 2)
        await eventually(lambda: "known" in context.states[-1][1])
    assert len(context.intake.keys) == 1
    assert (await progress(context)).fates == {Fate.STORED: 1, Fate.KNOWN: 1}


async def test_mails_that_others_take_away_in_the_middle_are_counted(
    context: FakeContext, dovecot: Dovecot, user: str
) -> None:
    context.intake.hold = asyncio.Event()
    for n in range(1, 6):
        dovecot.deliver(user, mail(n))
    async with running(context, dovecot, user, done_folder=""):
        await context.intake.entered.wait()
        with IMAPClient(dovecot.host, dovecot.imap_port, ssl=False) as other:
            other.login(user, PASSWORD)
            other.select_folder("INBOX")
            other.move([3], "Processed")
            other.delete_messages([4])
            other.expunge([4])
        context.intake.hold.set()
        await counted(context, "INBOX", 5)
    assert ids(context.intake) == names(1, 2, 5)
    assert (await progress(context)).fates == {Fate.STORED: 3, Fate.GONE: 2}


# ---- what is old
async def test_old_mail_is_left_alone_if_that_is_asked_for_and_a_backfill_brings_it(
    context: FakeContext, dovecot: Dovecot, user: str
) -> None:
    dovecot.deliver(user, mail(1))
    dovecot.append(user, mail(2), "Archiv")
    dovecot.deliver(user, mail(3))
    context.clock.advance(10**9)  # the mails of this test come before the channel
    async with running(context, dovecot, user, older="leave"):
        dovecot.deliver(user, mail(4))
        await moved(dovecot, user, 1)
    assert ids(context.intake) == names(4)
    dovecot.change_uid_validity(user)
    async with running(context, dovecot, user, older="leave"):
        await counted(context, "INBOX", 2)
    assert ids(context.intake) == names(4)
    assert (await progress(context)).fates == {Fate.LEFT: 2}
    channel = imap(context, dovecot, user, older="leave")
    assert await brought(channel) == names(1, 3, 4)
    assert await brought(channel, "Archiv") == names(2)
    assert len(dovecot.mails(user)) == 2


async def brought(channel: Imap, cursor: str = "") -> list[str]:
    """Return the ids of all that a backfill brings."""
    found: list[str] = []
    while True:
        page: Page = await channel.fetch(cursor)
        found += [event.id for event in page.events if isinstance(event, Received)]
        if not page.next:
            return found
        cursor = page.next


async def test_a_backfill_goes_by_pages_and_from_the_beginning_if_the_folder_was_numbered_anew(
    context: FakeContext, dovecot: Dovecot, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fernamt_email.history.PAGE_MAILS", 2)
    for n in range(1, 6):
        dovecot.deliver(user, mail(n))
    channel = imap(context, dovecot, user)
    first = await channel.fetch("")
    assert len(first.events) == 2
    assert await brought(channel, first.next) == names(3, 4, 5)
    dovecot.change_uid_validity(user)
    assert await brought(channel, first.next) == names(1, 2, 3, 4, 5)


async def test_a_backfill_of_a_folder_that_is_not_there_is_refused(
    context: FakeContext, dovecot: Dovecot, user: str
) -> None:
    with pytest.raises(Rejected, match="Nirgends"):
        await imap(context, dovecot, user).fetch("Nirgends")


# ---- limits and faults
async def test_a_server_that_allows_no_further_connection_is_left_alone_and_needs_no_login(
    context: FakeContext, dovecot: Dovecot, user: str
) -> None:
    with IMAPClient(dovecot.narrow_host, dovecot.imap_port, ssl=False) as other:
        other.login(user, PASSWORD)
        channel = imap(context, dovecot, user, host=dovecot.narrow_host)
        with pytest.raises(Throttled):
            await channel.fetch("")
        run = asyncio.ensure_future(channel.run())
        await eventually(lambda: len(context.clock.slept) > 2)
        state, reason = context.states[-1]
        assert (state, "Maximum number of connections" in reason) == ("degraded", True)
        waits = context.clock.slept[:3]
        assert all(12 * 2**n <= wait <= 18 * 2**n for n, wait in enumerate(waits)), waits
    dovecot.deliver(user, mail(1))
    await moved(dovecot, user, 1)
    await eventually(lambda: context.states[-1][0] == "up")
    run.cancel()
    await asyncio.wait([run])


@pytest.mark.parametrize("after_bytes", [60, 1_200, 2_000])
@pytest.mark.parametrize("end", ["silence", "reset", "garbage", "close"])
async def test_a_line_that_breaks_anywhere_costs_no_mail_and_makes_none_twice(
    context: FakeContext, dovecot: Dovecot, user: str, end: str, after_bytes: int
) -> None:
    for n in (1, 2, 3):
        dovecot.deliver(user, mail(n))
    async with FaultProxy(dovecot.host, dovecot.imap_port) as proxy:
        proxy.next(WireFault(end=end, after_bytes=after_bytes, of="answer"))  # type: ignore[arg-type]  # of the table above
        settings = {"port": proxy.port, "timeout_s": 0.3, "idle_s": 1.0, "sweep_s": 1.0}
        with pytest.raises(Unreachable):
            async with asyncio.timeout(30), running(context, dovecot, user, **settings) as run:
                await run
        async with running(context, dovecot, user, port=proxy.port):
            await moved(dovecot, user, 3)
    assert len(context.intake.keys) == 3
    assert (await progress(context)).seen == 3


async def test_a_mail_over_which_the_server_breaks_off_each_time_holds_up_no_other(
    context: FakeContext, dovecot: Dovecot, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Mailbox.mail

    async def broken_off(self: Mailbox, uid: int) -> bytes | None:
        if uid == 1:
            raise Unreachable("the connection is gone", certain=True)
        return await whole(self, uid)

    monkeypatch.setattr(Mailbox, "mail", broken_off)
    for n in (1, 2):
        dovecot.deliver(user, mail(n))
    channel = imap(context, dovecot, user)
    for _ in range(LOST_MAX):  # the supervisor starts it again
        with pytest.raises(Unreachable):
            await channel.run()
    assert context.intake.events == []
    run = asyncio.ensure_future(channel.run())
    await context.intake.until(lambda intake: len(intake.events) == 2)
    await moved(dovecot, user, 1)
    run.cancel()
    await asyncio.wait([run])
    poison, other = context.intake.events
    assert isinstance(poison, Unparsed)
    assert "UID 1 in 'INBOX' cannot be fetched: the connection was lost 10 times" in poison.reason
    assert isinstance(other, Received)
    assert len(dovecot.mails(user)) == 1
