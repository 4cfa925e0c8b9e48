"""Which addresses may be called: public ones, and what the operator allows in the own network."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from ipaddress import IPv4Address, IPv6Address
from typing import Final, TypeAlias

from aiohttp.abc import AbstractResolver, ResolveResult

_Address: TypeAlias = IPv4Address | IPv6Address
_GLOBAL_V6: Final = ipaddress.IPv6Network("2000::/3")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_CHECKED_MAX: Final = 1024


class PrivateAddress(OSError):
    """The host is, or leads to, an address that must not be called."""


def is_public(address: _Address) -> bool:
    """Return whether everybody could reach this address: not private, loopback, link-local, shared (CGNAT), multicast ...

    An IPv4 address inside an IPv6 one (mapped, 6to4, Teredo, NAT64) is judged as what it leads to.
    """
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast
    if (mapped := address.ipv4_mapped) is not None:
        return is_public(mapped)
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
    inner = (address.sixtofour, *(address.teredo or ()))
    return address in _GLOBAL_V6 and address.is_global and all(it is None or is_public(it) for it in inner)


class PublicResolver(AbstractResolver):
    """Resolves a name once and gives only addresses that may be called: the connection goes to exactly these.

    *allowed* has hosts and ``host:port`` that may be private; a literal IPv6 address stands in brackets before a port.
    """

    def __init__(self, inner: AbstractResolver, allowed: frozenset[str]) -> None:
        self._inner = inner
        self._allowed = frozenset(name.lower() for name in allowed)
        self._checked: set[tuple[str, int]] = set()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of *host* that may be called; raises ``PrivateAddress`` if it has no such."""
        found = await self._inner.resolve(host, port, family)
        if self._is_allowed(host, port):
            return found
        public = [it for it in found if is_public(ipaddress.ip_address(it["host"]))]
        if not public:
            raise PrivateAddress(f"{host} is not a public address")
        return public

    async def close(self) -> None:
        """Close the resolver behind."""
        await self._inner.close()

    def check_literal(self, host: str, port: int) -> None:
        """Raise ``PrivateAddress`` if *host* is itself an address, and one that must not be called."""
        if (host, port) in self._checked:
            return
        with contextlib.suppress(ValueError):
            address = ipaddress.ip_address(host.strip("[]"))
            if not is_public(address) and not self._is_allowed(host, port):
                raise PrivateAddress(f"{host} is not a public address")
        if len(self._checked) < _CHECKED_MAX:
            self._checked.add((host, port))

    def _is_allowed(self, host: str, port: int) -> bool:
        name = host.lower().strip("[]").rstrip(".")
        return bool(self._allowed & {name, f"{name}:{port}", f"[{name}]:{port}"})
