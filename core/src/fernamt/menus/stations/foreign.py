"""A plugin's own node: asked in its own words, and held to what a node may do."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import orjson

from fernamt.effects import AddEntry, Job, Reply
from fernamt.menus.heard import reserved_words, words_of
from fernamt.menus.node import MEMORY_MAX_BYTES, RESERVED, Leave, Node, Stay, Visit
from fernamt.menus.stations.station import Scope, Station
from fernamt.menus.walk import Walk
from fernamt.session import Action, Gather, HangUp, Happened, Hold, LookUp, Pressed, Record, Said, Say, Transfer

ACTIONS_MAX: Final = 8


class Wrong(Exception):
    """A node returned what it must not."""


class Foreign(Station):
    """Somewhere that a plugin made."""

    node: Node

    def link(self, scope: Scope) -> None:
        """Learn where its exits lead."""
        exits = dict(self.node.exits)
        self._exits = {name: scope.way(self.name, name, target) for name, target in exits.items()}
        self._failed = self._exits.get("failed") or scope.station("")
        self._everywhere = {f"@{what}": scope.station(f"@{what}") for what in RESERVED}
        self._keys = {key: f"@{what}" for key, what in scope.definition.keys.items()}
        self._words = {one: reserved_words(one) for one in scope.definition.languages}

    def enter(self, walk: Walk) -> Station | None:
        """Ask the node."""
        walk.stay(self.name)
        walk.passed(self.name)
        return self._asked(walk, None)

    def resume(self, walk: Walk, event: Happened) -> Station | None:
        """Tell the node."""
        return self._asked(walk, event)

    def _asked(self, walk: Walk, event: Happened | None) -> Station | None:
        memory = walk.stage["memory"] if isinstance(walk.stage, dict) else None
        visit = Visit(
            language=walk.language,
            at=walk.at,
            written=bool(walk.written),
            values={**walk.values, **(walk.secrets or {})},
            memory=memory,
            render=walk.rendered,
            said=walk.words,
            meant=partial(self._meant, walk.language),
        )
        node = self.node
        try:
            outcome: Any = node.enter(visit) if event is None else node.resume(visit, event)
            return self._done(walk, outcome)
        except Exception:  # noqa: BLE001 - a plugin's border
            walk.errors += 1
            return self._failed

    def _meant(self, language: str, event: Happened) -> str:
        if isinstance(event, Pressed):
            return self._keys.get(event.keys, "")
        return (self._words[language].whole(words_of(event.text)) or "") if isinstance(event, Said) else ""

    def _done(self, walk: Walk, outcome: Any) -> Station | None:
        if not isinstance(outcome, Stay | Leave) or len(outcome.actions) > ACTIONS_MAX:
            raise Wrong(f"it returned a {type(outcome).__name__}, or more than {ACTIONS_MAX} actions")
        said, effects, line = sorted_out(outcome.actions)
        if isinstance(outcome, Leave):
            if line:
                raise Wrong("it leaves and waits")
            to = self._exits.get(outcome.by) or self._everywhere[outcome.by]
            if unknown := outcome.values.keys() - walk.plan.variables.keys():
                raise Wrong(f"the menu has no variables {sorted(unknown)}")
            for name, value in outcome.values.items():
                walk.put(name, value)
            self._commit(walk, said, effects)
            return to
        memory = orjson.loads(orjson.dumps(outcome.memory))
        if len(line) != 1 or len(orjson.dumps(memory)) > MEMORY_MAX_BYTES:
            raise Wrong("it stays and waits for nothing, or for two things, or remembers too much")
        self._commit(walk, said, effects)
        walk.stage = None if memory is None else {"memory": memory}
        walk.line = tuple(line)
        return None

    def _commit(self, walk: Walk, said: list[Say], effects: list[Any]) -> None:
        walk.effects += tuple(effects)
        for one in said:
            walk.prompts += one.prompts


def sorted_out(actions: tuple[Action, ...]) -> tuple[list[Say], list[Any], list[Action]]:
    """Return what is said, the effects, and what is waited for; raises :class:`Wrong`."""
    said: list[Say] = []
    effects: list[Any] = []
    line: list[Action] = []
    for action in actions:
        match action:
            case Say():
                said.append(action)
            case Reply() | AddEntry() | Job():
                effects.append(action)
            case Gather() | Record() | Transfer() | Hold() | LookUp():
                line.append(action)
            case HangUp():
                raise Wrong("a node does not hang up: it leaves, and the menu says goodbye")
            case _:
                raise Wrong(f"a node cannot do {type(action).__name__}")
    return said, effects, line
