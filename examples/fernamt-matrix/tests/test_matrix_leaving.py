"""When we leave the rooms of a conversation, and when we stay."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fernamt import (
    Channel,
    ChannelId,
    Conversation,
    ConversationId,
    ConversationState,
    Customer,
    CustomerId,
    Entry,
    Job,
    Remember,
    Secret,
    Throttled,
    Timer,
    Told,
)
from fernamt.testing import FakeContext, ProviderFault, loopback_http
from fernamt_matrix.leaving import leave, leave_when_solved
from fernamt_matrix.settings import MatrixSettings, PluginSettings

from .homeserver import ANN, ROOM, US, FakeHomeserver

CUSTOMER = Customer(id=CustomerId("1"), name="Ann", addresses=(), language="de", plan="")
CONVERSATION = Conversation(
    id=ConversationId("1"),
    customer=CUSTOMER.id,
    kind="support",
    state=ConversationState.OPEN,
    language="de",
    last_n=1,
)
KNOWN = {"rooms": {ROOM: "rooms"}}
STAY = Timer(name="leave", after=None)


def told(
    kind: str, memory: Mapping[str, Any], *, author: str = f"matrix:{ANN}", key: str = f"{ROOM}/$1", **more: Any
) -> Told[PluginSettings]:
    settings = PluginSettings(**more.pop("settings", {}))
    entry = Entry(
        conversation=CONVERSATION.id,
        n=1,
        kind=kind,
        at=datetime.now(UTC),
        author=author,
        channel=ChannelId("rooms"),
        text="",
        key=key,
    )
    return Told(entry=entry, conversation=CONVERSATION, customer=CUSTOMER, memory=memory, settings=settings, **more)


SAID: dict[str, tuple[Told[PluginSettings], list[Any]]] = {
    "a first message": (told("received", {}), [Remember(KNOWN), STAY]),
    "a second one": (told("received", KNOWN), [STAY]),
    "in another room": (
        told("received", KNOWN, key="!other/$1"),
        [Remember({"rooms": {ROOM: "rooms", "!other": "rooms"}}), STAY],
    ),
    "a mail": (told("received", {}, author="email:ann@example.org", key="a@b"), []),
    "an answer": (told("sent", KNOWN, author="agent:eva"), [STAY]),
    "it is solved": (told("solved", KNOWN, author="agent:eva"), [Timer(name="leave", after=timedelta(hours=24))]),
    "at once": (
        told("solved", KNOWN, settings={"leave_after_h": 0}),
        [Timer(name="leave", after=timedelta(0))],
    ),
    "never": (told("solved", KNOWN, settings={"leave": False}), []),
    "a mail's is solved": (told("solved", {}, author="agent:eva"), []),
    "the time has come": (
        told("solved", KNOWN, timer="leave"),
        [Job(name="leave", data={"channel": "rooms", "room": ROOM})],
    ),
}


@pytest.mark.parametrize(("what", "effects"), SAID.values(), ids=SAID)
def test_we_leave_some_time_after_all_was_said(what: Told[PluginSettings], effects: list[Any]) -> None:
    assert leave_when_solved(what) == effects


async def test_a_room_is_left_once_and_what_stands_against_it_is_tried_again() -> None:
    async with FakeHomeserver() as there, loopback_http(timeout_s=0.5) as http:
        settings = MatrixSettings(homeserver=there.url, user=US, as_token=Secret("as"), hs_token=Secret("hs"))
        channel = Channel(id=ChannelId("rooms"), name="", kind="matrix", settings=settings, url="")
        context = FakeContext(http=http, channels=[channel], settings=PluginSettings())
        job = Job(name="leave", data={"channel": "rooms", "room": ROOM})
        there.everywhere = True
        there.next(ProviderFault.throttled(after_s=3))
        with pytest.raises(Throttled):
            await leave(job, context)
        assert US in there.rooms[ROOM].joined
        for _ in range(2):
            assert await leave(job, context) == ()
            assert US not in there.rooms[ROOM].joined
