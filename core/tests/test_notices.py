"""A run of notices: each row once whatever happens to its giver, one conversation for an address, and answers that find it."""

from collections.abc import Iterator
from typing import Any

import pytest

from fernamt._store.correspondence import Prepared, prepare
from fernamt._store.deliveries import open_deliveries
from fernamt._store.desk import Composition, compose
from fernamt._store.engine import Store
from fernamt._store.erasure import erase
from fernamt._store.links import Merge, Split, merge, split
from fernamt._store.notices import Cancelling, Chunk, KeyTaken, Notice, Opening, Run, cancel, give, open_run
from fernamt._store.pruning import forget, runs_over
from fernamt._store.reception import Line, Submission
from fernamt._store.tables import metadata
from fernamt._store.views.notices import rows_of_run
from fernamt._store.writer import Writer
from fernamt.errors import FernamtError
from fernamt.inbound import Received, Thread
from fernamt.model import Address, Purpose

from .stage import Bare

ANN, BOB = Address("phone", "+491701"), Address("phone", "+491702")
DAY_US = 86_400_000_000


class Desk(Bare):
    """A store with a channel for texts and one for mail."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.sms, self.mail = self.channel("sms"), self.channel("mail")

    def open(self, key: str = "k", total: int = 1, **more: Any) -> Run:
        what = {
            "template": "dispatched",
            "channel": "sms",
            "purpose": "notice",
            "author": "agent:maria",
            "digest": b"d",
        }
        run: Run = self.run(open_run, Opening(key=key, total=total, **(what | more)))
        return run

    def give(self, run: Run, *notices: Notice, first: int = 1, **more: Any) -> int:
        given: int = self.run(give, Chunk(run=run.number, first=first, notices=notices, **more))
        return given

    def notify(self, *notices: Notice, key: str = "k", **more: Any) -> Run:
        run = self.open(key, len(notices), **more)
        self.give(run, *notices)
        return run

    def receive(self, sender: Address, text: str = "Wo bleibt es?", line: Line | None = None, **more: Any) -> int:
        event = Received(key=f"{sender}{text}", sender=sender, text=text, **more)
        [accepted] = self.run(self.reception, Submission(line=line or self.sms, events=(event,)))
        return int(accepted.conversation)

    def reply(self, conversation: int, text: str = "Morgen.") -> None:
        self.run(compose, Composition(conversation=conversation, kind="sent", author="agent:maria", text=text))

    def log(self, conversation: int) -> list[str]:
        return [row[0] for row in self.rows("SELECT kind FROM entry WHERE conversation = ? ORDER BY n", conversation)]

    def states(self) -> list[str]:
        return [row[0] for row in self.rows("SELECT state FROM conversation ORDER BY id")]

    def prepared(self, line: Line) -> list[Prepared]:
        with self.store.read() as connection:
            do = self.store.statements(connection)
            waiting = [one for purpose in Purpose for one in open_deliveries(do, line.number, 100, purpose=purpose)]
            found = prepare(do, self.names, line.number, waiting)
        messages = [found[one.id] for one in waiting]
        assert all(isinstance(one, Prepared) for one in messages)
        return [one for one in messages if isinstance(one, Prepared)]


@pytest.fixture
def desk(store: Store) -> Iterator[Desk]:
    desk = Desk(store)
    yield desk
    desk.session.close()


def notice(to: Address = ANN, order: str = "4711", **more: Any) -> Notice:
    return Notice(to=to, text=f"Bestellung {order} ist unterwegs.", data={"order": order}, **more)


# ---- once
def test_rows_become_deliveries_that_wait_for_replies(desk: Desk) -> None:
    run = desk.notify(notice(), notice(BOB, "4712"))
    assert (run.is_new, run.total) == (True, 2)
    assert desk.rows("SELECT run, n, delivery FROM notice ORDER BY n") == [(1, 1, 1), (1, 2, 2)]
    assert desk.rows(
        "SELECT a.handle, d.purpose, d.state FROM delivery d JOIN address a ON a.id = d.address ORDER BY d.id"
    ) == [
        (str(ANN), "notice", "queued"),
        (str(BOB), "notice", "queued"),
    ]


def test_a_run_that_is_given_again_is_the_first_one_and_nothing_is_written_twice(desk: Desk) -> None:
    first = desk.notify(notice(), notice(BOB))
    again = desk.open(total=2)
    assert (again.number, again.is_new, again.given) == (first.number, False, 2)
    assert desk.give(again, notice(), notice(BOB)) == 2
    assert desk.rows("SELECT count(*) FROM delivery") == [(2,)]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"template": "delivered"}, "another template"),
        ({"channel": "mail"}, "another channel"),
        ({"total": 3}, "1 rows"),
        ({"digest": b"e"}, "other values or recipients"),
        ({"template": "delivered", "channel": "mail"}, "another template and another channel"),
    ],
)
def test_a_key_that_was_given_for_something_else_is_refused_with_what_differs(
    desk: Desk, other: dict[str, Any], said: str
) -> None:
    desk.notify(notice())
    with pytest.raises(KeyTaken, match=f"for run 1 with {said}. Nothing was queued"):
        desk.open(**other)
    assert desk.rows("SELECT count(*) FROM notice_run") == [(1,)]


def test_a_giver_that_died_is_gone_on_from_wherever_it_came(desk: Desk) -> None:
    rows = [notice(Address("phone", f"+49170{n}"), str(n)) for n in range(10)]
    run = desk.open(total=10)
    desk.give(run, *rows[:4])
    # Its successor begins at the start, in chunks of another size.
    for first in range(0, 10, 3):
        given = desk.give(run, *rows[first : first + 3], first=first + 1)
        assert given == max(4, min(first + 3, 10))
    orders = desk.rows(
        "SELECT n.n, c.text FROM notice n JOIN delivery d ON d.id = n.delivery JOIN content c ON c.entry = d.entry ORDER BY n.n"
    )
    assert orders == [(n + 1, rows[n].text) for n in range(10)]


async def test_chunks_of_many_runs_go_into_one_transaction(desk: Desk, writer: Writer) -> None:
    runs = [desk.open(f"k{n}", total=2, digest=b"%d" % n) for n in range(5)]
    chunks = [
        Chunk(run=run.number, first=first, notices=(notice(order=f"{run.number}-{first}"),))
        for run in runs
        for first in (1, 2)
    ]
    given = [writer.write(give, one) for one in (*chunks, *chunks)]
    assert [await one for one in given] == [2] * 20  # as far as the transaction brought it
    assert desk.rows("SELECT run, n FROM notice ORDER BY run, n") == [(run.number, n) for run in runs for n in (1, 2)]
    assert desk.rows("SELECT count(*) FROM conversation") == [(1,)]


def test_a_gap_and_too_many_rows_are_refused(desk: Desk) -> None:
    run = desk.open(total=2)
    for rows, first in (((notice(),), 2), ((notice(), notice(), notice()), 1)):
        with pytest.raises(FernamtError, match="Run 1 has 0 of 2 rows"):
            desk.give(run, *rows, first=first)
    with pytest.raises(FernamtError, match="There is no run 9"):
        desk.run(give, Chunk(run=9, first=1, notices=(notice(),)))


def test_a_row_with_a_key_of_its_own_goes_once_whatever_run_brings_it(desk: Desk) -> None:
    first = notice(key="4711-dispatched", digest=b"same")
    desk.notify(first, first, key="monday")
    desk.notify(notice(BOB), first, notice(key="4711-dispatched", digest=b"other"), key="tuesday")
    assert desk.rows("SELECT run, n, delivery, of_run, of_n FROM notice ORDER BY run, n") == [
        (1, 1, 1, None, None),
        (1, 2, 1, 1, 1),
        (2, 1, desk.rows("SELECT max(id) FROM delivery")[0][0], None, None),
        (2, 2, 1, 1, 1),
        (2, 3, None, 1, 1),
    ]
    assert desk.rows("SELECT count(*) FROM delivery") == [(2,)]


def test_what_two_programs_call_the_same_is_not_the_same_and_the_desk_shares_its_keys(desk: Desk) -> None:
    row = notice(key="4711", digest=b"same")
    for number, author in enumerate(("api:shop", "api:crm", "agent:maria", "agent:tom", "api:shop")):
        desk.notify(row, key=f"{number}", author=author)
    assert desk.rows("SELECT run, of_run FROM notice ORDER BY run") == [(1, None), (2, None), (3, None), (4, 3), (5, 1)]
    assert desk.rows("SELECT count(*) FROM delivery") == [(3,)]


def test_the_same_key_for_another_template_is_a_conflict_and_no_repeat(desk: Desk) -> None:
    row = notice(key="4711", digest=b"same")
    desk.notify(row, key="a", template="confirmed")
    desk.notify(row, key="b", template="dispatched")
    desk.notify(row, key="c", template="confirmed", channel="mail")
    assert desk.rows("SELECT run, delivery IS NULL FROM notice ORDER BY run") == [(1, False), (2, True), (3, True)]


def test_a_channel_that_never_ran_is_named_with_the_next_step(desk: Desk) -> None:
    with pytest.raises(FernamtError, match=r"'fax' has never run. Start the daemon once: fernamt run"):
        desk.open(channel="fax")


# ---- which conversation
def test_a_notice_alone_opens_no_work_and_its_answer_does(desk: Desk) -> None:
    desk.notify(notice(language="de"))
    assert desk.states() == ["told"]
    assert desk.receive(ANN) == 1
    assert (desk.log(1), desk.states()) == (["notice", "received"], ["open"])
    assert desk.rows("SELECT language FROM conversation") == [("de",)]


def test_notices_to_one_address_stand_in_one_conversation_each_with_its_order(desk: Desk) -> None:
    desk.notify(notice(order="1"), notice(order="2"), key="a")
    desk.notify(notice(order="3"), key="b")
    assert desk.log(1) == ["notice", "notice", "notice"]
    texts = [row[0] for row in desk.rows("SELECT data FROM content ORDER BY entry")]
    assert ['"order":"1"' in texts[0], '"order":"2"' in texts[1], '"order":"3"' in texts[2]] == [True] * 3
    assert desk.receive(ANN) == 1


def test_a_notice_does_not_change_whose_turn_it_is(desk: Desk) -> None:
    desk.receive(ANN)
    desk.notify(notice(), key="a")
    assert (desk.log(1), desk.states()) == (["received", "notice"], ["open"])
    desk.reply(1)
    desk.notify(notice(), key="b")
    assert desk.states() == ["waiting"]
    desk.run(compose, Composition(conversation=1, kind="solved", author="agent:maria"))
    desk.notify(notice(), key="c")
    assert desk.states() == ["solved"]


def test_old_notices_are_left_behind_but_an_answer_still_finds_them(desk: Desk) -> None:
    desk.notify(notice(order="1"), key="a")
    desk.sql("UPDATE conversation SET changed_at = changed_at - ?", 15 * DAY_US)
    assert desk.receive(ANN, "Danke") == 1
    desk.sql("UPDATE conversation SET changed_at = changed_at - ?, state = 'told'", 15 * DAY_US)
    desk.notify(notice(order="2"), key="b")
    assert desk.log(2) == ["notice"]
    assert desk.receive(ANN, "Und die?") == 2


def test_an_out_of_office_note_to_a_notice_is_no_work_either(desk: Desk) -> None:
    desk.notify(notice())
    desk.receive(ANN, automatic=True, silent=True)
    assert desk.states() == ["told"]
    desk.notify(notice(order="2"), key="b")
    assert [one.stopped for one in desk.prepared(desk.sms)] == ["", ""]


def test_a_conversation_of_notices_is_routed_when_it_is_answered(desk: Desk) -> None:
    desk.sql("INSERT INTO subscription (kind, subscriber) VALUES ('', 'core')")
    desk.run(lambda tx, _: [tx.do.forget_subscribers()], None)
    desk.notify(notice())
    desk.receive(ANN, "(I am away)", automatic=True, silent=True)
    assert desk.rows("SELECT key FROM task") == []
    desk.receive(ANN)
    desk.receive(BOB)
    assert desk.rows("SELECT key, n FROM task ORDER BY key") == [("route:1", 3), ("route:2", 1)]


def test_merged_and_split_conversations_of_notices_keep_their_states(desk: Desk) -> None:
    desk.notify(notice(), key="a")
    desk.receive(ANN)
    desk.notify(notice(BOB), key="b")
    desk.run(merge, Merge(source=2, target=1, by="agent:maria"))
    assert desk.states() == ["open", "told"]
    desk.run(split, Split(conversation=1, n=2, by="agent:maria"))
    assert desk.states() == ["told", "told", "open"]


# ---- what goes out
def test_by_mail_a_notice_is_a_thread_of_its_own_and_an_answer_to_it_finds_the_conversation(desk: Desk) -> None:
    mail = Address("email", "ann@example.org")
    subject = Notice(
        to=mail, text="Unterwegs.", html="<p>Unterwegs.</p>", language="de", data={"subject": "Bestellung 1"}
    )
    desk.notify(subject, channel="mail", key="a")
    desk.sql("UPDATE delivery SET state = 'sent', ids = '[\"<m1@shop>\"]'")
    desk.notify(Notice(to=mail, text="Angekommen.", data={}), channel="mail", key="b")
    [second] = desk.prepared(desk.mail)
    said = second.message
    assert (said.references, said.reply_to, said.subject, said.automatic, said.answered) == ((), "", "", True, None)
    assert (said.purpose, said.author, said.language) == (Purpose.NOTICE, "agent:maria", "de")
    token = said.reply_token
    assert desk.receive(mail, line=desk.mail, thread=Thread(place="<m7@example.org>", token=token)) == 1
    desk.reply(1)
    reply = next(one.message for one in desk.prepared(desk.mail) if one.message.purpose == Purpose.REPLY)
    assert (reply.automatic, reply.text) == (False, "Morgen.")


# ---- cancelling
def test_what_has_not_left_is_called_off_and_nothing_more_is_given(desk: Desk) -> None:
    run = desk.open(total=4)
    desk.give(run, notice(order="1"), notice(order="2"), notice(order="3"))
    desk.sql("UPDATE delivery SET state = 'sent' WHERE id = 1")
    assert desk.run(cancel, Cancelling(run=run.number, by="agent:maria")) == (0, 2)
    assert desk.rows("SELECT state, reason FROM delivery ORDER BY id") == [
        ("sent", ""),
        ("refused", "cancelled by agent:maria"),
        ("refused", "cancelled by agent:maria"),
    ]
    with pytest.raises(FernamtError, match="Run 1 was cancelled"):
        desk.give(run, notice(order="4"), first=4)
    assert desk.open(total=4).cancelled
    with pytest.raises(FernamtError, match="There is no run 7"):
        desk.run(cancel, Cancelling(run=7, by="agent:maria"))


def test_cancelling_a_run_leaves_what_another_one_gave(desk: Desk) -> None:
    keyed = notice(key="4711", digest=b"d")
    desk.notify(keyed, key="a")
    run = desk.notify(keyed, key="b")
    assert desk.run(cancel, Cancelling(run=run.number, by="agent:maria")) == (0, 0)
    assert desk.rows("SELECT state FROM delivery") == [("queued",)]


# ---- forgetting
def over(desk: Desk, *, in_days: float = 0.0) -> tuple[int, ...]:
    """Return the runs that are over, seen so many days from now."""
    [(now,)] = desk.rows("SELECT max(at) FROM notice_run")
    with desk.store.read() as connection:
        return runs_over(connection, now + int(in_days * DAY_US) + 1)


def sent(desk: Desk, run: int, state: str = "sent", *, n: int = 1) -> None:
    desk.sql(
        "UPDATE delivery SET state = ? WHERE id = (SELECT delivery FROM notice WHERE run = ? AND n = ?)", state, run, n
    )


@pytest.mark.parametrize("state", ["sent", "delivered", "failed", "refused", "uncertain"])
def test_a_run_is_over_when_the_last_of_it_has_left_and_nothing_of_it_changed_since(desk: Desk, state: str) -> None:
    run = desk.notify(notice(), notice(BOB)).number
    sent(desk, run, state)
    assert over(desk, in_days=100) == ()
    sent(desk, run, state, n=2)
    assert over(desk, in_days=100) == (run,)
    desk.sql("UPDATE delivery SET changed_at = changed_at + ? WHERE id = 2", 30 * DAY_US)
    assert over(desk, in_days=29) == ()
    assert over(desk, in_days=31) == (run,)


def test_a_run_that_was_broken_off_is_never_over_and_one_that_was_called_off_is(desk: Desk) -> None:
    run = desk.open(total=2)
    desk.give(run, notice())
    sent(desk, run.number)
    assert over(desk, in_days=1000) == ()
    desk.run(cancel, Cancelling(run=run.number, by="agent:maria"))
    assert over(desk, in_days=1000) == (run.number,)


def test_what_a_run_leaves_is_what_was_told_and_its_keys_are_free_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fernamt._store.pruning._AT_ONCE", 2)
    keyed = notice(key="4711", digest=b"d")
    old = desk.notify(keyed, notice(BOB), notice(BOB, "4713"), key="old").number
    repeat = desk.notify(keyed, key="repeat").number
    told = desk.rows("SELECT count(*) FROM entry")
    assert [desk.run(forget, old) for _ in range(3)] == [True, True, False]
    assert desk.rows("SELECT id FROM notice_run") == [(repeat,)]
    assert desk.rows("SELECT run, n FROM notice") == [(repeat, 1)]
    assert desk.rows("SELECT count(*) FROM entry") == told
    with desk.store.read() as connection:
        [row] = rows_of_run(connection, repeat)
    assert (row.to, row.state, row.repeats) == (ANN, "queued", f"{old}/1")
    again = desk.notify(keyed, key="old")
    assert (again.is_new, desk.rows("SELECT count(*) FROM delivery")) == (True, [(4,)])
    assert desk.run(forget, 4711) is False


# ---- erasure
def test_an_erasure_leaves_no_word_of_a_notice_and_no_key_that_names_its_reader(desk: Desk) -> None:
    ann = Notice(to=ANN, text="Liebe Ann Wagtail", name="Wagtail", data={"order": "Wagtail-1", "key": "row-Wagtail"})
    desk.notify(ann, key="welcome-Wagtail")
    desk.notify(ann, notice(BOB), key="monday")
    [(customer,)] = desk.rows("SELECT customer FROM address WHERE handle = ?", str(ANN))
    erased = erase(desk.store, customer, plugins=())
    assert (erased.entries, erased.refused) == (2, 2)
    assert desk.rows("SELECT key FROM notice_run ORDER BY id") == [("",), ("monday",)]
    everything = [desk.rows(f"SELECT * FROM {table}") for table in metadata.tables]
    assert "Wagtail" not in str(everything)
    assert "491701" not in str(everything)
    with desk.store.read() as connection:
        [first, second] = rows_of_run(connection, 2)
    assert (first.to, first.state, first.key, second.to) == (None, "refused", "", BOB)
