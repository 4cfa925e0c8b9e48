"""The way out: recorded before the first byte, sent once, in order, and in the end always in a state that somebody can see."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pluggy
import pytest
import tenacity
from structlog.testing import capture_logs

from fernamt import hookimpl, hookspecs
from fernamt._runtime import outbox as runtime
from fernamt._runtime import outcome, queue
from fernamt._runtime.hooks import Plugins
from fernamt._runtime.outbox import Outbox
from fernamt._runtime.sending import Sending
from fernamt._store.channels import Entrance, enter
from fernamt._store.claims import Claim
from fernamt._store.deliveries import begin, finish, take_over
from fernamt._store.desk import Composition, compose
from fernamt._store.engine import Store
from fernamt._store.names import Names, sent_hash
from fernamt._store.reception import Line, Reception, Submission
from fernamt._store.refusals import refuse
from fernamt._store.statements import Earlier, Row
from fernamt._store.verdicts import Verdict, decide
from fernamt._store.writer import Writer
from fernamt.connector import Connector
from fernamt.errors import (
    ChannelError,
    NeedsLogin,
    NotStored,
    OptedOut,
    Rejected,
    Throttled,
    Unreachable,
    Unsupported,
    WindowClosed,
)
from fernamt.hookspecs import Refusal
from fernamt.inbound import InboundEvent, Receipt, Received, Thread
from fernamt.model import Address, Attachment, Blob, DeliveryState, Purpose, Template
from fernamt.outbound import Capabilities, Files, OutboundMessage, Sent

from .stage import AtWork, Impatient

_people = itertools.count(1)


class Call:
    """One call of ``send``, which ends when the test says how."""

    def __init__(self, message: OutboundMessage) -> None:
        self.message = message
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def sent(self, *ids: str) -> None:
        self.answer.set_result(Sent(ids=ids))

    def fails(self, why: BaseException) -> None:
        self.answer.set_exception(why)


class Provider:
    """A connector whose calls a test waits for and answers one by one."""

    def __init__(self) -> None:
        self.calls: asyncio.Queue[Call] = asyncio.Queue()

    async def send(self, message: OutboundMessage) -> Sent:
        call = Call(message)
        self.calls.put_nowait(call)
        answer: Sent = await call.answer
        return answer


class Choosing(Provider):
    """It fixes its id before the first attempt."""

    def id_for(self, message: OutboundMessage) -> str:
        return f"<{message.entry_key}@example.org>"


def plugins(*registered: object) -> Plugins:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    for number, plugin in enumerate(registered):
        manager.register(plugin, name=f"policy{number}")
    return Plugins(manager)


class Post(AtWork):
    """A channel with its provider and outbox, and what a test wants to know of the store."""

    ended = "outbox.finished"

    def __init__(self, store: Store, writer: Writer, line: Line) -> None:
        super().__init__(store, writer)
        self.line, self.owner = line, f"channel:{line.id}"
        self.names = Names(store.keys())
        self.provider: Any = Provider()
        self.capabilities = Capabilities()
        self.hold_s, self.retry_for_h = 300.0, 72.0
        self.holds = True
        self.logins: list[NeedsLogin] = []
        self.outbox: Outbox

    # ---- the channel
    def open(self, *policies: object, writer: Writer | None = None, **can: Any) -> Outbox:
        if can:
            self.capabilities = Capabilities(**can)
        connector: Connector = self.provider
        sending = Sending(
            line=self.line,
            connector=connector,
            capabilities=lambda: self.capabilities,
            hold_s=self.hold_s,
            retry_for_h=self.retry_for_h,
            needs_login=self.logins.append,
        )
        self.outbox = Outbox(
            sending,
            store=self.store,
            writer=writer or self.writer,
            names=self.names,
            plugins=plugins(*policies),
            holds=lambda _claim: self.holds,
            reached=self.points.put_nowait,
        )
        return self.outbox

    async def start(self, *policies: object, **more: Any) -> Claim:
        outbox = self.open(*policies, **more)
        claim = await self.claim()
        self.running.append(asyncio.create_task(outbox.run(claim)))
        return claim

    async def called(self) -> Call:
        call: Call = await self.provider.calls.get()
        return call

    # ---- people
    async def receive(self, *events: InboundEvent) -> int:
        [first, *_] = await self.writer.write(Reception(self.names), Submission(line=self.line, events=events))
        return int(first.conversation or 0)

    async def customer(self, **more: Any) -> int:
        """Let somebody new write, and return the conversation."""
        number = next(_people)
        event = Received(key=f"in{number}", id=f"in{number}", sender=Address("phone", f"+49{number}"), **more)
        return await self.receive(event)

    async def answer(self, conversation: int = 0, text: str = "Guten Tag", **more: Any) -> int:
        """Let an agent write, to somebody new if no conversation is named; return the first delivery."""
        written = Composition(
            conversation=conversation or await self.customer(), kind="sent", author="agent:maria", text=text, **more
        )
        composed = await self.writer.write(compose, written)
        assert not isinstance(composed, Exception)
        if hasattr(self, "outbox"):
            self.outbox.wake()
        return composed.deliveries[0]

    async def exchange(self) -> OutboundMessage:
        """Send a message of somebody else all the way: what was to happen to others before has happened then."""
        number = await self.answer(text="the next one")
        call = await self.called()
        assert call.message.key == self.names.message_key(number)
        call.sent()
        await self.until()
        return call.message

    # ---- the store
    async def due(self) -> None:
        """Let the time of every retry have come."""
        await self.sql("UPDATE delivery SET next_at = 0 WHERE state = 'queued'")
        self.outbox.wake()

    def state(self, delivery: int) -> str:
        return str(self.rows("SELECT state FROM delivery WHERE id = ?", delivery)[0][0])

    def reason(self, delivery: int) -> str:
        return str(self.rows("SELECT reason FROM delivery WHERE id = ?", delivery)[0][0])

    def outcomes(self, delivery: int) -> list[str]:
        return [row[0] for row in self.rows("SELECT outcome FROM attempt WHERE delivery = ? ORDER BY n", delivery)]


@pytest.fixture
async def post(store: Store, writer: Writer) -> AsyncIterator[Post]:
    store.clock = Impatient()
    number = await writer.write(enter, Entrance(id="chat", kind="fake", label="Chat"))
    post = Post(store, writer, Line(number=number, id="chat"))
    yield post
    while post.running:
        await post.die()


# ---- before the first byte, and after the last
async def test_an_attempt_is_on_disk_before_send_is_called_and_its_result_after_it(post: Post) -> None:
    post.provider = Choosing()
    await post.start()
    one = await post.answer()
    call = await post.called()
    assert post.state(one) == "sending"
    assert post.rows("SELECT delivery, n, ended_at, outcome FROM attempt") == [(one, 1, None, "")]
    entry = post.rows("SELECT e.conversation, e.n FROM entry e JOIN delivery d ON d.entry = e.id WHERE d.id = ?", one)
    known = sent_hash(post.line.number, post.provider.id_for(call.message))
    assert post.rows("SELECT conversation, n FROM known WHERE hash = ?", known) == entry
    call.sent("p1", "p2")
    await post.until()
    assert post.state(one) == "sent"
    assert post.outcomes(one) == ["sent"]
    assert post.rows("SELECT ids FROM delivery") == [('["p1","p2"]',)]


TABLE: dict[str, tuple[BaseException, str, str, bool]] = {  # error -> state, outcome, tried again later
    "rejected": (Rejected("no such user", code="5.1.1"), "failed", "Rejected", False),
    "unsupported": (Unsupported("no pictures"), "failed", "Unsupported", False),
    "window closed": (WindowClosed("24 hours are over", code="131047"), "failed", "WindowClosed", False),
    "opted out": (OptedOut("STOP", code="21610"), "failed", "OptedOut", False),
    "certainly not": (Unreachable("no connection", certain=True), "queued", "Unreachable", True),
    "nobody knows": (Unreachable("no answer", certain=False), "uncertain", "uncertain", False),
    "of an unknown class": (ChannelError("hm"), "failed", "ChannelError", False),
    "a bug": (KeyError("x"), "uncertain", "uncertain", False),
    "a reset": (ConnectionResetError("reset"), "uncertain", "uncertain", False),
    "a time-out": (TimeoutError(), "uncertain", "uncertain", False),
    "an exit": (SystemExit(1), "uncertain", "uncertain", False),
    "a cancellation inside": (asyncio.CancelledError(), "uncertain", "uncertain", False),
    "throttled": (Throttled("slowly", after_s=3600.0), "queued", "Throttled", True),  # the last: nothing goes after it
}


async def test_the_class_of_an_error_says_what_happens_next(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    # What is tried again comes after the test: on a slow machine it would be the next call.
    monkeypatch.setattr(outcome, "_RETRY_WAIT", tenacity.wait_fixed(3600))
    await post.start()
    found = {}
    for label, (why, *_) in TABLE.items():
        one = await post.answer()
        (await post.called()).fails(why)
        await post.until()
        [(state, reason, code, next_at, first_at)] = post.rows(
            "SELECT state, reason, code, next_at, first_at FROM delivery WHERE id = ?", one
        )
        assert reason, label
        if isinstance(why, ChannelError):
            assert (reason, code) == (why.reason, why.code), label
        found[label] = (state, post.outcomes(one)[0], state == "queued" and next_at > first_at)
    assert found == {label: (state, outcome, again) for label, (_, state, outcome, again) in TABLE.items()}


class Careless(ChannelError):
    """An error whose author forgot the constructor of its base."""

    def __init__(self) -> None:
        pass


class CarelessThrottle(Throttled):
    """One whose time is no number."""

    def __init__(self, after_s: Any) -> None:
        super().__init__("slowly", after_s=after_s)


STRANGE: dict[str, Any] = {
    "an error without a reason": Careless(),
    "a NUL in the reason": Rejected("no\0body", code="\0"),
    "a lone surrogate": Rejected("no \ud800", code="\udfff", sent_ids=("\ud800\0",)),
    "a time that is no number": CarelessThrottle("soon"),
    "not a number": CarelessThrottle(float("nan")),
    "an endless time": CarelessThrottle(float("inf")),
    "ids that are no texts": Sent(ids=(17, None)),  # type: ignore[arg-type]
    "ids that are no list": Sent(ids=17),  # type: ignore[arg-type]
    "nothing": None,
    "something else": {"ok": True},
}


async def test_whatever_a_connector_gives_the_message_is_in_a_state_that_one_can_see(post: Post) -> None:
    await post.start()
    found = {}
    for label, answer in STRANGE.items():
        one = await post.answer()
        call = await post.called()
        with capture_logs():
            if isinstance(answer, BaseException):
                call.fails(answer)
            else:
                call.answer.set_result(answer)
            await post.until()
        found[label] = (post.state(one), bool(post.outcomes(one)[0]))
        await post.sql("UPDATE delivery SET next_at = ?", 2**60)
        post.outbox._rate.free_at = 0.0
        await post.exchange()
    assert {label for label, (state, _) in found.items() if state == "sent"} == {x for x in STRANGE if "ids" in x}
    assert {state for state, _ in found.values()} == {"sent", "failed", "uncertain", "queued"}
    assert all(recorded for _, recorded in found.values())


# ---- never a silent second copy
async def test_an_uncertain_message_is_never_sent_again_by_itself(post: Post) -> None:
    await post.start()
    conversation = await post.customer()
    one = await post.answer(conversation)
    (await post.called()).fails(Unreachable("no answer", certain=False))
    await post.until()
    await post.due()
    await post.exchange()
    two = await post.answer(conversation, "the next of its lane")
    call = await post.called()
    assert call.message.key == post.names.message_key(two)
    call.sent()
    await post.until()
    assert (post.state(one), post.outcomes(one)) == ("uncertain", ["uncertain"])
    assert post.provider.calls.empty()


async def test_where_a_repeat_is_harmless_it_is_repeated_with_the_same_key(post: Post) -> None:
    await post.start(idempotent=True)
    one = await post.answer()
    first = await post.called()
    first.fails(Unreachable("no answer", certain=False))
    await post.until()
    assert post.state(one) == "queued"
    await post.due()
    second = await post.called()
    assert (second.message.key, second.message.attempt) == (first.message.key, 2)
    second.sent("p1")
    await post.until()
    assert post.outcomes(one) == ["uncertain", "sent"]


@pytest.mark.parametrize("idempotent", [False, True])
async def test_what_was_under_way_at_a_crash_is_uncertain_or_repeated_where_that_is_harmless(
    post: Post, idempotent: bool
) -> None:
    await post.start(idempotent=idempotent)
    one = await post.answer()
    first = await post.called()
    await post.die()
    assert post.state(one) == "sending"
    await post.start()
    if idempotent:
        second = await post.called()
        assert (second.message.key, second.message.attempt) == (first.message.key, 2)
        second.sent()
        await post.until()
        assert post.outcomes(one) == ["", "sent"]
    await post.exchange()
    assert post.state(one) == ("sent" if idempotent else "uncertain")
    assert post.provider.calls.empty()


async def test_the_late_answer_of_a_holder_that_lost_its_claim_settles_what_is_uncertain(post: Post) -> None:
    await post.start()
    one = await post.answer()
    first = await post.called()
    await post.start()  # another runner, which found the lease over
    await post.exchange()
    assert post.state(one) == "uncertain"
    first.sent("p1")
    await post.until()
    assert post.state(one) == "sent"
    assert post.rows("SELECT source FROM fact WHERE delivery = ?", one) == [("late result",)]


async def test_a_holder_that_lost_its_claim_begins_nothing_more(post: Post) -> None:
    await post.start()
    await post.exchange()
    await post.claim()
    one = await post.answer()
    with capture_logs() as logs:
        await post.running[0]
    assert [log["event"] for log in logs] == ["outbox_claim_lost"]
    assert (post.state(one), post.outcomes(one)) == ("queued", [])


async def test_a_receipt_that_comes_before_the_id_is_folded_when_the_id_is_known(post: Post) -> None:
    await post.start()
    one = await post.answer()
    call = await post.called()
    await post.receive(Receipt(key="r1", state=DeliveryState.DELIVERED, id="p1"))
    call.sent("p1")
    await post.until()
    assert post.state(one) == "delivered"


async def test_a_receipt_settles_an_uncertain_message_and_nothing_is_sent(post: Post) -> None:
    await post.start(idempotent=True)
    one = await post.answer()
    call = await post.called()
    call.fails(Unreachable("no answer", certain=False))
    await post.until()
    await post.receive(Receipt(key="r1", state=DeliveryState.DELIVERED, message_key=call.message.key))
    await post.due()
    await post.exchange()
    assert (post.state(one), post.outcomes(one)) == ("delivered", ["uncertain"])


# ---- errors that reach further than their message
async def test_a_missing_login_keeps_the_message_and_stops_the_channel_until_it_runs_again(post: Post) -> None:
    await post.start(in_flight=2)
    one, two = await post.answer(), await post.answer()
    first, second = await post.called(), await post.called()
    why = NeedsLogin("the token expired", code="190")
    first.fails(why)
    await post.until()
    three = await post.answer()
    assert not post.running[0].done()  # what is under way may end
    second.sent("p2")
    await post.until()
    await post.running[0]
    assert post.logins == [why]
    assert [post.state(it) for it in (one, two, three)] == ["queued", "sent", "queued"]
    assert post.provider.calls.empty()
    await post.start()
    again = await post.called()
    assert (again.message.key, again.message.attempt) == (first.message.key, 2)
    again.sent()
    (await post.called()).sent()
    await post.until()
    await post.until()
    assert [post.state(it) for it in (one, three)] == ["sent", "sent"]


async def test_a_throttled_sender_pauses_and_then_goes_on(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcome, "THROTTLED_MIN_S", 0.0)
    await post.start()
    loop = asyncio.get_running_loop()
    await post.answer()
    two = await post.answer()
    call = await post.called()
    throttled_at = loop.time()
    call.fails(Throttled("slowly", after_s=0.15))
    await post.until()
    call = await post.called()
    assert loop.time() - throttled_at >= 0.15
    call.sent()
    await post.until()
    if call.message.key != post.names.message_key(two):
        (await post.called()).sent()
        await post.until()
    assert post.state(two) == "sent"


@pytest.mark.parametrize("certain", [True, False])
async def test_trying_ends_when_its_time_is_over(post: Post, certain: bool) -> None:
    post.retry_for_h = 1.0
    await post.start(idempotent=True)
    one = await post.answer()
    (await post.called()).fails(Unreachable("away", certain=certain))
    await post.until()
    await post.sql("UPDATE delivery SET first_at = first_at - 3600000000")
    await post.due()
    (await post.called()).fails(Unreachable("still away", certain=certain))
    await post.until()
    assert post.state(one) == ("failed" if certain else "uncertain")
    assert post.reason(one) == "still away"


ENDINGS: dict[str, tuple[list[ChannelError], str]] = {  # what became of the attempts, the last when time was over
    "certainly not": ([Unreachable("away", certain=True), Unreachable("away", certain=True)], "failed"),
    "perhaps, then certainly not": ([Unreachable("?", certain=False), Unreachable("away", certain=True)], "uncertain"),
    "perhaps, then too fast": ([Unreachable("?", certain=False), Throttled("429", after_s=1.0)], "uncertain"),
    "perhaps, then refused": ([Unreachable("?", certain=False), Rejected("no")], "uncertain"),
}


@pytest.mark.parametrize("case", ENDINGS)
async def test_what_may_have_arrived_is_never_called_failed(post: Post, case: str) -> None:
    answers, state = ENDINGS[case]
    post.retry_for_h = 1.0
    await post.start(idempotent=True)
    one = await post.answer()
    for number, answer in enumerate(answers):
        if number:
            await post.sql("UPDATE delivery SET first_at = first_at - 3600000000")
            await post.due()
        (await post.called()).fails(answer)
        await post.until()
    assert post.state(one) == state


async def test_an_opt_out_stops_the_address_on_this_channel_with_the_reason(post: Post) -> None:
    await post.start()
    conversation = await post.customer()
    await post.answer(conversation)
    (await post.called()).fails(OptedOut("the recipient sent STOP", code="21610"))
    await post.until()
    two = await post.answer(conversation)
    await post.until("outbox.refused")
    assert post.state(two) == "refused"
    assert "the recipient sent STOP" in post.reason(two)
    assert post.outcomes(two) == []
    await post.exchange()


# ---- refused before it is tried
class Policy:
    """A policy of a plugin: it refuses what is said in its table, by text."""

    def __init__(self, **table: Refusal | Exception) -> None:
        self.table = table
        self.asked: list[tuple[OutboundMessage, datetime]] = []

    @hookimpl
    def fernamt_allow_send(self, message: OutboundMessage, now: datetime) -> Refusal | None:
        self.asked.append((message, now))
        found = self.table.get(message.text)
        if isinstance(found, Exception):
            raise found
        return found


async def test_a_policy_refuses_for_good_or_until_a_time_and_is_asked_again_then(post: Post) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    policy = Policy(
        never=Refusal(reason="he asked for letters\0only"),
        later=Refusal(reason="it is night", until=tomorrow),
        past=Refusal(reason="it was night", until=tomorrow - timedelta(days=7)),
        broken=RuntimeError("a bug"),
    )
    await post.start(policy)
    refused = {}
    for text in ("never", "later", "past"):
        refused[text] = await post.answer(text=text)
        await post.until("outbox.refused")
    assert post.state(refused["never"]) == "refused"
    assert post.reason(refused["never"]).startswith("he asked for letters")
    assert [post.state(refused[text]) for text in ("later", "past")] == ["queued", "queued"]
    [(next_at,)] = post.rows("SELECT next_at FROM delivery WHERE id = ?", refused["later"])
    assert datetime.fromtimestamp(next_at / 1_000_000, UTC) == tomorrow
    asked = len(policy.asked)
    with capture_logs():
        await post.answer(text="broken")
        (await post.called()).sent()
        await post.until()
    assert len(policy.asked) - asked <= 2  # a time that is past does not turn into a loop
    del policy.table["later"]
    await post.due()
    call = await post.called()
    assert call.message.text == "later"
    assert call.message.attempt == 1
    assert post.outcomes(refused["never"]) == []


async def test_what_may_have_arrived_is_never_called_refused(post: Post) -> None:
    policy = Policy()
    await post.start(policy, idempotent=True)
    one = await post.answer(text="Guten Tag")
    (await post.called()).fails(Unreachable("?", certain=False))
    await post.until()
    policy.table["Guten Tag"] = Refusal(reason="he wants no more mail")
    await post.due()
    await post.until("outbox.refused")
    assert (post.state(one), post.reason(one)) == ("uncertain", "he wants no more mail")


LONG: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {  # what the channel can, the message, the sentence
    "no text at all": ({"max_units": 0}, {"text": "123456"}, "6 long"),
    "a book": ({"max_units": 5}, {"text": "12345" * 50}, "are the most"),
    "no files": ({}, {"files": 1}, "takes no attachments"),
    "too large": ({"files": (Files(max_bytes=2),)}, {"files": 1}, "takes 2: send a link"),
    "of a kind": ({"files": (Files(max_bytes=9, media_types=("image/*",)),)}, {"files": 1}, "takes no application/pdf"),
}


async def test_what_is_too_much_for_the_channel_is_refused_with_a_sentence_and_never_cut(post: Post) -> None:
    await post.start()
    file = Attachment(name="Vertrag.pdf", media_type="application/pdf; name=x", content=Blob("ab" * 32, 3))
    found = {}
    for label, (can, message, _) in LONG.items():
        post.capabilities = Capabilities(**can)
        one = await post.answer(text=message.get("text", "Hallo"), attachments=(file,) * message.get("files", 0))
        await post.until("outbox.refused")
        found[label] = (post.state(one), post.reason(one))
    assert {state for state, _ in found.values()} == {"refused"}
    assert [label for label, (_, reason) in found.items() if LONG[label][2] not in reason] == []
    assert post.provider.calls.empty()


async def test_what_fits_is_sent_whole(post: Post) -> None:
    files = (Files(max_bytes=2), Files(max_bytes=9, media_types=("application/*",), max_count=2))
    await post.start(max_units=4, unit="byte", files=files)
    file = Attachment(name="Vertrag.pdf", media_type="Application/PDF", content=Blob("ab" * 32, 3))
    await post.answer(text="ää", attachments=(file, file))
    message = (await post.called()).message
    assert (message.text, len(message.attachments)) == ("ää", 2)


async def test_a_runner_that_was_halted_after_the_commit_sends_nothing_until_it_is_sure_again(post: Post) -> None:
    await post.start()
    post.holds = False
    one = await post.answer()
    await post.until("outbox.begun")
    await post.until()
    assert post.provider.calls.empty()
    assert (post.state(one), post.outcomes(one)) == ("queued", ["Unreachable"])
    post.holds = True
    await post.due()
    (await post.called()).sent()
    await post.until()
    assert (post.state(one), post.outcomes(one)) == ("sent", ["Unreachable", "sent"])


LETTER = "Guten Tag,\n\nIhr Paket ist da."


async def test_a_text_that_is_too_long_goes_in_parts_in_order_each_with_a_key_of_its_own(post: Post) -> None:
    await post.start(max_units=12)
    one = await post.answer(text=LETTER)
    behind = await post.answer(int(post.rows("SELECT max(id) FROM conversation")[0][0]), text="danach")
    texts, keys = [], []
    for number in range(4):
        call = await post.called()
        texts.append(call.message.text)
        keys.append(call.message.key)
        assert call.message.sent_ids == ()
        call.sent(f"id{number}")
    await post.until()
    assert texts == ["Guten Tag,", "Ihr Paket", "ist da.", "danach"]
    assert [post.names.delivery_of(key) for key in keys] == [one, one, one, behind]
    assert len(set(keys)) == 4
    await post.until()
    assert post.rows("SELECT state, attempts, parts, parts_total, ids FROM delivery WHERE id = ?", one) == [
        ("sent", 3, 2, 3, '["id0","id1","id2"]')
    ]


async def test_a_part_that_was_not_taken_is_sent_again_and_no_other(post: Post) -> None:
    await post.start(max_units=12)
    await post.answer(text=LETTER)
    (await post.called()).sent("id0")
    (await post.called()).fails(Unreachable("refused", certain=True, sent_ids=("id1a",)))
    await post.until()
    await post.until()
    await post.due()
    call = await post.called()
    assert (call.message.text, call.message.sent_ids) == ("Ihr Paket", ("id1a",))


@pytest.mark.parametrize(("sent", "then"), [(False, "Ihr Paket"), (True, "ist da.")])
async def test_a_person_settles_the_part_that_is_uncertain_and_the_rest_follows(
    post: Post, sent: bool, then: str
) -> None:
    await post.start(max_units=12)
    one = await post.answer(text=LETTER)
    (await post.called()).sent("id0")
    (await post.called()).fails(Unreachable("reset", certain=False))
    await post.until()
    await post.until()
    assert post.state(one) == "uncertain"
    await post.writer.write(decide, Verdict(delivery=one, sent=sent, by="maria"))
    post.outbox.wake()
    assert (await post.called()).message.text == then


async def test_what_became_of_one_part_is_not_the_end_of_the_whole(post: Post) -> None:
    await post.start(max_units=12)
    one = await post.answer(text=LETTER)
    (await post.called()).sent("id0")
    call = await post.called()
    for state in (DeliveryState.DELIVERED, DeliveryState.READ):
        await post.receive(Received(key=f"k{state}", sender=Address("phone", "+491"), text="x"))
        await post.writer.write(
            Reception(post.names),
            Submission(line=post.line, events=(Receipt(key=f"r{state}", id="id0", state=state),)),
        )
    assert post.state(one) == "sending"
    call.sent("id1")
    (await post.called()).sent("id2")
    await post.until()
    await post.until()
    await post.until()
    assert post.state(one) == "sent"


async def test_after_the_reply_window_only_a_template_goes(post: Post) -> None:
    await post.start(reply_window=timedelta(hours=24), templates=True)
    conversation = await post.customer()
    await post.sql("UPDATE entry SET at = at - 90000000000")
    refused = await post.answer(conversation)
    await post.until("outbox.refused")
    assert (post.state(refused), "use a template" in post.reason(refused)) == ("refused", True)
    template = Template(name="back", language="de", values=("Ann",))
    await post.answer(conversation, template=template)
    call = await post.called()
    assert call.message.template == template
    call.sent()
    later = datetime.now(UTC) + timedelta(hours=1)
    await post.answer(await post.customer(window_until=later), template=template)
    assert (await post.called()).message.template is None


class Unable(Provider):
    """A connector that fails before anything is sent, for some messages."""

    def units(self, message: OutboundMessage) -> int:
        if message.text == "nobody":
            raise Rejected("the number cannot be right: it is too short for its country")
        return len(message.text) if message.text != "units" else 1 // 0

    def id_for(self, message: OutboundMessage) -> str:
        if message.text == "id":
            raise ValueError("no id for this one")
        return message.key


@pytest.mark.parametrize("text", ["units", "id"])
async def test_a_message_that_a_connector_cannot_count_or_name_is_refused_and_the_next_one_goes(
    post: Post, text: str
) -> None:
    post.provider = Unable()
    await post.start(unit="measured")
    with capture_logs():
        one = await post.answer(text=text)
        await post.until("outbox.refused")
    assert post.state(one) == "refused"
    assert "the connector failed" in post.reason(one)
    await post.exchange()


async def test_what_a_connector_says_beforehand_can_never_go_is_refused_in_its_words_and_without_an_attempt(
    post: Post,
) -> None:
    post.provider = Unable()
    await post.start(unit="measured")
    with capture_logs() as logs:
        one = await post.answer(text="nobody")
        await post.until("outbox.refused")
    assert (post.state(one), post.reason(one)) == (
        "refused",
        "the number cannot be right: it is too short for its country",
    )
    assert post.rows("SELECT count(*) FROM attempt") == [(0,)]
    assert "connector_failed" not in [log["event"] for log in logs]
    await post.exchange()


async def test_a_message_that_cannot_be_made_is_refused_and_the_next_one_goes(post: Post) -> None:
    await post.start()
    conversation = await post.customer()
    await post.sql("UPDATE content SET data = '{'")
    with capture_logs() as logs:
        one = await post.answer(conversation)
        await post.until("outbox.refused")
    assert post.state(one) == "refused"
    assert "delivery_not_prepared" in [log["event"] for log in logs]
    await post.exchange()


# ---- order and bounds
async def test_a_lane_is_sent_in_order_one_at_a_time_and_lanes_side_by_side(post: Post) -> None:
    await post.start(in_flight=9)
    lanes = [await post.customer(), await post.customer()]
    texts = [["a1", "a2", "a3"], ["b1", "b2", "b3"]]
    for column in zip(*texts, strict=True):
        for conversation, text in zip(lanes, column, strict=True):
            await post.answer(conversation, text)
    got = []
    for _ in range(3):
        calls = [await post.called(), await post.called()]
        assert post.provider.calls.empty()
        for call in calls:
            got.append(call.message.text)
            call.sent()
        await post.until()
        await post.until()
    assert [sorted(got)[:3], sorted(got)[3:]] == texts
    assert [text for text in got if text[0] == "a"] == texts[0]


async def test_a_retry_holds_its_lane_and_lets_the_next_pass_after_its_time(post: Post) -> None:
    await post.start()
    conversation = await post.customer()
    one, two = await post.answer(conversation, "one"), await post.answer(conversation, "two")
    (await post.called()).fails(Unreachable("away", certain=True))
    await post.until()
    await post.exchange()
    assert post.state(two) == "queued"
    await post.sql("UPDATE delivery SET first_at = first_at - 301000000 WHERE id = ?", one)
    post.outbox.wake()
    call = await post.called()
    assert call.message.text == "two"
    await post.due()
    call.sent()
    await post.until()
    assert (await post.called()).message.text == "one"


@pytest.mark.parametrize("why", [Rejected("no"), Unreachable("?", certain=False)])
async def test_an_end_that_nobody_wanted_releases_its_lane(post: Post, why: ChannelError) -> None:
    await post.start()
    conversation = await post.customer()
    await post.answer(conversation, "one")
    await post.answer(conversation, "two")
    (await post.called()).fails(why)
    assert (await post.called()).message.text == "two"


async def test_no_more_is_under_way_than_the_channel_allows(post: Post) -> None:
    numbers = [await post.answer() for _ in range(5)]
    await post.start(in_flight=2)
    calls = [await post.called(), await post.called()]
    for done in range(5):
        await asyncio.sleep(0)
        assert post.provider.calls.empty()
        assert post.rows("SELECT count(*) FROM delivery WHERE state = 'sending'") == [(min(2, 5 - done),)]
        calls.pop(0).sent()
        await post.until()
        if done < 3:
            calls.append(await post.called())
    assert {post.state(it) for it in numbers} == {"sent"}


class Time:
    """The loop's time, which stands still until a test lets it pass."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loop = asyncio.get_running_loop()
        self.now = self.loop.time()
        monkeypatch.setattr(self.loop, "time", lambda: self.now)

    async def pass_by(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


async def test_a_channel_sends_as_fast_as_its_provider_takes_it(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(12):
        await post.answer()
    time = Time(monkeypatch)
    await post.start(units_per_s=10.0, in_flight=99)
    await post.called()  # what the one before us sent is not known: only one goes at once
    for _ in range(8):
        await time.pass_by(0.1)
        await post.called()
        assert post.provider.calls.empty()
    assert post.rows("SELECT count(*) FROM delivery WHERE state = 'sending'") == [(9,)]


class Measuring(Provider):
    """A provider that counts parts."""

    def units(self, message: OutboundMessage) -> int:
        return len(message.text)


async def test_the_rate_is_counted_in_the_providers_unit(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    post.provider = Measuring()
    for text in ("xxxxx", "x", "x"):
        await post.answer(text=text)
    time = Time(monkeypatch)
    await post.start(units_per_s=10.0, in_flight=99, unit="measured")
    await post.called()
    await time.pass_by(0.4)
    assert post.provider.calls.empty()
    await time.pass_by(0.1)
    await post.called()


async def test_a_reply_is_the_next_though_notices_wait(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(5):
        await post.answer(text="on its way", purpose=Purpose.NOTICE)
    time = Time(monkeypatch)
    await post.start(units_per_s=10.0, in_flight=99)
    assert (await post.called()).message.text == "on its way"
    await post.answer(text="a reply")
    await time.pass_by(0.1)
    assert (await post.called()).message.text == "a reply"
    await time.pass_by(0.1)
    assert (await post.called()).message.text == "on its way"


@pytest.mark.parametrize("why", [None, Unreachable("no connection", certain=True)], ids=["slow", "dead"])
async def test_a_provider_that_does_not_answer_leaves_the_rate_of_others_alone(
    post: Post, monkeypatch: pytest.MonkeyPatch, why: ChannelError | None
) -> None:
    number = await post.writer.write(enter, Entrance(id="bad", kind="fake", label="Bad"))
    bad = Post(post.store, post.writer, Line(number=number, id="bad"))
    for _ in range(8):
        await post.answer()
        await bad.answer()
    time = Time(monkeypatch)
    await bad.start(in_flight=99)
    calls = [await bad.called() for _ in range(8)]
    await post.start(units_per_s=10.0, in_flight=99)
    await post.called()
    for call in calls[:6]:
        if why is not None:
            call.fails(why)
        await time.pass_by(0.1)
        await post.called()
    assert {
        bad.state(number) for (number,) in bad.rows("SELECT id FROM delivery WHERE channel = ?", bad.line.number)
    } == ({"sending"} if why is None else {"sending", "queued"})
    await bad.die()


async def test_many_lanes_that_wait_do_not_hide_the_one_that_may_go(post: Post) -> None:
    await asyncio.gather(*(post.answer() for _ in range(70)))
    await post.sql("UPDATE delivery SET next_at = ?, first_at = ?", 2**60, 2**59)
    await post.start()
    await post.exchange()


async def test_what_another_process_wrote_is_found_without_a_call(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "POLL_S", 0.01)
    await post.start()
    await post.exchange()
    outbox, post.outbox = post.outbox, post.open()  # nobody wakes the one that runs
    await post.answer()
    (await post.called()).sent()
    await post.until()
    outbox.wake()


async def test_a_provider_that_never_answers_leaves_the_message_uncertain(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "SEND_TIMEOUT_S", 0.01)
    await post.start()
    one = await post.answer()
    await post.until()
    assert (post.state(one), post.reason(one)) == ("uncertain", "the provider did not answer in time")


# ---- a store that is away
class Moody(Writer):
    """A writer that refuses one operation as often as the test says."""

    refused: Callable[..., Any] | None = None
    refusals = 0

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.taken: list[Callable[..., Any]] = []

    def write(self, operation: Any, payload: Any) -> Any:
        if operation is self.refused and self.refusals:
            self.refusals -= 1
            future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            future.set_exception(NotStored("away", after_s=0.0))
            return future
        self.taken.append(operation)
        return super().write(operation, payload)


@pytest.fixture
async def moody(store: Store) -> AsyncIterator[Moody]:
    writer = Moody(store)
    writer.start()
    yield writer
    await writer.stop()


@pytest.mark.parametrize("operation", [take_over, begin, finish])
async def test_an_outage_of_the_store_is_waited_for_and_nothing_is_sent_twice(
    post: Post, moody: Moody, operation: Callable[..., Any]
) -> None:
    moody.refused, moody.refusals = operation, 1 if operation is begin else 5
    await post.start(writer=moody)
    one = await post.answer()
    post.outbox.wake()
    (await post.called()).sent("p1")
    await post.until()
    assert (post.state(one), post.outcomes(one)) == ("sent", ["sent"])
    assert post.provider.calls.empty()


@pytest.mark.parametrize("operation", [take_over, begin, finish])
async def test_a_commit_whose_answer_was_lost_holds_no_lane_and_makes_no_second_copy(
    post: Post, store: Store, operation: Callable[..., Any]
) -> None:
    class Deaf(Writer):
        deaf = True

        def write(self, wanted: Any, payload: Any) -> Any:
            written = super().write(wanted, payload)
            if wanted is not operation or not self.deaf:
                return written
            self.deaf = False
            return asyncio.ensure_future(self.unheard(written))

        async def unheard(self, written: Any) -> None:
            await written
            raise NotStored("the connection broke", after_s=0.0)

    writer = Deaf(store)
    writer.start()
    await post.start(writer=writer)
    one = await post.answer()
    post.outbox.wake()
    (await post.called()).sent("p1")
    await post.until()
    assert (post.state(one), post.outcomes(one)) == ("sent", ["sent"])
    assert post.provider.calls.empty()
    await post.die()
    await writer.stop()


async def test_an_answer_that_waits_for_the_store_is_recorded_though_its_holder_is_gone(
    post: Post, moody: Moody
) -> None:
    moody.refused, moody.refusals = finish, 10**9
    await post.start(writer=moody)
    one = await post.answer()
    (await post.called()).sent("p1")
    await post.until("outbox.answered")
    await post.die()  # the store was away for longer than the lease
    assert post.state(one) == "sending"
    old = post.outbox
    await post.start()
    await post.exchange()
    assert post.state(one) == "uncertain"
    moody.refusals = 0
    await post.until()
    await old.quiet(10.0)
    assert post.state(one) == "sent"


async def test_an_answer_that_waited_for_the_store_is_recorded_before_the_same_runner_takes_over(
    post: Post, moody: Moody
) -> None:
    moody.refused, moody.refusals = finish, 10**9
    await post.start(writer=moody)
    conversation = await post.customer()
    one = await post.answer(conversation)
    (await post.called()).fails(Unreachable("away", certain=True))
    await post.until("outbox.answered")
    await post.die()  # the store was away for longer than the lease
    two = await post.answer(conversation)
    post.running.append(asyncio.create_task(post.outbox.run(await post.claim())))
    for _ in range(10):
        await asyncio.sleep(0)  # whatever it wants to do first, it has asked for it
    assert moody.taken.count(take_over) == 1
    moody.refusals = 0
    await post.until()
    await post.exchange()
    assert [post.state(it) for it in (one, two)] == ["queued", "queued"]
    await post.due()
    for number in (one, two):
        call = await post.called()
        assert call.message.key == post.names.message_key(number)
        call.sent()
        await post.until()
    await post.die()


# ---- the end
async def test_going_quiet_lets_what_is_under_way_end_and_begins_nothing(post: Post) -> None:
    await post.start()
    one = await post.answer()
    call = await post.called()
    quiet = asyncio.create_task(post.outbox.quiet(10.0))
    two = await post.answer()
    assert not quiet.done()
    call.sent("p1")
    await quiet
    await post.die()
    assert [post.state(it) for it in (one, two)] == ["sent", "queued"]


async def test_what_is_being_begun_when_it_goes_quiet_is_sent_and_recorded(post: Post, moody: Moody) -> None:
    reached = asyncio.Event()
    write = moody.write

    def beginning(operation: Any, payload: Any) -> Any:
        if operation is begin:
            reached.set()
        return write(operation, payload)

    moody.write = beginning  # type: ignore[method-assign]
    await post.start(writer=moody)
    one = await post.answer()
    await reached.wait()
    quiet = asyncio.create_task(post.outbox.quiet(10.0))
    (await post.called()).sent("p1")
    await quiet
    await post.die()
    assert post.state(one) == "sent"


async def test_what_can_never_be_recorded_does_not_keep_the_daemon_from_ending(post: Post, moody: Moody) -> None:
    moody.refused, moody.refusals = finish, 10**9
    await post.start(writer=moody)
    one = await post.answer()
    (await post.called()).sent("p1")
    await post.until("outbox.answered")
    with capture_logs():
        await post.outbox.quiet(0.01)
    await post.die()
    await post.outbox.close()
    assert not post.outbox._under_way()
    assert post.state(one) == "sending"


async def test_a_refusal_that_could_not_be_recorded_is_made_again_and_holds_no_lane(
    post: Post, moody: Moody, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, broken = moody.write, ["once"]

    def refusing(operation: Any, payload: Any) -> Any:
        if operation is refuse and broken:
            broken.clear()
            future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            future.set_exception(ValueError("the store cannot take it"))
            return future
        return write(operation, payload)

    monkeypatch.setattr(moody, "write", refusing)
    monkeypatch.setattr(queue, "POLL_S", 0.01)
    await post.start(Policy(never=Refusal(reason="letters only")), writer=moody)
    with capture_logs() as logs:
        one = await post.answer(text="never")
        await post.until("outbox.refused")
    assert post.state(one) == "refused"
    assert [log["event"] for log in logs if log["log_level"] == "error"] == ["delivery_left_alone"]


async def test_going_quiet_gives_up_after_its_time(post: Post) -> None:
    await post.start()
    one = await post.answer()
    await post.called()
    with capture_logs() as logs:
        await post.outbox.quiet(0.01)
    assert [log["event"] for log in logs] == ["outbox_not_quiet"]
    await post.die()
    assert post.state(one) == "sending"


# ---- the message
async def test_a_message_says_what_it_answers_and_how_to_come_back(post: Post) -> None:
    await post.start(subject=True)
    ann, bob = Address("email", "ann@example.org"), Address("email", "bob@example.org")
    place = Thread(place="p")
    conversation = await post.receive(
        Received(key="k1", id="<m1>", sender=ann, subject="Rechnung", text="?", cc=(bob,), thread=place)
    )
    await post.answer(conversation, "Guten Tag")
    call = await post.called()
    first = call.message
    assert (first.to, first.cc, first.text, first.attempt) == (ann, (), "Guten Tag", 1)
    assert (first.subject, first.reply_to, first.references) == ("Re: Rechnung", "<m1>", ("<m1>",))
    assert first.sent_ids == ()
    assert not first.automatic
    assert post.names.conversation_of(first.reply_token) == conversation
    call.sent("<a1>")
    await post.until()
    await post.receive(
        Received(key="k2", id="<m2>", sender=ann, subject="AW: Rechnung", thread=Thread(references=("<a1>",)))
    )
    await post.receive(Received(key="k3", sender=ann, thread=Thread(references=("<m2>",))))
    await post.answer(conversation, "Gern", cc=(bob,))
    call = await post.called()
    second = call.message
    assert (second.to, second.cc) == (ann, (bob,))
    assert (second.subject, second.reply_to, second.references) == ("AW: Rechnung", "<m2>", ("<m1>", "<a1>", "<m2>"))
    assert second.entry_key != first.entry_key
    call.sent("<a2>")
    await post.until()
    call = await post.called()
    copy = call.message
    assert (copy.to, copy.cc) == (bob, (ann,))  # he sees who else got it
    assert copy.entry_key == second.entry_key
    assert copy.key != second.key


@pytest.mark.parametrize("threads", [True, False])
async def test_where_nothing_is_threaded_nobody_looks_for_what_went_before(
    post: Post, threads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with post.store.read() as connection:
        statements = type(post.store.statements(connection))
    looked_for: list[tuple[int, int]] = []
    earlier = statements.earlier

    def told(do: Any, of: Earlier, keys: Sequence[tuple[int, int]], *more: int) -> list[Row]:
        looked_for.extend(keys)
        return earlier(do, of, keys, *more)

    monkeypatch.setattr(statements, "earlier", told)
    await post.start(threads=threads)
    await post.answer(await post.customer(subject="Rechnung", text="?"))
    message = (await post.called()).message
    assert bool(looked_for) == threads
    found = message.reply_to, message.references, message.reply_token
    assert all(found) if threads else not any(found)


@pytest.mark.parametrize("can", [{"subject": True}, {"quotes": True}, {"reply_window": timedelta(hours=24)}])
async def test_what_else_a_channel_wants_of_it_is_found_though_nothing_is_threaded(
    post: Post, can: dict[str, Any]
) -> None:
    await post.start(threads=False, **can)
    await post.answer(await post.customer(subject="Rechnung", text="?"))
    message = (await post.called()).message
    assert message.subject == ("Re: Rechnung" if "subject" in can else "")
    assert (message.answered is not None) == ("quotes" in can)
    assert (message.reply_to, message.references, message.reply_token) == ("", (), "")


async def test_parts_that_got_through_are_named_to_the_next_attempt(post: Post) -> None:
    await post.start()
    await post.answer()
    (await post.called()).fails(Unreachable("part 2 of 3", certain=True, sent_ids=("p1",)))
    await post.until()
    await post.due()
    call = await post.called()
    assert call.message.sent_ids == ("p1",)
    call.sent("p2", "p3")
    await post.until()
    assert post.rows("SELECT ids FROM delivery") == [('["p1","p2","p3"]',)]
