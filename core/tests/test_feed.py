"""What a reader sees: all that is his, nothing else, in order, live, and nothing twice or never when he comes back."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator

import pytest

from fernamt._runtime.clock import SystemClock
from fernamt._runtime.feed import Feeds
from fernamt._runtime.hub import Hub
from fernamt._store import feed as module
from fernamt._store.channels import Entrance, enter
from fernamt._store.claims import Claim, Wish, take
from fernamt._store.deliveries import Attempt, Beginning, begin, open_deliveries
from fernamt._store.desk import Composed, Composition, compose
from fernamt._store.engine import Store
from fernamt._store.feed import Position
from fernamt._store.names import Names
from fernamt._store.reception import Line, Reception, Submission
from fernamt._store.refusals import Refused, refuse
from fernamt._store.writer import Writer
from fernamt.connector import FeedItem
from fernamt.inbound import Received, Thread
from fernamt.model import Address

ANN, BOB, EVE = (Address("chat", name) for name in ("ann", "bob", "eve"))
_keys = itertools.count(1)


class House:
    """A daemon's store, writer and feeds with two channels, and who acts on them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.hub = Hub()
        self.writer = Writer(store, touched=self.hub.told)
        self.names = Names(store.keys())
        self.reception = Reception(self.names)
        self.feeds = Feeds(store, self.hub)
        self.chat, self.mail = Line(number=0, id=""), Line(number=0, id="")
        self.claim: Claim

    async def open(self) -> None:
        self.writer.start()
        for name in ("chat", "mail"):
            number = await self.writer.write(enter, Entrance(id=name, kind=name, label=name))
            setattr(self, name, Line(number=number, id=name))
        claim = await self.writer.write(take, Wish(key="channel:chat", owner="me", lease_us=60_000_000))
        assert claim is not None
        self.claim = claim

    def event(self, who: Address, text: str, place: str = "", **more: object) -> Received:
        thread = Thread(place=place, **more)  # type: ignore[arg-type]
        return Received(key=f"k{next(_keys)}", sender=who, text=text, thread=thread)

    async def wrote(self, who: Address, text: str, place: str = "", *, on: Line | None = None, token: str = "") -> int:
        submission = Submission(line=on or self.chat, events=(self.event(who, text, place, token=token),))
        [accepted] = await self.writer.write(self.reception, submission)
        assert accepted.conversation is not None
        return int(accepted.conversation)

    async def composed(self, conversation: int, kind: str, text: str, **more: object) -> Composed:
        composition = Composition(conversation=conversation, kind=kind, author="agent:tom", text=text, **more)  # type: ignore[arg-type]
        return await self.writer.write(compose, composition)

    async def answered(self, conversation: int, text: str, **more: object) -> None:
        await self.composed(conversation, "sent", text, **more)
        await self.begun()

    async def begun(self) -> None:
        """Begin to send whatever is queued on the chat."""
        with self.store.read() as connection:
            deliveries = open_deliveries(self.store.statements(connection), self.chat.number, 100)
        for one in deliveries:
            await self.writer.write(
                begin, Beginning(claim=self.claim, channel=self.chat.number, attempts=[Attempt(one)])
            )

    @contextlib.asynccontextmanager
    async def reading(self, who: Address, since: str = "") -> AsyncIterator["Reading"]:
        reading = Reading(self.feeds.feed(self.chat, self.names, who, since))
        try:
            yield reading
        finally:
            await reading.close()


class Reading:
    """One open feed."""

    def __init__(self, items: AsyncIterator[FeedItem]) -> None:
        self.items = items
        self.position = ""
        self._next: asyncio.Task[FeedItem] | None = None

    async def next(self) -> FeedItem:
        if self._next is None:
            self._next = asyncio.ensure_future(anext(self.items))
        async with asyncio.timeout(3.0):  # below the poll: it has to be told
            item = await asyncio.shield(self._next)
        self._next = None
        self.position = item.position
        return item

    async def texts(self, count: int) -> list[str]:
        return [(await self.next()).entry.text for _ in range(count)]

    async def nothing(self) -> bool:
        """Say whether there is nothing for it after all that was told has been looked at."""
        if self._next is None:
            self._next = asyncio.ensure_future(anext(self.items))
        done, _ = await asyncio.wait({self._next}, timeout=0.15)
        return not done

    async def close(self) -> None:
        if self._next is not None:
            self._next.cancel()
            await asyncio.wait({self._next})
        await self.items.aclose()  # type: ignore[attr-defined]


@pytest.fixture
async def house(store: Store) -> AsyncIterator[House]:
    house = House(store)
    await house.open()
    yield house
    await house.writer.stop()


async def test_a_reader_sees_what_he_wrote_and_what_was_sent_to_him_and_never_a_note(house: House) -> None:
    one = await house.wrote(ANN, "Hallo")
    await house.composed(one, "note", "nervous")
    await house.answered(one, "Guten Tag")
    async with house.reading(ANN) as reading:
        first, second = await reading.next(), await reading.next()
        assert [(item.entry.n, item.entry.kind, item.entry.text) for item in (first, second)] == [
            (1, "received", "Hallo"),
            (3, "sent", "Guten Tag"),
        ]
        assert (first.entry.author, first.entry.channel) == ("chat:ann", "chat")
        assert second.entry.key.startswith(house.names.message_key(0)[:-1])
        assert await reading.nothing()


async def test_what_comes_later_is_seen_as_it_comes(house: House) -> None:
    async with house.reading(ANN) as reading:
        assert await reading.nothing()  # nobody knows her yet
        one = await house.wrote(ANN, "Hallo")
        assert await reading.texts(1) == ["Hallo"]
        await house.answered(one, "Guten Tag")
        assert await reading.texts(1) == ["Guten Tag"]
        await house.wrote(ANN, "Etwas anderes", "elsewhere")
        assert await reading.texts(1) == ["Etwas anderes"]


async def test_nobody_sees_what_is_somebody_elses_or_another_channels(house: House) -> None:
    one = await house.wrote(ANN, "von Ann")
    await house.wrote(BOB, "von Bob")
    await house.wrote(ANN, "eine Mail", on=house.mail)
    await house.answered(one, "an Eve", to=(EVE,))
    await house.answered(one, "an Ann")
    async with house.reading(ANN) as reading:
        assert await reading.texts(2) == ["von Ann", "an Ann"]
        assert await reading.nothing()


async def test_who_takes_part_sees_what_is_said_to_all_and_what_is_sent_to_him(house: House) -> None:
    one = await house.wrote(ANN, "von Ann")
    async with house.reading(BOB) as reading:
        await house.wrote(BOB, "von Bob", token=house.names.reply_token(one))
        assert await reading.texts(2) == ["von Ann", "von Bob"]
        await house.answered(one, "an Ann", to=(ANN,))
        await house.answered(one, "an Bob", to=(BOB,))
        assert await reading.texts(1) == ["an Bob"]


async def test_whoever_comes_back_gets_what_he_missed_and_nothing_twice(house: House) -> None:
    one = await house.wrote(ANN, "1")
    two = await house.wrote(ANN, "2", "elsewhere")
    async with house.reading(ANN) as reading:
        await reading.texts(1)
        middle = reading.position
        await reading.texts(1)
        end = reading.position
    await house.answered(one, "3")
    await house.answered(two, "4")
    async with house.reading(ANN, middle) as again:
        assert sorted(await again.texts(3)) == ["2", "3", "4"]
    async with house.reading(ANN, end) as again:
        assert sorted(await again.texts(2)) == ["3", "4"]
        assert await again.nothing()


async def test_an_answer_is_seen_once_its_sending_has_begun_and_what_is_behind_it_does_not_wait(house: House) -> None:
    one = await house.wrote(ANN, "1")
    async with house.reading(ANN) as reading:
        await reading.texts(1)
        await house.composed(one, "sent", "2")
        await house.wrote(ANN, "3")
        assert await reading.texts(1) == ["3"]
        held = reading.position
    async with house.reading(ANN, held) as again:
        assert await again.nothing()
        await house.begun()
        item = await again.next()
        assert (item.entry.n, item.entry.text) == (2, "2")
    async with house.reading(ANN, item.position) as again:
        assert await again.nothing()


async def test_an_answer_that_was_refused_is_never_seen(house: House) -> None:
    one = await house.wrote(ANN, "1")
    composed = await house.composed(one, "sent", "2")
    await house.writer.write(refuse, Refused(claim=house.claim, delivery=composed.deliveries[0], reason="no"))
    await house.answered(one, "3")
    async with house.reading(ANN) as reading:
        assert await reading.texts(2) == ["1", "3"]


async def test_a_long_conversation_comes_whole_and_in_order(house: House) -> None:
    events = tuple(house.event(ANN, str(number)) for number in range(180))
    await house.writer.write(house.reception, Submission(line=house.chat, events=events))
    async with house.reading(ANN) as reading:
        assert await reading.texts(180) == [str(number) for number in range(180)]
        assert await reading.nothing()


async def test_a_late_commit_is_not_skipped(house: House) -> None:
    """On PostgreSQL two transactions are open at a time, and the one that began first may end last."""
    if house.store.is_sqlite:
        pytest.skip("SQLite has one writer at a time")
    await house.wrote(ANN, "0")
    with contextlib.closing(house.store.session()) as session:
        async with house.reading(ANN) as reading:
            await reading.texts(1)
            with session.transaction() as tx:
                house.reception(tx, [Submission(line=house.chat, events=(house.event(ANN, "early", "a"),))])
                await house.wrote(ANN, "late", "b")
                assert await reading.texts(1) == ["late"]
                position = reading.position
            house.hub.told(session.topics)
            assert await reading.texts(1) == ["early"]
    async with house.reading(ANN, position) as again:
        assert await again.texts(1) == ["early"]


async def test_a_position_stays_small_and_still_skips_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONVERSATIONS_MAX", 3)
    monkeypatch.setattr(module, "_MARGIN_US", 0)
    numbers = [await house.wrote(ANN, str(number), f"place{number}") for number in range(6)]
    async with house.reading(ANN) as reading:
        assert await reading.texts(3) == ["3", "4", "5"]
        assert await reading.nothing()
        assert len(reading.position) < 60
        position = reading.position
    await house.answered(numbers[0], "moved again")
    await house.wrote(ANN, "new", "new place")
    async with house.reading(ANN, position) as again:
        assert sorted(await again.texts(2)) == ["moved again", "new"]
        assert await again.nothing()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "-1.1-1",
        "0.1",
        "0.1-1-g",
        "zz.1-1",
        "0." + "1-1." * 9_000,
        "0" * 40,
        "٣.1-1",
        "0.1-1-" + "-".join("1" * 99),
    ],
)
async def test_what_is_no_position_is_the_beginning(house: House, text: str) -> None:
    assert Position.parse(text) == Position()


async def test_somebody_elses_position_shows_nothing_of_his(house: House) -> None:
    await house.wrote(BOB, "von Bob")
    async with house.reading(BOB) as reading:
        await reading.texts(1)
    await house.wrote(BOB, "noch einmal")
    await house.wrote(ANN, "von Ann")
    async with house.reading(ANN, reading.position) as mine:
        assert await mine.texts(1) == ["von Ann"]
        assert await mine.nothing()


async def test_a_store_that_is_away_for_a_moment_is_waited_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    class Impatient(SystemClock):
        async def sleep(self, seconds: float) -> None:
            monkeypatch.undo()

    def away() -> None:
        from fernamt.errors import NotStored

        raise NotStored("away")

    await house.wrote(ANN, "1")
    monkeypatch.setattr(house.store, "clock", Impatient())
    monkeypatch.setattr(house.store, "read", away)
    async with house.reading(ANN) as reading:
        assert await reading.texts(1) == ["1"]
