"""What somebody hears at once who writes for the first time: that it arrived, and its number. Pure."""

from __future__ import annotations

import re
from typing import Final

from fernamt import Acknowledgement
from fernamt_email.language import Language
from fernamt_email.settings import LayoutSettings

MAX_TEXT: Final = 4_000
"""Characters of a text that say which language it is in."""

_WORD: Final = re.compile(r"[a-zäöüß]+")
_GERMAN: Final = frozenset(
    "und der die das ich nicht ist sie wir bitte mit mein meine ihre für auf hallo guten tag sehr geehrte grüße habe kann".split()  # noqa: SIM905
)
_ENGLISH: Final = frozenset(
    "and the i not is you we please with my your for on hello dear regards have can this that it was would".split()  # noqa: SIM905
)
_SUBJECTS: Final[dict[Language, str]] = {
    "en": "We received your message (#{number})",
    "de": "Ihre Nachricht ist angekommen (#{number})",
}


def language_in(text: str, otherwise: Language) -> Language:
    """Return the language of a text by its small words; *otherwise* if these do not say."""
    words = _WORD.findall(text[:MAX_TEXT].lower())
    german, english = (sum(word in known for word in words) for known in (_GERMAN, _ENGLISH))
    if german == english:
        return otherwise
    return "de" if german > english else "en"


def acknowledgement(text: str, layout: LayoutSettings, otherwise: Language) -> Acknowledgement:
    """Return what whoever wrote *text* hears; of their words only the language counts."""
    language = language_in(text, otherwise)
    said = layout.received_de if language == "de" else layout.received_en
    return Acknowledgement(text=said, subject=_SUBJECTS[language])
