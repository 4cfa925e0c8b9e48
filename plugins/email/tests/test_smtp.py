"""Sending: what each answer of a mail server means for a message."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from fernamt import (
    Address,
    Attachment,
    Blob,
    ChannelError,
    DeliveryState,
    NeedsLogin,
    Purpose,
    Rejected,
    Remote,
    Secret,
    Unreachable,
    Unsupported,
)
from fernamt.testing import FakeContext
from fernamt_email import smtp
from fernamt_email.identity import Identity
from fernamt_email.settings import ListenerSettings, Security, SmtpSettings
from fernamt_email.smtp import CAPABILITIES, Submission

from .dovecot import make_certificate, need_programs
from .given import CHANNEL, message
from .sink import Sink, server


def submission(
    context: FakeContext,
    port: int,
    *,
    security: Security = "none",
    host: str = "127.0.0.1",
    user: str = "",
    password: str = "geheim",
    ca_file: Path | None = None,
    timeout_s: float = 5.0,
    **more: Any,
) -> Submission:
    settings = ListenerSettings(
        **more,
        address="support@example.org",
        sender_name="Hilfe",
        port=2525,
        smtp=SmtpSettings(
            host=host,
            port=port,
            security=security,
            user=user,
            password=Secret(password) if user else None,
            ca_file=ca_file,
            timeout_s=timeout_s,
        ),
    )
    return Submission(settings, Identity.of(CHANNEL, settings, "a secret"), context)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    need_programs({"openssl": "openssl"})
    folder = tmp_path_factory.mktemp("certificate")
    make_certificate(folder / "cert.pem", folder / "key.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return folder / "cert.pem", context


async def failure(context: FakeContext, port: int, **changes: Any) -> ChannelError:
    with pytest.raises(ChannelError) as caught:
        await submission(context, port, **changes).send(message())
    return caught.value


async def test_a_mail_goes_to_one_recipient_and_shows_the_others(context: FakeContext) -> None:
    async with Sink().listening() as sink:
        sent = await submission(context, sink.port).send(message(cc=(Address("email", "bob@customer.test"),)))
    [envelope] = sink.mails
    assert envelope.rcpt_tos == ["ann@customer.test"]
    assert envelope.mail_from == "support@example.org"
    mail = message_from_bytes(envelope.original_content or b"", policy=default)
    assert (mail["To"], mail["Cc"], mail["From"]) == (
        "ann@customer.test",
        "bob@customer.test",
        "Hilfe <support@example.org>",
    )
    assert sent.ids == (mail["Message-ID"],)


async def test_a_machines_mail_has_no_envelope_sender(context: FakeContext) -> None:
    async with Sink().listening() as sink:
        await submission(context, sink.port).send(message(automatic=True))
    assert sink.mails[0].mail_from == "<>"


async def test_a_signed_sender_brings_reports_and_notes_back_to_their_conversation(context: FakeContext) -> None:
    async with Sink().listening() as sink:
        await submission(context, sink.port, signed_sender=True).send(message(reply_token="c-4fk2qz"))
        await submission(context, sink.port, signed_sender=True).send(message(reply_token="c-4fk2qz", automatic=True))
    assert [mail.mail_from for mail in sink.mails] == ["support+c-4fk2qz@example.org", "<>"]


async def test_why_a_mail_was_refused_is_told_in_the_language_of_the_house(context: FakeContext) -> None:
    async with Sink(replies={"RCPT": "550 5.1.1 No such user"}).listening() as sink:
        why = await failure(context, sink.port, house_language="de")
    assert why.reason == "Das Postfach gibt es nicht; gemeldet wurde: 5.1.1 No such user"


async def test_outreach_says_by_whom_it_can_be_stopped(context: FakeContext) -> None:
    async with Sink().listening() as sink:
        await submission(context, sink.port).send(message(purpose=Purpose.OUTREACH))
    mail = message_from_bytes(sink.mails[0].original_content or b"", policy=default)
    assert mail["List-Unsubscribe"].startswith("<mailto:support@example.org?subject=unsubscribe%20stop")


async def test_files_are_read_from_the_store(context: FakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "THREAD_FROM_BYTES", 100_000)
    blob = context.blobs.add(b"A" * 200_000)
    files = (
        Attachment(name="large.bin", media_type="application/pdf", content=blob),
        Attachment(name="small.txt", media_type="text/plain", content=b"small"),
    )
    async with Sink().listening() as sink:
        await submission(context, sink.port).send(message(attachments=files))
    mail = message_from_bytes(sink.mails[0].original_content or b"", policy=default)
    large, small = mail.iter_attachments()
    assert large.get_content() == b"A" * 200_000
    assert small.get_content() == "small"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(Blob("0" * 64, 10), id="erased"),
        pytest.param(Blob("0" * 64, 25_000_001), id="too large"),
        pytest.param(Remote("x"), id="still elsewhere"),
    ],
)
async def test_a_file_that_cannot_be_sent_refuses_the_message(context: FakeContext, content: Blob | Remote) -> None:
    file = Attachment(name="a", media_type="application/pdf", content=content)
    with pytest.raises(Rejected):
        await submission(context, 1).send(message(attachments=(file,)))


# ---- what the answers mean
def again(why: ChannelError) -> bool:
    return isinstance(why, Unreachable) and why.certain


def uncertain(why: ChannelError) -> bool:
    return isinstance(why, Unreachable) and not why.certain


def never(why: ChannelError) -> bool:
    return isinstance(why, Rejected)


def a_person(why: ChannelError) -> bool:
    return isinstance(why, NeedsLogin)


ANSWERS = [
    ("MAIL", "450 4.7.1 Greylisted", again),
    ("MAIL", "421 4.3.2 Shutting down", again),
    ("MAIL", "530 5.7.0 Authentication required", a_person),
    ("MAIL", "550 5.7.1 Sender rejected", never),
    ("MAIL", "552 5.3.4 Message size exceeds fixed limit", never),
    ("MAIL", "cut", again),
    ("MAIL", "silence", again),
    ("RCPT", "450 4.2.0 Greylisted, try again in 60 s", again),
    ("RCPT", "451 Try again later", again),
    ("RCPT", "452 4.2.2 Mailbox full", again),
    ("RCPT", "550 5.1.1 No such user", never),
    ("RCPT", "550 No such user", never),
    ("RCPT", "552 5.2.2 Mailbox full", again),
    ("RCPT", "552 Mailbox full", again),
    ("RCPT", "554 5.2.2 Over quota", again),
    ("RCPT", "553 5.1.3 Bad address", never),
    ("RCPT", "999 Hello", never),
    ("RCPT", "200 Hello", again),
    ("RCPT", "cut", again),
    ("RCPT", "silence", again),
    ("DATA", "451 4.3.0 Try again later", again),
    ("DATA", "421 4.3.2 Shutting down", again),
    ("DATA", "550 5.7.1 Spam", never),
    ("DATA", "552 5.2.2 Mailbox full", again),
    ("DATA", "554 5.6.0 Content rejected", never),
    ("DATA", "200 Hello", uncertain),
    ("DATA", "cut", uncertain),
    ("DATA", "silence", uncertain),
]


@pytest.mark.parametrize(
    ("verb", "reply", "means"), ANSWERS, ids=lambda case: getattr(case, "__name__", str(case)[:30])
)
async def test_each_answer_has_one_meaning(
    context: FakeContext, verb: str, reply: str, means: Callable[[ChannelError], bool]
) -> None:
    async with Sink(replies={verb: reply}).listening() as sink:
        why = await failure(context, sink.port, timeout_s=0.3 if reply == "silence" else 5)
    assert means(why), repr(why)
    if reply[0].isdigit():
        assert why.code == reply[:3]
        assert reply[4:] in why.reason


@pytest.mark.parametrize(
    ("said", "means"),
    [
        pytest.param(b"", again, id="cut before the greeting"),
        pytest.param(b"554 No service for you\r\n", again, id="refused at the greeting"),
        pytest.param(b"421 Busy\r\n", again, id="busy at the greeting"),
        pytest.param(b"\xff\xfe\r\n", again, id="no SMTP"),
        pytest.param(b"220 hi\r\n", again, id="cut after the greeting"),
        pytest.param(b"220 hi\r\n502 EHLO?\r\n502 HELO?\r\n", again, id="knows no greeting"),
    ],
)
async def test_what_goes_wrong_before_a_mail_says_nothing_of_it(
    context: FakeContext, said: bytes, means: Callable[[ChannelError], bool]
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeting, *replies = said.splitlines(keepends=True) or [b""]
        writer.write(greeting)
        for reply in replies:
            await reader.readline()
            writer.write(reply)
        if replies or said.startswith(b"220"):
            await reader.readline()

    async with server(talk) as port:
        assert means(await failure(context, port))


async def test_nobody_there_is_tried_again(context: FakeContext) -> None:
    async with server(lambda *_: asyncio.sleep(0)) as port:
        pass
    assert again(await failure(context, port))


async def test_a_server_that_never_greets_is_tried_again(context: FakeContext) -> None:
    async with server(lambda reader, _: reader.read()) as port:
        assert again(await failure(context, port, timeout_s=0.3))


async def test_an_answer_after_the_mail_was_handed_over_is_waited_for(context: FakeContext) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hi\r\n")
        while line := await reader.readline():
            if line.startswith(b"DATA"):
                writer.write(b"354 go\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                return
            writer.write(b"250 OK\r\n")

    async with server(talk) as port:
        assert uncertain(await failure(context, port))


async def test_a_server_that_parts_rudely_has_taken_the_mail_all_the_same(context: FakeContext) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hi\r\n")
        while line := await reader.readline():
            if line.startswith(b"QUIT"):
                return
            if line.startswith(b"DATA"):
                writer.write(b"354 go\r\n")
                await reader.readuntil(b"\r\n.\r\n")
            writer.write(b"250 OK\r\n")

    async with server(talk) as port:
        assert (await submission(context, port).send(message())).ids


# ---- login and TLS
async def test_the_login_is_made_and_checked(context: FakeContext) -> None:
    async with Sink().listening() as sink:
        assert await submission(context, sink.port, user="support").verify() == "support@example.org"
    assert sink.logins == ["support"]
    assert sink.mails == []


async def test_a_wrong_password_stops_the_channel(context: FakeContext) -> None:
    async with Sink().listening() as sink:
        assert a_person(await failure(context, sink.port, user="support", password="falsch"))


async def test_a_login_that_cannot_be_checked_now_is_tried_again(context: FakeContext) -> None:
    async with Sink(replies={"AUTH": "454 4.7.0 Temporary authentication failure"}).listening() as sink:
        assert again(await failure(context, sink.port, user="support"))


@pytest.mark.parametrize(("security", "from_the_start"), [("starttls", False), ("tls", True)])
async def test_a_mail_goes_over_tls(
    context: FakeContext, certificate: tuple[Path, ssl.SSLContext], security: Security, from_the_start: bool
) -> None:
    ca_file, tls = certificate
    async with Sink().listening(tls, from_the_start=from_the_start) as sink:
        await submission(context, sink.port, security=security, ca_file=ca_file, user="support").send(message())
    assert len(sink.mails) == 1


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    context: FakeContext, certificate: tuple[Path, ssl.SSLContext]
) -> None:
    async with Sink().listening(certificate[1]) as sink:
        why = await failure(context, sink.port, security="starttls", user="support")
    assert again(why)
    assert "certificate" in why.reason
    assert sink.logins == []


async def test_without_the_tls_that_is_asked_for_nothing_is_sent(context: FakeContext) -> None:
    async with Sink().listening() as sink:
        assert again(await failure(context, sink.port, security="starttls", user="support"))
    assert sink.logins == []


async def test_a_missing_ca_file_is_named(context: FakeContext) -> None:
    why = await failure(context, 1, security="starttls", ca_file=Path("/nowhere/ca.pem"))
    assert again(why)
    assert "/nowhere/ca.pem" in why.reason


# ---- addresses beyond ASCII
async def test_an_address_beyond_ascii_needs_a_server_that_knows_it(context: FakeContext) -> None:
    to_joerg = message(to=Address("email", "jörg@customer.test"))
    async with Sink().listening() as sink:
        await submission(context, sink.port).send(to_joerg)
    assert sink.mails[0].rcpt_tos == ["jörg@customer.test"]
    async with Sink(smtputf8=False).listening() as sink:
        with pytest.raises(Unsupported):
            await submission(context, sink.port).send(to_joerg)


async def test_the_size_is_announced(context: FakeContext) -> None:
    async with Sink().listening() as sink:
        await submission(context, sink.port).send(message())
    assert f"SIZE={len(sink.mails[0].original_content or b'')}" in sink.mails[0].mail_options


async def test_a_send_that_is_cancelled_ends_at_once(context: FakeContext) -> None:
    async with Sink(replies={"RCPT": "silence"}).listening() as sink:
        sending = asyncio.ensure_future(submission(context, sink.port).send(message()))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sending, 0.2)
    assert sink.mails == []


def test_what_the_channel_says_it_can() -> None:
    assert CAPABILITIES.idempotent
    assert CAPABILITIES.receipts == {DeliveryState.SENT, DeliveryState.FAILED, DeliveryState.DELIVERED}
    assert (CAPABILITIES.html, CAPABILITIES.subject, CAPABILITIES.max_units) == (True, True, 1_000_000)
    assert [(files.max_bytes, files.max_count) for files in CAPABILITIES.files] == [(25_000_000, 50)]
