"""Matrix against a real homeserver: Synapse, and customers who use a client of somebody else's making."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from nio import AsyncClient, RegisterResponse, RoomCreateResponse, RoomMessage, RoomSendResponse

from tests.story.daemon import Daemon, running, until
from tests.story.synapse import Service, Synapse

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

_names = itertools.count(1)


class Person:
    """Somebody at the homeserver, and what his client shows him."""

    def __init__(self, client: AsyncClient) -> None:
        self.client = client
        self.seen: list[Any] = []
        client.add_event_callback(lambda _room, event: self.seen.append(event), RoomMessage)

    @property
    def user(self) -> str:
        return str(self.client.user_id)

    async def opens(self, *, invites: str = "") -> str:
        """Open a room and ask somebody into it."""
        made = await self.client.room_create(invite=[invites] if invites else [])
        assert isinstance(made, RoomCreateResponse), made
        return str(made.room_id)

    async def says(self, room: str, text: str, **more: Any) -> str:
        said = await self.client.room_send(room, "m.room.message", {"msgtype": "m.text", "body": text, **more})
        assert isinstance(said, RoomSendResponse), said
        return str(said.event_id)

    async def hears(self, text: str) -> Any:
        """Return the event with this text as soon as the client has it."""
        for _ in range(60):
            for event in self.seen:
                if event.body == text:
                    return event
            await self.client.sync(timeout=500)
        raise AssertionError(f"{self.user} never heard {text!r}, but {[one.body for one in self.seen]}")


@asynccontextmanager
async def person(synapse: Synapse) -> AsyncIterator[Person]:
    client = AsyncClient(synapse.url, "")
    try:
        registered = await client.register(f"customer{next(_names)}", "a password")
        assert isinstance(registered, RegisterResponse), registered
        yield Person(client)
    finally:
        await client.close()


@pytest.fixture
async def ann(synapse: Synapse) -> AsyncIterator[Person]:
    async with person(synapse) as one:
        yield one


@pytest.fixture
def daemon(tmp_path: Path, synapse: Synapse, service: Service) -> Daemon:
    return Daemon(tmp_path, service.port, service.channel(synapse.url, display_name="Hilfe"))


def entries(daemon: Daemon, conversation: int = 1) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = daemon.told("show", str(conversation))["entries"]
    return found


async def test_a_customer_writes_in_a_room_and_is_answered_there(ann: Person, daemon: Daemon, service: Service) -> None:
    with running(daemon):
        room = await ann.opens(invites=service.user)
        await ann.says(room, "Wo ist mein Paket?")
        until(lambda: daemon.told("inbox"))
        assert daemon.say("reply", "1", "Es kommt morgen.", "--as", "eva").returncode == 0
        answer = await ann.hears("Es kommt morgen.")
        assert (answer.sender, answer.source["content"]["msgtype"]) == (service.user, "m.text")
        await ann.says(room, "Danke!")
        until(lambda: len(entries(daemon)) == 3)
        assert [(one["kind"], one["text"]) for one in entries(daemon)] == [
            ("received", "Wo ist mein Paket?"),
            ("sent", "Es kommt morgen."),
            ("received", "Danke!"),
        ]
