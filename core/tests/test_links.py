"""Merging and splitting, and taking it back: by pointers, so that nothing that was ever stored moves. On both engines."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from fernamt._store.correspondence import Prepared, prepare
from fernamt._store.deliveries import open_deliveries
from fernamt._store.desk import Composition, NoSuchThing, compose
from fernamt._store.engine import Store
from fernamt._store.links import Linked, Merge, Split, Undo, merge, split, undo
from fernamt._store.pointers import Link, Pointers, Span
from fernamt._store.reception import Line, Submission
from fernamt._store.views.conversation import ConversationView, conversation_view
from fernamt._store.views.inbox import InboxLine, count_by_state, inbox_page
from fernamt.inbound import Changed, Received, Thread
from fernamt.model import Address, ConversationState

from .stage import Bare

ANN, BOB = (Address("email", f"{name}@example.org") for name in ("ann", "bob"))
ANN_AT_WORK = Address("phone", "+4930123456")
OPEN, WAITING, SOLVED, TOLD = ConversationState


class Desk(Bare):
    """A store with two channels, and people who merge and split."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.mail, self.chat = (self.channel(name) for name in ("mail", "chat"))

    def mailed(self, place: str, text: str, sender: Address = ANN, line: Line | None = None, **more: Any) -> int:
        """Let somebody write at a place and return the conversation that it joined."""
        more.setdefault("thread", Thread(place=place))
        event = Received(key=text, id=f"<{text}>", sender=sender, text=text, **more)
        [accepted] = self.run(self.reception, Submission(line=line or self.mail, events=(event,)))
        return int(accepted.conversation)

    def write(self, conversation: int, text: str, kind: str = "sent", **more: Any) -> int:
        composition = Composition(conversation=conversation, kind=kind, author="agent:maria", text=text, **more)
        number: int = self.run(compose, composition).conversation
        return number

    def merge(self, source: int, target: int, **more: Any) -> Linked:
        made: Linked = self.run(merge, Merge(source=source, target=target, by="agent:maria", **more))
        return made

    def split(self, conversation: int, n: int) -> Linked:
        made: Linked = self.run(split, Split(conversation=conversation, n=n, by="agent:maria"))
        return made

    def undo(self, link: int) -> Linked:
        made: Linked = self.run(undo, Undo(link=link, by="agent:maria"))
        return made

    def view(self, number: int) -> ConversationView:
        with self.store.read() as connection:
            found = conversation_view(connection, number)
        assert found is not None
        return found

    def texts(self, number: int) -> list[str]:
        """Return what is shown as a conversation, without the entries that tell of links."""
        return [entry.text for entry in self.view(number).entries if entry.text]

    def inbox(self, **more: Any) -> tuple[InboxLine, ...]:
        with self.store.read() as connection:
            return inbox_page(connection, **{"limit": 50, **more})

    def everything(self) -> list[tuple[Any, ...]]:
        """Return what is shown of every conversation that the inbox has, but for the entries that tell of links."""
        return sorted(
            (one.number, one.state, one.subject, one.text, one.channel, tuple(self.texts(one.number)))
            for one in self.inbox()
        )


@pytest.fixture
def desk(store: Store) -> Iterator[Desk]:
    desk = Desk(store)
    with closing(desk.session):
        yield desk


# ---- conversations that were merged
def test_either_of_two_merged_conversations_shows_both_in_the_order_of_time(desk: Desk) -> None:
    lamp, broken = desk.mailed("lamp", "a lamp"), desk.mailed("broken", "it broke", line=desk.chat)
    desk.write(lamp, "which one?")
    desk.merge(broken, lamp)

    assert desk.texts(lamp) == desk.texts(broken) == ["a lamp", "it broke", "which one?"]
    view = desk.view(broken)
    assert (view.number, view.merged) == (lamp, (broken,))
    places = [(entry.conversation, entry.n) for entry in view.entries]
    assert sorted(places) == [(lamp, 1), (lamp, 2), (lamp, 3), (broken, 1), (broken, 2)]
    assert [n for number, n in places if number == broken] == [1, 2]
    assert [entry.kind for entry in view.entries][-2:] == ["merged", "merged"]


def test_what_would_join_the_first_joins_the_second_and_the_inbox_shows_one(desk: Desk) -> None:
    lamp, broken = desk.mailed("lamp", "a lamp", subject="Lamp"), desk.mailed("broken", "it broke", line=desk.chat)
    desk.merge(broken, lamp)

    assert desk.mailed("broken", "really", line=desk.chat) == lamp
    assert desk.write(broken, "a note", "note") == lamp
    [line] = desk.inbox()
    assert (line.number, line.subject, line.text, line.channel, line.entries) == (lamp, "Lamp", "really", "chat", 6)
    assert [one.number for one in desk.inbox(on="chat")] == [lamp]
    with desk.store.read() as connection:
        assert count_by_state(connection) == {OPEN: 1}


def test_a_token_a_reference_and_a_correction_find_what_was_merged(desk: Desk) -> None:
    lamp, broken = desk.mailed("lamp", "a lamp"), desk.mailed("broken", "it broke")
    desk.merge(broken, lamp)

    token = desk.names.reply_token(broken)
    assert desk.mailed("p", "by token", sender=BOB, thread=Thread(place="p", token=token)) == lamp
    assert desk.mailed("q", "by reference", thread=Thread(place="q", references=("<it broke>",))) == lamp
    event = Changed(kind="edited", key="e", id="<it broke>", text="it fell")
    [accepted] = desk.run(desk.reception, Submission(line=desk.mail, events=(event,)))
    assert accepted.conversation == str(lamp)
    assert desk.view(lamp).entries[-1].data == {"of": 1, "in": broken}


def test_an_answer_goes_to_whoever_wrote_last_in_either(desk: Desk) -> None:
    lamp = desk.mailed("lamp", "a lamp")
    broken = desk.mailed("broken", "it broke", sender=ANN_AT_WORK, line=desk.chat)
    desk.merge(broken, lamp)
    desk.write(lamp, "we send another")

    answer = desk.view(lamp).entries[-1]
    assert (answer.channel, [one.to for one in answer.deliveries]) == ("chat", [ANN_AT_WORK])


@pytest.mark.parametrize(
    ("source", "target", "merged"),
    [
        pytest.param(WAITING, OPEN, OPEN, id="open stays open"),
        pytest.param(OPEN, WAITING, OPEN, id="a question that nobody answered is not lost"),
        pytest.param(OPEN, SOLVED, OPEN, id="nor in one that is solved"),
        pytest.param(SOLVED, WAITING, WAITING, id="what is solved says nothing"),
    ],
)
def test_whose_turn_it_is_after_a_merge_and_after_its_undoing(
    desk: Desk, source: ConversationState, target: ConversationState, merged: ConversationState
) -> None:
    numbers = []
    for place, state in (("a", source), ("b", target)):
        number = desk.mailed(place, place)
        if state != OPEN:
            desk.write(number, "answer", "sent" if state == WAITING else "solved")
        numbers.append(number)
    before = desk.everything()
    made = desk.merge(*numbers)
    assert desk.view(numbers[0]).state == merged
    assert desk.undo(made.link) == Linked(link=made.link, kind="conversation", source=numbers[0], target=numbers[1])
    assert desk.everything() == before


def test_what_came_after_a_merge_stays_where_it_joined_when_it_is_undone(desk: Desk) -> None:
    lamp, broken = desk.mailed("lamp", "a lamp"), desk.mailed("broken", "it broke")
    made = desk.merge(broken, lamp)
    desk.mailed("broken", "really")
    desk.write(lamp, "we send another")

    assert desk.undo(made.link).stays == 2
    assert desk.texts(lamp) == ["a lamp", "really", "we send another"]
    assert desk.texts(broken) == ["it broke"]
    assert (desk.view(lamp).state, desk.view(broken).state) == (WAITING, OPEN)
    assert desk.mailed("broken", "and now?") == broken


def test_merges_are_followed_however_long_their_chain(desk: Desk) -> None:
    one, two, three = (desk.mailed(place, place) for place in "abc")
    first = desk.merge(one, two)
    desk.merge(two, three)

    assert [desk.texts(number) for number in (one, two, three)] == [["a", "b", "c"]] * 3
    assert desk.mailed("a", "more") == three
    assert [line.number for line in desk.inbox(on="mail")] == [three]
    desk.undo(first.link)
    assert (desk.texts(one), desk.texts(two)) == (["a"], ["b", "c", "more"])
    assert desk.mailed("a", "again") == one


def test_a_merge_leads_to_where_its_target_goes_on(desk: Desk) -> None:
    one, two, three = (desk.mailed(place, place) for place in "abc")
    desk.merge(one, two)
    assert desk.merge(three, one).target == two


def test_a_merge_that_makes_no_sense_says_why(desk: Desk) -> None:
    one, two = desk.mailed("a", "a"), desk.mailed("b", "b")
    made = desk.merge(one, two)
    for pair, why in (
        ((one, one), f"Conversation {one} was merged"),
        ((two, two), f"Conversation {two} is that one"),
        ((two, one), f"Conversation {one} goes on in {two} itself"),
        ((one, two), f"Take that back with: fernamt undo {made.link}"),
        ((9999, two), "There is no conversation 9999"),
    ):
        with pytest.raises(NoSuchThing, match=why):
            desk.merge(*pair)
    desk.undo(made.link)
    with pytest.raises(NoSuchThing, match=f"Link {made.link} was undone already"):
        desk.undo(made.link)
    with pytest.raises(NoSuchThing, match="There is no link 9999"):
        desk.undo(9999)
    assert desk.merge(two, one).target == one


# ---- conversations that were split
def test_the_rest_of_a_split_conversation_is_shown_and_goes_on_apart(desk: Desk) -> None:
    number = desk.mailed("a", "a lamp", subject="Lamp")
    desk.write(number, "sent")
    desk.mailed("a", "and a bill", subject="Bill", cc=(BOB,))
    made = desk.split(number, 3)

    apart = made.target
    assert (desk.texts(number), desk.texts(apart)) == (["a lamp", "sent"], ["and a bill"])
    assert (desk.view(number).state, desk.view(apart).state) == (WAITING, OPEN)
    assert [(entry.conversation, entry.n) for entry in desk.view(apart).entries] == [(number, 3), (apart, 1)]
    assert desk.view(apart).participants == (BOB,)
    assert desk.mailed("a", "who pays?") == apart
    told = {line.number: (line.subject, line.text, line.entries) for line in desk.inbox(on="mail")}
    assert told == {number: ("Lamp", "sent", 3), apart: ("Bill", "who pays?", 3)}


def test_a_reference_leads_to_the_part_that_it_names_and_an_agent_to_the_one_they_name(desk: Desk) -> None:
    number = desk.mailed("a", "one")
    desk.mailed("a", "two")
    apart = desk.split(number, 2).target
    token = desk.names.reply_token(number)

    for name, where in (("<one>", number), ("<two>", apart)):
        thread = Thread(place="p", references=(name,))
        assert desk.mailed("p", f"to {name}", thread=thread) == where
        assert desk.mailed("p", f"token, {name}", thread=Thread(place="p", token=token, references=(name,))) == where
    assert desk.mailed("p", "token", thread=Thread(place="p", token=token)) == apart
    assert desk.write(number, "note", "note") == number
    assert "note" in desk.texts(number)


def test_a_split_that_got_nothing_is_undone_without_a_trace_in_the_inbox(desk: Desk) -> None:
    number = desk.mailed("a", "one")
    desk.write(number, "answer")
    desk.mailed("a", "two")
    before = desk.everything()
    made = desk.split(number, 3)

    assert desk.undo(made.link).stays == 0
    assert desk.everything() == before
    assert desk.view(made.target).number == number
    assert desk.mailed("a", "three") == number


def test_what_came_to_the_rest_stays_there_when_a_split_is_undone(desk: Desk) -> None:
    number = desk.mailed("a", "one")
    desk.mailed("a", "two")
    made = desk.split(number, 2)
    desk.mailed("a", "three")

    assert desk.undo(made.link).stays == 1
    assert (desk.texts(number), desk.texts(made.target)) == (["one", "two"], ["three"])
    assert desk.mailed("a", "four") == number


def test_a_conversation_is_split_twice(desk: Desk) -> None:
    number = desk.mailed("a", "1")
    for text in "2345":
        desk.mailed("a", text)
    last, middle = desk.split(number, 4), desk.split(number, 2)

    assert [desk.texts(one) for one in (number, middle.target, last.target)] == [["1"], ["2", "3"], ["4", "5"]]
    assert desk.mailed("a", "6") == last.target
    desk.undo(last.link)
    assert [desk.texts(one) for one in (number, middle.target, last.target)] == [["1"], ["2", "3", "4", "5"], ["6"]]


def test_a_part_that_was_split_off_is_merged_with_another_conversation_and_back(desk: Desk) -> None:
    number, other = desk.mailed("a", "one"), desk.mailed("b", "other")
    desk.mailed("a", "two")
    apart = desk.split(number, 2).target
    desk.merge(apart, other)
    assert desk.texts(other) == ["other", "two"]
    assert desk.mailed("a", "three") == other
    # Merged into what it was split from: a ring, in which everything is shown once.
    desk.merge(other, number)
    assert desk.texts(apart) == desk.texts(number) == ["one", "other", "two", "three"]
    assert desk.mailed("a", "four") == number
    assert [line.number for line in desk.inbox()] == [number]


def test_a_split_that_makes_no_sense_says_why(desk: Desk) -> None:
    number, other = desk.mailed("a", "one"), desk.mailed("b", "other")
    desk.mailed("a", "two")
    desk.split(number, 2)
    desk.merge(other, number)
    for wanted, why in (
        ((9999, 2), "There is no conversation 9999"),
        ((number, 1), "both parts have one"),
        ((number, 99), "has the entries 1 to"),
        ((number, 2), "is split at entry 2 already"),
        ((other, 2), f"was merged into {number}"),
    ):
        with pytest.raises(NoSuchThing, match=why):
            desk.split(*wanted)


# ---- customers that were merged
def test_merged_customers_are_one_person_with_the_addresses_of_both(desk: Desk) -> None:
    ann, work = desk.mailed("a", "a", sender_name="Ann"), desk.mailed("b", "b", sender=ANN_AT_WORK, line=desk.chat)
    source, target = desk.view(work).customer_number, desk.view(ann).customer_number
    made = desk.merge(source, target, customers=True)

    for number in (ann, work):
        view = desk.view(number)
        assert (view.customer_number, view.customer, view.addresses) == (target, "Ann", (ANN, ANN_AT_WORK))
    assert {line.customer for line in desk.inbox()} == {"Ann"}
    # A reference to the other address's conversation is no stranger's.
    thread = Thread(place="q", references=("<b>",))
    desk.mailed("x", "c", line=desk.chat)
    assert desk.mailed("q", "d", line=desk.chat, thread=thread) == work
    assert desk.view(work).participants == ()
    desk.undo(made.link)
    assert (desk.view(work).addresses, desk.view(ann).addresses) == ((ANN_AT_WORK,), (ANN,))


def test_customers_are_merged_once_and_not_in_a_ring(desk: Desk) -> None:
    one, two = (desk.view(desk.mailed(str(who), str(who), sender=who)).customer_number for who in (ANN, BOB))
    desk.merge(one, two, customers=True)
    for pair, why in (((two, one), "goes on in"), ((one, two), "was merged into"), ((9999, one), "no customer 9999")):
        with pytest.raises(NoSuchThing, match=why):
            desk.merge(*pair, customers=True)


# ---- pointers alone
def test_a_ring_of_pointers_ends() -> None:
    ring = Pointers(Link(n, "conversation", n, n % 3 + 1, 0, 0) for n in (1, 2, 3))
    assert {ring.follow(number) for number in (1, 2, 3)} <= {1, 2, 3}
    assert len(ring.members(1)) <= 3


def test_every_entry_is_shown_in_one_place_however_often_a_conversation_is_split() -> None:
    splits = [Link(1, "split", 1, 10, 5, 8), Link(2, "split", 1, 11, 3, 9), Link(3, "split", 1, 12, 7, 12)]
    pointers = Pointers(splits)
    shown = {number: pointers.spans(number) for number in (1, 10, 11, 12)}
    for n in range(1, 20):
        holds = [
            number
            for number, spans in shown.items()
            for span in spans
            if span.conversation == 1 and span.first <= n <= span.end
        ]
        assert len(holds) == 1, n
    assert shown[1] == (Span(1, 1, 2), Span(1, 13, None))


# ---- what is sent from what was merged
def test_an_answer_refers_to_what_was_merged_and_a_plugin_sees_one_person(desk: Desk) -> None:
    lamp = desk.mailed("lamp", "a lamp", sender=ANN_AT_WORK, line=desk.chat)
    broken = desk.mailed("broken", "it broke", subject="Broken")
    people = [desk.view(number).customer_number for number in (lamp, broken)]
    desk.merge(broken, lamp)
    desk.merge(people[0], people[1], customers=True)
    desk.write(lamp, "we send another")

    with desk.store.read() as connection:
        do = desk.store.statements(connection)
        waiting = open_deliveries(do, desk.mail.number, 10)
        [found] = prepare(do, desk.names, desk.mail.number, waiting, people=True).values()
    assert isinstance(found, Prepared)
    message = found.message
    assert (message.to, message.subject, message.reply_to) == (ANN, "Re: Broken", "<it broke>")
    assert message.references == ("<it broke>",)
    assert found.whose is not None
    conversation, customer = found.whose
    assert (customer.id, customer.addresses) == (str(people[1]), (ANN, ANN_AT_WORK))
    assert conversation.customer == customer.id


def test_an_answer_to_who_was_merged_is_in_the_language_of_the_one_person(desk: Desk) -> None:
    lamp = desk.mailed("lamp", "a lamp", sender=ANN_AT_WORK, line=desk.chat)
    broken = desk.mailed("broken", "it broke")
    people = [desk.view(number).customer_number for number in (lamp, broken)]
    with desk.session.transaction() as tx:
        for who, language in zip(people, ("en", "de"), strict=True):
            tx.do.one("UPDATE customer SET language = ? WHERE id = ?", (language, who))
    desk.merge(people[0], people[1], customers=True)
    desk.write(lamp, "we send another")

    with desk.store.read() as connection:
        do = desk.store.statements(connection)
        [found] = prepare(do, desk.names, desk.chat.number, open_deliveries(do, desk.chat.number, 10)).values()
    assert isinstance(found, Prepared)
    assert found.message.language == "de"
