"""``[channels.<id>]`` of kind ``sms.telnyx``."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Final

from attrs import Attribute, field, frozen

from fernamt import Secret
from fernamt_sms import validators
from fernamt_sms.number import is_name
from fernamt_sms.settings import SmsSettings

_KEY_BYTES: Final = 32
_PROFILE: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def key_bytes(key: str) -> bytes:
    """Return a public key as bytes; raises ``ValueError`` if it is none."""
    try:
        found = base64.b64decode(key, validate=True)
    except binascii.Error:
        found = b""
    if len(found) != _KEY_BYTES:
        raise ValueError("no public key")
    return found


def _key(_: Any, attribute: Attribute[str], value: str) -> None:
    if not value and attribute.default == "":
        return
    try:
        key_bytes(value)
    except ValueError:
        raise ValueError(
            f"{attribute.name} must be the public key as the portal shows it: 44 characters, of which the last is ="
        ) from None


def _profile(instance: Any, attribute: Attribute[str], value: str) -> None:
    if value and not _PROFILE.fullmatch(value):
        raise ValueError(f"{attribute.name} is {value!r}; copy the id of the messaging profile from the portal")
    if not value and is_name(instance.sender):
        raise ValueError(f"a name as sender needs {attribute.name}: Telnyx has to know on whose account it is sent")


@frozen(kw_only=True)
class TelnyxSettings(SmsSettings):
    """The keys of the section."""

    api_key: Secret
    """A reference: env:NAME, file:/path or credential:name. It logs us in at Telnyx."""
    verify_key: str = field(validator=_key)
    """The account's public key, which stands in the portal beside the API keys: it says which calls are Telnyx's."""
    new_verify_key: str = field(default="", validator=_key)
    """While it is changed: the next one, whose signatures count as well."""
    sender: str = field(validator=validators.sender)
    """What we send from: +12025550123, a short code, or a name."""
    profile: str = field(default="", validator=_profile)
    """The id of the messaging profile: a name as sender needs it, and fernamt check --online looks at it."""
    mms: bool = False
    """Whether the sender can send pictures: numbers of the USA and Canada."""
    api: str = field(default="https://api.telnyx.com", validator=validators.address)
    """Where Telnyx listens."""
