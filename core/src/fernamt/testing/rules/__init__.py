"""The rules of the kit, by area. What a rule's id begins with is its area, and the page stands in ``<area>.md``."""

from typing import Final

from fernamt.testing.rule import Rule
from fernamt.testing.rules import inbound, outbound, secrecy

RULES: Final[tuple[Rule, ...]] = tuple(
    rule for area in (inbound.RULES, outbound.RULES, secrecy.RULES) for rule in area.found
)
