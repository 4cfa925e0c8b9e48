"""Matrix against a real homeserver: Synapse, and customers who use a client of somebody else's making."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from nio import (
    AsyncClient,
    Event,
    MemoryDownloadResponse,
    RegisterResponse,
    RoomCreateResponse,
    RoomPreset,
    RoomSendResponse,
    UploadResponse,
)

from tests.story.daemon import Daemon, running, until
from tests.story.relay import Relay
from tests.story.synapse import Service, Synapse

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

_names = itertools.count(1)


class Person:
    """Somebody at the homeserver, and what his client shows him."""

    def __init__(self, client: AsyncClient) -> None:
        self.client = client
        self.seen: list[Any] = []
        client.add_event_callback(lambda _room, event: self.seen.append(event), Event)

    @property
    def user(self) -> str:
        return str(self.client.user_id)

    async def opens(self, *, invites: str = "", **more: Any) -> str:
        """Open a room and ask somebody into it."""
        made = await self.client.room_create(invite=[invites] if invites else [], **more)
        assert isinstance(made, RoomCreateResponse), made
        return str(made.room_id)

    async def says(self, room: str, text: str, **more: Any) -> str:
        return await self.does(room, "m.room.message", {"msgtype": "m.text", "body": text} | more)

    async def does(self, room: str, kind: str, content: dict[str, Any]) -> str:
        said = await self.client.room_send(room, kind, content)
        assert isinstance(said, RoomSendResponse), said
        return str(said.event_id)

    async def looks(self, for_what: Callable[[], Any], what: str = "") -> Any:
        """Return what is found as soon as the client shows it."""
        for _ in range(60):
            if found := for_what():
                return found
            await self.client.sync(timeout=500)
        raise AssertionError(f"{self.user} never saw {what}, but {[one.source['content'] for one in self.seen]}")

    def heard(self, text: str) -> list[Any]:
        return [one for one in self.seen if one.source["content"].get("body") == text]

    async def hears(self, text: str) -> Any:
        """Return the event with this text as soon as the client has it."""
        [event, *_] = await self.looks(lambda: self.heard(text), text)
        return event


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
def daemon(tmp_path: Path, synapse: Synapse, service: Service) -> Iterator[Daemon]:
    one = Daemon(tmp_path, service.port, service.channel(synapse.url, display_name="Hilfe"))
    yield one
    one.stop()


def entries(daemon: Daemon, conversation: int = 1) -> list[dict[str, Any]]:
    """Return what stands in a conversation; empty if there is none yet."""
    if not daemon.told("inbox"):
        return []
    found: list[dict[str, Any]] = daemon.told("show", str(conversation))["entries"]
    return found


def said(daemon: Daemon, count: int) -> list[tuple[str, str]]:
    """Return kind and text of each entry as soon as there are *count*."""
    until(lambda: len(entries(daemon)) >= count)
    found = entries(daemon)
    return [(one["kind"], one["text"]) for one in found]


async def test_a_customer_writes_in_a_room_and_is_answered_there(ann: Person, daemon: Daemon, service: Service) -> None:
    """And files go both ways, an edit, a reaction, a deletion and a receipt are told, as is that the agent has read."""
    with running(daemon):
        room = await ann.opens(invites=service.user)
        question = await ann.says(room, "Wo ist mein Packet?")
        new = {"msgtype": "m.text", "body": "Wo ist mein Paket?"}
        relation = {"rel_type": "m.replace", "event_id": question}
        await ann.looks(lambda: len(ann.client.rooms[room].users) == 2 if room in ann.client.rooms else None, "us")
        await ann.says(room, "* Wo ist mein Paket?", **{"m.new_content": new, "m.relates_to": relation})
        picture = os.urandom(200_000)
        up, _ = await ann.client.upload(io.BytesIO(picture), "image/png", "schaden.png", filesize=len(picture))
        assert isinstance(up, UploadResponse), up
        shown = {
            "msgtype": "m.image",
            "filename": "schaden.png",
            "url": up.content_uri,
            "info": {"mimetype": "image/png"},
        }
        pictured = await ann.says(room, "So kam es an", **shown)
        assert said(daemon, 3) == [
            ("received", "Wo ist mein Packet?"),
            ("edited", "Wo ist mein Paket?"),
            ("received", "So kam es an"),
        ]
        until(lambda: not entries(daemon)[2]["remote"])
        [attachment] = entries(daemon)[2]["attachments"]
        assert attachment == {"name": "schaden.png", "media_type": "image/png", "size": len(picture)}

        form = os.urandom(150_000)
        (daemon.folder / "formular.pdf").write_bytes(form)
        attach = ("--attach", str(daemon.folder / "formular.pdf"))
        assert daemon.here("reply", "1", "Bitte füllen Sie das aus.", *attach, "--as", "eva").returncode == 0
        answer = await ann.hears("Bitte füllen Sie das aus.")
        assert (answer.sender, answer.source["content"]["filename"]) == (service.user, "formular.pdf")
        got = await ann.client.download(answer.source["content"]["url"])
        assert isinstance(got, MemoryDownloadResponse), got
        assert got.body == form
        marks = ann.client.rooms[room].read_receipts
        await ann.looks(lambda: service.user in marks and marks[service.user].event_id == pictured, "that we read it")

        thumb = {"rel_type": "m.annotation", "event_id": answer.event_id, "key": "👍"}
        await ann.does(room, "m.reaction", {"m.relates_to": thumb})
        await ann.client.room_read_markers(room, answer.event_id, answer.event_id)
        await ann.client.room_redact(room, question, "Tippfehler")
        kinds = [kind for kind, _ in said(daemon, 6)]
        assert sorted(kinds[3:]) == ["deleted", "reaction", "sent"]
        until(lambda: entries(daemon)[3]["deliveries"][0]["state"] == "read")


async def test_two_people_in_a_room_have_one_conversation_and_hear_one_answer(
    ann: Person, synapse: Synapse, daemon: Daemon, service: Service
) -> None:
    async with person(synapse) as bob:
        with running(daemon):
            room = await ann.opens(invites=service.user, preset=RoomPreset.public_chat)
            await ann.says(room, "Unser Paket fehlt.")
            await bob.client.join(room)
            await bob.says(room, "Es ging an meine Adresse.")
            assert said(daemon, 2) == [("received", "Unser Paket fehlt."), ("received", "Es ging an meine Adresse.")]
            assert len(daemon.told("inbox")) == 1
            assert daemon.say("reply", "1", "Wir suchen es.", "--as", "eva").returncode == 0
            await ann.hears("Wir suchen es.")
            await bob.hears("Wir suchen es.")
            assert len(ann.heard("Wir suchen es.")) == 1


async def test_a_transaction_that_is_repeated_makes_no_second_entry(
    ann: Person, tmp_path: Path, synapse: Synapse, service: Service, free_port: int
) -> None:
    daemon = Daemon(tmp_path, free_port, service.channel(synapse.url))
    with Relay.running(service.port, free_port) as relay, running(daemon):
        room = await ann.opens(invites=service.user)
        await ann.says(room, "eins")
        said(daemon, 1)
        relay.lose = 2
        for text in ("zwei", "drei"):
            await ann.says(room, text)
        assert said(daemon, 3) == [("received", text) for text in ("eins", "zwei", "drei")]
        until(lambda: relay.lose == 0)
        await ann.says(room, "vier")
        assert [text for _, text in said(daemon, 4)] == ["eins", "zwei", "drei", "vier"]
        transactions = [path for path in relay.asked if "/transactions/" in path]
        assert len(transactions) - len({*transactions}) == 2


async def test_a_daemon_that_is_killed_in_the_middle_loses_and_doubles_nothing(
    ann: Person, daemon: Daemon, service: Service
) -> None:
    armed = daemon.folder / "armed"
    with running(daemon):
        room = await ann.opens(invites=service.user)
        await ann.says(room, "eins")
        said(daemon, 1)
    for text, point in (("zwei", "writer.before-commit"), ("drei", "writer.committed")):
        daemon.start(point, "1", str(armed))
        daemon.ready()
        armed.touch()
        await ann.says(room, text)
        daemon.died()
        armed.unlink()
    daemon.start("outbox.answered", "1")
    daemon.ready()
    assert [text for _, text in said(daemon, 3)] == ["eins", "zwei", "drei"]
    daemon.here("reply", "1", "vier", "--as", "eva")
    daemon.died()
    with running(daemon):
        until(lambda: entries(daemon)[3]["deliveries"][0]["state"] == "sent")
        await ann.says(room, "fünf")
        assert [text for _, text in said(daemon, 5)] == ["eins", "zwei", "drei", "vier", "fünf"]
    await ann.looks(lambda: ann.heard("fünf"))
    assert len(ann.heard("vier")) == 1


async def test_what_waited_for_a_homeserver_goes_out_and_a_lost_store_is_filled_from_its_history(
    ann: Person, daemon: Daemon, service: Service, synapse: Synapse
) -> None:
    with running(daemon):
        room = await ann.opens(invites=service.user)
        await ann.says(room, "eins")
        said(daemon, 1)
        synapse.kill()
        assert daemon.here("reply", "1", "zwei", "--as", "eva").returncode == 0
        until(lambda: (one := entries(daemon)[1]["deliveries"][0])["state"] == "queued" and one["tried"])
        synapse.start()
        await ann.hears("zwei")
    # The daemon is away, its store is lost, and the customer goes on writing.
    await ann.says(room, "drei")
    for file in daemon.folder.glob("fernamt.db*"):
        file.rename(file.with_name(f"lost-{file.name}"))
    with running(daemon):
        assert daemon.here("backfill", "rooms", "--wait").returncode == 0
        await ann.says(room, "vier")
        # The homeserver may tell what waited before the history is read: the order is that of arrival.
        assert sorted(text for _, text in said(daemon, 3)) == ["drei", "eins", "vier"]
    await ann.looks(lambda: ann.heard("vier"))
    assert len(ann.heard("zwei")) == 1


async def test_an_encrypted_room_is_refused_and_a_solved_one_is_left(
    ann: Person, tmp_path: Path, synapse: Synapse, service: Service
) -> None:
    configuration = f"{service.channel(synapse.url)}[plugins.matrix]\nleave_after_h = 0\n"
    daemon = Daemon(tmp_path, service.port, configuration)
    encryption = {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
    with running(daemon):
        secret = await ann.opens(invites=service.user, initial_state=[encryption])
        notice = await ann.looks(
            lambda: [one for one in ann.seen if one.source["content"].get("msgtype") == "m.notice"], "a notice"
        )
        assert "encrypted" in notice[0].source["content"]["body"]
        sealed = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "A", "session_id": "B", "sender_key": "C"}
        await ann.does(secret, "m.room.encrypted", sealed | {"device_id": "D"})
        until(lambda: daemon.told("quarantine"))
        assert "encrypted" in daemon.told("quarantine")[0]["reason"]

        room = await ann.opens(invites=service.user)
        await ann.says(room, "Danke, alles gut")
        said(daemon, 1)
        await ann.looks(lambda: service.user in ann.client.rooms[room].users if room in ann.client.rooms else None)
        assert daemon.here("solve", "1", "--as", "eva").returncode == 0
        await ann.looks(lambda: service.user not in ann.client.rooms[room].users)
        # Whoever has something to add opens a room of his own and asks her into it.
        assert daemon.here("reply", "1", "Noch etwas", "--as", "eva").returncode == 0
        [invited] = await ann.looks(lambda: [*ann.client.invited_rooms])
        await ann.client.join(invited)
        assert (await ann.hears("Noch etwas")).sender == service.user
        await ann.says(invited, "Ah, danke")
        until(lambda: any(one["text"] == "Ah, danke" for number in (1, 2) for one in entries(daemon, number)))
        assert len([one for one in ann.seen if one.source["content"].get("msgtype") == "m.notice"]) == 1
