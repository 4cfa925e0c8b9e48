"""What Vonage's codes mean, from its pages "API Errors" and "Delivery receipts"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from fernamt_sms.answer import of_status
from fernamt_sms.outcome import Class, Meaning

_WHO: Final = "Vonage"
_THROTTLED: Final = Meaning(Class.THROTTLED, "more messages than Vonage takes from this account")
_LOGIN: Final = Meaning(Class.ACCOUNT, "Vonage does not accept account and api_secret")
_INTERNAL: Final = Meaning(Class.UNCERTAIN, "Vonage has trouble")
_MISSING: Final = Meaning(Class.REFUSED, "something is missing in the message")
_WRONG: Final = Meaning(Class.REFUSED, "something in the message is not as Vonage wants it")
_INVALID: Final = Meaning(Class.BAD_NUMBER, "Vonage cannot send to this number")
_BARRED: Final = Meaning(Class.BAD_NUMBER, "the number is on Vonage's list of numbers that get nothing")
_SUSPENDED: Final = Meaning(Class.ACCOUNT, "the account at Vonage is suspended")
_BALANCE: Final = Meaning(Class.ACCOUNT, "the balance at Vonage is not enough")
_NOT_FOR_HTTP: Final = Meaning(Class.ACCOUNT, "the account at Vonage is not made for this API")
_TOO_LONG: Final = Meaning(Class.REFUSED, "the text is longer than Vonage takes")
_NOT_HANDED_IN: Final = Meaning(Class.CERTAIN, "Vonage could not hand it in")
_SENDER: Final = Meaning(Class.ACCOUNT, "Vonage does not let this account send from this sender")
_NOT_ALLOWED: Final = Meaning(Class.ACCOUNT, "the account at Vonage may not do that")
_NOT_LISTED: Final = Meaning(Class.REFUSED, "the account may write to listed numbers only: add this one at Vonage")
_UNKNOWN: Final = Meaning(Class.REFUSED, "the network did not deliver it and does not say why")
_ABSENT: Final = Meaning(Class.REFUSED, "the telephone is off or out of reach")
_GONE: Final = Meaning(Class.BAD_NUMBER, "nobody has this number any more")
_USER_BARRED: Final = Meaning(Class.BAD_NUMBER, "the recipient's contract does not allow it")
_PORTED: Final = Meaning(Class.REFUSED, "the number was moved to another network, and that went wrong")
_SPAM: Final = Meaning(Class.REFUSED, "the network took it for spam")
_BUSY: Final = Meaning(Class.REFUSED, "the telephone was busy")
_NETWORK: Final = Meaning(Class.REFUSED, "the network had trouble")
_STOPPED: Final = Meaning(Class.OPTED_OUT, "they wrote STOP to this sender")
_ROUTE: Final = Meaning(Class.REFUSED, "Vonage has no way to this number")
_NO_WAY: Final = Meaning(Class.BAD_NUMBER, "the number cannot be reached")
_AGE: Final = Meaning(Class.REFUSED, "the network blocks it for the recipient's age")
_CARRIER: Final = Meaning(Class.REFUSED, "the network blocks messages to this number")
_PREPAID: Final = Meaning(Class.REFUSED, "the recipient's prepaid balance is not enough")
_DAILY: Final = Meaning(Class.REFUSED, "more messages than the network takes from this sender in a day")
_FRAUD: Final = Meaning(Class.REFUSED, "Vonage's Fraud Defender blocks messages to this number")
_LATE: Final = Meaning(Class.REFUSED, "its time was over before it could be delivered")

ANSWERS: Final[Mapping[str, Meaning]] = MappingProxyType(
    {
        "1": _THROTTLED,
        "2": _MISSING,
        "3": _WRONG,
        "4": _LOGIN,
        "5": _INTERNAL,
        "6": _INVALID,
        "7": _BARRED,
        "8": _SUSPENDED,
        "9": _BALANCE,
        "10": _THROTTLED,
        "11": _NOT_FOR_HTTP,
        "12": _TOO_LONG,
        "13": _NOT_HANDED_IN,
        "14": _LOGIN,
        "15": _SENDER,
        "16": _WRONG,
        "19": _NOT_ALLOWED,
        "20": _WRONG,
        "22": _ROUTE,
        "23": Meaning(Class.ACCOUNT, "Vonage does not accept our address for receipts: see public_url"),
        "29": _NOT_LISTED,
        "32": Meaning(Class.ACCOUNT, "Vonage wants signed requests from this account: allow the secret there"),
        "33": _GONE,
        "34": _NOT_ALLOWED,
    }
)
"""The ``status`` of a message in an answer of the SMS API, which comes with HTTP 200."""

RECEIPTS: Final[Mapping[str, Meaning]] = MappingProxyType(
    {
        "1": _UNKNOWN,
        "2": _ABSENT,
        "3": _GONE,
        "4": _USER_BARRED,
        "5": _PORTED,
        "6": _SPAM,
        "7": _BUSY,
        "8": _NETWORK,
        "9": _STOPPED,
        "10": Meaning(Class.REFUSED, "the network does not take this text"),
        "11": _ROUTE,
        "12": _NO_WAY,
        "13": _AGE,
        "14": _CARRIER,
        "15": _PREPAID,
        "16": _BALANCE,
        "39": _SENDER,
        "41": _DAILY,
        "50": Meaning(Class.REFUSED, "a filter of the country held it: the company is not registered"),
        "51": Meaning(Class.REFUSED, "a filter of the country held it: the sender is not registered"),
        "52": Meaning(Class.REFUSED, "a filter of the country held it: the text is not registered"),
        "53": Meaning(Class.REFUSED, "a filter of the country held it: there is no consent"),
        "54": Meaning(Class.REFUSED, "a rule of the country held it"),
        "99": _UNKNOWN,
    }
)
"""The ``err-code`` of a receipt of the SMS API."""

MESSAGES: Final[Mapping[str, Meaning]] = MappingProxyType(
    {
        "1000": _THROTTLED,
        "1010": _MISSING,
        "1020": _WRONG,
        "1021": _WRONG,
        "1022": _WRONG,
        "1030": _INTERNAL,
        "1040": _INVALID,
        "1050": _BARRED,
        "1060": _SUSPENDED,
        "1070": _BALANCE,
        "1080": _NOT_FOR_HTTP,
        "1090": _TOO_LONG,
        "1100": _NOT_HANDED_IN,
        "1120": _SENDER,
        "1130": _WRONG,
        "1140": _NOT_ALLOWED,
        "1150": _WRONG,
        "1160": _NOT_LISTED,
        "1170": _INVALID,
        "1180": _ABSENT,
        "1190": _GONE,
        "1200": _PORTED,
        "1210": _SPAM,
        "1220": _BUSY,
        "1230": _NETWORK,
        "1240": _STOPPED,
        "1250": _ROUTE,
        "1260": _NO_WAY,
        "1270": _AGE,
        "1280": _CARRIER,
        "1290": _PREPAID,
        "1300": _GONE,
        "1310": Meaning(Class.UNSUPPORTED, "the telephone cannot show that"),
        "1320": Meaning(Class.UNCERTAIN, "Vonage says that it was sent already"),
        "1330": _UNKNOWN,
        "1340": Meaning(Class.REFUSED, "it is too late to answer"),
        "1360": _LATE,
        "1420": _SENDER,
        "1430": _INVALID,
        "1460": _DAILY,
        "1470": _FRAUD,
    }
)
"""The code of an error of the Messages API, in an answer or with a status."""

_PROBLEMS: Final[Mapping[str, Meaning]] = MappingProxyType(
    {
        "low-balance": _BALANCE,
        "unauthorized": _LOGIN,
        "forbidden": _NOT_ALLOWED,
        "unprovisioned": _NOT_ALLOWED,
        "account-suspended": _SUSPENDED,
        "invalid-api-key": _LOGIN,
        "invalid-params": _WRONG,
    }
)

NOT_DELIVERED: Final = Meaning(Class.REFUSED, "it was not delivered")
EXPIRED: Final = _LATE
_CODE: Final = re.compile(r"[0-9]{1,5}|[a-z-]{1,40}")


def of_sms_answer(code: str) -> Meaning:
    """Return what a ``status`` other than 0 means; a new one tells nothing."""
    return ANSWERS.get(code, Meaning(Class.UNCERTAIN, "Vonage gives a reason that we do not know"))


def of_problem(said: Any) -> str:
    """Return the code of an error of the Messages API, ``""``: it has none. Its ``type`` ends in it; so does ``title`` at times."""
    if not isinstance(said, Mapping):
        return ""
    for value in (str(said.get("type", "")).rpartition("#")[2], str(said.get("title", ""))):
        if _CODE.fullmatch(value):
            return value
    return ""


def of_answer(status: int, said: Any) -> tuple[Meaning, str]:
    """Return what a bad answer means, and Vonage's code for it."""
    code = of_problem(said)
    known = MESSAGES.get(code) or _PROBLEMS.get(code)
    return (known if known is not None and status < 500 else of_status(status, _WHO)), code
