"""Machines do not answer machines: what is shown without a stir, whom nothing automatic is sent to, and how much at most."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from fernamt._store.channels import Entrance, enter
from fernamt._store.engine import Store
from fernamt._store.reception import Line
from fernamt._store.writer import Writer
from fernamt.errors import Unreachable
from fernamt.inbound import Acknowledgement, Consent, Receipt, Received, Thread
from fernamt.model import Address, DeliveryState, Purpose

from .stage import Impatient
from .test_outbox import Post
from .test_reception import ANN, BOB, EVE, Desk, mail, numbers


@pytest.fixture
def desk(store: Store) -> Iterator[Desk]:
    desk = Desk(store)
    yield desk
    desk.session.close()


@pytest.fixture
async def post(store: Store, writer: Writer) -> AsyncIterator[Post]:
    store.clock = Impatient()
    number = await writer.write(enter, Entrance(id="mail", kind="fake", label="Mail"))
    post = Post(store, writer, Line(number=number, id="mail"))
    yield post
    while post.running:
        await post.die()


def state(desk: Desk, conversation: int = 1) -> str:
    return str(desk.rows("SELECT state FROM conversation WHERE id = ?", conversation)[0][0])


def note(key: str, sender: Address = ANN, **more: Any) -> Received:
    thread = Thread(references=("<a>",), place=key)
    return mail(key, sender, thread=thread, automatic=True, silent=True, **more)


# ---- silent
@pytest.mark.parametrize(("written", "then"), [("sent", "waiting"), ("solved", "solved")])
def test_a_silent_message_is_an_entry_and_leaves_the_state_as_it_is(desk: Desk, written: str, then: str) -> None:
    desk.take(mail("a"))
    desk.write(conversation=1, kind=written)
    assert numbers(desk.take(note("ooo"))) == [("1", 3, False)]
    assert state(desk) == then
    assert desk.log(1) == [(1, "received"), (2, written), (3, "received")]
    desk.take(mail("b", thread=Thread(references=("<ooo>",))))
    assert state(desk) == "open"


def test_a_silent_message_that_belongs_nowhere_opens_a_conversation_that_is_seen(desk: Desk) -> None:
    desk.take(mail("x", automatic=True, silent=True))
    assert state(desk) == "open"


def test_an_answer_goes_to_who_wrote_last_and_not_to_their_machine(desk: Desk) -> None:
    desk.take(mail("a", cc=(BOB,)), note("ooo", BOB))
    desk.write(conversation=1, kind="sent", text="hello")
    desk.take(mail("only", EVE, automatic=True, silent=True))
    desk.write(conversation=2, kind="sent", text="hello")
    found = desk.rows("SELECT a.handle FROM delivery d JOIN address a ON a.id = d.address ORDER BY d.id")
    assert found == [(str(ANN),), (str(EVE),)]


# ---- threads
def test_an_id_that_only_others_name_is_learnt_where_the_channel_asks_for_it(desk: Desk) -> None:
    desk.take(mail("a", cc=(BOB,), thread=Thread(references=("<near>", "<middle>", "<far>"), place="a", learns=True)))
    for number, (reference, joins) in enumerate([("<near>", "1"), ("<far>", "1"), ("<middle>", "2")]):
        again = mail(f"b{number}", BOB, thread=Thread(references=(reference,), place=f"b{number}", learns=True))
        assert desk.take(again)[0].conversation == joins
    assert desk.take(mail("c", EVE, thread=Thread(references=("<near>",), place="c")))[0].conversation == "3"


def test_what_is_learnt_never_takes_an_id_from_its_message(desk: Desk) -> None:
    desk.take(mail("a"))
    desk.take(mail("b", BOB, thread=Thread(references=("<a>",), place="b", learns=True)))
    assert desk.take(mail("c", thread=Thread(references=("<a>",), place="c")))[0].conversation == "1"


def test_the_beginning_of_a_reply_token_joins_for_those_who_take_part(desk: Desk) -> None:
    desk.take(mail("a"))
    token = desk.names.reply_token(1)
    short = token[: token.index("-") + 7]
    hinted = [
        Thread(hint=one, place=f"p{n}") for n, one in enumerate([short.upper(), short[:-1], f"{short}1", "1-", "é-é"])
    ]
    assert numbers(desk.take(mail("s", EVE, thread=hinted[0]))) == [("2", 1, False)]
    found = [desk.take(mail(f"h{n}", thread=thread))[0].conversation for n, thread in enumerate(hinted)]
    assert found[0] == "1"
    assert "1" not in found[1:]


# ---- what is sent
async def test_no_automatic_message_answers_an_automatic_one(post: Post) -> None:
    await post.start()
    machine = await post.customer(automatic=True)
    one, two = await post.answer(machine, automatic=True), await post.answer(machine)
    (await post.called()).sent()  # a person may answer
    await post.until()
    assert [post.state(it) for it in (one, two)] == ["refused", "sent"]
    assert post.reason(one) == "a machine wrote last, and machines do not answer machines"


async def test_whose_machine_wrote_once_is_written_to_again_when_they_write_themselves(post: Post) -> None:
    await post.start()
    await post.receive(Received(key="m", sender=ANN, automatic=True))
    conversation = await post.receive(Received(key="n", sender=ANN))
    await post.answer(conversation, automatic=True)
    (await post.called()).sent()


async def test_a_person_gets_so_many_automatic_messages_in_a_day_whatever_asks_for_them(post: Post) -> None:
    await post.start(automatic_per_day=2)
    said, conversation = [], 0
    for number in range(4):  # each time a conversation of its own, as with a machine that loses the thread
        conversation = await post.receive(Received(key=f"{number}", sender=ANN, thread=Thread(place=f"{number}")))
        said.append(await post.answer(conversation, automatic=True))
        if number < 2:
            (await post.called()).sent()
            await post.until()
    by_a_person = await post.answer(conversation)
    (await post.called()).sent()
    await post.until()
    assert [post.state(one) for one in (*said, by_a_person)] == ["sent", "sent", "refused", "refused", "sent"]
    assert post.reason(said[2]) == "2 automatic messages within a day are enough for one person"
    await post.sql("UPDATE delivery SET queued_at = queued_at - 86400000001")
    await post.answer(conversation, automatic=True)
    (await post.called()).sent()


async def test_outreach_stops_for_who_stopped_it_and_answers_go_on(post: Post) -> None:
    await post.start()
    conversation = await post.customer()
    [[to]] = post.rows("SELECT handle FROM address")
    await post.receive(Consent(key="c", address=Address.parse(to), allowed=False, scope="marketing"))
    answer = await post.answer(conversation)
    (await post.called()).sent()
    await post.until()
    outreach = await post.answer(conversation, purpose=Purpose.OUTREACH)
    await post.until("outbox.refused")
    assert (post.state(outreach), post.state(answer)) == ("refused", "sent")


async def test_a_message_says_who_wrote_it_and_what_it_answers(post: Post) -> None:
    await post.start(quotes=True)
    at = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    conversation = await post.customer(text="Wo ist es?", sender_name="Ann", at=at)
    await post.answer(conversation, purpose=Purpose.NOTICE)
    message = (await post.called()).message
    assert (message.author, message.purpose, message.language) == ("agent:maria", Purpose.NOTICE, "")
    assert message.answered is not None
    said = message.answered
    assert (said.sender_name, said.text, said.at) == ("Ann", "Wo ist es?", at)


async def test_without_a_channel_that_quotes_nothing_is_read_for_it(post: Post) -> None:
    await post.start()
    await post.answer()
    assert (await post.called()).message.answered is None


def test_what_is_late_stays_sent_and_says_why(desk: Desk) -> None:
    desk.take(mail("a"))
    one = desk.write(conversation=1, kind="sent", text="hello")
    with desk.session.transaction() as tx:
        tx.do.one("UPDATE delivery SET state = 'sent'")
    late = Receipt(
        key="r",
        state=DeliveryState.SENT,
        message_key=desk.names.message_key(one),
        error=Unreachable("busy", certain=True),
    )
    desk.take(late)
    assert desk.rows("SELECT state, reason FROM delivery") == [("sent", "busy")]


# ---- acknowledged
def acknowledged(key: str, sender: Address = ANN, **more: Any) -> Received:
    said = Acknowledgement(text="It is number #{number}.", subject="Number {number}")
    return mail(key, sender, acknowledgement=said, **more)


def test_who_opens_a_conversation_is_told_its_number_once_a_day_and_nobody_has_answered_them_by_that(
    desk: Desk,
) -> None:
    accepted = desk.take(acknowledged("a", subject="My secret"), acknowledged("b"))
    accepted += desk.take(acknowledged("c"), acknowledged("d", BOB))
    assert numbers(accepted) == [("1", 1, False), ("2", 1, False), ("3", 1, False), ("4", 1, False)]
    found = desk.rows(
        "SELECT d.conversation, a.handle, c.text, c.data FROM delivery d JOIN address a ON a.id = d.address"
        " JOIN content c ON c.entry = d.entry ORDER BY d.id"
    )
    assert [row[:3] for row in found] == [(1, str(ANN), "It is number #1."), (4, str(BOB), "It is number #4.")]
    assert found[0][3] == '{"automatic":true,"subject":"Number 1"}'
    assert state(desk) == "open"
    assert desk.log(1) == [(1, "received"), (2, "sent")]
    with desk.session.transaction() as tx:
        tx.do.one("UPDATE delivery SET queued_at = queued_at - 86400000001")
    desk.take(acknowledged("e"))
    assert desk.log(5) == [(1, "received"), (2, "sent")]


def test_a_repeat_an_answer_and_a_machine_are_not_acknowledged(desk: Desk) -> None:
    desk.take(acknowledged("a"))
    desk.take(acknowledged("a"), acknowledged("b", thread=Thread(references=("<a>",))))
    desk.take(acknowledged("c", BOB, automatic=True), acknowledged("d", EVE, by_us=True))
    assert desk.rows("SELECT count(*) FROM delivery") == [(1,)]


# ---- who else gets an answer
async def test_a_hidden_copy_is_seen_by_nobody_else(post: Post) -> None:
    await post.start(in_flight=3)
    await post.answer(cc=(BOB,), bcc=(EVE,))
    seen = {}
    for _ in range(3):
        call = await post.called()
        seen[str(call.message.to)] = {str(one) for one in call.message.cc}
        call.sent()
        await post.until()
    [ann] = {*seen} - {str(BOB), str(EVE)}
    assert seen == {ann: {str(BOB)}, str(BOB): {ann}, str(EVE): {ann, str(BOB)}}


def test_an_answer_to_all_goes_to_whoever_was_named_beside_us(desk: Desk) -> None:
    desk.take(mail("a", cc=(BOB, EVE)))
    desk.write(conversation=1, kind="sent", text="to Ann")
    desk.write(conversation=1, kind="sent", text="to all", to_all=True, cc=(BOB,))
    found = desk.rows(
        "SELECT e.n, a.handle FROM delivery d JOIN address a ON a.id = d.address JOIN entry e ON e.id = d.entry ORDER BY d.id"
    )
    assert found == [(2, str(ANN)), (3, str(ANN)), (3, str(BOB)), (3, str(EVE))]
