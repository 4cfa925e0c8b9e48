"""The rooms that we are in: where somebody is spoken to, what was said there, how we come and go."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from attrs import frozen

from fernamt import Address, ChannelError, OutboundMessage, Rejected
from fernamt_matrix.events import id_of, room_of
from fernamt_matrix.homeserver import Homeserver
from fernamt_matrix.settings import MatrixSettings

MARK: Final = "org.fernamt.key"
"""Where each of our messages carries its key, so that it is found again."""
_PAGE: Final = 100
_PAGES: Final = 5
_ROOMS_TRIED: Final = 5


@frozen
class Rooms:
    """What one user of ours does with rooms. Errors as in ``send``; nothing here is seen by anybody but in :meth:`say`."""

    settings: MatrixSettings
    homeserver: Homeserver

    async def of(self, message: OutboundMessage) -> str:
        """Return the room to write to: the latest of this conversation in which the recipient is, else one for the two of us."""
        said = (message.reply_to, *reversed(message.references))
        rooms = dict.fromkeys(room for room, event in map(room_of, said) if event)
        for room in list(rooms)[:_ROOMS_TRIED]:
            if await self.is_with(room, message.to.value):
                return room
        return await self._direct(message.to)

    async def is_with(self, room: str, user: str) -> bool:
        """Say whether we are in the room, and *user* is or was asked to come."""
        members = await self.members(room)
        return user in members or (bool(members) and await self._membership(room, user) == "invite")

    async def members(self, room: str) -> dict[str, str]:
        """Return the names of those who are in the room, by user; empty if we are not."""
        try:
            said = await self.homeserver.get("rooms", room, "joined_members")
        except Rejected as why:
            if why.code != "M_FORBIDDEN":
                raise
            return {}
        return {user: one.get("display_name") or "" for user, one in (said or {}).get("joined", {}).items()}

    async def _membership(self, room: str, user: str) -> str:
        try:
            said = await self.homeserver.get("rooms", room, "state", "m.room.member", user)
        except Rejected as why:
            if why.code != "M_FORBIDDEN":
                raise
            return ""
        return str((said or {}).get("membership", ""))

    async def _direct(self, to: Address) -> str:
        """Return our room with somebody. It has an alias, so whoever looks for it next finds what the first one made."""
        name = f"{self.settings.localpart}_{hashlib.sha256(str(to).encode()).hexdigest()[:24]}"
        alias = f"#{name}:{self.settings.server}"
        known = await self._behind(alias, to)
        if known:
            return known
        wanted = {"preset": "trusted_private_chat", "is_direct": True, "invite": [to.value], "room_alias_name": name}
        if self.settings.display_name:
            wanted["name"] = self.settings.display_name
        try:
            return str((await self.homeserver.call("POST", "createRoom", json=wanted))["room_id"])
        except Rejected as why:
            # Somebody else made it meanwhile: two conversations with one person are answered at the same time.
            if why.code != "M_ROOM_IN_USE" or not (known := await self._behind(alias, to)):
                raise
            return known

    async def _behind(self, alias: str, to: Address) -> str:
        """Return the room behind an alias of ours, with *to* in it or asked to come; ``""``: there is none any more."""
        said = await self.homeserver.get("directory", "room", alias)
        if said is None:
            return ""
        room = str(said["room_id"])
        if self.settings.user not in await self.members(room):
            # We left it when all was said, and nobody is there to let us in again.
            await self.homeserver.call("DELETE", "directory", "room", alias)
            return ""
        if not await self.is_with(room, to.value):
            await self.homeserver.call("POST", "rooms", room, "invite", json={"user_id": to.value})
        return room

    async def is_encrypted(self, room: str) -> bool:
        """Say whether somebody switched encryption on; nobody can switch it off again."""
        return await self.homeserver.get("rooms", room, "state", "m.room.encryption", "") is not None

    async def say(self, room: str, key: str, content: dict[str, Any]) -> str:
        """Say something and return the event's id; a repeat with the same *key* is the same event."""
        said = await self.homeserver.call(
            "PUT", "rooms", room, "send", "m.room.message", key, json={**content, MARK: key}
        )
        return str(said["event_id"])

    async def said(self, room: str, key: str, before: Sequence[str] = ()) -> str | None:
        """Return the event that we said under *key*, ``""``: there is none, ``None``: we did not look far enough.

        *before* are ids (:func:`id_of`) of what was there before it.
        """
        start = ""
        older = set(before)
        for _ in range(_PAGES):
            page = await self.page(room, start, back=True)
            for one in page.events:
                if (one.get("content") or {}).get(MARK) == key and one.get("sender") == self.settings.user:
                    return str(one["event_id"])
                if id_of(room, str(one.get("event_id"))) in older:
                    return ""
            if not page.next:
                return ""
            start = page.next
        return None

    async def page(self, room: str, start: str, *, back: bool = False, limit: int = _PAGE) -> History:
        """Return what happened in a room from *start* on: forwards from its beginning, or *back* from now."""
        query = {"dir": "b" if back else "f", "limit": str(limit)} | ({"from": start} if start else {})
        said = await self.homeserver.get("rooms", room, "messages", **query) or {}
        events = tuple(one for one in said.get("chunk", ()) if isinstance(one, dict))
        return History(events, str(said.get("end") or "") if events else "")

    async def all(self) -> tuple[str, ...]:
        """Return the rooms that we are in."""
        said = await self.homeserver.get("joined_rooms") or {}
        return tuple(sorted(said.get("joined_rooms", ())))

    async def join(self, room: str) -> bool:
        """Accept an invitation; ``False``: it is not open any more."""
        try:
            await self.homeserver.call("POST", "rooms", room, "join")
        except Rejected:
            return False
        return True

    async def leave(self, room: str) -> None:
        """Leave a room; who is not there has left."""
        try:
            await self.homeserver.call("POST", "rooms", room, "leave")
        except ChannelError as why:
            if why.code not in {"M_FORBIDDEN", "M_NOT_FOUND"}:
                raise


@frozen
class History:
    """A piece of what happened in a room; *next* is where the following one begins, ``""``: there is none."""

    events: tuple[dict[str, Any], ...]
    next: str
