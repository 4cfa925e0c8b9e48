"""What a person has read is said to providers that want to know it: once, and whatever comes of that, nothing else suffers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pluggy
import pytest

from fernamt import hookspecs
from fernamt._runtime.clock import SystemClock
from fernamt._runtime.hooks import Plugins
from fernamt._runtime.intake import ChannelIntake, Room
from fernamt._runtime.loader import Loaded
from fernamt._runtime.sources import Sources
from fernamt._runtime.storable import storable_text
from fernamt._runtime.teller import plugin_workers, subscriptions_of
from fernamt._store.blobs import open_blobs
from fernamt._store.channels import Entrance, enter
from fernamt._store.claims import Wish, take
from fernamt._store.desk import Composition, compose
from fernamt._store.engine import Store
from fernamt._store.names import Names
from fernamt._store.reception import Line, Reception
from fernamt._store.subscriptions import subscribe
from fernamt._store.writer import Writer
from fernamt.errors import NeedsLogin, Rejected, Unreachable
from fernamt.inbound import Received
from fernamt.model import Address, Attachment, Remote
from fernamt.outbound import Sent

from .stage import AtWork

ANN = Address("test", "ann")


class Marks:
    """A connector that marks; what a test puts into *says* is raised."""

    def __init__(self) -> None:
        self.marked: list[list[str]] = []
        self.says: BaseException | None = None
        self.hangs: asyncio.Event | None = None
        self.asked = asyncio.Event()

    async def send(self, _message: Any) -> Sent:
        return Sent()

    async def mark_read(self, ids: Sequence[str]) -> None:
        self.marked.append([*ids])
        self.asked.set()
        if self.hangs is not None:
            await self.hangs.wait()
        if self.says is not None:
            raise self.says

    async def fetch_media(self, ref: str) -> AsyncIterator[bytes]:
        yield ref.encode()


class Desk(AtWork):
    """The channel ``line``, whose connector marks, the core that sees what was read, and people who write."""

    def __init__(self, store: Store, writer: Writer, number: int) -> None:
        super().__init__(store, writer)
        self.connector = Marks()
        self.line = Line(number=number, id="line")
        self.needed_login: list[Exception] = []

    async def open(self) -> None:
        """Let the core, and the channel, work."""
        nobody = pluggy.PluginManager(hookspecs.PROJECT)
        nobody.add_hookspecs(hookspecs)
        loaded = Loaded(plugins=Plugins(nobody), offers={}, failures=(), installed={})
        self.intake = ChannelIntake(
            self.line,
            writer=self.writer,
            reception=Reception(Names(self.store.keys())),
            blobs=(blobs := open_blobs(self.store)),
            room=Room(),
            clock=SystemClock(),
        )
        await self.writer.write(subscribe, subscriptions_of(loaded, ["line"]))
        sources = Sources(self.line, self.connector, self.intake, store=self.store, blobs=blobs, media_max_mb=1)
        channel = sources.worker(self.writer, storable_text, self.needed_login.append, self.points.put_nowait)
        more: dict[str, Any] = {"writer": self.writer, "reached": self.points.put_nowait}
        [core] = plugin_workers(loaded, lambda _: None, store=self.store, marking=["line"], **more)  # type: ignore[arg-type, return-value]
        assert channel is not None
        self.workers = [core, channel]
        for worker in self.workers:
            wish = Wish(key=worker.owner, owner="runner", lease_us=10**12)
            claim: Any = await self.writer.write(take, wish)
            self.running.append(asyncio.create_task(worker.run(claim)))

    async def receive(self, *ids: str, more: Sequence[Attachment] = ()) -> None:
        await self.intake.accept(
            [Received(key=f"k-{one}", id=one, sender=ANN, text=one, attachments=(*more,)) for one in ids]
        )

    async def write(self, kind: str = "sent", author: str = "agent:maria", channel: str = "") -> None:
        written = Composition(conversation=1, kind=kind, author=author, text=kind, channel=channel)
        composed = await self.writer.write(compose, written)
        assert not isinstance(composed, Exception)

    async def idle(self) -> None:
        """Return when nothing is to be done any more."""
        while self.rows("SELECT 1 FROM task"):
            for worker in self.workers:
                worker.wake()
            await self.points.get()


@pytest.fixture
async def desk(store: Store, writer: Writer) -> AsyncIterator[Desk]:
    number = await writer.write(enter, Entrance(id="line", kind="test", label="Line"))
    desk = Desk(store, writer, number)
    await desk.open()
    yield desk
    while desk.running:
        await desk.die()


@pytest.mark.parametrize(
    ("kind", "author", "marked"),
    [
        ("sent", "agent:maria", [["m1", "m2"]]),
        ("solved", "agent:maria", [["m1", "m2"]]),
        ("note", "agent:maria", []),
        ("sent", "plugin:bot", []),
        ("solved", "plugin:survey", []),
    ],
)
async def test_who_answers_or_solves_has_read_and_no_plugin_has(
    desk: Desk, kind: str, author: str, marked: list[list[str]]
) -> None:
    await desk.receive("m1", "m2")
    await desk.write(kind, author)
    await desk.idle()
    assert desk.connector.marked == marked


async def test_each_message_is_marked_once(desk: Desk) -> None:
    await desk.receive("m1")
    await desk.write()
    await desk.idle()
    await desk.write("solved")
    await desk.idle()
    await desk.receive("m2")
    await desk.write()
    await desk.idle()
    assert desk.connector.marked == [["m1"], ["m2"]]


async def test_what_came_by_a_channel_that_cannot_mark_is_not_its_affair(desk: Desk) -> None:
    other = await desk.writer.write(enter, Entrance(id="other", kind="test", label="Other"))
    await desk.receive("m1")
    await desk.sql("UPDATE entry SET channel = ?", other)
    await desk.write()
    await desk.idle()
    assert desk.connector.marked == []


@pytest.mark.parametrize(
    "why",
    [
        Rejected("no such message"),
        Unreachable("gone", certain=True),
        NeedsLogin("expired"),
        ValueError("unforeseen"),
        SystemExit(3),
        asyncio.CancelledError(),
    ],
)
async def test_a_provider_that_cannot_be_told_is_not_told_and_nothing_fails(desk: Desk, why: BaseException) -> None:
    desk.connector.says = why
    await desk.receive("m1")
    await desk.write()
    await desk.idle()
    assert desk.connector.marked == [["m1"]]
    assert desk.needed_login == []


async def test_a_provider_that_hangs_keeps_no_file_waiting(desk: Desk) -> None:
    desk.connector.hangs = asyncio.Event()
    for number in range(10):
        await desk.receive(f"m{number}")
        await desk.write()
    await desk.connector.asked.wait()
    await desk.receive("photo", more=[Attachment(name="a.png", media_type="image/png", content=Remote("r1"))])
    while desk.rows("SELECT 1 FROM task WHERE kind = 'media'"):
        desk.workers[1].wake()
        await desk.points.get()
    assert len(desk.connector.marked) == 1
    assert desk.rows("SELECT count(*) FROM blob_ref") == [(1,)]


async def test_what_was_erased_meanwhile_is_not_named_to_the_provider(desk: Desk) -> None:
    await desk.receive("m1")
    await desk.sql("UPDATE content SET provider_id = NULL")
    await desk.write()
    await desk.idle()
    assert desk.connector.marked == []
