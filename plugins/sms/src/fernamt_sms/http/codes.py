"""What a gateway's answer means, by the operator's table. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fernamt_sms.http.settings import ErrorSettings
from fernamt_sms.outcome import NO_SUCH_PLACE, NOBODY_THERE, Class, Meaning

_SAYS: Final[Mapping[str, Meaning]] = {
    "refused": Meaning(Class.REFUSED, "the gateway refused the message"),
    "bad_number": Meaning(Class.BAD_NUMBER, "the gateway cannot reach this number"),
    "opted_out": Meaning(Class.OPTED_OUT, "the recipient wants no messages"),
    "account": Meaning(Class.ACCOUNT, "the gateway does not serve our account"),
    "throttled": Meaning(Class.THROTTLED, "more messages than the gateway takes"),
    "certain": Meaning(Class.CERTAIN, "the gateway could not take the message now"),
    "uncertain": Meaning(Class.UNCERTAIN, "the gateway has trouble"),
}
NOT_DELIVERED: Final = Meaning(Class.REFUSED, "it was not delivered")


class Codes:
    """The table, by code."""

    def __init__(self, errors: ErrorSettings) -> None:
        self._table = {code: meaning for name, meaning in _SAYS.items() for code in getattr(errors, name)}

    def of_answer(self, status: int, code: str) -> Meaning:
        """Return what an answer means that is no success; *code* is the gateway's own, ``""``: it names none."""
        known = self._table.get(code) or self._table.get(f"http-{status}")
        if known is not None:
            return known
        if status in {401, 403}:
            return _SAYS["account"]
        if status == 429:
            return _SAYS["throttled"]
        if status in NO_SUCH_PLACE and not code:
            return NOBODY_THERE
        return _SAYS["refused"] if 400 <= status < 500 or (code and status < 300) else _SAYS["uncertain"]

    def of_receipt(self, code: str) -> Meaning:
        """Return why a message was not delivered."""
        return self._table.get(code, NOT_DELIVERED)
