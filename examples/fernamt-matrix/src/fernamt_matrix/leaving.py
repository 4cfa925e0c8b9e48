"""We leave a room when all is said: a subscriber that remembers the rooms of a conversation, and a job that leaves them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import cast

from fernamt import ChannelId, Effect, Job, PluginContext, Remember, Timer, Told
from fernamt_matrix.events import SCHEME, room_of
from fernamt_matrix.homeserver import Homeserver
from fernamt_matrix.rooms import Rooms
from fernamt_matrix.settings import PluginSettings

ENTRIES = frozenset({"received", "sent", "reopened", "solved"})
_TIMER = "leave"


def leave_when_solved(told: Told[PluginSettings]) -> Sequence[Effect]:
    """Remember where a customer wrote; some time after the conversation was solved, leave."""
    rooms = cast("Mapping[str, str]", told.memory.get("rooms") or {})
    entry = told.entry
    if told.timer:
        return [Job(name="leave", data={"channel": channel, "room": room}) for room, channel in rooms.items()]
    if entry.kind == "received" and entry.author.startswith(f"{SCHEME}:") and entry.channel is not None:
        room, event = room_of(entry.key)
        if event and rooms.get(room) != entry.channel:
            rooms = {**rooms, room: entry.channel}
            return [Remember({"rooms": rooms}), Timer(name=_TIMER, after=None)]
    if not rooms or not told.settings.leave:
        return []
    after = timedelta(hours=told.settings.leave_after_h) if entry.kind == "solved" else None
    return [Timer(name=_TIMER, after=after)]


async def leave(job: Job, context: PluginContext[PluginSettings]) -> Sequence[Effect]:
    """Leave one room."""
    settings = context.channel(ChannelId(str(job.data["channel"]))).settings
    rooms = Rooms(settings, Homeserver(settings.homeserver, settings.as_token, context.http))
    await rooms.leave(str(job.data["room"]))
    return ()
