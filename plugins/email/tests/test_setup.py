"""From an address to a channel: found servers, a section to copy, and what to do when a provider says no."""

from __future__ import annotations

import asyncio
import re
import tomllib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rrset
import pytest

from fernamt import HttpReply, Secret, Unreachable
from fernamt_email.discovery import Found, discover
from fernamt_email.dns_names import DnsNames
from fernamt_email.explain import ADVICE, advice_on, with_advice
from fernamt_email.explaining import explain
from fernamt_email.language import language
from fernamt_email.providers import PROVIDERS, Server, by_domain, by_exchanger
from fernamt_email.settings import ImapSettings, OAuthSettings, SmtpSettings
from fernamt_email.setup import section
from fernamt_email.setup import setup as setup_command


class FakeNames:
    def __init__(self, exchangers: Sequence[str] = (), **services: tuple[str, int]) -> None:
        self._exchangers = exchangers
        self._services = {f"_{name}._tcp.example.org": [server] for name, server in services.items()}

    async def exchangers(self, domain: str) -> Sequence[str]:
        return self._exchangers

    async def services(self, name: str) -> Sequence[tuple[str, int]]:
        return self._services.get(name, [])


class FakeWeb:
    def __init__(self, **pages: bytes) -> None:
        self.pages = pages
        self.asked: list[str] = []

    async def request(self, method: str, url: str, *, timeout_s: float = 0.0) -> HttpReply:
        self.asked.append(url)
        for name, body in self.pages.items():
            if name in url:
                return HttpReply(status=200, headers={}, body=body)
        if "autoconfig." in url:
            raise Unreachable("no such host", certain=True)
        return HttpReply(status=404, headers={}, body=b"")


XML = b"""<?xml version="1.0"?>
<clientConfig version="1.1"><emailProvider id="example.org">
  <incomingServer type="pop3"><hostname>pop.example.org</hostname><port>995</port><socketType>SSL</socketType></incomingServer>
  <incomingServer type="imap"><hostname>clear.example.org</hostname><port>143</port><socketType>plain</socketType></incomingServer>
  <incomingServer type="imap"><hostname>imap.example.org</hostname><port>993</port><socketType>SSL</socketType>
    <username>%EMAILLOCALPART%</username></incomingServer>
  <outgoingServer type="smtp"><hostname>smtp.example.org</hostname><port>587</port><socketType>STARTTLS</socketType></outgoingServer>
</emailProvider></clientConfig>"""


@pytest.mark.parametrize(
    ("address", "names", "web", "how", "imap", "smtp"),
    [
        pytest.param(
            "laden@GMX.de",
            FakeNames(),
            FakeWeb(),
            "preset",
            Server("imap.gmx.net", 993, "tls"),
            Server("mail.gmx.net", 465, "tls"),
            id="a known domain",
        ),
        pytest.param(
            "support@example.org",
            FakeNames(imaps=("imap.example.org.", 993), submission=("smtp.example.org.", 587)),
            FakeWeb(),
            "dns",
            Server("imap.example.org", 993, "tls"),
            Server("smtp.example.org", 587, "starttls"),
            id="DNS names both",
        ),
        pytest.param(
            "support@example.org",
            FakeNames(["example-org.mail.protection.outlook.com."], imaps=(".", 0)),
            FakeWeb(),
            "exchanger",
            Server("outlook.office365.com", 993, "tls"),
            Server("smtp.office365.com", 587, "starttls"),
            id="a company at Microsoft",
        ),
        pytest.param(
            "support@example.org",
            FakeNames(["w0123456.kasserver.com"]),
            FakeWeb(),
            "exchanger",
            Server("w0123456.kasserver.com", 993, "tls"),
            Server("w0123456.kasserver.com", 465, "tls"),
            id="a server for each customer",
        ),
        pytest.param(
            "support@example.org",
            FakeNames(["mx.example.org"]),
            FakeWeb(**{"well-known": XML}),
            "domain",
            Server("imap.example.org", 993, "tls"),
            Server("smtp.example.org", 587, "starttls"),
            id="the domain publishes them",
        ),
    ],
)
async def test_the_servers_of_an_address_are_found(
    address: str, names: FakeNames, web: FakeWeb, how: str, imap: Server, smtp: Server
) -> None:
    found = await discover(address, web, names)
    assert found is not None
    assert (found.how, found.provider.imap, found.provider.smtp) == (how, imap, smtp)
    assert all(url.startswith("https://") for url in web.asked)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>not found",
        b"<clientConfig/>",
        XML.replace(b"SSL", b"plain"),
        XML.replace(b"993", b"99999"),
        XML + b" " * 200_000,
        b'<!DOCTYPE a [<!ENTITY b "imap.example.org">]>' + XML.partition(b"?>")[2].replace(b"imap.example.org", b"&b;"),
    ],
)
async def test_what_is_no_use_is_left_alone(body: bytes) -> None:
    assert await discover("support@example.org", FakeWeb(config=body), FakeNames()) is None


async def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match=r"support@example\.org"):
        await discover("example.org", FakeWeb(), FakeNames())


# ---- DNS
@asynccontextmanager
async def name_server() -> AsyncIterator[int]:
    """A name server that knows one domain."""
    records = {
        "MX": ["20 mx2.example.org.", "10 mx1.example.org."],
        "SRV": ["10 0 993 second.example.org.", "0 5 993 first.example.org."],
    }

    class Talk(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            query = dns.message.from_wire(data)
            answer = dns.message.make_response(query)
            answer.flags |= dns.flags.RA
            question = query.question[0]
            kind = dns.rdatatype.to_text(question.rdtype)
            if "example.org" in str(question.name):
                answer.answer = [dns.rrset.from_text_list(question.name, 60, "IN", kind, records[kind])]
            self.transport.sendto(answer.to_wire(), addr)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Talk, local_addr=("127.0.0.1", 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


async def test_dns_is_asked_and_its_order_kept() -> None:
    async with name_server() as port:
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], port
        names = DnsNames(resolver)
        assert await names.exchangers("example.org") == ["mx1.example.org", "mx2.example.org"]
        assert await names.services("_imaps._tcp.example.org") == [
            ("first.example.org.", 993),
            ("second.example.org.", 993),
        ]
        assert await names.exchangers("example.net") == []


# ---- the section
@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda one: one.name)
def test_the_section_of_every_provider_can_be_copied(provider: Any) -> None:
    found = Found(provider=provider, user="support@example.org", how="preset")
    values = tomllib.loads(section(found, "support@example.org", "support-mail", "MAIL_PASSWORD"))
    channel = values["channels"]["support-mail"]
    assert channel.pop("kind") == "email.imap"
    for part in (channel, channel["smtp"]):
        if "password" in part:
            part["password"] = Secret(part["password"])
    if "oauth" in channel:
        oauth = channel["oauth"] | {"token_file": Path(channel["oauth"]["token_file"])}
        channel["oauth"] = OAuthSettings(**oauth)
    channel["smtp"] = SmtpSettings(**channel["smtp"])
    settings = ImapSettings(**channel)
    assert (settings.host, settings.oauth is None) == (provider.imap.host, not provider.oauth)
    assert not provider.hint or provider.hint in {one.name for one in ADVICE}


def test_a_name_of_a_domain_is_not_found_in_a_longer_one() -> None:
    assert by_domain("notgmx.de") is None
    assert by_exchanger(["evil-google.com"]) is None
    assert by_domain("firma.onmicrosoft.com") is not None


async def test_what_is_written_into_the_section_cannot_break_out_of_it() -> None:
    xml = XML.replace(b"%EMAILLOCALPART%", b'x"\npassword = "y')
    found = await discover("support@example.org", FakeWeb(config=xml), FakeNames())
    assert found is not None
    values = tomllib.loads(section(found, "support@example.org", "c", "P"))
    assert values["channels"]["c"]["user"] == 'x"\npassword = "y'


@pytest.mark.parametrize(("tongue", "said"), [("de_DE.UTF-8", "IMAP beim Anbieter"), ("C", "Switch IMAP on")])
def test_the_command_prints_the_section_and_says_the_next_step(
    tongue: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LC_ALL", tongue)
    assert setup_command("laden@gmx.de") == 0
    out, err = capsys.readouterr()
    assert tomllib.loads(out)["channels"]["support-mail"]["host"] == "imap.gmx.net"
    assert said in err
    assert "SUPPORT_MAIL_PASSWORD" in err
    assert setup_command("nobody") == 2


# ---- what providers say
@pytest.mark.parametrize(
    ("said", "name"),
    [
        (
            "[ALERT] Application-specific password required: https://support.google.com/accounts/answer/185833 (Failure)",
            "gmail-app-password",
        ),
        ("534-5.7.9 Application-specific password required. For more information, go to", "gmail-app-password"),
        (
            "[ALERT] Please log in via your web browser: https://support.google.com/mail/accounts/answer/78754 (Failure)",
            "gmail-web-login",
        ),
        ("535-5.7.8 Username and Password not accepted. Learn more at", "gmail-web-login"),
        ("Your account is not enabled for IMAP use. Please visit your Gmail settings page", "gmail-imap-off"),
        (
            "5.7.139 Authentication unsuccessful, the user credentials were incorrect. [FR0P281CA0001.DEUP281.PROD.OUTLOOK.COM]",
            "m365-basic-off",
        ),
        ("5.7.139 Authentication unsuccessful, basic authentication is disabled.", "m365-basic-off"),
        ("550 5.7.30 Basic authentication is not supported for Client Submission.", "m365-basic-off"),
        (
            "5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled",
            "m365-smtp-auth-off",
        ),
        ("AUTHENTICATE failed.", "m365-basic-off"),
        ("User is authenticated but not connected.", "m365-not-connected"),
        ("5.7.60 SMTP; Client does not have permissions to send as this sender", "m365-send-as"),
        ("554 5.2.252 SendAsDenied; support@example.org not allowed to send as info@example.org", "m365-send-as"),
        ("IMAP access is not allowed for this account", "imap-off"),
        ("[AUTHENTICATIONFAILED] POP3/IMAP is not activated", "imap-off"),
        ("POP3/IMAP wurde nicht aktiviert: imap ist nicht freigeschaltet", "imap-off"),
        ("[AUTHENTICATIONFAILED] LOGIN Server error - Please use app password, yahoo", "app-password"),
        ("Invalid login: an app-specific password is needed", "app-password"),
        ("5.7.1 Sender address rejected: not owned by user support", "sender-refused"),
        ("554 5.7.1 <ann@example.org>: Relay access denied", "relay-refused"),
        ("530 5.7.57 Client not authenticated to send mail", "relay-refused"),
        ("554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", "blocked"),
        ("550-5.7.26 Your email has been blocked because the sender is unauthenticated.", "not-authenticated"),
        ("550 5.4.5 Daily user sending limit exceeded", "daily-limit"),
        ("530 5.7.0 Must issue a STARTTLS command first", "starttls"),
        ("[PRIVACYREQUIRED] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.", "starttls"),
        ("[AUTHENTICATIONFAILED] Authentication failed.", "wrong-password"),
        ("535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6", "wrong-password"),
        ("Authentication credentials invalid", "wrong-password"),
    ],
)
def test_the_words_of_providers_are_known(said: str, name: str) -> None:
    found = advice_on(said)
    assert found is not None
    assert found.name == name


def test_every_advice_is_there_in_both_languages_and_has_its_words_tried() -> None:
    marks = test_the_words_of_providers_are_known.pytestmark  # type: ignore[attr-defined]
    tried = {name for _, name in marks[0].args[1]}
    for one in ADVICE:
        assert set(one.says) == {"de", "en"}
        assert one.says["de"] != one.says["en"]
    assert {one.name for one in ADVICE} - tried == {"two-factor"}
    assert advice_on("two-factor authentication is on") is not None


def test_other_words_are_left_as_they_are() -> None:
    assert with_advice("550 5.1.1 No such user here", "de") == "550 5.1.1 No such user here"
    assert re.search(r"required\. Google nimmt", with_advice("Application-specific password required.", "de"))


def test_the_command_explains(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert explain("534 5.7.9 Application-specific password required") == 0
    assert "App-Passwort" in capsys.readouterr().out
    assert explain("550 5.1.1 No such user here") == 1


@pytest.mark.parametrize(
    ("environ", "tongue"),
    [({"LANG": "de_AT.UTF-8"}, "de"), ({"LC_ALL": "C.UTF-8", "LANG": "de_DE"}, "en"), ({}, "en")],
)
def test_the_language_is_that_of_the_terminal(environ: dict[str, str], tongue: str) -> None:
    assert language(environ) == tongue
