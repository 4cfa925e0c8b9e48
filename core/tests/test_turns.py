"""Live exchanges: a turn is committed before it is heard, once for each event, whoever takes it and however often it comes."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import evolve, frozen
from structlog.testing import capture_logs

from fernamt._runtime.clock import SystemClock
from fernamt._runtime.intake import ChannelIntake, Room
from fernamt._runtime.script import Scribe
from fernamt._runtime.turns import Turns
from fernamt._runtime.walk import PinnedMenu
from fernamt._store.blobs import open_blobs
from fernamt._store.channels import Entrance, enter
from fernamt._store.engine import Store
from fernamt._store.names import Names
from fernamt._store.reception import Line, Reception, Submission
from fernamt._store.writer import Writer
from fernamt.effects import AddEntry, Job, Remember, Reply
from fernamt.errors import Rejected, Unreachable
from fernamt.inbound import Cursor, InboundEvent, Received
from fernamt.menu import MenuState, Step
from fernamt.model import Address, Attachment, ChannelId
from fernamt.outbound import OutboundMessage, Sent
from fernamt.services import Question
from fernamt.session import (
    Action,
    Finished,
    Gather,
    HangUp,
    Happened,
    Hold,
    HungUp,
    LookedUp,
    LookUp,
    LookUpFailed,
    Polled,
    Pressed,
    Prompt,
    Recorded,
    Said,
    Say,
    SessionEvent,
    Silence,
    Started,
    Transfer,
    Turn,
)

ANN = Address("phone", "+49301")
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def say(text: str) -> Say:
    return Say((Prompt(text=text, language="en"),))


def ask(text: str, **more: Any) -> Gather:
    return Gather(prompts=(Prompt(text=text, language="en"),), max_keys=1, **more)


def spoken(turn: Turn) -> list[str]:
    """What the caller hears, and how it ends."""
    words = [prompt.text for action in turn.actions for prompt in getattr(action, "prompts", ())]
    return [*words, type(turn.actions[-1]).__name__] if turn.actions else words


@frozen
class CardQuestion(Question[str]):
    number: str


class Tree:
    """A menu whose answers the test lays out: what happened, by its name and keys -> actions."""

    def __init__(self, answers: Mapping[str, Any], digest: str = "v1") -> None:
        self.answers = answers
        self.digest = digest
        self.heard: list[tuple[MenuState | None, Happened, str]] = []

    def step(self, state: MenuState | None, event: Happened, *, at: datetime, language: str) -> Step:
        assert at == NOON or isinstance(event, LookedUp | LookUpFailed)
        self.heard.append((state, event, language))
        key = f"{type(event).__name__} {getattr(event, 'keys', '')}".strip()
        answer = self.answers.get(key, self.answers.get("else"))
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, tuple):
            return Step({"steps": len(self.heard), "path": [key]}, answer)
        return answer  # type: ignore[no-any-return]


MAIN: dict[str, tuple[Action, ...]] = {
    "Started": (say("hello"), ask("1 or 2?")),
    "Pressed 1": (ask("one; again?"),),
    "Pressed 2": (say("two"), HangUp()),
    "HungUp": (),
    "else": (ask("what?"),),
}


class House:
    """A store with one line, on which runners are started."""

    def __init__(self, store: Store, writer: Writer, line: Line) -> None:
        self.store = store
        self.writer = writer
        self.line = line
        self.runners: list[Turns] = []
        self.answers: Any = None
        self.number = 0

    def runner(self, answers: Mapping[str, Any] | Tree = MAIN, *, menu: str = "shop.main", language: str = "") -> Turns:
        tree = answers if isinstance(answers, Tree) else Tree(answers)
        turns = Turns(
            self.line,
            menus={"shop.main": PinnedMenu("shop.main", "shop", tree, tree.digest)},
            menu=menu,
            language=language,
            scribe=Scribe([CardQuestion]),
            store=self.store,
            writer=self.writer,
            blobs=open_blobs(self.store),
            look_up=self.look_up,
            clock=SystemClock(),
        )
        self.runners.append(turns)
        return turns

    async def look_up(self, question: Question[Any], *, timeout_s: float) -> Any:
        return await self.answers(question)

    def event(self, what: Happened, *, key: str = "", turn: int | None = None, call: str = "c1") -> SessionEvent:
        self.number += 1
        key = key or f"e{self.number}"
        return SessionEvent(key=key, session=call, turn=turn, address=ANN, at=NOON, what=what)

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.store.read() as connection:
            return [tuple(row) for row in self.store.statements(connection).rows(sql, values)]

    def log(self) -> list[tuple[int, str, str]]:
        return self.rows(
            "SELECT e.n, e.kind, coalesce(c.text, '') FROM entry e LEFT JOIN content c ON c.entry = e.id"
            " ORDER BY e.conversation, e.n"
        )

    def kinds(self) -> list[str]:
        return [kind for _, kind, _ in self.log()]

    def everything(self) -> str:
        """Every word that is kept of calls."""
        tables = ("content", "session", "turn", "quarantine", "raw", "known")
        return repr([self.rows(f"SELECT * FROM {table}") for table in tables])


@pytest.fixture
async def house(store: Store, writer: Writer) -> AsyncIterator[House]:
    number = await writer.write(enter, Entrance(id=ChannelId("line"), kind="test", label="line"))
    house = House(store, writer, Line(number=number, id="line"))
    yield house
    for turns in house.runners:
        await turns.stop()


async def test_a_call_is_a_conversation_with_an_entry_for_each_step(house: House) -> None:
    turns = house.runner()

    first = await turns.turn(house.event(Started("+4930999")))
    second = await turns.turn(house.event(Pressed("1"), turn=1))
    third = await turns.turn(house.event(Pressed("2"), turn=2))
    over = await turns.turn(house.event(HungUp("caller")))

    assert [spoken(turn) for turn in (first, second, third, over)] == [
        ["hello", "1 or 2?", "Gather"],
        ["one; again?", "Gather"],
        ["two", "HangUp"],
        [],
    ]
    assert [turn.n for turn in (first, second, third, over)] == [1, 2, 3, 4]
    assert house.log() == [(1, "call", ""), (2, "step", "1"), (3, "step", "2"), (4, "hung-up", "")]
    assert house.rows("SELECT count(*) FROM session WHERE ended_at IS NOT NULL") == [(1,)]
    assert (first.session.call_id, first.session.channel, first.session.address) == ("c1", "line", ANN)


async def test_the_menu_gets_its_own_state_back(house: House) -> None:
    tree = Tree(MAIN)
    turns = house.runner(tree, language="de-CH")
    await turns.turn(house.event(Started("")))
    await turns.turn(house.event(Pressed("1")))

    assert tree.heard == [
        (None, Started("", Address("phone", "+49301"), "line", "c1"), "de-CH"),
        ({"steps": 1, "path": ["Started"]}, Pressed("1"), "de-CH"),
    ]


async def test_a_repeat_gets_the_first_answer_in_any_order_and_however_late(house: House) -> None:
    turns = house.runner()
    events = [house.event(Started("")), house.event(Pressed("1"), turn=1), house.event(Pressed("1"), turn=2)]
    first = [await turns.turn(event) for event in events]
    entries = house.log()

    for runner in (turns, house.runner()):
        for at in (2, 0, 1, 1, 0, 2):
            assert await runner.turn(events[at]) == first[at]
    assert house.log() == entries


async def test_repeats_that_come_together_make_one_step(house: House) -> None:
    turns = house.runner()
    began = house.event(Started(""))
    pressed = house.event(Pressed("1"))

    starts = await asyncio.gather(*(turns.turn(began) for _ in range(5)))
    presses = await asyncio.gather(*(turns.turn(pressed) for _ in range(5)))

    assert len({turn.n for turn in starts}) == len({turn.n for turn in presses}) == 1
    assert house.kinds() == ["call", "step"]


async def test_of_events_that_race_each_makes_its_step(house: House) -> None:
    turns, other = house.runner(), house.runner()
    await turns.turn(house.event(Started("")))
    await other.turn(house.event(Polled()))

    made = await asyncio.gather(
        turns.turn(house.event(Pressed("1"))),
        other.turn(house.event(Pressed("1"))),
        turns.turn(house.event(Pressed("1"))),
        other.turn(house.event(Pressed("1"))),
    )

    assert sorted(turn.n for turn in made) == [2, 3, 4, 5]
    assert house.rows("SELECT n FROM turn ORDER BY n") == [(n,) for n in range(1, 6)]


async def test_two_daemons_that_take_the_same_events_at_once_make_each_step_once(house: House) -> None:
    one, other = house.runner(), house.runner()
    second = Writer(house.store)
    second.start()
    other._writer = second
    try:
        for what in (Started(""), Pressed("1"), Pressed("1"), Pressed("1"), Pressed("2"), HungUp("caller")):
            event = house.event(what)
            turns = await asyncio.gather(*(runner.turn(event) for runner in (one, other, one, other)))
            assert all(turn == turns[0] for turn in turns)
    finally:
        await second.stop()

    assert house.rows("SELECT n FROM turn ORDER BY n") == [(n,) for n in range(1, 7)]
    assert house.kinds() == ["call", "step", "step", "step", "step", "hung-up"]


async def test_another_runner_takes_the_next_event_from_what_was_committed(house: House) -> None:
    one, two = house.runner(), house.runner()

    call: list[tuple[Turns, Happened, int | None]] = [
        (one, Started(""), None),
        (two, Pressed("1"), 1),
        (one, Pressed("1"), 2),
        (two, Pressed("2"), 3),
        (one, HungUp("us"), 4),
    ]
    answers = [await runner.turn(house.event(what, turn=turn)) for runner, what, turn in call]

    assert [turn.n for turn in answers] == [1, 2, 3, 4, 5]
    assert house.kinds() == ["call", "step", "step", "step", "hung-up"]


@pytest.mark.parametrize(
    "what", [Polled(), Pressed("2"), Started("again")], ids=["poll", "overtaken answer", "second beginning"]
)
async def test_what_rests_gets_the_current_turn(house: House, what: Happened) -> None:
    turns = house.runner()
    await turns.turn(house.event(Started("")))
    current = await turns.turn(house.event(Pressed("1"), turn=1))

    for runner in (turns, house.runner()):
        assert await runner.turn(house.event(what, turn=1)) == current
    assert house.kinds() == ["call", "step"]


@pytest.mark.parametrize("what", [Finished(), Silence()])
async def test_on_hold_nothing_is_asked(house: House, what: Happened) -> None:
    turns = house.runner({"Started": (Hold(),), "else": (HangUp(),)})
    held = await turns.turn(house.event(Started("")))

    assert await turns.turn(house.event(what)) == held


async def test_whatever_comes_first_a_menu_meets_the_beginning(house: House) -> None:
    tree = Tree(MAIN)

    assert spoken(await house.runner(tree).turn(house.event(Pressed("2"), turn=7))) == ["hello", "1 or 2?", "Gather"]
    assert [event for _, event, _ in tree.heard] == [Started("", Address("phone", "+49301"), "line", "c1")]
    assert house.kinds() == ["call", "step"]


async def test_after_we_hung_up_the_end_is_repeated_and_after_they_did_nothing_is_said(house: House) -> None:
    turns = house.runner()
    await turns.turn(house.event(Started("")))
    end = await turns.turn(house.event(Pressed("2")))
    assert await turns.turn(house.event(Pressed("1"))) == end
    assert await turns.turn(house.event(Polled())) == end

    gone = house.event(HungUp("caller"))
    assert (await turns.turn(gone)).actions == ()
    assert [(await house.runner().turn(event)).actions for event in (gone, house.event(Polled()))] == [(), ()]
    assert (await turns.turn(house.event(HungUp("network")))).actions == ()
    assert house.kinds() == ["call", "step", "hung-up"]


async def test_a_call_that_was_gone_before_it_began_is_kept_and_starts_nothing(house: House) -> None:
    turns = house.runner()
    await turns.turn(house.event(HungUp("caller")))

    assert (await turns.turn(house.event(Started("")))).actions == ()
    assert house.kinds() == ["call", "hung-up"]


async def test_a_call_joins_what_the_caller_has_open_on_the_channel(house: House) -> None:
    def said(text: str) -> Submission:
        return Submission(line=house.line, events=(Received(key=text, sender=ANN, text=text),))

    reception = Reception(Names(house.store.keys()))
    await house.writer.write(reception, said("before"))
    turns = house.runner()
    await turns.turn(house.event(Started("")))
    await house.writer.write(reception, said("after"))

    assert house.rows("SELECT conversation, n, kind FROM entry ORDER BY id") == [
        (1, 1, "received"),
        (1, 2, "call"),
        (1, 3, "received"),
    ]


BAD_STEPS = {
    "raises": ValueError("what the caller said"),
    "leaves": SystemExit(1),
    "no step": None,
    "no actions": (),
    "waits for nothing": (say("hm"),),
    "goes on after the end": (HangUp(), ask("?")),
    "too many": (say("x"),) * 40 + (HangUp(),),
    "too long": (say("x" * 70_000), HangUp()),
    "no number": (Gather(prompts=(), first_timeout_s=float("nan")),),
    "two look-ups": (LookUp(question=CardQuestion("1")), LookUp(question=CardQuestion("2"))),
    "hangs up and looks up": (LookUp(question=CardQuestion("1")), HangUp()),
    "no action": ("hang up",),
    "no storable text": (say("\ud800"), HangUp()),
    "no effect of a menu": (Remember({}), HangUp()),
    "nobody's job": (Job(name="none"), HangUp()),
    "cannot be replied": (Reply(text="hi", channel=ChannelId("nowhere")), HangUp()),
}


@pytest.mark.parametrize("answer", BAD_STEPS.values(), ids=BAD_STEPS)
async def test_a_menu_that_cannot_go_on_ends_in_an_apology_and_a_handover(house: House, answer: Any) -> None:
    turns = house.runner({**MAIN, "Pressed 1": answer}, language="de")
    await turns.turn(house.event(Started("")))
    event = house.event(Pressed("1"))

    with capture_logs() as logs:
        sorry = await turns.turn(event)

    assert spoken(sorry) == [
        "Entschuldigung, das geht hier gerade nicht weiter. Wir kümmern uns darum. Auf Wiederhören.",
        "HangUp",
    ]
    assert await house.runner().turn(event) == sorry
    assert house.kinds() == ["call", "step", "handover"]
    assert [log["menu"] for log in logs if log["event"] == "menu_failed"] == ["shop.main"]
    assert "what the caller said" not in house.everything()
    assert house.rows("SELECT state FROM conversation") == [("open",)]


async def test_a_channel_without_a_menu_says_so_in_both_languages_and_logs_it_once(house: House) -> None:
    turns = house.runner(menu="")

    with capture_logs() as logs:
        said = [await turns.turn(house.event(Started(""), call=call)) for call in ("a", "b")]

    for turn in said:
        assert spoken(turn)[-1] == "HangUp"
        assert [prompt.language for prompt in turn.actions[0].prompts] == ["de", "en"]  # type: ignore[union-attr]
    assert [log["event"] for log in logs] == ["channel_without_menu"]
    assert house.kinds() == ["call", "handover", "call", "handover"]


async def test_a_call_goes_on_only_with_the_menu_that_it_began_with(house: House) -> None:
    await house.runner().turn(house.event(Started("")))
    changed = house.runner(Tree(MAIN, digest="v2"))

    assert spoken(await changed.turn(house.event(Pressed("1"))))[-1] == "HangUp"
    assert house.kinds() == ["call", "step", "handover"]
    assert "changed while the call was under way" in house.log()[-1][2]


async def test_what_a_menu_asks_for_is_committed_with_its_step(house: House) -> None:
    note, reply = (
        AddEntry(kind="note", text="wants a plumber"),
        Reply(text="we come", to=ANN, channel=ChannelId("line")),
    )
    turns = house.runner({**MAIN, "Pressed 1": (note, reply, ask("more?")), "HungUp": (AddEntry(kind="solved"),)})
    await turns.turn(house.event(Started("")))
    pressed = house.event(Pressed("1"))
    await turns.turn(pressed)
    await turns.turn(pressed)
    await turns.turn(house.event(HungUp("caller")))

    assert house.log() == [
        (1, "call", ""),
        (2, "step", "1"),
        (3, "note", "wants a plumber"),
        (4, "sent", "we come"),
        (5, "hung-up", ""),
        (6, "solved", ""),
    ]
    assert house.rows("SELECT count(*) FROM delivery") == [(1,)]


@pytest.mark.parametrize("what", [Pressed("4711"), Said("4711", 0.9)], ids=["pressed", "said"])
async def test_what_is_sensitive_is_stored_nowhere(house: House, what: Happened) -> None:
    asked: list[Any] = []

    async def answer(question: CardQuestion) -> str:
        asked.append(question.number)
        return "known"

    house.answers = answer
    look_up = LookUp(question=CardQuestion("4711"))
    turns = house.runner({"Started": (ask("PIN?", sensitive=True),), "LookedUp": (HangUp(),), "else": (look_up,)})
    await turns.turn(house.event(Started("")))

    assert spoken(await turns.turn(house.event(what, key="key of 4711"))) == ["HangUp"]
    assert asked == ["4711"]
    assert "4711" not in house.everything()


async def test_what_was_recorded_is_an_attachment_of_its_step(house: House) -> None:
    turns = house.runner()
    await turns.turn(house.event(Started("")))
    recording = Attachment(name="voice.wav", media_type="audio/wav", content=b"RIFF")
    await turns.turn(house.event(Recorded(recording)))

    [(files,)] = house.rows("SELECT attachments FROM content WHERE attachments IS NOT NULL")
    assert '"name":"voice.wav"' in files
    assert '"digest":' in files


# ---- looking up
LOOKS_UP: dict[str, tuple[Action, ...]] = {
    "Started": (say("thanks"), LookUp(question=CardQuestion("7"), timeout_s=0.2)),
    "LookedUp": (say("found"), HangUp()),
    "LookUpFailed": (say("not found"), HangUp()),
}


async def test_a_quick_look_up_brings_the_next_turn_at_once_with_what_was_to_be_said_before(house: House) -> None:
    async def answer(question: CardQuestion) -> str:
        return f"card {question.number}"

    house.answers = answer
    tree = Tree(LOOKS_UP)
    turns = house.runner(tree)
    event = house.event(Started(""))
    came = await turns.turn(event)

    assert spoken(came) == ["thanks", "found", "HangUp"]
    assert came.n == 2
    assert LookedUp("card 7") in [event for _, event, _ in tree.heard]
    assert [await runner.turn(event) for runner in (turns, house.runner())] == [came, came]
    assert house.kinds() == ["call", "step"]


@pytest.mark.parametrize("why", [Unreachable("down", certain=True), TimeoutError()], ids=["fails", "takes too long"])
async def test_a_look_up_that_brings_nothing_is_an_event_too(house: House, why: Exception) -> None:
    async def answer(question: CardQuestion) -> str:
        if isinstance(why, TimeoutError):
            await asyncio.Event().wait()
        raise why

    house.answers = answer

    assert spoken(await house.runner(LOOKS_UP).turn(house.event(Started("")))) == ["thanks", "not found", "HangUp"]


async def test_a_slow_look_up_holds_the_line_and_the_next_poll_gets_what_it_brought(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fernamt._runtime.turns.PATIENCE_S", 0.01)
    may = asyncio.Event()

    async def answer(question: CardQuestion) -> str:
        await may.wait()
        return "late"

    house.answers = answer
    look_up = LookUp(question=CardQuestion("7"), timeout_s=9.0)
    turns = house.runner({**LOOKS_UP, "Started": (say("thanks"), look_up)})
    event = house.event(Started(""))
    held = await turns.turn(event)
    assert spoken(held) == ["thanks", "Hold"]
    assert await turns.turn(house.event(Polled())) == held

    may.set()
    monkeypatch.setattr("fernamt._runtime.turns.PATIENCE_S", 5.0)
    while (brought := await turns.turn(house.event(Polled()))) == held:
        pass  # the answer is on its way into the store
    assert spoken(brought) == ["found", "HangUp"]
    assert await turns.turn(event) == held


async def test_a_look_up_that_a_crash_interrupted_is_asked_again_by_the_next_event(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fernamt._runtime.turns.PATIENCE_S", 0.01)

    async def never(question: CardQuestion) -> str:
        await asyncio.Event().wait()
        raise AssertionError

    house.answers = never
    look_up = LookUp(question=CardQuestion("7"), timeout_s=60.0)
    answers = {**LOOKS_UP, "Started": (say("thanks"), look_up)}
    dead = house.runner(answers)
    event = house.event(Started(""))
    held = await dead.turn(event)
    await dead.stop()

    async def answer(question: CardQuestion) -> str:
        return "now"

    house.answers = answer
    monkeypatch.setattr("fernamt._runtime.turns.PATIENCE_S", 5.0)
    alive = house.runner(answers)
    assert await alive.turn(house.event(Polled())) == held
    await house.writer.write(_aged, None)
    assert spoken(await alive.turn(house.event(Polled()))) == ["found", "HangUp"]
    assert await alive.turn(event) == held


def _aged(tx: Any, payloads: Any) -> list[None]:
    """Let time pass for every session."""
    tx.do.one("UPDATE session SET at = at - 100000000")
    return [None for _ in payloads]


async def test_an_answer_that_was_overtaken_makes_no_step(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fernamt._runtime.turns.PATIENCE_S", 0.01)
    may = asyncio.Event()

    async def answer(question: CardQuestion) -> str:
        await may.wait()
        return "late"

    house.answers = answer
    look_up = LookUp(question=CardQuestion("7"), timeout_s=9.0)
    tree = Tree({"Started": (look_up, ask("or press 1")), "Pressed 1": (ask("pressed"),), "LookedUp": (HangUp(),)})
    turns = house.runner(tree)
    await turns.turn(house.event(Started("")))
    current = await turns.turn(house.event(Pressed("1")))
    may.set()
    while turns._asking:
        await asyncio.sleep(0)

    assert await turns.turn(house.event(Polled())) == current
    assert not any(isinstance(event, LookedUp) for _, event, _ in tree.heard)


# ---- performing
class Phone:
    """A line that is told what to do."""

    def __init__(self, *problems: Exception) -> None:
        self.problems = list(problems)
        self.done: list[Turn] = []
        self.did = asyncio.Event()

    async def send(self, message: OutboundMessage) -> Sent:
        raise Rejected("no messages here")

    async def perform(self, turn: Turn) -> None:
        if self.problems:
            raise self.problems.pop(0)
        self.done.append(turn)
        self.did.set()


async def performed(turns: Turns) -> None:
    while turns._performing is not None and turns._performing._tasks:
        await asyncio.sleep(0.001)


async def test_a_turn_that_no_request_waits_for_is_performed_once(house: House) -> None:
    turns, phone = house.runner(), Phone()
    turns.equip(phone)
    began = house.event(Started(""))

    accepted = [await turns.accept(event) for event in (began, began, house.event(Pressed("2")), began)]
    await performed(turns)

    assert [one.repeat for one in accepted] == [False, True, False, True]
    assert accepted[0].conversation == "1"
    assert [turn.n for turn in phone.done] == [1, 2]


async def test_what_certainly_did_not_reach_the_line_is_performed_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fernamt._runtime.performing._PAUSES_S", (0.0, 0.0, None))
    turns, phone = house.runner(), Phone(Unreachable("no", certain=True), Unreachable("no", certain=True))
    turns.equip(phone)
    await turns.accept(house.event(Started("")))
    await performed(turns)
    assert len(phone.done) == 1

    phone.problems = [Unreachable("perhaps", certain=False)]
    with capture_logs() as logs:
        await turns.accept(house.event(Pressed("1")))
        await performed(turns)
    assert [log["event"] for log in logs] == ["turn_not_performed"]
    assert len(phone.done) == 1


async def test_what_a_look_up_brought_is_performed_after_what_came_before(house: House) -> None:
    async def answer(question: CardQuestion) -> str:
        return "quick"

    house.answers = answer
    turns, phone = house.runner(LOOKS_UP), Phone()
    turns.equip(phone)
    await turns.accept(house.event(Started("")))
    while len(phone.done) < 2:
        await phone.did.wait()
        phone.did.clear()

    assert [spoken(turn) for turn in phone.done] == [["thanks", "Hold"], ["found", "HangUp"]]


async def test_session_events_among_others_are_taken_by_intake_too(house: House) -> None:
    turns, phone = house.runner(), Phone()
    turns.equip(phone)
    intake = ChannelIntake(
        house.line,
        writer=house.writer,
        reception=Reception(Names(house.store.keys())),
        blobs=open_blobs(house.store),
        room=Room(),
        clock=SystemClock(),
        turns=turns,
    )
    wrote = Received(key="m", sender=ANN, text="I call you")
    events: list[InboundEvent] = [
        wrote,
        house.event(Started("")),
        house.event(Pressed("2")),
        house.event(Polled(), call=""),
    ]

    with capture_logs():
        accepted = await intake.accept(events, raw=b"all of it", cursor=Cursor("at", "7"))
    await performed(turns)

    assert [(one.conversation, one.n) for one in accepted] == [("1", 3), ("1", None), ("1", None), (None, None)]
    assert house.kinds() == ["call", "step", "received"]
    assert [turn.n for turn in phone.done] == [1, 2]
    assert house.rows("SELECT value FROM cursor") == [("7",)]
    assert house.rows("SELECT count(*) FROM quarantine") == [(1,)]


async def test_calls_keep_no_raw_bytes_even_in_quarantine(house: House) -> None:
    turns = house.runner()
    intake = ChannelIntake(
        house.line,
        writer=house.writer,
        reception=Reception(Names(house.store.keys())),
        blobs=open_blobs(house.store),
        room=Room(),
        clock=SystemClock(),
        turns=turns,
    )

    with capture_logs():
        for call in ("c1", ""):
            await intake.accept([house.event(Started("")), house.event(Said("4711"), call=call)], raw=b"Digits=4711")

    assert house.rows("SELECT count(*) FROM quarantine") == [(1,)]
    assert "Digits" not in house.everything()
    assert [bytes(body) for (body,) in house.rows("SELECT body FROM raw")] == [
        b"{'key': 'e4', 'session': '', 'what': 'Said'}"
    ]


@pytest.mark.parametrize(
    "change", [{"session": ""}, {"key": ""}, {"address": Address("phone", "")}, {"session": "x" * 2_000}]
)
async def test_an_event_that_names_nobody_is_refused(house: House, change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"no (session|key|address)"):
        await house.runner().turn(evolve(house.event(Started("")), **change))


SCRIPTS: list[tuple[Any, ...]] = [
    (say("a"), ask("b", sensitive=True, hints=("x", "y"))),
    (Transfer(to="+49", timeout_s=3.0),),
    (Hold(prompts=(Prompt(text="m", language="de", audio="music"),), poll_s=2.5),),
    (HangUp("done"),),
    (),
]


@pytest.mark.parametrize("actions", SCRIPTS)
def test_a_script_is_read_as_it_was_written(actions: tuple[Any, ...]) -> None:
    assert Scribe().read(Scribe().write(actions)).actions == actions


def test_a_question_is_read_back_unless_it_is_secret_or_nobody_knows_its_type() -> None:
    look_up = LookUp(question=CardQuestion("7"))
    known, stranger = Scribe([CardQuestion]), Scribe()

    def question(reader: Scribe, text: str) -> Any:
        asked = reader.read(text).asked
        assert asked is not None
        assert asked.timeout_s == 4.0
        return asked.question

    assert question(known, known.write((), look_up)) == CardQuestion("7")
    assert question(stranger, known.write((), look_up)) is None
    assert question(known, known.write((), look_up, secret=True)) is None
