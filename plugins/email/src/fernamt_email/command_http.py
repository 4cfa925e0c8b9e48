"""The way to providers for a command, which has no context: bounded, and no redirect is followed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

from fernamt import HttpReply, Unreachable

if TYPE_CHECKING:
    from aiohttp import ClientSession

MAX_REPLY_BYTES: Final = 1_000_000
_NOTHING: Final[Mapping[str, str]] = {}


class CommandHttp:
    """As much of ``fernamt.Http`` as commands need."""

    def __init__(self, session: ClientSession) -> None:
        self._session = session

    @classmethod
    @asynccontextmanager
    async def opened(cls) -> AsyncIterator[Self]:
        """Yield one, and close it."""
        from aiohttp import ClientSession, DummyCookieJar

        async with ClientSession(trust_env=True, cookie_jar=DummyCookieJar()) as session:
            yield cls(session)

    async def request(
        self, method: str, url: str, *, form: Mapping[str, str] = _NOTHING, timeout_s: float = 20.0
    ) -> HttpReply:
        """See ``fernamt.Http``. An answer is at most 1 MB."""
        from aiohttp import ClientError, ClientTimeout

        host = urlsplit(url).hostname
        limits = ClientTimeout(total=timeout_s, connect=min(timeout_s, 10.0))
        body = bytearray()
        try:
            async with self._session.request(
                method, url, data=dict(form) or None, timeout=limits, allow_redirects=False
            ) as answer:
                async for chunk in answer.content.iter_any():
                    body += chunk
                    if len(body) > MAX_REPLY_BYTES:
                        raise Unreachable(f"{host} answers with more than {MAX_REPLY_BYTES} bytes", certain=False)
                return HttpReply(status=answer.status, headers=dict(answer.headers), body=bytes(body))
        except (ClientError, OSError) as why:  # TimeoutError is an OSError
            raise Unreachable(f"{host} cannot be reached ({type(why).__name__})", certain=True) from why
