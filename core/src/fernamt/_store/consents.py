"""Who stopped what: read before each message."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from fernamt._store.names import Names
from fernamt._store.statements import Statements

MARKETING: Final = "marketing"
"""The scope of consent that outreach needs."""


def stopped_by(do: Statements, names: Names, channel: int, handles: Collection[str]) -> dict[tuple[str, str], str]:
    """Return by (address, scope) why it gets nothing: by its own word, or by one from before it was erased."""
    marks = {handle: names.erased_mark(handle) for handle in handles}
    rows = do.among(
        "SELECT a.handle, c.scope, c.allowed, c.evidence FROM address a JOIN consent c ON c.address = a.id"
        " WHERE c.channel = ? AND c.scope IN (?, ?) AND a.handle IN {}",
        [*marks, *marks.values()],
        (channel, "", MARKETING),
    )
    words = {(handle, scope): (allowed, evidence) for handle, scope, allowed, evidence in rows}
    said = {
        (handle, scope): words.get((handle, scope)) or words.get((mark, scope), (True, ""))
        for handle, mark in marks.items()
        for scope in ("", MARKETING)
    }
    return {key: f"the recipient opted out ({word})" for key, (allowed, word) in said.items() if not allowed}
