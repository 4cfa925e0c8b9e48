"""Lanes, attempts and results as transactions: what may go now, and what follows from what became known."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from fernamt._store.claims import Claim, ClaimLost, Wish, take
from fernamt._store.deliveries import (
    Attempt,
    Beginning,
    OpenDelivery,
    Result,
    Takeover,
    begin,
    finish,
    head,
    open_deliveries,
    take_over,
)
from fernamt._store.desk import Composition, NoSuchThing, compose
from fernamt._store.engine import Store
from fernamt._store.names import Names
from fernamt._store.reception import Line, Reception, Submission
from fernamt._store.refusals import Refused, refuse
from fernamt._store.transaction import Transaction
from fernamt._store.verdicts import Verdict, decide
from fernamt.errors import OptedOut, Rejected
from fernamt.inbound import InboundEvent, Receipt, Received, Thread
from fernamt.model import Address, DeliveryState, moment

QUEUED, SENDING, UNCERTAIN = DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.UNCERTAIN
SENT, FAILED, DELIVERED, READ = DeliveryState.SENT, DeliveryState.FAILED, DeliveryState.DELIVERED, DeliveryState.READ
ANN, BOB = Address("phone", "+49301"), Address("phone", "+49302")
CHAT = Line(number=1, id="chat")
WAITS = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
HOUR_US = 3_600_000_000
HOLD_US = 300


# ---- heads: pure
def waiting(
    number: int, *, lane: int = 1, state: DeliveryState = QUEUED, next_at: int = 0, first_at: int | None = None
) -> OpenDelivery:
    return OpenDelivery(
        id=number,
        entry=number,
        conversation=lane,
        address=1,
        state=state,
        attempts=0 if first_at is None else 1,
        queued_at=0,
        first_at=first_at,
        next_at=next_at,
    )


def heads(deliveries: list[OpenDelivery], *, now: int = 1000, hold_us: int = HOLD_US) -> list[int]:
    """Return the numbers of those that may go, of each lane one at most."""
    lanes = [[one for one in deliveries if one.lane == lane] for lane in dict.fromkeys(one.lane for one in deliveries)]
    return [one.id for lane in lanes if (one := head(lane, now_us=now, hold_us=hold_us)) is not None]


CASES = {  # now is 1,000; a retry holds its lane for 300
    "nothing": ([], []),
    "the first of a lane": ([waiting(1), waiting(2)], [1]),
    "one of each lane": ([waiting(1, lane=1), waiting(2, lane=2), waiting(3, lane=2)], [1, 2]),
    "what is being sent holds its lane": ([waiting(1, state=SENDING), waiting(2), waiting(3, lane=2)], [3]),
    "a retry holds its lane": ([waiting(1, next_at=9000, first_at=900), waiting(2)], []),
    "a retry that is due": ([waiting(1, next_at=1000, first_at=900), waiting(2)], [1]),
    "a retry that is due before its time is over": ([waiting(1, next_at=1100, first_at=900)], []),
    "a retry lets the next pass after its time": ([waiting(1, next_at=9000, first_at=700), waiting(2)], [2]),
    "a retry that comes back waits for the one that passed it": (
        [waiting(1, next_at=900, first_at=100), waiting(2, state=SENDING)],
        [],
    ),
    "what waits for a time without a try holds as long": ([waiting(1, next_at=9000), waiting(2)], [2]),
}


@pytest.mark.parametrize("case", CASES)
def test_of_each_lane_the_first_may_go(case: str) -> None:
    deliveries, ready = CASES[case]
    assert heads(deliveries) == ready


@st.composite
def queues(draw: st.DrawFn) -> list[OpenDelivery]:
    return [
        waiting(
            number,
            lane=draw(st.integers(1, 3)),
            state=draw(st.sampled_from([QUEUED, QUEUED, SENDING])),
            next_at=draw(st.sampled_from([0, 900, 1000, 1001, 1200, 9000])),
            first_at=draw(st.sampled_from([None, 100, 699, 700, 701, 999])),
        )
        for number in range(1, draw(st.integers(1, 9)))
    ]


def naive_head(lane: list[OpenDelivery], now: int) -> int | None:
    """Say it as the promise says it: one at a time, in order, but a retry lets others pass after its time."""
    if any(one.state == SENDING for one in lane):
        return None
    for one in lane:
        if one.next_at <= now:
            return one.id
        if now < (one.first_at or one.queued_at) + HOLD_US:
            return None
    return None


@given(queues())
def test_heads_are_what_the_promise_says(deliveries: list[OpenDelivery]) -> None:
    wanted = {naive_head([one for one in deliveries if one.conversation == lane], 1000) for lane in (1, 2, 3)} - {None}
    assert {*heads(deliveries)} == wanted


# ---- the transactions
class Desk:
    """A conversation with a customer, and the transactions of its answers."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.names = Names(store.keys())
        self.session = store.session()
        self.run(
            lambda tx, _: [tx.do.one("INSERT INTO channel VALUES (1, 'chat', 'chat', 'Chat', 'up', '', 0)")],
            None,
        )
        self.receive(Received(key="m1", id="m1", sender=ANN, text="Hallo"))
        self.claim = self.claimed()

    def run(self, operation: Any, *payloads: Any) -> Any:
        with self.session.transaction() as tx:
            results = operation(tx, payloads)
        for one in results:
            if isinstance(one, Exception):
                raise one
        return results[0] if results else None

    def receive(self, *events: InboundEvent) -> None:
        self.run(Reception(self.names), Submission(line=CHAT, events=events))

    def claimed(self, owner: str = "runner") -> Claim:
        self.run(lambda tx, _: [tx.do.one("UPDATE due SET until = 0")], None)
        claim: Claim = self.run(take, Wish(key="channel:chat", owner=owner, lease_us=HOUR_US))
        return claim

    def answer(self, text: str = "Guten Tag", to: tuple[Address, ...] = ()) -> tuple[int, ...]:
        written = Composition(conversation=1, kind="sent", author="agent:maria", text=text, to=to)
        deliveries: tuple[int, ...] = self.run(compose, written).deliveries
        return deliveries

    def open(self) -> list[OpenDelivery]:
        with self.store.read() as connection:
            return open_deliveries(self.store.statements(connection), 1, 100)

    def begin(self, delivery: int, *, claim: Claim | None = None, chosen_id: str = "") -> bool:
        [one] = [one for one in self.open() if one.id == delivery]
        return self.begin_seen(one, claim=claim, chosen_id=chosen_id)

    def begin_seen(
        self, seen: OpenDelivery, *, claim: Claim | None = None, chosen_id: str = "", again: bool = False
    ) -> bool:
        attempts = [Attempt(seen, chosen_id)]
        [begun] = self.run(begin, Beginning(claim=claim or self.claim, channel=1, attempts=attempts, again=again))
        return bool(begun)

    def finish(self, delivery: int, state: DeliveryState, *, n: int = 1, **more: Any) -> Any:
        more.setdefault("outcome", state.value)
        result = Result(channel=1, delivery=delivery, n=n, state=state, **more)
        [after] = self.run(finish, [result])
        return after

    def take_over(self, *, repeatable: bool = False) -> int:
        self.claim = self.claimed("next")
        count: int = self.run(take_over, Takeover(claim=self.claim, channel=1, repeatable=repeatable))
        return count

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self.store.read() as connection:
            return [tuple(row) for row in self.store.statements(connection).rows(sql, values)]

    def state(self, delivery: int) -> str:
        return str(self.rows("SELECT state FROM delivery WHERE id = ?", delivery)[0][0])

    def receipt(self, state: DeliveryState, **named: Any) -> None:
        key = f"r{len(self.rows('SELECT 1 FROM known'))}"
        self.receive(Receipt(key=key, state=state, **named))


@pytest.fixture
def desk(store: Store) -> Iterator[Desk]:
    desk = Desk(store)
    yield desk
    desk.session.close()


def test_an_attempt_is_recorded_with_its_fence_and_ended_by_its_result(desk: Desk) -> None:
    [one] = desk.answer()
    assert desk.begin(one)
    assert desk.rows("SELECT n, fence, ended_at, outcome FROM attempt") == [(1, desk.claim.fence, None, "")]
    assert desk.state(one) == "sending"
    assert desk.finish(one, SENT, ids=("p1",)) == SENT
    [(ended_at, outcome)] = desk.rows("SELECT ended_at, outcome FROM attempt")
    assert ended_at
    assert outcome == "sent"
    assert desk.rows("SELECT ids FROM delivery") == [('["p1"]',)]
    assert desk.open() == []


def test_what_is_not_queued_is_not_begun(desk: Desk) -> None:
    [one] = desk.answer()
    [seen] = desk.open()
    assert desk.begin(one)
    assert desk.begin_seen(seen) is False


def test_what_was_tried_since_it_was_seen_is_not_begun(desk: Desk) -> None:
    [one] = desk.answer()
    [seen] = desk.open()
    desk.begin(one)
    desk.finish(one, QUEUED)
    assert desk.begin_seen(seen) is False
    assert desk.rows("SELECT state, attempts FROM delivery") == [("queued", 1)]


def test_an_attempt_whose_commit_was_not_heard_of_is_begun_once(desk: Desk) -> None:
    [one] = desk.answer()
    [seen] = desk.open()
    assert [desk.begin_seen(seen, again=True) for _ in range(2)] == [True, True]
    assert desk.rows("SELECT delivery, n FROM attempt") == [(one, 1)]
    desk.finish(one, SENT)
    assert desk.begin_seen(seen, again=True) is False


@pytest.mark.parametrize("repeatable", [True, False])
def test_what_another_holder_began_is_not_begun_by_asking_again(desk: Desk, repeatable: bool) -> None:
    [one] = desk.answer()
    [seen] = desk.open()
    assert desk.begin(one)
    desk.take_over(repeatable=repeatable)
    if repeatable:
        assert desk.begin(one)
    assert desk.begin_seen(seen, again=True) is False


def test_a_holder_that_lost_its_claim_begins_refuses_and_takes_over_nothing(desk: Desk) -> None:
    [one] = desk.answer()
    [seen] = desk.open()
    stale, desk.claim = desk.claim, desk.claimed("other")
    assert desk.claim.fence == stale.fence + 1
    for operation, payload in (
        (begin, Beginning(claim=stale, channel=1, attempts=[Attempt(seen)])),
        (refuse, Refused(claim=stale, delivery=one, reason="no")),
        (take_over, Takeover(claim=stale, channel=1, repeatable=False)),
    ):
        with pytest.raises(ClaimLost):
            desk.run(operation, payload)
    assert desk.state(one) == "queued"


@pytest.mark.parametrize(("repeatable", "state"), [(True, "queued"), (False, "uncertain")])
def test_an_attempt_without_a_result_is_repeated_only_where_that_is_harmless(
    desk: Desk, repeatable: bool, state: str
) -> None:
    one, two = *desk.answer(), *desk.answer()
    desk.begin(one)
    assert desk.take_over(repeatable=repeatable) == 1
    assert (desk.state(one), desk.state(two)) == (state, "queued")


def test_a_person_who_knows_better_ends_the_doubt_about_earlier_attempts(desk: Desk) -> None:
    [one] = desk.answer()
    desk.begin(one)
    desk.finish(one, UNCERTAIN)
    desk.run(decide, Verdict(delivery=one, sent=False, by="maria"))
    desk.begin(one)
    assert desk.finish(one, FAILED, n=2) == FAILED


LATE: dict[
    str, tuple[dict[str, Any], str]
] = {  # the result of an attempt that was taken over, and where the delivery stands then
    "sent": ({"state": SENT}, "sent"),
    "refused by the provider": ({"state": FAILED}, "failed"),
    "certainly not happened": ({"state": QUEUED, "after_us": HOUR_US}, "queued"),
    "nobody knows": ({"state": UNCERTAIN}, "uncertain"),
}


@pytest.mark.parametrize("case", LATE)
def test_a_late_result_settles_what_became_uncertain(desk: Desk, case: str) -> None:
    more, state = LATE[case]
    [one] = desk.answer()
    desk.begin(one)
    desk.take_over()
    assert desk.finish(one, **more) == state
    assert desk.state(one) == state


@pytest.mark.parametrize("case", LATE)
def test_a_late_result_changes_nothing_of_what_went_on_but_that_it_was_sent(desk: Desk, case: str) -> None:
    more, _ = LATE[case]
    [one] = desk.answer()
    desk.begin(one)
    desk.take_over(repeatable=True)
    desk.begin(one)
    desk.finish(one, **more)
    assert desk.state(one) == ("sent" if case == "sent" else "sending")
    assert desk.finish(one, SENT, n=2) == SENT
    assert desk.state(one) == "sent"


def test_the_ids_of_a_late_result_are_known_to_the_next_answer(desk: Desk) -> None:
    [one] = desk.answer()
    desk.begin(one)
    desk.take_over()
    desk.finish(one, SENT, ids=("late",))
    assert desk.rows("SELECT ids FROM delivery") == [('["late"]',)]


def test_a_late_result_and_the_present_one_in_one_transaction_both_leave_their_ids(desk: Desk) -> None:
    [one] = desk.answer()
    late = Result(channel=1, delivery=one, n=1, state=SENT, outcome="sent", ids=("late",))
    desk.begin(one)
    desk.take_over(repeatable=True)
    desk.begin(one)

    def both(tx: Transaction, _: object) -> list[object]:
        return [finish(tx, [[late], [evolve(late, n=2, ids=("present",))]])]

    assert desk.run(both, None) == [[SENT], [SENT]]
    assert desk.rows("SELECT ids FROM delivery") == [('["late","present"]',)]


@pytest.mark.parametrize("second", [("p2", "p3"), ("p1", "p2", "p3")])
def test_parts_that_got_through_are_counted_once_however_the_connector_counts(
    desk: Desk, second: tuple[str, ...]
) -> None:
    [one] = desk.answer()
    desk.begin(one)
    desk.finish(one, QUEUED, ids=("p1",))
    desk.begin(one)
    desk.finish(one, SENT, n=2, ids=second)
    assert desk.rows("SELECT ids FROM delivery") == [('["p1","p2","p3"]',)]


def test_a_retry_waits_by_the_stores_clock_and_ends_when_its_time_is_over(desk: Desk) -> None:
    [one] = desk.answer()
    desk.begin(one)
    desk.finish(one, QUEUED, after_us=HOUR_US, give_up_us=2 * HOUR_US)
    [again] = desk.open()
    assert again.first_at
    assert again.next_at - again.first_at == pytest.approx(HOUR_US, abs=60_000_000)
    desk.begin(one)
    assert desk.finish(one, QUEUED, n=2, after_us=3 * HOUR_US, give_up_us=2 * HOUR_US, given_up=UNCERTAIN) == UNCERTAIN
    assert desk.open() == []


def test_deliveries_go_in_the_order_of_their_entries_whichever_process_wrote_them(desk: Desk) -> None:
    sessions = [desk.session, desk.store.session(), desk.store.session()]
    for number in range(6):
        desk.session = sessions[number % 3]
        desk.answer(str(number))
    for session in sessions[1:]:
        session.close()
    desk.session = sessions[0]
    assert [one.entry for one in desk.open()] == [
        row[0] for row in desk.rows("SELECT id FROM entry WHERE kind = 'sent' ORDER BY n")
    ]


# ---- receipts
def sent(desk: Desk, *ids: str, to: tuple[Address, ...] = ()) -> tuple[int, ...]:
    """Send an answer to each recipient, the provider giving each an id of its own."""
    deliveries = desk.answer(to=to)
    for delivery, one in zip(deliveries, ids, strict=True):
        desk.begin(delivery)
        desk.finish(delivery, SENT, ids=(one,))
    return deliveries


def test_a_receipt_names_one_recipient_of_several_by_the_id_of_theirs(desk: Desk) -> None:
    ann, bob = sent(desk, "p1", "p2", to=(ANN, BOB))
    desk.receipt(DELIVERED, id="p2")
    assert (desk.state(ann), desk.state(bob)) == ("sent", "delivered")


def test_an_id_that_several_share_is_told_apart_by_the_address(desk: Desk) -> None:
    ann, bob = sent(desk, "<same>", "<same>", to=(ANN, BOB))
    desk.receipt(FAILED, id="<same>", address=BOB, error=Rejected("no such user", code="5.1.1"))
    assert (desk.state(ann), desk.state(bob)) == ("sent", "failed")


def test_an_id_that_was_chosen_beforehand_is_found_though_the_answer_was_lost(desk: Desk) -> None:
    ann, bob = desk.answer(to=(ANN, BOB))
    desk.begin(ann, chosen_id="a1")
    desk.finish(ann, SENT, ids=("a1",))
    desk.begin(bob, chosen_id="b1")
    desk.take_over()
    desk.receipt(DELIVERED, id="b1")
    assert (desk.state(ann), desk.state(bob)) == ("sent", "delivered")


@pytest.mark.parametrize("state", [SENT, DELIVERED, READ, FAILED])
def test_a_receipt_settles_an_uncertain_message_by_our_key(desk: Desk, state: DeliveryState) -> None:
    [one] = desk.answer()
    desk.begin(one)
    desk.finish(one, UNCERTAIN)
    desk.receipt(state, message_key=desk.names.message_key(one))
    assert desk.state(one) == state


def test_an_early_receipt_waits_for_its_id_and_keeps_what_it_said(desk: Desk) -> None:
    [one] = desk.answer()
    desk.begin(one)
    desk.receipt(FAILED, id="p1", error=OptedOut("STOP", code="21610"))
    assert desk.state(one) == "sending"
    assert desk.finish(one, SENT, ids=("p1",)) == SENT
    assert desk.rows("SELECT state, reason, code FROM delivery") == [("failed", "STOP", "21610")]
    assert desk.rows("SELECT evidence FROM consent WHERE NOT allowed") == [("STOP",)]
    assert desk.rows("SELECT count(*) FROM early_receipt") == [(0,)]


@pytest.mark.parametrize("answer_is_first", [True, False])
def test_a_receipt_and_its_answer_that_two_runners_take_at_once_find_each_other(
    desk: Desk, answer_is_first: bool
) -> None:
    if desk.store.is_sqlite:
        pytest.skip("SQLite has one writer at a time")
    [one] = desk.answer()
    desk.begin(one)
    results = [Result(channel=1, delivery=one, n=1, state=SENT, outcome="sent", ids=("p1",))]
    receipts = Submission(line=CHAT, events=(Receipt(key="r1", state=DELIVERED, id="p1"),))

    def answered(tx: Transaction) -> Any:
        return finish(tx, [results])

    def receipted(tx: Transaction) -> Any:
        return Reception(desk.names)(tx, [receipts])

    first, second = (answered, receipted) if answer_is_first else (receipted, answered)
    with contextlib.closing(desk.store.session()) as other, ThreadPoolExecutor(1) as pool:
        with desk.session.transaction() as tx:
            first(tx)
            later = pool.submit(other.run, second)
            while not (later.done() or desk.rows(WAITS)):
                pass
        later.result()

    assert desk.state(one) == "delivered"
    assert desk.rows("SELECT count(*) FROM early_receipt") == [(0,)]


def test_two_early_receipts_of_one_message_both_wait_for_it(desk: Desk) -> None:
    [one] = desk.answer()
    desk.begin(one)
    desk.receipt(DELIVERED, id="p1")
    desk.receipt(READ, id="p1")
    assert desk.finish(one, SENT, ids=("p1",)) == SENT
    assert desk.state(one) == "read"
    desk.receive(Received(key="m2", id="m2", sender=ANN, text="Danke", thread=Thread(references=("p1",))))
    assert desk.rows("SELECT conversation FROM entry WHERE kind = 'received'") == [(1,), (1,)]


def test_a_receipt_that_overtakes_the_answer_is_not_lowered_by_it(desk: Desk) -> None:
    [one] = desk.answer()
    desk.begin(one)
    desk.receipt(DELIVERED, message_key=desk.names.message_key(one))
    assert desk.finish(one, SENT, ids=("p1",)) == DELIVERED
    assert desk.state(one) == "delivered"
    desk.receipt(READ, id="p1")
    assert desk.state(one) == "read"


@pytest.mark.parametrize("how", ["an answer's", "chosen"])
def test_an_id_that_a_provider_gives_again_means_the_newer_message(desk: Desk, how: str) -> None:
    for text in ("one", "two"):
        [one] = desk.answer(text)
        desk.begin(one, chosen_id="p1" if how == "chosen" else "")
        desk.finish(one, SENT, ids=() if how == "chosen" else ("p1",))
    desk.receipt(DELIVERED, id="p1")
    assert desk.rows("SELECT state FROM delivery ORDER BY id") == [("sent",), ("delivered",)]


def test_of_two_messages_that_get_one_id_at_the_same_moment_neither_is_lost(desk: Desk) -> None:
    numbers = [desk.answer(to=(who,))[0] for who in (ANN, BOB)]
    for one in numbers:
        desk.begin(one)
    results = [Result(channel=1, delivery=one, n=1, state=SENT, outcome="sent", ids=("p1",)) for one in numbers]
    desk.session.run(lambda tx: finish(tx, [results]))
    assert desk.rows("SELECT state FROM delivery") == [("sent",), ("sent",)]


def test_a_receipt_about_a_customers_own_message_changes_and_parks_nothing(desk: Desk) -> None:
    desk.receipt(READ, id="m1")
    assert desk.rows("SELECT count(*) FROM early_receipt") == [(0,)]


def test_a_read_mark_counts_by_when_a_message_left_not_by_when_its_receipt_came(desk: Desk) -> None:
    [one] = sent(desk, "p1")
    desk.run(
        lambda tx, _: [
            tx.do.one("UPDATE attempt SET started_at = 1000000"),
            tx.do.one("UPDATE delivery SET changed_at = 9000000, state = 'delivered'"),
        ],
        None,
    )
    desk.receipt(READ, address=ANN, up_to=moment(999_999))
    assert desk.state(one) == "delivered"
    desk.receipt(READ, address=ANN, up_to=moment(1_000_000))
    assert desk.state(one) == "read"


# ---- a person's word
def test_a_person_settles_what_is_uncertain_and_nothing_else(desk: Desk) -> None:
    one, two, three = *desk.answer(), *desk.answer(), *desk.answer()
    for delivery in (one, two):
        desk.begin(delivery)
        desk.finish(delivery, UNCERTAIN)
    assert desk.run(decide, Verdict(delivery=one, sent=True, by="agent:maria")) == SENT
    assert desk.run(decide, Verdict(delivery=two, sent=False, by="agent:maria")) == QUEUED
    assert [desk.state(it) for it in (one, two, three)] == ["sent", "queued", "queued"]
    assert desk.rows("SELECT delivery, source FROM fact ORDER BY id") == [(one, "a person"), (two, "a person")]
    assert heads(desk.open(), now=2**60, hold_us=0) == [two]
    for delivery in (one, three, 99):
        with pytest.raises(NoSuchThing):
            desk.run(decide, Verdict(delivery=delivery, sent=True, by="agent:maria"))


def test_what_a_person_sends_again_gets_all_its_time_again(desk: Desk) -> None:
    [one] = desk.answer()
    desk.begin(one)
    desk.finish(one, UNCERTAIN)
    desk.run(lambda tx, _: [tx.do.one("UPDATE delivery SET first_at = 1")], None)
    desk.run(decide, Verdict(delivery=one, sent=False, by="agent:maria"))
    desk.begin(one)
    assert desk.finish(one, QUEUED, n=2, after_us=1000, give_up_us=HOUR_US) == QUEUED


def test_a_refusal_with_a_time_waits_and_one_for_good_ends_the_delivery(desk: Desk) -> None:
    one, two = *desk.answer(to=(ANN,)), *desk.answer(to=(BOB,))
    desk.run(refuse, Refused(claim=desk.claim, delivery=one, reason="night", until_us=2**60))
    desk.run(refuse, Refused(claim=desk.claim, delivery=two, reason="opted out"))
    assert desk.rows("SELECT state, reason, next_at = ? FROM delivery ORDER BY id", 2**60) in (
        [("queued", "night", 1), ("refused", "opted out", 0)],
        [("queued", "night", True), ("refused", "opted out", False)],
    )
    assert desk.rows("SELECT count(*) FROM attempt") == [(0,)]


def test_results_in_one_transaction_do_not_see_each_other(desk: Desk) -> None:
    one, two = *desk.answer(to=(ANN,)), *desk.answer(to=(BOB,))
    desk.begin(one)
    desk.begin(two)
    first = Result(channel=1, delivery=one, n=1, state=SENT, outcome="sent", ids=("same",))

    desk.run(finish, [first, evolve(first, delivery=two)])
    assert (desk.state(one), desk.state(two)) == ("sent", "sent")
