"""Stations that say, choose, decide and look up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from attrs import frozen

from fernamt.menus.heard import Words, words_of
from fernamt.menus.nodes import (
    AnswerNode,
    BranchNode,
    HangUpNode,
    HoursNode,
    LanguageNode,
    LookupNode,
    MenuNode,
    SayNode,
    SubMenuNode,
)
from fernamt.menus.questions import FILLED
from fernamt.menus.stations.listening import LIKELY_MAX, Listening
from fernamt.menus.stations.station import Scope, Script, Station
from fernamt.menus.variables import Condition
from fernamt.menus.walk import Walk
from fernamt.menus.wording import PHRASE_MAX, Miss
from fernamt.model import Button
from fernamt.services import FaqAnswer, FaqQuestion, Hours, HoursQuestion, Question
from fernamt.session import (
    Gather,
    HangUp,
    Happened,
    LookedUp,
    LookUp,
    LookUpFailed,
    Prompt,
)


class Saying(Station):
    """Says something."""

    node: SayNode

    def link(self, scope: Scope) -> None:
        """Learn what comes next."""
        self._script = Script(self.node.prompt, scope.plan)
        self._to = scope.station(self.node.to)

    def enter(self, walk: Walk) -> Station | None:
        """Say it."""
        walk.prompts += self._script.of(walk)
        return self._to


class Ending(Station):
    """The end, with a goodbye."""

    node: HangUpNode

    def link(self, scope: Scope) -> None:
        """Learn what is said."""
        self._script = Script(self.node.prompt, scope.plan)
        self._line = (HangUp(self.node.reason),)

    def enter(self, walk: Walk) -> Station | None:
        """Say goodbye."""
        walk.stay(self.name)
        walk.prompts += self._script.of(walk)
        walk.end = walk.kept or "goodbye"
        walk.line = self._line
        return None


@frozen
class _Choice:
    to: Station
    when: tuple[Condition, ...]
    button: Mapping[str, Button]

    def open(self, walk: Walk) -> bool:
        return not self.when or all(one.holds(walk.value(one.variable)) for one in self.when)


class Choosing(Listening):
    """A choice."""

    node: MenuNode

    def link(self, scope: Scope) -> None:
        """Learn where every key and every word leads."""
        super().link(scope)
        node, languages = self.node, scope.definition.languages
        self._choices = tuple(
            _Choice(scope.station(one.to), one.when, {
                language: Button(one.label.get(language) or next(iter(one.label.values())), one.key or str(at))
                for language in languages
            })
            for at, one in enumerate(node.options, 1)
        )  # fmt: skip
        self._by_key: dict[str, tuple[_Choice, ...]] = {}
        for choice in self._choices:
            key = choice.button[languages[0]].value
            self._by_key[key] = (*self._by_key.get(key, ()), choice)
        self._keys: dict[str, Station] = {
            key: some[0].to for key, some in self._by_key.items() if len(some) == 1 and not some[0].when
        }
        for key, station in self.reserved_keys.items():
            if key not in self._by_key:
                self._keys[key] = station
        self._words = {language: self._meanings(language) for language in languages}
        conditional = any(one.when for one in self._choices)
        keys = max(len(key) for key in (*self._by_key, *self.reserved_keys))
        self._conditional = conditional
        self._asking = self.asking(
            scope,
            node.prompt,
            max_keys=0 if node.by == "words" else keys,
            speech=node.by != "keys",
            hints={one: self._hints(one) for one in languages},
            buttons={one: () if conditional else tuple(it.button[one] for it in self._choices) for one in languages},
        )

    def _meanings(self, language: str) -> Words[tuple[_Choice, ...]]:
        found: list[tuple[str, tuple[_Choice, ...]]] = []
        for option, choice in zip(self.node.options, self._choices, strict=True):
            words = (*option.words.get(language, ()), option.label.get(language, ""), choice.button[language].value)
            found += [(word, (choice,)) for word in words]
        merged: dict[tuple[str, ...], tuple[_Choice, ...]] = {}
        texts: dict[tuple[str, ...], str] = {}
        for word, choices in found:
            if key := words_of(word):
                merged[key] = (*merged.get(key, ()), *(one for one in choices if one not in merged.get(key, ())))
                texts.setdefault(key, word)
        return Words((texts[key], choices) for key, choices in merged.items())

    def _hints(self, language: str) -> tuple[str, ...]:
        words = [word for one in self.node.options for word in one.words.get(language, ())]
        return tuple(dict.fromkeys([*words, *(one.button[language].label for one in self._choices)]))[:LIKELY_MAX]

    def ask(self, walk: Walk, miss: Miss = "", count: int = 0) -> None:
        """Ask what it shall be."""
        if self._conditional:
            buttons = tuple(one.button[walk.language] for one in self._choices if one.open(walk))
            self._asking.ask(walk, miss, count, buttons=buttons)
        else:
            self._asking.ask(walk, miss, count)

    def pressed(self, walk: Walk, keys: str) -> Station | None:
        """Take a key."""
        station = self._keys.get(keys)
        if station is not None:
            return station
        return self._chosen(walk, self._by_key.get(keys, ()))

    def said(self, walk: Walk, text: str) -> Station | None:
        """Take words: those of an option count before those that every menu knows."""
        words = words_of(text)
        choices = self._words[walk.language].meaning(words)
        if choices is not None:
            return self._chosen(walk, choices)
        return self.reserved_words[walk.language].meaning(words) or self.missed(walk)

    def _chosen(self, walk: Walk, choices: tuple[_Choice, ...]) -> Station | None:
        open_ones = [one for one in choices if one.open(walk)]
        # Two options that mean the same are no answer.
        return open_ones[0].to if open_ones and len({one.to for one in open_ones}) == 1 else self.missed(walk)


class Branching(Station):
    """A decision."""

    node: BranchNode

    def link(self, scope: Scope) -> None:
        """Learn where each case leads."""
        self._cases = tuple((one.when, scope.station(one.to)) for one in self.node.cases)
        self._otherwise = scope.station(self.node.otherwise)

    def enter(self, walk: Walk) -> Station | None:
        """Decide."""
        for when, to in self._cases:
            if all(one.holds(walk.value(one.variable)) for one in when):
                return to
        return self._otherwise


class Asking(Station):
    """Asks a service, and waits for what it says."""

    def link(self, scope: Scope) -> None:
        """Learn where a failure leads."""
        self.failed = scope.station(self.node.leads("failed"))

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


class Opening(Asking):
    """Asks for the opening hours."""

    node: HoursNode

    def link(self, scope: Scope) -> None:
        """Learn what each answer leads to."""
        super().link(scope)
        node = self.node
        self._calendar = node.calendar or scope.definition.calendar
        self._exits = {name: scope.station(node.leads(name)) for name in ("open", "closed", "holiday", "special")}

    def question(self, walk: Walk) -> Question[Any]:
        """Ask for now."""
        return HoursQuestion(calendar=self._calendar, at=walk.at)

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


class LookingUp(Asking):
    """Asks a service by the type of its question."""

    node: LookupNode

    def __init__(self, name: str, node: Any, kind: type[Question[Any]]) -> None:
        super().__init__(name, node)
        self._kind = kind

    def link(self, scope: Scope) -> None:
        """Learn what fills the question, and what is taken from the answer."""
        super().link(scope)
        self._found = scope.station(self.node.found)
        self._missing = scope.station(self.node.leads("missing"))
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
        self._exits = {name: scope.station(node.leads(name)) for name in ("answered", "unknown", "failed")}
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


class Translating(Listening):
    """Lets somebody choose the language."""

    node: LanguageNode

    def link(self, scope: Scope) -> None:
        """Learn the keys and words of the languages."""
        super().link(scope)
        node, plan = self.node, scope.plan
        self._to = scope.station(node.to)
        self._by_key = {key: language for language, key in node.keys.items()}
        self._words = Words(
            (word, language)
            for language, key in node.keys.items()
            for word in (*node.words.get(language, ()), node.names.get(language, ""), key)
        )
        self._scripts = {one: Script({one: node.prompt[one]}, plan) for one in node.prompt}
        self._gather: dict[str, Any] = {
            "max_keys": 1,
            "speech": True,
            "barge_in": node.barge_in,
            "first_timeout_s": node.first_timeout_s,
            "next_timeout_s": node.next_timeout_s,
            "hints": tuple(word for words in node.words.values() for word in words)[:LIKELY_MAX],
            "buttons": tuple(Button(node.names.get(one, one), key) for one, key in node.keys.items()),
        }

    def ask(self, walk: Walk, miss: Miss = "", count: int = 0) -> None:
        """Ask in every language."""
        spoken = walk.language
        prompts: tuple[Prompt, ...] = ()
        for language, script in self._scripts.items():
            walk.language = language
            prompts += script.of(walk, miss, count)
        walk.language = spoken
        walk.line = (Gather(prompts=prompts, **self._gather),)

    def pressed(self, walk: Walk, keys: str) -> Station | None:
        """Take a key."""
        return self._spoken(walk, self._by_key.get(keys)) or self.reserved_keys.get(keys) or self.missed(walk)

    def said(self, walk: Walk, text: str) -> Station | None:
        """Take words."""
        return self._spoken(walk, self._words.meaning(words_of(text))) or self.missed(walk)

    def _spoken(self, walk: Walk, language: str | None) -> Station | None:
        if language is None:
            return None
        walk.language = language
        return self._to


class Entering(Station):
    """Another menu."""

    node: SubMenuNode

    def link(self, scope: Scope) -> None:
        """Learn where it begins."""
        self._to = scope.sub_menu(self.name)

    def enter(self, walk: Walk) -> Station | None:
        """Go in."""
        return self._to
