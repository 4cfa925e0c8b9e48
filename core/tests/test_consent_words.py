"""STOP and its kin: whoever writes one gets no more messages on that channel, hears so once, and can take it back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from fernamt._runtime.consent_words import WORDS, with_consents, word_of
from fernamt._runtime.intake import ChannelIntake, Room
from fernamt._store.blobs import open_blobs
from fernamt._store.channels import Entrance, enter
from fernamt._store.engine import Store
from fernamt._store.erasure import erase
from fernamt._store.opting import CONFIRMATIONS_A_DAY
from fernamt._store.reception import Line, Reception
from fernamt._store.writer import Writer
from fernamt.inbound import Accepted, Consent, Part, Received, Thread
from fernamt.model import Address, Purpose
from fernamt.outbound import Capabilities

from .stage import Impatient
from .test_outbox import Post

ANN = Address("phone", "+491701234567")
BOTH = (
    "Sie bekommen hier keine Nachrichten mehr. Mit START melden Sie sich wieder an. / You get no more messages here. Reply START"
    " to get them again."
)


class Texted(Post):
    """A channel that is texted, with its way in."""

    def __init__(self, store: Store, writer: Writer, line: Line) -> None:
        super().__init__(store, writer, line)
        self.intake = ChannelIntake(
            line,
            writer=writer,
            reception=Reception(self.names),
            blobs=open_blobs(store),
            room=Room(),
            clock=store.clock,
        )
        self.can = Capabilities(opt_out_words=True)
        self.intake.can = lambda: self.can
        self.written = 0

    async def text(self, text: str, *more: Consent, sender: Address = ANN, **said: Any) -> tuple[Accepted, ...]:
        self.written += 1
        event = Received(key=f"t{self.written}", sender=sender, text=text, **said)
        return await self.intake.accept([event, *more])

    def sent(self) -> list[str]:
        sql = "SELECT c.text FROM entry e JOIN content c ON c.entry = e.id WHERE e.kind = 'sent' ORDER BY e.id"
        return [row[0] for row in self.rows(sql)]

    def consents(self) -> list[tuple[Any, ...]]:
        """Return the latest word of each scope."""
        said = self.rows("SELECT scope, allowed, evidence FROM consent ORDER BY id")
        return [*{scope: (scope, *rest) for scope, *rest in said}.values()]


@pytest.fixture
async def line(store: Store, writer: Writer) -> AsyncIterator[Texted]:
    store.clock = Impatient()
    number = await writer.write(enter, Entrance(id="sms", kind="fake", label="SMS"))
    line = Texted(store, writer, Line(number=number, id="sms"))
    yield line
    while line.running:
        await line.die()


# ---- the words
@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("STOP", "stop"),
        ("stop", "stop"),
        (" Stop!!! \n", "stop"),
        ("„STOPP“", "stopp"),
        ("STOP ALL", "stopall"),
        ("opt-out", "optout"),
        ("Abmelden.", "abmelden"),
        ("🛑 STOP 🛑", "stop"),
        ("START", "start"),
        ("ＳＴＯＰ", "stop"),
        ("_STOP_", "stop"),
        ("S\u200bTOP", "stop"),
        ("STOP STOP!! stop", "stop"),
        ("Stopp.\nStopp.", "stopp"),
        ("Stop start", ""),
        ("Stop it", ""),
        ("stop 1", ""),
        ("Bitte stoppen Sie die Lieferung", ""),
        ("Haltestelle", ""),
        ("", ""),
        ("!", ""),
        ("STOP" + " " * 40, ""),
    ],
)
def test_a_word_counts_only_if_it_is_the_whole_message(text: str, word: str) -> None:
    assert word_of(text) == word


def test_every_word_is_found_as_it_is_written() -> None:
    assert [word for word in WORDS if word_of(word.upper()) != word] == []


@pytest.mark.parametrize(
    "said",
    [
        {"automatic": True},
        {"by_us": True},
        {"part": Part(group="7", number=1, total=2)},
        {"thread": Thread(place="room", shared=True)},
    ],
)
def test_a_machine_a_colleague_a_piece_and_a_room_say_no_such_word(said: dict[str, Any]) -> None:
    events = (Received(key="a", sender=ANN, text="STOP", **said),)
    assert with_consents(events) is events


# ---- what follows
async def test_stop_is_an_entry_stops_the_address_and_is_confirmed_once(line: Texted) -> None:
    [accepted] = await line.text("Stop!")
    assert (accepted.conversation, accepted.n, accepted.repeat) == ("1", 1, False)
    assert line.consents() == [("", False, "wrote STOP")]
    assert line.sent() == [BOTH]
    [[data]] = line.rows("SELECT data FROM content WHERE entry = 1")
    assert '"marks":["opt-out"]' in data
    await line.text("STOP")
    assert line.sent() == [BOTH]


async def test_a_repeat_of_the_provider_changes_nothing_after_start(line: Texted) -> None:
    stop = Received(key="x", sender=ANN, text="STOP")
    [first] = await line.intake.accept([stop])
    await line.text("START")
    [again] = await line.intake.accept([stop])
    assert (again.conversation, again.n, again.repeat) == (first.conversation, first.n, True)
    assert line.consents() == [("", True, "wrote START")]


@pytest.mark.parametrize(("word", "begins"), [("ABMELDEN", "Sie bekommen"), ("UNSUBSCRIBE", "You get no more")])
async def test_who_stops_in_a_language_hears_that_it_was_understood_in_it(line: Texted, word: str, begins: str) -> None:
    await line.text(word)
    [said] = line.sent()
    assert said.startswith(begins)
    assert " / " not in said


async def test_the_language_of_the_conversation_counts_where_the_word_has_none(line: Texted) -> None:
    await line.text("Hallo")
    await line.sql("UPDATE conversation SET language = 'de-AT'")
    await line.text("Stop")
    assert line.sent() == [BOTH.partition(" / ")[0]]


async def test_the_confirmation_goes_out_and_nothing_after_it(line: Texted) -> None:
    await line.text("STOP")
    await line.start(opt_out_words=True)
    call = await line.called()
    assert (call.message.text, call.message.automatic) == (BOTH, True)
    call.sent()
    await line.until()
    refused = [await line.answer(1, purpose=one) for one in Purpose]
    for _ in refused:
        await line.until("outbox.refused")
    assert {line.reason(one) for one in refused} == {"the recipient opted out (wrote STOP)"}


async def test_start_takes_it_back(line: Texted) -> None:
    await line.text("STOP")
    await line.text("Start")
    assert line.consents() == [("", True, "wrote START")]
    assert line.sent()[1].startswith("Sie bekommen hier wieder Nachrichten.")
    answer = await line.answer(1)
    await line.start(opt_out_words=True, automatic_per_day=1)
    for _ in range(3):
        (await line.called()).sent()
        await line.until()
    assert line.state(answer) == "sent"


async def test_start_of_somebody_who_never_stopped_is_a_message_like_any_other(line: Texted) -> None:
    await line.text("Start")
    assert (line.consents(), line.sent()) == ([], [])


async def test_start_takes_back_what_was_said_before_an_erasure(line: Texted) -> None:
    await line.text("STOP")
    erase(line.store, 1, plugins=())
    await line.text("START")
    [conversation] = line.rows("SELECT max(id) FROM conversation")
    answer = await line.answer(*conversation)
    await line.start(opt_out_words=True)
    for _ in range(2):
        (await line.called()).sent()
        await line.until()
    assert line.state(answer) == "sent"


async def test_whoever_writes_both_in_turns_is_not_answered_for_ever(line: Texted) -> None:
    for _ in range(CONFIRMATIONS_A_DAY):
        await line.text("STOP")
        await line.text("START")
    assert len(line.sent()) == CONFIRMATIONS_A_DAY
    assert line.consents() == [("", True, "wrote START")]


async def test_what_the_provider_says_in_the_same_breath_it_has_confirmed(line: Texted) -> None:
    said = await line.text("STOP", Consent(key="c", address=ANN, allowed=False))
    assert [one.n for one in said] == [1, None]
    assert line.sent() == []
    assert [allowed for _, allowed, _ in line.consents()] == [False]


async def test_another_ones_word_stops_nobody_else(line: Texted) -> None:
    await line.text("STOP")
    await line.text("Hallo", sender=Address("phone", "+491709999999"))
    answer = await line.answer(2)
    await line.start(opt_out_words=True)
    for _ in range(2):
        (await line.called()).sent()
        await line.until()
    assert line.state(answer) == "sent"


@pytest.mark.parametrize(("word", "state"), [("STOP", "solved"), ("CANCEL", "open"), ("Ende", "open")])
async def test_a_word_that_may_mean_something_else_is_looked_at_by_somebody(
    line: Texted, word: str, state: str
) -> None:
    await line.text("Wo ist mein Paket?")
    await line.sql("UPDATE conversation SET state = 'solved'")
    await line.text(word)
    assert line.rows("SELECT state FROM conversation") == [(state,)]


async def test_a_channel_that_is_not_texted_has_no_such_words(line: Texted) -> None:
    line.can = Capabilities()
    await line.text("STOP")
    assert (line.consents(), line.sent()) == ([], [])


async def test_a_word_that_cannot_be_stored_as_a_message_stops_nothing_else(line: Texted) -> None:
    broken: Any = Received(key="t", sender=Address("phone", ""), text="STOP")
    said = await line.intake.accept([broken, Received(key="u", sender=ANN, text="Hallo")])
    assert [one.n for one in said] == [None, 1]
    assert line.consents() == []


async def test_a_provider_without_ids_may_bring_the_same_word_again_after_a_while(line: Texted) -> None:
    async def said(text: str) -> None:
        await line.intake.accept([Received(key=f"hash of {text}", key_valid_s=60.0, sender=ANN, text=text)])

    await said("STOP")
    await said("START")
    await said("STOP")
    assert line.consents() == [("", True, "wrote START")]
    await line.sql("UPDATE known SET at = at - 61000000")
    await said("STOP")
    assert line.consents() == [("", False, "wrote STOP")]


@pytest.mark.parametrize(
    "more",
    [
        {"allowed": True},
        {"allowed": False, "scope": "marketing"},
        {"allowed": False, "address": Address("phone", "+1")},
    ],
)
async def test_what_the_provider_says_of_something_else_confirms_nothing(line: Texted, more: dict[str, Any]) -> None:
    await line.text("STOP", Consent(**{"key": "c", "address": ANN, **more}))
    assert line.sent() == [BOTH]
