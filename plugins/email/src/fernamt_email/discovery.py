"""The servers of an address, found out: by its domain, by DNS (RFC 6186, RFC 8314), by what the domain itself publishes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol
from urllib.parse import quote

from attrs import frozen

from fernamt import HttpReply, Unreachable
from fernamt_email.address import MAILBOX, normalised
from fernamt_email.providers import Provider, Server, by_domain, by_exchanger
from fernamt_email.settings import Security

MAX_XML_BYTES: Final = 200_000
LOOK_S: Final = 8.0
_SECURITY: Final[dict[str, Security]] = {"SSL": "tls", "STARTTLS": "starttls"}
_PLACES: Final = (
    "https://autoconfig.{domain}/mail/config-v1.1.xml?emailaddress={address}",
    "https://{domain}/.well-known/autoconfig/mail/config-v1.1.xml",
)
_SERVICES: Final[tuple[tuple[str, str, Security], ...]] = (
    ("imap", "_imaps._tcp", "tls"),
    ("imap", "_imap._tcp", "starttls"),
    ("smtp", "_submissions._tcp", "tls"),
    ("smtp", "_submission._tcp", "starttls"),
)


class Gets(Protocol):
    """The part of ``Http`` that is needed."""

    async def request(self, method: str, url: str, *, timeout_s: float = ...) -> HttpReply: ...


class Names(Protocol):
    """What is asked of DNS. Both return nothing if there is nothing, or nobody answers."""

    async def exchangers(self, domain: str) -> Sequence[str]:
        """Return the mail exchangers, the most preferred first."""

    async def services(self, name: str) -> Sequence[tuple[str, int]]:
        """Return host and port of each server of a service, the most preferred first."""


@frozen(kw_only=True)
class Found:
    """The servers of an address."""

    provider: Provider
    user: str
    """For the login."""
    how: str
    """Where it was found: preset, dns, exchanger, domain."""


async def discover(address: str, http: Gets, names: Names) -> Found | None:
    """Return the servers of an address, ``None`` if nothing says which they are.

    Whatever a domain says of itself is asked over DNS or TLS only. Raises ``ValueError`` if it is no address.
    """
    if not MAILBOX.fullmatch(address):
        raise ValueError(f"{address!r} must look like support@example.org")
    address = normalised(address)
    domain = address.rpartition("@")[2]
    if known := by_domain(domain):
        return Found(provider=known, user=address, how="preset")
    if published := await _from_dns(domain, names):
        return Found(provider=published, user=address, how="dns")
    if known := by_exchanger(await names.exchangers(domain)):
        return Found(provider=known, user=address, how="exchanger")
    for place in _PLACES:
        try:
            reply = await http.request("GET", place.format(domain=domain, address=quote(address)), timeout_s=LOOK_S)
        except Unreachable:
            continue
        if reply.status == 200 and len(reply.body) <= MAX_XML_BYTES and (found := _from_xml(reply.body, address)):
            return found
    return None


async def _from_dns(domain: str, names: Names) -> Provider | None:
    servers: dict[str, Server] = {}
    for what, service, security in _SERVICES:
        if what not in servers:
            for host, port in await names.services(f"{service}.{domain}"):
                if host not in {"", "."}:  # a dot: it is known that there is none
                    servers[what] = Server(host.rstrip("."), port, security)
                    break
    return Provider(name=domain, imap=servers["imap"], smtp=servers["smtp"]) if len(servers) == 2 else None


def _from_xml(content: bytes, address: str) -> Found | None:
    from lxml import etree  # type: ignore[import-untyped]  # the library ships no types

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    imap = _server(root.findall(".//incomingServer[@type='imap']"))
    smtp = _server(root.findall(".//outgoingServer[@type='smtp']"))
    if imap is None or smtp is None:
        return None
    local, _, domain = address.rpartition("@")
    user = (root.findtext(".//incomingServer[@type='imap']/username") or "%EMAILADDRESS%").strip()
    for name, value in (("%EMAILADDRESS%", address), ("%EMAILLOCALPART%", local), ("%EMAILDOMAIN%", domain)):
        user = user.replace(name, value)
    return Found(provider=Provider(name=domain, imap=imap, smtp=smtp), user=user[:200], how="domain")


def _server(elements: Sequence[object]) -> Server | None:
    """Return the first server of a list that is reached over TLS."""
    for element in elements:
        told = {name: (element.findtext(name) or "").strip() for name in ("hostname", "port", "socketType")}  # type: ignore[attr-defined]  # the library ships no types
        security = _SECURITY.get(told["socketType"].upper())
        if security and told["hostname"] and told["port"].isdecimal() and 0 < int(told["port"]) < 65_536:
            return Server(told["hostname"][:253], int(told["port"]), security)
    return None
