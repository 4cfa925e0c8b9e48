"""What people are shown of a store, filled by the ways by which it is really filled. On both engines."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from fernamt._runtime.clock import SystemClock
from fernamt._store.channels import ChannelState, note_state
from fernamt._store.claims import Claim, Wish, take
from fernamt._store.deliveries import Attempt, Beginning, Result, begin, finish, open_deliveries
from fernamt._store.desk import Composition, compose
from fernamt._store.engine import Store
from fernamt._store.reception import Line, Submission
from fernamt._store.verdicts import Verdict, decide, release
from fernamt._store.views.channels import channel_names, channel_views, is_served
from fernamt._store.views.conversation import ConversationView, conversation_view, exists
from fernamt._store.views.deliveries import deliveries_numbered, uncertain_deliveries
from fernamt._store.views.inbox import TROUBLE_ENTRIES, InboxLine, count_by_state, inbox_page
from fernamt._store.views.quarantine import quarantined, quarantined_item
from fernamt._store.views.raw import raw_of_entry, raw_of_quarantined
from fernamt.inbound import InboundEvent, Receipt, Received, Thread, Unparsed
from fernamt.model import Address, Attachment, Blob, ConversationState, DeliveryState, Remote, microseconds

from .stage import Bare

ANN, BOB, EVE = (Address("email", f"{name}@example.org") for name in ("ann", "bob", "eve"))
OPEN, WAITING, SOLVED, TOLD = ConversationState


class Desk(Bare):
    """A store with two channels, at which things happen."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.mail, self.chat = (self.channel(name) for name in ("mail", "chat"))
        self._claims: dict[str, Claim] = {}

    def take(self, *events: InboundEvent, line: Line | None = None, raw: bytes | Blob | None = b"raw") -> int:
        accepted = self.run(self.reception, Submission(line=line or self.mail, events=events, raw=raw))
        return int(accepted[-1].conversation or 0)

    def mailed(self, key: str, sender: Address = ANN, text: str = "text", **more: Any) -> int:
        more.setdefault("thread", Thread(place=key))
        return self.take(Received(key=key, id=f"<{key}>", sender=sender, text=text, **more))

    def write(self, conversation: int, kind: str = "sent", text: str = "answer", **more: Any) -> tuple[int, ...]:
        composition = Composition(conversation=conversation, kind=kind, author="agent:maria", text=text, **more)
        deliveries: tuple[int, ...] = self.run(compose, composition).deliveries
        return deliveries

    def claim(self, line: Line) -> Claim:
        if line.id not in self._claims:
            wish = Wish(key=f"channel:{line.id}", owner="test", lease_us=60_000_000)
            self._claims[line.id] = self.run(take, wish)
        return self._claims[line.id]

    def attempt(self, delivery: int, state: DeliveryState, line: Line | None = None, **more: Any) -> None:
        """Make one attempt that ends in *state*."""
        line = line or self.mail
        with self.store.read() as connection:
            queued = open_deliveries(self.store.statements(connection), line.number, 10_000)
        [one] = [one for one in queued if one.id == delivery]
        claim = self.claim(line)
        assert self.run(begin, Beginning(claim=claim, channel=line.number, attempts=[Attempt(one)]))
        n = one.attempts + 1
        more.setdefault("outcome", "sent" if state == DeliveryState.SENT else "Unreachable")
        self.run(finish, [Result(channel=line.number, delivery=delivery, n=n, state=state, **more)])

    def inbox(self, *states: ConversationState, on: str = "", limit: int = 50) -> tuple[InboxLine, ...]:
        with self.store.read() as connection:
            return inbox_page(connection, states=states, on=on, limit=limit)

    def view(self, number: int) -> ConversationView:
        with self.store.read() as connection:
            found = conversation_view(connection, number)
        assert found is not None
        return found


@pytest.fixture
def desk(store: Store) -> Iterator[Desk]:
    desk = Desk(store)
    with closing(desk.session):
        yield desk


# ---- the inbox
def test_an_empty_store_has_an_empty_inbox(desk: Desk) -> None:
    assert desk.inbox() == ()
    with desk.store.read() as connection:
        assert count_by_state(connection) == {}


def test_a_line_of_the_inbox_says_who_about_what_where_and_when(desk: Desk) -> None:
    number = desk.mailed("a", subject="The lamp", sender_name="Ann", text="It does not work.")
    [line] = desk.inbox()
    assert line.number == number
    assert (line.customer, line.address) == ("Ann", ANN)
    assert (line.subject, line.text, line.author) == ("The lamp", "It does not work.", "")
    assert (line.kind, line.state, line.channel, line.entries) == ("support", OPEN, "mail", 1)
    assert (line.waiting, line.uncertain, line.failed) == (0, 0, 0)
    assert abs(line.at - desk.store.clock.now()) < timedelta(minutes=1)


def test_the_conversation_that_moved_last_stands_first(desk: Desk) -> None:
    first, second = desk.mailed("a"), desk.mailed("b", BOB)
    assert [line.number for line in desk.inbox()] == [second, first]
    desk.write(first, "note")
    assert [line.number for line in desk.inbox()] == [first, second]


def test_the_subject_is_the_first_message_s_and_the_text_the_newest_one_s(desk: Desk) -> None:
    number = desk.mailed("a", subject="The lamp", text="It does not work.")
    desk.write(number, text="Is it plugged in?")
    desk.mailed("b", subject="Re: The lamp", text="Yes!", thread=Thread(token=desk.names.reply_token(number)))
    desk.write(number, "note", text="a note is no message")
    [line] = desk.inbox()
    assert (line.subject, line.text, line.author, line.entries) == ("The lamp", "Yes!", "", 4)
    desk.write(number, text="Then we send another one.")
    [line] = desk.inbox()
    assert (line.text, line.author) == ("Then we send another one.", "agent:maria")


def test_the_inbox_is_narrowed_by_state_by_channel_and_by_number(desk: Desk) -> None:
    a, b = desk.mailed("a"), desk.mailed("b", BOB)
    c = desk.take(Received(key="c", sender=EVE, text="hello"), line=desk.chat)
    desk.write(a)
    desk.write(b, "solved")
    assert [line.number for line in desk.inbox(OPEN)] == [c]
    assert [line.number for line in desk.inbox(WAITING)] == [a]
    assert [line.number for line in desk.inbox(OPEN, WAITING)] == [a, c]
    assert [line.number for line in desk.inbox(SOLVED)] == [b]
    assert [line.number for line in desk.inbox(on="chat")] == [c]
    assert [line.number for line in desk.inbox(on="mail")] == [b, a]
    assert desk.inbox(on="nowhere") == ()
    assert [line.number for line in desk.inbox(limit=2)] == [b, a]
    with desk.store.read() as connection:
        assert count_by_state(connection) == {OPEN: 1, WAITING: 1, SOLVED: 1}


def test_the_inbox_shows_what_waits_what_is_uncertain_and_what_failed_with_the_newest_answer(desk: Desk) -> None:
    number = desk.mailed("a")
    first, second, third = desk.write(number, cc=(BOB, EVE))
    [line] = desk.inbox()
    assert (line.waiting, line.uncertain, line.failed) == (3, 0, 0)
    desk.attempt(first, DeliveryState.FAILED)
    desk.attempt(second, DeliveryState.UNCERTAIN)
    [line] = desk.inbox()
    assert (line.waiting, line.uncertain, line.failed) == (1, 1, 1)
    desk.attempt(third, DeliveryState.SENT)
    desk.write(number, text="once more")
    [line] = desk.inbox()
    assert (line.waiting, line.uncertain, line.failed) == (1, 1, 0), "a newer answer says more than an old failure"


def test_the_inbox_reads_no_more_for_many_conversations_than_for_few(desk: Desk) -> None:
    desk.write(desk.mailed("a"))
    few = _statements(desk)
    for number in range(20):
        desk.write(desk.mailed(f"b{number}", Address("email", f"{number}@example.org")))
    assert len(desk.inbox()) == 21
    assert _statements(desk) == few


def _statements(desk: Desk) -> int:
    with desk.store.read() as connection:
        ran: list[str] = []
        sa.event.listen(connection, "before_cursor_execute", lambda *told: ran.append(told[2]))
        inbox_page(connection, limit=50)
    return len(ran)


def test_the_lists_follow_indices_and_scan_no_table_that_grows(sqlite_template: Path, tmp_path: Path) -> None:
    shutil.copy(sqlite_template, tmp_path / "fernamt.db")
    store = Store.open(f"sqlite:///{tmp_path}/fernamt.db", SystemClock())
    with closing(store), store.read() as connection:
        ran: list[tuple[str, Any]] = []
        sa.event.listen(connection, "before_cursor_execute", lambda *told: ran.append((told[2], told[3])))
        inbox_page(connection, limit=50)
        inbox_page(connection, states=[OPEN], on="mail", limit=50)
        channel_views(connection)
        uncertain_deliveries(connection, limit=50)
        plans = [
            row.detail
            for sql, values in tuple(ran)
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)
        ]
    scans = {plan for plan in plans if plan.startswith("SCAN") and not plan.startswith("SCAN channel")}
    assert scans == {
        "SCAN (subquery-1)",
        "SCAN page",
        "SCAN CONSTANT ROW",
        "SCAN conversation USING INDEX ix_conversation_last_entry",  # down from the newest one, as far as the page goes
        "SCAN conversation USING INDEX ix_conversation_told",  # the same, with --all
        "SCAN end0",
        "SCAN end1",
        "SCAN delivery USING INDEX ix_delivery_open",
        "SCAN delivery USING INDEX ix_delivery_uncertain",
        "SCAN link",  # which are made one by one, by people; and only where the inbox is narrowed to a channel
        "SCAN tied",
    }


def test_trouble_is_looked_for_in_the_newest_entries_only(desk: Desk) -> None:
    number = desk.mailed("a")
    desk.write(number)
    for _ in range(TROUBLE_ENTRIES - 1):
        desk.write(number, "note")
    assert desk.inbox()[0].waiting == 1
    desk.write(number, "note")
    assert desk.inbox()[0].waiting == 0


# ---- one conversation
def test_a_conversation_is_shown_with_everything_in_it(desk: Desk) -> None:
    picture = Attachment(name="a.png", media_type="image/png", content=Blob("0" * 64, 7))
    remote = Attachment(name="b.png", media_type="image/png", content=Remote("ref"))
    number = desk.mailed("a", subject="Lamp", sender_name="Ann", attachments=(picture, remote), cc=(BOB,))
    desk.write(number, "note", "look at this")
    desk.write(number, text="thanks")
    view = desk.view(number)
    assert (view.number, view.customer, view.addresses, view.participants) == (number, "Ann", (ANN,), (BOB,))
    assert (view.kind, view.state, view.subject) == ("support", WAITING, "Lamp")
    assert [(entry.n, entry.kind, entry.author, entry.channel, entry.text) for entry in view.entries] == [
        (1, "received", str(ANN), "mail", "text"),
        (2, "note", "agent:maria", "", "look at this"),
        (3, "sent", "agent:maria", "mail", "thanks"),
    ]
    received, note, sent = view.entries
    assert received.attachments == (picture, remote)
    assert received.data["sender_name"] == "Ann"
    assert received.provider_id == "<a>"
    assert [entry.has_raw for entry in view.entries] == [True, False, False]
    assert note.deliveries == ()
    assert [(one.to, one.state, one.n) for one in sent.deliveries] == [(ANN, DeliveryState.QUEUED, 3)]


def test_a_conversation_that_does_not_exist_is_none(desk: Desk) -> None:
    number = desk.mailed("a")
    with desk.store.read() as connection:
        assert conversation_view(connection, number + 1) is None
        assert exists(connection, number)
        assert not exists(connection, number + 1)


def test_a_delivery_tells_its_attempts_and_what_became_known(desk: Desk) -> None:
    [delivery] = desk.write(desk.mailed("a"))
    desk.attempt(delivery, DeliveryState.QUEUED, reason="no connection", code="111", after_us=5_000_000)
    desk.attempt(delivery, DeliveryState.SENT, ids=("<x@y>",))
    desk.take(Receipt(key="r", state=DeliveryState.DELIVERED, id="<x@y>"))
    with desk.store.read() as connection:
        [view] = deliveries_numbered(connection, [delivery, 999])
    assert (view.number, view.state, view.tried, view.ids) == (delivery, DeliveryState.DELIVERED, 2, ("<x@y>",))
    assert [(one.n, one.outcome, one.reason, one.code) for one in view.attempts] == [
        (1, "Unreachable", "no connection", "111"),
        (2, "sent", "", ""),
    ]
    assert all(one.ended_at is not None and one.ended_at >= one.started_at for one in view.attempts)
    assert [(fact.state, fact.source) for fact in view.facts] == [(DeliveryState.DELIVERED, "receipt")]
    assert (view.channel, view.channel_state, view.text) == ("mail", "starting", "answer")


def test_a_queued_delivery_says_when_it_goes_again(desk: Desk) -> None:
    [delivery] = desk.write(desk.mailed("a"))
    desk.attempt(delivery, DeliveryState.QUEUED, reason="no connection", after_us=240_000_000)
    with desk.store.read() as connection:
        [view] = deliveries_numbered(connection, [delivery])
    assert (view.state, view.reason) == (DeliveryState.QUEUED, "no connection")
    assert view.next_at == view.changed_at + timedelta(minutes=4)


def test_uncertain_deliveries_are_listed_oldest_first_until_somebody_settles_them(desk: Desk) -> None:
    deliveries = desk.write(desk.mailed("a"), cc=(BOB, EVE))
    for delivery in deliveries:
        desk.attempt(delivery, DeliveryState.UNCERTAIN, reason="reset")
    with desk.store.read() as connection:
        assert [one.number for one in uncertain_deliveries(connection, limit=9)] == list(deliveries)
        assert [one.number for one in uncertain_deliveries(connection, limit=2)] == list(deliveries[:2])
    desk.run(decide, Verdict(delivery=deliveries[0], sent=True, by="agent:maria"))
    desk.run(decide, Verdict(delivery=deliveries[1], sent=False, by="agent:maria"))
    with desk.store.read() as connection:
        assert [one.number for one in uncertain_deliveries(connection, limit=9)] == [deliveries[2]]


# ---- raw bytes and the quarantine
def test_the_bytes_of_an_entry_are_given_back_or_the_blob_that_holds_them(desk: Desk) -> None:
    blob = Blob("a" * 64, 99_999)
    small = desk.take(Received(key="s", sender=ANN), raw=b"\x00bytes\xff")
    large = desk.take(Received(key="l", sender=BOB), raw=blob)
    desk.write(small)
    with desk.store.read() as connection:
        assert raw_of_entry(connection, small, 1) == (b"\x00bytes\xff",)
        assert raw_of_entry(connection, large, 1) == (Blob(blob.digest, 0),)
        assert raw_of_entry(connection, small, 2) == ()
        assert raw_of_entry(connection, small, 9) == ()


def test_the_quarantine_shows_what_waits_and_one_item_even_when_it_is_done(desk: Desk) -> None:
    with desk.store.read() as connection:
        assert quarantined(connection, limit=9) == ()
    desk.take(Unparsed(key="a", reason="no such field", raw=b"{}"))
    desk.take(Unparsed(key="b", reason="what is this"), raw=Blob("b" * 64, 70_000))
    desk.take(Unparsed(key="c", reason="nothing kept"), raw=None)
    with desk.store.read() as connection:
        views = quarantined(connection, limit=9)
        assert len(quarantined(connection, limit=2)) == 2
        assert raw_of_quarantined(connection, views[0].number) == b"{}"
        assert raw_of_quarantined(connection, views[2].number) is None
    assert [(one.channel, one.reason, one.size, one.has_raw) for one in views] == [
        ("mail", "no such field", 2, True),
        ("mail", "what is this", None, True),
        ("mail", "nothing kept", None, False),
    ]
    desk.run(release, views[0].number)
    with desk.store.read() as connection:
        assert [one.number for one in quarantined(connection, limit=9)] == [one.number for one in views[1:]]
        item = quarantined_item(connection, views[0].number)
        assert item is not None
        assert item.settled_at is not None
        assert quarantined_item(connection, 999) is None


# ---- the channels
def test_the_channels_are_shown_as_the_daemon_left_them(desk: Desk) -> None:
    desk.run(note_state, ChannelState(number=desk.mail.number, state="needs-login", reason="wrong password"))
    first, _second = desk.write(desk.mailed("a"), cc=(BOB,))
    desk.attempt(first, DeliveryState.UNCERTAIN)
    with desk.store.read() as connection:
        chat, mail = channel_views(connection)
        assert channel_names(connection) == {desk.mail.number: "mail", desk.chat.number: "chat"}
    assert (mail.id, mail.label, mail.kind, mail.state, mail.reason) == (
        "mail",
        "Mail",
        "kind.mail",
        "needs-login",
        "wrong password",
    )
    assert (mail.queued, mail.uncertain) == (1, 1)
    assert mail.newest_at is not None
    assert (chat.id, chat.state, chat.queued, chat.uncertain, chat.newest_at) == ("chat", "starting", 0, 0, None)


def test_a_channel_is_in_its_state_since_it_came_into_it_whatever_the_reason_says(desk: Desk) -> None:
    def since() -> object:
        with desk.store.read() as connection:
            return channel_views(connection)[1].since

    desk.run(note_state, ChannelState(number=desk.mail.number, state="up"))
    up = since()
    desk.run(note_state, ChannelState(number=desk.mail.number, state="up", reason="7 mails"))
    assert since() == up
    desk.run(note_state, ChannelState(number=desk.mail.number, state="down", reason="7 mails"))
    assert since() != up


def test_a_store_is_served_while_somebody_holds_a_claim(desk: Desk) -> None:
    now_us = microseconds(desk.store.clock.now())
    with desk.store.read() as connection:
        assert not is_served(connection, now_us)
    desk.claim(desk.mail)
    with desk.store.read() as connection:
        assert is_served(connection, now_us)
        assert not is_served(connection, now_us + 3_600_000_000)
