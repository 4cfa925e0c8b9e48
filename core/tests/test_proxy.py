"""The fault proxy, looked at from both of its sides by plain sockets."""

import asyncio
import time
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

import pytest
import uvloop

from fernamt.testing import FaultProxy, WireFault
from fernamt.testing.proxy import GARBAGE


class Echo:
    """A server that gives back each line and notes what it got and how its connections ended."""

    def __init__(self) -> None:
        self.got = b""
        self.ends: asyncio.Queue[str] = asyncio.Queue()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(1000):
                self.got += chunk
                writer.write(b"answer to " + chunk)
                await writer.drain()
            self.ends.put_nowait("closed")
        except ConnectionResetError:
            self.ends.put_nowait("reset")
        finally:
            writer.close()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        await self._server.wait_closed()


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    async with Echo() as echo:
        yield echo


@pytest.fixture
async def proxy(echo: Echo) -> AsyncIterator[FaultProxy]:
    async with FaultProxy("127.0.0.1", echo.port) as proxy:
        yield proxy


async def said(proxy: FaultProxy, question: bytes = b"hello") -> tuple[bytes, str]:
    """Ask one question over a connection of its own; return what came back and how it ended."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    came = b""
    try:
        writer.write(question)
        writer.write_eof()
        while chunk := await reader.read(1000):
            came += chunk
    except ConnectionResetError:
        return came, "reset"
    else:
        return came, "closed"
    finally:
        writer.close()


WHOLE = b"answer to hello"


FAULTS = {
    "a good one": (WireFault(), b"hello", WHOLE, "closed"),
    "latency": (WireFault.latency(0.01), b"hello", WHOLE, "closed"),
    "trickle": (WireFault.trickle(1000), b"hello", WHOLE, "closed"),
    "reset at once": (WireFault.reset(), b"", b"", "reset"),
    "reset in the question": (WireFault.reset(after_bytes=2), b"he", b"", "reset"),
    "reset instead of the answer": (WireFault.reset(of="answer"), b"hello", b"", "reset"),
    "reset in the answer": (WireFault.reset(after_bytes=9, of="answer"), b"hello", b"answer to", "reset"),
    "reset too late": (WireFault.reset(after_bytes=1000), b"hello", WHOLE, "closed"),
    "cut at once": (WireFault.cut(), b"", b"", "closed"),
    "cut in the answer": (WireFault.cut(after_bytes=6, of="answer"), b"hello", b"answer", "closed"),
    "garbage for an answer": (WireFault.garbage(), b"hello", GARBAGE, "closed"),
    "garbage in the answer": (WireFault.garbage(after_bytes=6, of="answer"), b"hello", b"answer" + GARBAGE, "closed"),
    "garbage at once": (WireFault.garbage(of="question"), b"", GARBAGE, "closed"),
    "a late reset": (WireFault.reset(of="answer").late(0.01), b"hello", b"", "reset"),
}


@pytest.mark.parametrize(("fault", "server_got", "client_got", "end"), FAULTS.values(), ids=FAULTS)
async def test_a_connection_gets_its_fault_and_no_other(
    echo: Echo, proxy: FaultProxy, fault: WireFault, server_got: bytes, client_got: bytes, end: str
) -> None:
    proxy.next(fault)

    assert await said(proxy) == (client_got, end)
    if server_got:
        await echo.ends.get()
    assert echo.got == server_got
    assert await said(proxy) == (WHOLE, "closed")
    assert proxy.taken == [fault, WireFault()]


@pytest.mark.parametrize("fault", [WireFault.silence(), WireFault.silence(of="answer"), WireFault.silence(3, "answer")])
async def test_a_half_open_connection_stands_and_says_nothing(proxy: FaultProxy, fault: WireFault) -> None:
    proxy.use(fault)
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"hello")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(3) if not fault.after_bytes else reader.readexactly(4), 0.05)
    assert not reader.at_eof()
    writer.close()


async def test_latency_is_on_the_way_there_and_on_the_way_back(proxy: FaultProxy) -> None:
    proxy.use(WireFault.latency(0.05))
    began = time.monotonic()
    await said(proxy)
    assert time.monotonic() - began >= 0.1


async def test_a_trickle_comes_byte_by_byte(proxy: FaultProxy) -> None:
    proxy.use(WireFault.trickle(bytes_per_s=100))
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"hello")
    assert [await reader.read(100) for _ in range(3)] == [b"a", b"n", b"s"]
    writer.close()


async def test_faults_are_for_the_next_so_many_connections_in_the_order_in_which_they_were_named(
    proxy: FaultProxy,
) -> None:
    proxy.use(WireFault.cut())
    proxy.next(WireFault.reset(), times=2)
    proxy.next(WireFault())
    assert [(await said(proxy))[1] for _ in range(5)] == ["reset", "reset", "closed", "closed", "closed"]
    assert await said(proxy) == (b"", "closed")
    proxy.heal()
    assert await said(proxy) == (WHOLE, "closed")


async def test_connections_that_stand_can_be_broken_off_on_both_sides(echo: Echo, proxy: FaultProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"hello")
    assert await reader.readexactly(len(WHOLE)) == WHOLE
    assert proxy.break_off() == 1
    with pytest.raises(ConnectionResetError):
        await reader.read(1)
    assert await echo.ends.get() == "reset"
    assert await said(proxy) == (WHOLE, "closed")
    writer.close()


def test_a_connection_that_is_closed_already_can_be_broken_off_once_more() -> None:
    async def closed_twice() -> None:
        async with Echo() as echo, FaultProxy("127.0.0.1", echo.port) as proxy:
            _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            while not proxy._lines:
                await asyncio.sleep(0)
            [line] = proxy._lines.values()
            line.reset()
            for _ in range(5):
                await asyncio.sleep(0)
            line.reset()
            writer.close()

    # The daemon's loop: it forgets the socket of a transport that is closed.
    uvloop.run(closed_twice())


async def test_a_server_that_is_not_there_looks_like_one_that_resets() -> None:
    async with Echo() as gone:
        pass
    async with FaultProxy("127.0.0.1", gone.port) as proxy:
        assert await said(proxy) == (b"", "reset")


async def test_leaving_ends_what_hangs_and_stops_listening(echo: Echo) -> None:
    async with FaultProxy("127.0.0.1", echo.port) as proxy:
        proxy.use(WireFault.silence())
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"hello")
    with pytest.raises(ConnectionResetError):
        await reader.read(1)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.close()


@pytest.mark.parametrize("wrong", [{"delay_s": -1}, {"bytes_per_s": 0}, {"after_bytes": -1}])
def test_a_fault_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        WireFault(**wrong)  # type: ignore[arg-type] # whatever stands in the table
