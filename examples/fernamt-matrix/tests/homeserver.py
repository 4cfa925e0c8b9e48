"""A homeserver that misbehaves as it is told: as much of the client API as the connector uses, and rooms in memory."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from attrs import define, field

from fernamt import Response
from fernamt.testing import FaultyProvider, ProviderCall, ProviderFault, Trouble

US = "@support:customer.test"
ANN = "@ann:customer.test"
ROOM = "!room"
_CLIENT = "/_matrix/client/v3/"
_DOWNLOAD = "/_matrix/client/v1/media/download/"


@define
class Room:
    """What a room knows."""

    joined: dict[str, str] = field(factory=dict)
    invited: set[str] = field(factory=set)
    encrypted: bool = False
    events: list[dict[str, Any]] = field(factory=list)


def words_of(call: ProviderCall) -> list[str]:
    """Return the words of a path below the client API."""
    return [unquote(one) for one in call.path.removeprefix(_CLIENT).split("/")]


def says(call: ProviderCall) -> bool:
    """Return whether a call says something in a room."""
    return call.method == "PUT" and "/send/" in call.path


def _transaction(call: ProviderCall) -> str:
    return call.path if says(call) else ""


class FakeHomeserver(FaultyProvider):
    """Faults meet what is said; questions are answered, unless :attr:`everywhere`."""

    def __init__(self) -> None:
        super().__init__(honours_keys=True, key=_transaction, answer=self._said, sends=says)
        self.rooms = {ROOM: Room(joined={US: "Support", ANN: "Ann"})}
        self.aliases: dict[str, str] = {}
        self.files: dict[str, bytes] = {}
        self.everywhere = False
        self.users = {ANN}
        self._numbers = itertools.count(1)

    def use(self, fault: ProviderFault | Callable[[ProviderCall], ProviderFault]) -> None:
        """End what is said like that, and all calls that nothing came of in any case."""

        def chosen(call: ProviderCall) -> ProviderFault:
            found = fault(call) if callable(fault) else fault
            return found if says(call) or self.everywhere else ProviderFault()

        super().use(chosen)

    async def meet(self, trouble: Trouble | None) -> None:
        """Let a trouble meet what is said; what nobody gets done without is met everywhere."""
        self.everywhere = trouble in {Trouble.LOGIN, Trouble.THROTTLED}
        await super().meet(trouble)

    async def hold_history(self, *texts: str) -> None:
        """Let somebody have invited us, and said this in the room."""
        invitation = {"type": "m.room.member", "sender": ANN, "state_key": US, "content": {"membership": "invite"}}
        said = ({"msgtype": "m.text", "body": text} for text in texts)
        self.put(ROOM, invitation, *({"type": "m.room.message", "sender": ANN, "content": one} for one in said))

    async def hold_media(self, content: bytes) -> str:
        """Keep a file that somebody sent."""
        self.files[name := f"mxc://customer.test/{next(self._numbers)}"] = content
        return name

    async def lose_media(self) -> None:
        """Forget every file."""
        self.files.clear()

    def put(self, room: str, *events: dict[str, Any]) -> None:
        """Let something have happened in a room."""
        for one in events:
            number = next(self._numbers)
            self.rooms[room].events.append(
                {"room_id": room, "event_id": f"$e{number}", "origin_server_ts": number * 1000, **one}
            )

    def _said(self, call: ProviderCall) -> Response:
        if call.path.startswith("/_matrix/media/v3/upload"):
            name = f"mxc://customer.test/{next(self._numbers)}"
            self.files[name] = call.body
            return _ok({"content_uri": name})
        if call.path.startswith(_DOWNLOAD):
            content = self.files.get(f"mxc://{call.path.removeprefix(_DOWNLOAD)}")
            return _error(404, "M_NOT_FOUND") if content is None else Response(body=content)
        if not call.path.startswith(_CLIENT):
            return _ok({})
        words = words_of(call)
        match call.method, words:
            case "GET", ["account", "whoami"]:
                return _ok({"user_id": US})
            case "POST", ["register"]:
                return _error(400, "M_USER_IN_USE")
            case "GET", ["joined_rooms"]:
                return _ok({"joined_rooms": [name for name, room in self.rooms.items() if US in room.joined]})
            case _, ["directory", "room", alias]:
                return self._alias(call.method, alias)
            case "POST", ["createRoom"]:
                return self._created(call.json())
            case _, ["rooms", room, *what] if room in self.rooms:
                return self._in(room, call, what)
            case _:
                return _ok({}) if words[0] == "profile" else _error(404, "M_NOT_FOUND")

    def _alias(self, method: str, alias: str) -> Response:
        if alias not in self.aliases:
            return _error(404, "M_NOT_FOUND")
        return _ok({"room_id": self.aliases[alias] if method == "GET" else self.aliases.pop(alias)})

    def _created(self, wanted: dict[str, Any]) -> Response:
        alias = f"#{wanted['room_alias_name']}:customer.test"
        if alias in self.aliases:
            return _error(400, "M_ROOM_IN_USE")
        name = f"!made{next(self._numbers)}"
        self.rooms[name] = Room(joined={US: "Support"}, invited={*wanted["invite"]})
        self.aliases[alias] = name
        return _ok({"room_id": name})

    def _in(self, name: str, call: ProviderCall, what: list[str]) -> Response:
        room = self.rooms[name]
        if what == ["join"] and US in room.invited:
            room.joined[US] = "Support"
            return _ok({"room_id": name})
        if US not in room.joined:
            return _error(403, "M_FORBIDDEN")
        match what:
            case ["joined_members"]:
                return _ok({"joined": {user: {"display_name": said} for user, said in room.joined.items()}})
            case ["state", "m.room.member", user]:
                return _ok({"membership": "invite"}) if user in room.invited else _error(404, "M_NOT_FOUND")
            case ["state", "m.room.encryption", ""]:
                return _ok({"algorithm": "m.megolm.v1.aes-sha2"}) if room.encrypted else _error(404, "M_NOT_FOUND")
            case ["send", kind, _]:
                self.put(name, {"type": kind, "sender": US, "content": call.json()})
                return _ok({"event_id": room.events[-1]["event_id"]})
            case ["messages"]:
                return _ok(_page(room, call))
            case ["invite"]:
                room.invited.add(call.json()["user_id"])
            case ["leave"]:
                del room.joined[US]
            case _:
                pass
        return _ok({})


def _page(room: Room, call: ProviderCall) -> dict[str, Any]:
    events = room.events if call.query["dir"] == "f" else room.events[::-1]
    start, limit = int(call.query.get("from", 0)), int(call.query["limit"])
    chunk = events[start : start + limit]
    return {"chunk": chunk} | ({"end": str(start + limit)} if start + limit < len(events) else {})


def _ok(said: Any) -> Response:
    return Response(body=json.dumps(said).encode(), media_type="application/json")


def _error(status: int, code: str) -> Response:
    return Response(status=status, body=json.dumps({"errcode": code}).encode(), media_type="application/json")
