"""A mailbox on a real Dovecot: every mail once, whatever is cut off and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count, groupby
from typing import Any

import pytest
from imapclient import IMAPClient

from fernamt import Address, Blob, Channel, NeedsLogin, Received, Receives, Secret, Unparsed, Unreachable
from fernamt.testing import FakeContext, FakeIntake
from fernamt_email import mailbox
from fernamt_email.imap import Imap
from fernamt_email.settings import ImapSettings, SmtpSettings

from .dovecot import Dovecot
from .given import CHANNEL, message
from .sink import Sink

pytestmark = pytest.mark.slow


def mail(n: int, words: str = "Hallo") -> bytes:
    head = f"From: ann@customer.test\r\nTo: support@support.test\r\nMessage-ID: <m{n}@customer.test>\r\nSubject: {n}\r\n\r\n"
    return f"{head}{words}\r\n".encode()


def imap(context: FakeContext, dovecot: Dovecot, user: str, **changes: Any) -> Imap:
    values: dict[str, Any] = {
        "address": "support@support.test",
        "host": dovecot.host,
        "port": dovecot.imap_port,
        "security": "none",
        "user": user,
        "password": Secret("secret"),
        "timeout_s": 5.0,
        "smtp": SmtpSettings(host="127.0.0.1", port=25, security="none"),
    }
    settings = ImapSettings(**{**values, **changes})
    return Imap(Channel(id=CHANNEL, name="Support", kind="email.imap", settings=settings, url=""), context)


@asynccontextmanager
async def running(
    context: FakeContext, dovecot: Dovecot, user: str, **changes: Any
) -> AsyncIterator[asyncio.Future[None]]:
    """Run the channel; a fault of it is a fault of the test unless the test takes it."""
    context.reported.clear()
    run = asyncio.ensure_future(imap(context, dovecot, user, **changes).run())
    ready = asyncio.ensure_future(context.ready())
    try:
        await asyncio.wait([run, ready], return_when=asyncio.FIRST_COMPLETED)
        if run.done():
            run.result()
        yield run
    finally:
        ready.cancel()
        run.cancel()
        await asyncio.wait([run])


def ids(intake: FakeIntake) -> list[str]:
    return [event.id for event in intake.events if isinstance(event, Received)]


def names(*numbers: int) -> list[str]:
    return [f"<m{n}@customer.test>" for n in numbers]


async def eventually(holds: Callable[[], bool]) -> None:
    """Return when *holds* is true of the server's files."""
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.01)


async def moved(dovecot: Dovecot, user: str, count: int) -> None:
    """Return when so many mails are in the folder for what is done, and no longer in the inbox too."""

    def ids_in(folder: str) -> set[str]:
        return {raw.decode().partition("Message-ID: ")[2].partition("\n")[0] for raw in dovecot.mails(user, folder)}

    await eventually(
        lambda: len(dovecot.mails(user, "Processed")) == count and not ids_in("INBOX") & ids_in("Processed")
    )


async def test_what_is_there_is_taken_in_order_and_moved(context: FakeContext, dovecot: Dovecot, user: str) -> None:
    for n in (1, 2, 3):
        dovecot.deliver(user, mail(n))
    async with running(context, dovecot, user):
        await moved(dovecot, user, 3)
        await eventually(lambda: context.states == [("up", ""), ("up", "INBOX: 3 mails: 3 stored")])
    assert ids(context.intake) == names(1, 2, 3)
    await eventually(lambda: dovecot.mails(user) == [])
    [first, *_] = context.intake.events
    assert isinstance(first, Received)
    assert first.sender == Address("email", "ann@customer.test")
    cursors = [taken.cursor for taken in context.intake.taken if taken.cursor]
    assert [(cursor.name, cursor.value.partition(":")[2]) for cursor in cursors] == [
        ("INBOX", f"{n}:0:0 seen={n} stored={n}") for n in (1, 2, 3)
    ]


async def test_a_mail_is_moved_only_after_it_is_stored(context: FakeContext, dovecot: Dovecot, user: str) -> None:
    context.intake.hold = asyncio.Event()
    dovecot.deliver(user, mail(1))
    async with running(context, dovecot, user):
        await context.intake.entered.wait()
        assert (len(dovecot.mails(user)), dovecot.mails(user, "Processed")) == (1, [])
        context.intake.hold.set()
        await moved(dovecot, user, 1)


async def test_new_mail_is_announced_by_the_server(context: FakeContext, dovecot: Dovecot, user: str) -> None:
    async with running(context, dovecot, user, sweep_s=3_000, idle_s=1_500):
        for n in (1, 2, 3):
            dovecot.deliver(user, mail(n))
            await context.intake.until(lambda intake, n=n: len(intake.events) == n)  # type: ignore[misc]  # n is bound


async def test_a_mail_that_comes_between_the_look_and_the_wait_is_noticed(
    context: FakeContext, dovecot: Dovecot, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = mailbox.Mailbox.wait
    delivered: list[str] = []

    async def late(box: mailbox.Mailbox, seconds: float) -> None:
        if not delivered:
            delivered.append(user)
            await asyncio.to_thread(dovecot.deliver, user, mail(1))
        await wait(box, seconds)

    monkeypatch.setattr(mailbox.Mailbox, "wait", late)
    async with running(context, dovecot, user, sweep_s=3_000, idle_s=1_500), asyncio.timeout(20):
        await context.intake.until(lambda intake: len(intake.events) == 1)


async def test_without_idle_the_mailbox_is_looked_at_again_and_again(
    context: FakeContext, dovecot: Dovecot, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    has = IMAPClient.has_capability
    monkeypatch.setattr(IMAPClient, "has_capability", lambda self, name: name != "IDLE" and has(self, name))
    async with running(context, dovecot, user, sweep_s=1):
        dovecot.deliver(user, mail(1))
        await context.intake.until(lambda intake: len(intake.events) == 1)


async def test_after_an_idle_of_full_length_the_next_one_begins(
    context: FakeContext, dovecot: Dovecot, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait, waits, again = mailbox.Mailbox.wait, count(1), asyncio.Event()

    async def counted(box: mailbox.Mailbox, seconds: float) -> None:
        if next(waits) == 2:
            again.set()
        await wait(box, seconds)

    monkeypatch.setattr(mailbox.Mailbox, "wait", counted)
    async with running(context, dovecot, user, idle_s=1):
        await again.wait()
        dovecot.deliver(user, mail(1))
        await context.intake.until(lambda intake: len(intake.events) == 1)


# ---- cut off
async def test_a_connection_that_the_server_closes_is_a_fault_that_can_be_tried_again(
    context: FakeContext, dovecot: Dovecot, user: str
) -> None:
    async with running(context, dovecot, user) as run:
        dovecot.deliver(user, mail(1))
        await moved(dovecot, user, 1)
        dovecot.kick(user)
        async with asyncio.timeout(20):
            with pytest.raises(Unreachable) as caught:
                await run
        assert caught.value.certain
    async with running(context, dovecot, user):
        dovecot.deliver(user, mail(2))
        await moved(dovecot, user, 2)
    assert ids(context.intake) == names(1, 2)


async def test_a_mail_that_was_stored_but_not_moved_is_offered_again_and_moved(
    context: FakeContext, dovecot: Dovecot, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(box: mailbox.Mailbox, uid: int) -> None:
        raise Unreachable("the machine is gone", certain=True)

    dovecot.deliver(user, mail(1))
    dovecot.deliver(user, mail(2))
    with monkeypatch.context() as patch:
        patch.setattr(mailbox.Mailbox, "move", dies)
        with pytest.raises(Unreachable):
            async with running(context, dovecot, user) as run:
                await run
    assert len(dovecot.mails(user)) == 2
    async with running(context, dovecot, user):
        await moved(dovecot, user, 2)
    assert ids(context.intake) == names(1, 1, 2)
    assert len(context.intake.keys) == 2
    assert (await context.cursor("INBOX")).endswith(":2:0:0 seen=2 stored=2")


async def test_offering_an_old_mail_again_does_not_set_the_cursor_back(
    context: FakeContext, dovecot: Dovecot, user: str
) -> None:
    dovecot.deliver(user, mail(1))
    async with running(context, dovecot, user, done_folder=""):
        await context.intake.until(lambda intake: len(intake.events) == 1)
    validity = (await context.cursor("INBOX")).partition(":")[0]
    context.intake.taken.clear()
    context.cursors["INBOX"] = f"{validity}:7"
    async with running(context, dovecot, user):
        await moved(dovecot, user, 1)
    assert (await context.cursor("INBOX")).startswith(f"{validity}:7:")


async def test_a_folder_that_was_numbered_anew_is_read_anew(context: FakeContext, dovecot: Dovecot, user: str) -> None:
    dovecot.deliver(user, mail(1))
    dovecot.deliver(user, mail(2))
    async with running(context, dovecot, user, done_folder=""):
        await context.intake.until(lambda intake: len(intake.events) == 2)
    validity = dovecot.change_uid_validity(user)
    dovecot.deliver(user, mail(3))
    async with running(context, dovecot, user, done_folder=""):
        await context.intake.until(lambda intake: len(intake.keys) == 3)
    assert ids(context.intake) == names(1, 2, 1, 2, 3)
    assert await context.cursor("INBOX") == f"{validity}:3:0:0 seen=3 stored=1 known=2"


async def test_mails_that_stay_are_not_read_twice(context: FakeContext, dovecot: Dovecot, user: str) -> None:
    dovecot.deliver(user, mail(1))
    async with running(context, dovecot, user, done_folder=""):
        await context.intake.until(lambda intake: len(intake.events) == 1)
    dovecot.deliver(user, mail(2))
    async with running(context, dovecot, user, done_folder=""):
        await context.intake.until(lambda intake: len(intake.events) == 2)
    assert ids(context.intake) == names(1, 2)
    assert len(dovecot.mails(user)) == 2


async def test_a_mail_that_was_read_elsewhere_is_taken_too(context: FakeContext, dovecot: Dovecot, user: str) -> None:
    dovecot.deliver(user, mail(1))
    with IMAPClient(dovecot.host, dovecot.imap_port, ssl=False) as other:
        other.login(user, "secret")
        other.select_folder("INBOX")
        other.add_flags([1], [b"\\Seen", b"\\Flagged"])
    async with running(context, dovecot, user):
        await moved(dovecot, user, 1)
    assert ids(context.intake) == names(1)


# ---- what goes wrong with one mail
async def test_a_mail_under_an_id_that_was_used_before_is_another_mail(
    context: FakeContext, dovecot: Dovecot, user: str
) -> None:
    dovecot.deliver(user, mail(1))
    dovecot.deliver(user, mail(1, "Etwas anderes"))
    dovecot.deliver(user, mail(1))
    async with running(context, dovecot, user):
        await moved(dovecot, user, 3)
    assert (len(context.intake.events), len(context.intake.keys)) == (3, 2)


async def test_a_mail_that_is_too_large_is_shown_and_stands_in_nobodys_way(
    context: FakeContext, dovecot: Dovecot, user: str
) -> None:
    dovecot.deliver(user, mail(1, "x\r\n" * 30_000))
    dovecot.deliver(user, mail(2))
    async with running(context, dovecot, user, max_bytes=65_536):
        await moved(dovecot, user, 2)
    large, small = context.intake.events
    assert isinstance(large, Received)
    assert large.marks == ("too large",)
    assert large.text.startswith("[Diese Mail ist 0.1 MB groß")
    assert "The whole mail is in the folder 'Processed'" in large.text
    assert large.text.rstrip().endswith("x\nx")
    assert large.id == "<m1@customer.test>"
    head = context.intake.taken[0].raw
    assert isinstance(head, bytes)
    assert len(head) == 65_536
    assert isinstance(small, Received)
    assert small.marks == ()


async def test_a_large_mail_is_kept_as_a_blob(context: FakeContext, dovecot: Dovecot, user: str) -> None:
    dovecot.deliver(user, mail(1, "x" * 70 + "\r\n" + "y\r\n" * 100_000))
    async with running(context, dovecot, user):
        await moved(dovecot, user, 1)
    raw = context.intake.taken[0].raw
    assert isinstance(raw, Blob)
    assert context.blobs.kept[raw.digest].rstrip().endswith(b"y\r\ny")


async def test_a_mail_that_the_server_does_not_hand_out_is_shown_and_stays(
    context: FakeContext, dovecot: Dovecot, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = mailbox.Mailbox.mail

    async def refuses(box: mailbox.Mailbox, uid: int) -> bytes | None:
        if uid == 1:
            raise mailbox.CommandRefused("[SERVERBUG] Internal error")
        return await whole(box, uid)

    monkeypatch.setattr(mailbox.Mailbox, "mail", refuses)
    dovecot.deliver(user, mail(1))
    dovecot.deliver(user, mail(2))
    async with running(context, dovecot, user):
        await moved(dovecot, user, 1)
    broken, good = context.intake.events
    assert isinstance(broken, Unparsed)
    assert "SERVERBUG" in broken.reason
    assert isinstance(good, Received)
    assert len(dovecot.mails(user)) == 1


async def test_a_mail_that_somebody_takes_away_is_no_fault(
    context: FakeContext, dovecot: Dovecot, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = mailbox.Mailbox.mail

    async def taken(box: mailbox.Mailbox, uid: int) -> bytes | None:
        if uid == 1:
            await box.move(uid)
        return await whole(box, uid)

    monkeypatch.setattr(mailbox.Mailbox, "mail", taken)
    dovecot.deliver(user, mail(1))
    dovecot.deliver(user, mail(2))
    async with running(context, dovecot, user):
        await moved(dovecot, user, 2)
    assert ids(context.intake) == names(2)


async def test_a_full_disk_is_waited_for(context: FakeContext, dovecot: Dovecot, user: str) -> None:
    context.blobs.refuse = 2
    dovecot.deliver(user, mail(1, "x\r\n" * 30_000))
    async with running(context, dovecot, user):
        await moved(dovecot, user, 1)
    assert ids(context.intake) == names(1)
    assert context.clock.slept == [3.0, 3.0]


# ---- what goes wrong with moving
async def test_a_folder_for_what_is_done_is_made(context: FakeContext, dovecot: Dovecot, user: str) -> None:
    dovecot.deliver(user, mail(1))
    async with running(context, dovecot, user, done_folder="Erledigt für heute"):
        await eventually(lambda: dovecot.mails(user) == [])
    assert {state for state, _ in context.states} == {"up"}


async def test_a_folder_that_cannot_be_made_is_named_and_mail_is_taken_all_the_same(
    context: FakeContext, dovecot: Dovecot, user: str
) -> None:
    dovecot.deliver(user, mail(1))
    async with running(context, dovecot, user, done_folder="a/../b"):
        await context.intake.until(lambda intake: len(intake.events) == 1)
    for state, reason in context.states:
        assert state == "degraded"
        assert "'a/../b' cannot be created" in reason


async def test_mails_that_cannot_be_moved_degrade_the_channel_until_they_can(
    context: FakeContext, dovecot: Dovecot, user: str
) -> None:
    async with running(context, dovecot, user, done_folder="Weg"):
        dovecot.remove_folder(user, "Weg")
        dovecot.deliver(user, mail(1))
        dovecot.deliver(user, mail(2))
        await context.intake.until(lambda intake: len(intake.events) == 2)
        await eventually(lambda: context.states[-1][0] == "degraded")
        assert len(dovecot.mails(user)) == 2
        dovecot.add_folder(user, "Weg")
        dovecot.deliver(user, mail(3))
        await eventually(lambda: len(dovecot.mails(user, "Weg")) == 1)
        await eventually(lambda: context.states[-1][0] == "up")
    assert ids(context.intake) == names(1, 2, 3)
    assert [state for state, _ in groupby(context.states, key=lambda one: one[0])] == ["up", "degraded", "up"]


@pytest.mark.parametrize(("without", "stays"), [({"MOVE"}, 0), ({"MOVE", "UIDPLUS"}, 1)], ids=["copied", "left"])
async def test_a_server_without_move_is_served_too(
    context: FakeContext,
    dovecot: Dovecot,
    user: str,
    monkeypatch: pytest.MonkeyPatch,
    without: set[str],
    stays: int,
) -> None:
    has = IMAPClient.has_capability
    monkeypatch.setattr(IMAPClient, "has_capability", lambda self, name: name not in without and has(self, name))
    dovecot.deliver(user, mail(1))
    async with running(context, dovecot, user):
        await context.intake.until(lambda intake: len(intake.events) == 1)
        dovecot.deliver(user, mail(2))
        await context.intake.until(lambda intake: len(intake.events) == 2)
    assert ids(context.intake) == names(1, 2)
    assert len(dovecot.mails(user)) >= stays
    assert context.states[0][0] == ("degraded" if stays else "up")


# ---- login
async def test_a_wrong_password_stops_the_channel(context: FakeContext, dovecot: Dovecot, user: str) -> None:
    with pytest.raises(NeedsLogin) as caught:
        await imap(context, dovecot, user, password=Secret("falsch")).run()
    assert user in caught.value.reason
    assert "falsch" not in caught.value.reason
    assert context.states == []


async def test_a_folder_that_is_not_there_is_named(context: FakeContext, dovecot: Dovecot, user: str) -> None:
    with pytest.raises(Unreachable, match="Nirgends"):
        await imap(context, dovecot, user, folders=("Nirgends",)).run()


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_mailbox_is_read_over_tls(context: FakeContext, dovecot: Dovecot, user: str, security: str) -> None:
    dovecot.deliver(user, mail(1))
    port = dovecot.imaps_port if security == "tls" else dovecot.imap_port
    trust = {"security": security, "port": port, "ca_file": dovecot.certificate}
    async with running(context, dovecot, user, **trust):
        await moved(dovecot, user, 1)
        dovecot.deliver(user, mail(2))
        await moved(dovecot, user, 2)
    assert ids(context.intake) == names(1, 2)


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_certificate_that_nobody_vouches_for_is_refused(
    context: FakeContext, dovecot: Dovecot, user: str, security: str
) -> None:
    port = dovecot.imaps_port if security == "tls" else dovecot.imap_port
    with pytest.raises(Unreachable, match="certificate"):
        await imap(context, dovecot, user, security=security, port=port).run()


async def test_verifying_sends_a_probe_and_finds_and_removes_it(
    context: FakeContext, dovecot: Dovecot, user: str
) -> None:
    async with Sink().listening() as sink:
        sink.passed_on = lambda content: dovecot.deliver(
            user, b"Authentication-Results: mx.support.test; spf=pass\r\n" + content
        )
        smtp = SmtpSettings(host="127.0.0.1", port=sink.port, security="none", user="out", password=Secret("geheim"))
        channel = imap(context, dovecot, user, smtp=smtp)
        said = await channel.verify()
        assert said.startswith("support@support.test: a probe came back after")
        assert 'authserv_id = "mx.support.test"' in said
        assert (
            "authserv_id" not in await imap(context, dovecot, user, smtp=smtp, authserv_id="mx.support.test").verify()
        )
        assert sink.logins == ["out", "out"]
        assert [dovecot.mails(user, folder) for folder in ("INBOX", "Processed")] == [[], []]
        sent = await channel.send(message())
        assert sent.ids == (channel.id_for(message()),)
        with pytest.raises(NeedsLogin):
            await imap(context, dovecot, user, smtp=smtp, password=Secret("falsch")).verify()
    assert channel.capabilities().idempotent
    assert isinstance(channel, Receives)


async def test_a_probe_is_found_where_a_daemon_or_a_filter_put_it(
    context: FakeContext, dovecot: Dovecot, user: str
) -> None:
    async with Sink().listening() as sink:
        smtp = SmtpSettings(host="127.0.0.1", port=sink.port, security="none")
        channel = imap(context, dovecot, user, smtp=smtp, spam_folder="Spam")
        for folder, said in (("Processed", "came back"), ("Spam", "into the spam folder")):
            sink.passed_on = lambda content, folder=folder: dovecot.append(user, content, folder)
            assert said in await channel.verify()
            assert dovecot.mails(user, folder) == []


async def test_a_probe_that_does_not_come_back_is_told_with_the_places_where_it_was_looked_for(
    context: FakeContext, dovecot: Dovecot, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fernamt_email.probe.WITHIN_S", 0.3)
    async with Sink().listening() as sink:
        smtp = SmtpSettings(host="127.0.0.1", port=sink.port, security="none")
        with pytest.raises(Unreachable, match="none of 'INBOX', 'Processed'"):
            await imap(context, dovecot, user, smtp=smtp).verify()
