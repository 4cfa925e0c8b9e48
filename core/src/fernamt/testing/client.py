"""The daemon's own HTTP client, for a connector under test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fernamt._runtime.http import ClientHttp
from fernamt.http import Http


@asynccontextmanager
async def loopback_http(*, timeout_s: float = 2.0) -> AsyncIterator[Http]:
    """Give what a connector finds as ``context.http``: the real client, which may call this machine here.

    *timeout_s* is for requests that name no time of their own; nobody waits for ten seconds in a test.
    """
    http = ClientHttp(allow_private=frozenset({"127.0.0.1"}), timeout_s=timeout_s)
    try:
        yield http
    finally:
        await http.close()
