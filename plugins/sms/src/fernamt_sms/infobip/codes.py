"""What Infobip's words mean, from its pages "Message status codes" and "Error code reference"; a name says more than a number."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from fernamt_sms.answer import of_status
from fernamt_sms.outcome import Class, Meaning

_WHO: Final = "Infobip"
_NUMBER: Final = Meaning(Class.BAD_NUMBER, "Infobip says that this is no telephone number")
_GONE: Final = Meaning(Class.BAD_NUMBER, "nobody has this number")
_NO_SMS: Final = Meaning(Class.BAD_NUMBER, "the number takes no SMS")
_BARRED: Final = Meaning(Class.BAD_NUMBER, "the network blocks everything to this number")
_ABSENT: Final = Meaning(Class.REFUSED, "the telephone is off or out of reach")
_BUSY: Final = Meaning(Class.REFUSED, "the telephone was busy, or full")
_NETWORK: Final = Meaning(Class.REFUSED, "the network had trouble")
_REFUSED: Final = Meaning(Class.REFUSED, "the network refused it and does not say why")
_LATE: Final = Meaning(Class.REFUSED, "its time was over before it could be delivered")
_SENDER: Final = Meaning(Class.ACCOUNT, "Infobip does not let this account send from this sender")
_CAMPAIGN: Final = Meaning(Class.ACCOUNT, "the sender is not registered, or its campaign is not active")
_BALANCE: Final = Meaning(Class.ACCOUNT, "the balance at Infobip is not enough")
_NOT_ALLOWED: Final = Meaning(Class.ACCOUNT, "the account at Infobip may not do that")
_DEMO: Final = Meaning(Class.REFUSED, "a trial account writes to verified numbers only")
_COVERAGE: Final = Meaning(Class.REFUSED, "the account may not write to this network: ask Infobip")
_BLOCKLIST: Final = Meaning(Class.REFUSED, "the number is on a list at Infobip or its network that gets nothing")
_SPAM: Final = Meaning(Class.REFUSED, "the network or Infobip took it for spam")
_FLOOD: Final = Meaning(Class.REFUSED, "more messages to one number than Infobip lets through in an hour")
_TOO_LONG: Final = Meaning(Class.REFUSED, "the text is longer than Infobip takes")
_WRONG: Final = Meaning(Class.REFUSED, "something in the message is not as Infobip wants it")
_FRAUD: Final = Meaning(Class.REFUSED, "Infobip holds messages to this number for fraud")
_DAILY: Final = Meaning(Class.CERTAIN, "more messages than the network takes from this sender in a day")
_STOPPED: Final = Meaning(Class.OPTED_OUT, "they wrote STOP to this sender")

STATUSES: Final[Mapping[str, Meaning]] = MappingProxyType(
    {
        "UNDELIVERABLE_REJECTED_OPERATOR": _REFUSED,
        "UNDELIVERABLE_NOT_DELIVERED": Meaning(Class.REFUSED, "it was not delivered"),
        "UNDELIVERABLE_NOT_SENT": Meaning(Class.CERTAIN, "Infobip did not send it"),
        "UNDELIVERABLE_REJECTED_PLATFORM": _WRONG,
        "EXPIRED_EXPIRED": _LATE,
        "SIGNALS_BLOCKED": _FRAUD,
        "REJECTED_NETWORK": _COVERAGE,
        "REJECTED_PREFIX_MISSING": _NUMBER,
        "REJECTED_DND": Meaning(
            Class.REFUSED, "the recipient's network lets no service write to them (do not disturb)"
        ),
        "REJECTED_SOURCE": _SENDER,
        "REJECTED_NOT_ENOUGH_CREDITS": _BALANCE,
        "REJECTED_SENDER": _SENDER,
        "REJECTED_DESTINATION_BLOCKLISTED": _BLOCKLIST,
        "REJECTED_PREPAID_PACKAGE_EXPIRED": _BALANCE,
        "REJECTED_DESTINATION_NOT_REGISTERED": _DEMO,
        "REJECTED_ROUTE_NOT_AVAILABLE": _COVERAGE,
        "REJECTED_FLOODING_FILTER": _FLOOD,
        "REJECTED_SYSTEM_ERROR": Meaning(Class.CERTAIN, "Infobip had trouble, and did not take it"),
        "REJECTED_INVALID_UDH": _WRONG,
        "REJECTED_MESSAGE_TOO_LONG": _TOO_LONG,
        "MISSING_TO": _WRONG,
        "REJECTED_DESTINATION": _NUMBER,
        "REJECTED_INVALID_DESTINATION": _NUMBER,
    }
)
"""The name of a status that is no success."""

DUPLICATE: Final = "REJECTED_DUPLICATE_MESSAGE_ID"
"""It has our id already: it is a repeat of what it took before."""

ERRORS: Final[Mapping[str, Meaning]] = MappingProxyType(
    {
        "EC_UNKNOWN_SUBSCRIBER": _GONE,
        "EC_UNIDENTIFIED_SUBSCRIBER": _GONE,
        "EC_DEACTIVATED_LIST": _GONE,
        "EC_INVALID_DESTINATION_ADDRESS": _NUMBER,
        "EC_INVALID_REQUEST_DESTINATION": _NUMBER,
        "EC_TELESERVICE_NOT_PROVISIONED": _NO_SMS,
        "EC_DESTINATION_NOT_SMS_PROVISIONED": _NO_SMS,
        "EC_DEST_ADDRESS_UNABLE_TO_RECEIVE_SMS": _NO_SMS,
        "EC_ILLEGAL_SUBSCRIBER": _BARRED,
        "EC_ILLEGAL_EQUIPMENT": _BARRED,
        "EC_CALL_BARRED": _BARRED,
        "EC_DEST_ADDRESS_SUSPENDED": _BARRED,
        "EC_DESTINATION_BLOCKED_BY_OPERATOR": _BARRED,
        "EC_IMSI_BLACKLISTED": _BARRED,
        "EC_ABSENT_SUBSCRIBER": _ABSENT,
        "EC_ABSENT_SUBSCRIBER_SM": _ABSENT,
        "EC_TEMPORARY_HANDSET_FAILURE": _ABSENT,
        "EC_SUBSCRIBER_BUSY_FOR_MT_SMS": _BUSY,
        "EC_SM_DF_MEMORYCAPACITYEXCEEDED": _BUSY,
        "EC_SYSTEM_FAILURE": _NETWORK,
        "EC_MOBILE_OPERATOR_NETWORK_ERROR": _NETWORK,
        "EC_NO_RADIO_RESOURCE_AVAILABLE": _NETWORK,
        "EC_RESOURCE_LIMITATION": _NETWORK,
        "EC_DEST_OVERLOADED": _NETWORK,
        "EC_TIME_OUT": _NETWORK,
        "EC_SMS_REJECTED_BY_MOBILE_OPERATOR": _REFUSED,
        "EC_FAILED_MESSAGE_DELIVERY": _REFUSED,
        "EC_UNKNOWN_MOBILE_OPERATOR": _REFUSED,
        "EC_NOTSUBMITTEDTOGMSC": Meaning(Class.CERTAIN, "Infobip could not hand it to any network"),
        "EC_CONTENT_BLOCKED": _STOPPED,
        "EC_BLOCKED_BY_CAMPAIGN_BLACKLIST": _BLOCKLIST,
        "EC_BLACKLISTED_DESTINATIONADDRESS": _BLOCKLIST,
        "EC_DEST_ADDRESS_BLACKLISTED": _BLOCKLIST,
        "EC_BLACKLISTED_SENDERADDRESS": _SENDER,
        "EC_INVALID_SOURCE_ADDRESS": _SENDER,
        "EC_SOURCE_ADDRESS_IS_BLOCKED": _SENDER,
        "EC_SC_NOT_PROVISIONED": _SENDER,
        "EC_SC_EXPIRED": _SENDER,
        "EC_SC_BLOCKED": _SENDER,
        "EC_CAMPAIGNID_NOT_PROVISIONED": _CAMPAIGN,
        "EC_CAMPAIGN_ID_REJECTED": _CAMPAIGN,
        "EC_INVALID_GLOBAL_CAMPAIGN_ID": _CAMPAIGN,
        "EC_TF_NUMBER_NOT_VERIFIED": _CAMPAIGN,
        "EC_CONTENT_BLOCKED_BY_OPERATOR": _SPAM,
        "EC_REJECTED_SPAM_BY_OPERATOR": _SPAM,
        "EC_SIGNALS_BLOCKED": _FRAUD,
        "EC_SC_BLOCKED_FOR_END_USER": Meaning(Class.REFUSED, "the recipient's network blocks this short code for them"),
        "EC_DEST_ADDRESS_NOT_IN_SMS_DEMO": _DEMO,
        "EC_EXCEEDED_THE_MAX_NUMBER": _DEMO,
        "EC_EXCEEDED_THE_TIME_LIMIT_OF_SMS_DEMO": _NOT_ALLOWED,
        "EC_ACCOUNT_ACCESS_DENIED": _NOT_ALLOWED,
        "EC_ACCOUNT_NOT_PROVISIONED_FOR_CHANNEL": _COVERAGE,
        "EC_ACC_HAS_NO_ADRESS_FOR_DESR": _COVERAGE,
        "EC_OPERATOR_NOT_FOUND": _COVERAGE,
        "EC_MONTHLY_LIMIT_REACHED": _BALANCE,
        "EC_LIMIT_REACHED": Meaning(Class.THROTTLED, "more messages than the network takes from this sender"),
        "EC_QUOTA_REACHED": _DAILY,
        "EC_10DLC_LIMIT_REACHED": _DAILY,
        "EC_SIGNALS_HARD_LIMIT_REACHED": _DAILY,
        "EC_DESTINATION_FLOODING": _FLOOD,
        "EC_DESTINATION_TXT_FLOODING": _FLOOD,
        "EC_MSG_TEXT_TOO_LONG": _TOO_LONG,
        "EC_UNKNOWN_ALPHABET": _WRONG,
        "EC_INVALID_PDU_FORMAT": _WRONG,
        "EC_VALIDITY_EXPIRED": _LATE,
        "EC_VP_EXPIRED": _LATE,
        "EC_MESSAGE_EXPIRED": _LATE,
        "EC_MESSAGE_CANCELED": _LATE,
        "EC_DUPLICATE_MESSAGE": Meaning(Class.REFUSED, "the same words went to this number before"),
    }
)
"""The name of an error, which says more than the status it comes with."""

NOT_DELIVERED: Final = Meaning(Class.REFUSED, "it was not delivered")


def of_failure(status: str, error: str) -> tuple[Meaning, str]:
    """Return what a status means that is no success, and the name that says so."""
    if error in ERRORS:
        return ERRORS[error], error
    return STATUSES.get(status, NOT_DELIVERED), status


def of_answer(status: int, said: Any) -> tuple[Meaning, str]:
    """Return what a bad answer means. Its own code says no more than the status of HTTP, but which it is."""
    code = said.get("errorCode") if isinstance(said, Mapping) else None
    return of_status(status, _WHO), code if isinstance(code, str) and code.isalnum() and len(code) <= 8 else ""
