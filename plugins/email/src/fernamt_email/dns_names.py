"""DNS for commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

WITHIN_S: Final = 6.0


class DnsNames:
    """Asks the machine's own name servers; see ``discovery.Names``."""

    def __init__(self, resolver: Any = None) -> None:
        """*resolver* is one of dnspython's, by default as the machine is set up."""
        self._resolver = resolver

    async def exchangers(self, domain: str) -> Sequence[str]:
        found = await self._asked(domain, "MX")
        return [str(one.exchange).rstrip(".") for one in sorted(found, key=lambda one: one.preference)]

    async def services(self, name: str) -> Sequence[tuple[str, int]]:
        found = await self._asked(name, "SRV")
        return [(str(one.target), one.port) for one in sorted(found, key=lambda one: (one.priority, -one.weight))]

    async def _asked(self, name: str, kind: str) -> list[Any]:
        import dns.asyncresolver
        import dns.exception

        try:
            resolver = self._resolver or dns.asyncresolver.Resolver()
            return [*await resolver.resolve(name, kind, lifetime=WITHIN_S, search=False)]
        except (dns.exception.DNSException, OSError):
            return []
