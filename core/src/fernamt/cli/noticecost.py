"""What a run of notices costs, by the prices that the business wrote down: exact, and by the beginnings of numbers."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING

from attrs import frozen

from fernamt.cli.words import counted

if TYPE_CHECKING:
    from fernamt.model import Address
    from fernamt.settings import Prices


@frozen(kw_only=True)
class Cost:
    """Of the notices to numbers that begin alike."""

    beginning: str
    """Empty: they have no price."""
    notices: int
    parts: int
    price: Decimal | None
    cost: Decimal | None

    def told(self, currency: str) -> str:
        """Return it in words."""
        size = f"{counted(self.notices, 'notice')}, {counted(self.parts, 'part')}"
        if self.cost is None:
            return f"no price: {size}"
        whom = "all others" if self.beginning == "+" else self.beginning
        return f"{whom}: {size} at {self.price:f}, {self.cost:f} {currency}"


class Bill:
    """Adds up the notices of a run."""

    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self._notices = Counter[str]()
        self._parts = Counter[str]()

    def add(self, to: Address, parts: int) -> None:
        """Count a notice; one of no parts would not go, and costs nothing."""
        if parts:
            price = self._prices.of_part(to)
            beginning = price.beginning if price else ""
            self._notices[beginning] += 1
            self._parts[beginning] += parts

    def total(self) -> Decimal:
        """Return what all that have a price cost."""
        return sum((one.cost for one in self.rows() if one.cost is not None), Decimal())

    def rows(self) -> tuple[Cost, ...]:
        """Return the costs by the beginnings of numbers, in the order of the configuration, and at the end what has no price."""
        return tuple(self._row(one) for one in (*self._prices.amounts, "") if one in self._notices)

    def _row(self, beginning: str) -> Cost:
        price, parts = self._prices.amounts.get(beginning), self._parts[beginning]
        cost = None if price is None else price * parts
        return Cost(beginning=beginning, notices=self._notices[beginning], parts=parts, price=price, cost=cost)
