"""Which of our two languages whoever reads this understands."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

Language: TypeAlias = Literal["en", "de"]
_NAMES: Final = ("LC_ALL", "LC_MESSAGES", "LANG")


def language(environ: Mapping[str, str] = os.environ) -> Language:
    """Return the language of this process: that of the person at the terminal, or of the machine for a daemon."""
    named = next(filter(None, (environ.get(name, "") for name in _NAMES)), "")
    return "de" if named.lower().startswith("de") else "en"
