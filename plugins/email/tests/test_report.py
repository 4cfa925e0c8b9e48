"""What mail servers say of our mails, in the standard's form and in their own, and what a status code means."""

from __future__ import annotations

import time
from textwrap import dedent

import pytest

from fernamt_email.mime import Part
from fernamt_email.report import Fate, Report, report_of
from fernamt_email.status import explained, meaning

OURS = "<e1.0123456789abcdef@support.test>"
RETURNED = f"From: support@support.test\nTo: Ann <ann@customer.test>\nSubject: Re: Paket\nMessage-ID: {OURS}\n"


def report(text: str) -> Report | None:
    return report_of(Part(dedent(text).lstrip().replace("@OURS@", OURS).encode()))


def only(text: str) -> Fate:
    found = report(text)
    assert found is not None
    assert found.original_id == OURS
    [fate] = found.fates
    return fate


QMAIL = """
    Return-Path: <>
    From: MAILER-DAEMON@mx.customer.test
    Subject: failure notice

    Hi. This is the qmail-send program at mx.customer.test.
    I'm afraid I wasn't able to deliver your message to the following addresses.
    This is a permanent error; I've given up. Sorry it didn't work out.

    <ann@customer.test>:
    192.0.2.7 does not like recipient.
    Remote host said: 550 5.1.1 User unknown
    Giving up on 192.0.2.7.

    --- Below this line is a copy of the message.

    Return-Path: <support@support.test>
    From: support@support.test
    To: ann@customer.test
    Message-ID: @OURS@

    Guten Tag
    """
EXIM = """
    Return-path: <>
    X-Failed-Recipients: ann@customer.test
    Auto-Submitted: auto-replied
    From: Mail Delivery System <Mailer-Daemon@mx.customer.test>
    Subject: Mail delivery failed: returning message to sender

    This message was created automatically by mail delivery software.

    A message that you sent could not be delivered to one or more of its
    recipients. This is a permanent error. The following address(es) failed:

      ann@customer.test
        SMTP error from remote mail server after RCPT TO:<ann@customer.test>:
        552-5.2.2 The email account that you tried to reach is over quota.

    ------ This is a copy of the message, including all the headers. ------

    To: ann@customer.test
    Message-Id: @OURS@
    """
GERMAN = """
    From: Postmaster <postmaster@mx.kunde.test>
    Subject: Unzustellbar: Re: Paket
    MIME-Version: 1.0
    Content-Type: multipart/mixed; boundary=x

    --x
    Content-Type: text/plain; charset=utf-8

    Ihre Nachricht konnte nicht zugestellt werden: Empfänger unbekannt.
    --x
    Content-Type: message/rfc822

    From: support@support.test
    To: ann@customer.test
    Message-ID: @OURS@

    Guten Tag
    --x--
    """
LATE = """
    Return-Path: <>
    From: Mail Delivery Subsystem <MAILER-DAEMON@mx.customer.test>
    Subject: Warning: could not send message for past 4 hours

    Your message to <ann@customer.test> is delayed. You do not need to resend it.
    451 4.4.1 No answer from host

    ----- Original message -----
    To: ann@customer.test
    Message-ID: @OURS@
    """


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (QMAIL, Fate(address="ann@customer.test", action="failed", status="5.1.1", said="550 5.1.1 User unknown")),
        (
            EXIM,
            Fate(
                address="ann@customer.test",
                action="failed",
                status="5.2.2",
                said="552-5.2.2 The email account that you tried to reach is over quota.",
            ),
        ),
        (GERMAN, Fate(address="ann@customer.test", action="failed")),
        (LATE, Fate(address="ann@customer.test", action="delayed", status="4.4.1", said="451 4.4.1 No answer from host")),
    ],
    ids=["qmail", "Exim", "a German gateway", "sendmail is late"],
)  # fmt: skip
def test_a_report_without_the_standards_form_is_read_as_a_person_reads_it(text: str, expected: Fate) -> None:
    assert only(text) == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("From: MAILER-DAEMON@mx.customer.test", "From: ann@customer.test"),
        ("Message-ID: @OURS@", "X-Nothing: here"),
        ("550 5.1.1 User unknown", "Thank you"),
    ],
    ids=["written by a person", "returns no mail", "says nothing of failure"],
)
def test_what_is_no_report_is_not_taken_for_one(old: str, new: str) -> None:
    text = QMAIL.replace(old, new)
    if "Return-Path: <>" in text and old.startswith("From"):
        text = text.replace("Return-Path: <>", "Return-Path: <ann@customer.test>")
    if new == "Thank you":
        told = text[text.index("Hi. This") : text.index("---")]
        text = text.replace(told, "Hello\n\n    ").replace("failure notice", "hello")
    assert report(text) is None


def test_the_returned_mail_says_whom_we_wrote_to_where_the_report_names_whom_it_reached() -> None:
    text = f"""\
Content-Type: multipart/report; report-type=delivery-status; boundary=x

--x
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.customer.test

Final-Recipient: rfc822; ann.lee@inner.customer.test
Action: failed
Status: 5.0.0
Diagnostic-Code: smtp; 554 5.7.26 unauthenticated mail

--x
Content-Type: message/rfc822-headers

{RETURNED}
--x--
"""
    fate = only(text)
    assert (fate.address, fate.status) == ("ann@customer.test", "5.0.0")


@pytest.mark.parametrize(
    ("kind", "told"), [("abuse", True), ("opt-out", True), ("not-spam", False), ("auth-failure", False)]
)
def test_a_complaint_names_who_complained_although_the_provider_hides_it(kind: str, told: bool) -> None:
    text = f"""\
From: feedback@provider.test
Content-Type: multipart/report; report-type=feedback-report; boundary=x

--x
Content-Type: text/plain

This is a report.
--x
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: Provider/1
Original-Rcpt-To: 7f3a@redacted.provider.test

--x
Content-Type: message/rfc822

{RETURNED}
Guten Tag
--x--
"""
    if told:
        assert only(text) == Fate(address="ann@customer.test", action="complained", said=kind)
    else:
        assert report(text) is None


@pytest.mark.parametrize(
    "line", ["-" * 60_000, "> " * 30_000, "_- " * 20_000, "a@" * 30_000, "450 " * 15_000, "is " * 20_000]
)
def test_a_text_that_was_made_to_keep_us_busy_does_not(line: str) -> None:
    began = time.process_time()
    report(f"Return-Path: <>\nFrom: MAILER-DAEMON@x.test\n\n{line}\n")
    assert time.process_time() - began < 1.0


# ---- what codes mean
@pytest.mark.parametrize(
    ("status", "english", "german"),
    [
        ("5.1.1", "The mailbox does not exist", "Das Postfach gibt es nicht"),
        ("4.2.2", "The mailbox is full", "Das Postfach ist voll"),
        ("5.1.10", "The domain of the address takes no mail", "Die Domain der Adresse nimmt keine E-Mail an"),
        ("5.4.99", "The way to the recipient's mail server is disturbed", "Der Weg zum Mailserver des Empfängers ist gestört"),
        ("5.0.0", "The mail could not be delivered", "Die E-Mail konnte nicht zugestellt werden"),
        ("", "The mail could not be delivered", "Die E-Mail konnte nicht zugestellt werden"),
    ],
)  # fmt: skip
def test_a_status_code_is_a_sentence_in_both_languages(status: str, english: str, german: str) -> None:
    assert (meaning(status, "en"), meaning(status, "de")) == (english, german)


def test_what_the_server_said_stands_behind_the_sentence() -> None:
    assert explained("5.1.1", "550 no", "de") == "Das Postfach gibt es nicht; gemeldet wurde: 550 no"
    assert explained("", "", "en", late=True) == "It is late, and the mail server goes on trying"


def test_who_is_behind_an_alias_of_theirs_is_not_whom_we_wrote_to() -> None:
    member = "Final-Recipient: rfc822; {}@inner.customer.test\nAction: failed\nStatus: 5.1.1\n\n"
    raw = (
        "From: MAILER-DAEMON@customer.test\nContent-Type: multipart/report; boundary=x\n\n"
        "--x\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.customer.test\n\n"
        f"{member.format('eve')}{member.format('max')}"
        f"--x\nContent-Type: text/rfc822-headers\n\n{RETURNED}\n--x--\n"
    )
    found = report_of(Part(raw.encode()))
    assert found is not None
    assert [fate.address for fate in found.fates] == ["ann@customer.test"] * 2
