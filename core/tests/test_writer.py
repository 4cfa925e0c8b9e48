"""The writer: many callers, one transaction; one bad payload hurts nobody else; away and back without a restart."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from structlog.testing import capture_logs

from fernamt._store import postgres, reception
from fernamt._store.engine import Store
from fernamt._store.names import Names
from fernamt._store.reception import Line, Reception, Submission
from fernamt._store.transaction import Rank, Transaction, locks
from fernamt._store.writer import GROUP_MAX, Writer
from fernamt.errors import FernamtError, NotStored
from fernamt.inbound import Received, Thread
from fernamt.model import Address

ANN, BOB = Address("phone", "+49301"), Address("phone", "+49302")
CHAT = Line(number=1, id="chat")


on_sqlite = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
on_postgres = pytest.mark.parametrize("store_url", ["postgres"], indirect=True)


class Refused(FernamtError):
    """What an operation has to say to one caller."""


class Notes:
    """An operation that writes names, and knows how many came at once."""

    def __init__(self) -> None:
        self.groups: list[int] = []

    def __call__(self, tx: Transaction, payloads: Sequence[str]) -> list[str | FernamtError]:
        self.groups.append(len(payloads))
        tx.do.many("put cursor", [(1, name, "") for name in payloads])
        for name in payloads:
            if name.startswith("bad"):
                raise ValueError(name)
        return [Refused(name) if name.startswith("refused") else name.upper() for name in payloads]


class Gate:
    """An operation that keeps the writer busy until the test opens it."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def __call__(self, tx: Transaction, payloads: Sequence[None]) -> Sequence[None]:
        self.reached.set()
        assert self.opened.wait(20)
        return payloads


def names(store: Store) -> set[str]:
    with store.read() as connection:
        return {row[0] for row in store.statements(connection).rows("SELECT name FROM cursor")}


@contextlib.asynccontextmanager
async def busy(writer: Writer) -> AsyncIterator[None]:
    """Keep the writer busy: what is written meanwhile is committed in groups after it."""
    gate = Gate()
    done = writer.write(gate, None)
    await asyncio.to_thread(gate.reached.wait, 20)
    yield
    gate.opened.set()
    await done


async def test_many_callers_share_one_transaction(store: Store, writer: Writer) -> None:
    notes = Notes()
    async with busy(writer):
        futures = [writer.write(notes, f"name{number}") for number in range(GROUP_MAX + 88)]
        assert not any(future.done() for future in futures)
    assert await asyncio.gather(*futures) == [f"NAME{number}" for number in range(GROUP_MAX + 88)]
    assert notes.groups == [GROUP_MAX, 88]
    assert len(names(store)) == GROUP_MAX + 88


async def test_one_bad_payload_fails_alone_and_its_neighbours_are_committed(store: Store, writer: Writer) -> None:
    notes = Notes()
    async with busy(writer):
        futures = [writer.write(notes, name) for name in ("a", "bad", "b", "refused", "c")]
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert [str(one) for one in results] == ["A", "bad", "B", "refused", "C"]
    assert [type(one) for one in results] == [str, ValueError, str, Refused, str]
    assert names(store) == {"a", "b", "refused", "c"}
    assert notes.groups == [5, 2, 1, 1, 3]


async def test_one_bad_payload_among_many_costs_a_few_transactions_more(store: Store, writer: Writer) -> None:
    notes = Notes()
    async with busy(writer):
        futures = [writer.write(notes, f"{'bad' if number == 200 else 'good'}{number}") for number in range(GROUP_MAX)]
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert [str(one) for one in results if isinstance(one, Exception)] == ["bad200"]
    assert len(notes.groups) < 20
    assert len(names(store)) == GROUP_MAX - 1


async def test_several_operations_share_a_transaction_and_fail_apart(store: Store, writer: Writer) -> None:
    good, bad = Notes(), Notes()
    async with busy(writer):
        futures = [writer.write(good, "a"), writer.write(bad, "bad"), writer.write(good, "b")]
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert [str(one) for one in results] == ["A", "bad", "B"]
    assert good.groups[0] == 2
    assert names(store) == {"a", "b"}


async def test_what_the_database_refuses_fails_alone(store: Store, writer: Writer) -> None:
    def put(tx: Transaction, payloads: Sequence[Any]) -> Sequence[Any]:
        tx.do.many("put cursor", [(1, payload, "") for payload in payloads])
        return payloads

    async with busy(writer):
        futures = [writer.write(put, payload) for payload in ("a", None, "\ud800", "b")]
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert [one for one in results if isinstance(one, str)] == ["a", "b"]
    assert not any(isinstance(one, NotStored) for one in results)
    assert names(store) == {"a", "b"}


async def test_callers_that_were_cancelled_hinder_nobody_and_undo_nothing(store: Store, writer: Writer) -> None:
    notes = Notes()
    async with busy(writer):
        futures = [writer.write(notes, name) for name in ("a", "b", "c")]
        futures[1].cancel()
        waiting = asyncio.ensure_future(asyncio.wait_for(futures[0], 20))
        await asyncio.sleep(0)
        waiting.cancel()
    assert await futures[2] == "C"
    assert futures[1].cancelled()
    assert names(store) == {"a", "b", "c"}


async def test_stopping_commits_what_is_queued_and_takes_nothing_more(store: Store) -> None:
    writer, notes = Writer(store), Notes()
    writer.start()
    async with busy(writer):
        futures = [writer.write(notes, str(number)) for number in range(20)]
        stopping = asyncio.create_task(writer.stop())
        await asyncio.sleep(0)
        with pytest.raises(NotStored, match="stopping"):
            await writer.write(notes, "late")
    await stopping
    assert len(await asyncio.gather(*futures)) == 20
    assert len(names(store)) == 20


async def test_a_writer_that_was_never_started_stops(store: Store) -> None:
    await Writer(store).stop()


async def test_the_points_of_a_commit_are_told_around_it(store: Store) -> None:
    told: list[tuple[str, int]] = []
    writer = Writer(store, committing=lambda point: told.append((point, len(names(store)))))
    writer.start()
    await writer.write(Notes(), "a")
    await writer.stop()
    assert told == [("writer.before-commit", 0), ("writer.committed", 1)]


# ---- outages
@on_sqlite
async def test_a_store_that_is_locked_takes_nothing_and_goes_on_afterwards(store: Store, writer: Writer) -> None:
    await writer.write(lambda tx, payloads: [tx.do.one("PRAGMA busy_timeout = 0") for _ in payloads], None)
    other = store.session()
    with other.transaction():
        with pytest.raises(NotStored, match="locked") as refused:
            await writer.write(Notes(), "a")
        assert refused.value.after_s > 0
    other.close()
    assert await writer.write(Notes(), "b") == "B"
    assert names(store) == {"b"}


async def test_an_outage_is_told_once_down_and_once_up(writer: Writer) -> None:
    def away(tx: Transaction, payloads: Sequence[None]) -> Sequence[None]:
        raise OSError("the disk is gone")

    with capture_logs() as logs:
        for _ in range(2):
            for _ in range(3):
                with pytest.raises(NotStored):
                    await writer.write(away, None)
            await writer.write(Notes(), "a")
    assert [log["log_level"] for log in logs if log["event"] == "store_unavailable"] == ["error", "debug", "debug"] * 2
    assert [log["log_level"] for log in logs if log["event"] == "store_available"] == ["info"] * 2


@on_sqlite
async def test_a_full_disk_loses_nothing_that_was_committed_and_is_survived(store: Store, writer: Writer) -> None:
    def fill(tx: Transaction, payloads: Sequence[int]) -> Sequence[int]:
        for payload in payloads:
            tx.do.one("INSERT INTO raw (id, body) VALUES (?, ?)", (payload, b"x" * 100_000))
        return payloads

    def narrow(tx: Transaction, payloads: Sequence[None]) -> Sequence[None]:
        [(pages,)] = tx.do.rows("PRAGMA page_count")
        tx.do.rows(f"PRAGMA max_page_count = {pages + 100}")
        return payloads

    await writer.write(narrow, None)
    results = [await asyncio.gather(writer.write(fill, number), return_exceptions=True) for number in range(1, 20)]
    stored = [one for [one] in results if isinstance(one, int)]
    refused = [one for [one] in results if isinstance(one, NotStored)]
    assert stored
    assert "full" in str(refused[0])
    assert len(stored) + len(refused) == 19
    assert await writer.write(Notes(), "space again") == "SPACE AGAIN"
    with store.read() as connection:
        do = store.statements(connection)
        assert [row[0] for row in do.rows("SELECT id FROM raw ORDER BY id")] == stored
        assert do.rows("PRAGMA integrity_check") == [("ok",)]


@on_postgres
@pytest.mark.parametrize("moment", ["before", "within"])
async def test_a_connection_that_was_cut_is_made_again(store: Store, writer: Writer, moment: str) -> None:
    [(backend,)] = await writer.write(lambda tx, _: [tx.do.rows("SELECT pg_backend_pid()")], None)

    def cut() -> None:
        other = store.session()
        with other.transaction() as tx:
            tx.do.rows("SELECT pg_terminate_backend(?, 5000)", (backend,))
        other.close()

    class Cut(Notes):
        def __call__(self, tx: Transaction, payloads: Sequence[str]) -> list[str | FernamtError]:
            cut()
            return super().__call__(tx, payloads)

    if moment == "before":
        await asyncio.to_thread(cut)
    async with busy(writer) if moment == "within" else contextlib.nullcontext():
        notes = Cut() if moment == "within" else Notes()
        futures = [writer.write(notes, name) for name in ("a", "b")]
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert all(isinstance(one, NotStored) for one in results)
    assert await writer.write(Notes(), "c") == "C"
    assert names(store) == {"c"}


@on_postgres
async def test_a_row_that_somebody_keeps_locked_is_an_outage_and_not_the_end(
    store: Store, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await writer.write(Notes(), "a")
    assert "set_config('lock_timeout', '10000', true)" in postgres._BEGIN
    monkeypatch.setattr(postgres, "_BEGIN", postgres._BEGIN.replace("'10000'", "'20'"))
    with contextlib.closing(store.session()) as other, other.transaction() as tx:
        tx.do.one("UPDATE cursor SET value = 'mine'")
        with pytest.raises(NotStored, match="lock timeout"):
            await writer.write(Notes(), "a")
    assert await writer.write(Notes(), "a") == "A"


async def test_a_server_that_is_away_refuses_each_caller() -> None:
    from fernamt._runtime.clock import SystemClock

    store = Store.open("postgresql://fernamt@127.0.0.1:1/nothing", SystemClock())
    writer = Writer(store)
    writer.start()
    results = await asyncio.gather(*(writer.write(Notes(), name) for name in "abc"), return_exceptions=True)
    assert [type(one) for one in results] == [NotStored] * 3
    await writer.stop()
    store.close()


# ---- races between runners
def message(key: str, sender: Address = ANN, **more: Any) -> Submission:
    return Submission(line=CHAT, events=(Received(key=key, id=key, sender=sender, text=key, **more),))


class Runners:
    """Two runners on one store: what the other does happens between the look and the write of the first."""

    def __init__(self, store: Store, writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = store
        self.writer = writer
        self.reception = Reception(Names(store.keys()))
        self.other = store.session()
        self.between: list[Submission] = []
        self.runs = 0
        write = reception._Plan.write

        def interrupted(plan: reception._Plan) -> None:
            if plan._tx.connection is not self.other._connection:
                self.runs += 1
                while self.between:
                    self.others(self.between.pop(0))
            write(plan)

        monkeypatch.setattr(reception._Plan, "write", interrupted)

    def others(self, submission: Submission) -> Any:
        with self.other.transaction() as tx:
            return self.reception(tx, [submission])[0]

    async def ours(self, submission: Submission) -> Any:
        return await self.writer.write(self.reception, submission)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.store.read() as connection:
            return [tuple(row) for row in self.store.statements(connection).rows(sql)]


@pytest.fixture
def runners(store: Store, writer: Writer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runners]:
    runners = Runners(store, writer, monkeypatch)
    yield runners
    runners.other.close()


@on_postgres
async def test_the_same_event_at_two_runners_is_one_entry(runners: Runners) -> None:
    runners.between = [message("m1")]
    [accepted] = await runners.ours(message("m1"))
    assert (accepted.n, accepted.repeat) == (1, True)
    assert runners.runs == 2
    assert runners.rows("SELECT count(*) FROM entry") == [(1,)]


@on_postgres
async def test_two_people_who_write_first_in_a_room_at_two_runners_share_one_conversation(runners: Runners) -> None:
    room = Thread(place="room", shared=True)
    runners.between = [message("m1", BOB, thread=room)]
    [accepted] = await runners.ours(message("m2", ANN, thread=room))
    assert (accepted.n, runners.runs) == (2, 2)
    assert runners.rows("SELECT count(*) FROM conversation") == [(1,)]


@on_postgres
def test_a_deadlock_with_another_runner_is_run_again(store: Store) -> None:
    sessions = [store.session(), store.session()]
    met = threading.Barrier(2)
    runs: list[int] = []

    def swap(first: int) -> None:
        def body(tx: Transaction) -> None:
            runs.append(first)
            tx.do.one("UPDATE meta SET value = value WHERE name = ?", (("salt", "secret")[first],))
            if len(runs) <= 2:
                met.wait(20)
            tx.do.one("UPDATE meta SET value = value WHERE name = ?", (("secret", "salt")[first],))

        with contextlib.closing(sessions[first]) as session:
            session.run(body)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(swap, (0, 1)))
    assert len(runs) > 2  # and more, where the one that is run again is faster than the one that waits for it


@on_postgres
async def test_a_new_person_at_two_runners_is_one_customer_with_one_conversation(runners: Runners) -> None:
    runners.between = [message("m1")]
    [accepted] = await runners.ours(message("m2"))
    assert accepted.n == 2
    assert runners.rows("SELECT count(*) FROM conversation") == [(1,)]
    assert runners.rows("SELECT count(*) FROM customer") == [(1,)]


@on_postgres
async def test_a_known_person_at_a_new_place_at_two_runners_has_one_conversation_there(runners: Runners) -> None:
    runners.others(message("m0", thread=Thread(place="elsewhere")))
    runners.between = [message("m1")]
    [accepted] = await runners.ours(message("m2"))
    assert accepted.n == 2
    assert runners.rows("SELECT count(*) FROM conversation") == [(2,)]


@on_postgres
async def test_a_conversation_that_is_over_is_followed_by_one_new_one_at_two_runners(runners: Runners) -> None:
    runners.others(message("m0"))
    with runners.other.transaction() as tx:
        tx.do.one("UPDATE conversation SET state = 'solved', changed_at = 0")
    held = asyncio.Event()
    locked, loop = threading.Event(), asyncio.get_running_loop()

    def first() -> None:
        with runners.other.transaction() as tx:
            runners.reception(tx, [message("m1")])
            loop.call_soon_threadsafe(held.set)
            assert locked.wait(20)

    other = asyncio.create_task(asyncio.to_thread(first))
    await held.wait()
    ours = runners.writer.write(runners.reception, message("m2"))
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    while (await asyncio.to_thread(runners.rows, waiting)) == [(0,)]:
        await asyncio.sleep(0)
    locked.set()
    await other
    [accepted] = await ours
    assert accepted.n == 2
    assert runners.rows("SELECT count(*) FROM conversation") == [(2,)]


@on_postgres
async def test_two_runners_number_one_conversation_without_a_gap(store: Store, runners: Runners) -> None:
    runners.others(message("m0"))
    second = Writer(store)
    second.start()
    accepted = await asyncio.gather(
        *(
            one.write(runners.reception, message(f"m{i}.{j}"))
            for i in range(30)
            for j, one in enumerate((runners.writer, second))
        )
    )
    await second.stop()
    assert sorted(one[0].n or 0 for one in accepted) == list(range(2, 62))
    assert [row[0] for row in runners.rows("SELECT n FROM entry ORDER BY n")] == list(range(1, 62))
    assert runners.rows("SELECT last_n FROM conversation") == [(61,)]


@on_postgres
async def test_two_runners_that_meet_new_people_in_opposite_order_both_succeed(store: Store, runners: Runners) -> None:
    second = Writer(store)
    second.start()
    people = [Address("phone", f"+49{number}") for number in range(40)]
    ours = [runners.writer.write(runners.reception, message(f"a{one}", one)) for one in people]
    theirs = [second.write(runners.reception, message(f"b{one}", one)) for one in reversed(people)]
    await asyncio.gather(*ours, *theirs)
    await second.stop()
    assert runners.rows("SELECT count(*), count(DISTINCT customer) FROM address") == [(40, 40)]
    assert runners.rows("SELECT count(*), min(last_n), max(last_n) FROM conversation") == [(40, 2, 2)]


def noted(payloads: Sequence[list[str]], word: str) -> list[None]:
    for payload in payloads:
        payload.append(word)
    return [None] * len(payloads)


@locks(Rank.CLAIMS)
def last(tx: Transaction, payloads: Sequence[list[str]]) -> list[None]:
    """An operation that locks claims: it writes down when it ran."""
    return noted(payloads, "claims")


@locks(Rank.DELIVERIES)
def second(tx: Transaction, payloads: Sequence[list[str]]) -> list[None]:
    """An operation that locks deliveries."""
    return noted(payloads, "deliveries")


def conversing(tx: Transaction, payloads: Sequence[list[str]]) -> list[None]:
    """An operation that says nothing of its locks."""
    return noted(payloads, "conversations")


def composing(tx: Transaction, payloads: Sequence[list[str]]) -> list[None]:
    """Another one."""
    return noted(payloads, "more conversations")


async def test_whoever_shares_a_transaction_locks_in_one_order_and_conversations_are_locked_once(store: Store) -> None:
    ran: list[str] = []
    writer = Writer(store, committing=ran.append)
    writer.start()
    async with busy(writer):
        operations = (last, second, conversing, last, composing, conversing)
        futures = [writer.write(operation, ran) for operation in operations]
    await asyncio.gather(*futures)
    await writer.stop()
    ran = [step for step in ran[ran.index("conversations") :] if step != "writer.before-commit"]
    commit = ["writer.committed"]
    others = ["more conversations"]
    ranked = ["deliveries", "claims", "claims"]
    conversations = ["conversations", "conversations"]
    if store.is_sqlite:
        assert ran == [*conversations, *others, *ranked, *commit]
    else:
        assert ran == [*conversations, *ranked, *commit, *others, *commit]
