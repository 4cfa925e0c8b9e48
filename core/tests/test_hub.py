"""Who waits for a topic is woken when a commit touched it, and other runners are told in a few words, not in a flood."""

import asyncio
from collections.abc import Collection

from fernamt._runtime.hub import EVERYTHING, Hub
from fernamt._store.channels import Entrance, enter
from fernamt._store.claims import Renewal, Wish, renew, take
from fernamt._store.desk import Composition, compose
from fernamt._store.engine import Store
from fernamt._store.names import Names
from fernamt._store.reception import Line, Reception, Submission
from fernamt._store.writer import Writer
from fernamt.inbound import Received
from fernamt.model import Address


class Post:
    """A publisher that writes down what it is told; the test says when it comes back."""

    def __init__(self) -> None:
        self.told: list[set[str]] = []

    def __call__(self, topics: Collection[str]) -> None:
        self.told.append(set(topics))


async def test_only_who_waits_for_a_topic_is_woken() -> None:
    hub, woken = Hub(), list[str]()
    with hub.waking(lambda: woken.append("a"), "send:1", "send:2"), hub.waking(lambda: woken.append("b"), "send:2"):
        hub.told({"send:1"})
        hub.told({"send:3"})
        assert woken == ["a"]
        hub.told({"send:2"})
        assert sorted(woken) == ["a", "a", "b"]


async def test_everything_wakes_everybody_once() -> None:
    hub, woken = Hub(), list[str]()
    with hub.waking(lambda: woken.append("a"), "send:1", "send:2"):
        hub.wake([EVERYTHING])
    assert woken == ["a"]


async def test_nobody_is_woken_after_leaving() -> None:
    hub, woken = Hub(), list[str]()
    with hub.waking(lambda: woken.append("a"), "send:1"):
        pass
    hub.told({"send:1"})
    hub.wake([EVERYTHING])
    assert woken == []


async def test_what_is_told_while_others_are_being_told_goes_in_one_piece() -> None:
    post = Post()
    hub = Hub(post)
    hub.told({"send:1"})
    await asyncio.sleep(0)  # the first is on its way
    for number in range(100):
        hub.told({f"conversation:{number}"})
    await hub.flushed()
    assert post.told == [{"send:1"}, {f"conversation:{number}" for number in range(100)}]


async def test_a_flood_becomes_one_word() -> None:
    post = Post()
    hub = Hub(post)
    hub.told({f"conversation:{number}" for number in range(5_000)})
    await hub.flushed()
    assert post.told == [{EVERYTHING}]


async def test_nothing_touched_is_nothing_told() -> None:
    post = Post()
    hub = Hub(post)
    hub.told(set())
    await hub.flushed()
    assert post.told == []


async def test_commits_say_what_they_touched(store: Store) -> None:
    told: list[set[str]] = []
    writer = Writer(store, touched=lambda topics: told.append(set(topics)))
    writer.start()
    number = await writer.write(enter, Entrance(id="line", kind="chat", label="Chat"))
    line = Line(number=number, id="line")
    event = Received(key="k", sender=Address("chat", "ann"), text="Hallo")
    [accepted] = await writer.write(Reception(Names(store.keys())), Submission(line=line, events=(event,)))
    assert accepted.conversation is not None
    opened = int(accepted.conversation)
    assert told[-1] >= {f"conversation:{opened}"}
    assert any(topic.startswith("customer:") for topic in told[-1])
    await writer.write(compose, Composition(conversation=opened, kind="sent", author="agent:bob", text="Ja"))
    assert told[-1] == {f"conversation:{opened}", f"send:{number}"}
    claim = await writer.write(take, Wish(key="work:a", owner="x", lease_us=60_000_000))
    assert claim is not None
    assert told[-1] == set()
    await writer.write(renew, Renewal(claim=claim, lease_us=0))
    assert told[-1] == {"claim:work:a"}
    await writer.stop()


async def test_what_was_undone_touched_nothing(store: Store) -> None:
    told: list[set[str]] = []
    writer = Writer(store, touched=lambda topics: told.append(set(topics)))
    writer.start()

    def broken(tx: object, payloads: object) -> list[None]:
        tx.topics.add("send:1")  # type: ignore[attr-defined]
        raise ValueError("no")

    future = writer.write(broken, None)
    await asyncio.wait({future})
    assert isinstance(future.exception(), ValueError)
    await writer.stop()
    assert told == [set()]
