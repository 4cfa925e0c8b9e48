"""Stations that ask a service: for the hours, for a record, for an answer in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from fernamt.menus.heard import words_of
from fernamt.menus.nodes import AnswerNode, HoursNode, LookupNode
from fernamt.menus.questions import FILLED
from fernamt.menus.stations.listening import Listening
from fernamt.menus.stations.station import Scope, Script, Station
from fernamt.menus.walk import Walk
from fernamt.menus.wording import PHRASE_MAX, Miss
from fernamt.services import FaqAnswer, FaqQuestion, Hours, HoursQuestion, Question
from fernamt.session import Happened, LookedUp, LookUp, LookUpFailed, Prompt


class Querying(Station):
    """Asks a service, and waits for what it says."""

    def link(self, scope: Scope) -> None:
        """Learn where a failure leads."""
        self.failed = self.way(scope, "failed")

    def question(self, walk: Walk) -> Question[Any] | None:
        """Return what is asked; ``None``: something that it needs is not known."""
        raise NotImplementedError

    def answered(self, walk: Walk, answer: Any) -> Station | None:
        """Take the answer."""
        raise NotImplementedError

    def enter(self, walk: Walk) -> Station | None:
        """Ask."""
        walk.stay(self.name)
        question = self.question(walk)
        if question is None:
            walk.errors += 1
            return self.failed
        walk.line = (LookUp(question=question, timeout_s=self.node.timeout_s),)
        return None

    def resume(self, walk: Walk, event: Happened) -> Station | None:
        """Take what came; what is no answer asks again."""
        if isinstance(event, LookedUp):
            return self.answered(walk, event.answer)
        walk.errors += 1
        return self.failed if isinstance(event, LookUpFailed) else self.enter(walk)


class Opening(Querying):
    """Asks for the opening hours."""

    node: HoursNode

    def link(self, scope: Scope) -> None:
        """Learn what each answer leads to."""
        super().link(scope)
        node = self.node
        self._calendar = node.calendar or scope.definition.calendar
        self._exits = {name: self.way(scope, name) for name in ("open", "closed", "holiday", "special")}

    def question(self, walk: Walk) -> Question[Any]:
        """Ask for now."""
        return HoursQuestion(calendar=self._calendar, at=walk.at, language=walk.language)

    def answered(self, walk: Walk, answer: Any) -> Station | None:
        """Go by the hours."""
        if not isinstance(answer, Hours):
            walk.errors += 1
            return self.failed
        walk.put("reason", answer.reason)
        walk.put("changes_at", answer.changes_at)
        if answer.is_open:
            return self._exits["open"]
        return self._exits.get(answer.occasion, self._exits["closed"])


class LookingUp(Querying):
    """Asks a service by the type of its question."""

    node: LookupNode

    def __init__(self, name: str, node: Any, kind: type[Question[Any]]) -> None:
        super().__init__(name, node)
        self._kind = kind

    def link(self, scope: Scope) -> None:
        """Learn what fills the question, and what is taken from the answer."""
        super().link(scope)
        self._found = self.way(scope, "found")
        self._missing = self.way(scope, "missing")
        self._script = Script(self.node.prompt, scope.plan)
        self._calendar = scope.definition.calendar
        kind: type[Any] = self._kind
        fields: Mapping[str, Any] = attrs.fields_dict(kind)
        self._filled = FILLED & fields.keys() - self.node.using.keys()

    def question(self, walk: Walk) -> Question[Any] | None:
        """Fill the question; whatever is not known leaves it unasked."""
        given = {name: walk.value(variable) for name, variable in self.node.using.items()}
        if None in given.values():
            return None
        caller = walk.caller
        filled: dict[str, Any] = {
            "addresses": () if caller is None else (caller,),
            "language": walk.language,
            "at": walk.at,
            "calendar": self._calendar,
        }
        try:
            question = self._kind(**given, **{name: filled[name] for name in self._filled})
        except Exception:  # noqa: BLE001 - a plugin's class, with validators of its own
            return None
        if self._script:
            walk.prompts += self._script.of(walk)
        return question

    def answered(self, walk: Walk, answer: Any) -> Station | None:
        """Take what the answer says."""
        if answer is None or (isinstance(answer, Mapping | tuple | str) and not answer):
            return self._missing
        for variable, name in self.node.take.items():
            value = answer.get(name) if isinstance(answer, Mapping) else getattr(answer, name, None)
            walk.put(variable, value)
        return self._found


class Answering(Listening):
    """Answers questions in free words from the company's collection."""

    node: AnswerNode

    def link(self, scope: Scope) -> None:
        """Learn what each answer leads to."""
        super().link(scope)
        node = self.node
        self._exits = {name: self.way(scope, name) for name in ("answered", "unknown", "failed")}
        self._asking = self.asking(scope, node.prompt, max_keys=1, speech=True)

    def ask(self, walk: Walk, miss: Miss = "", count: int = 0) -> None:
        """Ask for the question."""
        walk.stage = None
        self._asking.ask(walk, miss, count)

    def pressed(self, walk: Walk, keys: str) -> Station | None:
        """Take the keys that every menu knows."""
        return self.reserved_keys.get(keys) or self.missed(walk)

    def said(self, walk: Walk, text: str) -> Station | None:
        """Look for an answer."""
        words = words_of(text)
        if not words:
            return self.missed(walk)
        if (reserved := self.reserved_words[walk.language].whole(words)) is not None:
            return reserved
        walk.stage = "asked"
        walk.line = (
            LookUp(question=FaqQuestion(text=text[:PHRASE_MAX], language=walk.language), timeout_s=self.node.timeout_s),
        )
        return None

    def resume(self, walk: Walk, event: Happened) -> Station | None:
        """Take the question, then the answer."""
        if not walk.stage:
            return super().resume(walk, event)
        match event:
            case LookedUp((FaqAnswer() as best, *_)) if best.confidence >= self.node.floor:
                walk.prompts += (Prompt(text=best.text[:PHRASE_MAX], language=walk.language),)
                return self._exits["answered"]
            case LookedUp():
                return self._exits["unknown"]
            case LookUpFailed():
                walk.errors += 1
                return self._exits["failed"]
            case _:
                return self.strange(walk)
