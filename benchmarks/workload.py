"""What the inbound benchmark sends: 1 KB messages with random ids, one in six from a customer who wrote before."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
import time
from collections.abc import Iterator
from typing import cast

import orjson
from attrs import frozen

SECRET = b"the benchmark's webhook secret"
PATH = "/in/bench/hook"
CONNECTIONS = 64
_KNOWN = 1 / 6
_RECENT = 5_000


def signature(body: bytes) -> str:
    """Return what ``X-Signature`` carries."""
    return hmac.new(SECRET, body, hashlib.sha256).hexdigest()


def verified(given: str, body: bytes) -> bool:
    """Say whether the signature fits, in constant time."""
    return hmac.compare_digest(given.encode(), signature(body).encode())


def requests(count: int, seed: int) -> list[bytes]:
    """Return whole HTTP requests, made before the clock runs."""
    dice = random.Random(seed)
    wrote: list[str] = []
    made = []
    for _ in range(count):
        if wrote and dice.random() < _KNOWN:
            sender = dice.choice(wrote[-_RECENT:])
        else:
            sender = f"{dice.getrandbits(128):032x}"
            wrote.append(sender)
        body = orjson.dumps(
            {
                "id": f"{dice.getrandbits(128):032x}",
                "from": sender,
                "name": "Ann Example",
                "text": "Wo ist meine Bestellung? " * 8,
                "pad": "x" * 680,
            }
        )
        head = (
            f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"X-Signature: {signature(body)}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made


@frozen(kw_only=True)
class Run:
    """What one run measured."""

    per_s: float
    p50_ms: float
    p99_ms: float


class _Connection(asyncio.Protocol):
    def __init__(self, left: Iterator[bytes], latencies: list[float], closed: asyncio.Semaphore) -> None:
        self._left = left
        self._latencies = latencies
        self._closed = closed

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self._next()

    def _next(self) -> None:
        request = next(self._left, None)
        if request is None:
            self._transport.close()
            self._closed.release()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if not data.startswith(b"HTTP/1.1 200"):
            raise AssertionError(f"refused: {data[:200]!r}")
        self._latencies.append(time.perf_counter() - self._sent_at)
        self._next()


async def measure(port: int, made: list[bytes]) -> Run:
    """Send the requests over 64 kept connections, each the next one when its answer is there."""
    loop = asyncio.get_running_loop()
    left, latencies, closed = iter(made), list[float](), asyncio.Semaphore(0)
    began = time.perf_counter()
    for _ in range(CONNECTIONS):
        await loop.create_connection(lambda: _Connection(left, latencies, closed), "127.0.0.1", port)
    for _ in range(CONNECTIONS):
        await closed.acquire()
    took_s = time.perf_counter() - began
    if len(latencies) != len(made):
        raise AssertionError(f"{len(made) - len(latencies)} requests got no answer")
    latencies.sort()
    return Run(
        per_s=len(made) / took_s,
        p50_ms=latencies[len(latencies) // 2] * 1e3,
        p99_ms=latencies[int(len(latencies) * 0.99)] * 1e3,
    )
