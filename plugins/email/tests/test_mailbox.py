"""The IMAP connection against servers that fall silent, close, or talk nonsense."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from fernamt import NeedsLogin, Secret, Unreachable
from fernamt_email import mailbox
from fernamt_email.mailbox import Busy, CommandRefused, Mailbox
from fernamt_email.settings import ImapSettings, SmtpSettings

from .sink import server

SOON_S = 10.0
"""What takes a moment takes longer on a machine that others use, too; what hangs takes a minute."""
GREETING = b"* OK [CAPABILITY IMAP4rev1 IDLE MOVE UIDPLUS] ready"


def box(port: int, **changes: Any) -> Mailbox:
    values: dict[str, Any] = {
        "address": "support@support.test",
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "user": "support",
        "password": Secret("secret"),
        "done_folder": "",
        "timeout_s": 1.0,
        "smtp": SmtpSettings(host="127.0.0.1", port=25, security="none"),
    }
    return Mailbox(ImapSettings(**{**values, **changes}))


class Script:
    """An IMAP server that says what it is told: for a command the lines before the tagged one, and that without its tag.

    An answer that ends in a line break has no tagged line; ``silence`` says no more, ``drip`` never ends, ``close`` closes.
    """

    def __init__(self, **answers: bytes) -> None:
        self.answers = {"SELECT": b"* 1 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\nOK", **answers}
        self.heard: asyncio.Queue[str] = asyncio.Queue()
        self.said: list[str] = []
        self.writer: asyncio.StreamWriter | None = None

    async def until(self, command: str) -> None:
        """Return when the command was heard and answered."""
        async with asyncio.timeout(SOON_S):
            while await self.heard.get() != command:
                pass

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        writer.write(GREETING + b"\r\n")
        waiting = b""
        while line := await reader.readline():
            tag, _, rest = line.strip().partition(b" ")
            words = rest.decode().upper().split() or ["DONE"]
            command = words[1] if words[0] == "UID" else words[0]
            tag, waiting = (waiting, b"") if command == "DONE" else (tag, tag)
            answer = self.answers.get(command, b"OK")
            if answer == b"close":
                return
            while answer == b"drip":
                writer.write(b"*")
                await writer.drain()
                await asyncio.sleep(0.02)
            if answer != b"silence":
                if command == "CAPABILITY":
                    answer = b"* CAPABILITY IMAP4rev1 IDLE MOVE UIDPLUS\r\n" + answer
                *before, last = answer.split(b"\r\n")
                writer.write(b"".join(one + b"\r\n" for one in before))
                writer.write(tag + b" " + last + b" done\r\n" if last else b"")
            self.said.append(command)
            self.heard.put_nowait(command)


async def looked_and_waited(found: Mailbox, seconds: float) -> None:
    await found.uids_after(0)
    await found.wait(seconds)


async def test_a_session_is_opened_and_closed() -> None:
    script = Script(SEARCH=b"* SEARCH 9 4 7\r\nOK")
    async with server(script) as port, box(port) as found:
        assert found.validity == 7
        assert await found.uids_after(4) == [7, 9]
        assert await found.uids_until(0) == []
    await script.until("LOGOUT")


@pytest.mark.parametrize("command", ["LOGIN", "SELECT", "SEARCH", "FETCH", "MOVE", "IDLE"])
@pytest.mark.parametrize("fault", [b"silence", b"close", b"* BYE no more\r\n"], ids=["silence", "close", "goodbye"])
async def test_a_lost_connection_is_noticed_in_every_command(command: str, fault: bytes) -> None:
    async def use(port: int) -> None:
        async with box(port, timeout_s=0.3, done_folder="Processed") as found:
            await found.uids_after(0)
            await found.mail(1)
            await found.move(1)
            await found.wait(0.5)

    async with server(Script(**{command: fault})) as port:
        start = time.monotonic()
        with pytest.raises(Unreachable) as caught:
            await use(port)
        assert caught.value.certain
        assert not isinstance(caught.value, CommandRefused)
        assert time.monotonic() - start < SOON_S


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(b"+ idling\r\n* BYE kicked\r\n", id="goodbye"),
        pytest.param(b"+ idling\r\n* 1 EXI", id="half a line"),
        pytest.param(b"+ idling\r\n* (((\r\n", id="nonsense"),
        pytest.param(b"+ idling\r\n* OK still here\r\n", id="never ends"),
    ],
)
async def test_an_idle_that_goes_wrong_is_a_lost_connection(fault: bytes) -> None:
    async with server(Script(IDLE=fault, DONE=b"silence")) as port:
        with pytest.raises(Unreachable):
            async with box(port, timeout_s=0.3) as found:
                await looked_and_waited(found, 0.5)


async def test_a_connection_that_ends_while_idle_is_noticed_at_once() -> None:
    script = Script(IDLE=b"+ idling\r\n")
    async with server(script) as port, box(port) as found:
        waiting = asyncio.ensure_future(looked_and_waited(found, 60))
        await script.until("IDLE")
        assert script.writer is not None
        script.writer.close()
        async with asyncio.timeout(SOON_S):
            with pytest.raises(Unreachable):
                await waiting


async def test_an_announcement_beside_an_answer_is_heard_once() -> None:
    script = Script(SEARCH=b"* SEARCH\r\n* 2 EXISTS\r\nOK", IDLE=b"+ idling\r\n* 3 EXISTS\r\n")
    async with server(script) as port, box(port) as found, asyncio.timeout(SOON_S):
        assert await found.uids_after(0) == []
        await found.wait(60)
        assert await found.uids_after(0) == []
        await found.wait(60)
    assert [command for command in script.said if command in ("SEARCH", "IDLE")] == ["SEARCH", "SEARCH", "IDLE"]


async def test_an_announcement_that_was_read_ahead_ends_the_wait() -> None:
    async with server(Script(IDLE=b"+ idling\r\n* 2 EXISTS\r\n", DONE=b"OK")) as port, box(port) as found:
        async with asyncio.timeout(SOON_S):
            await looked_and_waited(found, 60)


@pytest.mark.parametrize("command", ["LOGIN", "SELECT", "IDLE", "FETCH"])
async def test_who_is_cancelled_does_not_wait_for_the_server(command: str) -> None:
    script = Script(**{command: b"silence"})
    before = threading.active_count()

    async def use(port: int) -> None:
        async with box(port, timeout_s=60) as found:
            await found.mail(1) if command == "FETCH" else await looked_and_waited(found, 60)

    async with server(script) as port:
        using = asyncio.ensure_future(use(port))
        await script.until(command)
        start = time.monotonic()
        using.cancel()
        with pytest.raises(asyncio.CancelledError):
            await using
        assert time.monotonic() - start < SOON_S
    async with asyncio.timeout(SOON_S):
        while threading.active_count() > before:
            await asyncio.sleep(0.01)


async def test_after_a_command_that_was_given_up_the_connection_is_not_used_again() -> None:
    async with server(Script(IDLE=b"silence")) as port, box(port, timeout_s=60) as found:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(looked_and_waited(found, 60), 0.2)
        async with asyncio.timeout(SOON_S):
            with pytest.raises(Unreachable):
                await found.uids_after(0)


async def test_who_is_cancelled_while_connecting_does_not_wait_for_the_server() -> None:
    before = threading.active_count()
    connected = asyncio.Event()

    async def never_greets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()

    async def use(port: int) -> None:
        async with box(port, timeout_s=SOON_S):
            pass

    async with server(never_greets) as port:
        using = asyncio.ensure_future(use(port))
        await connected.wait()
        start = time.monotonic()
        using.cancel()
        with pytest.raises(asyncio.CancelledError):
            await using
        assert time.monotonic() - start < SOON_S / 2
    async with asyncio.timeout(SOON_S):
        while threading.active_count() > before:
            await asyncio.sleep(0.01)


async def test_a_command_that_takes_too_long_in_all_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "COMMAND_S", 0.5)
    async with server(Script(FETCH=b"drip")) as port:
        with pytest.raises(Unreachable):
            async with box(port) as found:
                await found.mail(1)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"NO [AUTHENTICATIONFAILED] wrong", NeedsLogin),
        (b"NO Login failed", NeedsLogin),
        (b"NO [UNAVAILABLE] try later", Unreachable),
        (b"NO [INUSE] too many", Busy),
        (b"NO [LIMIT] Maximum number of connections from user+IP exceeded", Busy),
        (b"NO [ALERT] Too many simultaneous connections. (Failure)", Busy),
        (b"NO [AUTHENTICATIONFAILED] Account is temporarily locked", Busy),
        (b"NO [THROTTLED] slow down", Busy),
        (b"* BYE Too many simultaneous connections\r\n", Busy),
        (b"* BYE [LIMIT] come again\r\n", Busy),
    ],
)
async def test_a_refused_login_says_who_has_to_act(answer: bytes, error: type[Exception]) -> None:
    async with server(Script(LOGIN=answer)) as port:
        with pytest.raises(error) as caught:
            async with box(port):
                pass
        assert "secret" not in str(caught.value)
        assert "b'" not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [b'BAD I do not know: LOGIN "support" "secret"', b"BAD I do not know: AUTHENTICATE PLAIN AHN1cHBvcnQAc2VjcmV0"],
)
async def test_a_server_that_repeats_the_login_gives_no_secret_away(answer: bytes) -> None:
    async with server(Script(LOGIN=answer)) as port:
        with pytest.raises(NeedsLogin, match=r"\*\*\*") as caught:
            async with box(port):
                pass
    assert "secret" not in str(caught.value)
    assert "AHN1cHBvcnQ" not in str(caught.value)


async def test_the_next_step_is_told_in_the_language_of_the_house(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    async with server(Script(LOGIN=b"NO [AUTHENTICATIONFAILED] wrong")) as port:
        with pytest.raises(NeedsLogin, match="Ist user die ganze Adresse"):
            async with box(port, house_language="de"):
                pass


async def test_what_the_server_refuses_does_not_end_the_connection() -> None:
    script = Script(MOVE=b"NO [OVERQUOTA] full", FETCH=b"NO corrupt", SEARCH=b"* SEARCH 1\r\nOK")
    async with server(script) as port, box(port, done_folder="Processed") as found:
        with pytest.raises(CommandRefused, match="full"):
            await found.move(1)
        with pytest.raises(CommandRefused, match="corrupt"):
            await found.mail(1)
        assert await found.uids_after(0) == [1]


@pytest.mark.parametrize("command", ["SELECT", "SEARCH", "FETCH", "MOVE"])
async def test_a_server_that_takes_no_more_is_no_broken_mail(command: str) -> None:
    script = Script(
        **{"SEARCH": b"* SEARCH 1\r\nOK", command: b"NO [THROTTLED] Account exceeded command or bandwidth limits"}
    )

    async def use(port: int) -> None:
        async with box(port, done_folder="Processed") as found:
            await found.uids_after(0)
            await found.move(1)
            await found.mail(1)

    async with server(script) as port:
        with pytest.raises(Busy, match="takes no more for now"):
            await use(port)


async def test_a_mail_that_is_there_but_not_handed_out_is_no_missing_mail() -> None:
    async with server(Script(SEARCH=b"* SEARCH 1\r\nOK")) as port, box(port) as found:
        with pytest.raises(CommandRefused):
            await found.mail(1)


async def test_a_mail_that_the_server_says_nothing_of_is_not_gone_while_it_is_there() -> None:
    script = Script(SEARCH=b"* SEARCH 2\r\nOK", FETCH=b"* 1 FETCH (UID 1 RFC822.SIZE 70 FLAGS ())\r\nOK")
    async with server(script) as port, box(port) as found:
        items = await found.items([1, 2, 3])
    assert {uid: one.size for uid, one in items.items()} == {1: 70, 2: 0}


async def test_a_mail_that_is_gone_is_missing() -> None:
    async with server(Script(SEARCH=b"* SEARCH\r\nOK")) as port, box(port) as found:
        assert await found.mail(1) is None


async def test_nobody_there_is_tried_again() -> None:
    async with server(lambda *_: asyncio.sleep(0)) as port:
        pass
    with pytest.raises(Unreachable):
        async with box(port):
            pass
