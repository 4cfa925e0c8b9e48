"""Stations that ask something: with tapered prompts, counted misses, and the keys and words that every menu knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fernamt.menus.heard import NO, RESERVED_WORDS, SAID_MAX, YES, Words, by_language, words_of
from fernamt.menus.node import exit_names
from fernamt.menus.nodes import Hearing
from fernamt.menus.stations.station import Scope, Script, Station
from fernamt.menus.walk import Walk
from fernamt.menus.wording import Miss, Prompts
from fernamt.model import Button
from fernamt.session import Finished, Gather, Happened, Pressed, Said, Silence

NO_KEYS: Final[Mapping[str, Station]] = {}
KEYS_MAX: Final = 80
"""More keys are no answer to anything."""
LIKELY_MAX: Final = 40
"""So many words are named to a recogniser."""


class Listening(Station):
    """Asks, and waits for keys or words."""

    node: Hearing

    def link(self, scope: Scope) -> None:
        """Learn what leads where."""
        node = self.node
        if "no_input" in exit_names(type(node)):
            self.no_input = self.way(scope, "no_input")
            self.no_match = self.way(scope, "no_match")
        keys = scope.definition.keys
        self.reserved_keys = {key: scope.station(f"@{what}") for key, what in keys.items()}
        self.reserved_words = {
            language: Words(
                (word, scope.station(f"@{what}"))
                for what, words in RESERVED_WORDS.items()
                for word in by_language(words, language)
            )
            for language in scope.definition.languages
        }

    def asking(self, scope: Scope, prompts: Prompts, **gather: Any) -> Asking:
        """Return a question of this station."""
        node = self.node
        timing = {"first_timeout_s": node.first_timeout_s, "next_timeout_s": node.next_timeout_s}
        return Asking(Script(prompts, scope.plan), {"barge_in": node.barge_in, **timing, **gather})

    # ---- what is asked
    def ask(self, walk: Walk, miss: Miss = "", count: int = 0) -> None:
        """Say what is asked now, and wait."""
        raise NotImplementedError

    def enter(self, walk: Walk) -> Station | None:
        """Ask for the first time, or again."""
        walk.stay(self.name)
        self.ask(walk, "", walk.passed(self.name))
        return None

    def helped(self, walk: Walk) -> Station | None:
        """Say the help, and ask."""
        self.ask(walk, "help")
        return None

    # ---- what happened
    def resume(self, walk: Walk, event: Happened) -> Station | None:
        """Take keys and words, and count what is none."""
        kind = type(event)
        if kind is Pressed:
            return self.pressed(walk, event.keys[:KEYS_MAX])  # type: ignore[union-attr]
        if kind is Said:
            if event.confidence < self.node.min_confidence:  # type: ignore[union-attr]
                return self.missed(walk)
            return self.said(walk, event.text[:SAID_MAX])  # type: ignore[union-attr]
        if kind is Silence or kind is Finished:
            return self.silent(walk)
        return self.strange(walk)

    def pressed(self, walk: Walk, keys: str) -> Station | None:
        """Take keys."""
        raise NotImplementedError

    def said(self, walk: Walk, text: str) -> Station | None:
        """Take words."""
        raise NotImplementedError

    def silent(self, walk: Walk) -> Station | None:
        """Ask again after a silence, or go on."""
        walk.errors += 1
        walk.silences += 1
        if walk.silences >= self.node.tries:
            return self.exhausted(walk, "no_input")
        self.ask(walk, "no_input", walk.silences)
        return None

    def missed(self, walk: Walk) -> Station | None:
        """Ask again after what was not understood, or go on."""
        walk.errors += 1
        walk.misses += 1
        if walk.misses >= self.node.tries:
            return self.exhausted(walk, "no_match")
        self.ask(walk, "no_match", walk.misses)
        return None

    def exhausted(self, walk: Walk, by: Miss) -> Station | None:
        """Go on after the last miss."""
        return self.no_input if by == "no_input" else self.no_match

    def strange(self, walk: Walk) -> Station | None:
        """Ask again after something that answers no question."""
        walk.errors += 1
        self.ask(walk, "", 1)
        return None


class Asking:
    """A question with everything that its ``Gather`` says but the prompts."""

    def __init__(self, script: Script, gather: Mapping[str, Any]) -> None:
        self.script = script
        self._same = {name: value for name, value in gather.items() if not isinstance(value, Mapping)}
        self._differing = {name: value for name, value in gather.items() if isinstance(value, Mapping)}
        self._gathers: dict[str, dict[str, Any]] = {}
        self._ready: dict[tuple[str, bool, Miss, int], tuple[Gather]] = {}

    def ask(self, walk: Walk, miss: Miss = "", count: int = 0, **also: Any) -> None:
        """Ask; *also* is what differs this time."""
        key = (walk.language, walk.written, miss, count)
        if not also:
            ready = self._ready.get(key)
            if ready is not None:
                walk.line = ready
                return
        prompts, gather = self.script.of(walk, miss, count), self._of(walk.language)
        if also:
            walk.line = (Gather(prompts=prompts, **{**gather, **also}),)
            return
        walk.line = made = (Gather(prompts=prompts, **gather),)
        if self.script.is_fixed(walk, miss, count):
            self._ready[key] = made

    def _of(self, language: str) -> dict[str, Any]:
        """Return the gather's fields; those that differ by language were given as mappings."""
        if (made := self._gathers.get(language)) is None:
            differing = {name: value.get(language, ()) for name, value in self._differing.items()}
            made = self._gathers[language] = {**self._same, **differing}
        return made


class Agreeing:
    """Yes or no: by key and word, in every language."""

    def __init__(self, languages: tuple[str, ...]) -> None:
        self.hints = {one: (*by_language(YES, one), *by_language(NO, one)) for one in languages}
        self.buttons = {
            one: (Button("Ja", "1"), Button("Nein", "2"))
            if one.startswith("de")
            else (Button("Yes", "1"), Button("No", "2"))
            for one in languages
        }
        self._words = {
            one: Words(
                [(word, "1") for word in by_language(YES, one)]
                + [(word, "2") for word in by_language(NO, one)]
                + [("1", "1"), ("2", "2")]
            )
            for one in languages
        }

    def heard(self, walk: Walk, text: str) -> str | None:
        """Return ``1`` for yes, ``2`` for no, ``None`` for neither."""
        words = self._words.get(walk.language)
        return None if words is None else words.meaning(words_of(text))
