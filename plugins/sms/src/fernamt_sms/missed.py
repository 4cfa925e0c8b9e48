"""What came for us while nobody could reach us: a provider is asked from time to time, piece by piece of time, the oldest first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from attrs import frozen

from fernamt import ConnectorContext, Cursor, InboundEvent, Page, Rejected

Read: TypeAlias = Callable[[datetime, datetime], Awaitable[Sequence[InboundEvent]]]
"""Returns what came from a time on until before another, the oldest first."""

_CURSOR: Final = "reconciled"
_AT_ONCE: Final = 500


@frozen(kw_only=True)
class Missed:
    """Looks at one line of a provider."""

    read: Read
    context: ConnectorContext
    every_s: float
    kept: timedelta
    """So long the provider keeps messages."""
    width: timedelta
    """So much is read at once."""
    overlap: timedelta = timedelta(minutes=30)
    """A message may be shown, or get its last status, so much after its time; and so far clocks may differ."""
    at_first: timedelta = timedelta(days=1)
    """So far back the first look goes."""

    async def watch(self) -> None:
        """Hand over what we missed, at once and then from time to time, until cancelled. Errors as in ``send``."""
        offered: Collection[str] = frozenset()
        while True:
            offered = await self._catch_up(offered)
            self.context.report_state("up")
            await self.context.clock.sleep(self.every_s)

    async def page(self, cursor: str) -> Page:
        """Return the events of a piece of time and the next one; see ``Backfills``."""
        now = self.context.clock.now()
        start = max(_time(cursor), now - self.kept) if cursor else now - self.kept
        end = self._end(start, now)
        return Page(events=tuple(await self.read(start, end)), next="" if end > now else end.isoformat())

    async def _catch_up(self, offered: Collection[str]) -> Collection[str]:
        """Hand over what came since the last look; return the keys of the end, which the next look sees again."""
        now = self.context.clock.now()
        said = await self.context.cursor(_CURSOR)
        since = max(datetime.fromisoformat(said), now - self.kept) if said else now - self.at_first
        start, keys = since, set[str]()
        while start <= now:
            end = self._end(start, now)
            events = [one for one in await self.read(start, end) if getattr(one, "key", "")]
            keys |= {getattr(one, "key", "") for one in events}
            fresh = [one for one in events if getattr(one, "key", "") not in offered]
            for at in range(0, len(fresh), _AT_ONCE):
                await self.context.intake.accept(fresh[at : at + _AT_ONCE], wait=True)
            late = min(end, now) - self.overlap
            if late > since:
                await self.context.intake.accept([], cursor=Cursor(_CURSOR, late.isoformat()), wait=True)
            start = end
        return keys

    def _end(self, start: datetime, now: datetime) -> datetime:
        """Return where a piece ends: the last one behind now, since the provider's clock may be ahead of ours."""
        end = start + self.width
        return end if end <= now else now + self.overlap


def _time(cursor: str) -> datetime:
    try:
        at = datetime.fromisoformat(cursor)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (OverflowError, ValueError):
        raise Rejected("this is no place in the history: leave it out, to begin with the oldest") from None
