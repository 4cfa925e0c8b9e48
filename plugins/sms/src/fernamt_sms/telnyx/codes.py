"""What Telnyx's codes mean, from its "Messaging Error Code Reference": 1xxxx and 2xxxx answer a request, 4xxxx come with a status, too."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from fernamt_sms.answer import of_status
from fernamt_sms.outcome import Class, Meaning

_WHO: Final = "Telnyx"
_NUMBER: Final = Meaning(Class.BAD_NUMBER, "Telnyx says that this is no telephone number")
_WRONG: Final = Meaning(Class.REFUSED, "something in the message is not as Telnyx wants it")
_MISSING: Final = Meaning(Class.REFUSED, "something is missing in the message")
_LOGIN: Final = Meaning(Class.ACCOUNT, "Telnyx does not accept api_key")
_NOT_ALLOWED: Final = Meaning(Class.ACCOUNT, "the account at Telnyx may not do that")
_INACTIVE: Final = Meaning(Class.ACCOUNT, "the account at Telnyx is not active, or blocked")
_SENDER: Final = Meaning(Class.ACCOUNT, "Telnyx does not let this account send from this sender")
_PROFILE: Final = Meaning(Class.ACCOUNT, "the messaging profile at Telnyx is not ready to send")
_UNREGISTERED: Final = Meaning(Class.ACCOUNT, "the number is not registered for messages to the USA")
_SPAM: Final = Meaning(Class.REFUSED, "the network or Telnyx took it for spam")
_LATE: Final = Meaning(Class.REFUSED, "its time was over before it could be delivered")
_TOO_MANY: Final = Meaning(Class.THROTTLED, "more messages than Telnyx takes")
_DAILY: Final = Meaning(Class.CERTAIN, "more messages than the network takes from this sender in a day")
_PICTURES: Final = Meaning(Class.UNSUPPORTED, "the recipient or the sender takes no pictures")
_STOPPED: Final = Meaning(Class.OPTED_OUT, "they wrote STOP to this sender")
_BLOCKED: Final = Meaning(Class.REFUSED, "Telnyx blocks messages from this sender to this number")

_STOP: Final = "40300"
CODES: Final[Mapping[str, Meaning]] = MappingProxyType(
    {
        "10001": Meaning(Class.ACCOUNT, "the number at Telnyx is not active"),
        "10002": _NUMBER,
        "10003": Meaning(Class.ACCOUNT, "Telnyx does not accept our address: see public_url"),
        "10004": _MISSING,
        "10005": Meaning(Class.REFUSED, "Telnyx does not know it"),
        "10006": _WRONG,
        "10007": Meaning(Class.UNCERTAIN, "Telnyx has trouble"),
        "10008": Meaning(Class.UNCERTAIN, "Telnyx was not done with it in time"),
        "10009": _LOGIN,
        "10010": _NOT_ALLOWED,
        "10011": _TOO_MANY,
        "10015": _WRONG,
        "10016": _NUMBER,
        "10039": Meaning(Class.REFUSED, "the account writes to verified numbers only"),
        "20002": _LOGIN,
        "20006": _LOGIN,
        "20012": _INACTIVE,
        "20013": _INACTIVE,
        "20014": _NOT_ALLOWED,
        "20015": _NOT_ALLOWED,
        "20016": _NOT_ALLOWED,
        "20017": _NOT_ALLOWED,
        "20100": Meaning(Class.ACCOUNT, "the balance at Telnyx is not enough"),
        "40001": Meaning(Class.BAD_NUMBER, "the number is a landline, or cannot be reached"),
        "40002": _SPAM,
        "40003": _SPAM,
        "40004": Meaning(Class.REFUSED, "the recipient's network refused it and does not say why"),
        "40005": _LATE,
        "40006": Meaning(Class.CERTAIN, "the recipient's network cannot be reached"),
        "40008": Meaning(Class.REFUSED, "the network did not take it"),
        "40009": Meaning(Class.REFUSED, "the network does not take this text"),
        "40010": _UNREGISTERED,
        "40011": _TOO_MANY,
        "40012": _NUMBER,
        "40013": _SENDER,
        "40014": _LATE,
        "40015": _SPAM,
        "40016": _DAILY,
        "40017": _SPAM,
        "40018": Meaning(Class.THROTTLED, "more messages than the network takes from this sender"),
        "40100": _SENDER,
        "40150": _SENDER,
        "40151": _SENDER,
        "40301": _PICTURES,
        "40302": Meaning(Class.REFUSED, "it is larger than Telnyx takes"),
        "40304": _WRONG,
        "40305": _SENDER,
        "40306": _SENDER,
        "40308": _PICTURES,
        "40309": Meaning(Class.REFUSED, "the account may not write to this country: see the messaging profile"),
        "40310": _NUMBER,
        "40311": _PROFILE,
        "40312": _PROFILE,
        "40313": _PROFILE,
        "40314": _NOT_ALLOWED,
        "40315": _SENDER,
        "40316": _MISSING,
        "40317": Meaning(Class.REFUSED, "Telnyx does not accept the pictures: see public_url"),
        "40318": _TOO_MANY,
        "40319": _PICTURES,
        "40320": _SENDER,
        "40321": _PROFILE,
        "40322": _SPAM,
        "40328": Meaning(Class.REFUSED, "the text is longer than Telnyx takes"),
        "40329": Meaning(Class.ACCOUNT, "the toll-free number was not verified"),
        "40333": Meaning(Class.ACCOUNT, "the messaging profile has reached its limit of spending"),
    }
)
"""Without 40300, which is two things: see :func:`of_error`."""

NOT_DELIVERED: Final = Meaning(Class.REFUSED, "it was not delivered")
EXPIRED: Final = _LATE


def of_error(code: str, title: str) -> Meaning | None:
    """Return what an error means; ``None``: it is in no table.

    40300 is said for every block, and only its title says whether the recipient wanted it.
    """
    if code == _STOP:
        return _STOPPED if "STOP" in title.upper().split() else _BLOCKED
    return CODES.get(code)


def of_answer(status: int, said: Any) -> tuple[Meaning, str]:
    """Return what a bad answer means, and Telnyx's code for it."""
    errors = said.get("errors") if isinstance(said, Mapping) else None
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], Mapping) else {}
    code = str(first.get("code", ""))[:8]
    known = of_error(code, str(first.get("title", ""))) if code.isdecimal() else None
    return (known if known is not None and status < 500 else of_status(status, _WHO)), code if known is not None else ""
