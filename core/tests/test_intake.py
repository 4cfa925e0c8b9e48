"""The way in: bounded, durable before it returns, and nothing that was acknowledged is lost."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

import pytest
from attrs import evolve
from structlog.testing import capture_logs

from fernamt._runtime import storable
from fernamt._runtime.clock import SystemClock
from fernamt._runtime.intake import ChannelIntake, Room
from fernamt._store.blobs import open_blobs
from fernamt._store.channels import Entrance, enter
from fernamt._store.engine import Store
from fernamt._store.names import Names
from fernamt._store.reception import Line, Reception
from fernamt._store.writer import Writer
from fernamt.errors import NotStored, Rejected
from fernamt.inbound import (
    Accepted,
    Changed,
    Cursor,
    Fetch,
    Ignored,
    Receipt,
    Received,
    Renamed,
    Thread,
    Unparsed,
)
from fernamt.model import INLINE_MAX_BYTES, Address, Attachment, Blob, DeliveryState, Remote
from fernamt.session import Polled, SessionEvent

ANN = Address("phone", "+49301")
BIG = INLINE_MAX_BYTES + 1


class Impatient(SystemClock):
    """It says how long it would have slept."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


class Slow(Writer):
    """A writer that keeps what it is given until the test lets it go, or refuses it."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.held: asyncio.Queue[Callable[[], None]] | None = None
        self.refusals = 0

    def write(self, operation: Any, payload: Any) -> Any:
        if not isinstance(operation, Reception) or not (self.refusals or self.held):
            return super().write(operation, payload)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self.refusals:
            self.refusals -= 1
            future.set_exception(NotStored("away", after_s=7.0))
        elif self.held is not None:
            self.held.put_nowait(lambda: future.set_result(()))
        return future

    def hold(self) -> asyncio.Queue[Callable[[], None]]:
        self.held = Held()
        return self.held


class Held(asyncio.Queue[Callable[[], None]]):
    """It counts as something even when it is empty."""

    def __bool__(self) -> bool:
        return True


class Door:
    """An intake and what a test wants to know of the store."""

    def __init__(self, store: Store, writer: Slow, line: Line, room: Room) -> None:
        self.store, self.writer, self.line, self.room = store, writer, line, room
        self.clock = Impatient()
        self.blobs = open_blobs(store)
        names = Names(store.keys())
        self.intake = ChannelIntake(
            line, writer=writer, reception=Reception(names), blobs=self.blobs, room=room, clock=self.clock
        )

    async def accept(self, *events: Any, **more: Any) -> tuple[Accepted, ...]:
        return await self.intake.accept(events, **more)

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self.store.read() as connection:
            return [tuple(row) for row in self.store.statements(connection).rows(sql, values)]

    def count(self, table: str) -> int:
        return int(self.rows(f"SELECT count(*) FROM {table}")[0][0])

    def quarantined(self) -> list[tuple[str, bytes | None]]:
        rows = self.rows("SELECT q.reason, r.body FROM quarantine q LEFT JOIN raw r ON r.id = q.raw ORDER BY q.id")
        return [(reason, None if body is None else bytes(body)) for reason, body in rows]

    async def content(self, blob: Blob) -> bytes:
        return b"".join([piece async for piece in self.blobs.open(blob)])


@pytest.fixture
async def door(store: Store) -> AsyncIterator[Door]:
    writer = Slow(store)
    writer.start()
    number = await writer.write(enter, Entrance(id="chat", kind="fake", label="Chat"))
    yield Door(store, writer, Line(number=number, id="chat"), Room(events_max=4, bytes_max=10_000))
    await writer.stop()


def said(key: str, text: str = "Hallo", **more: Any) -> Received:
    return Received(key=key, id=key, sender=ANN, text=text, **more)


# ---- durable, once
async def test_what_was_accepted_is_on_disk_in_order_with_its_raw_bytes_and_its_cursor(door: Door) -> None:
    accepted = await door.accept(said("a"), said("b"), said("a"), raw=b"whole", cursor=Cursor("INBOX", "7:2"))
    assert [(one.n, one.repeat) for one in accepted] == [(1, False), (2, False), (1, True)]
    assert door.rows("SELECT key, raw FROM content ORDER BY entry") == [("a", 1), ("b", 1)]
    assert [bytes(body) for (body,) in door.rows("SELECT body FROM raw")] == [b"whole"]
    assert door.rows("SELECT name, value FROM cursor") == [("INBOX", "7:2")]


async def test_no_events_move_only_the_cursor(door: Door) -> None:
    assert await door.accept(cursor=Cursor("IN\0BOX", "7:\ud800")) == ()
    assert door.rows("SELECT name, value FROM cursor") == [("IN\N{REPLACEMENT CHARACTER}BOX", "7:?")]


async def test_a_cursor_does_not_move_without_its_events(door: Door) -> None:
    door.writer.refusals = 1
    with pytest.raises(NotStored):
        await door.accept(said("a"), cursor=Cursor("INBOX", "7:1"))
    assert door.count("cursor") == door.count("entry") == 0


# ---- bounds
async def test_beyond_its_bounds_it_refuses_at_once_and_takes_again_when_there_is_room(door: Door) -> None:
    held = door.writer.hold()
    waiting = [asyncio.create_task(door.accept(said(str(number)))) for number in range(4)]
    release = [await held.get() for _ in waiting]
    with pytest.raises(NotStored, match="full") as refused:
        await door.accept(said("5"))
    assert refused.value.after_s > 0
    for one in release:
        one()
    await asyncio.gather(*waiting)
    door.writer.held = None
    assert await door.accept(said("5"))


async def test_bytes_are_bounded_wherever_they_stand(door: Door) -> None:
    file = Attachment(name="a", media_type="image/png", content=b"x" * 6_000)
    for event, raw in (
        (said("a", "x" * 6_000), None),
        (said("a", html="x" * 6_000), None),
        (said("a"), b"x" * 6_000),
        (said("a", attachments=(file,)), None),
        (Unparsed(key="a", reason="r", raw=b"x" * 6_000), None),
    ):
        held = door.writer.hold()
        first = asyncio.create_task(door.accept(event, raw=raw))
        release = await held.get()
        with pytest.raises(NotStored, match="full"):
            await door.accept(event, raw=raw)
        release()
        await first


async def test_what_is_larger_than_all_the_room_passes_alone(door: Door) -> None:
    batch = [said(str(number)) for number in range(9)]
    accepted = await door.accept(*batch, raw=b"x" * 20_000)
    assert [one.n for one in accepted] == list(range(1, 10))


async def test_whoever_waits_goes_on_when_there_is_room(door: Door) -> None:
    held = door.writer.hold()
    first = [asyncio.create_task(door.accept(said(str(number)))) for number in range(4)]
    release = [await held.get() for _ in first]
    patient = [asyncio.create_task(door.accept(said(f"late{number}"), wait=True)) for number in range(2)]
    await asyncio.sleep(0)
    assert held.empty()
    door.writer.held = None
    release.pop()()
    done, _ = await asyncio.wait(patient, return_when=asyncio.FIRST_COMPLETED)
    assert [one.n for [one] in [task.result() for task in done]]
    await asyncio.gather(*patient)
    for one in release:
        one()
    await asyncio.gather(*first)
    assert door.clock.slept == []


async def test_whoever_waits_pauses_while_the_store_is_away_and_offers_all_of_it_again(door: Door) -> None:
    door.writer.refusals = 3
    [accepted] = await door.accept(said("a"), wait=True)
    assert accepted.n == 1
    assert door.clock.slept == [7.0] * 3


async def test_a_waiter_that_was_cancelled_takes_no_room_with_it(door: Door) -> None:
    held = door.writer.hold()
    first = [asyncio.create_task(door.accept(said(str(number)))) for number in range(4)]
    release = [await held.get() for _ in first]
    waiting = asyncio.create_task(door.accept(said("5"), wait=True))
    await asyncio.sleep(0)
    waiting.cancel()
    first[0].cancel()
    await asyncio.wait([waiting, first[0]])
    for one in release[1:]:
        one()
    await asyncio.gather(*first[1:])
    door.writer.held = None
    assert len(await door.accept(*[said(f"x{number}") for number in range(4)])) == 4
    assert door.room._is_empty()


# ---- blobs
@pytest.mark.parametrize("size", [0, 3, INLINE_MAX_BYTES, BIG])
async def test_the_bytes_of_an_attachment_are_in_the_blob_store_before_the_entry_names_them(
    door: Door, size: int
) -> None:
    content = b"x" * size
    remote = Attachment(name="c.png", media_type="image/png", content=Remote("id7"))
    file = Attachment(name="a.png", media_type="image/png", content=content, content_id="logo")
    await door.accept(said("a", attachments=(file, remote)))
    [(digest, owner)] = door.rows("SELECT digest, owner FROM blob_ref")
    assert owner == "entry:1"
    assert await door.content(Blob(digest, size)) == content
    [(attachments,)] = door.rows("SELECT attachments FROM content")
    assert '"ref":"id7"' in attachments
    assert '"cid":"logo"' in attachments


async def test_large_raw_bytes_become_a_blob(door: Door) -> None:
    raw = bytes(range(256)) * (BIG // 256 + 1)
    await door.accept(said("a"), raw=raw)
    [(body, digest)] = door.rows("SELECT body, digest FROM raw")
    assert body is None
    assert await door.content(Blob(digest, len(raw))) == raw
    assert door.rows("SELECT owner FROM blob_ref") == [("raw:1",)]


async def test_a_blob_that_cannot_be_stored_stores_nothing(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: object, **__: object) -> Blob:
        raise NotStored("the disk is full")

    monkeypatch.setattr(door.blobs, "put", full)
    file = Attachment(name="a", media_type="image/png", content=b"x")
    for events, raw in (((said("a", attachments=(file,)),), None), ((said("a"),), b"x" * BIG)):
        with pytest.raises(NotStored, match="disk is full"):
            await door.accept(*events, raw=raw)
    assert door.count("entry") == door.count("quarantine") == 0


# ---- whatever a connector brings
async def test_html_is_cleaned_and_large_html_in_a_thread(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []
    clean = storable.clean_html

    def noted(html: str) -> str:
        threads.append(threading.current_thread().name)
        return clean(html)

    monkeypatch.setattr(storable, "clean_html", noted)
    await door.accept(said("a", html="<p>small</p><script>x</script>"))
    await door.accept(said("b", html="<p>large</p><script>x</script>" * 700))
    with capture_logs() as logs:
        await door.accept(said("c", html="<div>" * 50_000))
    htmls = [row[0] for row in door.rows("SELECT html FROM content ORDER BY entry")]
    assert htmls[0] == "<p>small</p>"
    assert htmls[1] == "<p>large</p>" * 700
    assert htmls[2] is None
    assert [log["event"] for log in logs] == ["html_not_kept"]
    assert threads[0] == threading.main_thread().name
    assert threads[1] != threads[0]


WRONG: dict[str, Any] = {
    "no text at all": said("bad", text=None),  # type: ignore[arg-type]
    "a key that is no text": said(17),  # type: ignore[arg-type]
    "no key": said(""),
    "nobody wrote it": Received(key="bad", sender=Address("email", "")),
    "a sender who is none": Received(key="bad", sender=None),  # type: ignore[arg-type]
    "a time that is no time": said("bad", at="yesterday"),
    "an id that is no text": Received(key="bad", id=17, sender=ANN),  # type: ignore[arg-type]
    "a receipt at a time without a zone": Receipt(key="bad", state=DeliveryState.SENT, at=datetime(2026, 1, 1)),  # noqa: DTZ001
    "a receipt whose error is none": Receipt(key="bad", state=DeliveryState.FAILED, error="oops"),  # type: ignore[arg-type]
    "a blob that is none": said("bad", attachments=(Attachment(name="a", media_type="b", content=None),)),  # type: ignore[arg-type]
    "a number beyond 64 bits": Received(key="bad", sender=ANN, key_valid_s=1e300, window_until=2**70),  # type: ignore[arg-type]
    "no event": {"text": "Hallo"},
    "nothing": None,
}


async def test_an_event_that_no_code_foresaw_is_kept_in_quarantine_and_its_neighbours_go_on(door: Door) -> None:
    for number, (label, wrong) in enumerate(WRONG.items()):
        event = evolve(wrong, key=f"bad{number}") if getattr(wrong, "key", "") == "bad" else wrong
        batch = (said(f"before{number}"), event, said(f"after{number}"))
        with capture_logs() as logs:
            accepted = await door.accept(*batch, raw=label.encode())
        assert [one.n for one in accepted] == [2 * number + 1, None, 2 * number + 2], label
        assert [log["event"] for log in logs].count("event_not_storable") == 1, label
        assert len(door.quarantined()) == number + 1, label
    assert [body for _, body in door.quarantined()] == [label.encode() for label in WRONG]


async def test_without_raw_bytes_all_of_such_an_event_is_kept_for_a_person(door: Door) -> None:
    with capture_logs():
        await door.accept(Received(key="bad", sender=Address("email", ""), text="Meine Heizung ist kalt \ud800"))
    [(reason, body)] = door.quarantined()
    assert "somebody in it has no address" in reason
    assert body is not None
    assert b"Meine Heizung ist kalt" in body


async def test_such_an_event_is_kept_once_however_often_it_is_offered(door: Door) -> None:
    with capture_logs():
        for event in (said("bad", text=None), said("")):  # type: ignore[arg-type]
            first = await door.accept(event, raw=b"whole")
            again = await door.accept(event, raw=b"whole")
            assert (first[0].repeat, again[0].repeat) == (False, True)
    assert len(door.quarantined()) == 2


async def test_two_events_without_a_key_are_both_kept(door: Door) -> None:
    with capture_logs():
        await door.accept(said("", "one"), said("", "two"))
        await door.accept(said("", "one"), said("", "two"), raw=b"whole")
    assert len(door.quarantined()) == 4


async def test_a_cursor_moves_past_an_event_that_cannot_be_stored(door: Door) -> None:
    with capture_logs():
        await door.accept(said("a"), said("bad", text=None), cursor=Cursor("INBOX", "7:2"))  # type: ignore[arg-type]
    assert door.rows("SELECT value FROM cursor") == [("7:2",)]


@pytest.mark.parametrize("store_url", ["postgres"], indirect=True)
async def test_a_cursor_that_no_index_takes_is_not_said_to_be_stored(door: Door) -> None:
    with pytest.raises(Exception, match="index row"):
        await door.accept(cursor=Cursor(token_hex(9_000), "7:2"))


async def test_events_that_are_not_run_yet_are_kept_in_quarantine(door: Door) -> None:
    call = SessionEvent(key="c", session="s", address=ANN, at=datetime.now(UTC), what=Polled())
    accepted = await door.accept(
        Fetch("7"),
        call,
        Changed(key="e", id="nobody", kind="edited"),
        Ignored(reason="typing"),
        said("a"),
        raw=b"whole",
    )
    assert [one.n for one in accepted] == [None, None, None, None, 1]
    assert [body for _, body in door.quarantined()] == [b"whole"] * 3


async def test_two_mails_with_one_message_id_are_both_stored_and_the_first_keeps_the_id(door: Door) -> None:
    first, second = (
        Received(key=key, id="<same@example.org>", sender=ANN, thread=Thread(place=key)) for key in ("uid1", "uid2")
    )
    await door.accept(first)
    with capture_logs() as logs:
        [accepted] = await door.accept(second)
    assert (accepted.n, accepted.repeat) == (1, False)
    assert "event_not_storable" not in [log["event"] for log in logs]
    [joined] = await door.accept(said("c", thread=Thread(references=("<same@example.org>",), place="c")))
    assert joined.conversation == "1"


async def test_a_person_that_was_renamed_goes_on_in_one_transaction(door: Door) -> None:
    new = Address("phone", "+49302")
    await door.accept(said("a"))
    accepted = await door.accept(Renamed(key="r", old=ANN, new=new), Received(key="b", sender=new, text="ich bin's"))
    assert accepted[1].conversation == "1"
    assert door.count("customer") == 1


async def test_a_mail_with_endless_references_is_stored(door: Door) -> None:
    references = tuple(f"<{number}@example.org>" for number in range(200_000))
    [accepted] = await door.accept(said("a", thread=Thread(references=references)))
    assert accepted.n == 1


async def test_a_failed_receipt_is_stored_whatever_it_says(door: Door) -> None:
    why = Rejected("no \0body \ud800", code="\0")
    await door.accept(Receipt(key="r", state=DeliveryState.FAILED, id="later\0", error=why))
    assert door.rows("SELECT reason FROM early_receipt") == [("no \N{REPLACEMENT CHARACTER}body ?",)]
