"""What Sinch's codes mean, from its pages "Delivery report error codes", "10DLC errors" and "HTTP Status Codes"."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from fernamt_sms.answer import of_status
from fernamt_sms.outcome import Class, Meaning

_WHO: Final = "Sinch"
_WRONG: Final = Meaning(Class.REFUSED, "something in the message is not as Sinch wants it")
_LOGIN: Final = Meaning(Class.ACCOUNT, "Sinch does not accept plan and plan_token")
_SENDER: Final = Meaning(Class.ACCOUNT, "Sinch does not let this account send from this sender")
_SPAM: Final = Meaning(Class.REFUSED, "the network or Sinch took it for spam")
_LATE: Final = Meaning(Class.REFUSED, "its time was over before it could be delivered")
_NUMBER: Final = Meaning(Class.BAD_NUMBER, "nobody can be reached at this number")
_PICTURES: Final = Meaning(Class.UNSUPPORTED, "the telephone or its network takes no such pictures")

RECEIPTS: Final[Mapping[str, Meaning]] = MappingProxyType(
    {
        # Of networks
        "15": _SPAM,
        "60": Meaning(Class.ACCOUNT, "the campaign of the number is not active"),
        "62": _SPAM,
        "64": Meaning(Class.CERTAIN, "more messages than the network takes from this sender in a day"),
        "152": Meaning(Class.BAD_NUMBER, "the number takes no SMS"),
        "300": _NUMBER,
        "310": _SENDER,
        "321": Meaning(Class.REFUSED, "the recipient's network refused it"),
        # Of Sinch itself
        "402": Meaning(Class.BAD_NUMBER, "Sinch has no way to this number"),
        "403": Meaning(Class.CERTAIN, "Sinch had trouble, and did not hand it in"),
        "404": Meaning(Class.CERTAIN, "the network could not take it at that time"),
        "405": _WRONG,
        "406": _LATE,
        "407": Meaning(Class.REFUSED, "it was cancelled at Sinch"),
        "408": Meaning(Class.REFUSED, "the network refused it"),
        "410": _SENDER,
        "411": Meaning(Class.REFUSED, "the text is longer than Sinch takes"),
        "412": Meaning(Class.REFUSED, "the account may not write to this country: ask Sinch"),
        "413": Meaning(Class.ACCOUNT, "the account at Sinch is blocked, or has no money left"),
        "414": Meaning(Class.REFUSED, "Sinch could not fetch the picture: see public_url"),
        "415": Meaning(Class.REFUSED, "the network refused the picture"),
        "416": _PICTURES,
        "417": Meaning(Class.REFUSED, "the telephone is off or out of reach"),
        "418": _PICTURES,
    }
)
"""The ``code`` of a report; 400 and 401 are no errors."""

ANSWERS: Final[Mapping[str, Meaning]] = MappingProxyType(
    {
        "syntax_invalid_json": _WRONG,
        "syntax_invalid_parameter_format": _WRONG,
        "syntax_constraint_violation": _WRONG,
        "missing_callback_url": Meaning(Class.ACCOUNT, "Sinch does not accept our address: see public_url"),
        "unknown_group": _WRONG,
        "unauthorized": _LOGIN,
        "forbidden": Meaning(Class.ACCOUNT, "the service plan at Sinch may not do that"),
        "too_many_requests": Meaning(Class.THROTTLED, "more messages than Sinch takes"),
    }
)
"""The ``code`` of an answer."""

NOT_DELIVERED: Final = Meaning(Class.REFUSED, "it was not delivered")
EXPIRED: Final = _LATE
DELETED: Final = Meaning(
    Class.REFUSED, "the network dropped it: the number may be wrong, or its owner wants no messages"
)


def of_answer(status: int, said: Any) -> tuple[Meaning, str]:
    """Return what a bad answer means, and Sinch's code for it."""
    found = said.get("code") if isinstance(said, Mapping) else None
    code = found if isinstance(found, str) and found in ANSWERS else ""
    return (ANSWERS[code] if code and status < 500 else of_status(status, _WHO)), code
