"""A node compiled, and the places that every menu has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol

from fernamt.menus.definition import MenuDefinition
from fernamt.menus.walk import Plan, Walk
from fernamt.menus.wording import Miss, Phrase, Prompts, fixed
from fernamt.session import Happened, Prompt

_NONE: Final[Mapping[str, str]] = MappingProxyType({})
MISSED: Final[Mapping[str, Mapping[str, str]]] = {
    "no_input": {"de": "Wir haben noch keine Antwort von Ihnen. ", "en": "We do not have an answer from you yet. "},
    "no_match": {"de": "Das habe ich nicht verstanden. ", "en": "I did not understand that. "},
}
"""Said before a question that is read once more, where its author wrote nothing for that."""
HANDED_OVER: Final[Mapping[str, str]] = {
    "de": "Jemand von uns kümmert sich darum und meldet sich hier bei Ihnen.",
    "en": "Somebody of us takes care of it and will get back to you here.",
}
"""Said where it is read, and nobody has to wait in line."""


def in_language(words: Mapping[str, str], language: str) -> tuple[str, ...]:
    """Return the words in that language, nothing if there are none."""
    found = words.get(language.partition("-")[0])
    return (found,) if found else ()


class Scope(Protocol):
    """What a station may know of the menu that it stands in."""

    definition: MenuDefinition
    plan: Plan

    def station(self, target: str) -> Station:
        """Return a place; an empty one: the fallback."""

    def way(self, station: str, way: str, target: str) -> Station:
        """Return where an exit of a station leads."""

    def sub_menu(self, node: str) -> Station:
        """Return the beginning of the menu that a node enters."""


class Station:
    """Where somebody can be. Whoever enters it goes on to the next one at once, or waits."""

    is_person = False
    """A person stands behind it: time does not count."""
    is_counted = True
    """What happens here counts as a step; else it has a limit of its own."""

    def __init__(self, name: str, node: Any) -> None:
        self.name = name
        self.node = node

    @property
    def place(self) -> Station:
        """Where it is: the same for all ways there."""
        return self

    def way(self, scope: Scope, way: str) -> Station:
        """Return where an exit leads that is a field of the node."""
        return scope.way(self.name, way, self.node.leads(way))

    def link(self, scope: Scope) -> None:
        """Learn what it leads to; called once, when all stations are there."""

    def enter(self, walk: Walk) -> Station | None:
        """Somebody comes here: return where they go on to; ``None``: they wait, and the walk knows for what."""
        raise NotImplementedError

    def resume(self, walk: Walk, event: Happened) -> Station | None:
        """Something happened to whoever waits here."""
        # Nobody waits here: the state was made by another menu.
        raise ValueError(self.name)

    def knows(self, walk: Walk, text: str) -> bool:
        """Say whether it is a choice, and these words choose: other questions take any words."""
        return False

    def helped(self, walk: Walk) -> Station | None:
        """Give help to whoever waits here."""
        return self


class Way(Station):
    """An exit that tells when somebody takes it."""

    def __init__(self, to: Station, took: Callable[[], None]) -> None:
        super().__init__(to.name, to.node)
        self._to = to
        self._took = took

    @property
    def place(self) -> Station:
        """Where it leads."""
        return self._to

    def enter(self, walk: Walk) -> Station | None:
        """Tell, and go there."""
        self._took()
        return self._to.enter(walk)


class Script:
    """Prompts of a node, ready to be said."""

    def __init__(self, prompts: Prompts, plan: Plan) -> None:
        self._wordings = dict(prompts)
        self._first = next((self._wordings[one] for one in plan.languages if one in self._wordings), None)
        self._ready: dict[tuple[str, bool, Miss, int], tuple[Prompt, ...]] = {}
        self._phrases: dict[tuple[str, bool, Miss, int], Phrase] = {}

    def __bool__(self) -> bool:
        """Whether there is anything to say."""
        return self._first is not None

    def of(self, walk: Walk, miss: Miss = "", count: int = 0) -> tuple[Prompt, ...]:
        """Return what is said now."""
        key = (walk.language, walk.written, miss, count)
        ready = self._ready.get(key)
        return self._made(walk, key) if ready is None else ready

    def handed_over(self, walk: Walk) -> tuple[Prompt, ...]:
        """Return what whoever reads is told when a person takes over: what is meant to be read, or the core's own words."""
        wording = self._wordings.get(walk.language) or self._first
        if wording is not None and wording.written is not None:
            return self.of(walk)
        return tuple(Prompt(text=text, language=walk.language) for text in in_language(HANDED_OVER, walk.language))

    def is_fixed(self, walk: Walk, miss: Miss, count: int) -> bool:
        """Say whether it says the same every time."""
        return (walk.language, walk.written, miss, count) in self._ready

    def _made(self, walk: Walk, key: tuple[str, bool, Miss, int]) -> tuple[Prompt, ...]:
        if (known := self._phrases.get(key)) is not None:
            return walk.rendered(known)
        language, written, miss, count = key
        wording = self._wordings.get(language) or self._first
        if wording is None:
            return ()
        phrase = wording.chosen(miss, count, written=written)
        if written and not wording.tells(miss):
            phrase = (*in_language(MISSED.get(miss, _NONE), language), *phrase)
        said = fixed(phrase, language, written=written)
        if said is None:
            self._phrases[key] = phrase
            return walk.rendered(phrase)
        self._ready[key] = said
        return said


class Back(Station):
    """The question before this one."""

    def link(self, scope: Scope) -> None:
        """Learn where it begins."""
        self._top = scope.station("@top")
        self._scope = scope

    def enter(self, walk: Walk) -> Station | None:
        """Go back."""
        path = walk.path.split()
        if path and path[-1] == walk.node:
            path.pop()
        walk.path = f" {' '.join(path)} " if path else ""
        return self._scope.station(f"={path[-1]}") if path else self._top


class Top(Station):
    """Where everybody begins."""

    def __init__(self, to: Station) -> None:
        super().__init__("@top", None)
        self._to = to

    def enter(self, walk: Walk) -> Station | None:
        """Go there."""
        walk.path = ""
        return self._to


class Repeat(Station):
    """The same question once more."""

    def link(self, scope: Scope) -> None:
        """Know how stations are found."""
        self._scope = scope

    def enter(self, walk: Walk) -> Station | None:
        """Ask again."""
        return self._scope.station(f"={walk.node}") if walk.node else self._scope.station("@top")


class Help(Repeat):
    """Help with the present question."""

    def enter(self, walk: Walk) -> Station | None:
        """Say it."""
        if not walk.node:
            return self._scope.station("@top")
        return self._scope.station(f"={walk.node}").helped(walk)


class OtherLanguage(Repeat):
    """The same question in the next language."""

    def enter(self, walk: Walk) -> Station | None:
        """Change it."""
        known = walk.plan.languages
        at = known.index(walk.language) + 1 if walk.language in known else 0
        walk.language = known[at % len(known)]
        return super().enter(walk)
