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
_KEPT_MAX: Final = 20_000


class Place(Protocol):
    """Where a message came in: a session."""

    @property
    def heard_at(self) -> float:
        """What was written until then has certainly arrived."""


@define
class _Seen:
    key: str
    place: Place
    came_at: float
    answered_at: float | None = None


class Repeats:
    """Gives each message its key: that of an earlier one if it may be that one again."""

    def __init__(self, valid_s: float) -> None:
        """*valid_s*: so long after its answer a message may come again."""
        self._valid_s = valid_s
        self._seen: OrderedDict[str, _Seen] = OrderedDict()

    def key(self, content: str, place: Place, now: float) -> str:
        """Return the key of a message with this *content*, which came in at *place*; times are the loop's.

        The first one's key is the content alone, so that after a restart, when nothing is known here, a repeat is known to
        the store.
        """
        before = self._seen.get(content)
        if before is not None and self._may_be(before, place, now):
            before.place, before.came_at, before.answered_at = place, now, None
            self._seen.move_to_end(content)
            return before.key
        new = before is not None and now - before.came_at <= self._valid_s
        key = f"{content}:{now:.6f}" if new else content
        self._seen[content] = _Seen(key, place, now)
        self._seen.move_to_end(content)
        self._forget(now)
        return key

    def answered(self, content: str, now: float) -> None:
        """Say that a message with this content was taken, and that its answer was written."""
        if (one := self._seen.get(content)) is not None:
            one.answered_at = now

    def _may_be(self, before: _Seen, place: Place, now: float) -> bool:
        """Say whether the SMSC may not have heard the answer."""
        if before.answered_at is None:
            return True
        if now - before.answered_at > self._valid_s:
            return False
        if before.answered_at - before.came_at > PROMPT_S:
            return True
        return before.place is not place and before.place.heard_at < before.answered_at

    def _forget(self, now: float) -> None:
        while self._seen:
            oldest = next(iter(self._seen.values()))
            if len(self._seen) <= _KEPT_MAX and now - oldest.came_at <= self._valid_s:
                return
            self._seen.popitem(last=False)
