"""``fernamt email explain``: what a provider's refusal means."""

from __future__ import annotations

import sys

from fernamt_email.explain import advice_on
from fernamt_email.language import language


def explain(said: str, /) -> int:
    """Say what a mail provider's words mean and what to do, in German if the terminal is German.

    Example: fernamt email explain "534 5.7.9 Application-specific password required"

    Args:
        said: What the provider said, from fernamt channels, fernamt check --online or the log.
    """
    found = advice_on(said)
    if found is None:
        unknown = {
            "en": "These words are not known. The provider's own help pages may explain them.",
            "de": "Diese Worte sind nicht bekannt. Vielleicht erklären sie die Hilfeseiten des Anbieters.",
        }
        print(unknown[language()], file=sys.stderr)  # noqa: T201 - a command talks to the person who typed it
        return 1
    print(found.says[language()])  # noqa: T201
    return 0
