"""Subscribers, timers and jobs: told in order, each once, and what they ask for is committed with it or not at all."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import Any

import pluggy
import pytest
from attrs import frozen
from structlog.testing import capture_logs

from fernamt import hookspecs
from fernamt._runtime.hooks import Plugins
from fernamt._runtime.loader import Loaded
from fernamt._runtime.teller import Teller, plugin_workers, subscriptions_of
from fernamt._runtime.work import Worker
from fernamt._store.channels import Entrance, enter
from fernamt._store.desk import Composition, compose
from fernamt._store.engine import Store
from fernamt._store.names import Names
from fernamt._store.reception import Line, Reception, Submission
from fernamt._store.subscriptions import Subscriptions, subscribe
from fernamt._store.transaction import Transaction
from fernamt._store.writer import Writer
from fernamt.effects import AddEntry, Effect, Job, Remember, Reply, Timer, Told
from fernamt.errors import Rejected, Unreachable
from fernamt.hookspecs import Route, hookimpl
from fernamt.inbound import Accepted, Received
from fernamt.model import Address, Attachment, Conversation, Customer, Entry
from fernamt.registry import Draft

from .stage import AtWork

PLUGIN = "csat"
_people = itertools.count(1)


@frozen
class Context:
    """As much of a context as the work of a plugin needs."""

    settings: Any = "its settings"


class House(AtWork):
    """A store, a plugin's worker, and what a test wants to know."""

    owner = f"work:{PLUGIN}"

    def __init__(self, store: Store, writer: Writer, line: Line) -> None:
        super().__init__(store, writer)
        self.line = line
        self.told: list[Told[Any]] = []
        self.jobs: list[Job] = []
        self.answers: Callable[[Told[Any]], Sequence[Effect]] = lambda _told: ()
        self.runs: Callable[[Job], Sequence[Effect]] = lambda _job: ()
        self.kinds = {"received"}
        self.worker: Worker

    def hear(self, told: Told[Any]) -> Sequence[Effect]:
        self.told.append(told)
        return self.answers(told)

    async def run(self, job: Job, _context: Any) -> Sequence[Effect]:
        self.jobs.append(job)
        return self.runs(job)

    async def start(self, *, reached: Callable[[str], None] | None = None, subscribed: bool = True) -> None:
        draft = Draft(PLUGIN)
        draft.subscriber("ask", self.hear, entries=self.kinds)
        draft.job("fetch", self.run)
        if subscribed:
            await self.subscribe({f"{PLUGIN}.ask": self.kinds})
        teller = Teller(draft.finished(), Context(), self.store)  # type: ignore[arg-type]
        self.worker = Worker(
            self.owner,
            teller.handlers(),
            store=self.store,
            writer=self.writer,
            reached=reached or self.points.put_nowait,
        )
        claim = await self.claim()
        self.running.append(asyncio.create_task(self.worker.run(claim)))

    async def subscribe(self, wanted: dict[str, set[str]], kept: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        await self.writer.write(subscribe, Subscriptions(wanted=wanted, kept=kept))

    def received(self, text: str = "Hallo", who: int = 0) -> asyncio.Future[tuple[Accepted, ...]]:
        """Put a message into the writer's queue."""
        number = next(_people)
        event = Received(key=f"k{number}", sender=Address("phone", f"+49{who or number}"), text=text)
        return self.writer.write(Reception(Names(self.store.keys())), Submission(line=self.line, events=(event,)))

    async def receive(self, text: str = "Hallo", who: int = 0) -> int:
        [accepted] = await self.received(text, who)
        if hasattr(self, "worker"):
            self.worker.wake()
        return int(accepted.conversation or 0)

    async def write(self, conversation: int, kind: str, author: str = "agent:maria") -> None:
        written = Composition(conversation=conversation, kind=kind, author=author, text=kind)
        composed = await self.writer.write(compose, written)
        assert not isinstance(composed, Exception)
        if hasattr(self, "worker"):
            self.worker.wake()

    async def ring(self) -> None:
        await self.sql("UPDATE task SET due_at = 0 WHERE kind = 'timer'")
        self.worker.wake()

    def log(self, conversation: int) -> list[tuple[int, str, str]]:
        """Return number, kind and text of each entry."""
        return self.rows(
            "SELECT e.n, e.kind, c.text FROM entry e JOIN content c ON c.entry = e.id WHERE conversation = ? ORDER BY n",
            conversation,
        )

    def heard(self) -> list[tuple[int, str]]:
        return [(told.entry.n, told.timer or told.entry.kind) for told in self.told]

    def tasks(self) -> list[tuple[Any, ...]]:
        return self.rows("SELECT kind, due_at IS NULL, reason FROM task ORDER BY key")


@pytest.fixture
async def house(store: Store, writer: Writer) -> AsyncIterator[House]:
    number = await writer.write(enter, Entrance(id="chat", kind="fake", label="Chat"))
    house = House(store, writer, Line(number=number, id="chat"))
    yield house
    while house.running:
        await house.die()


# ---- told
async def test_a_subscriber_is_told_of_the_kinds_it_wants_in_order_each_once(house: House) -> None:
    house.kinds = {"received", "solved"}
    await house.start()
    conversation = await house.receive("one", 1)
    await house.until()
    await house.receive("two", 1)
    await house.write(conversation, "note")
    await house.write(conversation, "solved")
    while len(house.told) < 3:
        await house.until()
    assert house.heard() == [(1, "received"), (2, "received"), (4, "solved")]
    first = house.told[0]
    assert (first.entry.text, first.entry.author, first.entry.channel) == ("one", "phone:+491", "chat")
    assert (first.settings, first.memory, first.timer) == ("its settings", {}, "")
    assert first.conversation.id == str(conversation)
    assert [str(one) for one in first.customer.addresses] == ["phone:+491"]
    while house.tasks():
        await house.until()
    assert house.rows("SELECT subscriber, conversation, n FROM position") == [("csat.ask", conversation, 4)]


async def test_effects_are_committed_in_their_order_with_the_position(house: House) -> None:
    house.answers = lambda told: [
        AddEntry(kind="csat.asked", data={"scale": 5}),
        Reply(text="How was it?"),
        Remember({"asked": told.entry.n}),
        Timer(name="close", after=timedelta(days=1)),
        Job(name="fetch", data={"n": told.entry.n}),
    ]
    await house.start()
    conversation = await house.receive()
    await house.until()
    assert house.log(conversation) == [(1, "received", "Hallo"), (2, "csat.asked", ""), (3, "sent", "How was it?")]
    assert house.rows("SELECT n, memory FROM position") == [(1, '{"asked":1}')]
    [(state, data)] = house.rows(
        "SELECT d.state, c.data FROM delivery d JOIN content c ON c.entry = d.entry WHERE d.conversation = ?",
        conversation,
    )
    assert (state, data) == ("queued", '{"automatic":true}')
    assert house.rows("SELECT author FROM content WHERE author IS NOT NULL") == [("plugin:csat",), ("plugin:csat",)]
    await house.until()
    assert house.jobs == [Job(name="fetch", data={"n": 1})]
    assert [kind for kind, *_ in house.tasks()] == ["timer"]


async def test_what_its_own_plugin_wrote_is_not_told_and_what_others_wrote_is(house: House) -> None:
    house.kinds = {"received", "note"}
    house.answers = lambda told: [AddEntry(kind="note", text="seen")] if told.entry.kind == "received" else []
    await house.start()
    conversation = await house.receive()
    await house.write(conversation, "note", "plugin:other")
    while house.tasks() or len(house.told) < 2:
        await house.until()
    texts = {entry.entry.text for entry in house.told}
    assert texts == {"Hallo", "note"}


async def test_what_it_remembers_is_there_the_next_time_in_this_conversation_only(house: House) -> None:
    house.answers = lambda told: [Remember({"times": [*told.memory.get("times", ()), told.entry.n]})]  # type: ignore[misc]
    await house.start()
    await house.receive(who=1)
    await house.receive(who=2)
    await house.receive(who=1)
    while house.tasks() or len(house.told) < 3:
        await house.until()
    assert house.rows("SELECT memory FROM position ORDER BY conversation") == [('{"times":[1,2]}',), ('{"times":[1]}',)]


async def test_a_new_subscriber_begins_with_the_first_entry_after_it_came(house: House) -> None:
    await house.receive("before", 1)
    await house.start()
    await house.receive("after", 1)
    await house.until()
    assert [told.entry.text for told in house.told] == ["after"]


async def test_a_subscriber_that_went_and_came_back_is_not_told_of_the_time_between(house: House) -> None:
    await house.start()
    await house.receive("one", 1)
    await house.until()
    await house.subscribe({})
    await house.receive("two", 1)
    await house.subscribe({"csat.ask": {"received"}})
    await house.receive("three", 1)
    await house.until()
    assert [told.entry.text for told in house.told] == ["one", "three"]


async def test_a_plugin_that_cannot_be_loaded_misses_nothing(house: House) -> None:
    await house.subscribe({"csat.ask": {"received"}, "gone.ask": {"received"}})
    await house.subscribe({}, kept={"csat"})
    assert house.rows("SELECT kind, subscriber FROM subscription") == [("received", "csat.ask")]
    await house.receive("while it was broken")
    await house.start()
    await house.until()
    assert [told.entry.text for told in house.told] == ["while it was broken"]


async def test_nothing_is_planned_for_nobody(house: House) -> None:
    await house.receive()
    assert house.tasks() == []


async def test_what_a_subscriber_left_that_is_not_offered_any_more_ends(house: House) -> None:
    await house.subscribe({"csat.old": {"received"}})
    await house.receive()
    await house.start()
    await house.until()
    assert house.tasks() == []
    assert house.told == []


# ---- no wake-up is lost, nothing is done twice
async def test_an_entry_that_comes_while_it_is_told_is_told_next(house: House) -> None:
    more = iter(["two"])

    def reached(point: str) -> None:
        house.points.put_nowait(point)
        if point == "work.done":
            for text in more:
                _ = house.received(text, 1)  # the writer takes it before the end of the task

    await house.start(reached=reached)
    await house.receive("one", 1)
    while house.tasks() or len(house.told) < 2:
        await house.until()
    assert [told.entry.text for told in house.told] == ["one", "two"]


async def test_a_crash_between_the_answer_and_the_commit_does_nothing_twice(house: House) -> None:
    died = asyncio.Event()

    def reached(point: str) -> None:
        if point == "work.done":
            died.set()
            raise asyncio.CancelledError

    house.answers = lambda _told: [Reply(text="Guten Tag"), Remember({"asked": True})]
    await house.start(reached=reached)
    conversation = await house.receive()
    await died.wait()
    await house.die()
    assert house.log(conversation) == [(1, "received", "Hallo")]
    await house.start()
    await house.until()
    assert len(house.told) == 2
    assert [told.memory for told in house.told] == [{}, {}]
    assert house.log(conversation) == [(1, "received", "Hallo"), (2, "sent", "Guten Tag")]


async def test_a_holder_that_lost_its_claim_writes_nothing(house: House) -> None:
    house.answers = lambda _told: [Reply(text="Guten Tag")]

    def taken(tx: Transaction, payloads: Sequence[None]) -> list[int]:
        return [tx.do.one("UPDATE due SET fence = fence + 1") for _ in payloads]

    def reached(point: str) -> None:
        if point == "work.done":
            _ = house.writer.write(taken, None)  # the writer takes it before the end of the task

    await house.start(reached=reached)
    with capture_logs() as logs:
        conversation = await house.receive()
        while not logs:
            await asyncio.sleep(0)
    assert [log["event"] for log in logs] == ["work_claim_lost"]
    assert house.log(conversation) == [(1, "received", "Hallo")]
    assert [kind for kind, *_ in house.tasks()] == ["tell"]


# ---- what goes wrong stays where it is
async def test_one_that_raises_holds_up_its_own_conversation_only_and_goes_on_where_it_was(house: House) -> None:
    def answers(told: Told[Any]) -> Sequence[Effect]:
        if told.entry.text == "poison":
            raise KeyError("x")
        return [Remember({"last": told.entry.text})]

    house.answers = answers
    await house.start()
    with capture_logs():
        bad = await house.receive("poison", 1)
        await house.until("work.failed")
    good = await house.receive("fine", 2)
    await house.until()
    assert house.rows("SELECT memory FROM position WHERE conversation = ?", good) == [('{"last":"fine"}',)]
    assert house.rows("SELECT conversation, n, tries, reason FROM task") == [(bad, 1, 1, "KeyError: 'x'")]
    house.answers = lambda told: [Remember({"last": told.entry.text})]
    await house.receive("after", 1)
    await house.sql("UPDATE task SET due_at = 0")
    while house.tasks():
        await house.until()
    assert [told.entry.text for told in house.told if told.conversation.id == str(bad)] == ["poison", "poison", "after"]
    assert house.rows("SELECT n, memory FROM position WHERE conversation = ?", bad) == [(2, '{"last":"after"}')]


async def test_what_a_person_drops_is_passed_over(house: House) -> None:
    def answers(told: Told[Any]) -> Sequence[Effect]:
        if told.entry.text == "poison":
            raise KeyError("x")
        return []

    house.answers = answers
    await house.start()
    with capture_logs():
        await house.receive("poison", 1)
        await house.until("work.failed")
    await house.sql("DELETE FROM task")
    await house.receive("after", 1)
    await house.until()
    assert [told.entry.text for told in house.told] == ["poison", "after"]


IMPOSSIBLE: dict[str, tuple[Any, str]] = {
    "no list": (None, "must return a list"),
    "no effect": (["note"], "cannot ask for a str"),
    "too many": ([AddEntry(kind="note")] * 101, "at most 100"),
    "sent by hand": ([AddEntry(kind="sent")], "there is Reply"),
    "no kind": ([AddEntry(kind="Ä")], "is no kind of an entry"),
    "no JSON": ([AddEntry(kind="note", data={"a": {1, 2}})], "must be JSON"),  # type: ignore[dict-item]
    "too much memory": ([Remember({"a": "x" * 9000})], "9008 bytes of JSON, at most 8192"),
    "too much data": ([Job(name="fetch", data={"a": "x" * 70_000})], "at most 65536"),
    "an unknown job": ([Job(name="gone")], "no job 'gone'"),
    "a timer without a name": ([Timer(name="", after=timedelta(1))], "a timer has a name"),
    "a timer after us all": ([Timer(name="x", after=timedelta.max)], "within ten years"),
    "bytes in a reply": (
        [Reply(text="", attachments=(Attachment(name="a", media_type="b", content=b""),))],
        "context.blobs.put",
    ),
    "an unknown channel": ([Reply(text="x", channel="fax")], "There is no channel 'fax'"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize(("effects", "says"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
async def test_what_cannot_be_done_parks_with_the_reason_and_leaves_nothing(
    house: House, effects: Any, says: str
) -> None:
    before = [AddEntry(kind="note"), Remember({"a": 1})]
    asked: Any = [*before, *effects] if isinstance(effects, list) else effects
    house.answers = lambda _told: asked
    await house.start()
    with capture_logs():
        conversation = await house.receive()
        await house.until("work.failed")
    [(kind, parked, reason)] = house.tasks()
    assert (kind, parked) == ("tell", True)
    assert says in reason
    assert house.log(conversation) == [(1, "received", "Hallo")]
    assert house.rows("SELECT * FROM position") == []


async def test_what_no_database_takes_is_made_storable(house: House) -> None:
    house.answers = lambda _told: [AddEntry(kind="note", text="a\0b\ud800", data={"x": "\0"}), Remember({"x": "\0"})]
    await house.start()
    conversation = await house.receive()
    await house.until()
    assert house.log(conversation)[1] == (2, "note", "a\N{REPLACEMENT CHARACTER}b?")


# ---- where a new conversation goes
class Receptionist:
    """A plugin that sends complaints to those who can soothe."""

    @hookimpl
    def fernamt_route(self, entry: Entry, conversation: Conversation, customer: Customer) -> Route | None:
        if "complain" not in entry.text:
            return None
        return Route(kind="complaint", team="second-level")


async def test_plugins_say_once_where_a_new_conversation_goes(house: House) -> None:
    registered = pluggy.PluginManager(hookspecs.PROJECT)
    registered.add_hookspecs(hookspecs)
    registered.register(Receptionist(), name="receptionist")
    loaded = Loaded(plugins=Plugins(registered), offers={}, failures=(), installed={})
    await house.writer.write(subscribe, subscriptions_of(loaded))
    more: dict[str, Any] = {"writer": house.writer, "reached": house.points.put_nowait}
    [house.worker] = plugin_workers(loaded, lambda _name: Context(), store=house.store, **more)  # type: ignore[arg-type, return-value]
    claim = await house.claim()
    house.running.append(asyncio.create_task(house.worker.run(claim)))
    angry = await house.receive("I complain", 1)
    await house.until()
    calm = await house.receive("Hello", 2)
    await house.until()
    await house.receive("I complain again", 1)
    assert [kind for _, kind, _ in house.log(angry)] == ["received", "routed", "received"]
    assert [kind for _, kind, _ in house.log(calm)] == ["received"]
    assert house.rows("SELECT kind FROM conversation ORDER BY id") == [("complaint",), ("support",)]
    assert house.rows("SELECT data FROM content WHERE data IS NOT NULL") == [
        ('{"kind":"complaint","team":"second-level"}',)
    ]
    assert house.tasks() == []


# ---- timers
async def test_a_timer_rings_once_with_the_entry_that_set_it(house: House) -> None:
    house.answers = lambda told: (
        [AddEntry(kind="solved")] if told.timer else [Timer(name="close", after=timedelta(days=1)), Remember({"a": 1})]
    )
    await house.start()
    conversation = await house.receive()
    await house.until()
    assert house.heard() == [(1, "received")]
    await house.ring()
    await house.until()
    assert house.heard() == [(1, "received"), (1, "close")]
    assert house.told[1].memory == {"a": 1}
    assert [kind for _, kind, _ in house.log(conversation)] == ["received", "solved"]
    assert house.tasks() == []


async def test_a_timer_that_is_set_again_is_replaced_and_one_without_a_time_is_cancelled(house: House) -> None:
    afters = iter([timedelta(days=1), timedelta(days=9), None])
    house.answers = lambda _told: [Timer(name="close", after=next(afters))]
    await house.start()
    found = []
    for text in ("one", "two", "three"):
        await house.receive(text, 1)
        await house.until()
        found.append(house.rows("SELECT n, (due_at - since) / 86400000000 FROM task"))
    assert found == [[(1, 1)], [(2, 9)], []]


async def test_a_timer_that_sets_itself_rings_again(house: House) -> None:
    house.answers = lambda told: [Timer(name="again", after=timedelta(days=1))] if len(house.told) < 3 else []
    await house.start()
    await house.receive()
    await house.until()
    for _ in range(2):
        await house.ring()
        await house.until()
    assert house.heard() == [(1, "received"), (1, "again"), (1, "again")]
    assert house.tasks() == []


# ---- jobs
async def test_the_effects_of_a_job_commit_with_its_end_for_the_subscriber_that_asked(house: House) -> None:
    house.answers = lambda told: [Job(name="fetch", data={"id": 7})] if not told.memory else []
    house.runs = lambda job: [AddEntry(kind="note", text=f"found {job.data['id']}"), Remember({"done": True})]
    await house.start()
    conversation = await house.receive()
    await house.until()
    await house.until()
    assert house.log(conversation)[1] == (2, "note", "found 7")
    assert house.rows("SELECT memory FROM position") == [('{"done":true}',)]
    assert house.tasks() == []


async def test_a_job_may_ask_for_another_and_two_of_a_name_are_two(house: House) -> None:
    house.answers = lambda _told: [Job(name="fetch", data={"n": 1}), Job(name="fetch", data={"n": 2})]
    house.runs = lambda job: [Job(name="fetch", data={"n": 3})] if job.data["n"] == 1 else []
    await house.start()
    await house.receive()
    while house.tasks() or len(house.jobs) < 3:
        await house.until()
    assert sorted(job.data["n"] for job in house.jobs) == [1, 2, 3]  # type: ignore[type-var]


async def test_a_job_that_fails_is_tried_again_by_its_errors_rule(house: House) -> None:
    answers: list[Any] = [Unreachable("away", certain=False), Rejected("no such thing")]

    def runs(_job: Job) -> Sequence[Effect]:
        raise answers.pop(0)

    house.answers = lambda _told: [Job(name="fetch")]
    house.runs = runs
    await house.start()
    with capture_logs():
        await house.receive()
        await house.until("work.failed")
        assert house.tasks() == [("job", False, "away")]
        await house.sql("UPDATE task SET due_at = 0")
        house.worker.wake()
        await house.until("work.failed")
    assert house.tasks() == [("job", True, "no such thing")]
