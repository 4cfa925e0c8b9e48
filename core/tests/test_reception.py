"""What becomes of what comes in: once, in order, in the right conversation. On both engines."""

import gc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from fernamt._store.desk import Composition, compose
from fernamt._store.engine import Store
from fernamt._store.names import Names
from fernamt._store.reception import Line, Reception, Submission
from fernamt._store.transaction import WriteSession
from fernamt.errors import OptedOut
from fernamt.inbound import (
    Accepted,
    Changed,
    Consent,
    Cursor,
    Ignored,
    InboundEvent,
    Receipt,
    Received,
    Renamed,
    Thread,
    Unparsed,
)
from fernamt.model import Address, Attachment, Blob, DeliveryState

ANN, BOB, EVE = (Address("email", f"{name}@example.org") for name in ("ann", "bob", "eve"))
MAIL = Line(number=1, id="mail")
CHAT = Line(number=2, id="chat")


class Desk:
    """The store's two doors for a test: what comes in, and what people write."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.names = Names(store.keys())
        self.session: WriteSession = store.session()
        self.reception = Reception(self.names)
        with self.session.transaction() as tx:
            for line in (MAIL, CHAT):
                tx.do.one(
                    "INSERT INTO channel (id, name, kind, label, state, reason, changed_at) VALUES (?, ?, '', '', 'up', '', 0)",
                    (line.number, line.id),
                )

    def take(self, *events: InboundEvent, line: Line = MAIL, cursor: Cursor | None = None) -> list[Accepted]:
        """Let the events arrive in one transaction, each in a submission of its own."""
        submissions = [Submission(line=line, events=(event,), raw=b"raw", cursor=cursor) for event in events]
        with self.session.transaction() as tx:
            return [accepted for one in self.reception(tx, submissions) for accepted in one]

    def write(self, **composition: Any) -> int:
        with self.session.transaction() as tx:
            [done] = compose(tx, [Composition(author="agent:maria", **composition)])
        if isinstance(done, Exception):
            raise done
        return done.deliveries[0] if done.deliveries else 0

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.store.read() as connection:
            return [tuple(row) for row in self.store.statements(connection).rows(sql, values)]

    def log(self, conversation: int) -> list[tuple[int, str]]:
        return self.rows("SELECT n, kind FROM entry WHERE conversation = ? ORDER BY id", conversation)


@pytest.fixture
def desk(store: Store) -> Iterator[Desk]:
    desk = Desk(store)
    yield desk
    desk.session.close()


def mail(key: str, sender: Address = ANN, **more: Any) -> Received:
    """A mail: it has a place of its own, so it joins nothing by its sender alone."""
    more.setdefault("thread", Thread(place=key))
    return Received(key=key, id=f"<{key}>", sender=sender, text=f"text of {key}", **more)


def chat(key: str, sender: Address = ANN, **more: Any) -> Received:
    return Received(key=key, id=key, sender=sender, text=f"text of {key}", **more)


def numbers(accepted: list[Accepted]) -> list[tuple[str | None, int | None, bool]]:
    return [(one.conversation, one.n, one.repeat) for one in accepted]


def test_a_first_message_opens_conversation_one_with_entry_one(desk: Desk) -> None:
    assert numbers(desk.take(mail("a"))) == [("1", 1, False)]
    assert desk.log(1) == [(1, "received")]


def test_what_a_transaction_planned_is_freed_at_its_end_and_does_not_wait_for_the_garbage_collector(desk: Desk) -> None:
    desk.take(mail("1"))
    gc.collect()
    gc.disable()
    try:
        desk.take(*(mail(str(number)) for number in range(2, 34)))
        left = gc.collect()
    finally:
        gc.enable()
    assert left < 32, "less than an object a message: a ring of references keeps all of them in memory"


@pytest.mark.parametrize("together", [True, False])
def test_a_repeat_makes_no_entry_and_gets_the_first_ones_answer(desk: Desk, together: bool) -> None:
    events = [mail("a"), mail("b"), mail("a")]
    accepted = desk.take(*events) if together else [desk.take(event)[0] for event in events]
    assert numbers(accepted) == [("1", 1, False), ("2", 1, False), ("1", 1, True)]
    assert desk.rows("SELECT count(*) FROM entry") == [(2,)]


def test_the_same_key_on_another_channel_is_another_message(desk: Desk) -> None:
    desk.take(mail("a"))
    assert not desk.take(mail("a"), line=CHAT)[0].repeat


@pytest.mark.parametrize("together", [True, False])
def test_what_one_sender_writes_to_a_messenger_is_one_conversation_numbered_without_a_gap(
    desk: Desk, together: bool
) -> None:
    events = [chat(f"m{i}") for i in range(5)]
    accepted = desk.take(*events, line=CHAT) if together else [desk.take(e, line=CHAT)[0] for e in events]
    assert numbers(accepted) == [("1", n, False) for n in range(1, 6)]
    assert desk.log(1) == [(n, "received") for n in range(1, 6)]


def test_two_mails_of_one_customer_are_two_conversations_of_one_customer(desk: Desk) -> None:
    assert numbers(desk.take(mail("a"), mail("b"))) == [("1", 1, False), ("2", 1, False)]
    assert desk.rows("SELECT DISTINCT customer FROM conversation") == [(1,)]


def test_a_reference_joins_for_the_customer_and_not_for_a_stranger(desk: Desk) -> None:
    desk.take(mail("a"))
    again = Thread(references=("<unknown>", "<a>"), place="x")
    assert numbers(desk.take(mail("b", thread=again))) == [("1", 2, False)]
    assert numbers(desk.take(mail("c", EVE, thread=again))) == [("2", 1, False)]


def test_a_reference_to_a_message_whose_key_is_its_id_joins(desk: Desk) -> None:
    desk.take(Received(key="same", id="same", sender=ANN, thread=Thread(place="p")))
    assert desk.take(mail("b", thread=Thread(references=("same",), place="q")))[0].conversation == "1"


def test_somebody_in_copy_takes_part_and_joins_by_reference(desk: Desk) -> None:
    desk.take(mail("a", cc=(BOB,)))
    assert numbers(desk.take(mail("b", BOB, thread=Thread(references=("<a>",))))) == [("1", 2, False)]


@pytest.mark.parametrize("spelled", [str.lower, str.upper])
def test_a_reply_token_joins_whoever_brings_it(desk: Desk, spelled: Callable[[str], str]) -> None:
    desk.take(mail("a"))
    token = spelled(desk.names.reply_token(1))
    assert numbers(desk.take(mail("b", BOB, thread=Thread(token=token, place="b")))) == [("1", 2, False)]
    assert desk.take(mail("c", BOB, thread=Thread(references=("<a>",), place="c")))[0].conversation == "1"


@pytest.mark.parametrize("token", ["", "1", "1-", "1-aaaaaaaaaaaaaaaa", "zz-", "-", "1-ä", "9999999999999-x"])
def test_a_forged_reply_token_joins_nothing(desk: Desk, token: str) -> None:
    desk.take(mail("a"))
    assert desk.take(mail("b", EVE, thread=Thread(token=token, place="b")))[0].conversation == "2"


ROOM = Thread(place="room", shared=True)


@pytest.mark.parametrize("together", [True, False])
def test_whoever_writes_at_a_shared_place_joins_the_one_conversation_there(desk: Desk, together: bool) -> None:
    events = [chat("a", ANN, thread=ROOM), chat("b", BOB, thread=ROOM), chat("c", ANN, thread=ROOM)]
    accepted = desk.take(*events, line=CHAT) if together else [desk.take(event, line=CHAT)[0] for event in events]
    assert numbers(accepted) == [("1", 1, False), ("1", 2, False), ("1", 3, False)]
    taking_part = "SELECT a.handle FROM participant p JOIN address a ON a.id = p.address WHERE p.conversation = 1"
    assert desk.rows(taking_part) == [(str(BOB),)]
    assert desk.rows("SELECT c.id FROM conversation c JOIN address a ON a.customer = c.customer") == [(1,)]


def test_a_shared_place_is_one_on_its_channel_only_and_not_the_same_as_ones_own(desk: Desk) -> None:
    desk.take(chat("a", ANN, thread=ROOM), line=CHAT)
    alone = Thread(place="room")
    assert desk.take(chat("b", ANN, thread=alone), line=CHAT)[0].conversation == "2"
    assert desk.take(chat("c", BOB, thread=alone), line=CHAT)[0].conversation == "3"
    assert desk.take(chat("d", BOB, thread=ROOM), line=MAIL)[0].conversation == "4"
    assert desk.take(chat("e", EVE, thread=Thread(place="other", shared=True)), line=CHAT)[0].conversation == "5"


def test_what_is_shared_without_a_place_is_everybodys_own(desk: Desk) -> None:
    nowhere = Thread(shared=True)
    events = [chat("a", ANN, thread=nowhere), chat("b", BOB, thread=nowhere), chat("c", ANN, thread=nowhere)]
    assert [desk.take(event, line=CHAT)[0].conversation for event in events] == ["1", "2", "1"]


def test_an_answer_in_a_room_to_somebody_elses_message_stays_in_its_conversation(desk: Desk) -> None:
    desk.take(chat("a", ANN, thread=ROOM), line=CHAT)
    answer = Thread(place="room", shared=True, references=("a",))
    assert numbers(desk.take(chat("b", BOB, thread=answer), line=CHAT)) == [("1", 2, False)]


def test_a_room_whose_concern_was_solved_long_ago_begins_a_new_one_for_all(desk: Desk) -> None:
    over = Line(number=2, id="chat", reopen_days=-1.0)
    desk.take(chat("a", ANN, thread=ROOM), line=CHAT)
    desk.write(conversation=1, kind="solved")
    assert desk.take(chat("b", BOB, thread=ROOM), line=over)[0].conversation == "2"
    assert desk.take(chat("c", ANN, thread=ROOM), line=CHAT)[0].conversation == "2"


def test_a_solved_conversation_reopens_within_the_time_and_is_followed_by_a_new_one_after_it(desk: Desk) -> None:
    desk.take(chat("m1"), line=CHAT)
    desk.write(conversation=1, kind="solved")
    assert desk.take(chat("m2"), line=CHAT)[0].n == 4
    assert desk.log(1) == [(1, "received"), (2, "solved"), (3, "reopened"), (4, "received")]
    desk.write(conversation=1, kind="solved")
    late = evolve(CHAT, reopen_days=0.0)
    assert numbers(desk.take(chat("m3"), line=late)) == [("2", 1, False)]
    assert '"follows":1' in desk.rows("SELECT data FROM content WHERE key = 'm3'")[0][0]
    assert desk.take(chat("m4"), line=CHAT)[0].conversation == "2"


def test_the_state_follows_from_the_entries(desk: Desk) -> None:
    desk.take(chat("m1"), line=CHAT)
    states = []
    for step in (
        lambda: desk.write(conversation=1, kind="sent", text="hello"),
        lambda: desk.write(conversation=1, kind="note", text="hm"),
        lambda: desk.take(chat("m2"), line=CHAT),
        lambda: desk.write(conversation=1, kind="solved"),
    ):
        step()
        states += desk.rows("SELECT state FROM conversation")
    assert states == [("waiting",), ("waiting",), ("open",), ("solved",)]


def test_a_weak_key_is_a_repeat_only_while_it_is_valid(desk: Desk) -> None:
    weak = Received(key="ja", sender=ANN, text="Ja", key_valid_s=3600)
    assert [one.repeat for one in desk.take(weak, weak, line=CHAT)] == [False, True]
    assert not desk.take(evolve(weak, key_valid_s=0.0), line=CHAT)[0].repeat
    assert desk.take(weak, line=CHAT)[0].n == 2


def test_an_alias_that_the_provider_vouches_for_is_the_same_customer(desk: Desk) -> None:
    phone, user = Address("phone", "+4930123456"), Address("whatsapp", "u1")
    desk.take(chat("m1", phone), line=CHAT)
    desk.take(chat("m2", user, aliases=(phone,)), line=CHAT)
    assert desk.rows("SELECT DISTINCT customer FROM address") == [(1,)]


def test_a_renamed_person_goes_on_in_the_same_conversation(desk: Desk) -> None:
    old, new = Address("whatsapp", "u1"), Address("whatsapp", "u2")
    desk.take(chat("m1", old), Renamed(key="r", old=old, new=new), chat("m2", new), line=CHAT)
    assert desk.log(1) == [(1, "received"), (2, "received")]


def test_an_edit_is_an_entry_about_an_entry_and_of_an_unknown_message_is_kept_in_quarantine(desk: Desk) -> None:
    desk.take(chat("m1"), Changed(key="e1", id="m1", kind="edited", text="better"), line=CHAT)
    assert desk.log(1) == [(1, "received"), (2, "edited")]
    desk.take(Changed(key="e2", id="nobody", kind="deleted"), line=CHAT)
    assert desk.rows("SELECT count(*) FROM quarantine") == [(1,)]


def test_one_bad_element_is_quarantined_with_its_bytes_and_its_neighbours_go_on(desk: Desk) -> None:
    events = (chat("m1"), Unparsed(key="x", reason="no sender", raw=b"{}"), Ignored(reason="typing"), chat("m2"))
    with desk.session.transaction() as tx:
        [accepted] = desk.reception(tx, [Submission(line=CHAT, events=events, raw=b"whole")])
    assert [one.n for one in accepted] == [1, None, None, 2]
    assert desk.rows("SELECT q.reason, r.body FROM quarantine q JOIN raw r ON r.id = q.raw") == [("no sender", b"{}")]
    assert desk.rows("SELECT count(*) FROM raw") == [(2,)]  # the batch once, the bad element once


def test_the_cursor_moves_with_the_events_it_stands_for(desk: Desk) -> None:
    desk.take(mail("a"), cursor=Cursor("INBOX", "7:1"))
    desk.take(mail("b"), cursor=Cursor("INBOX", "7:2"))
    assert desk.rows("SELECT channel, name, value FROM cursor") == [(1, "INBOX", "7:2")]


def test_an_attachment_is_named_in_the_entry_and_keeps_its_blob(desk: Desk) -> None:
    blob = Blob("ab" * 32, 70_000)
    desk.take(mail("a", attachments=(Attachment(name="Foto.jpg", media_type="image/jpeg", content=blob),)))
    assert desk.rows("SELECT digest, owner FROM blob_ref") == [(blob.digest, "entry:1")]
    assert "Foto.jpg" in desk.rows("SELECT attachments FROM content")[0][0]


@pytest.mark.parametrize("named_by", ["id", "key", "address"])
def test_a_receipt_finds_its_delivery(desk: Desk, named_by: str) -> None:
    desk.take(chat("m1"), line=CHAT)
    delivery = desk.write(conversation=1, kind="sent", text="hello")
    with desk.session.transaction() as tx:
        tx.do.one("UPDATE delivery SET state = 'sent' WHERE id = ?", (delivery,))
        conversation, n = 1, 2
        from fernamt._store.names import id_hash

        tx.do.many("insert known", [(id_hash(CHAT.number, "wamid"), conversation, n, 0)])
    names: dict[str, dict[str, Any]] = {
        "id": {"id": "wamid"},
        "key": {"message_key": desk.names.message_key(delivery)},
        "address": {"address": ANN, "up_to": datetime.now(UTC) + timedelta(minutes=1)},
    }
    name = names[named_by]
    desk.take(Receipt(key="r1", state=DeliveryState.READ, **name), line=CHAT)
    desk.take(Receipt(key="r2", state=DeliveryState.DELIVERED, **name), line=CHAT)
    assert desk.rows("SELECT state FROM delivery") == [("read",)]
    assert desk.rows("SELECT state FROM fact ORDER BY id")[0] == ("read",)


def test_a_failed_receipt_with_an_opt_out_stops_the_address(desk: Desk) -> None:
    desk.take(chat("m1"), line=CHAT)
    delivery = desk.write(conversation=1, kind="sent", text="hello")
    stop = OptedOut("unsubscribed", code="21610")
    key = desk.names.message_key(delivery)
    desk.take(Receipt(key="r", state=DeliveryState.FAILED, message_key=key, error=stop), line=CHAT)
    assert desk.rows("SELECT state, reason, code FROM delivery") == [("failed", "unsubscribed", "21610")]
    assert desk.rows("SELECT allowed FROM consent") in ([(0,)], [(False,)])


def test_an_early_receipt_waits_for_its_message(desk: Desk) -> None:
    desk.take(Receipt(key="r", state=DeliveryState.DELIVERED, id="later"), line=CHAT)
    assert desk.rows("SELECT state FROM early_receipt") == [("delivered",)]


def test_a_consent_is_kept_with_its_evidence(desk: Desk) -> None:
    desk.take(Consent(key="c", address=ANN, allowed=False, scope="marketing"), line=CHAT)
    assert desk.rows("SELECT scope, evidence FROM consent") == [("marketing", "the provider")]


def test_an_answer_goes_to_whoever_wrote_last_and_to_those_in_copy(desk: Desk) -> None:
    desk.take(mail("a"))
    desk.write(conversation=1, kind="sent", text="hello", cc=(BOB,))
    found = desk.rows("SELECT a.handle, d.state FROM delivery d JOIN address a ON a.id = d.address ORDER BY d.id")
    assert found == [(str(ANN), "queued"), (str(BOB), "queued")]
