"""How far a folder is read, and what became of its mails: one line of text that is committed with each of them. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, Self

from attrs import evolve, field, frozen

from fernamt import Accepted, Consent, Ignored, InboundEvent, Receipt, Unparsed

_PLACE: Final = re.compile(r"(\d+):(\d+)(?::(\d+):(\d+))?(?: (.*))?")


class Fate(StrEnum):
    """What became of a mail."""

    STORED = "stored"
    KNOWN = "known"
    """It was stored before: the folder was numbered anew, or the mail came by two addresses."""
    RECEIPT = "receipt"
    """It told what became of a mail of ours."""
    CONSENT = "consent"
    """It stopped our outreach to somebody, or complained of it."""
    IGNORED = "ignored"
    QUARANTINED = "quarantined"
    LEFT = "left"
    """It was there before the channel, which was told to leave those for a backfill."""
    GONE = "gone"
    """Somebody took it away before it could be fetched."""


_SAID: Final = {Fate.KNOWN: "known before", Fate.QUARANTINED: "in quarantine", Fate.LEFT: "left for a backfill"}


def expected_fate(events: Sequence[InboundEvent]) -> Fate:
    """Return what will become of a mail that was read as *events*, if the store does not think otherwise."""
    match events:
        case [Unparsed(), *_]:
            return Fate.QUARANTINED
        case [Ignored(), *_]:
            return Fate.IGNORED
        case [Receipt(), *_]:
            return Fate.RECEIPT
        case [Consent(), *_]:
            return Fate.CONSENT
        case _:
            return Fate.STORED


def fate_of(events: Sequence[InboundEvent], accepted: Sequence[Accepted]) -> Fate:
    """Return what became of it."""
    expected = expected_fate(events)
    if accepted and all(one.repeat for one in accepted):
        return Fate.KNOWN
    if expected is Fate.STORED and accepted and all(one.n is None and one.conversation is None for one in accepted):
        return Fate.QUARANTINED  # the store could not take it as a message
    return expected


@frozen(kw_only=True)
class Progress:
    """Where the reading of one folder stands. :meth:`text` and :meth:`of` are each other's inverse."""

    validity: int
    """UIDVALIDITY of the folder: with another one the numbers mean other mails."""
    uid: int = 0
    """Up to here all is read."""
    floor: int = 0
    """Up to here a mail that came before *left_s* is left alone."""
    left_s: int = 0
    """When the channel first saw the folder, in seconds since 1970; 0: nothing is left alone."""
    seen: int = 0
    """So many mails the server listed since the folder has these numbers."""
    fates: Mapping[Fate, int] = field(factory=dict)

    @classmethod
    def of(cls, text: str) -> Self | None:
        """Return what :meth:`text` gave; ``None``: nothing was read yet, or it is no such text."""
        found = _PLACE.fullmatch(text)
        if found is None:
            return None
        counted = dict(one.split("=", 1) for one in (found[5] or "").split() if "=" in one)
        numbers = {name: int(number) for name, number in counted.items() if number.isdecimal()}
        return cls(
            validity=int(found[1]),
            uid=int(found[2]),
            floor=int(found[3] or 0),
            left_s=int(found[4] or 0),
            seen=numbers.get("seen", 0),
            fates={fate: numbers[fate] for fate in Fate if numbers.get(fate)},
        )

    def text(self) -> str:
        counted = "".join(f" {fate}={number}" for fate, number in self.fates.items() if number)
        return f"{self.validity}:{self.uid}:{self.floor}:{self.left_s} seen={self.seen}{counted}"

    def at(self, uid: int, seen: int) -> Self:
        """Return it with all read up to *uid*, as the mail number *seen* that the server listed."""
        return evolve(self, uid=max(self.uid, uid), seen=seen)

    def counted(self, fate: Fate, *, instead_of: Fate | None = None) -> Self:
        """Return it with one more mail of this fate; *instead_of*: it was counted as that before."""
        fates = Counter(self.fates)
        fates[fate] += 1
        if instead_of is not None:
            fates[instead_of] -= 1
        return evolve(self, fates={one: fates[one] for one in Fate if fates[one]})

    @property
    def missing(self) -> int:
        """How many of the mails that the server listed nothing became of: not 0 is a mistake of ours."""
        return self.seen - sum(self.fates.values())

    def said(self) -> str:
        """Return it for people: ``17 mails: 15 stored, 2 in quarantine``."""
        if not self.seen:
            return "no mail yet"
        parts = [f"{number} {_SAID.get(fate, fate)}" for fate, number in self.fates.items()]
        if self.missing:
            parts.append(f"{self.missing} of unknown fate")
        return f"{self.seen} {'mail' if self.seen == 1 else 'mails'}: {', '.join(parts)}"
