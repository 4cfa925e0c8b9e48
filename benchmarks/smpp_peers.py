"""What the SMPP benchmarks measure with: an SMSC that does nothing but its protocol, and a client that only submits.

smsc   takes every bind and every message, answers at once; the benchmark itself is one to feed others
bare   the ceiling: our codec on a bare asyncio protocol, as many messages in a window; nothing is kept, nothing is decided
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

import uvloop

from fernamt_sms.alphabet import to_septets
from fernamt_sms.smpp.codec import Framer, decode, encode
from fernamt_sms.smpp.command import RESPONSE, Command, response_to
from fernamt_sms.smpp.pdu import Bind, Bound, Message, Party, Pdu, Taken

SYSTEM_ID: Final = "bench"
PASSWORD: Final = "benchpwd"
US: Final = "4930123456"
_BINDS: Final = frozenset({Command.BIND_TRANSCEIVER, Command.BIND_TRANSMITTER, Command.BIND_RECEIVER})


class Smsc(asyncio.Protocol):
    """One session, seen from the SMSC."""

    taken = 0

    def __init__(self, bound: asyncio.Queue[Smsc] | None = None) -> None:
        self._framer = Framer()
        self._bound = bound
        self._waiting: deque[bytes] = deque()
        self._offered_at: dict[int, float] = {}
        self._done: asyncio.Future[None] | None = None
        self._took_s: list[float] = []
        self.refused = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        answers = [self._answer(frame) for frame in self._framer.feed(data)]
        self._transport.write(b"".join([one for one in answers if one]))  # type: ignore[attr-defined]

    def _answer(self, frame: bytes) -> bytes:
        # The head says all that there is to know of an answer, and this process shall not be what is measured.
        command, status, sequence = (int.from_bytes(frame[at : at + 4], "big") for at in (4, 8, 12))
        if command == response_to(Command.DELIVER_SM):
            return self._acknowledged(sequence, status)
        if command & RESPONSE:
            return b""
        if command == Command.SUBMIT_SM:
            Smsc.taken += 1
            return encode(Pdu(response_to(command), sequence, Taken(f"{Smsc.taken:010x}")))
        if command in _BINDS:
            if self._bound is not None:
                self._bound.put_nowait(self)
            return encode(Pdu(response_to(command), sequence, Bound("bench")))
        return encode(Pdu(response_to(command), sequence))

    # ---- feeding
    async def feed(self, frames: Sequence[bytes], window: int) -> Sequence[float]:
        """Offer messages, *window* at a time, until each is taken; return how long each took."""
        self._waiting, self._took_s, self.refused = deque(frames), [], 0
        self._done = asyncio.get_running_loop().create_future()
        count = len(frames)
        self._transport.write(b"".join([self._next() for _ in range(min(window, count))]))  # type: ignore[attr-defined]
        await self._done
        return self._took_s

    def _next(self) -> bytes:
        frame = self._waiting.popleft()
        self._offered_at[int.from_bytes(frame[12:16], "big")] = time.perf_counter()
        return frame

    def _acknowledged(self, sequence: int, status: int) -> bytes:
        took_s = time.perf_counter() - self._offered_at.pop(sequence)
        self.refused += bool(status)
        self._took_s.append(took_s)
        if self._waiting:
            return self._next()
        if not self._offered_at and self._done is not None:
            self._done.set_result(None)
        return b""


class Bare(asyncio.Protocol):
    """The ceiling: a session that only submits."""

    def __init__(self) -> None:
        self._framer = Framer()
        self._answers: dict[int, asyncio.Future[Pdu]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        for frame in self._framer.feed(data):
            pdu = decode(frame)
            self._answers.pop(pdu.sequence).set_result(pdu)

    async def ask(self, pdu: Pdu) -> Pdu:
        answer: asyncio.Future[Pdu] = asyncio.get_running_loop().create_future()
        self._answers[pdu.sequence] = answer
        self._transport.write(encode(pdu))  # type: ignore[attr-defined]
        return await answer


async def provide(port: int) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Smsc, "127.0.0.1", port)
    await server.serve_forever()


async def submit(port: int, messages: int, window: int) -> tuple[float, float]:
    """Submit so many, after a tenth of them as a warm-up; return how many went a second, and the processor time of one."""
    _, session = await asyncio.get_running_loop().create_connection(Bare, "127.0.0.1", port)
    await session.ask(Pdu(Command.BIND_TRANSCEIVER, 1, Bind(system_id=SYSTEM_ID, password=PASSWORD)))
    numbers = iter(range(2, messages + messages // 10 + 2))

    async def worker(last: int) -> None:
        for number in numbers:
            answer = await session.ask(Pdu(Command.SUBMIT_SM, number, _submitted(number)))
            assert isinstance(answer.body, Taken)
            if number >= last:
                return

    await asyncio.gather(*(worker(messages // 10) for _ in range(window)))
    began, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker(2**31) for _ in range(window)))
    return messages / (time.perf_counter() - began), (time.process_time() - used) / messages * 1e6


def _submitted(number: int) -> Message:
    dest = Party(f"49151{number:08}", 1, 1)
    return Message(
        source=Party(US, 1, 1), dest=dest, registered=1, text=to_septets(text(number)), tlvs={0x0204: b"\1\2"}
    )


def text(number: int) -> str:
    """Return what message *number* says: 140 characters, one part."""
    return f"{number:9} " + "Ihre Bestellung ist unterwegs. " * 4 + "Danke!"


def delivered(number: int, customer: int) -> bytes:
    """Return a deliver_sm of a customer."""
    words = to_septets(
        f"{number:9} Wo bleibt meine Bestellung? Sie sollte am Freitag da sein, und heute ist Montag. Gruss, Ann"
    )
    message = Message(source=Party(f"49160{customer:08}", 1, 1), dest=Party(US, 1, 1), text=words)
    return encode(Pdu(Command.DELIVER_SM, number, message))


def main() -> None:
    """Run ``smpp_peers.py smsc PORT`` or ``smpp_peers.py bare PORT MESSAGES WINDOW``."""
    kind, port, *more = sys.argv[1:]
    if kind == "smsc":
        os.sched_setaffinity(0, {1})
        uvloop.run(provide(int(port)))
    else:
        os.sched_setaffinity(0, {0})
        print(*uvloop.run(submit(int(port), int(more[0]), int(more[1]))))


if __name__ == "__main__":
    main()
