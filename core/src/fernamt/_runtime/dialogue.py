"""Menus in writing: whoever writes on a channel with a menu is led through it, one message after the other, until a person comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Final

import structlog
from attrs import evolve

from fernamt._runtime.consent_words import STOPPED_MARK, word_of
from fernamt._runtime.in_writing import written_out
from fernamt._runtime.leading import Case, Leading, Step, Talk, fault
from fernamt._runtime.minutes import is_secret
from fernamt._runtime.pins import Pins
from fernamt._runtime.script import Scribe, Script
from fernamt._runtime.turns import LooksUp
from fernamt._runtime.walk import MenuFault
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
from fernamt._store.names import Names
from fernamt._store.sessions import Move
from fernamt._store.subscriptions import Situation, situation
from fernamt._store.tasks import Task
from fernamt._store.transaction import Transaction
from fernamt.connector import Clock
from fernamt.errors import Unreachable, Unsupported
from fernamt.model import Address, Entry, Json
from fernamt.session import (
    Pressed,
    Said,
)

_AT_ONCE: Final = 100
_MICROSECOND: Final = timedelta(microseconds=1)
_log = structlog.get_logger()


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
        self._names = Names(store.keys())
        self._leads = Leading(scribe, look_up, clock)
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
        stops = case.at.is_stopped or STOPPED_MARK in _marks(entry)
        if case.origin is None:
            if stops or case.at.is_over or case.at.is_taken or _is_machine(entry) or self._is_consent(talk, entry):
                return None
            return await self._committed(task, case, self._leads.begun)
        if stops:
            return await self._committed(task, case, lambda one: self._leads.gone(one, "caller"))
        if _is_machine(entry) or self._is_consent(talk, entry):
            return None
        return await self._committed(task, case, self._leads.answered)

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
        make: Callable[[Case], Any] = self._leads.ended_in_silence if again else self._leads.silent
        if case.at.is_stopped:
            make = partial(self._leads.gone, by="caller")
        advance = await self._committed(task, case, make, again=True)
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
                one := await self._committed(task, case, lambda case: self._leads.gone(case, "us"))
            ):
                found.append(one)
        return found

    # ---- what is committed
    async def _committed(
        self, task: Task, case: Case, make: Callable[[Case], Any], *, again: bool = False
    ) -> Advance | None:
        reason = self._refused.pop(task.key, "")
        try:
            if reason:
                raise MenuFault(reason)
            step: Step | None = await make(case)
            if step is None:
                return None
            step = await self._leads.within_limit(case, step)
        except MenuFault as why:
            _log.error(
                "menu_failed", menu=case.name, channel=case.talk.line.id, reason=str(why), exc_info=why.__cause__
            )
            return self._advance(case, fault(case), faulty=str(why))
        return self._advance(case, step, again=again)

    def _advance(self, case: Case, step: Step, *, again: bool = False, faulty: str = "") -> Advance:
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
            team = step.to.removeprefix("team:").removeprefix("queue:")
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
    async def _case(self, talk: Talk, seen: Situation, entry: Entry, author: str, *, key: str = "") -> Case:
        def look() -> Situated:
            with self._store.read() as connection:
                do = self._store.statements(connection)
                return situated(do, self._names, talk.line, int(seen.conversation.id), author, seen.memory)

        at = await asyncio.to_thread(look)
        case = Case(
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
        return Case(
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


def _kept_secret(case: Case) -> bool:
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
