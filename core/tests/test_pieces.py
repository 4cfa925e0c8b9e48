"""Pieces of messages: each is on disk when it is acknowledged, together they are one entry, and none is ever lost."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from fernamt._runtime.gathering import gathering
from fernamt._runtime.intake import ChannelIntake, Room
from fernamt._runtime.work import Worker
from fernamt._store.blobs import open_blobs
from fernamt._store.channels import Entrance, enter
from fernamt._store.engine import Store
from fernamt._store.erasure import erase
from fernamt._store.names import Names
from fernamt._store.piece_events import read_event, written_event
from fernamt._store.pieces import GAP, PIECES_MAX, SILENCE_US, WAIT_US
from fernamt._store.reception import Line, Reception, Submission
from fernamt._store.tasks import drop_task, revive_task
from fernamt._store.views.export import kept_of
from fernamt._store.views.people import person_of
from fernamt._store.views.raw import raw_of_entry
from fernamt._store.writer import Writer
from fernamt.errors import FernamtError
from fernamt.inbound import Acknowledgement, Changed, Lines, Part, Received, Thread
from fernamt.model import Address, Attachment, Blob, Remote

from .stage import AtWork, Bare, Impatient

ANN, BOB = Address("phone", "+491701111111"), Address("phone", "+491702222222")


def piece(number: int, total: int | None = 3, *, group: str = "7", sender: Address = ANN, **more: Any) -> Received:
    more.setdefault("key", f"{sender.value}-{group}-{number}")
    more.setdefault("text", f"<{number}>")
    return Received(sender=sender, part=Part(group=group, number=number, total=total), **more)


class Phone(Bare):
    """A channel to which pieces come."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.line = self.channel("sms")

    def take(self, *events: Received | Changed, raw: bytes | None = None) -> list[tuple[str | None, int | None, bool]]:
        accepted = self.run(self.reception, Submission(line=self.line, events=events, raw=raw))
        return [(one.conversation, one.n, one.repeat) for one in accepted]

    def texts(self) -> list[str]:
        sql = "SELECT c.text FROM entry e JOIN content c ON c.entry = e.id WHERE e.kind = 'received' ORDER BY e.id"
        return [row[0] for row in self.rows(sql)]

    def data(self) -> list[dict[str, Any]]:
        return [orjson.loads(row[0] or "{}") for row in self.rows("SELECT data FROM content ORDER BY entry")]

    def waits(self) -> int:
        return int(self.rows("SELECT count(*) FROM piece WHERE entry IS NULL")[0][0])

    def tasks(self) -> int:
        return int(self.rows("SELECT count(*) FROM task")[0][0])

    def later(self, by_us: int) -> None:
        self.sql("UPDATE piece SET at = at - ?", by_us)
        self.sql("UPDATE task SET due_at = due_at - ?", by_us)


@pytest.fixture
def phone(store: Store) -> Iterator[Phone]:
    phone = Phone(store)
    yield phone
    phone.session.close()


# ---- joining
@pytest.mark.parametrize("order", [*itertools.permutations((1, 2, 3))])
@pytest.mark.parametrize("together", [True, False])
def test_pieces_become_one_entry_in_their_order_whatever_they_come_in(
    phone: Phone, order: tuple[int, ...], together: bool
) -> None:
    events = [piece(number) for number in order]
    taken = phone.take(*events) if together else [phone.take(event)[0] for event in events]
    assert taken == [(None, None, False), (None, None, False), ("1", 1, False)]
    assert phone.texts() == ["<1><2><3>"]
    assert (phone.waits(), phone.tasks()) == (0, 0)
    assert phone.rows("SELECT count(*) FROM piece") == [(0,)]


def test_a_piece_that_waits_is_no_entry_and_nobody_is_told(phone: Phone) -> None:
    assert phone.take(piece(1)) == [(None, None, False)]
    assert (phone.texts(), phone.waits(), phone.tasks()) == ([], 1, 1)
    assert phone.rows("SELECT count(*) FROM conversation") == [(0,)]


def test_a_repeat_of_a_piece_makes_nothing_twice_and_learns_the_entry(phone: Phone) -> None:
    phone.take(piece(1))
    assert phone.take(piece(1)) == [(None, None, True)]
    phone.take(piece(3))
    phone.take(piece(2))
    assert [phone.take(piece(number))[0] for number in (1, 2, 3)] == [("1", 1, True)] * 3
    assert phone.texts() == ["<1><2><3>"]


def test_a_piece_that_comes_again_under_another_key_is_the_same(phone: Phone) -> None:
    phone.take(piece(1), piece(1, key="redelivered"), piece(2), piece(3))
    assert phone.texts() == ["<1><2><3>"]
    assert phone.take(piece(1, key="redelivered"))[0][2]


def test_pieces_of_two_senders_with_one_reference_are_two_messages(phone: Phone) -> None:
    phone.take(*(piece(number, 2, sender=sender) for number in (1, 2) for sender in (ANN, BOB)))
    assert phone.texts() == ["<1><2>", "<1><2>"]
    assert phone.rows("SELECT count(*) FROM conversation") == [(2,)]


def test_two_messages_of_one_sender_run_side_by_side(phone: Phone) -> None:
    phone.take(piece(1, 2, group="8", text="b1"), piece(1, 2, text="a1"), piece(2, 2, text="a2"))
    phone.take(piece(2, 2, group="8", text="b2"))
    assert phone.texts() == ["a1a2", "b1b2"]
    assert [row[0] for row in phone.rows("SELECT n FROM entry ORDER BY id")] == [1, 2]


def test_a_character_that_was_cut_in_two_is_whole_again_and_a_half_is_replaced(phone: Phone) -> None:
    phone.take(piece(1, 2, text="x\ud83d"), piece(2, 2, text="\ude00y"))
    phone.take(piece(1, 2, group="8", text="x\ud83d"), piece(2, 2, group="8", text="y"))
    assert phone.texts() == ["x😀y", "x\ufffdy"]


def test_what_else_the_pieces_say_is_joined_too(phone: Phone) -> None:
    at = datetime(2026, 11, 30, 12, tzinfo=UTC)
    first = piece(1, 2, id="p1", sender_name="Ann", at=at, attachments=(_photo("a"),), marks=("signed",))
    second = piece(2, 2, id="p2", attachments=(_photo("b"),), marks=("signed", "spam"), choice="yes")
    phone.take(second, raw=b"raw of 2")
    phone.take(first, raw=b"raw of 1")
    [data] = phone.data()
    assert data == {"sender_name": "Ann", "choice": "yes", "at": at.isoformat(), "marks": ["signed", "spam"]}
    [[files]] = phone.rows("SELECT attachments FROM content")
    assert [one["name"] for one in orjson.loads(files)] == ["a", "b"]
    with phone.store.read() as connection:
        assert set(raw_of_entry(connection, 1, 1)) == {b"raw of 1", b"raw of 2"}
    assert {row[0] for row in phone.rows("SELECT owner FROM blob_ref")} == {"entry:1"}


def test_every_pieces_id_is_one_of_the_entry(phone: Phone) -> None:
    phone.take(piece(2, 2, id="p2"))
    phone.take(piece(1, 2, id="p1"))
    for number in (1, 2):
        changed = Changed(key=f"e{number}", id=f"p{number}", kind="deleted")
        assert phone.take(changed) == [("1", number + 1, False)]


def test_pieces_read_from_one_payload_name_it_once(phone: Phone) -> None:
    phone.take(piece(1, 2), piece(2, 2), raw=b"both")
    with phone.store.read() as connection:
        assert raw_of_entry(connection, 1, 1) == (b"both",)
    assert phone.rows("SELECT count(*) FROM piece") == [(0,)]


def test_a_message_of_pieces_joins_where_its_first_piece_belongs(phone: Phone) -> None:
    phone.take(Received(key="q", id="<q>", sender=ANN, text="a question", thread=Thread(place="there")))
    thread = Thread(place="elsewhere", references=("<q>",))
    phone.take(piece(1, 2, thread=thread))
    assert phone.take(piece(2, 2, thread=Thread(place="elsewhere"))) == [("1", 2, False)]


@pytest.mark.parametrize(("number", "total"), [(0, 3), (4, 3), (-1, 2), (1, PIECES_MAX + 1), (1, 1), (1, 0)])
def test_a_piece_that_makes_no_sense_is_an_entry_of_its_own(phone: Phone, number: int, total: int) -> None:
    assert phone.take(piece(number, total, text="words")) == [("1", 1, False)]
    assert "words" in phone.texts()[0]
    assert (phone.waits(), phone.tasks()) == (0, 0)


def test_a_piece_that_makes_no_sense_does_not_end_the_wait_of_the_others(phone: Phone) -> None:
    phone.take(piece(1, 2))
    phone.take(piece(3, 2))
    assert (phone.waits(), phone.tasks()) == (1, 1)


# ---- what never becomes whole
def test_an_old_group_does_not_swallow_the_pieces_of_a_new_message(phone: Phone) -> None:
    phone.take(piece(1, 2, text="old"))
    phone.later(WAIT_US)
    assert phone.take(piece(2, 2, text="new2", key="n2")) == [(None, None, False)]
    assert phone.take(piece(1, 2, text="new1", key="n1")) == [("1", 2, False)]
    assert phone.texts() == [f"old{GAP}", "new1new2"]
    assert phone.take(piece(1, 2, text="old")) == [("1", 1, True)]


def test_a_number_that_comes_twice_with_other_words_is_another_message(phone: Phone) -> None:
    phone.take(piece(1, 2, text="old"))
    phone.take(piece(1, 2, text="new1", key="n1"), piece(2, 2, text="new2", key="n2"))
    assert phone.texts() == [f"old{GAP}", "new1new2"]
    assert (phone.waits(), phone.tasks()) == (0, 0)


def test_another_total_is_another_message(phone: Phone) -> None:
    phone.take(piece(1, 3, text="of three"))
    phone.take(piece(2, 2, text="new2", key="n2"), piece(1, 2, text="new1", key="n1"))
    assert phone.texts() == ["new1new2"]
    assert phone.waits() == 1


# ---- time
class Gathering(AtWork):
    owner = "pieces"

    def __init__(self, store: Store, writer: Writer, phone: Phone) -> None:
        super().__init__(store, writer)
        self.phone = phone
        self.line: Line | None = phone.line

    async def start(self) -> None:
        handlers = gathering(Reception(Names(self.store.keys())), lambda _channel: self.line)
        worker = Worker("pieces", handlers, store=self.store, writer=self.writer, reached=self.points.put_nowait)
        self.running.append(asyncio.create_task(worker.run(await self.claim())))

    async def gathered(self) -> None:
        await self.start()
        await self.until()
        await self.die()


@pytest.fixture
async def gatherer(store: Store, writer: Writer, phone: Phone) -> AsyncIterator[Gathering]:
    store.clock = Impatient()
    gatherer = Gathering(store, writer, phone)
    yield gatherer
    while gatherer.running:
        await gatherer.die()


@pytest.mark.parametrize(
    ("there", "text"),
    [((1,), f"<1>{GAP}"), ((2,), f"{GAP}<2>{GAP}"), ((1, 4), f"<1>{GAP}<4>"), ((2, 3, 4), f"{GAP}<2><3><4>")],
)
async def test_an_incomplete_message_is_shown_with_its_gaps_after_a_time(
    phone: Phone, gatherer: Gathering, there: tuple[int, ...], text: str
) -> None:
    phone.take(*(piece(number, 4) for number in there))
    phone.later(WAIT_US + 1)
    await gatherer.gathered()
    assert phone.texts() == [text]
    assert phone.data()[0]["marks"] == ["incomplete"]
    assert (phone.waits(), phone.tasks()) == (0, 0)
    [[number]] = phone.rows("SELECT id FROM conversation")
    assert {phone.take(piece(one, 4))[0] for one in there} == {(str(number), 1, True)}


async def test_what_comes_too_late_is_a_message_of_its_own(phone: Phone, gatherer: Gathering) -> None:
    phone.take(piece(1, 2))
    phone.later(WAIT_US + 1)
    await gatherer.gathered()
    phone.take(piece(2, 2))
    phone.later(WAIT_US + 1)
    await gatherer.gathered()
    assert phone.texts() == [f"<1>{GAP}", f"{GAP}<2>"]


async def test_an_album_ends_when_nothing_came_for_a_moment(phone: Phone, gatherer: Gathering) -> None:
    phone.take(
        piece(12, None, text="", attachments=(_photo("b"),)), piece(11, None, text="Hier!", attachments=(_photo("a"),))
    )
    assert phone.texts() == []
    phone.later(SILENCE_US + 1)
    await gatherer.gathered()
    assert (phone.texts(), phone.data()) == (["Hier!"], [{}])
    [[files]] = phone.rows("SELECT attachments FROM content")
    assert [one["name"] for one in orjson.loads(files)] == ["a", "b"]


async def test_a_task_that_comes_before_its_time_waits_for_it(phone: Phone, gatherer: Gathering) -> None:
    """Another runner took one more piece, or the clock went back, after the task was read."""
    phone.take(piece(1, None))
    phone.sql("UPDATE task SET due_at = 0")
    await gatherer.gathered()
    assert (phone.texts(), phone.waits(), phone.tasks()) == ([], 1, 1)
    assert phone.rows("SELECT due_at > 0 FROM task") in ([(1,)], [(True,)])


async def test_what_came_on_a_channel_that_is_configured_no_more_is_stored_too(
    phone: Phone, gatherer: Gathering
) -> None:
    phone.take(piece(1, 2))
    phone.later(WAIT_US + 1)
    gatherer.line = None
    await gatherer.gathered()
    assert phone.texts() == [f"<1>{GAP}"]


def test_nobody_can_give_up_what_a_customer_wrote(phone: Phone) -> None:
    phone.take(piece(1, 2))
    [[number]] = phone.rows("SELECT id FROM task")
    with pytest.raises(FernamtError, match=f"would be lost. Let it be due now with fernamt work --again {number}"):
        phone.run(drop_task, number)
    phone.run(revive_task, number)
    assert phone.tasks() == 1


# ---- privacy
async def test_an_erasure_takes_what_waits_and_what_pieces_left(phone: Phone, gatherer: Gathering) -> None:
    phone.take(piece(1, 2, attachments=(_photo("a"),)), raw=b"secret 1")
    phone.take(piece(2, 2), raw=b"secret 2")
    phone.take(piece(1, 2, group="8", attachments=(_photo("b"),)), raw=b"secret 3")
    done = erase(phone.store, 1, plugins=())
    assert set(done.digests) == {"a" * 64, "b" * 64}
    assert [phone.rows(f"SELECT count(*) FROM {table}")[0][0] for table in ("piece", "raw", "blob_ref")] == [0, 0, 0]
    phone.sql("UPDATE task SET due_at = 0")
    await gatherer.gathered()
    assert phone.tasks() == 0


def test_an_export_shows_what_waits(phone: Phone) -> None:
    phone.take(piece(1, 2, text="half of it"))
    with phone.store.read() as connection:
        person = person_of(connection, 1)
        assert person is not None
        [kept] = kept_of(connection, person).pieces
    assert (kept["handle"], kept["event"]["text"]) == (str(ANN), "half of it")


# ---- at the door, and two runners
async def test_the_door_keeps_half_characters_and_puts_files_into_the_store(store: Store, writer: Writer) -> None:
    number = await writer.write(enter, Entrance(id="sms", kind="fake", label="SMS"))
    blobs = open_blobs(store)
    reception = Reception(Names(store.keys()))
    line = Line(number=number, id="sms")
    intake = ChannelIntake(line, writer=writer, reception=reception, blobs=blobs, room=Room(), clock=Impatient())
    file = Attachment(name="a.png", media_type="image/png", content=b"bytes")
    await intake.accept([piece(1, 2, text="\0\ud83d", attachments=(file,), html="<b>x</b><script>")])
    [second] = await intake.accept([piece(2, 2, text="\ude00", html="<i>y</i>")])
    assert (second.conversation, second.n) == ("1", 1)
    with store.read() as connection:
        rows = store.statements(connection).rows("SELECT text, html FROM content")
    assert [tuple(row) for row in rows] == [("\ufffd😀", "<b>x</b><i>y</i>")]


@pytest.mark.parametrize("seed", range(3))
async def test_two_runners_that_get_a_piece_each_make_one_entry(store: Store, writer: Writer, seed: int) -> None:
    number = await writer.write(enter, Entrance(id="sms", kind="fake", label="SMS"))
    reception, line = Reception(Names(store.keys())), Line(number=number, id="sms")
    if store.is_sqlite:
        pytest.skip("a SQLite store has one runner")
    other = Writer(store)
    other.start()
    dice = random.Random(seed)
    try:
        for group in range(20):
            sender = Address("phone", f"+49{dice.randrange(2)}" if group % 2 else f"+49{group}00")
            events = [piece(n, 3, group=str(group), sender=sender, key=f"{group}-{n}") for n in (1, 2, 3)]
            submissions = [Submission(line=line, events=(event,)) for event in events]
            await asyncio.gather(*((writer, other)[at % 2].write(reception, one) for at, one in enumerate(submissions)))
    finally:
        await other.stop()
    with store.read() as connection:
        do = store.statements(connection)
        assert do.rows("SELECT count(*) FROM piece") == [(0,)]
        assert do.rows("SELECT count(*) FROM task") == [(0,)]
        assert {row[0] for row in do.rows("SELECT text FROM content")} == {"<1><2><3>"}
        assert do.rows("SELECT count(*) FROM entry") == [(20,)]


def test_an_event_is_kept_whole_until_the_others_are_there() -> None:
    event = Received(
        key="k",
        key_valid_s=3.5,
        part=Part(group="g", number=1),
        sender=ANN,
        text="\ud83d",
        folded=(Lines(1, 2, "quote"),),
        id="i",
        aliases=(BOB,),
        sender_name="Ann",
        cc=(BOB,),
        subject="s",
        html="<b>",
        choice="c",
        attachments=(_photo("a"), Attachment(name="n", media_type="m", content=Remote("r"), content_id="c")),
        thread=Thread(token="t", references=("a", "b"), hint="h", place="p", learns=True, shared=True),
        at=datetime(2026, 11, 30, tzinfo=UTC),
        window_until=datetime(2026, 12, 1, tzinfo=UTC),
        marks=("spam",),
        automatic=True,
        silent=True,
        acknowledgement=Acknowledgement(text="t", subject="s"),
        by_us=True,
    )
    assert read_event(written_event(event)) == event


def _photo(name: str) -> Attachment:
    return Attachment(name=name, media_type="image/png", content=Blob(name * 64, 3))
