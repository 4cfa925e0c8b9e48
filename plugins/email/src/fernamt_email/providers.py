"""The servers of well-known providers, by the domain of an address or by where its mail is delivered to. Our own table. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from fernamt_email.settings import Security


@frozen
class Server:
    """Where to log in."""

    host: str
    port: int
    security: Security


@frozen(kw_only=True)
class Provider:
    """What has to be known to use a mailbox there."""

    name: str
    imap: Server
    smtp: Server
    domains: tuple[str, ...] = ()
    """Of its own addresses."""
    exchangers: tuple[str, ...] = ()
    """How the names of its mail exchangers end: customers' own domains point there."""
    oauth: str = ""
    """The provider of tokens; ``""``: a password is enough."""
    hint: str = ""
    """A heading of the page on set-up, see ``explain``; ``""``: nothing has to be done first."""


def _tls(imap: str, smtp: str) -> tuple[Server, Server]:
    return Server(imap, 993, "tls"), Server(smtp, 465, "tls")


def _start(imap: str, smtp: str) -> tuple[Server, Server]:
    return Server(imap, 993, "tls"), Server(smtp, 587, "starttls")


def _provider(
    name: str,
    servers: tuple[Server, Server],
    domains: str = "",
    exchangers: str = "",
    *,
    oauth: str = "",
    hint: str = "",
) -> Provider:
    return Provider(
        name=name,
        imap=servers[0],
        smtp=servers[1],
        domains=tuple(domains.split()),
        exchangers=tuple(exchangers.split()),
        oauth=oauth,
        hint=hint,
    )


PROVIDERS: Final = (
    _provider(
        "GMX",
        _tls("imap.gmx.net", "mail.gmx.net"),
        "gmx.de gmx.net gmx.at gmx.ch gmx.eu gmx.org gmx.info",
        "emig.gmx.net mx00.gmx.net mx01.gmx.net",
        hint="imap-off",
    ),
    _provider(
        "GMX.com", _tls("imap.gmx.com", "mail.gmx.com"), "gmx.com gmx.us gmx.co.uk gmx.fr gmx.es", hint="imap-off"
    ),
    _provider("WEB.DE", _start("imap.web.de", "smtp.web.de"), "web.de", hint="imap-off"),
    _provider(
        "T-Online",
        _tls("secureimap.t-online.de", "securesmtp.t-online.de"),
        "t-online.de magenta.de",
        hint="app-password",
    ),
    _provider("freenet", _tls("mx.freenet.de", "mx.freenet.de"), "freenet.de freenetmail.de", hint="imap-off"),
    _provider("Vodafone", _start("imap.vodafonemail.de", "smtp.vodafonemail.de"), "vodafonemail.de arcor.de"),
    _provider(
        "IONOS", _tls("imap.ionos.de", "smtp.ionos.de"), "online.de", "ionos.de ionos.com kundenserver.de 1and1.com"
    ),
    _provider("STRATO", _tls("imap.strato.de", "smtp.strato.de"), "", "rzone.de strato.de"),
    _provider("mailbox.org", _tls("imap.mailbox.org", "smtp.mailbox.org"), "mailbox.org", "mailbox.org"),
    _provider(
        "Posteo",
        _tls("posteo.de", "posteo.de"),
        "posteo.de posteo.net posteo.org posteo.eu posteo.at posteo.ch",
        "posteo.de",
    ),
    _provider("Hetzner", _tls("mail.your-server.de", "mail.your-server.de"), "", "your-server.de"),
    _provider("netcup", _tls("mail.netcup.net", "mail.netcup.net"), "", "netcup.net"),
    _provider("OVH", _tls("ssl0.ovh.net", "ssl0.ovh.net"), "", "mail.ovh.net"),
    _provider(
        "Gmail",
        _start("imap.gmail.com", "smtp.gmail.com"),
        "gmail.com googlemail.com",
        "google.com googlemail.com",
        oauth="google",
        hint="gmail-app-password",
    ),
    _provider(
        "Microsoft 365",
        _start("outlook.office365.com", "smtp.office365.com"),
        "onmicrosoft.com",
        "mail.protection.outlook.com mx.microsoft",
        oauth="microsoft",
        hint="m365-basic-off",
    ),
    _provider(
        "Outlook.com",
        _start("outlook.office365.com", "smtp-mail.outlook.com"),
        "outlook.com outlook.de hotmail.com hotmail.de live.com live.de msn.com",
        oauth="microsoft",
        hint="m365-basic-off",
    ),
    _provider(
        "iCloud",
        _start("imap.mail.me.com", "smtp.mail.me.com"),
        "icloud.com me.com mac.com",
        "mail.icloud.com",
        hint="app-password",
    ),
    _provider(
        "Yahoo",
        _tls("imap.mail.yahoo.com", "smtp.mail.yahoo.com"),
        "yahoo.com yahoo.de ymail.com yahoo.co.uk yahoo.fr",
        "yahoodns.net",
        hint="app-password",
    ),
    _provider("AOL", _tls("imap.aol.com", "smtp.aol.com"), "aol.com aol.de", hint="app-password"),
    _provider(
        "Fastmail",
        _tls("imap.fastmail.com", "smtp.fastmail.com"),
        "fastmail.com fastmail.fm",
        "messagingengine.com",
        hint="app-password",
    ),
    _provider("Zoho", _tls("imap.zoho.eu", "smtp.zoho.eu"), "zoho.eu zohomail.eu", "zoho.eu", hint="app-password"),
    _provider("Infomaniak", _tls("mail.infomaniak.com", "mail.infomaniak.com"), "ikmail.com", "infomaniak.ch"),
    _provider("Gandi", _tls("mail.gandi.net", "mail.gandi.net"), "", "gandi.net"),
)
ALL_INKL: Final = "kasserver.com"
"""ALL-INKL: every customer has a server of their own, the exchanger itself."""


def by_domain(domain: str) -> Provider | None:
    """Return the provider of an address's domain."""
    return next((one for one in PROVIDERS if any(_is_in(domain, known) for known in one.domains)), None)


def by_exchanger(exchangers: Sequence[str]) -> Provider | None:
    """Return the provider to whose servers a domain's mail is delivered, the most preferred first."""
    for exchanger in exchangers:
        if _is_in(exchanger, ALL_INKL):
            imap, smtp = _tls(exchanger, exchanger)
            return Provider(name="ALL-INKL", imap=imap, smtp=smtp)
        for one in PROVIDERS:
            if any(_is_in(exchanger, known) for known in one.exchangers):
                return one
    return None


def _is_in(name: str, domain: str) -> bool:
    name = name.lower().rstrip(".")
    return name == domain or name.endswith(f".{domain}")
