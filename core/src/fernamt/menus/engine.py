"""The engine: a menu compiled once into what its steps need, and the step itself. Pure, and it never raises."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from fernamt.effects import AddEntry
from fernamt.menu import MenuState, Step
from fernamt.menus.checks import broken
from fernamt.menus.definition import MenuDefinition, MenuMistakes
from fernamt.menus.stations import Station
from fernamt.menus.stations.building import Watch, built_stations
from fernamt.menus.walk import VERSION, Plan, Walk, first_state
from fernamt.menus.writing import written_down
from fernamt.model import Json
from fernamt.services import Question
from fernamt.session import HangUp, Happened, HungUp, Prompt, Say, Started

HOPS_MAX: Final = 24
"""So many nodes may be entered in one step, and as many again on the way to a person."""
GRACE: Final = 60
"""So many nodes and events there may be after a limit was reached."""
_BROKEN: Final = (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError)
_SORRY: Final[Mapping[str, str]] = {
    "de": "Entschuldigung, hier kommen wir gerade nicht weiter. Ihr Anliegen ist notiert, wir kümmern uns darum.",
    "en": "Sorry, we cannot go on here just now. What you want is noted, and somebody will take care of it.",
}
_NONE: Final[Mapping[str, Any]] = MappingProxyType({})
_Menus: TypeAlias = Mapping[str, MenuDefinition]


class BuiltMenu:
    """A menu that runs; see :class:`fernamt.Menu`."""

    def __init__(
        self,
        definition: MenuDefinition,
        *,
        menus: _Menus = _NONE,
        questions: Mapping[str, type[Question[Any]]] = _NONE,
        watch: Watch | None = None,
        sources: Mapping[str, str] = _NONE,
    ) -> None:
        """Compile it.

        *menus* are those that its ``sub-menu`` nodes enter, by the name that stands there; *questions* those that its ``lookup``
        nodes may ask beside the core's; *watch* is for tests: it is told of stations and exits; *sources* are the files that it
        was read from, its own first.

        Raises:
            MenuMistakes: With everything that keeps it from running.
        """
        if findings := broken(definition, menus, questions):
            raise MenuMistakes(findings)
        self.definition = definition
        self.menus = dict(menus)
        self.sources = dict(sources)
        self.questions = dict(questions)
        self.digest = hashlib.sha256(written_down(definition, menus)).hexdigest()
        self.plan = Plan(definition, {**_variables(menus), **definition.known})
        self.stations, self._entry, self._fallback = built_stations(definition, menus, self.plan, questions, watch)
        self._languages = frozenset(definition.languages)
        self._steps = definition.limits.steps
        self._errors = definition.limits.errors
        self._duration_ms = definition.limits.duration_s * 1_000

    def step(self, state: MenuState | None, event: Happened, *, at: datetime, language: str) -> Step:
        """Return what follows; see :meth:`fernamt.Menu.step`. It never raises, whatever state and event are."""
        try:
            if state is None:
                return self._begun(event, at, language)
            if "end" in state:
                return Step(state, () if type(event) is HungUp else (HangUp(),))
            if state["v"] != VERSION:
                return self._sorry({}, language, "its state is of another version")
            return self._taken(Walk(self.plan, state, at), event)
        except _BROKEN as why:
            # Only a state that is none of ours, or a time without a zone, leads here.
            return self._sorry(state or {}, language, f"its state cannot be read: {type(why).__name__}")

    def chooses(self, state: MenuState, text: str, *, at: datetime) -> bool:
        """Say whether somebody who is asked to choose does so with these words. At any other question nobody does."""
        try:
            return "end" not in state and self.stations[str(state["node"])].knows(Walk(self.plan, state, at), text)
        except _BROKEN:
            return False

    # ---- the beginning
    def _begun(self, event: Happened, at: datetime, language: str) -> Step:
        started = event if isinstance(event, Started) else Started("")
        spoken = self._language(language)
        values: dict[str, Json] = {"called": started.called, "channel": started.channel}
        if started.caller is not None:
            values["caller"] = str(started.caller)
        state = first_state(
            spoken, int(at.timestamp() * 1_000), values, session=started.session, written=started.written
        )
        walk = Walk(self.plan, state, at)
        if isinstance(event, HungUp):
            return self._gone(walk)
        return self._walked(walk, self._entry)

    def _language(self, language: str) -> str:
        known = self.definition.languages
        if language in known:
            return language
        tongue = language.partition("-")[0].lower()
        return next((one for one in known if one.partition("-")[0] == tongue), known[0])

    # ---- one event
    def _taken(self, walk: Walk, event: Happened) -> Step:
        kind = type(event)
        if kind is HungUp:
            return self._gone(walk)
        if walk.language not in self._languages:
            raise ValueError(walk.language)
        station = self.stations[walk.node]
        walk.steps += station.is_counted
        # Who writes may take days: how long they are silent is for the runner to know.
        if (
            not (walk.fell or walk.written or station.is_person)
            and walk.at.timestamp() * 1_000 - walk.began > self._duration_ms
        ):
            return self._walked(walk, self._fallen(walk, "time"))
        return self._walked(walk, station.resume(walk, event))

    def _walked(self, walk: Walk, target: Station | None) -> Step:
        hops = 0
        while target is not None:
            hops += 1
            walk.steps += 1
            if walk.fell:
                if hops > HOPS_MAX or walk.steps > self._steps + GRACE:
                    return self._given_up(walk)
            elif hops > HOPS_MAX or walk.steps > self._steps or walk.errors > self._errors:
                target, hops = self._fallen(walk, "errors" if walk.errors > self._errors else "steps"), 1
            target = target.enter(walk)
        if walk.end:
            walk.tell()
        elif walk.steps > self._steps or walk.errors > self._errors:
            if not walk.fell:
                return self._walked(walk, self._fallen(walk, "errors" if walk.errors > self._errors else "steps"))
            if walk.steps > self._steps + GRACE:
                return self._given_up(walk)
        return Step(walk.state(), walk.actions())

    def _fallen(self, walk: Walk, limit: str) -> Station:
        """Go to the fallback for good: from here on only so much may happen."""
        walk.fell = limit
        walk.steps = self._steps
        walk.leave()
        return self._fallback

    def _given_up(self, walk: Walk) -> Step:
        return self._sorry(
            walk.state(), walk.language, f"the limit of {walk.fell} was reached, and nobody was there", walk
        )

    def _gone(self, walk: Walk) -> Step:
        walk.end = "gone"
        walk.tell()
        return Step(walk.state(), walk.effects)

    def _sorry(self, state: MenuState, language: str, reason: str, walk: Walk | None = None) -> Step:
        """End honestly where nothing else is left: the caller is told, and an agent is, too."""
        tongue = str(language).partition("-")[0]
        spoken = [tongue] if tongue in _SORRY else list(_SORRY)
        effects = () if walk is None else walk.effects[:HOPS_MAX]
        note = AddEntry(kind="handover", text=f"The menu {self.definition.id} could not go on: {reason}.")
        said = Say(tuple(Prompt(text=_SORRY[one], language=one) for one in spoken))
        ended = {"v": VERSION, "node": state.get("node", ""), "end": "goodbye"}
        return Step(ended, (*effects, note, said, HangUp("fault")))


def _variables(menus: _Menus) -> dict[str, Any]:
    return {name: one for menu in menus.values() for name, one in menu.variables.items()}
