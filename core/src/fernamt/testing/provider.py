"""An HTTP provider on loopback that misbehaves as it is told, and keeps what it got: the other side of a connector's tests."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from email.utils import format_datetime
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qsl

import orjson
from aiohttp import web
from attrs import evolve, field, frozen
from attrs.validators import ge

from fernamt._runtime.clock import SystemClock
from fernamt._runtime.redact import names_secret
from fernamt.connector import Clock
from fernamt.inbound import Response
from fernamt.testing.trouble import Trouble

_HTML: Final = b"<!doctype html><title>Bad gateway</title><h1>Something went wrong</h1>"
_MAX_BYTES: Final = 64 * 1024 * 1024
_NO_HEADERS: Final[Mapping[str, str]] = {}


@frozen(kw_only=True)
class ProviderFault:
    """How one call ends. ``ProviderFault()`` is a good end; the methods of the class name the bad ones.

    What *acts* reaches the customer, whatever the caller is told.
    """

    acts: bool = True
    delay_s: float = field(default=0.0, validator=ge(0))
    """The answer comes so much later."""
    until_s: float | None = None
    """``Retry-After`` is said as a date: so much later, by the provider's own clock."""
    status: int | None = None
    """Said instead of the provider's own status."""
    headers: Mapping[str, str] = _NO_HEADERS
    """Said beside the provider's own."""
    body: bytes | None = None
    """Said instead of the provider's own body."""
    media_type: str = ""
    truncated: bool = False
    """Half of the body comes, then the connection ends."""
    lost: bool = False
    """Nothing comes; the connection ends."""

    @classmethod
    def throttled(cls, after_s: int | None = None) -> ProviderFault:
        """429, with ``Retry-After`` if a number is given; nothing was done."""
        headers = {} if after_s is None else {"Retry-After": str(after_s)}
        return cls(acts=False, status=429, headers=headers, body=b'{"error": "too many requests"}')

    @classmethod
    def throttled_until(cls, after_s: float) -> ProviderFault:
        """429, with ``Retry-After`` as a date, so much after the provider's own ``Date``; nothing was done."""
        return evolve(cls.throttled(), until_s=after_s)

    @classmethod
    def expired_login(cls) -> ProviderFault:
        """401: the token is not valid any more; nothing was done."""
        return cls(acts=False, status=401, body=b'{"error": "the token has expired"}')

    @classmethod
    def refused(cls, status: int = 422) -> ProviderFault:
        """A 4xx: this message is wrong, and will be wrong tomorrow."""
        return cls(acts=False, status=status, body=b'{"error": "this cannot be sent"}')

    @classmethod
    def failed(cls, status: int = 503, *, acts: bool = False) -> ProviderFault:
        """A 5xx, which does not say whether it was done: *acts* does."""
        return cls(acts=acts, status=status, body=b'{"error": "something went wrong"}')

    @classmethod
    def html(cls, status: int = 200, *, acts: bool = True) -> ProviderFault:
        """A page for people where JSON should be, as a proxy in between says it."""
        return cls(acts=acts, status=status, body=_HTML, media_type="text/html")

    @classmethod
    def cut_short(cls) -> ProviderFault:
        """It was done, and the answer ends in the middle."""
        return cls(truncated=True)

    @classmethod
    def lost_answer(cls) -> ProviderFault:
        """It was done, and nobody is told."""
        return cls(lost=True)

    @classmethod
    def lost_question(cls) -> ProviderFault:
        """It was not done, and nobody is told: from outside the same as a lost answer."""
        return cls(acts=False, lost=True)

    @classmethod
    def slow(cls, delay_s: float) -> ProviderFault:
        """It was done, and the answer comes late."""
        return cls(delay_s=delay_s)

    def late(self, delay_s: float) -> ProviderFault:
        """Return the same fault, and its answer comes late."""
        return evolve(self, delay_s=delay_s)


@frozen(kw_only=True)
class ProviderCall:
    """A call that the provider got."""

    number: int
    """1, 2, 3 ... in the order in which they came."""
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    fault: ProviderFault

    def json(self) -> Any:
        """Return what the body says; raises ``ValueError`` if it is no JSON."""
        return orjson.loads(self.body)


def words(body: bytes) -> Iterator[str]:
    """Yield every text in the body of a call, whether it is JSON, a form, or neither."""
    try:
        yield from _strings(orjson.loads(body))
    except orjson.JSONDecodeError:
        text = body.decode("utf-8", "replace")
        yield from (value for _, value in parse_qsl(text, keep_blank_values=True))
        yield text


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _strings([*value.values()])
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)


_TROUBLES: Final[Mapping[Trouble, ProviderFault]] = {
    Trouble.LOST_QUESTION: ProviderFault.lost_question(),
    Trouble.LOST_ANSWER: ProviderFault.lost_answer(),
    Trouble.SILENCE: ProviderFault.slow(60.0),
    Trouble.CUT_SHORT: ProviderFault.cut_short(),
    Trouble.NONSENSE: ProviderFault.html(),
    Trouble.FAILED: ProviderFault.failed(500, acts=True),
    Trouble.THROTTLED: ProviderFault.throttled(17),
    Trouble.THROTTLED_UNTIL: ProviderFault.throttled_until(17),
    Trouble.REFUSED: ProviderFault.refused(),
    Trouble.LOGIN: ProviderFault.expired_login(),
}


def _key(call: ProviderCall) -> str:
    return call.headers.get("Idempotency-Key", "")


def _answer(call: ProviderCall) -> Response:
    return Response(body=orjson.dumps({"id": f"p-{call.number}"}), media_type="application/json")


class FaultyProvider:
    """Takes calls of any method on any path of :attr:`url` while it is entered.

    ::

        async with FaultyProvider(honours_keys=True) as provider:
            provider.next(ProviderFault.lost_answer())
            ...                                     # the connector sends to provider.url, twice
            assert len(provider.calls) == 2
            assert len(provider.acted) == 1         # it knew the repeat by its key

    *answer* says what a call that acts is told; it may have effects of its own, such as to plan a webhook. *key* finds the
    idempotency key of a call, by default the header ``Idempotency-Key``. With *honours_keys* a call whose key acted before does
    not act again and is told the same. *clock* is the provider's own, which its answers tell (``Date``): a fake one, or one that is
    off (``context.clock.skewed(3600)``). It is a :class:`FakeServer` for the conformance kit: *sends* says which calls bring
    something to a customer. Not for several event loops.
    """

    troubles: Final = frozenset(Trouble)

    def __init__(
        self,
        *,
        honours_keys: bool = False,
        key: Callable[[ProviderCall], str] = _key,
        answer: Callable[[ProviderCall], Response] = _answer,
        sends: Callable[[ProviderCall], bool] = lambda call: call.method in {"POST", "PUT"},
        clock: Clock | None = None,
    ) -> None:
        self.clock: Clock = clock or SystemClock()
        """May be set at any time; the kit sets it to that of the connector's context."""
        self.url = ""
        """``http://127.0.0.1:PORT``, once entered."""
        self.port = 0
        self.calls: list[ProviderCall] = []
        self.acted: list[ProviderCall] = []
        """Those that reached the customer, in order."""
        self._honours_keys = honours_keys
        self._key = key
        self._answer = answer
        self._sends = sends
        self._answers: dict[str, Response] = {}
        self._fault: Callable[[ProviderCall], ProviderFault] = lambda _call: ProviderFault()
        self._next: deque[ProviderFault] = deque()
        self._came = asyncio.Condition()
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite

    def next(self, fault: ProviderFault, *, times: int = 1) -> None:
        """End the next calls like that, *times* of them, after those that were named before."""
        self._next.extend([fault] * times)

    def use(self, fault: ProviderFault | Callable[[ProviderCall], ProviderFault]) -> None:
        """End every call like that for which :meth:`next` says nothing else; a function chooses for each."""
        self._fault = fault if callable(fault) else lambda _call: fault

    async def meet(self, trouble: Trouble | None) -> None:
        """See :class:`FakeServer`."""
        assert self._runner is not None
        if trouble is Trouble.NOT_THERE:
            await self._site.stop()
            assert self._runner.server is not None
            for connection in self._runner.server.connections:
                if connection.transport is not None:
                    connection.transport.close()
        elif self._site not in self._runner.sites:
            self._site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
            await self._site.start()
        self.use(_TROUBLES.get(trouble, ProviderFault()) if trouble is not None else ProviderFault())

    @property
    def asked(self) -> int:
        """See :class:`FakeServer`."""
        return len(self.calls)

    @property
    def arrived(self) -> Sequence[str]:
        """See :class:`FakeServer`: all texts of each call that brought something to a customer."""
        return ["\n".join(words(call.body)) for call in self.acted if self._sends(call)]

    def transcript(self) -> Sequence[str]:
        """See :class:`Transcribes`. Headers that every client sends by itself are left out, and those that hold a secret masked."""
        return [_written(call) for call in self.calls]

    def heal(self) -> None:
        """Forget every fault."""
        self._next.clear()
        self.use(ProviderFault())

    def doubled(self) -> int:
        """Return how often something reached the customer that had reached it before, by the keys of the calls that acted."""
        counts = Counter(key for call in self.acted if (key := self._key(call)))
        return sum(count - 1 for count in counts.values())

    async def called(self, times: int) -> None:
        """Return when so many calls have come, since the beginning."""
        async with self._came:
            await self._came.wait_for(lambda: len(self.calls) >= times)

    async def _take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        call = ProviderCall(
            number=len(self.calls) + 1,
            method=request.method,
            path=request.path,
            query=request.query,
            headers=request.headers,
            body=body,
            fault=ProviderFault(),
        )
        call = evolve(call, fault=self._next.popleft() if self._next else self._fault(call))
        fault = call.fault
        said = self._act(call) if fault.acts else Response()
        self.calls.append(call)
        async with self._came:
            self._came.notify_all()
        await asyncio.sleep(fault.delay_s)
        if fault.lost and request.transport is not None:
            request.transport.abort()
        now = self.clock.now()
        told = {"Date": format_datetime(now, usegmt=True), **fault.headers}
        if fault.until_s is not None:
            told["Retry-After"] = format_datetime(now + timedelta(seconds=fault.until_s), usegmt=True)
        answer = web.Response(
            status=fault.status or said.status,
            body=said.body if fault.body is None else fault.body,
            content_type=fault.media_type or said.media_type,
            headers=told,
        )
        return await _half(request, answer) if fault.truncated else answer

    def _act(self, call: ProviderCall) -> Response:
        key = self._key(call)
        if self._honours_keys and key in self._answers:
            return self._answers[key]
        self.acted.append(call)
        said = self._answer(call)
        if key:
            self._answers[key] = said
        return said

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=_MAX_BYTES)
        app.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await self._site.start()
        self.port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()


_OF_EVERY_CLIENT: Final = frozenset(
    {"accept", "accept-encoding", "connection", "content-length", "host", "transfer-encoding", "user-agent"}
)


def _written(call: ProviderCall) -> str:
    """Return a call as text that is the same whenever the same is asked."""
    query = "&".join(f"{name}={value}" for name, value in call.query.items())
    lines = [f"{call.method} {call.path}{f'?{query}' if query else ''}"]
    for name, value in sorted((name.lower(), value) for name, value in call.headers.items()):
        if name not in _OF_EVERY_CLIENT:
            lines.append(f"{name}: {'masked' if names_secret(name) else value}")
    said = "\n".join([*lines, "", _read(call.body)]) if call.body else "\n".join(lines)
    boundary = re.search(r'boundary="?([^\s";]+)', call.headers.get("Content-Type", ""))
    return said.replace(boundary[1], "boundary") if boundary else said


def _read(body: bytes) -> str:
    try:
        return orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONDecodeError:
        pass
    try:
        return body.decode()
    except UnicodeDecodeError:
        return f"<{len(body)} bytes, SHA-256 {hashlib.sha256(body).hexdigest()}>"


async def _half(request: web.Request, whole: web.Response) -> web.StreamResponse:
    """Say how long the answer is, and give half of it."""
    body = whole.body
    assert isinstance(body, bytes)
    answer = web.StreamResponse(status=whole.status, headers=whole.headers)
    answer.content_length = len(body)
    await answer.prepare(request)
    await answer.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return answer
