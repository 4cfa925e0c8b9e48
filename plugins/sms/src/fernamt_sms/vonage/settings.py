"""``[channels.<id>]`` of kind ``sms.vonage``."""

from __future__ import annotations

from typing import Any, Literal

from attrs import Attribute, field, frozen

from fernamt import Secret
from fernamt_sms import validators
from fernamt_sms.settings import SmsSettings


def _mms(instance: Any, attribute: Attribute[bool], value: bool) -> None:
    if value and instance.api != "messages":
        raise ValueError(f"{attribute.name} needs api = 'messages': the SMS API sends no pictures")


@frozen(kw_only=True)
class VonageSettings(SmsSettings):
    """The keys of the section."""

    api: Literal["messages", "sms"] = "messages"
    """Which of Vonage's two the account uses, as the dashboard says under "Default SMS setting"."""
    account: str = field(validator=validators.word)
    """The account's API key, which is its name: it stands on the dashboard's first page."""
    api_secret: Secret
    """A reference: env:NAME, file:/path or credential:name. It logs us in at Vonage."""
    signature_secret: Secret
    """What Vonage signs its calls with, in the dashboard's settings."""
    new_signature_secret: Secret | None = None
    """While it is changed: the next one, whose signatures count as well."""
    signature_method: Literal["md5hash", "md5", "sha1", "sha256", "sha512"] = "sha256"
    """How the SMS API signs, as the dashboard says; the Messages API always does it in its own way."""
    sender: str = field(validator=validators.sender)
    """What we send from: +4930123456, a short code, or a name."""
    mms: bool = field(default=False, validator=_mms)
    """Whether the sender can send pictures: numbers of the USA, by the Messages API."""
    messages_url: str = field(default="https://api.nexmo.com", validator=validators.address)
    """Where the Messages API listens."""
    sms_url: str = field(default="https://rest.nexmo.com", validator=validators.address)
    """Where the SMS API listens, and the account."""
