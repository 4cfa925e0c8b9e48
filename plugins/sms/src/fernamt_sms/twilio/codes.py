"""What Twilio's codes mean, from its error dictionary: 2xxxx answer a request, 3xxxx and 6xxxx come with a status."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from fernamt_sms.outcome import NO_SUCH_PLACE, NOBODY_THERE, Class, Meaning

_FROM: Final = "Twilio does not let this account send from this sender"

CODES: Final[Mapping[str, Meaning]] = MappingProxyType(
    {
        "14107": Meaning(Class.THROTTLED, "more messages than Twilio takes from this number"),
        "20003": Meaning(Class.ACCOUNT, "Twilio does not accept account_sid and auth_token"),
        "20005": Meaning(Class.ACCOUNT, "the account at Twilio is not active"),
        "20006": Meaning(Class.ACCOUNT, "the key may not do that at Twilio"),
        "20404": Meaning(Class.ACCOUNT, "Twilio does not know this account"),
        "20429": Meaning(Class.THROTTLED, "more requests than Twilio takes"),
        "21211": Meaning(Class.BAD_NUMBER, "Twilio says that this is no telephone number"),
        "21212": Meaning(Class.ACCOUNT, _FROM),
        "21214": Meaning(Class.BAD_NUMBER, "the number cannot be reached"),
        "21217": Meaning(Class.BAD_NUMBER, "Twilio says that this is no telephone number"),
        "21219": Meaning(Class.REFUSED, "a trial account writes to verified numbers only"),
        "21408": Meaning(Class.REFUSED, "the account may not write to this country: see Geo permissions at Twilio"),
        "21601": Meaning(Class.ACCOUNT, "the sender cannot send SMS"),
        "21602": Meaning(Class.REFUSED, "there is no text"),
        "21603": Meaning(Class.ACCOUNT, _FROM),
        "21604": Meaning(Class.BAD_NUMBER, "there is no number"),
        "21605": Meaning(Class.REFUSED, "the text is longer than Twilio takes"),
        "21606": Meaning(Class.ACCOUNT, _FROM),
        "21608": Meaning(Class.REFUSED, "a trial account writes to verified numbers only"),
        "21609": Meaning(Class.ACCOUNT, "Twilio does not accept our address for statuses: see public_url"),
        "21610": Meaning(Class.OPTED_OUT, "they wrote STOP to this number"),
        "21611": Meaning(Class.THROTTLED, "too many messages of this number wait at Twilio"),
        "21612": Meaning(Class.REFUSED, "from this sender nobody can write to that number"),
        "21614": Meaning(Class.BAD_NUMBER, "the number takes no SMS"),
        "21617": Meaning(Class.REFUSED, "the text is longer than Twilio takes"),
        "21618": Meaning(Class.REFUSED, "the text cannot be sent"),
        "21619": Meaning(Class.REFUSED, "there is neither text nor picture"),
        "21620": Meaning(Class.REFUSED, "Twilio does not accept the address of the picture: see public_url"),
        "21621": Meaning(Class.UNSUPPORTED, "the sender cannot send pictures"),
        "21623": Meaning(Class.REFUSED, "there are more pictures than Twilio takes"),
        "21635": Meaning(Class.BAD_NUMBER, "the number is a landline that takes no SMS"),
        "21659": Meaning(Class.ACCOUNT, _FROM),
        "21660": Meaning(Class.ACCOUNT, _FROM),
        "21661": Meaning(Class.ACCOUNT, "the sender cannot send SMS"),
        "21701": Meaning(Class.ACCOUNT, "Twilio does not know this messaging service"),
        "21703": Meaning(Class.ACCOUNT, "the messaging service has no number to send from"),
        "21704": Meaning(Class.ACCOUNT, "the messaging service has no number to send from"),
        "30001": Meaning(Class.CERTAIN, "the queue at Twilio was full"),
        "30002": Meaning(Class.ACCOUNT, "the account at Twilio is suspended"),
        "30003": Meaning(Class.REFUSED, "the telephone is off or out of reach"),
        "30004": Meaning(Class.REFUSED, "the recipient or the network blocks the message"),
        "30005": Meaning(Class.BAD_NUMBER, "nobody has this number"),
        "30006": Meaning(Class.BAD_NUMBER, "the number is a landline, or its network cannot be reached"),
        "30007": Meaning(Class.REFUSED, "the network or Twilio took it for spam"),
        "30008": Meaning(Class.REFUSED, "the network did not deliver it and does not say why"),
        "30009": Meaning(Class.REFUSED, "a part of the message got lost"),
        "30010": Meaning(Class.REFUSED, "it would have cost more than the account allows"),
        "30011": Meaning(Class.UNSUPPORTED, "the network takes no pictures"),
        "30012": Meaning(Class.REFUSED, "its time was over before it could be sent"),
        "30017": Meaning(Class.CERTAIN, "the network is too busy"),
        "30018": Meaning(Class.REFUSED, "this country wants the sender to be registered before"),
        "30019": Meaning(Class.REFUSED, "it is larger than the network takes"),
        "30022": Meaning(Class.CERTAIN, "more messages than the network takes from this sender"),
        "30023": Meaning(Class.CERTAIN, "more messages than the network takes from this sender in a day"),
        "30027": Meaning(Class.CERTAIN, "more messages than the network takes from this sender in a day"),
        "30032": Meaning(Class.ACCOUNT, "the toll-free number was not verified"),
        "30034": Meaning(Class.ACCOUNT, "the number is not registered for messages to the USA"),
        "30036": Meaning(Class.REFUSED, "its time was over before it could be delivered"),
        "30044": Meaning(Class.REFUSED, "a trial account sends short texts only"),
        "30450": Meaning(Class.REFUSED, "Twilio holds messages to this number for fraud"),
        "63018": Meaning(Class.CERTAIN, "more messages than the channel takes"),
        "63038": Meaning(Class.CERTAIN, "more messages than the account may send in a day"),
    }
)

NOT_DELIVERED: Final = Meaning(Class.REFUSED, "it was not delivered")
"""A failure without a code, or with one that is not in the table."""
CANCELLED: Final = Meaning(Class.REFUSED, "it was cancelled at Twilio")


def of_answer(status: int, code: str) -> Meaning:
    """Return what an answer means that is no success; *code* is Twilio's own, ``""``: it says none."""
    if status < 500 and code in CODES:
        return CODES[code]
    if status == 429:
        return CODES["20429"]
    if status in {401, 403}:
        return CODES["20003"]
    if status in NO_SUCH_PLACE:
        return NOBODY_THERE
    if 400 <= status < 500:
        return Meaning(Class.REFUSED, "Twilio refused the message")
    if status >= 500:
        return Meaning(Class.UNCERTAIN, "Twilio has trouble")
    return Meaning(Class.UNCERTAIN, "what answers there is not Twilio")
