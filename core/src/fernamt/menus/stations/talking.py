"""Stations that say, choose, decide and look up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from fernamt.menus.heard import Words, words_of
from fernamt.menus.nodes import (
    BranchNode,
    HangUpNode,
    LanguageNode,
    MenuNode,
    SayNode,
    SubMenuNode,
)
from fernamt.menus.stations.listening import LIKELY_MAX, Listening
from fernamt.menus.stations.station import Scope, Script, Station
from fernamt.menus.variables import Condition
from fernamt.menus.walk import Walk
from fernamt.menus.wording import Miss
from fernamt.model import Button
from fernamt.session import (
    Action,
    Gather,
    HangUp,
    Prompt,
)


class Saying(Station):
    """Says something."""

    node: SayNode

    def link(self, scope: Scope) -> None:
        """Learn what comes next."""
        self._script = Script(self.node.prompt, scope.plan)
        self._to = self.way(scope, "to")

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
            _Choice(scope.way(self.name, node.ways[at - 1], one.to), one.when, {
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

    def knows(self, walk: Walk, text: str) -> bool:
        """Say whether the words are those of an option, or such as every menu knows."""
        words = words_of(text)
        choices = self._words[walk.language].meaning(words)
        if choices is not None:
            return len({one.to.place for one in choices if one.open(walk)}) == 1
        return self.reserved_words[walk.language].meaning(words) is not None

    def _chosen(self, walk: Walk, choices: tuple[_Choice, ...]) -> Station | None:
        open_ones = [one for one in choices if one.open(walk)]
        # Two options that mean the same are no answer.
        return open_ones[0].to if open_ones and len({one.to.place for one in open_ones}) == 1 else self.missed(walk)


class Branching(Station):
    """A decision."""

    node: BranchNode

    def link(self, scope: Scope) -> None:
        """Learn where each case leads."""
        self._cases = tuple(
            (one.when, scope.way(self.name, f"case {at}", one.to)) for at, one in enumerate(self.node.cases, 1)
        )
        self._otherwise = self.way(scope, "otherwise")

    def enter(self, walk: Walk) -> Station | None:
        """Decide."""
        for when, to in self._cases:
            if all(one.holds(walk.value(one.variable)) for one in when):
                return to
        return self._otherwise


class Translating(Listening):
    """Lets somebody choose the language."""

    node: LanguageNode

    def link(self, scope: Scope) -> None:
        """Learn the keys and words of the languages."""
        super().link(scope)
        node, plan = self.node, scope.plan
        self._to = self.way(scope, "to")
        self._by_key = {key: language for language, key in node.keys.items()}
        self._words = Words(
            (word, language)
            for language, key in node.keys.items()
            for word in (*node.words.get(language, ()), node.names.get(language, ""), key)
        )
        self._ready: dict[tuple[bool, Miss, int], tuple[Action, ...]] = {}
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
        key = (walk.written, miss, count)
        if (ready := self._ready.get(key)) is not None:
            walk.line = ready
            return
        spoken = walk.language
        prompts: tuple[Prompt, ...] = ()
        is_fixed = True
        for language, script in self._scripts.items():
            walk.language = language
            prompts += script.of(walk, miss, count)
            is_fixed = is_fixed and script.is_fixed(walk, miss, count)
        walk.language = spoken
        walk.line = (Gather(prompts=prompts, **self._gather),)
        if is_fixed:
            self._ready[key] = walk.line

    def pressed(self, walk: Walk, keys: str) -> Station | None:
        """Take a key."""
        return self._spoken(walk, self._by_key.get(keys)) or self.reserved_keys.get(keys) or self.missed(walk)

    def said(self, walk: Walk, text: str) -> Station | None:
        """Take words."""
        return self._spoken(walk, self._words.meaning(words_of(text))) or self.missed(walk)

    def knows(self, walk: Walk, text: str) -> bool:
        """Say whether the words name a language."""
        return self._words.meaning(words_of(text)) is not None

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
