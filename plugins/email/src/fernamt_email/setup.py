"""``fernamt email setup``: the section of a channel, made from an address."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Mapping
from typing import Final

from fernamt_email.command_http import CommandHttp
from fernamt_email.discovery import Found, discover
from fernamt_email.dns_names import DnsNames
from fernamt_email.explain import ADVICE
from fernamt_email.language import Language, language

_WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    "en": {
        "preset": "{name}: its servers are known.",
        "dns": "{name}: the domain names its servers in DNS.",
        "exchanger": "{name}: the domain's mail is delivered there.",
        "domain": "{name}: the domain publishes its servers.",
        "nothing": "Nothing says which servers {address} has. Ask the provider for the names of its IMAP and SMTP servers; "
        "the page on set-up shows what to write.",
        "password": "Put the password into the environment as {variable}; it never stands in the file.",
        "oauth": "Register an app at the provider (the page on set-up shows how), write its client_id, and then: "
        "fernamt email connect {channel}",
        "next": "Put this into fernamt.toml. Then: fernamt check --online",
    },
    "de": {
        "preset": "{name}: die Server sind bekannt.",
        "dns": "{name}: die Domain nennt ihre Server im DNS.",
        "exchanger": "{name}: dorthin wird die Mail der Domain zugestellt.",
        "domain": "{name}: die Domain veröffentlicht ihre Server.",
        "nothing": "Nichts sagt, welche Server {address} hat. Den Anbieter nach den Namen seiner Server für IMAP und SMTP fragen; "
        "die Seite zur Einrichtung zeigt, was einzutragen ist.",
        "password": "Das Passwort gehört als {variable} in die Umgebung; in der Datei steht es nie.",
        "oauth": "Beim Anbieter eine App anlegen (die Seite zur Einrichtung zeigt, wie), ihre client_id eintragen, dann: "
        "fernamt email connect {channel}",
        "next": "Dies in die fernamt.toml übernehmen. Dann: fernamt check --online",
    },
}


def setup(address: str, /, *, channel: str = "support-mail") -> int:
    """Print the section of a channel for a mail address, with the servers of its provider.

    They are looked up by the address's domain, in DNS, and at the domain itself. The section goes to stdout, what to do next to
    stderr, in German if the terminal is German.

    Example: fernamt email setup support@example.org >> fernamt.toml

    Args:
        address: Our own mail address.
        channel: The id that the channel shall have.
    """
    try:
        found = asyncio.run(_found(address))
    except ValueError as why:
        print(why, file=sys.stderr)  # noqa: T201 - a command talks to the person who typed it
        return 2
    words = _WORDS[language()]
    if found is None:
        print(words["nothing"].format(address=address), file=sys.stderr)  # noqa: T201
        return 1
    variable = re.sub(r"[^A-Z0-9]+", "_", f"{channel}_PASSWORD".upper())
    print(section(found, address, channel, variable))  # noqa: T201
    told = [words[found.how].format(name=found.provider.name)]
    told += [one.says[language()] for one in ADVICE if one.name == found.provider.hint]
    told.append(words["oauth" if found.provider.oauth else "password"].format(variable=variable, channel=channel))
    told.append(words["next"])
    print("\n".join(told), file=sys.stderr)  # noqa: T201
    return 0


async def _found(address: str) -> Found | None:
    async with CommandHttp.opened() as http:
        return await discover(address, http, DnsNames())


def section(found: Found, address: str, channel: str, variable: str) -> str:
    """Return the section as it stands in the configuration."""
    provider = found.provider
    lines = [f"[channels.{channel}]", 'kind = "email.imap"', f"address = {_quoted(address)}"]
    lines += [
        f"host = {_quoted(provider.imap.host)}",
        f"port = {provider.imap.port}",
        f'security = "{provider.imap.security}"',
    ]
    lines += [f"user = {_quoted(found.user)}"]
    password = [] if provider.oauth else [f'password = "env:{variable}"']
    lines += [*password, "", f"[channels.{channel}.smtp]", f"host = {_quoted(provider.smtp.host)}"]
    lines += [
        f"port = {provider.smtp.port}",
        f'security = "{provider.smtp.security}"',
        f"user = {_quoted(found.user)}",
        *password,
    ]
    if provider.oauth:
        lines += ["", f"[channels.{channel}.oauth]", f'provider = "{provider.oauth}"']
        lines += ['client_id = "WRITE-THE-ID-OF-YOUR-APP"', f'token_file = "{channel}.token"']
        lines += (
            [f'client_secret = "env:{variable.replace("PASSWORD", "SECRET")}"'] if provider.oauth == "google" else []
        )
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """Return a TOML string."""
    escaped = "".join(f"\\u{ord(one):04x}" if one in '"\\' or ord(one) < 32 or ord(one) == 127 else one for one in text)
    return f'"{escaped}"'
