"""What Vonage's codes mean: those of an answer, and those of a delivery receipt, from its lists of API errors and of receipts."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from fernamt_sms.outcome import Class, Meaning

ANSWERS: Final[Mapping[str, Meaning]] = MappingProxyType(
    {
        "1": Meaning(Class.THROTTLED, "more messages than Vonage takes"),
        "2": Meaning(Class.REFUSED, "Vonage misses something in the message"),
        "3": Meaning(Class.REFUSED, "Vonage does not understand something in the message"),
        "4": Meaning(Class.ACCOUNT, "Vonage does not accept user and secret"),
        "5": Meaning(Class.UNCERTAIN, "Vonage has trouble"),
        "6": Meaning(Class.BAD_NUMBER, "Vonage knows no way to this number"),
        "7": Meaning(Class.REFUSED, "Vonage sends nothing to this number: it is on its list"),
        "8": Meaning(Class.ACCOUNT, "the account at Vonage is suspended"),
        "9": Meaning(Class.ACCOUNT, "the balance at Vonage is used up"),
        "10": Meaning(Class.THROTTLED, "more connections than Vonage takes"),
        "11": Meaning(Class.ACCOUNT, "the account at Vonage may not send by HTTP"),
        "12": Meaning(Class.REFUSED, "the text is longer than Vonage takes"),
        "14": Meaning(Class.ACCOUNT, "Vonage does not accept our signature"),
        "15": Meaning(Class.ACCOUNT, "Vonage does not let us send from this sender"),
        "22": Meaning(Class.BAD_NUMBER, "no network has this number"),
        "23": Meaning(Class.ACCOUNT, "Vonage does not accept our address for receipts: see public_url"),
        "29": Meaning(Class.REFUSED, "a trial account writes to its own numbers only"),
        "32": Meaning(Class.ACCOUNT, "Vonage wants either a signature or the secret"),
        "33": Meaning(Class.BAD_NUMBER, "the number is not in use any more"),
    }
)
RECEIPTS: Final[Mapping[str, Meaning]] = MappingProxyType(
    {
        "1": Meaning(Class.REFUSED, "the network did not deliver it and does not say why"),
        "2": Meaning(Class.REFUSED, "the telephone is off or out of reach"),
        "3": Meaning(Class.BAD_NUMBER, "nobody has this number any more"),
        "4": Meaning(Class.REFUSED, "the recipient blocks such messages"),
        "5": Meaning(Class.REFUSED, "the number has moved to another network, and the way there is not known"),
        "6": Meaning(Class.REFUSED, "the network took it for spam"),
        "7": Meaning(Class.CERTAIN, "the telephone was busy"),
        "8": Meaning(Class.CERTAIN, "the network had trouble"),
        "9": Meaning(Class.BAD_NUMBER, "the number takes no SMS"),
        "10": Meaning(Class.REFUSED, "the network refused the text"),
        "11": Meaning(Class.BAD_NUMBER, "there is no way to this number"),
        "12": Meaning(Class.REFUSED, "the network cannot be reached"),
        "13": Meaning(Class.REFUSED, "the recipient is too young for such messages"),
        "14": Meaning(Class.REFUSED, "the network blocks the number"),
        "15": Meaning(Class.REFUSED, "the recipient's prepaid balance is used up"),
        "16": Meaning(Class.CERTAIN, "more messages than the network takes"),
        "50": Meaning(Class.REFUSED, "a filter of the country held it: the company is not registered"),
        "51": Meaning(Class.REFUSED, "a filter of the country held it: the sender is not registered"),
        "52": Meaning(Class.REFUSED, "a filter of the country held it: the text is not registered"),
        "53": Meaning(Class.REFUSED, "a filter of the country held it: there is no consent"),
        "54": Meaning(Class.REFUSED, "a rule of the country held it"),
        "99": Meaning(Class.REFUSED, "the network did not deliver it and does not say why"),
    }
)
NOT_DELIVERED: Final = Meaning(Class.REFUSED, "it was not delivered")


def of_status(status: int) -> Meaning:
    """Return what an answer of HTTP means that is not Vonage's usual 200."""
    if status in {401, 403}:
        return ANSWERS["4"]
    if status == 429:
        return ANSWERS["1"]
    if 400 <= status < 500:
        return Meaning(Class.REFUSED, "Vonage refused the message")
    return ANSWERS["5"]
