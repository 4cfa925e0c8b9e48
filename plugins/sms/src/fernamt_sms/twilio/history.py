"""What Twilio has of our messages, oldest first: its list gives the newest first, so it is read by windows of time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from attrs import evolve, frozen

from fernamt import ConnectorContext, Cursor, Ignored, InboundEvent, Page, Rejected
from fernamt_sms.german import spoken
from fernamt_sms.twilio.api import Api
from fernamt_sms.twilio.events import listed
from fernamt_sms.twilio.settings import SERVICE, TwilioSettings

KEPT: Final = timedelta(days=400)
"""So long Twilio keeps messages."""
_WIDEST: Final = timedelta(days=30)
_NARROWEST: Final = timedelta(hours=1)
_OVERLAP: Final = timedelta(minutes=30)
"""A message may be in the list, or get its last status, so much after its time."""
_AT_FIRST: Final = timedelta(days=1)
_AT_ONCE: Final = 500
_CURSOR: Final = "reconciled"
_TRIAL: Final = "Sent from your Twilio trial account - "


@frozen
class Window:
    """A piece of the history; its end is included."""

    start: datetime
    width: timedelta

    @property
    def end(self) -> datetime:
        """The last moment of it."""
        return self.start + self.width

    def __str__(self) -> str:
        return f"{self.start.isoformat()} {round(self.width.total_seconds())}"

    @classmethod
    def parse(cls, cursor: str) -> Window:
        """Read what ``str`` gave; raises ``Rejected``."""
        try:
            start, width = cursor.split(" ")
            at = datetime.fromisoformat(start)
            return cls(at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC), timedelta(seconds=int(width)))
        except (OverflowError, ValueError):
            raise Rejected("this is no place in the history: leave it out, to begin with the oldest") from None


class History:
    """Reads the list of messages of one sender."""

    def __init__(self, settings: TwilioSettings, api: Api, context: ConnectorContext) -> None:
        self._settings = settings
        self._api = api
        self._context = context

    async def page(self, cursor: str) -> Page:
        """Return the events of a window of time and the next window; see ``Backfills``."""
        now = self._context.clock.now()
        window = Window.parse(cursor) if cursor else Window(now - KEPT, _WIDEST)
        window, messages = await self._read(window)
        following = Window(window.end, min(_WIDEST, window.width * 2 if len(messages) < _AT_ONCE else window.width))
        return Page(events=tuple(await self._events(messages)), next="" if window.end >= now else str(following))

    async def watch(self) -> None:
        """Hand over what we missed, at once and then from time to time, until cancelled. Errors as in ``send``."""
        offered: Collection[str] = frozenset()
        while True:
            now = self._context.clock.now()
            said = await self._context.cursor(_CURSOR)
            since = datetime.fromisoformat(said) if said else now - _AT_FIRST
            offered = await self._catch_up(since, now, offered)
            self._context.report_state("up")
            await self._context.clock.sleep(self._settings.reconcile_s)

    async def _catch_up(self, since: datetime, now: datetime, offered: Collection[str]) -> Collection[str]:
        """Hand over what came since then; return the keys of the end, which the next look sees again."""
        window, keys = Window(since, min(_WIDEST, max(_NARROWEST, now - since))), set[str]()
        while window.start < now:
            window, messages = await self._read(window)
            events = await self._events(messages)
            late = min(window.end, now) - _OVERLAP
            keys |= {key for event in events if (key := getattr(event, "key", ""))}
            fresh = [one for one in events if getattr(one, "key", "") not in offered]
            for at in range(0, len(fresh), _AT_ONCE):
                await self._context.intake.accept(fresh[at : at + _AT_ONCE], wait=True)
            if late > since:
                await self._context.intake.accept([], cursor=Cursor(_CURSOR, late.isoformat()), wait=True)
            window = Window(window.end, window.width)
        return keys

    async def _read(self, window: Window) -> tuple[Window, Sequence[Mapping[str, Any]]]:
        """Return a window that begins there, no wider, and what lies in it: the oldest first."""
        while True:
            found, page = await self._api.sent_between(window.start, window.end)
            if not page or window.width <= _NARROWEST:
                break
            window = evolve(window, width=max(_NARROWEST, window.width / 4))
        messages = [*found]
        while page:
            found, page = await self._api.messages(page=page)
            messages += found
        return window, [one for one in reversed(messages) if self._is_ours(one)]

    def _is_ours(self, message: Mapping[str, Any]) -> bool:
        ours = self._settings.sender
        if SERVICE.fullmatch(ours):
            return message.get("messaging_service_sid") == ours
        return message.get("to" if message.get("direction") == "inbound" else "from") == ours

    async def _events(self, messages: Sequence[Mapping[str, Any]]) -> list[InboundEvent]:
        events: list[InboundEvent] = []
        for one in messages:
            media = await self._media(one) if str(one.get("num_media") or "0") != "0" else ()
            found = spoken(listed(one, media), self._settings.house_language)
            events += [event for event in found if not isinstance(event, Ignored)]
        return events

    async def _media(self, message: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        if message.get("direction") != "inbound":
            return ()
        found = await self._api.media(str(message.get("sid")))
        return [(self._api.address(str(one.get("uri"))), str(one.get("content_type") or "")) for one in found]

    @staticmethod
    def sent_since(messages: Sequence[Mapping[str, Any]], text: str, since: datetime) -> set[str]:
        """Return the SIDs of what we sent with these words since then."""
        return {
            str(one.get("sid"))
            for one in messages
            if one.get("direction") != "inbound"
            and str(one.get("body")).removeprefix(_TRIAL) == text
            and _made(one) >= since
        }


def _made(message: Mapping[str, Any]) -> datetime:
    try:
        return parsedate_to_datetime(str(message.get("date_created"))).astimezone(UTC)
    except (TypeError, ValueError):
        return datetime.min.replace(tzinfo=UTC)
