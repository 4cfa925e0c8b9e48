"""``[channels.<id>]`` of kind ``sms.kannel``."""

from __future__ import annotations

import re
from typing import Any

from attrs import Attribute, field, frozen

from fernamt import Secret
from fernamt_sms.settings import SmsSettings


def _address(_: Any, attribute: Attribute[str], value: str) -> None:
    if not re.match(r"https?://[^/\s]+/.", value):
        raise ValueError(f"{attribute.name} is {value!r}; write it as http://127.0.0.1:13013/cgi-bin/sendsms")


def _needed(_: Any, attribute: Attribute[str], value: str) -> None:
    if not value.strip():
        raise ValueError(f"{attribute.name} must not be empty")


@frozen(kw_only=True)
class KannelSettings(SmsSettings):
    """The keys of the section."""

    url: str = field(default="http://127.0.0.1:13013/cgi-bin/sendsms", validator=_address)
    """Where the smsbox takes messages: its sendsms-port and sendsms-url."""
    user: str = field(validator=_needed)
    """The username of a group sendsms-user."""
    password: Secret
    """Its password: a reference, env:NAME, file:/path or credential:name."""
    sender: str = field(validator=_needed)
    """What we send from: a number, a short code, or a name of up to eleven letters and digits."""
    smsc: str = ""
    """The smsc-id of the connection that messages shall take; empty: Kannel chooses."""
    plus_missing: bool = False
    """Whether the operator leaves out the + before the country code of a number that writes to us."""
    inbound_secret: Secret
    """What stands behind our address where Kannel calls us, so that nobody else does: letters, digits, - and _."""
    new_inbound_secret: Secret | None = None
    """While it is changed: the next one, which counts as well."""
