"""How a table says what a code means: in words that follow ours, without a full stop."""

from __future__ import annotations

from collections.abc import Mapping

from fernamt_sms.outcome import Meaning


def check_sentences(table: Mapping[str, Meaning], who: str) -> None:
    """Let a table pass whose sentences can stand behind a colon, and before a code; *who* is the provider."""
    for code, meaning in table.items():
        assert meaning.says[0].islower() or meaning.says.startswith(who), code
        assert not meaning.says.endswith("."), code
