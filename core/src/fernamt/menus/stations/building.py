"""From nodes to stations: one for each node, those of entered menus with the name of the way there before their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

from fernamt.menus.definition import MenuDefinition, kind_of
from fernamt.menus.questions import QUESTIONS
from fernamt.menus.stations.collecting import Consenting, Surveying, Taking
from fernamt.menus.stations.foreign import Foreign
from fernamt.menus.stations.people import Calling, Connecting, Queueing, Recording, Routing, Texting
from fernamt.menus.stations.querying import Answering, LookingUp, Opening
from fernamt.menus.stations.station import Back, Help, OtherLanguage, Repeat, Station, Top, Way
from fernamt.menus.stations.talking import (
    Branching,
    Choosing,
    Ending,
    Entering,
    Saying,
    Translating,
)
from fernamt.menus.walk import Plan, Walk
from fernamt.services import Question

_STATIONS: Final[Mapping[str, type[Station]]] = {
    "say": Saying,
    "menu": Choosing,
    "ask": Taking,
    "hours": Opening,
    "branch": Branching,
    "answer": Answering,
    "route": Routing,
    "queue": Queueing,
    "callback": Calling,
    "voicemail": Recording,
    "transfer": Connecting,
    "textback": Texting,
    "survey": Surveying,
    "consent": Consenting,
    "language": Translating,
    "sub-menu": Entering,
    "hang-up": Ending,
}
Watch: TypeAlias = Callable[[str, str], None]
"""Told of every station that is entered, and of every exit that is taken; which, is empty for the former."""
_Questions: TypeAlias = Mapping[str, type[Question[Any]]]


def built_stations(
    definition: MenuDefinition,
    menus: Mapping[str, MenuDefinition],
    plan: Plan,
    questions: _Questions,
    watch: Watch | None,
) -> tuple[dict[str, Station], Station, Station]:
    """Return all stations by name, the one that it begins at, and the fallback. The definition has no mistakes."""
    stations: dict[str, Station] = {}
    outer = _Scope(definition, "", stations, plan, watch=watch)
    _build(outer, definition, menus, questions)
    outer.reserved["@top"] = Top(stations[definition.top or definition.entry])
    for one in outer.reserved.values():
        one.link(outer)
    outer.link()
    if watch is not None:
        for station in stations.values():
            station.enter = partial(_watched, station.name, station.enter, watch)  # type: ignore[method-assign]
    return stations, outer.station(definition.entry), outer.station(definition.fallback)


def _watched(name: str, enter: Callable[[Walk], Station | None], watch: Watch, walk: Walk) -> Station | None:
    watch(name, "")
    return enter(walk)


class _Scope:
    """The names of one menu."""

    def __init__(
        self,
        definition: MenuDefinition,
        prefix: str,
        stations: dict[str, Station],
        plan: Plan,
        outer: _Scope | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.definition = definition
        self.plan = plan
        self._prefix = prefix
        self._stations = stations
        self._outer = outer
        self._watch = watch
        self._inner: dict[str, _Scope] = {}
        self.reserved: dict[str, Station] = (
            outer.reserved
            if outer is not None
            else {
                "@back": Back("@back", None),
                "@repeat": Repeat("@repeat", None),
                "@help": Help("@help", None),
                "@language": OtherLanguage("@language", None),
            }
        )

    def station(self, target: str) -> Station:
        if target.startswith("="):  # the full name of a station
            return self._stations[target[1:]]
        if target in ("", "@operator"):
            return self._stations[self._prefix + self.definition.fallback]
        if target == "@return":
            return self.returning() if self._outer is not None else self.station(self.definition.done)
        if target.startswith("@"):
            return self.reserved[target]
        return self._stations[self._prefix + target]

    def way(self, station: str, way: str, target: str) -> Station:
        to = self.station(target)
        return to if self._watch is None else Way(to, partial(self._watch, station, way))

    def returning(self) -> Station:
        assert self._outer is not None
        node: Any = self._stations[self._prefix.removesuffix("/")].node
        return self._outer.station(node.to)

    def sub_menu(self, node: str) -> Station:
        inner = self._inner[node]
        return inner.station(inner.definition.entry)

    def link(self) -> None:
        for name in self.definition.nodes:
            self._stations[self._prefix + name].link(self)
        for inner in self._inner.values():
            inner.link()

    def entered(self, name: str, menu: MenuDefinition) -> _Scope:
        inner = self._inner[name] = _Scope(menu, f"{name}/", self._stations, self.plan, self, self._watch)
        return inner

    def full(self, name: str) -> str:
        return self._prefix + name

    def add(self, name: str, node: Any, questions: _Questions) -> None:
        kind, full = kind_of(node), self._prefix + name
        if kind == "lookup":
            self._stations[full] = LookingUp(full, node, {**QUESTIONS, **questions}[node.question])
        else:
            made = _STATIONS.get(kind, Foreign) if hasattr(node, "leads") else Foreign
            self._stations[full] = made(full, node)


def _build(
    scope: _Scope, definition: MenuDefinition, menus: Mapping[str, MenuDefinition], questions: _Questions
) -> None:
    for name, node in definition.nodes.items():
        scope.add(name, node, questions)
        if kind_of(node) == "sub-menu":
            menu = menus[node.menu]  # type: ignore[union-attr]
            _build(scope.entered(scope.full(name), menu), menu, menus, questions)
