"""The rules of the kit, by area. What a rule's id begins with is its area, and the page stands in ``<area>.md``."""

from typing import Final

from fernamt.testing.rule import Rule
from fernamt.testing.rules import (
    ability,
    calling,
    consenting,
    crash,
    inbound,
    life,
    outbound,
    package,
    presence,
    receiving,
    secrecy,
    section,
    verifying,
    wire,
)

_OF_A_MESSAGE: Final = (inbound, receiving, outbound, wire, crash, secrecy)
_AREAS: Final = (package, section, verifying, *_OF_A_MESSAGE, ability, calling, presence, consenting, life)
RULES: Final[tuple[Rule, ...]] = tuple(rule for area in _AREAS for rule in area.RULES.found)
"""Every rule of the kit."""
