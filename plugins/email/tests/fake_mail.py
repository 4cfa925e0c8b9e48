"""A mail provider for the conformance kit: an SMTP server that takes what we send, and where our mails wait for us.

Either they wait in a mailbox (:class:`FakeMailbox`, enough of RFC 3501 for one client), or in the queue of a mail server that
hands them over to our listener (:class:`FakeRelay`). All of it lives in the memory of the test.
"""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import re
from collections.abc import AsyncIterator, Collection, Sequence
from email.message import EmailMessage
from types import TracebackType
from typing import ClassVar, Self

from attrs import define, field

from fernamt.testing import Trouble

from .dovecot import free_ports
from .handing import handed_over
from .sink import Sink

PASSWORD = "a-password-of-the-test"
UNREADABLE = b"\x00\xff this is no mail\r\n"


def mail(text: str, number: int) -> bytes:
    one = EmailMessage(policy=email.policy.SMTP)
    one["From"], one["To"], one["Subject"] = "ann@customer.test", "support@support.test", f"Frage {number}"
    one["Message-ID"] = f"<m{number}@customer.test>"
    one.set_content(text)
    return one.as_bytes()


class MailProvider:
    """What both have in common: the SMTP server of the provider."""

    troubles: Collection[Trouble] = frozenset(
        {
            Trouble.NOT_THERE,
            Trouble.LOST_ANSWER,
            Trouble.LOST_QUESTION,
            Trouble.SILENCE,
            Trouble.NONSENSE,
            Trouble.REFUSED,
            Trouble.LOGIN,
        }
    )
    _REPLIES: ClassVar = {
        Trouble.LOST_ANSWER: {"DATA": "cut"},
        Trouble.LOST_QUESTION: {"MAIL": "cut"},
        Trouble.SILENCE: {"DATA": "silence"},
        Trouble.NONSENSE: {"DATA": "<!doctype html>"},
        Trouble.REFUSED: {"RCPT": "550 5.1.1 No such user here"},
        Trouble.LOGIN: {"AUTH": "535 5.7.8 Wrong password"},
    }

    def __init__(self) -> None:
        self.sink = Sink(password=PASSWORD)
        self.smtp_port = 0
        self.trouble: Trouble | None = None
        self.count = 0
        self._stack = contextlib.AsyncExitStack()

    @property
    def asked(self) -> int:
        return self.count + len(self.sink.logins) + len(self.sink.mails)

    @property
    def arrived(self) -> Sequence[str]:
        """A mail program shows two mails with one Message-ID once. What we write to ourselves comes to no customer."""
        shown: dict[str, str] = {}
        for envelope in self.sink.mails:
            if envelope.rcpt_tos == ["support@support.test"]:
                continue
            assert isinstance(envelope.content, bytes)
            one = email.message_from_bytes(envelope.content, policy=email.policy.default)
            parts = [part for part in one.walk() if not part.is_multipart()]
            words = [part.get_content() for part in parts if part.get_content_type() == "text/plain"]
            words += [part.get_filename() or "" for part in parts]
            shown[str(one["Message-ID"])] = "\n".join([str(one["Subject"]), *words])
        return [*shown.values()]

    def transcript(self) -> Sequence[str]:
        """The envelope and the mail, whose boundaries are made by chance."""
        said = []
        for envelope in self.sink.mails:
            assert isinstance(envelope.content, bytes)
            one = email.message_from_bytes(envelope.content)
            text = envelope.content.decode("utf-8").replace("\r\n", "\n")
            for number, boundary in enumerate(filter(None, (part.get_boundary() for part in one.walk())), 1):
                text = text.replace(boundary, f"boundary-{number}")
            to = " ".join(map(str, envelope.rcpt_tos))
            said.append(f"MAIL {envelope.mail_from}\nRCPT {to}\nDATA\n{text}")
        return said

    async def meet(self, trouble: Trouble | None) -> None:
        self.trouble = trouble
        self.sink.replies = dict(self._REPLIES.get(trouble, {})) if trouble else {}
        if trouble is Trouble.NOT_THERE:
            await self._stack.aclose()
        elif not self.sink.port:
            await self._listen()

    async def _listen(self) -> None:
        await self._stack.enter_async_context(self._forgotten())
        await self._stack.enter_async_context(self.sink.listening(port=self.smtp_port))
        self.smtp_port = self.sink.port

    @contextlib.asynccontextmanager
    async def _forgotten(self) -> AsyncIterator[None]:
        yield
        self.sink.port = 0

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()


@define
class Kept:
    """A mail in the mailbox."""

    uid: int
    content: bytes
    seen: bool = False


_SAID = {
    "CAPABILITY": "* CAPABILITY IMAP4rev1 IDLE MOVE UIDPLUS",
    "LIST": '* LIST (\\HasNoChildren) "/" Processed',
    "LOGOUT": "* BYE",
}


class FakeMailbox(MailProvider):
    """A provider with a mailbox, read over IMAP."""

    def __init__(self) -> None:
        super().__init__()
        self.imap_port = 0
        self.kept: list[Kept] = []
        self.done: list[Kept] = []
        self._next = 1
        self._new = asyncio.Event()
        self._lines: set[asyncio.Task[None]] = set()

    async def put(self, content: bytes) -> None:
        self.kept.append(Kept(self._next, content))
        self._next += 1
        self._new.set()
        self._new = asyncio.Event()

    async def hold(self, *texts: str) -> None:
        for text in texts:
            await self.put(mail(text, self._next))

    async def hold_poison(self) -> None:
        await self.put(UNREADABLE)

    async def read_elsewhere(self) -> None:
        for one in self.kept:
            one.seen = True

    async def _listen(self) -> None:
        await super()._listen()
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.imap_port)
        self.imap_port = server.sockets[0].getsockname()[1]
        self._stack.push_async_callback(self._close, server)

    async def _close(self, server: asyncio.Server) -> None:
        server.close()
        for line in tuple(self._lines):
            line.cancel()
        if self._lines:
            await asyncio.wait(tuple(self._lines))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = asyncio.current_task()
        assert line is not None
        self._lines.add(line)
        try:
            await _ImapLine(self, reader, writer).talk()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self._lines.discard(line)


@define
class _ImapLine:
    """One connection."""

    box: FakeMailbox
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    idling: bool = field(default=False)

    async def talk(self) -> None:
        box = self.box
        if box.trouble in {Trouble.LOST_ANSWER, Trouble.LOST_QUESTION}:
            box.count += 1
            return
        if box.trouble is Trouble.NONSENSE:
            self._say("<!doctype html>")
            return
        self._say("* OK [CAPABILITY IMAP4rev1 IDLE MOVE UIDPLUS] ready")
        while words := (await self.reader.readuntil(b"\r\n")).decode().split():
            box.count += 1
            if box.trouble is Trouble.SILENCE:
                await asyncio.Event().wait()
            tag, verb, *rest = words
            if verb.upper() == "UID":
                verb, *rest = rest
            if verb.upper() == "IDLE":
                await self._idle(tag)
            else:
                self._say(f"{tag} {self._done(verb.upper(), rest)}")
            if verb.upper() == "LOGOUT":
                return

    def _done(self, verb: str, words: list[str]) -> str:
        box = self.box
        match verb:
            case "LOGIN" if box.trouble is Trouble.LOGIN or PASSWORD not in words[-1]:
                return "NO [AUTHENTICATIONFAILED] wrong password"
            case "SELECT":
                self._say(f"* {len(box.kept)} EXISTS")
                self._say("* OK [UIDVALIDITY 7] valid")
            case "SEARCH" if words[0] == "HEADER":
                self._say(" ".join(["* SEARCH", *map(str, self._with_id(words[2].strip('"')))]))
            case "SEARCH":
                low, _, high = words[1].partition(":")
                top = box.kept[-1].uid if high in {"", "*"} and box.kept else int(high or low) if high != "*" else 0
                found = [one.uid for one in box.kept if min(int(low), top) <= one.uid <= max(int(low), top)]
                self._say(" ".join(["* SEARCH", *map(str, found)]))
            case "FETCH":
                self._fetch({int(one) for one in words[0].split(",")}, " ".join(words[1:]))
            case "MOVE":
                uid = int(words[0])
                for number, one in enumerate(box.kept, 1):
                    if one.uid == uid:
                        box.done.append(one)
                        box.kept.remove(one)
                        self._say(f"* {number} EXPUNGE")
                        break
            case _:
                self._say(_SAID.get(verb, "* OK still here"))
        return f"OK {verb} done"

    def _with_id(self, message_id: str) -> list[int]:
        """What was sent to ourselves arrives when somebody looks for it."""
        box = self.box
        for envelope in box.sink.mails:
            content = envelope.content
            assert isinstance(content, bytes)
            if message_id.encode() in content and all(one.content != content for one in box.kept):
                box.kept.append(Kept(box._next, content))
                box._next += 1
        return [one.uid for one in box.kept if message_id.encode() in one.content]

    def _fetch(self, uids: set[int], item: str) -> None:
        for number, one in enumerate(self.box.kept, 1):
            if one.uid not in uids:
                continue
            if "SIZE" in item:
                self._say(f"* {number} FETCH (UID {one.uid} RFC822.SIZE {len(one.content)})")
                continue
            name = re.sub(r"[(<].*|\).*", "", item.strip("()")).replace(".PEEK", "")
            self.writer.write(f"* {number} FETCH (UID {one.uid} {name} {{{len(one.content)}}}\r\n".encode())
            self.writer.write(one.content + b")\r\n")

    async def _idle(self, tag: str) -> None:
        self._say("+ idling")
        done = asyncio.ensure_future(self.reader.readuntil(b"\r\n"))
        new = asyncio.ensure_future(self.box._new.wait())
        try:
            await asyncio.wait({done, new}, return_when=asyncio.FIRST_COMPLETED)
            if new.done():
                self._say(f"* {len(self.box.kept)} EXISTS")
            await done
        finally:
            new.cancel()
            done.cancel()
        self._say(f"{tag} OK IDLE done")

    def _say(self, line: str) -> None:
        self.writer.write(f"{line}\r\n".encode())


class FakeRelay(MailProvider):
    """A mail server that hands over to our listener what waits in its queue, and tries again what was not taken."""

    def __init__(self) -> None:
        super().__init__()
        [self.our_port] = free_ports(1)
        self.queue: list[bytes] = []
        self._number = 1
        self._more = asyncio.Event()

    async def put(self, content: bytes) -> None:
        self.queue.append(content)
        self._more.set()

    async def hold(self, *texts: str) -> None:
        for text in texts:
            await self.put(mail(text, self._number))
            self._number += 1

    async def hold_poison(self) -> None:
        await self.put(UNREADABLE)

    async def _relay(self) -> None:
        while True:
            self._more.clear()
            if self.queue and await handed_over(self.our_port, self.queue[0], timeout_s=5.0):
                self.queue.pop(0)
            elif self.queue:
                await asyncio.sleep(0.02)
            else:
                await self._more.wait()

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self._task = asyncio.create_task(self._relay())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})
        await super().__aexit__(kind, why, trace)
