"""The sections that an operator writes: ``[channels.<id>]`` with ``[channels.<id>.smtp]`` below it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from attrs import Attribute, field, frozen

from fernamt import Secret
from fernamt_email import checks
from fernamt_email.language import Language

Security: TypeAlias = Literal["tls", "starttls", "none"]

IMAP_PORTS: Final = {"tls": 993, "starttls": 143, "none": 143}
SMTP_PORTS: Final = {"tls": 465, "starttls": 587, "none": 25}


def _help(text: str) -> dict[str, str]:
    return {"help": text}


@frozen(kw_only=True)
class SmtpSettings:
    """``[channels.<id>.smtp]``: the server that takes our mail."""

    host: str = field(validator=checks.not_empty, metadata=_help("Name of the server that takes our mail."))
    port: int | None = field(
        default=None, validator=checks.port, metadata=_help("Without it: 587 for starttls, 465 for tls, 25 for none.")
    )
    security: Security = field(
        default="starttls",
        validator=checks.security,
        metadata=_help("starttls, tls, or none; none only to this machine itself."),
    )
    user: str = field(default="", metadata=_help("For the login; empty: no login."))
    password: Secret | None = field(
        default=None, validator=checks.login, metadata=_help("A reference: env:NAME, file:/path or credential:name.")
    )
    ca_file: Path | None = field(
        default=None, metadata=_help("A PEM file with certificates to trust beside those of the system.")
    )
    timeout_s: float = field(
        default=60.0,
        validator=checks.at_least(0.1),
        metadata=_help("How long any single answer of the server may take."),
    )


def _form(_: Any, attribute: Attribute[str], value: str) -> None:
    if value and "{text}" not in value:
        raise ValueError(
            f"{attribute.name} has no {{text}}, where the answer itself stands; write it where that belongs"
        )


def _names(_: Any, attribute: Attribute[tuple[str, ...]], value: tuple[str, ...]) -> None:
    for one in value:
        login, _, name = one.partition("=")
        if not (login.strip() and name.strip()):
            raise ValueError(f"{attribute.name} has {one!r}; write it as 'maria = Maria Schmidt'")


@frozen(kw_only=True)
class LayoutSettings:
    """``[channels.<id>.layout]``: what stands around an answer, by the customer's language."""

    text_en: str = field(
        default="",
        validator=_form,
        metadata=_help("The text in English: {text} is the answer, {agent} its writer; empty: just the answer."),
    )
    text_de: str = field(default="", validator=_form, metadata=_help("The same in German."))
    html_en: str = field(
        default="",
        validator=_form,
        metadata=_help("The HTML in English, with the same places; empty: answers without HTML stay so."),
    )
    html_de: str = field(default="", validator=_form, metadata=_help("The same in German."))
    agent_names: tuple[str, ...] = field(
        default=(),
        validator=_names,
        metadata=_help(
            "What readers see for {agent}, by login: 'maria = Maria Schmidt'; others are shown by their login."
        ),
    )
    received_en: str = field(
        default="We received your message. Its number is #{number}. We will get back to you.",
        validator=checks.not_empty,
        metadata=_help("With acknowledge, what is said in English; {number} is the conversation's."),
    )
    received_de: str = field(
        default="Ihre Nachricht ist angekommen. Sie hat die Nummer #{number}. Wir melden uns bei Ihnen.",
        validator=checks.not_empty,
        metadata=_help("The same in German."),
    )
    quote: bool = field(
        default=True, metadata=_help("Whether what the customer wrote last stands below an answer that a person wrote.")
    )


@frozen(kw_only=True)
class OAuthSettings:
    """``[channels.<id>.oauth]``: tokens of the provider instead of passwords, for IMAP and SMTP both."""

    provider: Literal["microsoft", "google", "other"] = field(metadata=_help("microsoft, google, or other."))
    flow: Literal["device", "browser", "app"] = field(
        default="browser",
        validator=checks.known_flow,
        metadata=_help(
            "How the consent is given: on any device with a code (device), in a browser (browser), or by an administrator once (app)."
        ),
    )
    tenant: str = field(
        default="organizations",
        validator=checks.not_empty,
        metadata=_help(
            "Microsoft only: the directory, its id or one of its domains; with flow = app it must be named."
        ),
    )
    client_id: str = field(
        validator=checks.not_empty, metadata=_help("Of the app that you registered at the provider.")
    )
    client_secret: Secret | None = field(
        default=None,
        validator=checks.client,
        metadata=_help("A reference: env:NAME, file:/path or credential:name; needed for app, and by Google."),
    )
    token_file: Path | None = field(
        default=None,
        validator=checks.kept,
        metadata=_help(
            "Where fernamt email connect keeps the consent, mode 0600; the daemon's user must be able to write it."
        ),
    )
    token_url: str = field(default="", validator=checks.other, metadata=_help("For other: where tokens are given out."))
    authorize_url: str = field(
        default="", validator=checks.https, metadata=_help("For other: where people consent in a browser.")
    )
    device_url: str = field(
        default="", validator=checks.https, metadata=_help("For other: where codes for devices are given out.")
    )
    scope: str = field(
        default="", metadata=_help("For other: what is asked for; with a provider, instead of what we know.")
    )


@frozen(kw_only=True)
class MailSettings:
    """What both kinds have in common: who we are, and how we send."""

    address: str = field(validator=checks.mail_address, metadata=_help("Our own mail address on this channel."))
    aliases: tuple[str, ...] = field(
        default=(),
        validator=checks.addresses_or_domains,
        metadata=_help("Further addresses of ours that arrive here; @example.org stands for a whole domain."),
    )
    sender_name: str = field(
        default="", validator=checks.one_line, metadata=_help("The name that readers see beside our address.")
    )
    reply_delimiter: str = field(
        default="+",
        validator=checks.delimiter,
        metadata=_help(
            "Between our name and the token of a signed reply address (support+token@example.org); empty: no such addresses."
        ),
    )
    authserv_id: str = field(
        default="",
        validator=checks.one_line,
        metadata=_help(
            "How your own mail server signs its Authentication-Results; fernamt check --online tells it. Empty: none counts."
        ),
    )
    subject_token: bool = field(
        default=False,
        metadata=_help(
            "Whether our subjects carry a sign of the conversation, [#c-4fk2qz], for programs that lose references."
        ),
    )
    signed_sender: bool = field(
        default=False,
        metadata=_help(
            "Whether the signed reply address is also the envelope's sender, so that reports and out-of-office notes without"
            " references find back; your provider must let you send from support+anything."
        ),
    )
    agents: tuple[str, ...] = field(
        default=(),
        validator=checks.addresses_or_domains,
        metadata=_help(
            "Colleagues whose forwarded mails count as written by the original sender; @example.org stands for a whole domain."
        ),
    )
    house_language: Language = field(
        default="en",
        validator=checks.language,
        metadata=_help(
            "en or de: of what we write ourselves, for agents, and for customers whose language nobody knows."
        ),
    )
    acknowledge: bool = field(
        default=False,
        metadata=_help("Whether who opens a conversation is told its number at once, one in 24 hours to one person."),
    )
    automatic_per_day: int = field(
        default=5,
        validator=checks.within(0, 1_000),
        metadata=_help("So many automatic mails at most to one person within 24 hours, whatever asks for them."),
    )
    max_bytes: int = field(
        default=26_214_400,
        validator=checks.within(65_536, 104_857_600),
        metadata=_help("The largest mail that is taken whole, in bytes."),
    )
    smtp: SmtpSettings = field(metadata=_help("The server that takes our mail, a table of its own."))
    oauth: OAuthSettings | None = field(
        default=None,
        validator=checks.one_way_in,
        metadata=_help("A table of its own: tokens instead of passwords (Microsoft 365, Google)."),
    )
    layout: LayoutSettings = field(
        factory=LayoutSettings, metadata=_help("Signatures and HTML around our answers, a table of its own.")
    )


@frozen(kw_only=True)
class ImapSettings(MailSettings):
    """A channel of kind ``email.imap``."""

    host: str = field(validator=checks.not_empty, metadata=_help("Name of the IMAP server."))
    port: int | None = field(
        default=None, validator=checks.port, metadata=_help("Without it: 993 for tls, 143 for starttls and none.")
    )
    security: Security = field(
        default="tls",
        validator=checks.security,
        metadata=_help("tls, starttls, or none; none only to this machine itself."),
    )
    user: str = field(validator=checks.not_empty, metadata=_help("For the login at the IMAP server."))
    password: Secret | None = field(
        default=None,
        validator=checks.login,
        metadata=_help("A reference: env:NAME, file:/path or credential:name. Without it there is a table oauth."),
    )
    ca_file: Path | None = field(
        default=None, metadata=_help("A PEM file with certificates to trust beside those of the system.")
    )
    folders: tuple[str, ...] = field(
        default=("INBOX",),
        validator=checks.folders,
        metadata=_help(
            "The folders that are read; new mail in the first one is noticed at once, in the others by sweep_s."
        ),
    )
    spam_folder: str = field(
        default="",
        metadata=_help(
            "Read too; its mails are marked as spam, get no automatic answer, and stay there. Empty: not read."
        ),
    )
    older: Literal["take", "leave"] = field(
        default="take",
        metadata=_help("Mails that are there at the first start: take them, or leave them for fernamt backfill."),
    )
    done_folder: str = field(
        default="Processed",
        metadata=_help("Where a mail goes once it is stored; created if missing; empty: it stays where it is."),
    )
    sent_folder: str = field(
        default="",
        metadata=_help(
            "Where a copy of each answer goes, Sent for instance; empty: nowhere. Some providers keep one by themselves."
        ),
    )
    idle_s: float = field(
        default=540.0,
        validator=checks.within(1.0, 1_500.0),
        metadata=_help("How long one IDLE may last; providers drop longer ones."),
    )
    sweep_s: float = field(
        default=120.0,
        validator=checks.within(1.0, 3_600.0),
        metadata=_help("How often to look although nothing was announced; the shorter of this and idle_s counts."),
    )
    timeout_s: float = field(
        default=60.0,
        validator=checks.at_least(0.1),
        metadata=_help("How long the server may stay silent within a command."),
    )


@frozen(kw_only=True)
class ListenerSettings(MailSettings):
    """A channel of kind ``email.listener``."""

    host: str = field(
        default="127.0.0.1", validator=checks.not_empty, metadata=_help("The address of this machine to listen on.")
    )
    port: int = field(validator=checks.port, metadata=_help("The port to listen on."))
    protocol: Literal["smtp", "lmtp"] = field(
        default="smtp", metadata=_help("smtp, or lmtp behind a mail server such as Postfix.")
    )
    max_connections: int = field(
        default=20,
        validator=checks.within(1, 1_000),
        metadata=_help("How many connections may be open at the same time."),
    )

    @protocol.validator
    def _known_protocol(self, attribute: Attribute[str], value: str) -> None:
        if value not in ("smtp", "lmtp"):
            raise ValueError(f"{attribute.name} is {value!r}; it must be 'smtp' or 'lmtp'")
