"""What a mail becomes for intake: messages, receipts, things of no interest, quarantine."""

from __future__ import annotations

from textwrap import dedent

import pytest
from attrs import evolve

from fernamt import (
    Address,
    Blob,
    ChannelId,
    DeliveryState,
    Ignored,
    InboundEvent,
    Lines,
    NotStored,
    Receipt,
    Received,
    Rejected,
    Unparsed,
    Unreachable,
)
from fernamt.testing import FakeContext
from fernamt_email import reading
from fernamt_email.identity import Identity
from fernamt_email.reading import Reader

from .given import CHANNEL

US = Identity(channel=CHANNEL, address="support@example.org", aliases=frozenset({"info@example.org"}), delimiter="+")
SENT = US.message_id("e1")


def mail(text: str) -> bytes:
    return dedent(text).lstrip("\n").replace("\n", "\r\n").encode()


async def read(context: FakeContext, raw: bytes, trace: bytes = b"") -> list[InboundEvent]:
    events, _ = await Reader(US, context).read(raw, trace=trace)
    return events


async def read_one(context: FakeContext, raw: bytes) -> Received:
    [event] = await read(context, raw)
    assert isinstance(event, Received)
    return event


QUESTION = """
    From: Ann <Ann@Customer.test>
    To: Support <support@example.org>, info@example.org, Bob <bob@customer.test>
    Cc: support+t0k3n-1@example.org
    Subject: Paket
    Message-ID: <q1@customer.test>
    References: <a@example.org> <b@example.org>
    In-Reply-To: <b@example.org>

    Wo ist es?
    """


async def test_a_mail_becomes_a_message_that_finds_its_conversation(context: FakeContext) -> None:
    found = await read_one(context, mail(QUESTION))
    assert found.sender == Address("email", "ann@customer.test")
    assert found.sender_name == "Ann"
    assert found.cc == (Address("email", "bob@customer.test"),)
    assert (found.id, found.thread.place) == ("<q1@customer.test>", "<q1@customer.test>")
    assert found.thread.token == "t0k3n-1"
    assert found.thread.references == ("<b@example.org>", "<a@example.org>")
    assert (found.subject, found.text, found.automatic) == ("Paket", "Wo ist es?\n", False)


async def test_what_was_said_before_is_named_by_its_lines_and_a_signature_that_nobody_checked_is_told(
    context: FakeContext,
) -> None:
    raw = b"From: ann@customer.test\r\nContent-Type: multipart/signed; boundary=x\r\n\r\n--x\r\n\r\nYes.\r\n\r\n"
    raw += b"On Fri, 20 Nov 2026 at 10:00, Support <support@example.org> wrote:\r\n> All well?\r\n\r\n-- \r\nAnn\r\n--x--\r\n"
    found = await read_one(context, raw)
    assert found.folded == (Lines(2, 4), Lines(5, 7, "signature"))
    assert found.marks == ("signed",)
    assert "> All well?" in found.text


async def test_the_address_where_it_arrived_brings_the_token(context: FakeContext) -> None:
    [found] = await read(context, mail(QUESTION), trace=b"Delivered-To: support+envelope@example.org\r\n")
    assert isinstance(found, Received)
    assert found.thread.token == "envelope"


async def test_the_trace_that_we_add_changes_no_key(context: FakeContext) -> None:
    one = await read(context, mail(QUESTION))
    two = await read(context, mail(QUESTION), trace=b"Return-Path: <ann@customer.test>\r\n")
    assert isinstance(one[0], Received)
    assert isinstance(two[0], Received)
    assert one[0].key == two[0].key


async def test_small_files_travel_along_and_large_ones_are_stored(context: FakeContext) -> None:
    large = b"A" * 100_000
    raw = (
        b"From: ann@customer.test\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
        b"--x\r\nContent-Type: text/plain; name=small.txt\r\n\r\nsmall\r\n"
        b"--x\r\nContent-Type: application/pdf; name=large.pdf\r\n\r\n" + large + b"\r\n--x--\r\n"
    )
    events, kept = await Reader(US, context).read(raw)
    [found] = events
    assert isinstance(found, Received)
    small, big = found.attachments
    assert small.content == b"small"
    assert isinstance(big.content, Blob)
    assert context.blobs.kept[big.content.digest] == large
    assert isinstance(kept, Blob)
    assert context.blobs.kept[kept.digest] == raw


async def test_a_large_mail_is_read_off_the_loop_with_the_same_result(
    context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = await read_one(context, mail(QUESTION))
    monkeypatch.setattr(reading, "THREAD_FROM_BYTES", 10)
    monkeypatch.setattr(reading, "HASH_THREAD_FROM_BYTES", 10)
    assert await read_one(context, mail(QUESTION)) == here


async def test_a_full_disk_is_no_fault_of_the_mail(context: FakeContext) -> None:
    context.blobs.refuse = 1
    with pytest.raises(NotStored):
        await read(context, b"From: ann@customer.test\r\n\r\n" + b"words " * 20_000)


async def test_our_own_mail_coming_back_is_no_message(context: FakeContext) -> None:
    raw = mail(QUESTION).replace(b"<q1@customer.test>", SENT.encode())
    assert await read(context, raw) == [Ignored(reason="our own mail")]


async def test_what_we_wrote_with_a_store_that_is_lost_is_no_message(context: FakeContext) -> None:
    lost = evolve(US, secret="of a store that is lost").message_id("e1")
    raw = mail(QUESTION).replace(b"<q1@customer.test>", lost.encode())
    assert isinstance((await read(context, raw))[0], Received)
    assert await read(context, raw.replace(b"Ann@Customer.test", b"info@example.org")) == [
        Ignored(reason="our own mail")
    ]


async def test_a_probe_of_a_check_is_no_message_and_tells_nothing_of_an_answer(context: FakeContext) -> None:
    check, daemon = evolve(US, secret="of no store").of_a_probe(), evolve(US, secret="of the store")
    probe = check.message_id("e1")
    for raw in (
        mail(QUESTION).replace(b"<q1@customer.test>", probe.encode()),
        report(FAILED, original=f"Message-ID: {probe}"),
    ):
        events, _ = await Reader(daemon, context).read(raw)
        assert events == [Ignored(reason="our own mail")]


async def test_a_mail_from_our_own_address_gets_no_automatic_answer(context: FakeContext) -> None:
    found = await read_one(context, mail(QUESTION).replace(b"Ann@Customer.test", b"info@example.org"))
    assert found.automatic


async def test_a_mail_that_names_nobody_is_quarantined(context: FakeContext) -> None:
    [found] = await read(context, b"Subject: Hello\r\n\r\nHello\r\n")
    assert isinstance(found, Unparsed)
    assert found.reason == "the mail names no sender"


async def test_a_mail_that_breaks_the_parser_is_quarantined(
    context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(raw: bytes, *, key: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(reading, "parse", breaks)
    [found] = await read(context, mail(QUESTION))
    assert isinstance(found, Unparsed)
    assert found.reason == "the mail cannot be read (ZeroDivisionError)"


async def test_a_mail_of_too_many_parts_is_quarantined(context: FakeContext) -> None:
    raw = b"From: a@b.test\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\nhi\r\n" * 300
    [found] = await read(context, raw)
    assert isinstance(found, Unparsed)
    assert "more than 200 parts" in found.reason


# ---- automatic mail
@pytest.mark.parametrize(
    "field",
    [
        "Auto-Submitted: auto-replied",
        'Auto-Submitted: auto-replied; owner-email="ann@customer.test"',
        "Auto-Submitted: Auto-Generated (vacation)",
        "Precedence: bulk",
        "Precedence: LIST",
        "X-Auto-Response-Suppress: DR, OOF, AutoReply",
        "X-Auto-Response-Suppress: All",
        "List-Id: News <news.customer.test>",
        "List-Unsubscribe: <mailto:out@customer.test>",
        "X-Autoreply: yes",
        "X-Autorespond:",
        "X-Loop: ann@customer.test",
        "Feedback-Type: abuse",
        "Return-Path: <>",
        "Content-Type: multipart/report; boundary=x",
        "From: MAILER-DAEMON@customer.test (Mail Delivery System)",
        "From: postmaster@customer.test",
        "X-MS-Exchange-Inbox-Rules-Loop: ann@customer.test",
    ],
)
async def test_a_mail_written_by_a_machine_is_known_as_such(context: FakeContext, field: str) -> None:
    assert (await read_one(context, f"{field}\r\nFrom: ann@customer.test\r\n\r\nHi\r\n".encode())).automatic


@pytest.mark.parametrize(
    "field",
    [
        "Auto-Submitted: no",
        "Auto-Submitted: no (really)",
        "Precedence: first-class",
        "Return-Path: <ann@customer.test>",
        "X-Auto-Response-Suppress: none",
        "Subject: Out of office",
        "Sender: postmaster@customer.test",
    ],
)
async def test_a_mail_written_by_a_person_is_not_taken_for_a_machines(context: FakeContext, field: str) -> None:
    assert not (await read_one(context, f"{field}\r\nFrom: ann@customer.test\r\n\r\nHi\r\n".encode())).automatic


# ---- reports
def report(*recipients: str, original: str = f"Message-ID: {SENT}", kind: str = "text/rfc822-headers") -> bytes:
    blocks = "\n\n".join(recipients)
    head = """\
Return-Path: <>
From: MAILER-DAEMON@mx.customer.test
To: support@example.org
Subject: Undelivered Mail Returned to Sender
Message-ID: <bounce-1@mx.customer.test>
Auto-Submitted: auto-replied
Date: Fri, 20 Nov 2026 11:00:00 +0100
Content-Type: multipart/report; report-type=delivery-status; boundary=x

--x
Content-Type: text/plain

Sorry.
--x
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.customer.test
Arrival-Date: Fri, 20 Nov 2026 10:59:00 +0100

"""
    return f"{head}{blocks}\n\n--x\nContent-Type: {kind}\n\nSubject: Re: Paket\n{original}\n\n--x--\n".replace(
        "\n", "\r\n"
    ).encode()


FAILED = """\
Original-Recipient: rfc822;ann@customer.test
Final-Recipient: rfc822;ann.lee@inner.customer.test
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 <ann@customer.test>: no such
 user here"""
FULL = """\
Final-Recipient: RFC822; Bob@Customer.test
Action: Failed
Status: 5.2.2 (mailbox full)"""
DELAYED = """\
Final-Recipient: rfc822; cid@customer.test
Action: delayed
Status: 4.4.1"""
DELIVERED = """\
Final-Recipient: rfc822; dan@customer.test
Action: delivered
Status: 2.0.0"""


@pytest.mark.parametrize("kind", ["text/rfc822-headers", "message/rfc822"])
async def test_a_report_of_failure_settles_each_recipient(context: FakeContext, kind: str) -> None:
    ann, cid, bob, dan = await read(context, report(FAILED, DELAYED, FULL, DELIVERED, kind=kind))
    assert isinstance(cid, Receipt)
    assert isinstance(dan, Receipt)
    assert [one.state for one in (cid, dan)] == [DeliveryState.SENT, DeliveryState.DELIVERED]
    assert isinstance(ann, Receipt)
    assert isinstance(bob, Receipt)
    assert (ann.id, ann.state, ann.address) == (SENT, DeliveryState.FAILED, Address("email", "ann@customer.test"))
    assert isinstance(ann.error, Rejected)
    assert (ann.error.code, ann.error.reason) == (
        "5.1.1",
        "The mailbox does not exist; it said: 550 5.1.1 <ann@customer.test>: no such user here",
    )
    assert bob.address == Address("email", "bob@customer.test")
    assert isinstance(bob.error, Rejected)
    assert bob.error.code == "5.2.2"
    assert ann.key != bob.key


async def test_a_report_read_twice_has_the_same_keys(context: FakeContext) -> None:
    keys = [
        [event.key for event in await read(context, report(FAILED, FULL)) if isinstance(event, Receipt)] for _ in "12"
    ]
    assert keys[0] == keys[1]
    assert len(keys[0]) == 2


async def test_a_report_of_delay_says_why_it_is_late(context: FakeContext) -> None:
    [late] = [event for event in await read(context, report(DELAYED)) if isinstance(event, Receipt)]
    assert (late.state, late.address) == (DeliveryState.SENT, Address("email", "cid@customer.test"))
    assert isinstance(late.error, Unreachable)
    assert late.error.reason == (
        "It is late, and the mail server goes on trying: The recipient's mail server does not answer"
    )


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(report(DELIVERED.replace("delivered", "relayed")), id="of nothing new"),
        pytest.param(report(FAILED, original="X-No: id"), id="on an unnamed mail"),
        pytest.param(report(FAILED, original="Message-ID: <other@example.org>"), id="on a mail that we never sent"),
        pytest.param(report("Action: failed\nStatus: 5.0.0"), id="on nobody"),
        pytest.param(report(FAILED).replace(b"delivery-status", b"disposition-notification"), id="of another kind"),
    ],
)
async def test_a_report_that_settles_nothing_is_shown_as_automatic_mail(context: FakeContext, raw: bytes) -> None:
    assert (await read_one(context, raw)).automatic


async def test_a_report_on_an_unknown_mail_still_refers_to_it(context: FakeContext) -> None:
    found = await read_one(context, report(FAILED, original="Message-ID: <other@example.org>"))
    assert found.thread.references == ("<other@example.org>",)


# ---- threads
FORWARD = """
    From: Eva <eva@example.org>
    To: support@example.org
    Cc: chef@example.org
    Subject: WG: Paket
    Message-ID: <f1@example.org>
    References: <b@example.org>

    Bitte antworten.

    -----Original Message-----
    From: Ann <ann@customer.test>
    Subject: Paket

    Wo ist es?
    """
WITH_AGENTS = evolve(US, agents=frozenset({"@example.org"}), aliases=frozenset({"info@example.org"}))


async def test_who_wrote_what_a_colleague_passes_on_is_the_customer(context: FakeContext) -> None:
    [found], _ = await Reader(WITH_AGENTS, context).read(mail(FORWARD))
    assert isinstance(found, Received)
    assert (found.sender, found.sender_name, found.subject) == (Address("email", "ann@customer.test"), "Ann", "Paket")
    assert (found.cc, found.thread.references, found.automatic, found.silent) == ((), (), True, False)
    assert "Bitte antworten." in found.text


async def test_a_mail_passed_on_as_a_file_is_its_writers(context: FakeContext) -> None:
    raw = (
        b"From: eva@example.org\r\nSubject: FW: Paket\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
        b"--x\r\nContent-Type: message/rfc822\r\n\r\nFrom: Ann <ann@customer.test>\r\nSubject: Paket\r\n\r\nHi\r\n--x--\r\n"
    )
    [found], _ = await Reader(WITH_AGENTS, context).read(raw)
    assert isinstance(found, Received)
    assert (found.sender, found.subject) == (Address("email", "ann@customer.test"), "Paket")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"eva@example.org", b"eve@elsewhere.test"),
        (b"ann@customer.test", b"chef@example.org"),
        (b"ann@customer.test", b"info@example.org"),
        (b"Subject: WG: Paket", b"Auto-Submitted: auto-generated\r\nSubject: WG: Paket"),
    ],
    ids=["a stranger passes it on", "a colleague wrote it", "we wrote it", "a machine passes it on"],
)
async def test_what_is_passed_on_otherwise_is_its_senders(context: FakeContext, old: bytes, new: bytes) -> None:
    raw = mail(FORWARD).replace(old, new)
    [found], _ = await Reader(WITH_AGENTS, context).read(raw)
    assert isinstance(found, Received)
    assert found.sender.value in ("eva@example.org", "eve@elsewhere.test")


async def test_the_sign_in_a_subject_is_taken_out_and_joins(context: FakeContext) -> None:
    raw = mail(QUESTION).replace(b"Subject: Paket", b"Subject: AW: Paket [#C-4fk2qz]")
    [found], _ = await Reader(evolve(US, tagged=True), context).read(raw)
    assert isinstance(found, Received)
    assert (found.thread.hint, found.subject, found.thread.learns) == ("c-4fk2qz", "AW: Paket", True)


@pytest.mark.parametrize(("sign", "hint"), [("[#INC-0012345]", ""), ("[#it-234567]", "it-234567")])
async def test_the_sign_of_another_help_desk_stays_for_our_answer(context: FakeContext, sign: str, hint: str) -> None:
    found = await read_one(context, mail(QUESTION).replace(b"Subject: Paket", f"Subject: AW: Paket {sign}".encode()))
    assert (found.thread.hint, found.subject) == (hint, f"AW: Paket {sign}")


# ---- what our own server says
CHECKED = b"Authentication-Results: mx.example.org; dmarc=pass; dkim=pass; spf=softfail\r\n"


async def read_checked(context: FakeContext, raw: bytes, identity: Identity = US) -> Received:
    [event], _ = await Reader(identity, context, authserv_id="mx.example.org").read(raw)
    assert isinstance(event, Received)
    return event


async def test_what_was_checked_is_shown_beside_whom_it_was_checked_of(context: FakeContext) -> None:
    found = await read_checked(context, CHECKED + mail(QUESTION))
    assert (found.marks, found.automatic) == (("dmarc=pass", "dkim=pass", "spf=softfail"), False)


async def test_whom_only_reply_to_names_nobody_has_checked(context: FakeContext) -> None:
    forged = mail(QUESTION).replace(
        b"From: Ann <Ann@Customer.test>", b"From: x@evil.test\r\nReply-To: ann@customer.test"
    )
    found = await read_checked(context, CHECKED + forged)
    assert (found.sender.value, found.marks) == ("ann@customer.test", ("spf=softfail",))


async def test_whose_mail_a_colleague_passes_on_nobody_has_checked(context: FakeContext) -> None:
    found = await read_checked(context, CHECKED + mail(FORWARD), WITH_AGENTS)
    assert (found.sender.value, found.marks) == ("ann@customer.test", ("spf=softfail",))


async def test_a_forged_mail_gets_no_automatic_answer(context: FakeContext) -> None:
    found = await read_checked(context, CHECKED.replace(b"dmarc=pass", b"dmarc=fail") + mail(QUESTION))
    assert (found.marks[0], found.automatic) == ("dmarc=fail", True)


async def test_a_mail_of_another_channel_of_ours_gets_no_automatic_answer(context: FakeContext) -> None:
    other = evolve(US, channel=ChannelId("sales"), address="sales@example.org").message_id("e1")
    found = await read_one(context, mail(QUESTION).replace(b"<q1@customer.test>", other.encode()))
    assert (found.automatic, found.silent) == (True, False)


async def test_several_ids_in_one_field_are_all_looked_for(context: FakeContext) -> None:
    raw = mail(QUESTION).replace(b"In-Reply-To: <b@example.org>", b"In-Reply-To: <x@y.test> (a) <z@y.test>")
    found = await read_one(context, raw)
    assert found.thread.references[:2] == ("<x@y.test>", "<z@y.test>")
