"""Keeps what an SMSC brings, in the order in which it came, and answers only when that is on disk."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from attrs import frozen

from fernamt import Intake, NotStored
from fernamt_sms.smpp.incoming import Incoming
from fernamt_sms.smpp.pdu import NOTHING, Pdu, Taken
from fernamt_sms.smpp.session import Broken, Session
from fernamt_sms.smpp.status import Status

WAITING_MAX: Final = 1_024
"""So many wait to be kept; what comes beyond is offered again by the SMSC."""
_TOGETHER: Final = 256
_TAKEN: Final = Taken()


@frozen
class _Brought:
    session: Session
    pdu: Pdu | Broken
    at: float


class Inbox:
    """What came and is not yet kept. :meth:`take` is told of it by sessions, :meth:`run` keeps it."""

    def __init__(self, incoming: Incoming, intake: Intake) -> None:
        self._incoming = incoming
        self._intake = intake
        self._waiting: deque[_Brought] = deque()
        self._came = asyncio.Event()
        self._at_rest = asyncio.Event()
        self._at_rest.set()
        self._is_open = True

    def take(self, session: Session, pdu: Pdu | Broken) -> None:
        """Take what a session brings; it is answered later, or at once if there is no room."""
        if not self._is_open:
            _answer(session, pdu, Status.RX_T_APPN)
        elif len(self._waiting) >= WAITING_MAX:
            _answer(session, pdu, Status.RMSGQFUL)
        else:
            self._waiting.append(_Brought(session, pdu, asyncio.get_running_loop().time()))
            self._at_rest.clear()
            self._came.set()

    def close(self) -> None:
        """Take nothing more: it is offered again when somebody is there."""
        self._is_open = False

    async def emptied(self) -> None:
        """Return when all that was taken is answered."""
        await self._at_rest.wait()

    async def run(self) -> None:
        """Keep what comes, all that has come meanwhile in one go, until cancelled."""
        while True:
            await self._came.wait()
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), _TOGETHER))]
            if not group:
                self._came.clear()
                self._at_rest.set()
                continue
            await self._keep(group)

    async def _keep(self, group: list[_Brought]) -> None:
        loop = asyncio.get_running_loop()
        read = [self._incoming.read(one.pdu, one.session, one.at) for one in group]
        try:
            await self._intake.accept([event for one in read for event in one.events])
        except NotStored:
            for one, what in zip(group, read, strict=True):
                _answer(one.session, one.pdu, Status.RX_T_APPN)
                what.refused()
            return
        now = loop.time()
        for one, what in zip(group, read, strict=True):
            _answer(one.session, one.pdu, Status.ROK)
            what.kept(now)


def _answer(session: Session, pdu: Pdu | Broken, status: Status) -> None:
    request = pdu.request if isinstance(pdu, Broken) else pdu
    session.answer(request, NOTHING if status else _TAKEN, status)
