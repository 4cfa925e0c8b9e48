"""Menus in writing: whoever writes on a channel with a menu is led through it, one message after the other, until a person comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

import orjson
import structlog
from attrs import evolve, field, frozen

from fernamt._runtime.consent_words import STOPPED_MARK, word_of
from fernamt._runtime.in_writing import answered, is_stale, own_words, spoken, written_out
from fernamt._runtime.minutes import is_secret
from fernamt._runtime.pins import Pins
from fernamt._runtime.script import Scribe, Script
from fernamt._runtime.turns import LooksUp
from fernamt._runtime.walk import MenuFault, PinnedMenu, walk
from fernamt._runtime.work import Ending, Handler
from fernamt._store.dialogues import (
    SUBSCRIBER,
    Advance,
    Situated,
    is_overtaken,
    later,
    live_calls,
    note_lanes,
    note_told,
    situated,
    step_key,
    take,
)
from fernamt._store.engine import Store
from fernamt._store.reception import Line
from fernamt._store.sessions import Move, Standing
from fernamt._store.subscriptions import Situation, situation
from fernamt._store.tasks import Task
from fernamt._store.transaction import Transaction
from fernamt.connector import Clock
from fernamt.effects import Effect
from fernamt.errors import ChannelError, Unreachable, Unsupported
from fernamt.menus import BuiltMenu, Place, PlaceQuestion
from fernamt.model import Address, Entry, Json, moment
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
    Pressed,
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
_AT_ONCE: Final = 100
_MICROSECOND: Final = timedelta(microseconds=1)
_SORRY: Final[Mapping[str, str]] = {
    "de": "Hier geht es gerade nicht automatisch weiter. Jemand von uns liest Ihre Nachricht und meldet sich.",
    "en": "This cannot go on automatically just now. Somebody of us reads your message and will get back to you.",
}
_log = structlog.get_logger()


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
class _Step:
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
class _Case:
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


class Dialogues:
    """Carries out the tasks of menus in writing."""

    def __init__(
        self,
        talks: Mapping[str, Talk],
        *,
        pins: Pins,
        scribe: Scribe,
        store: Store,
        look_up: LooksUp,
        clock: Clock,
    ) -> None:
        """*talks* are the channels, by id."""
        self._talks = talks
        self._pins = pins
        self._scribe = scribe
        self._store = store
        self._look_up = look_up
        self._clock = clock
        self._refused: dict[str, str] = {}

    def handlers(self) -> Mapping[str, Handler]:
        """Return what carries out a task, by its kind."""
        return {"tell": self.tell, "silence": self.ring}

    # ---- somebody wrote
    async def tell(self, task: Task) -> Ending:
        """Go on after the first entry that concerns a menu."""
        seen = await asyncio.to_thread(self._seen, task, again=False)
        person = max((entry.n for entry in seen.entries if _is_end(entry)), default=0)
        told, advances, memory = await self._next(task, seen, person)
        more = bool(seen.entries) and told < seen.conversation.last_n
        by_person = bool(person) and told == person
        conversation = _conversation(task)

        if by_person:
            advances = [evolve(one, by_person=True) for one in advances]

        def also(tx: Transaction) -> None:
            if advances and not by_person and is_overtaken(tx, conversation, told):
                later(tx, task, told)  # the person's entry is among them then
                return
            if told:
                note_told(tx, conversation, told)
            if advances or memory != seen.memory:
                self._commit(tx, task, advances, memory)
            if more:
                later(tx, task, told + 1)

        return Ending(also)

    async def _next(self, task: Task, seen: Situation, person: int) -> tuple[int, list[Advance], dict[str, Json]]:
        """Return up to which entry menus are told, with what follows from it, and what is to be remembered then."""
        told = 0
        for entry in seen.entries:
            told = entry.n
            if told == person:
                advances = await self._ended_by(task, seen, entry)
                return told, advances, {} if entry.kind == "solved" else dict(seen.memory)
            if told > person and (advance := await self._heard(task, seen, entry)) is not None:
                return told, [advance], dict(seen.memory)
        return told, [], dict(seen.memory)

    def _commit(self, tx: Transaction, task: Task, advances: list[Advance], memory: dict[str, Json]) -> None:
        try:
            for one in advances:
                if one.move.origin is None and (pinned := self._pins.menu_of(one.menu, "")) is not None:
                    self._pins.pin(tx, pinned)
                take(tx, one, memory)
            note_lanes(tx, _conversation(task), memory)
        except Unsupported as why:
            # What the menu asked for cannot be done: when the task is tried again, its customer goes to a person.
            self._refused[task.key] = why.reason
            raise Unreachable(why.reason, certain=True) from why

    async def _heard(self, task: Task, seen: Situation, entry: Entry) -> Advance | None:
        """Return the step that a message makes; ``None``: it is none for a menu."""
        talk = self._talks.get(entry.channel or "")
        if talk is None or entry.kind != "received":
            return None
        case = await self._case(talk, seen, entry, entry.author)
        stops = STOPPED_MARK in _marks(entry)
        if case.origin is None:
            if stops or case.at.is_over or case.at.is_taken or _is_machine(entry) or self._is_consent(talk, entry):
                return None
            return await self._committed(task, case, self._begun)
        if stops:
            return await self._committed(task, case, lambda one: self._gone(one, "caller"))
        if _is_machine(entry) or self._is_consent(talk, entry):
            return None
        return await self._committed(task, case, self._answered)

    def _is_consent(self, talk: Talk, entry: Entry) -> bool:
        return talk.can().opt_out_words and bool(word_of(entry.text))

    # ---- nobody wrote
    async def ring(self, task: Task) -> Ending:
        """Tell a menu that nobody answered in time."""
        talk = self._talks.get(task.data["channel"])
        if talk is None:
            return Ending()
        seen = await asyncio.to_thread(self._seen, task, again=True)
        if not seen.entries:
            return Ending()
        case = await self._case(talk, seen, seen.entries[0], task.data["author"], key=f"silence:{task.data['turn']}")
        origin = case.origin
        if origin is None or case.call != task.data["call"] or origin.turn != task.data["turn"]:
            return Ending()
        again = bool(task.data["again"])
        advance = await self._committed(task, case, self._ended_in_silence if again else self._silent, again=True)
        conversation = _conversation(task)

        def also(tx: Transaction) -> None:
            if not is_overtaken(tx, conversation, seen.entries[0].n):
                self._commit(tx, task, [] if advance is None else [advance], dict(seen.memory))

        return Ending(also)

    # ---- a person writes
    async def _ended_by(self, task: Task, seen: Situation, entry: Entry) -> list[Advance]:
        """Return the ends of all that is under way in the conversation: what was collected is noted, nothing more is said."""
        found = []
        by_number = {talk.line.number: talk for talk in self._talks.values()}
        for channel, address, _ in live_calls(seen.memory):
            talk = by_number.get(channel)
            author = await asyncio.to_thread(self._handle, address)
            if talk is None or not author:
                continue
            case = await self._case(talk, seen, entry, author)
            if case.origin is not None and (
                one := await self._committed(task, case, lambda case: self._gone(case, "us"))
            ):
                found.append(one)
        return found

    # ---- what a menu says
    async def _begun(self, case: _Case) -> _Step:
        started = Started("", Address.parse(case.author), channel=case.talk.line.id, session=case.call, written=True)
        first = await self._through(case, "null", started)
        words = own_words(case.entry)
        if first.ends or len(words) > FIRST_WORDS_MAX or not self._chooses(case, first.state, words):
            return first
        # Whoever says at once what they want is not asked for it.
        return _after(first, await self._through(case, first.state, Said(words)))

    async def _answered(self, case: _Case) -> _Step | None:
        origin = case.origin
        assert origin is not None
        asked = case.script.actions[-1] if case.script.actions else None
        if is_stale(case.entry, case.tag()):
            return self._same(case)
        what: Happened = answered(case.entry, asked)
        if case.entry.at < moment(origin.at_us) and not self._chooses(case, origin.state, own_words(case.entry)):
            return None  # written before the question could be read: no answer to it
        return await self._through(case, origin.state, what, secret=is_secret(case.script, what))

    def _chooses(self, case: _Case, state: str, words: str) -> bool:
        menu = self._menu(case).menu
        return isinstance(menu, BuiltMenu) and menu.chooses(orjson.loads(state), words, at=case.entry.at)

    async def _silent(self, case: _Case) -> _Step:
        return await self._through(case, _state(case), Silence())

    async def _ended_in_silence(self, case: _Case) -> _Step:
        """Let a menu whose last question nobody answered come to its end: nobody is asked a third time."""
        state = _state(case)
        effects: tuple[Effect, ...] = ()
        for _ in range(SILENCES_MAX):
            step = await self._through(case, state, Silence())
            state, effects = step.state, (*effects, *step.effects)
            if step.ends:
                return _Step(
                    state=state, script=step.script, written=step.written, said=step.said, effects=effects, ends=True,
                    to=step.to,
                )  # fmt: skip
        raise MenuFault("it asks on for ever, whoever answers")

    async def _gone(self, case: _Case, by: str) -> _Step:
        """End it without a word; what was collected is noted."""
        try:
            return await self._through(case, _state(case), HungUp(by))
        except MenuFault:
            return _Step(state=_state(case), script=Script(()), written="[]", ends=True)

    def _same(self, case: _Case) -> _Step:
        """Say the present question once more: a button of an older one was pressed."""
        said, origin = spoken(case.script.actions), case.origin
        assert origin is not None
        return _Step(state=origin.state, script=case.script, written=origin.actions, said=said)

    def _menu(self, case: _Case) -> PinnedMenu:
        if case.pinned is None:
            raise MenuFault("it is not loaded")
        return case.pinned

    async def _through(self, case: _Case, state: str, what: Happened, *, secret: bool = False) -> _Step:
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
                return _Step(
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
                return _Step(
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

    # ---- what is committed
    async def _committed(
        self, task: Task, case: _Case, make: Callable[[_Case], Any], *, again: bool = False
    ) -> Advance | None:
        reason = self._refused.pop(task.key, "")
        try:
            if reason:
                raise MenuFault(reason)
            step: _Step | None = await make(case)
            if step is None:
                return None
            step = await self._within_limit(case, step)
        except MenuFault as why:
            _log.error(
                "menu_failed", menu=case.name, channel=case.talk.line.id, reason=str(why), exc_info=why.__cause__
            )
            return self._advance(case, _fault(case), faulty=str(why))
        return self._advance(case, step, again=again)

    async def _within_limit(self, case: _Case, step: _Step) -> _Step:
        """Hand over rather than ask what the channel would not bring any more: it lets machines write only so often a day."""
        most = case.talk.can().automatic_per_day
        if most is None or step.ends or case.at.today < most - 1:
            return step
        last = await self._through(case, step.state, HungUp("us"))
        said = () if case.at.today >= most else _sorry(case)
        return _Step(
            state=last.state, script=Script(()), written="[]", said=said, effects=(*step.effects, *last.effects), ends=True,
            to="a person",
        )  # fmt: skip

    def _advance(self, case: _Case, step: _Step, *, again: bool = False, faulty: str = "") -> Advance:
        talk, origin, menu = case.talk, case.origin, case.name
        words = written_out(step.said, talk.can(), case.tag(1))
        plugin = menu.partition(".")[0]
        move = Move(
            line=talk.line,
            key=step_key(case.at.lane, case.call, case.key),
            call=case.call,
            address=Address.parse(case.author),
            origin=origin,
            language=case.language,
            menu=menu,
            digest=origin.digest if origin is not None else (case.pinned.digest if case.pinned else ""),
            state=step.state,
            actions=step.written,
            ends=step.ends,
            plugin=plugin,
            effects=step.effects,
            conversation=case.at.lane.conversation,
        )
        handover: dict[str, Json] | None = None
        text = ""
        if faulty:
            handover, text = {"menu": menu}, f"The menu {menu} could not go on: {faulty}."
        elif step.to:
            team = step.to.removeprefix("team:")
            handover, text = {"menu": menu, "to": step.to}, f"The menu {menu} hands over to {team}."
        return Advance(
            move=move,
            lane=case.at.lane,
            n=case.entry.n,
            text=words.text,
            buttons=words.buttons,
            menu=menu,
            handover=handover,
            handover_text=text,
            secret=case.key.isdigit() and _kept_secret(case),
            wait_us=0 if step.ends else talk.wait // _MICROSECOND,
            again=again,
        )

    # ---- what is known
    async def _case(self, talk: Talk, seen: Situation, entry: Entry, author: str, *, key: str = "") -> _Case:
        def look() -> Situated:
            with self._store.read() as connection:
                do = self._store.statements(connection)
                return situated(do, talk.line, int(seen.conversation.id), author, seen.memory)

        at = await asyncio.to_thread(look)
        case = _Case(
            talk=talk,
            seen=seen,
            at=at,
            entry=entry,
            author=author,
            name=talk.menu,
            pinned=None,
            key=key or str(entry.n),
        )
        origin = case.origin
        name, digest = (talk.menu, "") if origin is None else (origin.menu, origin.digest)
        pinned = await asyncio.to_thread(self._pins.menu_of, name, digest)
        script = Script(()) if origin is None else self._scribe.read(origin.actions)
        return _Case(
            talk=talk,
            seen=seen,
            at=at,
            entry=entry,
            author=author,
            name=name,
            pinned=pinned,
            key=case.key,
            script=script,
        )

    def _seen(self, task: Task, *, again: bool) -> Situation:
        with self._store.read() as connection:
            do = self._store.statements(connection)
            limit = 1 if again else _AT_ONCE
            return situation(do, SUBSCRIBER, _conversation(task), first=task.n or 1, again=again, limit=limit)

    def _handle(self, address: int) -> str:
        with self._store.read() as connection:
            rows = self._store.statements(connection).rows("SELECT handle FROM address WHERE id = ?", (address,))
        return str(rows[0][0]) if rows else ""


def _after(first: _Step, then: _Step) -> _Step:
    """Return two steps as one; of the first only what was said beside its question."""
    return _Step(
        state=then.state, script=then.script, written=then.written, said=(*first.said[:-1], *then.said),
        effects=(*first.effects, *then.effects), ends=then.ends, to=then.to,
    )  # fmt: skip


def _fault(case: _Case) -> _Step:
    return _Step(state=_state(case), script=Script(()), written="[]", said=_sorry(case), ends=True)


def _sorry(case: _Case) -> tuple[LineAction, ...]:
    spoken_here = case.language.partition("-")[0].lower()
    chosen = [spoken_here] if spoken_here in _SORRY else list(_SORRY)
    return (Say(tuple(Prompt(text=_SORRY[one], language=one) for one in chosen)),)


def _state(case: _Case) -> str:
    return "null" if case.origin is None else case.origin.state


def _kept_secret(case: _Case) -> bool:
    what = Pressed("") if case.entry.data.get("choice") else Said("")
    return is_secret(case.script, what)


def _is_end(entry: Entry) -> bool:
    """Say whether a person has taken the conversation, or closed it."""
    return entry.kind == "solved" or (entry.kind == "sent" and entry.author.partition(":")[0] not in ("plugin", ""))


def _is_machine(entry: Entry) -> bool:
    return bool(entry.data.get("automatic") or entry.data.get("silent"))


def _marks(entry: Entry) -> tuple[Json, ...]:
    marks = entry.data.get("marks")
    return tuple(marks) if isinstance(marks, list | tuple) else ()


def _conversation(task: Task) -> int:
    if task.conversation is None:
        raise Unsupported("the task names no conversation")
    return task.conversation
