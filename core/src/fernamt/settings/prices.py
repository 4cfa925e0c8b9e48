"""``[channels.<id>.prices]``: what a part costs, by the beginning of the number that it goes to. The business writes them; we know none."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from attrs import frozen

from fernamt.model import Address

_BEGINNING: Final = re.compile(r"\+[0-9]{0,14}")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_AMOUNT: Final = re.compile(r"[0-9]{1,6}(\.[0-9]{1,8})?")


def check_prices(_: object, __: object, said: Mapping[str, str]) -> None:
    """Let a table of prices pass: a currency, and amounts by beginnings of numbers."""
    if said and not _CURRENCY.fullmatch(said.get("currency", "")):
        raise ValueError("needs a currency of three capital letters, for instance currency = 'EUR'")
    for beginning, amount in said.items():
        if beginning == "currency":
            continue
        if not _BEGINNING.fullmatch(beginning):
            raise ValueError(
                f"{beginning!r} is no beginning of a number: write '+49', or '+' for all that have no other"
            )
        if not _AMOUNT.fullmatch(amount):
            raise ValueError(f"the price of {beginning!r} is no amount: write it with a point and in quotes, '0.075'")


@frozen
class Price:
    """What a part costs that goes to a number."""

    beginning: str
    """Of the number, as it stands in the configuration: ``+49``."""
    amount: Decimal
    currency: str


@frozen
class Prices:
    """The prices of a channel."""

    currency: str
    amounts: Mapping[str, Decimal]
    """By the beginnings of numbers, as they stand in the configuration."""

    @classmethod
    def of(cls, said: Mapping[str, str]) -> Prices:
        """Return a table that :func:`check_prices` let pass, or an empty one."""
        amounts = {beginning: Decimal(amount) for beginning, amount in said.items() if beginning != "currency"}
        return cls(said.get("currency", ""), amounts)

    def __bool__(self) -> bool:
        return bool(self.amounts)

    def __iter__(self) -> Iterator[Price]:
        """Yield all, in the order of the configuration."""
        return (Price(beginning, amount, self.currency) for beginning, amount in self.amounts.items())

    def of_part(self, to: Address) -> Price | None:
        """Return what a part to this address costs: the longest beginning counts; ``None``: nobody wrote a price for it."""
        for length in range(min(len(to.value), 15), 0, -1):
            if (beginning := to.value[:length]) in self.amounts:
                return Price(beginning, self.amounts[beginning], self.currency)
        return None
