"""Quiet hours: until when a message waits that nobody asked for. Pure, but for this machine's time zone."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from fernamt.connector import Connector, KnowsZones
from fernamt.model import Purpose
from fernamt.outbound import OutboundMessage
from fernamt.settings import QuietHours

NEVER = QuietHours(begin="00:00", end="00:00")


def quiet_until(hours: QuietHours, message: OutboundMessage, connector: Connector, now: datetime) -> datetime | None:
    """Return when the quiet hours of the recipient are over, ``None``: it may go.

    Where a recipient may be in several zones, it is quiet as long as it is in one of them. Raises what the connector raises.
    """
    is_asked_for = message.purpose == Purpose.REPLY or (message.purpose == Purpose.NOTICE and not hours.notices)
    if is_asked_for or hours.begin == hours.end:
        return None
    names = connector.zones(message.to) if isinstance(connector, KnowsZones) else ()
    zones = [zone for name in names if (zone := _zone(name)) is not None]
    ends = [_end(hours, zone, now) for zone in zones] if zones else [_end(hours, _zone(hours.zone), now)]
    return max(filter(None, ends), default=None)


def _end(hours: QuietHours, zone: ZoneInfo | None, now: datetime) -> datetime | None:
    """Return the end of the quiet hours in which *now* lies; *zone*: ``None`` is this machine's."""
    begin, end = time.fromisoformat(hours.begin), time.fromisoformat(hours.end)
    local = now.astimezone(zone)
    at = local.time()
    over_night = begin > end
    if not (begin <= at or at < end if over_night else begin <= at < end):
        return None
    day = local.date() + timedelta(days=over_night and at >= begin)
    until = datetime.combine(day, end, tzinfo=zone).astimezone(UTC)
    return until if until > now else None  # the hour that comes twice in autumn, or never in spring


@lru_cache(maxsize=512)
def _zone(name: str) -> ZoneInfo | None:
    """Return the zone, ``None`` if it has no name or this machine does not know it."""
    try:
        return ZoneInfo(name) if name else None
    except (ValueError, OSError, LookupError):
        return None
