"""What Bird's words mean: the codes of failures and the names of errors, from its API reference ("SMS", "Errors", "Idempotency")."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from fernamt_sms.answer import of_status
from fernamt_sms.outcome import Class, Meaning

_WHO: Final = "Bird"
_CODE: Final = re.compile(r"E[0-9]{5}")
_SENDER: Final = Meaning(Class.ACCOUNT, "Bird does not let this account send from this sender")
_WRONG: Final = Meaning(Class.REFUSED, "something in the message is not as Bird wants it")
_NUMBER: Final = Meaning(Class.BAD_NUMBER, "Bird says that this is no telephone number")

FAILURES: Final[Mapping[str, Meaning]] = MappingProxyType(
    {
        "invalid_destination": Meaning(Class.BAD_NUMBER, "nobody has this number"),
        "unreachable": Meaning(Class.REFUSED, "the telephone is off or out of reach"),
        "blocked_by_carrier": Meaning(Class.REFUSED, "the network or Bird took it for spam"),
        "blocked_by_fraud_protection": Meaning(Class.REFUSED, "Bird holds messages to this number for fraud"),
        # A telephone that blocks a number says nothing of what its owner wants of a company: STOP is said otherwise.
        "blocked_by_recipient": Meaning(Class.REFUSED, "the recipient blocks such messages"),
        "landline_unreachable": Meaning(Class.BAD_NUMBER, "the number is a landline that takes no SMS"),
        "content_rejected": Meaning(Class.REFUSED, "the network refused the text"),
        # Of this country: to others the channel may go on sending.
        "sender_unregistered": Meaning(Class.REFUSED, "this country wants the sender to be registered before"),
        "recipient_opted_out": Meaning(Class.OPTED_OUT, "they wrote STOP to this sender"),
        "provider_unavailable": Meaning(Class.CERTAIN, "Bird could not hand it to any network"),
        "insufficient_balance": Meaning(Class.ACCOUNT, "the balance at Bird is not enough"),
    }
)
"""The ``code`` of a failure; ``unknown`` says nothing."""

ANSWERS: Final[Mapping[str, Meaning]] = MappingProxyType(
    {
        "SMSInvalidRecipient": _NUMBER,
        "SMSSenderNotConfigured": _SENDER,
        "SMSNoEligibleSender": _SENDER,
        "SenderCategoryNotPermitted": Meaning(Class.ACCOUNT, "the sender is not registered for this category at Bird"),
        "SMSUnsupportedFeature": Meaning(Class.UNSUPPORTED, "Bird does not offer that to this account"),
        "ValidationError": _WRONG,
        "InvalidRequest": _WRONG,
        # Both say that Bird knows an attempt before this one, and not what became of it.
        "RequestInProgress": Meaning(Class.UNCERTAIN, "Bird was not done with it in time"),
        "IdempotencyKeyReuse": Meaning(Class.UNCERTAIN, "Bird knows this message in other words"),
    }
)
"""The ``name`` of an error."""

NOT_DELIVERED: Final = Meaning(Class.REFUSED, "it was not delivered")
EXPIRED: Final = Meaning(Class.REFUSED, "its time was over before it could be delivered")
CANCELED: Final = Meaning(Class.REFUSED, "it was cancelled at Bird")
_ELSEWHERE: Final = Meaning(Class.ACCOUNT, "the workspace lies in another place than its key: see api")


def of_failure(code: str, otherwise: Meaning) -> tuple[Meaning, str]:
    """Return what a failure means, and Bird's code for it if it is one that we know."""
    return (FAILURES[code], code) if code in FAILURES else (otherwise, "")


def of_answer(status: int, said: Any) -> tuple[Meaning, str]:
    """Return what a bad answer means, and Bird's code for it."""
    wrong = said.get("error") if isinstance(said, Mapping) else None
    name, code = (wrong.get("name"), wrong.get("code")) if isinstance(wrong, Mapping) else (None, None)
    known = ANSWERS.get(name) if isinstance(name, str) and status < 500 else None
    if known is None:
        known = _ELSEWHERE if status == 421 else of_status(status, _WHO)
    return known, code if isinstance(code, str) and _CODE.fullmatch(code) else ""
