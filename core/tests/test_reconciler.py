"""What the provider says of messages whose outcome nobody knows: it settles what it settles, and nothing else."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import Any, Literal

import pytest

from fernamt._runtime.clock import SystemClock
from fernamt._runtime.reconciler import Reconciler
from fernamt._runtime.sending import Sending
from fernamt._store.channels import Entrance, enter
from fernamt._store.claims import Claim, ClaimLost, Wish, take
from fernamt._store.deliveries import Attempt, Beginning, Result, begin, finish, open_deliveries
from fernamt._store.desk import Composition, compose
from fernamt._store.engine import Store
from fernamt._store.names import Names
from fernamt._store.reception import Line, Reception, Submission
from fernamt._store.reconciliation import BELIEVED_US, Inquiry, reconcile
from fernamt._store.writer import Writer
from fernamt.errors import NeedsLogin, Unreachable
from fernamt.inbound import Receipt, Received
from fernamt.model import Address, DeliveryState
from fernamt.outbound import Capabilities, OutboundMessage, Sent

ANN = Address("phone", "+49301")
UNCERTAIN, SENT, QUEUED = DeliveryState.UNCERTAIN, DeliveryState.SENT, DeliveryState.QUEUED


class Post:
    """A channel with one answer whose outcome nobody knows."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.names = Names(store.keys())
        self.session = store.session()
        number = self.run(enter, Entrance(id="chat", kind="chat", label="Chat"))
        self.line = Line(number=number, id="chat")
        self.receive(Received(key="m1", sender=ANN, text="Hallo"))
        self.claim: Claim = self.run(take, Wish(key="channel:chat", owner="runner", lease_us=10**12))
        written = Composition(conversation=1, kind="sent", author="agent:maria", text="eins zwei")
        self.delivery: int = self.run(compose, written).deliveries[0]

    def run(self, operation: Any, payload: object) -> Any:
        with self.session.transaction() as tx:
            [result] = operation(tx, [payload])
        return result

    def receive(self, event: Any) -> None:
        self.run(Reception(self.names), Submission(line=self.line, events=(event,)))

    def lose(self, parts_total: int = 1) -> None:
        """Let an attempt end without an answer, an hour ago."""
        with self.store.read() as connection:
            [one] = open_deliveries(self.store.statements(connection), self.line.number, 9)
        attempts = [Attempt(one, parts_total=parts_total)]
        assert self.run(begin, Beginning(claim=self.claim, channel=self.line.number, attempts=attempts)) == [True]
        result = Result(
            channel=self.line.number,
            delivery=self.delivery,
            n=one.attempts + 1,
            state=UNCERTAIN,
            outcome="Unreachable",
        )
        assert self.run(finish, [result]) == [UNCERTAIN]
        self.age(3_600_000_000)

    def age(self, us: int) -> None:
        self.run(lambda tx, _: [tx.do.one("UPDATE delivery SET changed_at = changed_at - ?, next_at = 0", (us,))], 0)

    def asked(self, **said: Any) -> DeliveryState:
        inquiry = Inquiry(claim=self.claim, channel=self.line.number, delivery=self.delivery, **said)
        state = self.run(reconcile, inquiry)
        assert isinstance(state, DeliveryState)
        return state

    def row(self, columns: str) -> tuple[Any, ...]:
        with self.store.read() as connection:
            [row] = self.store.statements(connection).rows(f"SELECT {columns} FROM delivery")
        return tuple(row)


@pytest.fixture
def post(store: Store) -> Iterator[Post]:
    post = Post(store)
    with closing(post.session):
        yield post


def test_what_the_provider_has_is_sent_and_found_by_its_ids(post: Post) -> None:
    post.lose()
    assert post.asked(sent=True, ids=("p1",)) == SENT
    assert post.row("state, ids") == ("sent", '["p1"]')
    post.receive(Receipt(key="r1", id="p1", state=DeliveryState.DELIVERED))
    assert post.row("state") == ("delivered",)


def test_a_receipt_that_came_before_the_look_up_counts(post: Post) -> None:
    post.lose()
    post.receive(Receipt(key="r1", id="p1", state=DeliveryState.READ))
    post.asked(sent=True, ids=("p1",))
    assert post.row("state") == ("read",)


def test_what_the_provider_never_had_is_sent_again(post: Post) -> None:
    post.lose()
    assert post.asked(not_sent=True) == QUEUED
    assert post.row("state, reason") == ("queued", "the provider does not have it")


def test_that_it_does_not_have_it_is_not_believed_while_it_may_still_be_at_work(post: Post) -> None:
    post.lose()
    post.age(-3_600_000_000)
    assert post.asked(not_sent=True) == UNCERTAIN
    next_at, changed_at = post.row("next_at, changed_at")
    assert 0 < next_at - changed_at <= BELIEVED_US + 1_000_000


def test_what_it_does_not_know_is_asked_again_later_each_time(post: Post) -> None:
    post.lose()
    assert post.asked() == UNCERTAIN
    next_at, changed_at = post.row("next_at, changed_at")
    assert next_at - changed_at >= 2 * 3_600_000_000


def test_a_part_that_arrived_lets_the_next_one_follow(post: Post) -> None:
    post.lose(parts_total=2)
    assert post.asked(sent=True, ids=("p1",)) == QUEUED
    assert post.row("state, parts") == ("queued", 1)
    post.lose(parts_total=2)
    assert post.asked(sent=True, ids=("p2",)) == SENT


def test_whoever_was_faster_is_not_overruled(post: Post) -> None:
    post.lose()
    post.run(lambda tx, _: [tx.do.one("UPDATE delivery SET state = 'failed'")], 0)
    assert post.asked(not_sent=True) == DeliveryState.FAILED


def test_a_stale_holder_settles_nothing(post: Post) -> None:
    post.lose()
    post.run(lambda tx, _: [tx.do.one("UPDATE due SET fence = fence + 1")], 0)
    inquiry = Inquiry(claim=post.claim, channel=post.line.number, delivery=post.delivery, not_sent=True)
    assert isinstance(post.run(reconcile, inquiry), ClaimLost)
    assert post.row("state") == ("uncertain",)


# ---- at work
class Provider:
    """A connector that is asked, and answers as a test says."""

    def __init__(self, *answers: Sent | Literal["not_sent", "unknown"] | Exception) -> None:
        self.answers = list(answers)
        self.asked: asyncio.Queue[OutboundMessage] = asyncio.Queue()

    async def send(self, message: OutboundMessage) -> Sent:
        raise AssertionError("nothing is sent here")

    async def lookup(self, message: OutboundMessage) -> Sent | Literal["not_sent", "unknown"]:
        answer = self.answers.pop(0)
        self.asked.put_nowait(message)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Quick(SystemClock):
    """Nobody waits for the next look."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def asking(post: Post, writer: Writer, provider: Provider, **can: Any) -> AsyncIterator[list[NeedsLogin]]:
    logins: list[NeedsLogin] = []
    post.store.clock = Quick()
    sending = Sending(
        line=post.line,
        connector=provider,
        capabilities=lambda: Capabilities(**can),
        hold_s=300.0,
        retry_for_h=72.0,
        needs_login=logins.append,
    )
    reconciler = Reconciler(sending, provider, store=post.store, writer=writer, names=post.names)
    task = asyncio.create_task(reconciler.run(post.claim))
    yield logins
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def until(post: Post, state: str) -> None:
    while post.row("state") != (state,):
        await asyncio.sleep(0.002)


async def test_the_provider_is_asked_for_the_part_that_is_uncertain(post: Post, writer: Writer) -> None:
    post.lose(parts_total=2)
    provider = Provider(Sent(ids=("p1",)))
    async with asking(post, writer, provider, max_units=5):
        message = await provider.asked.get()
        await until(post, "queued")
    assert (message.text, message.attempt, message.key) == ("eins", 1, post.names.message_key(post.delivery))


@pytest.mark.parametrize(("full_lookup", "state"), [(True, "queued"), (False, "uncertain")])
async def test_not_sent_counts_only_where_the_provider_sees_everything(
    post: Post, writer: Writer, full_lookup: bool, state: str
) -> None:
    post.lose()
    provider = Provider("not_sent")
    async with asking(post, writer, provider, full_lookup=full_lookup):
        await provider.asked.get()
        while post.row("next_at") == (0,):
            await asyncio.sleep(0.002)
    assert post.row("state") == (state,)


async def test_a_look_up_that_fails_leaves_it_uncertain_and_the_next_one_may_settle_it(
    post: Post, writer: Writer
) -> None:
    post.lose()
    provider = Provider(KeyError("a bug"), Unreachable("away", certain=True), NeedsLogin("who?"), Sent())
    async with asking(post, writer, provider) as logins:
        for _ in range(3):
            await provider.asked.get()
            while post.row("next_at") == (0,):
                await asyncio.sleep(0.002)
            assert post.row("state") == ("uncertain",)
            post.age(0)
        await until(post, "sent")
    assert len(logins) == 1
