"""How fast a channel may send, in the provider's unit."""

from __future__ import annotations

import sys
from typing import Final

from attrs import define

BURST_S: Final = 0.1
"""What was not used of so much time may be made up for at once. More would be too fast for who counts by the second."""


@define
class Rate:
    """A bucket of tokens, told by the time at which there is one again. Pure; times are the loop's."""

    free_at: float = 0.0

    def room(self, now_s: float, per_s: float | None) -> int:
        """Return how many messages of one unit may go now."""
        if not per_s:
            return sys.maxsize
        unused_s = now_s - max(self.free_at, now_s - BURST_S)
        return 0 if unused_s < 0 else int(unused_s * per_s) + 1

    def spend(self, units: float, *, per_s: float | None, now_s: float) -> None:
        """Count what goes now. It may be more than there is: then the next one waits. *per_s*: ``None``, there is no limit."""
        if per_s:
            self.free_at = max(self.free_at, now_s - BURST_S) + max(units, 1) / per_s
