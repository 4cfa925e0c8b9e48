"""The words by which a person stops messages or wants them again: found before any menu or bot, on channels that are texted."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

from attrs import evolve, frozen

from fernamt._store.opting import Opting
from fernamt.inbound import Consent, InboundEvent, Received

STOPPED_MARK: Final = "opt-out"
_LONGEST: Final = 40
"""With whatever stands around the word."""
_AROUND: Final = re.compile(r"\A[\W_]+|[\W_]+\Z")
_WITHIN: Final = str.maketrans("", "", " -._\u00ad\u200b\u200c\u200d\u2060")
_BETWEEN: Final = re.compile(r"[\W_]+")


@frozen
class _Word:
    allows: bool
    language: str = ""
    """In which it is said, if in one alone."""
    plain: bool = True
    """It means nothing else; other words a customer may have meant otherwise, so somebody looks."""


_STOP, _ABMELDEN, _UNSUBSCRIBE = _Word(False), _Word(False, "de"), _Word(False, "en")
_END, _ENDE = _Word(False, "en", plain=False), _Word(False, "de", plain=False)
_START, _ANMELDEN, _SUBSCRIBE = _Word(True), _Word(True, "de"), _Word(True, "en")
WORDS: Final[Mapping[str, _Word]] = {
    "stop": _STOP,
    **dict.fromkeys(("stopall", "unsubscribe", "unsubscribeall", "optout", "revoke"), _UNSUBSCRIBE),
    **dict.fromkeys(("stopp", "stoppen", "abmelden", "abbestellen", "austragen"), _ABMELDEN),
    **dict.fromkeys(("cancel", "end", "quit"), _END),
    "ende": _ENDE,
    "start": _START,
    **dict.fromkeys(("unstop", "subscribe", "optin"), _SUBSCRIBE),
    **dict.fromkeys(("anmelden", "eintragen"), _ANMELDEN),
}


def word_of(text: str) -> str:
    """Return the word that is all of *text*, however it is written and however often, ``""`` if there is none."""
    if type(text) is not str or len(text) > _LONGEST:
        return ""
    said = _AROUND.sub("", unicodedata.normalize("NFKC", text)).casefold()
    word = said.translate(_WITHIN)
    if word not in WORDS and len(often := {*_BETWEEN.split(said)}) == 1:
        word = often.pop()
    return word if word in WORDS else ""


def with_consents(events: tuple[InboundEvent, ...]) -> tuple[InboundEvent, ...]:
    """Return the events, each that is such a word followed by what it means: both are stored in one transaction.

    They themselves if there is none, or if it was done before.

    Where the provider itself says in the same breath what its customer wants, it has confirmed it, too.
    """
    if not any(type(event) is Received and _is_said(event) and word_of(event.text) for event in events):
        return events
    if any(type(event) is Opting for event in events):
        return events
    found: list[InboundEvent] = []
    for event in events:
        word = word_of(event.text) if type(event) is Received and _is_said(event) else ""
        if type(event) is not Received or not word:
            found.append(event)
            continue
        means = WORDS[word]
        if not means.allows:
            event = evolve(event, marks=(*event.marks, STOPPED_MARK), silent=event.silent or means.plain)  # noqa: PLW2901
        told = any(
            type(one) is Consent and (one.address, one.allowed, one.scope) == (event.sender, means.allows, "")
            for one in events
        )
        opting = Opting(
            key=f"opting:{event.key}",
            key_valid_s=event.key_valid_s,
            of=event.key,
            address=event.sender,
            allowed=means.allows,
            word=word.upper(),
            language=means.language,
            confirm=not told,
        )
        found += (event, opting)
    return tuple(found)


def _is_said(event: Received) -> bool:
    """Say whether a person wrote it to us alone: no machine, no colleague, nobody in a room, and no piece of something longer."""
    return not (event.automatic or event.by_us or event.part or event.thread.shared) and bool(event.sender.value)
