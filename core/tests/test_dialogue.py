"""Menus in writing: numbered choices, one session for each lane, each step committed with the message that it answers."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fernamt._runtime.dialogue import Dialogues
from fernamt._runtime.leading import Talk
from fernamt._runtime.pins import Pins
from fernamt._runtime.script import Scribe
from fernamt._runtime.walk import PinnedMenu
from fernamt._runtime.work import Worker
from fernamt._store.channels import Entrance, enter
from fernamt._store.desk import Composition, compose
from fernamt._store.dialogues import HEARS, OWNER, SUBSCRIBER
from fernamt._store.engine import Store
from fernamt._store.names import Names
from fernamt._store.reception import Line, Reception, Submission
from fernamt._store.subscriptions import Subscriptions, subscribe
from fernamt._store.writer import Writer
from fernamt.errors import Unreachable
from fernamt.inbound import Consent, Received, Thread
from fernamt.menus import BuiltMenu, OrderQuestion, OrderStatus, read_menu
from fernamt.model import Address
from fernamt.outbound import Capabilities
from fernamt.services import FaqQuestion, HoursQuestion, Question

from .stage import AtWork, Impatient

SHOP = """
id = "shop"
languages = ["de"]
entry = "reason"
fallback = "person"

[variables]
order = "digits"
code = { type = "digits", redact = "secret" }

[nodes.reason]
kind = "menu"
prompt.de = { first = "Worum geht es?", again = "Also, worum geht es?", no_match = "Das habe ich nicht verstanden. Worum geht es?", no_input = "Sind Sie noch da?" }
no_input = "bye"
no_match = "person"
options = [
    { key = "1", label = { de = "Bestellung" }, words = { de = ["bestellung", "paket"] }, to = "order" },
    { key = "2", label = { de = "Nachricht" }, to = "message" },
    { key = "3", label = { de = "Rückruf" }, to = "callback" },
    { key = "4", label = { de = "Verkauf" }, to = "sales" },
    { key = "5", label = { de = "Kennwort" }, to = "code" },
]

[nodes.order]
kind = "ask"
into = "order"
prompt.de = "Welche Nummer hat sie?"
least = 4
most = 8
to = "status"
no_input = "person"
no_match = "person"

[nodes.status]
kind = "lookup"
question = "order"
using = { number = "order" }
found = "told"
missing = "person"
failed = "person"

[nodes.told]
kind = "say"
prompt.de = "Sie ist unterwegs."
to = "bye"

[nodes.message]
kind = "voicemail"
prompt.de = "Schreiben Sie Ihre Nachricht."
done.de = "Danke."
to = "bye"
failed = "bye"

[nodes.callback]
kind = "callback"
prompt.de = "Unter {number}?"
ask.de = "Welche Nummer?"
done.de = "Wir rufen an."
to = "reason"

[nodes.sales]
kind = "route"
team = "sales"
to = "person"

[nodes.code]
kind = "ask"
into = "code"
prompt.de = "Wie lautet es?"
least = 4
most = 8
to = "proof"
no_input = "person"
no_match = "person"

[nodes.proof]
kind = "lookup"
question = "order"
using = { number = "code" }
found = "bye"
failed = "person"

[nodes.person]
kind = "transfer"
number = "team:support"
prompt.de = "Ein Mensch übernimmt."
failed = "bye"

[nodes.bye]
kind = "hang-up"
prompt.de = "Bis bald."
"""


ANN = "phone:+491"
MENU = "Worum geht es?\n\n1 Bestellung\n2 Nachricht\n3 Rückruf\n4 Verkauf\n5 Kennwort"
_keys = itertools.count(1)
_messages = itertools.count(1)


class House(AtWork):
    """A channel with a menu, the worker that runs it, and what its services say."""

    owner = OWNER

    def __init__(self, store: Store, writer: Writer, line: Line, folder: Path) -> None:
        super().__init__(store, writer)
        self.line = line
        self.folder = folder
        self.can = Capabilities(opt_out_words=True)
        self.orders: Callable[[OrderQuestion], OrderStatus | None] = lambda _question: OrderStatus(state="sent")
        self.asked: list[OrderQuestion] = []
        self.menu = self.read(SHOP)
        self.worker: Worker

    def read(self, text: str) -> BuiltMenu:
        file = self.folder / "shop.toml"
        file.write_text(text, "utf-8")
        return read_menu(file)

    async def look_up(self, question: Question[Any], *, timeout_s: float) -> Any:
        assert isinstance(question, OrderQuestion)
        self.asked.append(question)
        return self.orders(question)

    async def start(self, *, reached: Callable[[str], None] | None = None) -> None:
        await self.writer.write(subscribe, Subscriptions(wanted={SUBSCRIBER: HEARS}))
        menus = {"menus.shop": PinnedMenu("menus.shop", "menus", self.menu, self.menu.digest)}
        talk = Talk(line=self.line, menu="menus.shop", language="de", wait=timedelta(hours=1), can=lambda: self.can)
        dialogues = Dialogues(
            {self.line.id: talk},
            pins=Pins(menus, self.store),
            scribe=Scribe({FaqQuestion, HoursQuestion, OrderQuestion}),
            store=self.store,
            look_up=self.look_up,
            clock=Impatient(),
        )
        self.worker = Worker(
            self.owner,
            dialogues.handlers(),
            store=self.store,
            writer=self.writer,
            reached=reached or self.points.put_nowait,
        )
        self.running.append(asyncio.create_task(self.worker.run(await self.claim())))

    async def receive(self, text: str, who: str = ANN, *, key: str = "", **more: Any) -> int:
        """Store a message; the worker is not waited for."""
        event = Received(key=key or f"k{next(_keys)}", sender=Address.parse(who), text=text, **more)
        submission = Submission(line=self.line, events=(event,))
        [accepted] = await self.writer.write(Reception(Names(self.store.keys())), submission)
        self.worker.wake()
        return int(accepted.conversation or 0)

    async def say(self, *texts: str, who: str = ANN, **more: Any) -> int:
        """Write, and wait each time until that was dealt with."""
        conversation = 0
        for text in texts:
            conversation = await self.receive(text, who, **more)
            await self.settled()
        return conversation

    async def settled(self) -> None:
        while self.rows("SELECT 1 FROM task WHERE kind = 'tell'"):
            await self.until()

    async def write(self, conversation: int, kind: str, text: str = "") -> None:
        composition = Composition(conversation=conversation, kind=kind, author="agent:maria", text=text)
        composed = await self.writer.write(compose, composition)
        assert not isinstance(composed, Exception)
        self.worker.wake()
        await self.settled()

    async def be_silent(self) -> None:
        await self.sql("UPDATE task SET due_at = 0 WHERE kind = 'silence'")
        self.worker.wake()
        while self.rows("SELECT 1 FROM task WHERE kind = 'silence' AND due_at = 0"):
            await self.until()

    def log(self, conversation: int = 1) -> list[tuple[str, str]]:
        """Return kind and text of each entry."""
        return self.rows(
            "SELECT e.kind, c.text FROM entry e JOIN content c ON c.entry = e.id WHERE conversation = ? ORDER BY n",
            conversation,
        )

    def said(self, conversation: int = 1) -> list[str]:
        return [text for kind, text in self.log(conversation) if kind == "sent"]

    def state(self) -> str:
        return str(self.rows("SELECT state FROM conversation ORDER BY id")[0][0])

    def waits(self) -> bool:
        return bool(self.rows("SELECT 1 FROM task WHERE kind = 'silence'"))


@pytest.fixture
async def house(store: Store, writer: Writer, tmp_path: Path) -> AsyncIterator[House]:
    number = await writer.write(enter, Entrance(id="chat", kind="fake", label="Chat"))
    house = House(store, writer, Line(number=number, id="chat"), tmp_path)
    await house.start()
    yield house
    while house.running:
        await house.die()


@pytest.mark.parametrize(
    ("texts", "said", "kinds", "state"),
    [
        (["Hallo"], [MENU], [], "waiting"),
        (["Hallo", "1"], [MENU, "Welche Nummer hat sie?"], [], "waiting"),
        (
            ["Hallo", "1.\n\nViele Grüße", "Nr. 4711"],
            [MENU, "Welche Nummer hat sie?", "Sie ist unterwegs.\nBis bald."],
            ["menu"],
            "waiting",
        ),
        (["Hallo", "mein Paket"], [MENU, "Welche Nummer hat sie?"], [], "waiting"),
        (["Wo ist mein Paket?"], ["Welche Nummer hat sie?"], [], "waiting"),
        (
            ["Hallo", "blau"],
            [MENU, MENU.replace("Worum", "Das habe ich nicht verstanden. Worum")],
            [],
            "waiting",
        ),
        (
            ["Hallo", "2", "Es regnet herein.\nBitte kommen Sie."],
            [MENU, "Schreiben Sie Ihre Nachricht.", "Danke.\nBis bald."],
            ["voicemail", "menu", "handover"],
            "open",
        ),
        (["Hallo", "4"], [MENU, "Ein Mensch übernimmt."], ["route", "menu", "handover"], "open"),
        (["Hallo", "0"], [MENU, "Ein Mensch übernimmt."], ["menu", "handover"], "open"),
    ],
)
async def test_a_menu_is_walked_by_number_and_by_word(
    house: House, texts: Sequence[str], said: Sequence[str], kinds: Sequence[str], state: str
) -> None:
    await house.say(*texts)
    assert house.said() == said
    assert [kind for kind, _ in house.log() if kind not in ("sent", "received")] == kinds
    assert house.state() == state


QUOTED = "\n".join(f"> {line}" for line in MENU.split("\n"))
HEAD = "Am Montag, 30. November 2026 um 10:00 schrieb Laden:"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{HEAD}\n{QUOTED}", "Das habe ich nicht verstanden. Worum geht es?"),
        (QUOTED, "Das habe ich nicht verstanden. Worum geht es?"),
        (f"Von: Laden\nBetreff: Bestellung\n\n{MENU}", "Das habe ich nicht verstanden. Worum geht es?"),
        ("", "Das habe ich nicht verstanden. Worum geht es?"),
        (f"1\n\n{HEAD}\n{QUOTED}", "Welche Nummer hat sie?"),
        ("1 Bestellung", "Welche Nummer hat sie?"),
        ("> 1", "Welche Nummer hat sie?"),
        ("\u0661", "Welche Nummer hat sie?"),
        ("\u202e1\u202c", "Welche Nummer hat sie?"),
        ("1\ufe0f\u20e3", "Welche Nummer hat sie?"),
        ("1\u0000", "Welche Nummer hat sie?"),
        ("1" * 100_000, "Das habe ich nicht verstanden. Worum geht es?"),
        ("blau " * 40_000, "Das habe ich nicht verstanden. Worum geht es?"),
    ],
)
async def test_only_what_somebody_wrote_themselves_chooses(house: House, text: str, said: str) -> None:
    await house.say("Hallo", text)
    assert house.said()[-1].startswith(said)


async def test_a_question_that_comes_back_is_no_first_word_and_no_number(house: House) -> None:
    await house.die()
    house.menu = house.read(SHOP.replace('de = "Bestellung"', 'de = "Meine alte Bestellung"'))
    await house.start()
    asked = MENU.replace("Bestellung", "Meine alte Bestellung")
    quoted = asked.replace("\n", "\n> ")
    await house.say(quoted, quoted)  # the longest words in it would choose
    assert house.said() == [asked, asked.replace("Worum", "Das habe ich nicht verstanden. Worum")]
    await house.say("1", "Am 30.11. schrieb Laden:\n> Welche Nummer hat sie?")
    assert house.asked == []


async def test_an_agent_sees_what_was_collected_and_who_should_take_it(house: House) -> None:
    house.orders = lambda _question: None
    await house.say("Hallo", "1", "4711")
    assert house.log()[-3:] == [
        ("menu", "order: 4711"),
        ("sent", "Ein Mensch übernimmt."),
        ("handover", "The menu menus.shop hands over to support."),
    ]


async def test_a_service_that_fails_leads_where_the_menu_says(house: House) -> None:
    def away(_question: OrderQuestion) -> OrderStatus:
        raise Unreachable("the shop is away", certain=True)

    house.orders = away
    await house.say("Hallo", "1", "4711")
    assert house.log()[-1] == ("handover", "The menu menus.shop hands over to support.")


async def test_a_call_back_is_a_recorded_request_and_opens_the_conversation_when_the_menu_ends(house: House) -> None:
    await house.say("Hallo", "3", "ja")
    assert ("callback", "+491") in house.log()
    await house.be_silent()
    await house.be_silent()
    assert house.log()[-2:] == [("sent", "Bis bald."), ("handover", "The menu menus.shop leaves this to a person.")]
    assert house.state() == "open"


# ---- once, and by whom
async def test_a_repeat_of_the_provider_says_nothing_new(house: House) -> None:
    for key in ("a", "b", "b", "a"):
        await house.say("Hallo" if key == "a" else "1", key=key)
    assert house.said() == [MENU, "Welche Nummer hat sie?"]


async def test_people_and_conversations_have_lanes_of_their_own(house: House) -> None:
    first = await house.say("Hallo")
    second = await house.say("Wo ist mein Paket?", who="phone:+492")
    await house.say("2")
    assert house.said(first) == [MENU, "Schreiben Sie Ihre Nachricht."]
    assert house.said(second) == ["Welche Nummer hat sie?"]


@pytest.mark.parametrize("more", [{"automatic": True}, {"automatic": True, "silent": True}])
async def test_a_machine_starts_no_menu_and_gets_no_answer_within_one(house: House, more: dict[str, Any]) -> None:
    await house.say("I am away", **more)
    assert house.said() == []
    await house.say("Hallo")
    await house.say("I am away", **more)
    assert house.said() == [MENU]


async def test_a_room_is_no_lane(house: House) -> None:
    await house.say("Hallo", thread=Thread(place="room", shared=True))
    assert house.said() == []


async def test_words_of_consent_never_reach_a_menu_and_end_what_is_under_way(house: House) -> None:
    await house.say("Hallo")
    await house.say("STOP", marks=("opt-out",))
    assert house.said() == [MENU]
    assert not house.waits()
    assert house.rows("SELECT ended_at IS NOT NULL FROM session") in ([(1,)], [(True,)])
    await house.say("START")
    assert house.said() == [MENU]


async def test_who_stopped_messages_and_writes_again_is_for_a_person_to_read(house: House) -> None:
    await house.say("Hallo")
    stopped = Consent(key="stopped", address=Address.parse(ANN), allowed=False)
    await house.writer.write(Reception(Names(house.store.keys())), Submission(line=house.line, events=(stopped,)))
    await house.say("1", "2")
    assert house.said() == [MENU]
    assert (house.state(), house.waits()) == ("open", False)


async def test_a_persons_answer_silences_the_menu_and_what_was_collected_is_noted(house: House) -> None:
    house.orders = lambda _question: None
    conversation = await house.say("Hallo", "1")
    await house.write(conversation, "sent", "Ich kümmere mich.")
    await house.say("4711", "Danke!")
    assert house.said() == [MENU, "Welche Nummer hat sie?", "Ich kümmere mich."]
    assert "menu" in [kind for kind, _ in house.log()]
    assert not house.waits()


async def test_a_persons_answer_that_comes_while_the_menu_thinks_is_before_it(house: House) -> None:
    def slow(_question: OrderQuestion) -> OrderStatus:
        with contextlib.closing(house.store.session()) as session, session.transaction() as tx:
            composition = Composition(conversation=1, kind="sent", author="agent:maria", text="Ich bin da.")
            compose(tx, [composition])
        return OrderStatus(state="sent")

    await house.say("Hallo", "1")
    house.orders = slow
    await house.say("4711")
    assert house.said() == [MENU, "Welche Nummer hat sie?", "Ich bin da."]


async def test_who_has_a_person_gets_no_menu_before_the_conversation_is_solved(house: House) -> None:
    conversation = await house.say("Hallo", "0", "Hallo?")
    assert house.said() == [MENU, "Ein Mensch übernimmt."]
    await house.write(conversation, "sent", "Guten Tag")
    await house.say("Danke")
    await house.write(conversation, "solved")
    await house.say("Noch etwas")
    assert house.said()[-2:] == ["Guten Tag", MENU]


async def test_after_a_goodbye_the_next_message_begins_again(house: House) -> None:
    await house.say("Hallo", "1", "4711", "Hallo")
    assert house.said() == [MENU, "Welche Nummer hat sie?", "Sie ist unterwegs.\nBis bald.", MENU]


async def test_what_was_written_before_the_question_is_no_answer_to_it(house: House) -> None:
    house.worker.wake()
    await house.die()
    for text in ("Hallo", "ich habe da etwas", "wegen einem Paket"):
        event = Received(key=f"k{next(_keys)}", sender=Address.parse(ANN), text=text)
        await house.writer.write(Reception(Names(house.store.keys())), Submission(line=house.line, events=(event,)))
    await house.start()
    await house.settled()
    assert house.said() == [MENU, "Welche Nummer hat sie?"]


# ---- silence
async def test_silence_is_asked_once_more_and_then_ends_as_the_menu_says(house: House) -> None:
    await house.say("Hallo")
    await house.be_silent()
    assert house.said()[1:] == [MENU.replace("Worum geht es?", "Sind Sie noch da?")]
    await house.be_silent()
    assert house.said()[2:] == ["Bis bald."]
    assert not house.waits()


async def test_an_answer_makes_an_older_time_out_mean_nothing(house: House) -> None:
    await house.say("Hallo")
    [(key, data)] = house.rows("SELECT key, data FROM task WHERE kind = 'silence'")
    await house.say("1")
    await house.sql("UPDATE task SET due_at = 0, data = ? WHERE key = ?", data, key)
    await house.be_silent()
    assert house.said() == [MENU, "Welche Nummer hat sie?"]


# ---- buttons
async def test_choices_are_buttons_where_all_fit_and_one_of_an_older_question_asks_the_present_one_again(
    house: House,
) -> None:
    house.can = Capabilities(buttons=5)
    await house.say("Hallo")
    [(data,)] = house.rows("SELECT data FROM content WHERE text = ?", "Worum geht es?")
    assert '"Bestellung","1.1:1"' in data
    await house.say("", choice="1.1:1")
    await house.say("", choice="1.1:2")
    assert house.said() == ["Worum geht es?", "Welche Nummer hat sie?", "Welche Nummer hat sie?"]


# ---- what must not be kept
async def test_a_secret_answer_is_in_no_row(house: House) -> None:
    await house.say("Hallo", "5", "48151623")
    assert house.said()[-1] == "Bis bald."
    for table in ("content", "session", "turn", "task", "position", "raw"):
        assert "48151623" not in repr(house.rows(f"SELECT * FROM {table}"))


# ---- limits and faults
async def test_a_channel_that_lets_machines_write_only_so_often_gets_a_person_in_time(house: House) -> None:
    house.can = Capabilities(automatic_per_day=2)
    await house.say("Hallo", "1")
    assert len(house.said()) == 2
    assert house.said()[1].startswith("Hier geht es gerade nicht automatisch weiter.")
    assert house.log()[-1][0] == "handover"


async def test_a_menu_that_is_gone_hands_its_customers_over(house: House) -> None:
    await house.say("Hallo")
    await house.sql("DELETE FROM meta WHERE name LIKE ?", "menu:%")
    await house.die()
    house.menu = house.read(SHOP.replace("Bis bald", "Auf bald"))
    await house.start()
    await house.say("1")
    assert house.log()[-1] == ("handover", "The menu menus.shop could not go on: it is not loaded.")


async def test_a_menu_that_changed_disturbs_nobody_who_is_in_it(house: House) -> None:
    await house.say("Hallo", "1")
    await house.die()
    house.menu = house.read(SHOP.replace("Sie ist unterwegs", "Sie kommt").replace("1", "7", 0))
    await house.start()
    await house.say("4711")
    assert house.said()[-1] == "Sie ist unterwegs.\nBis bald."
    await house.say("Paket", "4711")
    assert house.said()[-1] == "Sie kommt.\nBis bald."


# ---- crashes
@pytest.mark.parametrize("point", ["work.begun", "work.done", "work.ended"])
@pytest.mark.parametrize("nth", [1, 2, 3])
async def test_a_crash_anywhere_asks_nothing_twice_and_loses_nothing(house: House, point: str, nth: int) -> None:
    await house.die()
    left = [nth]
    crashed = asyncio.Event()

    def reached(found: str) -> None:
        house.points.put_nowait(found)
        if found == point:
            left[0] -= 1
            if left[0] == 0:
                crashed.set()
                raise asyncio.CancelledError

    await house.start(reached=reached)
    for text in ("Hallo", "1", "4711"):
        await house.receive(text)
        settled = asyncio.create_task(house.settled())
        dead = asyncio.create_task(crashed.wait())
        await asyncio.wait({settled, dead}, return_when=asyncio.FIRST_COMPLETED)
        settled.cancel()
        dead.cancel()
        if crashed.is_set():
            crashed.clear()
            await house.die()
            await house.start()
            await house.settled()
    assert house.said() == [MENU, "Welche Nummer hat sie?", "Sie ist unterwegs.\nBis bald."]
