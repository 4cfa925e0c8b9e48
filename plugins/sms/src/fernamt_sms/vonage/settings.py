"""``[channels.<id>]`` of kind ``sms.vonage``."""

from __future__ import annotations

import re
from typing import Any, Literal

from attrs import Attribute, field, frozen

from fernamt import Secret
from fernamt_sms.number import is_name
from fernamt_sms.settings import SmsSettings


def _needed(_: Any, attribute: Attribute[str], value: str) -> None:
    if not value.strip():
        raise ValueError(f"{attribute.name} must not be empty")


def _sender(_: Any, attribute: Attribute[str], value: str) -> None:
    if not (re.fullmatch(r"\+?[1-9][0-9]{2,14}", value) or is_name(value)):
        raise ValueError(
            f"{attribute.name} is {value!r}; write a number of yours as +4930123456, a short code, or a name of up to eleven "
            "letters and digits"
        )


def _https(_: Any, attribute: Attribute[str], value: str) -> None:
    if not re.match(r"https://.|http://(127\.0\.0\.1|localhost)\b", value):
        raise ValueError(f"{attribute.name} must begin with https://")


@frozen(kw_only=True)
class VonageSettings(SmsSettings):
    """The keys of the section."""

    user: str = field(validator=_needed)
    """The API key, eight characters, from the first page of the Dashboard."""
    secret: Secret
    """The API secret: a reference, env:NAME, file:/path or credential:name."""
    sender: str = field(validator=_sender)
    """What we send from: +4930123456, a short code, or a name."""
    signature_secret: Secret
    """What Vonage signs its calls with: switch signed webhooks on in the Dashboard's settings."""
    signature_method: Literal["md5", "sha1", "sha256", "sha512"] = "sha256"
    """The method that is chosen there, an HMAC."""
    api: str = field(default="https://rest.nexmo.com", validator=_https)
    """Where Vonage listens."""
