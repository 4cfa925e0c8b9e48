"""``[channels.<id>]`` of kind ``sms.messagebird``."""

from __future__ import annotations

import re
from typing import Any, Final, Literal

from attrs import Attribute, field, frozen

from fernamt import Secret
from fernamt_sms import validators
from fernamt_sms.messagebird.signature import key_bytes
from fernamt_sms.settings import SmsSettings

_PLACE: Final = re.compile(r"b[km]_([a-z]{2}[0-9]{1,3})_.")


def _key(instance: Any, attribute: Attribute[Secret], value: Secret) -> None:
    if not instance.api and not _PLACE.match(value.reveal()):
        raise ValueError(
            f"{attribute.name} must be an API key of Bird's, which begins with bk_ and a place such as eu1; the access keys of "
            "MessageBird's former API are of no use here"
        )


def _signing(_: Any, attribute: Attribute[Any], value: Secret | None) -> None:
    if value is None:
        return
    try:
        key_bytes(value)
    except ValueError:
        raise ValueError(f"{attribute.name} must be the endpoint's signing secret, which begins with whsec_") from None


def _api(_: Any, attribute: Attribute[str], value: str) -> None:
    if value:
        validators.address(_, attribute, value)


@frozen(kw_only=True)
class MessageBirdSettings(SmsSettings):
    """The keys of the section."""

    api: str = field(default="", validator=_api)
    """Where Bird listens; empty: by the place in the key."""
    api_key: Secret = field(validator=_key)
    """A reference: env:NAME, file:/path or credential:name. It logs us in at Bird, and says in which place the workspace lies."""
    webhook_secret: Secret = field(validator=_signing)
    """What Bird signs its calls with: it shows it once, when the webhook endpoint is made."""
    new_webhook_secret: Secret | None = field(default=None, validator=_signing)
    """While it is changed: the next one, whose signatures count as well."""
    sender: str = field(validator=validators.sender)
    """What we send from, one of the workspace's: +4930123456, a short code, or a name."""
    category: Literal["service", "transactional", "marketing", "authentication"] = "service"
    """What Bird is told that the messages are; it has to be one that the sender is registered for."""
    reconcile_s: float = field(default=900.0, validator=validators.interval_s)
    """How often Bird is asked what we missed; 0: never."""

    @property
    def address(self) -> str:
        """Where Bird listens, without a slash at the end."""
        place = _PLACE.match(self.api_key.reveal())
        return self.api.rstrip("/") or f"https://{place[1] if place else 'eu1'}.platform.bird.com"
