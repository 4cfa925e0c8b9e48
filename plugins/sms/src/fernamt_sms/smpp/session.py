"""One connection to an SMSC: requests that wait for their answers, and an answer to every request that comes."""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, TypeAlias, cast

from attrs import frozen

from fernamt import Clock, Unreachable
from fernamt_sms.smpp.codec import Framer, PduError, decode, encode
from fernamt_sms.smpp.command import (
    GENERIC_NACK,
    RESPONSE,
    UNANSWERED,
    Command,
    name_of,
    response_to,
)
from fernamt_sms.smpp.pdu import NOTHING, Body, Pdu
from fernamt_sms.smpp.status import Status

CONNECT_S: Final = 15.0
MISSES: Final = 2
"""So many enquire_links without an answer end a session."""
_UNBIND_S: Final = 1.0
_LATE_MAX: Final = 1_024
_LAST_SEQUENCE: Final = 0x7FFFFFFF
_BROUGHT: Final = frozenset({Command.DELIVER_SM, Command.DATA_SM})
_NOBODY: Final = (0, None, 0.0)


@frozen
class Broken:
    """A deliver_sm or data_sm whose fields nobody can read."""

    frame: bytes
    reason: str
    request: Pdu
    """Without a body: for the answer."""


Incoming: TypeAlias = "Callable[[Session, Pdu | Broken], None]"
"""Is told what customers and receipts bring, and answers it, later: see :meth:`Session.answer`."""
Late: TypeAlias = Callable[[Pdu], None]
"""Is told an answer that came when nobody waited for it any more."""


class Session(asyncio.Protocol):
    """One connection. Made by :meth:`opened`; ended by :meth:`close`, by the SMSC, or by silence."""

    def __init__(self, incoming: Incoming, *, answer_s: float) -> None:
        """*answer_s*: so long a request waits for its answer."""
        self._incoming = incoming
        self._answer_s = answer_s
        self._loop = asyncio.get_running_loop()
        self._framer = Framer()
        self._waiting: dict[int, tuple[int, asyncio.Future[Pdu], float]] = {}
        """By sequence number, who asked first before the others: what was asked, its answer, and until when that may come."""
        self._timer: asyncio.TimerHandle | None = None
        self._late: OrderedDict[int, Late] = OrderedDict()
        self._sequence = 0
        self._outgoing: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self._why = ""
        self._goodbye: Pdu | None = None
        """The SMSC's unbind, while we have not answered it."""
        self.heard_at = 0.0
        """The loop's time at which an enquire_link was written that was answered: what had been written by then has arrived."""

    @classmethod
    async def opened(
        cls, host: str, port: int, incoming: Incoming, *, tls: ssl.SSLContext | None, answer_s: float
    ) -> Session:
        """Connect; raises ``Unreachable``, certain."""
        loop = asyncio.get_running_loop()
        where = f"{host} port {port}"
        try:
            async with asyncio.timeout(CONNECT_S):
                _, session = await loop.create_connection(lambda: cls(incoming, answer_s=answer_s), host, port, ssl=tls)
        except TimeoutError:
            raise Unreachable(f"{where} does not answer", certain=True) from None
        except ssl.SSLError as why:
            reason = getattr(why, "verify_message", "") or why.reason or type(why).__name__
            raise Unreachable(f"no TLS with {where}: {reason}", certain=True) from why
        except OSError as why:
            raise Unreachable(f"cannot connect to {where}: {why.strerror or why}", certain=True) from why
        return session

    # ---- out
    async def request(self, command: int, body: Body = NOTHING, *, late: Late | None = None) -> Pdu:
        """Send a request and return its answer, whatever its status is.

        Raises ``Unreachable``: certain where nothing was written, else not. *late* is told an answer that comes after that.
        """
        if self.is_over:
            raise Unreachable(self._why or "the session is over", certain=True)
        sequence = self._next()
        self.write(Pdu(command, sequence, body))
        answer: asyncio.Future[Pdu] = self._loop.create_future()
        until = self._loop.time() + self._answer_s
        self._waiting[sequence] = command, answer, until
        if self._timer is None:  # one is enough: all have the same time
            self._timer = self._loop.call_at(until, self._waited_enough)
        try:
            return await answer
        except (Unreachable, asyncio.CancelledError):
            if late is not None:
                self._late[sequence] = late
                while len(self._late) > _LATE_MAX:
                    self._late.popitem(last=False)
            raise
        finally:
            self._waiting.pop(sequence, None)

    def _waited_enough(self) -> None:
        self._timer = None
        for command, answer, until in self._waiting.values():
            if until > self._loop.time():
                self._timer = self._loop.call_at(until, self._waited_enough)
                return
            self._fail(answer, f"the SMSC did not answer {name_of(command)} within {self._answer_s:g} s")

    def _fail(self, answer: asyncio.Future[Pdu] | None, reason: str) -> None:
        """Let a request end without an answer: whether it was carried out nobody knows."""
        if answer is not None and not answer.done():
            answer.set_exception(Unreachable(reason, certain=False))

    def _next(self) -> int:
        self._sequence = self._sequence % _LAST_SEQUENCE + 1
        return self._sequence

    def answer(self, request: Pdu, body: Body = NOTHING, status: int = 0) -> None:
        """Answer a request of the SMSC. On a session that is over that is lost: the SMSC offers it again."""
        self.write(request.answer(body, status))

    def write(self, pdu: Pdu) -> None:
        """Write a PDU; those of one turn of the loop go out together. Raises ``ValueError`` if it cannot be written."""
        data = encode(pdu)
        if self._closed.done() or self._why:
            return
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(data)

    def _flush(self) -> None:
        if self._outgoing and self._transport is not None:
            self._transport.write(b"".join(self._outgoing))
        self._outgoing.clear()

    # ---- its end
    @property
    def is_over(self) -> bool:
        """Whether nothing more can be asked."""
        return self._closed.done() or bool(self._why) or self._goodbye is not None

    async def ended(self) -> str:
        """Return why it ended, as soon as it has."""
        await asyncio.shield(self._closed)
        return self._why

    def end(self, reason: str) -> None:
        """Let go: what waits for an answer becomes uncertain."""
        if not self._why:
            self._flush()
            self._why = reason
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()
            # Who does not read what is left of us does not keep us here either.
            self._loop.call_later(_UNBIND_S, self._transport.abort)

    async def unbind(self) -> None:
        """Say goodbye, if there is still somebody, and close."""
        try:
            if not self.is_over:
                async with asyncio.timeout(_UNBIND_S):
                    await self.request(Command.UNBIND)
        except (Unreachable, TimeoutError):
            pass
        finally:
            self._leave()
            self.end("the session was ended by us")
            await self.ended()

    async def watched(self, clock: Clock, every_s: float) -> str:
        """Ask every *every_s* seconds whether the SMSC is still there; return why the session ended when it has."""
        misses = 0
        while not self.is_over:
            await clock.sleep(every_s)
            self._flush()
            asked_at = self._loop.time()
            try:
                await self.request(Command.ENQUIRE_LINK)
            except Unreachable:
                misses += 1
                if misses >= MISSES:
                    self.end(f"the SMSC left {misses} enquire_links unanswered")
            else:
                misses, self.heard_at = 0, asked_at
        return await self.ended()

    # ---- in: what asyncio calls
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See :class:`asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by what it does only

    def connection_lost(self, exc: Exception | None) -> None:
        """See :class:`asyncio.Protocol`."""
        if not self._why:
            self._why = "the SMSC closed the connection" if exc is None else f"the connection broke: {exc}"
        self._outgoing.clear()
        for command, answer, _ in self._waiting.values():
            self._fail(answer, f"{self._why} before it answered {name_of(command)}")
        if not self._closed.done():
            self._closed.set_result(None)

    def pause_writing(self) -> None:
        """See :class:`asyncio.Protocol`: who does not read our answers is not read either."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """See :class:`asyncio.Protocol`."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """See :class:`asyncio.Protocol`."""
        try:
            for frame in self._framer.feed(data):
                self._take(frame)
        except PduError as why:
            # What has no length has no end: nothing behind it can be read any more.
            self.write(Pdu(GENERIC_NACK, why.sequence, status=why.status))
            self.end(f"the SMSC sent what is no PDU ({why.reason})")

    def _take(self, frame: bytes) -> None:
        try:
            pdu = decode(frame)
        except PduError as why:
            self._take_broken(frame, why)
            return
        if pdu.command & RESPONSE:
            self._take_answer(pdu)
        elif pdu.command in _BROUGHT:
            self._incoming(self, pdu)
        elif pdu.command == Command.ENQUIRE_LINK:
            self.answer(pdu)
        elif pdu.command == Command.UNBIND:
            self._take_goodbye(pdu)
        elif pdu.command not in UNANSWERED:
            self._refuse(pdu)

    def _take_goodbye(self, pdu: Pdu) -> None:
        """Ask nothing more, and answer when all that we asked is answered: what is not would be uncertain."""
        if self._goodbye is None:
            self._goodbye = pdu
            self._loop.call_later(_UNBIND_S, self._leave)
        self._leave_if_answered()

    def _leave_if_answered(self) -> None:
        if self._goodbye is not None and all(answer.done() for _, answer, _ in self._waiting.values()):
            self._leave()

    def _leave(self) -> None:
        if self._goodbye is not None and not self._why:
            self.answer(self._goodbye)
            self.end("the SMSC ended the session")

    def _refuse(self, pdu: Pdu) -> None:
        """Answer what an SMSC has no business to ask, or what nobody knows."""
        if pdu.command in {*Command}:
            self.write(Pdu(response_to(pdu.command), pdu.sequence, status=Status.RINVBNDSTS))
        else:
            self.write(Pdu(GENERIC_NACK, pdu.sequence, status=Status.RINVCMDID))

    def _take_broken(self, frame: bytes, why: PduError) -> None:
        if why.command in _BROUGHT:
            self._incoming(self, Broken(frame, why.reason, Pdu(why.command, why.sequence)))
        elif why.command & RESPONSE:
            command, answer, _ = self._waiting.get(why.sequence, _NOBODY)
            self._fail(answer, f"the SMSC's answer to {name_of(command)} cannot be read")
        else:
            self.write(Pdu(GENERIC_NACK, why.sequence, status=why.status))

    def _take_answer(self, pdu: Pdu) -> None:
        if pdu.command == GENERIC_NACK and not pdu.status:
            pdu = Pdu(GENERIC_NACK, pdu.sequence, status=Status.RUNKNOWNERR)  # whatever it says, it takes nothing
        command, answer, _ = self._waiting.get(pdu.sequence, _NOBODY)
        if answer is not None and not answer.done():
            if pdu.command == response_to(command) or pdu.command == GENERIC_NACK:
                answer.set_result(pdu)
            else:
                self._fail(answer, f"the SMSC answered {name_of(command)} with {name_of(pdu.command)}")
        elif (late := self._late.pop(pdu.sequence, None)) is not None:
            late(pdu)
        self._leave_if_answered()
