"""Keeps tests on this machine, and their event loop free: what would leave or block is refused, and remembered."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from unittest import mock
from weakref import WeakSet

from attrs import define, field

_LOCAL_NAMES: Final = frozenset({"", "localhost", "localhost.localdomain"})


@define
class Seen:
    """What happened under the guard."""

    outside: list[str] = field(factory=list)
    """Where somebody wanted to go: hosts, with ports."""
    blocking: list[str] = field(factory=list)
    """What would have held up the event loop."""
    sockets: WeakSet[socket.socket] = field(factory=WeakSet)
    """Those that were connected or bound."""

    def still_open(self) -> int:
        """Return how many of the sockets are open."""
        return sum(one.fileno() != -1 for one in self.sockets)


def is_local(host: object) -> bool:
    """Return whether *host*, a name or an address, is this machine."""
    if host is None or not isinstance(host, str | bytes):
        return host is None
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if name.lower() in _LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False


@contextmanager
def local_only() -> Iterator[Seen]:
    """Refuse whatever would leave this machine, as a network does that is not there; yield what was tried.

    Sees sockets of Python, thus asyncio's own loop; not those of uvloop and of libraries in C.
    """
    seen = Seen()
    plain, find, nap = socket.socket, socket.getaddrinfo, time.sleep

    def guarded(name: str) -> Callable[..., Any]:
        method = getattr(plain, name)

        def call(self: socket.socket, *arguments: Any) -> Any:
            address = arguments[-1]
            if self.family in {socket.AF_INET, socket.AF_INET6} and not is_local(address[0]):
                seen.outside.append(f"{address[0]}:{address[1]}")
                raise OSError(errno.ENETUNREACH, "a test does not leave this machine")
            if name.startswith("connect") and self.gettimeout() != 0 and _on_a_loop():
                seen.blocking.append(f"a blocking {name} to {address}")
            seen.sockets.add(self)
            return method(self, *arguments)

        return call

    def getaddrinfo(host: Any, *arguments: Any, **more: Any) -> Any:
        if not is_local(host):
            seen.outside.append(str(host))
            raise socket.gaierror(socket.EAI_AGAIN, "a test does not leave this machine")
        return find(host, *arguments, **more)

    def sleep(seconds: float) -> None:
        if _on_a_loop():
            seen.blocking.append(f"time.sleep({seconds:g})")
        nap(seconds)

    with ExitStack() as patched:
        for name in ("connect", "connect_ex", "sendto", "bind"):
            patched.enter_context(mock.patch.object(plain, name, guarded(name)))
        patched.enter_context(mock.patch.object(socket, "getaddrinfo", getaddrinfo))
        patched.enter_context(mock.patch.object(time, "sleep", sleep))
        yield seen


def _on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
