"""The rules of the kit, by area. What a rule's id begins with is its area, and the page stands in ``<area>.md``."""

from typing import Final

from fernamt.testing.rule import Rule
from fernamt.testing.rules import ability, inbound, life, outbound, package, receiving, secrecy, section, verifying

_AREAS: Final = (package, section, verifying, inbound, receiving, outbound, secrecy, ability, life)
RULES: Final[tuple[Rule, ...]] = tuple(rule for area in _AREAS for rule in area.RULES.found)
"""Every rule of the kit."""
