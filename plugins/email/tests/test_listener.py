"""The daemon as a mail server: what is acknowledged is stored, and nothing is taken for anybody else."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Literal, TypeVar

import aiosmtplib
import pytest

from fernamt import Address, Blob, Channel, ConnectorContext, Received, Receives, Unparsed, Unreachable
from fernamt.testing import FakeContext
from fernamt_email import server
from fernamt_email.listener import Listener
from fernamt_email.settings import ListenerSettings, SmtpSettings

from .dovecot import free_ports
from .given import CHANNEL, message
from .sink import Sink

_R = TypeVar("_R")

MAIL = b"From: ann@customer.test\r\nTo: support@example.org\r\nMessage-ID: <q1@customer.test>\r\n\r\nHallo\r\n"


def listener(context: ConnectorContext, **changes: Any) -> Listener:
    values: dict[str, Any] = {
        "address": "support@example.org",
        "aliases": ("info@example.org",),
        "port": free_ports(1)[0],
        "smtp": SmtpSettings(host="127.0.0.1", port=25, security="none"),
    }
    settings = ListenerSettings(**{**values, **changes})
    channel = Channel(id=CHANNEL, name="Support", kind="email.listener", settings=settings, url="")
    return Listener(channel, context)


@asynccontextmanager
async def running(context: FakeContext, **changes: Any) -> AsyncIterator[int]:
    """Run a listener and yield its port."""
    port = free_ports(1)[0]
    run = asyncio.ensure_future(listener(context, port=port, **changes).run())
    try:
        await context.ready()
        yield port
    finally:
        run.cancel()
        await asyncio.wait([run])


async def stdlib(port: int, use: Callable[[smtplib.SMTP], _R], protocol: Literal["smtp", "lmtp"] = "smtp") -> _R:
    """Use the standard library's client in a thread."""

    def work() -> _R:
        with (smtplib.LMTP if protocol == "lmtp" else smtplib.SMTP)("127.0.0.1", port) as client:
            return use(client)

    return await asyncio.to_thread(work)


def hand_over(client: smtplib.SMTP, *to: str, sender: str = "ann@customer.test", mail: bytes = MAIL) -> Any:
    return client.sendmail(sender, list(to) or ["support@example.org"], mail)


async def test_a_mail_is_stored_before_it_is_acknowledged(context: FakeContext) -> None:
    context.intake.hold = asyncio.Event()
    async with running(context) as port:
        giving = asyncio.ensure_future(stdlib(port, hand_over))
        await context.intake.entered.wait()
        assert not giving.done()
        context.intake.hold.set()
        await giving
    [event] = context.intake.events
    assert isinstance(event, Received)
    assert (event.sender, event.id) == (Address("email", "ann@customer.test"), "<q1@customer.test>")


async def test_the_envelope_is_kept_with_the_mail(context: FakeContext) -> None:
    async with running(context) as port:
        await stdlib(port, partial(hand_over, sender="other@customer.test"))
        await stdlib(port, lambda client: hand_over(client, "support+t0@example.org", "info@example.org"))
    assert context.intake.taken[0].raw == (
        b"Return-Path: <other@customer.test>\r\nDelivered-To: support@example.org\r\n" + MAIL
    )
    both = context.intake.events[1]
    assert isinstance(both, Received)
    assert both.thread.token == "t0"


async def test_one_mail_to_several_of_our_addresses_is_one_mail(context: FakeContext) -> None:
    async with running(context) as port:
        await stdlib(port, lambda client: hand_over(client, "support@example.org", "info@example.org"))
    assert len(context.intake.events) == 1


async def test_a_mail_that_is_handed_over_again_has_the_same_key(context: FakeContext) -> None:
    async with running(context) as port:
        await stdlib(port, hand_over)
        await stdlib(port, hand_over)
    assert len(context.intake.events) == 2
    assert len(context.intake.keys) == 1


async def test_a_bounce_without_envelope_sender_is_automatic(context: FakeContext) -> None:
    async with running(context) as port:
        await stdlib(port, partial(hand_over, sender=""))
    [event] = context.intake.events
    assert isinstance(event, Received)
    assert event.automatic


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
async def test_what_is_not_stored_is_not_acknowledged(context: FakeContext, protocol: Literal["smtp", "lmtp"]) -> None:
    context.intake.refuse = 1
    async with running(context, protocol=protocol) as port:
        with pytest.raises(smtplib.SMTPResponseException) as caught:
            await stdlib(port, hand_over, protocol)
        assert (caught.value.smtp_code, context.intake.events) == (451, [])
        await stdlib(port, hand_over, protocol)
    assert len(context.intake.events) == 1


async def test_a_full_disk_is_no_acknowledgement(context: FakeContext) -> None:
    context.blobs.refuse = 1
    async with running(context) as port:
        with pytest.raises(smtplib.SMTPDataError) as caught:
            await stdlib(port, partial(hand_over, mail=MAIL + b"words " * 20 + b"\r\n" + b"line\r\n" * 20_000))
    assert caught.value.smtp_code == 451


async def test_a_fault_of_ours_is_no_acknowledgement_and_tells_nothing(
    context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(type(context.intake), "accept", breaks)
    async with running(context) as port:
        with pytest.raises(smtplib.SMTPDataError) as caught:
            await stdlib(port, hand_over)
    assert caught.value.smtp_code == 451
    assert "secret" not in str(caught.value.smtp_error)


@pytest.mark.parametrize(
    "to", ["ann@customer.test", "support@other.example", "supporter@example.org", "support", "@example.org"]
)
async def test_mail_for_anybody_else_is_refused(context: FakeContext, to: str) -> None:
    async with running(context) as port:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
            await stdlib(port, lambda client: hand_over(client, to))
    assert [code for code, _ in caught.value.recipients.values()] in ([550], [553])
    assert context.intake.events == []


async def test_among_recipients_only_ours_are_taken(context: FakeContext) -> None:
    async with running(context) as port:
        refused = await stdlib(port, lambda client: hand_over(client, "bob@customer.test", "support@example.org"))
    assert refused == {"bob@customer.test": (550, b"5.1.1 No such mailbox here")}
    assert len(context.intake.events) == 1


async def test_too_many_recipients_are_put_off(context: FakeContext) -> None:
    many = [f"support+{n}@example.org" for n in range(server.MAX_RECIPIENTS + 1)]
    async with running(context) as port:
        refused = await stdlib(port, lambda client: hand_over(client, *many))
    assert refused == {many[-1]: (452, b"4.5.3 Too many recipients")}


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "not announced"])
async def test_a_mail_that_is_too_large_is_refused(context: FakeContext, announced: bool) -> None:
    large = MAIL + b"line\r\n" * 20_000

    def give(client: smtplib.SMTP) -> None:
        client.ehlo()
        assert client.esmtp_features["size"] == "65536"
        if not announced:
            client.esmtp_features.pop("size")
        client.sendmail("ann@customer.test", ["support@example.org"], large)

    async with running(context, max_bytes=65_536) as port:
        with pytest.raises(smtplib.SMTPResponseException) as caught:
            await stdlib(port, give)
    assert caught.value.smtp_code == 552
    assert context.intake.events == []


async def test_a_long_line_is_no_reason_to_lose_a_mail(context: FakeContext) -> None:
    async with running(context) as port:
        await stdlib(port, partial(hand_over, mail=MAIL + b"x" * 20_000 + b"\r\n"))
    [event] = context.intake.events
    assert isinstance(event, Received)
    assert "x" * 20_000 in event.text


async def test_a_large_mail_is_kept_as_a_blob(context: FakeContext) -> None:
    async with running(context) as port:
        await stdlib(port, partial(hand_over, mail=MAIL + b"line\r\n" * 20_000))
    assert isinstance(context.intake.taken[0].raw, Blob)


async def test_a_mail_that_cannot_be_read_is_kept_and_acknowledged(context: FakeContext) -> None:
    async with running(context) as port:
        await stdlib(port, partial(hand_over, mail=b"Subject: from nobody\r\n\r\nHi\r\n", sender=""))
    [event] = context.intake.events
    assert isinstance(event, Unparsed)


async def test_lmtp_answers_for_every_recipient(context: FakeContext) -> None:
    def give(client: smtplib.SMTP) -> list[tuple[int, bytes]]:
        client.ehlo()
        client.mail("ann@customer.test")
        for to in ("support@example.org", "info@example.org", "bob@customer.test"):
            client.rcpt(to)
        client.putcmd("data")
        assert client.getreply()[0] == 354
        client.send(MAIL + b".\r\n")
        return [client.getreply(), client.getreply(), client.noop()]

    async with running(context, protocol="lmtp") as port:
        replies = await stdlib(port, give, "lmtp")
    assert replies[:2] == [(250, b"2.0.0 The mail is stored")] * 2
    assert replies[2][1] != replies[1][1]
    assert len(context.intake.events) == 1


async def test_lmtp_refuses_a_mail_that_is_too_large_for_every_recipient(context: FakeContext) -> None:
    def give(client: smtplib.SMTP) -> list[int]:
        client.ehlo()
        client.mail("ann@customer.test")
        for to in ("support@example.org", "info@example.org"):
            client.rcpt(to)
        client.putcmd("data")
        client.getreply()
        client.send(MAIL + b"line\r\n" * 20_000 + b".\r\n")
        return [client.getreply()[0], client.getreply()[0], client.noop()[0]]

    async with running(context, protocol="lmtp", max_bytes=65_536) as port:
        assert await stdlib(port, give, "lmtp") == [552, 552, 250]


async def test_an_asynchronous_client_and_an_address_beyond_ascii_are_served(context: FakeContext) -> None:
    async with (
        running(context, aliases=("käse@example.org",)) as port,
        aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as client,
    ):
        await client.ehlo()
        await client.sendmail(
            "jörg@customer.test", ["käse+t0@example.org"], MAIL, mail_options=["SMTPUTF8", "BODY=8BITMIME"]
        )
    [event] = context.intake.events
    assert isinstance(event, Received)
    assert event.thread.token == "t0"
    assert context.intake.taken[0].raw == (
        "Return-Path: <jörg@customer.test>\r\nDelivered-To: käse+t0@example.org\r\n".encode() + MAIL
    )


async def test_one_connection_too_many_is_sent_away(context: FakeContext) -> None:
    async with running(context, max_connections=2) as port:
        async with (
            aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False),
            aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as second,
        ):
            with pytest.raises(aiosmtplib.SMTPConnectResponseError) as caught:
                await aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False).connect()
            assert caught.value.code == 421
            await second.quit()
        await stdlib(port, hand_over)
    assert len(context.intake.events) == 1


def hand_over_and_listen(port: int) -> int:
    """Hand a mail over, and return the code of what the server says after that by itself."""
    client = smtplib.SMTP("127.0.0.1", port)
    try:
        assert hand_over(client) == {}
        return client.getreply()[0]
    finally:
        client.close()


async def test_a_mail_under_way_is_ended_before_the_listener_ends(context: FakeContext) -> None:
    context.intake.hold = asyncio.Event()
    port = free_ports(1)[0]
    run = asyncio.ensure_future(listener(context, port=port).run())
    await context.ready()
    idle = await asyncio.open_connection("127.0.0.1", port)
    await idle[0].readline()
    giving = asyncio.ensure_future(asyncio.to_thread(hand_over_and_listen, port))
    await context.intake.entered.wait()
    run.cancel()
    await asyncio.sleep(0)
    assert not run.done()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    context.intake.hold.set()
    await asyncio.wait([run])
    assert await giving == 421
    assert len(context.intake.events) == 1
    assert await idle[0].read() == b"421 4.3.2 Closing, please try again later\r\n"
    idle[1].close()


async def test_a_mail_that_does_not_end_holds_nobody_up(context: FakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "GRACE_S", 0.1)
    async with running(context) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for line in (b"EHLO me", b"MAIL FROM:<a@b.test>", b"RCPT TO:<support@example.org>", b"DATA"):
            writer.write(line + b"\r\n")
        await reader.readuntil(b"354 ")
    assert b"421" in await reader.read()
    writer.close()
    assert context.intake.events == []


async def test_a_taken_port_is_named(context: FakeContext) -> None:
    async with running(context) as port:
        with pytest.raises(Unreachable, match=f"cannot listen on 127.0.0.1 port {port}"):
            await listener(context, port=port).run()


async def test_the_listener_sends_like_every_mail_channel(context: FakeContext) -> None:
    async with Sink().listening() as sink:
        smtp = SmtpSettings(host="127.0.0.1", port=sink.port, security="none")
        channel = listener(context, smtp=smtp)
        sent = await channel.send(message())
        assert sent.ids == (channel.id_for(message()),)
        assert await channel.verify() == "support@example.org"
    assert channel.capabilities().idempotent
    assert isinstance(channel, Receives)
    assert len(sink.mails) == 1


async def test_an_envelope_writes_no_line_above_the_mail_but_its_own(context: FakeContext) -> None:
    def hand_over_raw(client: smtplib.SMTP) -> None:
        client.ehlo()
        client.send(b'MAIL FROM:<"a\rX-Evil: yes"@customer.test>\r\n')
        assert client.getreply()[0] == 250
        client.rcpt("support@example.org")
        assert client.data(MAIL)[0] == 250

    async with running(context) as port:
        await stdlib(port, hand_over_raw)
    raw = context.intake.taken[0].raw
    assert isinstance(raw, bytes)
    assert raw.startswith(b'Return-Path: <"aX-Evil: yes"@customer.test>\r\n')
