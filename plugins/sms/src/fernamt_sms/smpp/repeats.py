"""Whether a message that says what another one said is that one again. A deliver_sm has no id, so this has to be found out.

An SMSC offers a message again whose answer it did not get: because the line broke, because we stopped, or because we were slow. On a line
that stands a prompt answer arrives, so what comes behind it is new, however much it looks the same.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Protocol

from attrs import define

PROMPT_S: Final = 5.0
"""An SMSC waits longer than this for an answer."""
_KEPT_MAX: Final = 100_000


class Place(Protocol):
    """Where a message came in: a session."""

    @property
    def heard_at(self) -> float:
        """What was written until then has certainly arrived."""


@define
class Seen:
    """A message that came; times are the loop's."""

    key: str
    place: Place
    came_at: float
    answered_at: float | None = None
    """When its answer was written, which says that we have it."""
    refused: bool = False
    """We could not keep it, and said so: it comes again."""

    def may_be_again(self, place: Place, now: float, valid_s: float) -> bool:
        """Say whether an equal message that comes *now* may be this one: the SMSC may not have heard that we have it."""
        prompt = (self.answered_at or now) - self.came_at <= PROMPT_S
        if self.answered_at is None:
            return self.refused or self.place is not place or not prompt
        if now - self.answered_at > valid_s:
            return False
        if not prompt:
            return True
        return self.place is not place and self.place.heard_at < self.answered_at


class Repeats:
    """Gives each message its key: that of an earlier one if it may be that one again."""

    def __init__(self, valid_s: float) -> None:
        """*valid_s*: so long after its answer a message may come again."""
        self._valid_s = valid_s
        self._kept_s = 2 * valid_s
        """Longer than the store knows a key, which counts from a later moment: what is new must never have a key that it knows."""
        self._seen: OrderedDict[str, Seen] = OrderedDict()

    def seen(self, content: str, place: Place, now: float) -> Seen:
        """Return a message with this *content*, which came in at *place* now, with its key.

        The first one's key is the content alone: so after a restart, when nothing is known here, the store knows a repeat.
        """
        one = self._seen.get(content)
        if one is not None and one.may_be_again(place, now, self._valid_s):
            one.place, one.came_at, one.answered_at, one.refused = place, now, None, False
        elif one is not None and now - one.came_at <= self._kept_s:
            one = Seen(f"{content}:{now:.6f}", place, now)
        else:
            one = Seen(content, place, now)
        self._seen[content] = one
        self._seen.move_to_end(content)
        self._forget(now)
        return one

    def _forget(self, now: float) -> None:
        while self._seen:
            oldest = next(iter(self._seen.values()))
            if len(self._seen) <= _KEPT_MAX and now - oldest.came_at <= self._kept_s:
                return
            self._seen.popitem(last=False)
