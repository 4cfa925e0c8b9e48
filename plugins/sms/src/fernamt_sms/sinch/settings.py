"""``[channels.<id>]`` of kind ``sms.sinch``."""

from __future__ import annotations

from typing import Any, Literal

from attrs import Attribute, field, frozen

from fernamt import Secret
from fernamt_sms import validators
from fernamt_sms.settings import SmsSettings


def _api(_: Any, attribute: Attribute[str], value: str) -> None:
    if value:
        validators.address(_, attribute, value)


@frozen(kw_only=True)
class SinchSettings(SmsSettings):
    """The keys of the section."""

    plan: str = field(validator=validators.word)
    """The id of the service plan, as it stands on the dashboard under SMS, APIs."""
    plan_token: Secret
    """A reference: env:NAME, file:/path or credential:name. It logs us in at Sinch."""
    webhook_secret: Secret
    """What Sinch signs its calls with (HMAC), as set for the service plan."""
    new_webhook_secret: Secret | None = None
    """While it is changed: the next one, whose signatures count as well."""
    sender: str = field(validator=validators.sender)
    """What we send from: +4930123456, a short code, or a name."""
    place: Literal["us", "eu", "au", "br", "ca"] = "eu"
    """Where the service plan lies."""
    mms: bool = False
    """Whether the sender can send pictures: numbers of the USA and Canada."""
    reconcile_s: float = field(default=900.0, validator=validators.interval_s)
    """How often Sinch is asked what we missed; 0: never."""
    api: str = field(default="", validator=_api)
    """Where Sinch listens; empty: by the place."""

    @property
    def address(self) -> str:
        """Where Sinch listens, without a slash at the end."""
        return self.api.rstrip("/") or f"https://{self.place}.sms.api.sinch.com"
