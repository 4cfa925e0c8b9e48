"""What a menu says to whoever writes: its steps, with all that is looked up on the way, until it waits for them or ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

import orjson
from attrs import field, frozen

from fernamt._runtime.in_writing import answered, is_stale, own_words, repeats, spoken
from fernamt._runtime.minutes import is_secret
from fernamt._runtime.script import Scribe, Script
from fernamt._runtime.turns import LooksUp
from fernamt._runtime.walk import MenuFault, PinnedMenu, walk
from fernamt._store.dialogues import Situated
from fernamt._store.reception import Line
from fernamt._store.sessions import Standing
from fernamt._store.subscriptions import Situation
from fernamt.connector import Clock
from fernamt.effects import Effect
from fernamt.errors import ChannelError
from fernamt.menus import BuiltMenu, Place, PlaceQuestion
from fernamt.model import Address, Entry, moment
from fernamt.outbound import Capabilities
from fernamt.services import Question
from fernamt.session import (
    HangUp,
    Happened,
    HungUp,
    LineAction,
    LookedUp,
    LookUp,
    LookUpFailed,
    Prompt,
    Said,
    Say,
    Silence,
    Started,
    Transfer,
    Transferred,
)

ROUNDS_MAX: Final = 24
"""So many look-ups and transfers may follow one message."""
SILENCES_MAX: Final = 64
"""So often a menu is told of silence before it counts as one that never ends."""
FIRST_WORDS_MAX: Final = 200
"""A longer first message is read by people: a word out of it is no choice."""
_SORRY: Final[Mapping[str, str]] = {
    "de": "Hier geht es gerade nicht automatisch weiter. Jemand von uns liest Ihre Nachricht und meldet sich.",
    "en": "This cannot go on automatically just now. Somebody of us reads your message and will get back to you.",
}


@frozen(kw_only=True)
class Talk:
    """A channel on which a menu leads whoever writes."""

    line: Line
    menu: str
    """``<plugin>.<name>``, or the name of a file."""
    language: str
    wait: timedelta
    """So long an answer is waited for, twice."""
    can: Callable[[], Capabilities]


@frozen(kw_only=True)
class Step:
    """What came of something that happened to a menu."""

    state: str
    script: Script
    written: str
    """The script, as it is stored."""
    said: tuple[LineAction, ...] = ()
    """What the customer reads, in order."""
    effects: tuple[Effect, ...] = ()
    ends: bool = False
    to: str = ""
    """To whom it was handed over."""


@frozen(kw_only=True)
class Case:
    """One entry, or one silence, in one lane."""

    talk: Talk
    seen: Situation
    at: Situated
    entry: Entry
    author: str
    name: str
    """Of the menu."""
    pinned: PinnedMenu | None
    key: str
    """Of what happened."""
    script: Script = field(factory=lambda: Script(()))

    @property
    def origin(self) -> Standing | None:
        """Where the lane's session stands; ``None``: one begins."""
        moved = self.at.moved
        return None if moved is None or moved.standing.ended else moved.standing

    @property
    def call(self) -> str:
        return self.at.call if self.origin is not None else self.at.lane.call(self.entry.n)

    @property
    def language(self) -> str:
        return (
            self.origin.language if self.origin is not None else self.seen.conversation.language or self.talk.language
        )

    def tag(self, further: int = 0) -> str:
        """Return what marks the buttons of the present turn, or of a *further* one."""
        turn = 0 if self.origin is None else self.origin.turn
        return f"{self.call.rpartition(':')[2]}.{turn + further}"


class Leading:
    """Leads through menus; writes nothing."""

    def __init__(self, scribe: Scribe, look_up: LooksUp, clock: Clock) -> None:
        self._scribe = scribe
        self._look_up = look_up
        self._clock = clock

    async def begun(self, case: Case) -> Step:
        """Begin: with what the customer wants, where their first words say so."""
        started = Started("", Address.parse(case.author), channel=case.talk.line.id, session=case.call, written=True)
        first = await self._through(case, "null", started)
        words = own_words(case.entry)
        asked = first.script.actions[-1] if first.script.actions else None
        if len(words) > FIRST_WORDS_MAX or repeats(words, asked):
            words = ""
        if first.ends or not words or not self._chooses(case, first.state, words):
            return first
        # Whoever says at once what they want is not asked for it.
        return _after(first, await self._through(case, first.state, Said(words)))

    async def answered(self, case: Case) -> Step | None:
        """Take an answer; ``None``: it is none to the present question."""
        origin = case.origin
        assert origin is not None
        asked = case.script.actions[-1] if case.script.actions else None
        if is_stale(case.entry, case.tag()):
            return self._same(case)
        what: Happened = answered(case.entry, asked)
        if case.entry.at < moment(origin.at_us) and not self._chooses(case, origin.state, own_words(case.entry)):
            return None  # written before the question could be read: no answer to it
        return await self._through(case, origin.state, what, secret=is_secret(case.script, what))

    def _chooses(self, case: Case, state: str, words: str) -> bool:
        menu = self._menu(case).menu
        return isinstance(menu, BuiltMenu) and menu.chooses(orjson.loads(state), words, at=case.entry.at)

    async def silent(self, case: Case) -> Step:
        """Nobody answered."""
        return await self._through(case, state_of(case), Silence())

    async def ended_in_silence(self, case: Case) -> Step:
        """Let a menu whose last question nobody answered come to its end: nobody is asked a third time."""
        state = state_of(case)
        effects: tuple[Effect, ...] = ()
        for _ in range(SILENCES_MAX):
            step = await self._through(case, state, Silence())
            state, effects = step.state, (*effects, *step.effects)
            if step.ends:
                return Step(
                    state=state, script=step.script, written=step.written, said=step.said, effects=effects, ends=True,
                    to=step.to,
                )  # fmt: skip
        raise MenuFault("it asks on for ever, whoever answers")

    async def gone(self, case: Case, by: str) -> Step:
        """End it without a word; what was collected is noted."""
        try:
            return await self._through(case, state_of(case), HungUp(by))
        except MenuFault:
            return Step(state=state_of(case), script=Script(()), written="[]", ends=True)

    def _same(self, case: Case) -> Step:
        """Say the present question once more: a button of an older one was pressed."""
        said, origin = spoken(case.script.actions), case.origin
        assert origin is not None
        return Step(state=origin.state, script=case.script, written=origin.actions, said=said)

    def _menu(self, case: Case) -> PinnedMenu:
        if case.pinned is None:
            raise MenuFault("it is not loaded")
        return case.pinned

    async def _through(self, case: Case, state: str, what: Happened, *, secret: bool = False) -> Step:
        """Ask the menu until it waits for the customer or ends: look-ups are answered, and whoever is asked for is a person."""
        pinned, at = self._menu(case), case.entry.at if case.key.isdigit() else self._clock.now()
        said: list[LineAction] = []
        effects: list[Effect] = []
        to = ""
        for _ in range(ROUNDS_MAX):
            walked = walk(pinned, state, what, at=at, language=case.language, scribe=self._scribe, secret=secret)
            state, secret = walked.state, False
            effects += walked.effects
            if to or isinstance(what, HungUp):
                return Step(
                    state=state, script=Script(()), written="[]", said=tuple(said), effects=tuple(effects), ends=True,
                    to=to,
                )  # fmt: skip
            said += spoken(walked.actions)
            last = walked.actions[-1]
            if walked.look_up is not None:
                what, at = await self._asked(walked.look_up), self._clock.now()
            elif isinstance(last, Transfer):
                to, what, at = last.to or "a person", Transferred("answered"), self._clock.now()
            else:
                ends = isinstance(last, HangUp)
                return Step(
                    state=state, script=Script(walked.actions), written=walked.script, said=tuple(said),
                    effects=tuple(effects), ends=ends,
                )  # fmt: skip
        raise MenuFault("it looks up without an end")

    async def _asked(self, look_up: LookUp) -> LookedUp | LookUpFailed:
        question: Question[Any] = look_up.question
        if isinstance(question, PlaceQuestion):
            # Who writes need not wait in line: their conversation does.
            return LookedUp(Place(position=0, agent=f"team:{question.queue}"))
        try:
            async with asyncio.timeout(look_up.timeout_s):
                return LookedUp(await self._look_up(question, timeout_s=look_up.timeout_s))
        except TimeoutError:
            return LookUpFailed(f"there was no answer within {look_up.timeout_s:g} s")
        except ChannelError as why:
            return LookUpFailed(why.reason)

    async def within_limit(self, case: Case, step: Step) -> Step:
        """Hand over rather than ask what the channel would not bring any more: it lets machines write only so often a day."""
        most = case.talk.can().automatic_per_day
        if most is None or step.ends or case.at.today < most - 1:
            return step
        last = await self._through(case, step.state, HungUp("us"))
        said = () if case.at.today >= most else sorry(case)
        return Step(
            state=last.state, script=Script(()), written="[]", said=said, effects=(*step.effects, *last.effects), ends=True,
            to="a person",
        )  # fmt: skip


def _after(first: Step, then: Step) -> Step:
    """Return two steps as one; of the first only what was said beside its question."""
    return Step(
        state=then.state, script=then.script, written=then.written, said=(*first.said[:-1], *then.said),
        effects=(*first.effects, *then.effects), ends=then.ends, to=then.to,
    )  # fmt: skip


def fault(case: Case) -> Step:
    return Step(state=state_of(case), script=Script(()), written="[]", said=sorry(case), ends=True)


def sorry(case: Case) -> tuple[LineAction, ...]:
    spoken_here = case.language.partition("-")[0].lower()
    chosen = [spoken_here] if spoken_here in _SORRY else list(_SORRY)
    return (Say(tuple(Prompt(text=_SORRY[one], language=one) for one in chosen)),)


def state_of(case: Case) -> str:
    return "null" if case.origin is None else case.origin.state
