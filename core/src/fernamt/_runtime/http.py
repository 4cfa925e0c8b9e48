"""The way out to providers by HTTP: bounded in time and size, to public addresses only, and never twice by itself."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextvars import ContextVar
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
import orjson
import structlog
from aiohttp.abc import AbstractResolver
from aiohttp.connector import Connection
from structlog.typing import FilteringBoundLogger
from yarl import URL

from fernamt._runtime.reachable import PrivateAddress, PublicResolver
from fernamt.errors import ChannelError, Rejected, Throttled, Unreachable
from fernamt.http import HttpReply
from fernamt.model import Json

MAX_REPLY_BYTES: Final = 8 * 1024 * 1024
MAX_REDIRECTS: Final = 3
# A provider that hangs does not take the connections of the others.
MAX_CONNECTIONS: Final = 512
MAX_CONNECTIONS_PER_HOST: Final = 64
CONNECT_TIMEOUT_S: Final = 5.0
DOWNLOAD_TIMEOUT_S: Final = 300.0
# Shorter than the idle time of common servers (5 s and more), so that we rarely write into a connection they just closed.
KEEPALIVE_S: Final = 4.0
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_WRITTEN_AT_ONCE: Final = 2**20
_NO_HEADERS: Final[Mapping[str, str]] = {}
_log = structlog.get_logger()


class _Broken(Exception):
    """The connection broke after the request may have gone out. Not aiohttp's own class, so it repeats nothing."""


class ClientHttp:
    """The ``Http`` of every context, on one session. Made on the running loop; :meth:`close` it.

    - No cookie, redirect, proxy of the environment, or repetition: one call is at most one request on the wire. aiohttp
      itself would repeat a GET, PUT or DELETE whose kept-alive connection broke.
    - *Certain* is an error before a connection stood: no name, refused, no handshake, no free connection in time. From the
      first byte on, every error is uncertain.
    - An address that is not public is ``Rejected``, unless *allow_private* names its host, or ``host:port``.
    """

    def __init__(
        self,
        *,
        allow_private: frozenset[str] = frozenset(),
        timeout_s: float = 10.0,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._timeout_s = timeout_s
        self._log: FilteringBoundLogger = _log.bind()
        self._resolver = PublicResolver(resolver or aiohttp.ThreadedResolver(), allow_private)
        self._session = aiohttp.ClientSession(
            connector=_Connections(
                resolver=self._resolver,
                keepalive_timeout=KEEPALIVE_S,
                limit=MAX_CONNECTIONS,
                limit_per_host=MAX_CONNECTIONS_PER_HOST,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "Fernamt"},
            middlewares=(_once,),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close every connection; requests under way fail."""
        await self._session.close()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = _NO_HEADERS,
        query: Mapping[str, str] = _NO_HEADERS,
        json: Json = None,
        form: Mapping[str, str] | None = None,
        body: bytes | AsyncIterable[bytes] | None = None,
        timeout_s: float | None = None,
    ) -> HttpReply:
        """See ``Http.request``. At most one of *json*, *form* and *body*; *timeout_s* is for all of it, ten by default."""
        if sum(given is not None for given in (json, form, body)) > 1:
            raise ValueError("a request has json, form or body")
        target = self._target(url).update_query(query) if query else self._target(url)
        sent = dict(headers)
        data: bytes | io.BytesIO | AsyncIterable[bytes] | None = body
        if json is not None:
            data = orjson.dumps(json)
            sent = {"Content-Type": "application/json", **sent}
        elif form is not None:
            data = urlencode(form).encode()
            sent = {"Content-Type": "application/x-www-form-urlencoded", **sent}
        if isinstance(data, bytes) and len(data) > _WRITTEN_AT_ONCE:
            data = io.BytesIO(data)
        total_s = self._timeout_s if timeout_s is None else timeout_s
        limits = aiohttp.ClientTimeout(total=total_s, connect=min(total_s, CONNECT_TIMEOUT_S))
        exchange = _Exchange(self._log, method.upper(), target)
        try:
            async with self._session.request(
                exchange.method,
                target,
                headers=_checked(sent),
                data=data,
                timeout=limits,
                allow_redirects=False,
            ) as answer:
                content = bytearray()
                async for chunk in answer.content.iter_any():
                    content += chunk
                    if len(content) > MAX_REPLY_BYTES:
                        raise Unreachable(
                            f"{target.host} answered with more than {MAX_REPLY_BYTES} bytes", certain=False
                        )
                exchange.log(answer.status)
                return HttpReply(status=answer.status, headers=answer.headers, body=bytes(content))
        except _FAILURES as why:
            raise exchange.explain(why) from None

    async def download(
        self, url: str, *, headers: Mapping[str, str] = _NO_HEADERS, max_bytes: int
    ) -> AsyncIterator[bytes]:
        """See ``Http.download``. Up to three redirects are followed, to public addresses, never from https to http.

        *headers* go to the first origin only.

        Raises:
            Rejected: A status of 3xx or 4xx, too long, or a redirect that is not followed.
            Throttled: 429.
            Unreachable: A status of 5xx, or no complete answer.
        """
        target, sent = self._target(url), dict(headers)
        limits = aiohttp.ClientTimeout(total=DOWNLOAD_TIMEOUT_S, connect=CONNECT_TIMEOUT_S, sock_read=self._timeout_s)
        for _ in range(MAX_REDIRECTS + 1):
            exchange = _Exchange(self._log, "GET", target)
            try:
                async with self._session.get(
                    target,
                    headers=_checked(sent),
                    timeout=limits,
                    allow_redirects=False,
                ) as answer:
                    exchange.log(answer.status)
                    if answer.status not in _REDIRECTS:
                        _refuse_status(answer, max_bytes)
                        received = 0
                        async for chunk in answer.content.iter_chunked(65_536):
                            received += len(chunk)
                            if received > max_bytes:
                                raise Rejected(f"the file is longer than {max_bytes} bytes")
                            yield chunk
                        return
                    following = self._following(target, answer.headers.get("Location", ""))
            except _FAILURES as why:
                raise exchange.explain(why) from None
            if following.origin() != target.origin():
                sent = {}
            target = following
        raise Rejected(f"{target.host} redirects more than {MAX_REDIRECTS} times")

    def _target(self, url: str) -> URL:
        if self._session.closed:
            raise Unreachable("the daemon stops", certain=True)
        try:
            target = URL(url)
        except ValueError:
            raise Rejected("this is no address") from None
        if target.scheme not in {"http", "https"} or not target.raw_host:
            raise Rejected("an address must begin with http:// or https:// and name a host")
        # aiohttp resolves names by our resolver, but connects to literal addresses without asking it.
        try:
            self._resolver.check_literal(target.raw_host, target.port or 0)
        except PrivateAddress as why:
            raise Rejected(str(why)) from None
        return target

    def _following(self, target: URL, location: str) -> URL:
        try:
            following = target.join(URL(location)) if location else None
        except ValueError:
            following = None
        if following is None or (target.scheme == "https" and following.scheme != "https"):
            raise Rejected(f"{target.host} redirects to where we do not follow")
        return self._target(str(following))


class _Exchange:
    """One request: whether it may have gone out, and what to say of its end. Paths and queries may hold secrets."""

    def __init__(self, log: FilteringBoundLogger, method: str, target: URL) -> None:
        self.method = method
        self.host = target.host or ""
        self._log = log
        self._target = target
        self.begun = False
        _current.set(self)
        self._start_s = time.monotonic()

    def log(self, status: int) -> None:
        if self._log.is_enabled_for(logging.DEBUG):
            took_ms = round((time.monotonic() - self._start_s) * 1000)
            origin = str(self._target.origin())
            self._log.debug("http_answered", method=self.method, origin=origin, status=status, took_ms=took_ms)

    def explain(self, why: BaseException) -> ChannelError:
        """Return the error for a connector. Nothing of aiohttp's own words: they repeat the whole address."""
        if isinstance(why, aiohttp.ClientConnectorDNSError) and isinstance(why.os_error, PrivateAddress):
            return Rejected(str(why.os_error))
        if isinstance(why, aiohttp.InvalidURL):
            return Rejected(f"{self.host} is no host that we call")
        certain = not self.begun
        if isinstance(why, TimeoutError):
            reason = f"{self.host} {'could not be reached' if certain else 'did not answer'} in time"
        elif isinstance(why, aiohttp.ClientConnectorDNSError):
            reason = f"the name {self.host} is not known"
        elif isinstance(why, aiohttp.ClientConnectorError):
            reason = f"no connection to {self.host}: {getattr(why.__cause__, 'strerror', '') or type(why).__name__}"
        else:
            reason = f"the connection to {self.host} broke: {type(why.__cause__ or why).__name__}"
        origin = str(self._target.origin())
        self._log.debug("http_failed", method=self.method, origin=origin, reason=reason, certain=certain)
        return Unreachable(reason, certain=certain)


_current: Final[ContextVar[_Exchange]] = ContextVar("exchange")


class _Connections(aiohttp.TCPConnector):
    """Tells the request of this task that a connection stands: from now on something of it may go out.

    aiohttp's own way to say so, its traces, costs a tenth of a request.
    """

    async def connect(self, *request: Any, **more: Any) -> Connection:
        connection = await super().connect(*request, **more)
        _current.get().begun = True
        return connection


_FAILURES: Final = (aiohttp.ClientError, TimeoutError, OSError, _Broken)


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    try:
        return await handler(request)
    except (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as why:
        raise _Broken from why


def _checked(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if any(sign in name + value for sign in "\r\n\0"):
            raise Rejected(f"the header {name!r} contains a line break")
    return headers


def _refuse_status(answer: aiohttp.ClientResponse, max_bytes: int) -> None:
    if answer.status == 429:
        reply = HttpReply(status=429, headers=answer.headers, body=b"")
        raise Throttled("too many downloads", after_s=reply.retry_after_s(60.0))
    if answer.status >= 500:
        raise Unreachable(f"the file is not there now (status {answer.status})", certain=False)
    if answer.status != 200:
        raise Rejected(f"the file is not there (status {answer.status})")
    if answer.content_length is not None and answer.content_length > max_bytes:
        raise Rejected(f"the file is longer than {max_bytes} bytes")
