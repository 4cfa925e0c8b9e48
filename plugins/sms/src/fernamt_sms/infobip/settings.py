"""``[channels.<id>]`` of kind ``sms.infobip``."""

from __future__ import annotations

from attrs import field, frozen

from fernamt import Secret
from fernamt_sms import validators
from fernamt_sms.settings import SmsSettings


@frozen(kw_only=True)
class InfobipSettings(SmsSettings):
    """The keys of the section."""

    api: str = field(validator=validators.address)
    """The base URL of the account, as the portal's first page shows it: https://abc123.api.infobip.com."""
    api_key: Secret
    """A reference: env:NAME, file:/path or credential:name. It logs us in at Infobip."""
    call_secret: Secret
    """A long word of your own, the end of the addresses that Infobip calls: it signs nothing, so this says that it is Infobip."""
    new_call_secret: Secret | None = None
    """While it is changed: the next one, which counts as well."""
    sender: str = field(validator=validators.sender)
    """What we send from: +4930123456, a short code, or a name."""
