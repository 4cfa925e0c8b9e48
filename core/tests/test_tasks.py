"""Durable work as transactions: planned once a key, done once, and never ended by somebody who is late."""

import contextlib
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import pytest

from fernamt._store.claims import Claim, ClaimLost, Wish, take
from fernamt._store.engine import Store
from fernamt._store.statements import Batch
from fernamt._store.tasks import (
    TRIES_MAX,
    Ended,
    Errand,
    Failed,
    Task,
    TaskGone,
    cancel_task,
    due_tasks,
    end,
    errand_row,
    fail,
    plan_tasks,
)
from fernamt._store.transaction import Transaction

OWNER = "work:csat"
LATER_US = 10**18


def run(store: Store, body: Callable[[Transaction], Any]) -> Any:
    with contextlib.closing(store.session()) as session, session.transaction() as tx:
        return body(tx)


def errand(key: str = "tell:1", due_us: int = 5, **more: Any) -> Errand:
    return Errand(owner=OWNER, kind="tell", key=key, due_us=due_us, **more)


def plan(store: Store, *errands: Errand, replace: bool = False) -> None:
    run(store, lambda tx: plan_tasks(tx, errands, replace=replace))


def due(store: Store, *, now_us: int = LATER_US, limit: int = 10, **busy: Collection[Any]) -> tuple[Task, ...]:
    return run(store, lambda tx: due_tasks(tx.do, OWNER, now_us, limit, **busy)).ready  # type: ignore[no-any-return]


def claimed(store: Store) -> Claim:
    wish = Wish(key=OWNER, owner="runner", lease_us=10**12)
    claim: Claim = run(store, lambda tx: take(tx, [wish]))[0]
    return claim


def taken_by_another(store: Store) -> Claim:
    run(store, lambda tx: tx.do.one("UPDATE due SET until = 0"))
    return claimed(store)


def failed(store: Store, claim: Claim, task: Task, *, again_us: int | None = 7) -> int | None:
    one = Failed(claim=claim, task=task, reason="no", again_us=again_us)
    found: int | None = run(store, lambda tx: fail(tx, [one]))[0]
    return found


def ended(store: Store, claim: Claim, task: Task, also: Callable[[Transaction], object] | None = None) -> bool:
    done: bool = run(store, lambda tx: end(tx, [Ended(claim=claim, task=task, also=also)]))[0]
    return done


def test_what_is_planned_is_due_at_its_time_the_longest_due_first(store: Store) -> None:
    plan(store, errand("b", 20, conversation=4, n=2, data={"cursor": "ä"}), errand("c", 30), errand("a", 10))
    found = run(store, lambda tx: due_tasks(tx.do, OWNER, 20, 10))
    assert [task.key for task in found.ready] == ["a", "b"]
    assert found.next_at == 30
    task = found.ready[1]
    assert (task.conversation, task.n, task.data, task.tries, task.due_us) == (4, 2, {"cursor": "ä"}, 0, 20)
    assert run(store, lambda tx: due_tasks(tx.do, "work:other", LATER_US, 10)).ready == ()


def test_a_batch_plans_with_everything_else(store: Store) -> None:
    def body(tx: Transaction) -> None:
        batch = Batch()
        batch.add("wake task", errand_row(tx.do, errand(), tx.now_us))
        batch.write(tx.do)

    run(store, body)
    assert [task.key for task in due(store)] == ["tell:1"]


class Again(NamedTuple):
    label: str
    sql: str
    due_us: int
    expect: int | None


AGAIN = [  # what stood there, then it is wanted at due_us
    Again("an earlier time wins", "due_at = 50", 20, 20),
    Again("a later time changes nothing", "due_at = 50", 80, 50),
    Again("what is parked is due again", "due_at = NULL, tries = 12", 80, 80),
    Again("what waits for another try keeps its pause", "due_at = 50, tries = 1", 20, 50),
]


@pytest.mark.parametrize("case", AGAIN, ids=lambda case: case.label)
def test_what_is_wanted_twice_is_one_task(store: Store, case: Again) -> None:
    plan(store, errand(n=1, data={"a": 1}))
    run(store, lambda tx: tx.do.one(f"UPDATE task SET {case.sql}"))
    plan(store, errand(due_us=case.due_us, n=2, data={"a": 2}))
    [task] = due(store)
    assert (task.due_us, task.n, task.data) == (case.expect, 1, {"a": 1})


def test_what_is_replaced_is_new_in_everything_but_its_key(store: Store) -> None:
    claim = claimed(store)
    plan(store, errand(n=1))
    failed(store, claim, due(store)[0])
    plan(store, errand(due_us=90, n=2, data={"a": 2}), replace=True)
    [task] = due(store)
    assert (task.due_us, task.n, task.data, task.tries, task.reason) == (90, 2, {"a": 2}, 0, "")


def test_what_is_cancelled_is_gone(store: Store) -> None:
    plan(store, errand())
    assert run(store, lambda tx: cancel_task(tx, "tell:1"))
    assert not run(store, lambda tx: cancel_task(tx, "tell:1"))
    assert due(store) == ()


def test_one_conversation_has_one_task_at_a_time_and_a_long_line_hides_nobody(store: Store) -> None:
    line = [errand(f"a{number:03}", number, conversation=1) for number in range(40)]
    plan(store, *line, errand("b", 100, conversation=2), errand("c", 101), errand("d", 102))
    assert [task.key for task in due(store, limit=3)] == ["a000", "b", "c"]
    found = due(store, limit=3, busy=["a000"], held=[1])
    assert [task.key for task in found] == ["b", "c", "d"]


def test_a_task_and_what_comes_of_it_end_together(store: Store) -> None:
    claim = claimed(store)
    plan(store, errand())
    [task] = due(store)
    assert ended(store, claim, task, lambda tx: plan_tasks(tx, [errand("next")]))
    assert [one.key for one in due(store)] == ["next"]


def test_what_cannot_be_written_leaves_the_task(store: Store) -> None:
    claim = claimed(store)
    plan(store, errand())
    [task] = due(store)

    def also(tx: Transaction) -> None:
        plan_tasks(tx, [errand("next")])
        raise KeyError

    with pytest.raises(KeyError):
        ended(store, claim, task, also)
    assert due(store) == (task,)


def test_what_somebody_dropped_while_it_ran_has_no_consequences(store: Store) -> None:
    claim = claimed(store)
    plan(store, errand())
    [task] = due(store)
    assert run(store, lambda tx: cancel_task(tx, "tell:1"))
    with pytest.raises(TaskGone):
        ended(store, claim, task, lambda tx: plan_tasks(tx, [errand("next")]))
    assert failed(store, claim, task) is not None
    assert due(store) == ()


@pytest.mark.parametrize("replace", [False, True])
def test_what_was_planned_again_while_it_ran_stays(store: Store, replace: bool) -> None:
    claim = claimed(store)
    plan(store, errand())
    [task] = due(store)
    plan(store, errand(), replace=replace)
    assert not ended(store, claim, task)
    assert failed(store, claim, task) is not None
    [again] = due(store)
    assert (again.tries, again.due_us) == (0, 5)
    assert ended(store, claim, again)


def test_a_failure_is_counted_and_the_twelfth_parks(store: Store) -> None:
    claim = claimed(store)
    plan(store, errand())
    for tries in range(1, TRIES_MAX):
        [task] = due(store)
        assert failed(store, claim, task) == due(store)[0].due_us
        assert due(store)[0].tries == tries
    assert failed(store, claim, due(store)[0]) is None
    assert due(store) == ()
    plan(store, errand(due_us=9))
    [task] = due(store)
    assert (task.tries, task.reason, task.due_us) == (TRIES_MAX, "no", 9)
    assert failed(store, claim, task) is None


def test_what_can_never_be_done_is_parked_at_once(store: Store) -> None:
    claim = claimed(store)
    plan(store, errand())
    assert failed(store, claim, due(store)[0], again_us=None) is None
    assert due(store) == ()


def test_a_holder_that_lost_its_claim_changes_nothing(store: Store) -> None:
    stale = claimed(store)
    plan(store, errand())
    [task] = due(store)
    taken_by_another(store)
    with pytest.raises(ClaimLost):
        ended(store, stale, task, lambda tx: plan_tasks(tx, [errand("next")]))
    with pytest.raises(ClaimLost):
        failed(store, stale, task)
    assert due(store) == (task,)
