"""``[channels.<id>]`` of kind ``sms.http``, with the tables below it."""

from __future__ import annotations

import re
from typing import Any, Literal

from attrs import Attribute, field, frozen

from fernamt import Secret
from fernamt_sms.http import template
from fernamt_sms.http.place import path, place
from fernamt_sms.http.template import Format
from fernamt_sms.settings import SmsSettings


def _address(_: Any, attribute: Attribute[str], value: str) -> None:
    if value and not re.match(r"https?://[^/\s{}]", value):
        raise ValueError(f"{attribute.name} is {value!r}; it must begin with https:// and the name of the gateway")
    _filled(_, attribute, value)


def _needed(_: Any, attribute: Attribute[str], value: str) -> None:
    if not value.strip():
        raise ValueError(f"{attribute.name} must not be empty")
    _address(_, attribute, value) if attribute.name == "url" else path(_, attribute, value)


def _filled(_: Any, attribute: Attribute[Any], value: str) -> None:
    try:
        template.check(value)
    except ValueError as why:
        raise ValueError(f"{attribute.name}: {why}") from None


def _query(_: Any, attribute: Attribute[str], value: str) -> None:
    try:
        template.check_body(value, "form")
    except ValueError as why:
        raise ValueError(f"{attribute.name}: {why}") from None


def _body(instance: Any, attribute: Attribute[str], value: str) -> None:
    try:
        template.check_body(value, instance.format)
    except ValueError as why:
        raise ValueError(f"{attribute.name}: {why}") from None


def _headers(_: Any, attribute: Attribute[tuple[str, ...]], value: tuple[str, ...]) -> None:
    for one in value:
        name, colon, said = one.partition(":")
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or not colon:
            raise ValueError(f"{attribute.name} has {one!r}; write it as 'Authorization: Bearer {{secret}}'")
        _filled(_, attribute, said)


def _shown(instance: Any, attribute: Attribute[str], value: str) -> None:
    needed = {"basic": "auth_user", "header": "auth_name", "query": "auth_name", "hmac": "auth_name"}.get(instance.auth)
    if attribute.name == needed and not value:
        raise ValueError(f"auth = {instance.auth!r} needs {attribute.name}")


@frozen(kw_only=True)
class SendSettings:
    """``[channels.<id>.send]``: how a message is handed to the gateway."""

    url: str = field(validator=_needed)
    """Where messages are handed in."""
    method: Literal["POST", "GET", "PUT"] = "POST"
    """GET only where the gateway knows nothing else."""
    format: Format = "json"
    """What the body is: JSON, a form, XML, or nothing."""
    body: str = field(default="", validator=_body)
    """The body, with places in braces: {to}, {digits} (without the +), {text}, {sender}, {key}, {parts}, {encoding}, {callback}, {secret}."""
    query: str = field(default="", validator=_query)
    """What stands behind the ? of the address, with the same places: to={to}&text={text}."""
    headers: tuple[str, ...] = field(default=(), validator=_headers)
    """Further headers, with the same places: 'Authorization: Bearer {secret}'."""
    user: str = ""
    """For HTTP Basic: the user, whose password is the secret; empty: no such login."""
    success: str = field(default="", validator=place)
    r"""Where the answer says whether it went well, messages.0.status or /^OK/; empty: any 2xx is good."""
    success_values: tuple[str, ...] = ()
    """What stands there if it did; empty: it is enough that something does."""
    id: str = field(default="", validator=place)
    """Where the answer has the gateway's id of the message; empty: it has none."""
    code: str = field(default="", validator=place)
    """Where it has the code of an error; empty: where success looks."""
    check_url: str = field(default="", validator=_address)
    """What fernamt check --online asks with the same headers, for instance the balance; empty: nothing is asked."""
    idempotent: bool = False
    """Whether the gateway makes no second message of the same {key}. Only say so if it does."""


@frozen(kw_only=True)
class InboundSettings:
    """``[channels.<id>.inbound]``: how the gateway calls us, at .../messages and .../receipts."""

    auth: Literal["path", "basic", "header", "query", "hmac"] = "path"
    """How it shows that it is the gateway: the secret behind the address, HTTP Basic, in a header, in the query, as an HMAC of the body."""
    auth_secret: Secret
    """What both sides know."""
    new_auth_secret: Secret | None = None
    """While it is changed: the next one, which counts as well."""
    auth_name: str = field(default="", validator=_shown)
    """The name of the header or of the query's parameter."""
    auth_user: str = field(default="", validator=_shown)
    """The user, for basic."""
    algorithm: Literal["sha1", "sha256", "sha512"] = "sha256"
    """Of the HMAC."""
    encoding: Literal["hex", "base64"] = "hex"
    """How the HMAC is written."""
    prefix: str = ""
    """What stands before it, for instance sha256=."""
    format: Literal["json", "form"] = "json"
    """What the gateway sends; a call without a body is read by its query."""
    items: str = field(default="", validator=path)
    """Where the list of events stands in JSON; empty: a call is one event, or a list of them."""
    type: str = field(default="", validator=path)
    """Where an event says whether it is a message or a receipt, if both go to one address."""
    message_types: tuple[str, ...] = ()
    """What stands there in a message."""
    receipt_types: tuple[str, ...] = ()
    """What stands there in a receipt."""
    ignored_types: tuple[str, ...] = ()
    """What stands there in what is of no interest."""
    answer: str = ""
    """What the gateway wants to read from us, for instance OK; empty: nothing."""


@frozen(kw_only=True)
class MessageSettings:
    """``[channels.<id>.message]``: where a message that comes in has what."""

    sender: str = field(validator=_needed)
    """Who wrote it."""
    text: str = field(validator=_needed)
    """The words."""
    id: str = field(default="", validator=path)
    """The gateway's id; empty: the same words of the same sender within a minute are one message."""
    part_group: str = field(default="", validator=path)
    """If long messages come in pieces: what all pieces of one have in common."""
    part_number: str = field(default="", validator=path)
    """The number of the piece, from 1."""
    part_total: str = field(default="", validator=path)
    """How many pieces there are."""
    plus_missing: bool = True
    """Whether the gateway leaves out the + before a country code."""


@frozen(kw_only=True)
class ReceiptSettings:
    """``[channels.<id>.receipt]``: where a receipt has what, and what its words mean."""

    id: str = field(default="", validator=path)
    """The gateway's id of the message."""
    key: str = field(default="", validator=path)
    """Our {key}, if the gateway gives it back."""
    status: str = field(validator=_needed)
    """What became of the message."""
    code: str = field(default="", validator=path)
    """The code of an error, for the table errors."""
    sent: tuple[str, ...] = ()
    """The words for: it is on its way in the network."""
    delivered: tuple[str, ...] = ()
    """The words for: it is on the telephone."""
    read: tuple[str, ...] = ()
    """The words for: somebody read it."""
    failed: tuple[str, ...] = ()
    """The words for: it will not arrive."""
    ignored: tuple[str, ...] = ()
    """Words that say nothing."""


@frozen(kw_only=True)
class ErrorSettings:
    """``[channels.<id>.errors]``: what the gateway's codes mean; of an answer without one its HTTP status counts, as http-409."""

    refused: tuple[str, ...] = ()
    """The message will never pass."""
    bad_number: tuple[str, ...] = ()
    """Nobody has the number, or it takes no SMS."""
    opted_out: tuple[str, ...] = ()
    """The recipient does not want messages."""
    account: tuple[str, ...] = ()
    """The login, the balance: nothing will pass until somebody acts."""
    throttled: tuple[str, ...] = ()
    """Too fast; certainly not sent."""
    certain: tuple[str, ...] = ()
    """Certainly not sent, and worth another try."""
    uncertain: tuple[str, ...] = ()
    """It may have been sent."""


@frozen(kw_only=True)
class HttpSettings(SmsSettings):
    """The keys of the section."""

    sender: str = ""
    """What {sender} is: a number, or a name of up to eleven letters and digits."""
    secret: Secret | None = None
    """What {secret} is: the gateway's password, key or token."""
    send: SendSettings
    """How a message is handed to the gateway, a table of its own."""
    inbound: InboundSettings | None = None
    """How the gateway calls us, a table of its own; without it the channel only sends."""
    message: MessageSettings | None = None
    """Where a message that comes in has what, a table of its own."""
    receipt: ReceiptSettings | None = None
    """Where a receipt has what, a table of its own."""
    errors: ErrorSettings = ErrorSettings()
    """What the gateway's codes mean, a table of its own."""
