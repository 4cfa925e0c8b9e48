"""A TCP proxy that misbehaves: it stands between a client and a server, and does to their connections what networks do."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
import struct
from collections import deque
from types import TracebackType
from typing import Final, Literal, Self

from attrs import evolve, field, frozen
from attrs.validators import ge, gt, optional

_CHUNK_BYTES: Final = 65_536
_GARBAGE_BYTES: Final = 512
_NO_LINGER: Final = struct.pack("ii", 1, 0)
Side = Literal["question", "answer"]


@frozen(kw_only=True)
class WireFault:
    """What happens to one connection. ``WireFault()`` is a good one; the methods of the class name the bad ones.

    The *question* is what the client sends, the *answer* what the server sends. An end comes when so many bytes of its side
    were passed on; with none of the question it comes at once, and the server never hears of the connection.
    """

    delay_s: float = field(default=0.0, validator=ge(0))
    """Whatever is passed on, in either direction, comes so much later."""
    bytes_per_s: float | None = field(default=None, validator=optional(gt(0)))
    """The answer comes so slowly, byte by byte."""
    end: Literal["", "reset", "close", "silence", "garbage"] = ""
    after_bytes: int = field(default=0, validator=ge(0))
    of: Side = "question"

    @classmethod
    def latency(cls, delay_s: float) -> WireFault:
        """Everything arrives, later."""
        return cls(delay_s=delay_s)

    @classmethod
    def trickle(cls, bytes_per_s: float = 1.0) -> WireFault:
        """The answer comes a byte at a time."""
        return cls(bytes_per_s=bytes_per_s)

    @classmethod
    def silence(cls, after_bytes: int = 0, of: Side = "question") -> WireFault:
        """Half open: the connection stands, and nothing more is passed on in either direction."""
        return cls(end="silence", after_bytes=after_bytes, of=of)

    @classmethod
    def reset(cls, after_bytes: int = 0, of: Side = "question") -> WireFault:
        """Both sides get a reset. ``reset()`` comes before the first byte, ``reset(of="answer")`` instead of the answer."""
        return cls(end="reset", after_bytes=after_bytes, of=of)

    @classmethod
    def cut(cls, after_bytes: int = 0, of: Side = "question") -> WireFault:
        """Both sides are closed in good form, in the middle of a sentence."""
        return cls(end="close", after_bytes=after_bytes, of=of)

    @classmethod
    def garbage(cls, after_bytes: int = 0, of: Side = "answer") -> WireFault:
        """The client gets bytes that mean nothing, always the same ones, and the end."""
        return cls(end="garbage", after_bytes=after_bytes, of=of)

    def late(self, delay_s: float) -> WireFault:
        """Return the same fault on a slow line."""
        return evolve(self, delay_s=delay_s)


GARBAGE: Final = hashlib.shake_128(b"fernamt").digest(_GARBAGE_BYTES)
"""What ``WireFault.garbage`` sends."""


class FaultProxy:
    """Listens on a free loopback port while it is entered, and passes on to *host*, *port*.

    ::

        async with FaultProxy("127.0.0.1", server_port) as proxy:
            proxy.next(WireFault.reset())           # the next connection
            proxy.use(WireFault.latency(0.2))       # all connections after that one

    A fault is chosen when a connection is made and is that connection's for good: :meth:`break_off` what is kept alive.
    Not for several event loops.
    """

    def __init__(self, host: str, port: int) -> None:
        self.port = 0
        """Where it listens, once entered."""
        self.taken: list[WireFault] = []
        """What each connection so far was given, in order."""
        self._target = host, port
        self._fault = WireFault()
        self._next: deque[WireFault] = deque()
        self._lines: dict[asyncio.Task[None], _Line] = {}
        self._server: asyncio.Server | None = None

    def use(self, fault: WireFault) -> None:
        """Give *fault* to every connection from now on for which :meth:`next` says nothing else."""
        self._fault = fault

    def next(self, fault: WireFault, *, times: int = 1) -> None:
        """Give *fault* to the next connections, *times* of them, after those that were named before."""
        self._next.extend([fault] * times)

    def heal(self) -> None:
        """Forget every fault. Connections that have one keep it."""
        self._next.clear()
        self._fault = WireFault()

    def break_off(self) -> int:
        """Reset every connection that stands now, and return how many there were."""
        for task, line in self._lines.items():
            line.reset()
            task.cancel()
        return len(self._lines)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.break_off()
        if self._lines:
            await asyncio.wait(tuple(self._lines))
        await self._server.wait_closed()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault = self._next.popleft() if self._next else self._fault
        self.taken.append(fault)
        line = _Line(fault, reader, writer)
        task = asyncio.create_task(line.run(*self._target))
        self._lines[task] = line
        task.add_done_callback(self._lines.pop)


class _Over(Exception):
    """The fault's time has come."""


class _Line:
    """One connection: two streams, passed on until both have ended, or the fault's time has come."""

    def __init__(self, fault: WireFault, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._fault = fault
        self._reader = reader
        self._writer = writer
        self._writers = [writer]

    async def run(self, host: str, port: int) -> None:
        try:
            if await self._passed_on(host, port):
                await self._end()
        except OSError:
            self.reset()
        finally:
            for writer in self._writers:
                writer.close()

    def reset(self) -> None:
        for writer in self._writers:
            endpoint = writer.get_extra_info("socket")
            if endpoint is not None:  # what is closed already has none, or one that is none any more
                with contextlib.suppress(OSError, ValueError):
                    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            writer.transport.abort()

    async def _passed_on(self, host: str, port: int) -> bool:
        """Pass on what comes, and say whether the fault ended that. Raises ``OSError`` if a side did."""
        if self._fault.end and self._fault.of == "question" and not self._fault.after_bytes:
            return True
        reader, server = await asyncio.open_connection(host, port)
        self._writers.append(server)
        pumps = [
            asyncio.create_task(self._pump(self._reader, server, "question")),
            asyncio.create_task(self._pump(reader, self._writer, "answer")),
        ]
        try:
            await asyncio.gather(*pumps)
        except _Over:
            return True
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.wait(pumps)
        return False

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, side: Side) -> None:
        fault, passed = self._fault, 0
        ends = bool(fault.end) and fault.of == side
        while chunk := await reader.read(_CHUNK_BYTES):
            await asyncio.sleep(fault.delay_s)
            over = ends and passed + len(chunk) >= fault.after_bytes
            chunk = chunk[: fault.after_bytes - passed] if over else chunk
            passed += len(chunk)
            await self._write(writer, chunk, slowly=side == "answer")
            if over:
                raise _Over
        if writer.can_write_eof():
            writer.write_eof()

    async def _write(self, writer: asyncio.StreamWriter, chunk: bytes, *, slowly: bool) -> None:
        rate = self._fault.bytes_per_s if slowly else None
        for piece in (chunk,) if rate is None else (chunk[at : at + 1] for at in range(len(chunk))):
            writer.write(piece)
            await writer.drain()
            if rate is not None:
                await asyncio.sleep(1 / rate)

    async def _end(self) -> None:
        if self._fault.end == "reset":
            self.reset()
            return
        if self._fault.end == "garbage":
            self._writer.write(GARBAGE)
        if self._fault.end != "silence":
            for writer in self._writers:
                writer.write_eof()
        # Closed with something unread, the connection would end in a reset.
        while await self._reader.read(_CHUNK_BYTES):
            pass
