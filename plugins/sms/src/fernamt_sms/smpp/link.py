"""The line to an SMSC: one session for both directions, or one for each; bound, watched, and ended with a goodbye."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from attrs import frozen

from fernamt import Clock, NeedsLogin, Throttled, Unreachable
from fernamt_sms.outcome import Class
from fernamt_sms.smpp.command import Command, response_to
from fernamt_sms.smpp.pdu import Bind, Bound
from fernamt_sms.smpp.session import Incoming, Session
from fernamt_sms.smpp.settings import SmppSettings
from fernamt_sms.smpp.status import Status, code_of, error_of

_T = TypeVar("_T")
_MODES: Final = {
    "transceiver": (Command.BIND_TRANSCEIVER,),
    "pair": (Command.BIND_TRANSMITTER, Command.BIND_RECEIVER),
}


@frozen
class Link:
    """Bound sessions."""

    sender: Session
    sessions: tuple[Session, ...]
    smsc: str
    """What the SMSC calls itself."""

    async def ended(self) -> str:
        """Return why one of the sessions ended, as soon as one has."""
        return await first(*(one.ended() for one in self.sessions))

    async def watched(self, clock: Clock, every_s: float) -> str:
        """Keep asking whether the SMSC is there, on each session, until one is over; return why."""
        return await first(*(one.watched(clock, every_s) for one in self.sessions))


@asynccontextmanager
async def bound(settings: SmppSettings, incoming: Incoming, own: Mapping[int, Class]) -> AsyncIterator[Link]:
    """Connect, bind, and unbind at the end.

    Raises:
        NeedsLogin: The SMSC does not accept the account.
        Unreachable: It cannot be reached, or has other trouble; certain, since nothing was sent yet.
    """
    tls = await asyncio.to_thread(_tls, settings.ca_file) if settings.security == "tls" else None
    async with AsyncExitStack() as stack:
        sessions, smsc = [], ""
        for command in _MODES[settings.bind]:
            session = await Session.opened(settings.host, settings.port, incoming, tls=tls, answer_s=settings.answer_s)
            stack.push_async_callback(session.unbind)
            smsc = await _bind(session, command, settings, own)
            sessions.append(session)
        yield Link(sessions[0], tuple(sessions), smsc)


async def _bind(session: Session, command: Command, settings: SmppSettings, own: Mapping[int, Class]) -> str:
    password = settings.password.reveal()
    if not password.isascii() or "\0" in password:
        raise NeedsLogin("the password has a character that SMPP cannot say: have another one set")
    body = Bind(system_id=settings.system_id, password=password, system_type=settings.system_type)
    try:
        answer = await session.request(command, body)
    except Unreachable as why:
        raise Unreachable(why.reason, certain=True, code=why.code) from None
    if not answer.status:
        return answer.body.system_id if isinstance(answer.body, Bound) else ""
    session.end("the bind was refused")
    what = command.name.lower()
    if answer.command != response_to(command):
        raise Unreachable(f"the SMSC does not know {what}", certain=True, code=code_of(answer.status))
    if answer.status == Status.RALYBND:
        raise Unreachable(
            f"the SMSC refuses {what}: this account is bound already, by this daemon or by another program",
            certain=True,
            code=code_of(answer.status),
        )
    match error_of(answer.status, own, pause_s=settings.pause_s):
        case NeedsLogin() as refused:
            raise refused
        case Throttled() as busy:
            raise Unreachable(busy.reason, certain=True, code=busy.code)
        case other:
            raise Unreachable(f"the SMSC refuses {what}: {other.reason}", certain=True, code=other.code)


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that checks names and certificates. Reads files, so it is called in a thread."""
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(cafile=ca_file)
        except OSError as why:  # ssl.SSLError is one too: no certificate in the file
            raise Unreachable(f"ca_file {str(ca_file)!r} cannot be read as certificates: {why}", certain=True) from why
    return context


async def first(*bodies: Coroutine[Any, Any, _T]) -> _T:
    """Run them all, return what the first that ends returns or raise what it raises, and end the others."""
    tasks = [asyncio.ensure_future(one) for one in bodies]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(iter(done)).result()
    finally:
        for one in tasks:
            one.cancel()
        await asyncio.wait(tasks)
        for one in tasks:
            if not one.cancelled():
                one.exception()
