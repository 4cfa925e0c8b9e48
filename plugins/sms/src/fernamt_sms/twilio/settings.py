"""``[channels.<id>]`` of kind ``sms.twilio``."""

from __future__ import annotations

import re
from typing import Any, Final

from attrs import Attribute, field, frozen

from fernamt import Secret
from fernamt_sms.number import is_name
from fernamt_sms.settings import SmsSettings

_ACCOUNT: Final = re.compile(r"AC[0-9a-f]{32}")
SERVICE: Final = re.compile(r"MG[0-9a-f]{32}")
NUMBER: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_SHORT_CODE: Final = re.compile(r"[1-9][0-9]{2,7}")


def _account(_: Any, attribute: Attribute[str], value: str) -> None:
    if not _ACCOUNT.fullmatch(value):
        raise ValueError(
            f"{attribute.name} must be AC and 32 hexadecimal digits: it stands on the Console's first page"
        )


def _sender(_: Any, attribute: Attribute[str], value: str) -> None:
    if not (NUMBER.fullmatch(value) or SERVICE.fullmatch(value) or _SHORT_CODE.fullmatch(value) or is_name(value)):
        raise ValueError(
            f"{attribute.name} is {value!r}; write a number of yours as +4930123456, a short code, a name of up to eleven "
            "letters and digits, or the SID of a messaging service (MG...)"
        )


def _key(instance: Any, attribute: Attribute[Any], value: Secret | None) -> None:
    if (value is None) != (instance.login_sid == ""):
        raise ValueError(f"login_sid and {attribute.name} go together: write both or neither")


def _https(_: Any, attribute: Attribute[str], value: str) -> None:
    if not re.match(r"https://.|http://(127\.0\.0\.1|localhost)\b", value):
        raise ValueError(f"{attribute.name} must begin with https://")


def _seconds(_: Any, attribute: Attribute[float], value: float) -> None:
    if value < 0 or 0 < value < 60:
        raise ValueError(f"{attribute.name} is {value}; it must be at least 60, or 0 for never")


@frozen(kw_only=True)
class TwilioSettings(SmsSettings):
    """The keys of the section."""

    account_sid: str = field(validator=_account)
    """The account, AC and 32 hexadecimal digits."""
    auth_token: Secret
    """A reference: env:NAME, file:/path or credential:name. Twilio signs its calls with it."""
    new_auth_token: Secret | None = None
    """While the token is changed: the secondary one, whose signatures count as well."""
    webhook_key: Secret | None = None
    """The shared key of a webhook rule, if Twilio signs with one instead of the token."""
    login_sid: str = ""
    """The SID of an API key (SK...), to call Twilio with that instead of the token."""
    login_secret: Secret | None = field(default=None, validator=_key)
    """The secret of the API key."""
    sender: str = field(validator=_sender)
    """What we send from: +4930123456, a short code, a name, or a messaging service (MG...)."""
    mms: bool = False
    """Whether the sender can send pictures: numbers of the USA, Canada and Australia."""
    reconcile_s: float = field(default=900.0, validator=_seconds)
    """How often Twilio is asked what we missed, since it calls only once or a few times; 0: never."""
    api: str = field(default="https://api.twilio.com", validator=_https)
    """Where Twilio listens; of another region for instance https://api.dublin.ie1.twilio.com."""
