"""Reports of failure that mail servers wrote for people, without the form of RFC 3464: qmail, Exim, old gateways. Pure."""

from __future__ import annotations

import re
from typing import Final, Literal

from fernamt_email.headers import Headers
from fernamt_email.status import ENHANCED

MAX_TOLD: Final = 16_384
"""Characters of a text that are looked at."""

_SERVERS: Final = re.compile(
    r"(?i)\b(?:mailer-?daemon|postmaster|mail delivery (?:sub)?system|mail delivery service|mail-?daemon|mdaemon)\b"
)
_RETURNED: Final = re.compile(
    r"(?im)^[> ]{0,4}(?:[-_]{2}(?=.{0,200}(?:copy of|original|returned|below|ursprünglich|kopie|header))"
    r"|(?:return-path|received|message-id):)"
)
_FAILED: Final = re.compile(
    r"(?i)\b(?:(?:user|recipient|mailbox|address|account|host|domain)(?: name)?(?: is| was)? "
    r"(?:unknown|not found|unavailable|disabled|full|rejected|over quota|inactive|suspended)"
    r"|(?:unknown|no such|invalid|bad) (?:local )?(?:user|recipient|mailbox|address|host|domain|destination)"
    r"|does ?n[o']t exist|permanent (?:fatal )?(?:error|failure)|quota exceeded|over quota|relay(?:ing)? (?:access )?denied"
    r"|could ?n[o']t be delivered|was not delivered|undeliverable|un(?:able|successful).{0,40}deliver|delivery.{0,20}failed"
    r"|failed permanently|giv(?:en|ing) up|retry time(?:out)? exceeded|message rejected|i wasn't able to deliver"
    r"|unzustellbar|nicht zugestellt werden|nicht zustellbar|empf(?:ä|ae)nger unbekannt|adresse unbekannt|postfach ist voll"
    r"|existiert nicht|(?<![\d.])55[0-4](?![\d.]))"
)
_DELAYED: Final = re.compile(
    r"(?i)\b(?:delayed|still (?:be )?(?:trying|retried)|will (?:be retried|keep trying|continue to try|retry)"
    r"|not yet been delivered|do not need to resend|temporar(?:y|ily).{0,30}(?:failure|deferred)|warning: (?:message|could not send)"
    r"|verz(?:ö|oe)gert|noch nicht zugestellt|weiterhin versucht|nicht erneut senden)\b"
)
_ADDRESS: Final = r"[^\s<>()\[\],;:\"@]{1,255}@[^\s<>()\[\],;:\"@]{1,255}"
_NAMED: Final = re.compile(rf"(?im)^\s*(?:to:\s*|an:\s*|recipient:\s*|rcpt to:\s*)?<?({_ADDRESS})>?\s*:?\s*$")
_CODED: Final = re.compile(r"(?im)^.*?((?<![\d.])[45]\d\d[ -](?:[245]\.\d{1,3}\.\d{1,3}\b)?.{0,400})$")


def is_from_a_server(headers: Headers) -> bool:
    """Return whether a mail server says that it wrote this."""
    return (
        headers.has("x-failed-recipients")
        or headers.raw("return-path").replace(" ", "") == "<>"
        or _SERVERS.search(headers.text("from")) is not None
    )


def divided(text: str) -> tuple[str, str]:
    """Return what the server tells, and what it returns of the mail that it is about."""
    found = _RETURNED.search(text)
    cut = found.start() if found else len(text)
    return text[: min(cut, MAX_TOLD)], text[cut : cut + 4 * MAX_TOLD]


def action_of(told: str, headers: Headers) -> Literal["failed", "delayed", ""]:
    """Return what became of the mail, ``""`` if the text does not say so."""
    whole = f"{headers.text('subject')}\n{told}"
    status = ENHANCED.search(told)
    if _DELAYED.search(whole) and not (status and status[0].startswith("5")):
        return "delayed"
    failed = _FAILED.search(whole) or (status and status[0].startswith("5")) or headers.has("x-failed-recipients")
    return "failed" if failed else ""


def recipient_of(told: str, headers: Headers) -> str:
    """Return whom the mail did not reach, ``""`` if the report does not say it, or names several."""
    named = [address for _, address in headers.addresses("x-failed-recipients")] or _NAMED.findall(told)
    people = dict.fromkeys(address.lower() for address in named)
    return next(iter(people)) if len(people) == 1 else ""


def said_in(told: str) -> str:
    """Return the line in which the other server's reply stands; ``""`` if there is none."""
    found = _CODED.search(told)
    return found[1].strip()[:500] if found else ""
