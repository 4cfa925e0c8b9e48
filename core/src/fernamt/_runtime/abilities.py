"""Which of a connector's abilities this version calls."""

from __future__ import annotations

from typing import Final

from fernamt.connector import ABILITIES, Connector, Dials, ShowsTyping, abilities_of

DRIVEN: Final = frozenset(ABILITIES) - {Dials, ShowsTyping}
"""The abilities that are called; a connector may have others, which come with the machinery that drives them."""


def idle_abilities(connector: Connector) -> list[str]:
    """Return the names of the connector's abilities that are never called."""
    return sorted(ability.__name__ for ability in abilities_of(connector) - DRIVEN)
