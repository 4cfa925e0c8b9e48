"""One IMAP connection to one folder (RFC 3501), driven from the event loop.

The library blocks, so all its calls run in one thread that belongs to the connection, one after the other. Who waits for
a call and is cancelled, or waits longer than the call may take, cuts the socket: the blocked call ends at once.
"""

from __future__ import annotations

import asyncio
import logging
import select
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from attrs import frozen
from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError, LoginError, ProtocolError

from fernamt import NeedsLogin, Unreachable
from fernamt_email.call_thread import CallThread
from fernamt_email.explain import with_advice
from fernamt_email.oauth import Tokens
from fernamt_email.refusals import is_temporary, is_too_much, said, without_secret
from fernamt_email.settings import IMAP_PORTS, ImapSettings
from fernamt_email.tls import client_context

HEAD_BYTES: Final = 65_536
CONNECT_S: Final = 30.0
COMMAND_S: Final = 600.0
"""The longest that one command may take in all, however much arrives within the socket's time-out."""
PART_S: Final = 2.0

_R = TypeVar("_R")

logging.getLogger("imapclient").setLevel(logging.WARNING)  # below that it logs what mails and customers are called


class CommandRefused(Unreachable):
    """The server said NO or BAD to one command; the connection could go on."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, certain=True)


class Busy(Unreachable):
    """The server takes no more for now: too many connections, or too much was asked of it. The login may be right."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, certain=True)


@frozen(kw_only=True)
class Item:
    """What the server says of a mail before it is fetched."""

    size: int
    flags: tuple[bytes, ...]
    came_s: float
    """When it came into this mailbox, in seconds since 1970."""


class Mailbox:
    """A logged-in connection, from ``async with`` on, with the first folder selected. One task uses it at a time.

    Every method raises ``Unreachable(certain=True)`` if the connection is lost, closed by the server or too slow, and its
    subclasses :class:`CommandRefused` if the server refuses just this, and :class:`Busy` if it takes no more for now. Entering
    raises ``NeedsLogin`` for a wrong password. Cancelling any of them ends the connection.
    """

    def __init__(self, settings: ImapSettings, tokens: Tokens | None = None) -> None:
        """*tokens* are there if the settings name no password."""
        self._settings = settings
        self._tokens = tokens
        self._thread = CallThread(f"imap {settings.host}")
        self._client: _Client | None = None
        self._closed = False
        self._looked_again = False
        self._idles = False
        self.folder = ""
        """The one that is selected; what follows is said of it."""
        self.validity = 0
        """UIDVALIDITY: while it is the same, a UID means the same mail."""
        self.next_uid = 0
        """What the next mail that comes will have at least; 0: the server does not say."""
        self.moves = False
        """Whether a mail that is done can be moved away."""
        self.trouble = ""
        """Why it cannot, although it should."""

    async def __aenter__(self) -> Self:
        try:
            # First the token: a server does not wait for long until somebody logs in.
            token = await self._tokens.access() if self._tokens else ""
            await self._call(self._connect)
            await self._enter(token)
            await self._call(self._begin)
        except BaseException:
            await self._part()
            raise
        return self

    async def _enter(self, token: str) -> None:
        """Log in. A token that is refused may be over before its time: it is renewed once."""
        try:
            await self._call(self._login, token)
        except NeedsLogin:
            if self._tokens is None:
                raise
            await self._call(self._login, await self._tokens.access(refused=token))

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            with suppress(Unreachable):
                await self._call(self._logged_in.logout)
        await self._part()

    async def select(self, folder: str) -> None:
        """Select a folder, unless it is selected already. Raises :class:`CommandRefused` if it is not there."""
        if folder != self.folder:
            await self._call(self._select, folder)

    async def uids_after(self, uid: int) -> list[int]:
        """Return the UIDs above *uid*, ascending."""
        # A range that ends in * always holds the last mail, whatever its UID.
        found = [one for one in await self._call(self._look, uid + 1) if one > uid]
        self._looked_again = self._looked_again and not found
        return sorted(found)

    async def uids_until(self, uid: int) -> list[int]:
        """Return the UIDs up to *uid* that are still there and not marked as deleted, ascending."""
        if uid < 1:
            return []
        return sorted(await self._call(self._logged_in.search, ["UID", f"1:{uid}", "UNDELETED"]))

    async def items(self, uids: list[int]) -> dict[int, Item]:
        """Return what the server says of each mail; one that is gone is missing."""
        found = await self._call(self._logged_in.fetch, uids, ["RFC822.SIZE", "FLAGS", "INTERNALDATE"])
        items = {uid: _item(found[uid]) for uid in uids if b"RFC822.SIZE" in found.get(uid, {})}
        if unknown := [uid for uid in uids if uid not in items]:
            # Some servers pass over a mail that they cannot read themselves: it is there, and somebody has to hear of it.
            there = await self._call(self._logged_in.search, ["UID", ",".join(map(str, unknown))])
            items |= {uid: Item(size=0, flags=(), came_s=0.0) for uid in unknown if uid in there}
        return items

    async def mail(self, uid: int) -> bytes | None:
        """Return a whole mail and leave its flags alone; ``None``: somebody took it away meanwhile."""
        return await self._body(uid, "BODY.PEEK[]")

    async def head(self, uid: int) -> bytes | None:
        """Return the first :data:`HEAD_BYTES` of a mail; ``None`` as in :meth:`mail`."""
        return await self._body(uid, f"BODY.PEEK[]<0.{HEAD_BYTES}>")

    async def uids_of(self, message_id: str) -> list[int]:
        """Return the UIDs of the mails in this folder with this Message-ID."""
        return sorted(await self._call(self._logged_in.search, ["HEADER", "Message-ID", message_id]))

    async def remove(self, uid: int) -> None:
        """Delete one mail for good; where the server can expunge only all that is marked, it is marked."""
        await self._call(self._remove, uid)

    async def move(self, uid: int) -> None:
        """Move a mail to the folder for what is done (RFC 6851, else RFC 4315)."""
        await self._call(self._move, uid)

    async def append(self, folder: str, mail: bytes, message_id: str) -> None:
        """Put a mail that is read already into *folder*, made if it is missing; nothing, if one with that id is there.

        That folder is selected then: this is a connection's last task.
        """
        await self._call(partial(self._append, folder, mail), message_id)

    async def wait(self, seconds: float) -> None:
        """Return when the server announces new mail, at the latest after *seconds* (RFC 2177, or just the time)."""
        if self._idles:
            await self._call(self._idle, seconds, beside_s=seconds)
        else:
            await asyncio.sleep(seconds)

    # ---- in the thread
    def _connect(self) -> None:
        settings = self._settings
        context = None if settings.security == "none" else client_context(settings.ca_file)
        self._client = client = _Client(
            settings.host,
            port=settings.port or IMAP_PORTS[settings.security],
            ssl=settings.security == "tls",
            ssl_context=context,
            timeout=SocketTimeout(connect=min(CONNECT_S, settings.timeout_s), read=settings.timeout_s),
        )
        if self._closed:  # given up while the connection was made: there was no socket to cut
            raise IMAPClientAbortError("closed")
        if settings.security == "starttls":
            client.starttls(ssl_context=context)
        client.normalise_times = False  # times with their offset, not in the machine's own zone

    def _login(self, token: str) -> None:
        client, settings = self._logged_in, self._settings
        if settings.password is not None:
            client.login(settings.user, settings.password.reveal())
        elif client.has_capability("AUTH=OAUTHBEARER") and not client.has_capability("AUTH=XOAUTH2"):
            client.oauthbearer_login(settings.user, token)
        else:
            client.oauth2_login(settings.user, token)

    def _begin(self) -> None:
        client, settings = self._logged_in, self._settings
        self._idles = client.has_capability("IDLE")  # may ask the server, so not on the loop
        if settings.done_folder:
            self._prepare(settings.done_folder)
        self._select(settings.folders[0])

    def _select(self, folder: str) -> None:
        self.folder = ""  # a SELECT that fails leaves none selected
        told = self._logged_in.select_folder(folder)
        self.folder, self.validity, self.next_uid = folder, told.get(b"UIDVALIDITY", 0), told.get(b"UIDNEXT", 0)

    def _prepare(self, folder: str) -> None:
        client = self._logged_in
        if not (client.has_capability("MOVE") or client.has_capability("UIDPLUS")):
            self.trouble = "the server can neither move mails nor expunge single ones, so they stay where they are"
            return
        try:
            if not client.folder_exists(folder):
                client.create_folder(folder)
            self.moves = True
        except IMAPClientAbortError:
            raise
        except IMAPClientError as why:
            self.trouble = f"the folder {folder!r} cannot be created, so mails stay where they are: {said(why)}"

    def _move(self, uid: int) -> None:
        client, folder = self._logged_in, self._settings.done_folder
        if client.has_capability("MOVE"):
            client.move([uid], folder)
        else:
            client.copy([uid], folder)
            self._remove(uid)

    def _remove(self, uid: int) -> None:
        client = self._logged_in
        client.delete_messages([uid], silent=True)
        if client.has_capability("UIDPLUS"):
            client.uid_expunge([uid])

    def _append(self, folder: str, mail: bytes, message_id: str) -> None:
        client = self._logged_in
        if not client.folder_exists(folder):
            client.create_folder(folder)
        client.select_folder(folder, readonly=True)
        if not client.search(["HEADER", "Message-ID", message_id]):
            client.append(folder, mail, flags=[rb"\Seen"])

    def _look(self, first: int) -> list[int]:
        self._logged_in.take_announcement()
        found: list[int] = self._logged_in.search(["UID", f"{first}:*"])
        return found

    def _idle(self, seconds: float) -> None:
        client, end = self._logged_in, time.monotonic() + seconds
        if client.take_announcement() and not self._looked_again:  # once: some servers announce at every command
            self._looked_again = True
            return
        try:
            client.idle()
        except IMAPClientError as why:
            raise IMAPClientAbortError(f"IDLE was not begun: {why}") from why
        while (left := end - time.monotonic()) > 0:
            told = client.idle_check(left)
            if not told and time.monotonic() < end - 0.5:
                # The library reports the end of a connection as silence that came early.
                raise IMAPClientAbortError("the connection ended")
            if any(b"BYE" in line[:1] for line in told):
                raise IMAPClientAbortError("the server said goodbye")
            if any(b"EXISTS" in line[1:2] for line in told):
                break
        client.idle_done()

    def _close(self) -> None:
        if self._client is not None:
            with suppress(OSError, IMAPClientError):
                self._client.shutdown()

    # ---- on the loop
    @property
    def _logged_in(self) -> _Client:
        if self._client is None:
            raise RuntimeError("the mailbox is used outside of its async with")
        return self._client

    async def _body(self, uid: int, item: str) -> bytes | None:
        found = await self._call(self._logged_in.fetch, [uid], [item])
        for name, value in found.get(uid, {}).items():
            if name.startswith(b"BODY[") and isinstance(value, bytes):
                return value
        if uid in await self._call(self._logged_in.search, ["UID", str(uid)]):
            raise CommandRefused("the server has the mail but did not hand it out")
        return None

    async def _call(self, function: Callable[..., _R], *args: Any, beside_s: float = 0.0) -> _R:
        try:
            async with asyncio.timeout(COMMAND_S + beside_s):
                return await self._thread.run(partial(function, *args))
        except asyncio.CancelledError:
            self._cut()
            raise
        except LoginError as why:
            raise self._login_failed(why) from why
        except (IMAPClientAbortError, ProtocolError, OSError) as why:  # OSError: time-outs and TLS are among them
            self._cut()
            words = said(why)
            if is_too_much(words) and not isinstance(why, OSError):
                raise self._busy(words) from why
            reason = f"the connection to the mailbox at {self._settings.host} failed: {words}"
            raise Unreachable(reason, certain=True) from why
        except IMAPClientError as why:
            if is_too_much(words := said(why)):
                raise self._busy(words) from why
            raise CommandRefused(words) from why

    def _busy(self, words: str) -> Busy:
        return Busy(f"the mailbox at {self._settings.host} takes no more for now: {words}")

    def _login_failed(self, why: LoginError) -> NeedsLogin | Unreachable:
        settings = self._settings
        words = without_secret(said(why), settings.password.reveal() if settings.password else "")
        if is_too_much(words):
            return self._busy(words)
        # The library calls every failure within a login a wrong one.
        lost = isinstance(why.__context__, IMAPClientAbortError)
        if lost or is_temporary(words):
            return Unreachable(f"the login at {settings.host} could not be tried: {words}", certain=True)
        where = f"the mailbox at {settings.host} refuses"
        if self._tokens is not None:
            return NeedsLogin(
                f"{where} a fresh token for {settings.user}: {words}. Was the consent given for this mailbox? Give it again "
                "with: fernamt email connect CHANNEL; an app needs access to the mailbox, too"
            )
        return NeedsLogin(f"{where} the login of {settings.user}: {with_advice(words, settings.house_language)}")

    def _cut(self) -> None:
        self._closed = True
        if self._client is not None:
            with suppress(OSError):
                # The plain method: that of an SSLSocket would take the TLS layer from under the thread that reads.
                socket.socket.shutdown(self._client.socket(), socket.SHUT_RDWR)

    async def _part(self) -> None:
        """Close in the thread, and wait a moment for it; a thread that still connects closes when it is through."""
        self._cut()
        closing = self._thread.end(self._close)
        if self._client is not None:
            await asyncio.wait([closing], timeout=PART_S)


def _item(found: Mapping[bytes, Any]) -> Item:
    came = found.get(b"INTERNALDATE")
    return Item(
        size=found[b"RFC822.SIZE"],
        flags=tuple(found.get(b"FLAGS", ())),
        came_s=came.timestamp() if isinstance(came, datetime) else 0.0,
    )


class _Client(IMAPClient):  # type: ignore[misc]  # the library ships no types
    """The library's client, with ears for what is announced beside the answers that it waits for."""

    def take_announcement(self) -> bool:
        """Return whether new mail was announced since this was asked last.

        A server may do so within the answer to any command, a SEARCH that does not find that mail among them, and will not
        say it again when IDLE begins (RFC 3501, 5.2).
        """
        return bool(self._imap.response("EXISTS")[1] != [None])

    def _poll_socket(self, sock: socket.socket, timeout: float | None = None) -> list[tuple[int, int]]:
        """Look at what was read already before waiting for more: the answer to IDLE and an announcement share a packet."""
        with suppress(OSError):  # an SSLSocket says so if there is nothing; a plain one returns b""
            if self._imap.file.peek(1):
                return [(sock.fileno(), select.POLLIN)]
        waiting: list[tuple[int, int]] = super()._poll_socket(sock, timeout)
        return waiting
