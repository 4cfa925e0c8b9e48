"""What a provider still has: fetched page by page, once, from where it stopped; files in the place of their references."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from fernamt._runtime.clock import SystemClock
from fernamt._runtime.intake import ChannelIntake, Room
from fernamt._runtime.sources import Sources
from fernamt._runtime.storable import storable_text
from fernamt._runtime.work import Worker
from fernamt._store import blobs as blob_module
from fernamt._store.blobs import open_blobs
from fernamt._store.engine import Store
from fernamt._store.names import Names
from fernamt._store.reception import Line, Reception
from fernamt._store.sources import RESULT, Backfill, start_backfill
from fernamt._store.views.conversation import conversation_view
from fernamt._store.writer import Writer
from fernamt.connector import Page
from fernamt.errors import FernamtError, Rejected, Throttled, Unreachable
from fernamt.inbound import Fetch, InboundEvent, Received
from fernamt.model import Address, Attachment, Blob, Remote
from fernamt.outbound import Sent

from .stage import AtWork

ANN = Address("test", "ann")


class Sends:
    async def send(self, _message: Any) -> Sent:
        return Sent()


class Provider(Sends):
    """Has pages and files; what a test puts into *says* is raised, once each."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.files: dict[str, list[bytes]] = {}
        self.says: list[Exception] = []
        self.asked: list[str] = []

    async def fetch(self, cursor: str) -> Page:
        self.asked.append(cursor)
        if self.says:
            raise self.says.pop(0)
        return self.pages[cursor]

    async def fetch_media(self, ref: str) -> AsyncIterator[bytes]:
        self.asked.append(ref)
        if self.says:
            raise self.says.pop(0)
        for chunk in self.files[ref]:
            yield chunk


class Shop(AtWork):
    """A channel with its provider, its intake and its worker."""

    owner = "channel:line"

    def __init__(self, store: Store, writer: Writer, provider: Any) -> None:
        super().__init__(store, writer)
        self.provider = provider
        self.blobs = open_blobs(store)
        line = Line(number=1, id="line")
        self.intake = ChannelIntake(
            line,
            writer=writer,
            reception=Reception(Names(store.keys())),
            blobs=self.blobs,
            room=Room(),
            clock=SystemClock(),
        )
        sources = Sources(line, provider, self.intake, store=store, blobs=self.blobs, media_max_mb=0.001)
        self.worker = sources.worker(writer, storable_text, lambda _why: None, self.reached)
        self.doom = ""

    def reached(self, point: str) -> None:
        self.points.put_nowait(point)
        if point == self.doom:
            raise asyncio.CancelledError

    async def start(self) -> None:
        assert isinstance(self.worker, Worker)
        self.running.append(asyncio.create_task(self.worker.run(await self.claim())))

    async def until_idle(self) -> None:
        """Return when nothing is due any more."""
        while self.rows("SELECT 1 FROM task WHERE due_at IS NOT NULL AND tries = 0"):
            await self.points.get()

    def texts(self) -> list[str]:
        return [
            row[0] for row in self.rows("SELECT c.text FROM content c JOIN entry e ON e.id = c.entry ORDER BY e.id")
        ]

    def tasks(self) -> list[tuple[Any, ...]]:
        return self.rows("SELECT kind, due_at IS NULL, tries, reason FROM task ORDER BY id")


@pytest.fixture
async def shop(store: Store, writer: Writer) -> AsyncIterator[Shop]:
    shop = Shop(store, writer, Provider())
    await shop.sql(
        "INSERT INTO channel (id, name, kind, label, state, reason, changed_at) VALUES (1, 'line', '', '', 'up', '', 0)"
    )
    yield shop
    while shop.running:
        await shop.die()


def said(*words: str) -> tuple[InboundEvent, ...]:
    return tuple(Received(key=word, sender=ANN, text=word) for word in words)


def pages(**pages: Page) -> dict[str, Page]:
    return {"" if name == "first" else name: page for name, page in pages.items()}


async def test_a_notice_is_a_task_and_brings_every_page_in_order(shop: Shop) -> None:
    shop.provider.pages = {"c1": Page(events=said("a", "b"), next="c2"), "c2": Page(events=said("b", "c"))}
    [accepted] = await shop.intake.accept([Fetch("c1")])
    assert (accepted.conversation, accepted.repeat) == (None, False)
    await shop.start()
    await shop.until_idle()
    assert shop.texts() == ["a", "b", "c"]
    assert shop.provider.asked == ["c1", "c2"]
    assert shop.tasks() == []


async def test_a_repeated_notice_is_one_task_and_one_after_the_end_fetches_again(shop: Shop) -> None:
    shop.provider.pages = {"c1": Page(events=said("a"))}
    await shop.intake.accept([Fetch("c1"), Fetch("c1")])
    await shop.intake.accept([Fetch("c1")])
    await shop.start()
    await shop.until_idle()
    assert shop.provider.asked == ["c1"]
    shop.provider.pages = {"c1": Page(events=said("a", "b"))}
    await shop.intake.accept([Fetch("c1")])
    assert shop.worker is not None
    shop.worker.wake()
    await shop.until_idle()
    assert shop.texts() == ["a", "b"]


async def test_a_notice_during_the_reading_begins_it_anew_at_its_end(shop: Shop) -> None:
    shop.provider.pages = {"c1": Page(events=said("a"), next="c2"), "c2": Page(events=said("b"))}
    read = shop.provider.fetch

    async def interrupted(cursor: str) -> Page:
        page: Page = await read(cursor)
        if len(shop.provider.asked) == 1:  # it comes while the first page is on its way: what is new stands on that
            shop.provider.pages["c1"] = Page(events=said("new", "a"), next="c2")
            await shop.intake.accept([Fetch("c1")])
        return page

    shop.provider.fetch = interrupted
    await shop.intake.accept([Fetch("c1")])
    await shop.start()
    await shop.until_idle()
    assert sorted(shop.texts()) == ["a", "b", "new"]
    assert shop.provider.asked == ["c1", "c1", "c2"]


async def test_a_holder_that_dies_between_a_page_and_its_place_reads_it_again_and_doubles_nothing(shop: Shop) -> None:
    shop.provider.pages = {"c1": Page(events=said("a"), next="c2"), "c2": Page(events=said("b"))}
    await shop.intake.accept([Fetch("c1")])
    shop.doom = "work.done"
    await shop.start()
    while await shop.points.get() != "work.done":
        pass
    await shop.die()
    assert shop.texts() == ["a"]
    shop.doom = ""
    await shop.start()
    await shop.until_idle()
    assert shop.texts() == ["a", "b"]
    assert shop.provider.asked == ["c1", "c1", "c2"]


@pytest.mark.parametrize(
    ("why", "parked"),
    [
        (Rejected("no such cursor"), True),
        (Throttled("slowly", after_s=60), False),
        (Unreachable("gone", certain=True), False),
    ],
)
async def test_an_error_acts_by_its_class(shop: Shop, why: Exception, parked: bool) -> None:
    shop.provider.says = [why]
    await shop.intake.accept([Fetch("c1")])
    await shop.start()
    while await shop.points.get() != "work.failed":
        pass
    assert shop.tasks() == [("fetch", parked, 1, str(why))]


async def test_a_page_that_names_itself_as_the_next_is_parked(shop: Shop) -> None:
    shop.provider.pages = {"c1": Page(events=said("a"), next="c1")}
    await shop.intake.accept([Fetch("c1")])
    await shop.start()
    while await shop.points.get() != "work.failed":
        pass
    [(_, parked, _, reason)] = shop.tasks()
    assert parked
    assert "names itself" in reason


async def test_without_the_ability_a_notice_is_quarantined_with_its_name(store: Store, writer: Writer) -> None:
    shop = Shop(store, writer, Sends())
    await shop.intake.accept([Fetch("c1")], raw=b"notice")
    assert shop.worker is None
    [(reason,)] = shop.rows("SELECT reason FROM quarantine")
    assert "Backfills" in reason
    assert shop.tasks() == []


async def backfill(shop: Shop, **wish: Any) -> str:
    begin: str = await shop.writer.write(start_backfill, Backfill(channel="line", **wish))
    return begin


async def test_a_backfill_reads_from_the_beginning_and_says_what_came_of_it(shop: Shop) -> None:
    shop.provider.pages = {"": Page(events=said("a", "b"), next="2"), "2": Page(events=said("c"))}
    await shop.intake.accept(said("b"))
    assert await backfill(shop) == ""
    await shop.start()
    await shop.until_idle()
    [(value,)] = shop.rows("SELECT value FROM cursor WHERE name = ?", RESULT)
    result = orjson.loads(value)
    assert (result["pages"], result["events"], result["new"]) == (2, 3, 2)


async def test_a_second_wish_goes_on_where_the_first_is_and_another_beginning_is_refused(shop: Shop) -> None:
    shop.provider.pages = {"": Page(events=said("a"), next="2")}
    shop.provider.says = []
    await backfill(shop)
    await shop.start()
    while not shop.rows("SELECT 1 FROM task WHERE reason <> ''"):  # there is no page 2: KeyError, tried again later
        await shop.points.get()
    await shop.die()
    with pytest.raises(FernamtError, match="under way"):
        await backfill(shop, begin="7")
    assert await backfill(shop) == ""
    shop.provider.pages["2"] = Page(events=said("b"))
    await shop.start()
    await shop.until_idle()
    assert shop.provider.asked[-1] == "2"
    assert shop.provider.asked.count("") == 1
    assert shop.texts() == ["a", "b"]


# ---- media
def with_file(ref: str = "r1", key: str = "m1") -> Received:
    file = Attachment(name="photo.jpg", media_type="image/jpeg", content=Remote(ref))
    return Received(key=key, sender=ANN, text="look", attachments=(file,))


def shown(shop: Shop) -> Any:
    with shop.store.read() as connection:
        view = conversation_view(connection, 1)
    assert view is not None
    return view.entries[0]


async def content(shop: Shop, blob: Any) -> bytes:
    assert isinstance(blob, Blob)
    return b"".join([chunk async for chunk in shop.blobs.open(blob)])


async def test_a_file_takes_the_place_of_its_reference(shop: Shop) -> None:
    shop.provider.files = {"r1": [b"ab", b"cd"]}
    await shop.intake.accept([with_file()])
    assert [(one.state, one.reason) for one in shown(shop).remote] == [("fetching", "")]
    await shop.start()
    await shop.until_idle()
    entry = shown(shop)
    assert await content(shop, entry.attachments[0].content) == b"abcd"
    assert entry.remote == ()
    assert shop.rows("SELECT owner FROM blob_ref") == [("entry:1",)]
    assert shop.tasks() == []


async def test_a_file_that_the_provider_no_longer_has_is_parked_and_the_view_says_why(shop: Shop) -> None:
    shop.provider.says = [Rejected("the link has expired")]
    await shop.intake.accept([with_file()])
    await shop.start()
    await shop.until_idle()
    [one] = shown(shop).remote
    assert (one.at, one.state, one.reason) == (0, "parked", "the link has expired")


async def test_a_file_that_is_too_large_is_parked_and_nothing_of_it_is_kept(shop: Shop, tmp_path: Path) -> None:
    shop.provider.files = {"r1": [b"x" * 600, b"x" * 600]}
    await shop.intake.accept([with_file()])
    await shop.start()
    await shop.until_idle()
    assert "media_max_mb" in shown(shop).remote[0].reason
    assert shop.rows("SELECT 1 FROM blob_chunk") == []
    assert [path for path in tmp_path.rglob("*.blobs/**/*") if path.is_file()] == []


async def test_the_sweep_leaves_a_file_alone_before_and_after_it_is_named(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.provider.files = {"r1": [b"abcd"]}
    await shop.intake.accept([with_file()])
    swept = []

    def sweep(point: str) -> None:
        if point == "work.done":
            swept.append(shop.blobs.sweep())
        shop.points.put_nowait(point)

    shop.worker._reached = sweep  # type: ignore[union-attr]
    await shop.start()
    await shop.until_idle()
    monkeypatch.setattr(blob_module, "SWEPT_AFTER_S", -60.0)
    swept.append(await asyncio.to_thread(shop.blobs.sweep))
    assert swept == [0, 0]
    assert await content(shop, shown(shop).attachments[0].content) == b"abcd"


async def test_a_message_that_was_erased_meanwhile_gets_no_file(shop: Shop) -> None:
    shop.provider.files = {"r1": [b"abcd"]}
    await shop.intake.accept([with_file()])

    async def erased() -> None:
        await shop.sql("DELETE FROM content")

    fetch = shop.provider.fetch_media

    async def slow(ref: str) -> AsyncIterator[bytes]:
        await erased()
        async for chunk in fetch(ref):
            yield chunk

    shop.provider.fetch_media = slow
    await shop.start()
    await shop.until_idle()
    assert shop.rows("SELECT 1 FROM blob_ref") == []
    assert shop.tasks() == []


async def test_two_files_of_one_message_both_arrive(shop: Shop) -> None:
    shop.provider.files = {"r1": [b"one"], "r2": [b"two"]}
    files = tuple(Attachment(name=ref, media_type="text/plain", content=Remote(ref)) for ref in ("r1", "r2"))
    await shop.intake.accept([Received(key="m", sender=ANN, attachments=files)])
    await shop.start()
    await shop.until_idle()
    assert [await content(shop, file.content) for file in shown(shop).attachments] == [b"one", b"two"]
