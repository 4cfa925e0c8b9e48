"""What every kind of SMS channel does with a message before the provider sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import evolve, frozen

from fernamt import Address, Capabilities, OutboundMessage, Rejected
from fernamt_sms.alphabet import has
from fernamt_sms.german import tell
from fernamt_sms.number import NAME_SCHEME, SCHEME, is_name, recipient, refuse_name, zones
from fernamt_sms.plain import plain
from fernamt_sms.settings import SmsSettings
from fernamt_sms.text import segment


@frozen
class Line:
    """One channel, by its settings, and what people see as the sender. Pure."""

    settings: SmsSettings
    sender: str

    def text(self, message: OutboundMessage) -> str:
        """Return the text as it goes out."""
        if has(message.text) or not self.settings.plain_characters:
            return message.text
        return plain(message.text).text

    def units(self, message: OutboundMessage) -> int:
        """Return how many parts the text has: see ``Measures``."""
        return len(segment(self.text(message)).parts)

    def recipient(self, message: OutboundMessage) -> str:
        """Return whom it goes to: a number (E.164) or a short code.

        Raises:
            Rejected: It is no number, it is written in another form than those that write to us have, or its country takes
                nothing from our sender, a name.
        """
        if message.to.scheme == NAME_SCHEME:
            raise Rejected("they wrote under a name, which nobody can answer")
        if message.to.scheme != SCHEME:
            raise Rejected("an SMS goes to an address such as phone:+4930123456")
        to = recipient(message.to.value, self.settings.region)
        if to != message.to.value:
            # To the core another spelling is somebody else: who wrote STOP would get this one all the same.
            raise Rejected(
                "the number is not written as +4930123456: in another form its answers and its STOP are not found"
            )
        if is_name(self.sender) and not self.settings.sender_is_replaced:
            refuse_name(to)
        return to

    def capabilities(self, **more: Any) -> Capabilities:
        """Return what the settings say of the line; the kind adds the rest."""
        can = Capabilities(
            unit="measured",
            max_units=self.settings.max_parts,
            units_per_s=self.settings.parts_per_s,
            in_flight=8,
            opt_out_words=True,
            threads=False,
        )
        return evolve(can, **more)


class OnALine:
    """What every kind says of a message and of a number in the same way: the abilities ``Measures`` and ``KnowsZones``."""

    _line: Line

    def units(self, message: OutboundMessage) -> int:
        """Count parts, of a message to a number that can be."""
        self._check(message)
        return self._line.units(message)

    def _check(self, message: OutboundMessage) -> None:
        """Raise ``Rejected`` for whom no message can go to: before it is one of a thousand, and not when its turn comes."""
        try:
            self._line.recipient(message)
        except Rejected as why:
            tell(why, self._line.settings.house_language)
            raise

    def zones(self, to: Address) -> Sequence[str]:
        """Tell the time zones of a number."""
        return zones(to)
