"""Menus in TOML: read whole, with every mistake at once, each by file, line and key, with a remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import attrs
from attrs import field, frozen

from fernamt.menus.checks import broken
from fernamt.menus.definition import KINDS, AnyNode, Header, MenuDefinition
from fernamt.menus.engine import BuiltMenu
from fernamt.menus.node import Node
from fernamt.menus.nodes import HangUpNode, SubMenuNode
from fernamt.menus.wording import Audio, Wording, phrase
from fernamt.services import Question
from fernamt.settings.mistake import ConfigErrors, Finding, Mistake, Wrong, did_you_mean
from fernamt.settings.source import Source, read_source
from fernamt.settings.structure import structure

_NONE: Final[Mapping[str, Any]] = MappingProxyType({})
_FILE: Final = re.compile(r"[A-Za-z0-9][\w.-]*\.toml")
_AUDIO: Final = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)*")
_DEPTH_MAX: Final = 8
_UNREAD: Final = HangUpNode(prompt={})
"""Stands where a node could not be read."""
_HOW: Final = (
    "Write a text, a list of texts and { audio, text }, or a table with first, again, no_input, no_match, help, written"
)


@frozen(kw_only=True)
class ReadMenu:
    """A file as a definition, with everything that it enters; not yet built."""

    source: Source
    definition: MenuDefinition
    menus: Mapping[str, MenuDefinition]


def read_menu(
    path: Path, *, nodes: Mapping[str, type[Node]] = _NONE, questions: Mapping[str, type[Question[Any]]] = _NONE
) -> BuiltMenu:
    """Read a menu and build it.

    Args:
        path: The file; menus that it enters lie beside it.
        nodes: Plugins' own nodes by kind.
        questions: Plugins' own questions, for ``lookup`` nodes.

    Raises:
        ConfigErrors: With every mistake.
    """
    read = read_definition(path, nodes=nodes, questions=questions)
    sources = {name: path.with_name(name).read_text("utf-8") for name in (path.name, *read.menus)}
    return BuiltMenu(read.definition, menus=read.menus, questions=questions, sources=sources)


def read_definition(
    path: Path, *, nodes: Mapping[str, type[Node]] = _NONE, questions: Mapping[str, type[Question[Any]]] = _NONE
) -> ReadMenu:
    """Read a menu that can be built. Arguments and errors as of :func:`read_menu`."""
    reading = _Reading(nodes)
    read = reading.file(path, 0)
    # What could be read is looked at all the same: so all mistakes come at once.
    found = () if read is None else broken(read[1], reading.menus, questions)
    if reading.mistakes or found or read is None:
        raise ConfigErrors([*reading.mistakes, *(read[0].mistake(one) for one in found if read is not None)])
    return ReadMenu(source=read[0], definition=read[1], menus=reading.menus)


class _Reading:
    """One pass over a file and those that it enters."""

    def __init__(self, nodes: Mapping[str, type[Node]]) -> None:
        self._kinds: dict[str, type[Any]] = {**KINDS, **nodes}
        self.mistakes: list[Mistake] = []
        self.menus: dict[str, MenuDefinition] = {}
        self._seen: set[str] = set()

    def file(self, path: Path, depth: int) -> tuple[Source, MenuDefinition] | None:
        try:
            source = read_source(path)
        except ConfigErrors as why:
            self.mistakes += why.mistakes
            return None
        found: list[Finding] = []
        definition = self._definition(source, found)
        self.mistakes += map(source.mistake, found)
        if definition is None:
            return None
        for name, node in definition.nodes.items():
            if isinstance(node, SubMenuNode):
                self._enter(source, name, node.menu, definition, depth)
        return source, definition

    def _enter(self, source: Source, name: str, menu: str, outer: MenuDefinition, depth: int) -> None:
        if menu in self._seen:
            return
        self._seen.add(menu)
        if not _FILE.fullmatch(menu) or depth >= _DEPTH_MAX:
            place = ("nodes", name, "menu")
            finding = Finding(place, f"{menu!r} is no file beside this one", "Write for instance menu = 'hours.toml'")
            self.mistakes.append(source.mistake(finding))
        elif (inner := self.file(source.file.parent / menu, depth + 1)) is not None:
            self.menus[menu] = inner[1]
            return
        # What is wrong with it is told already.
        self.menus[menu] = attrs.evolve(outer, entry="x", fallback="x", top="", done="", nodes={"x": _UNREAD})

    def _definition(self, source: Source, found: list[Finding]) -> MenuDefinition | None:
        raw = dict(source.data)
        tables = raw.pop("nodes", {})
        if isinstance(variables := raw.get("variables"), Mapping):
            raw["variables"] = {name: {"type": one} if isinstance(one, str) else one for name, one in variables.items()}
        header = self._filled(raw, Header, source, found, ())
        nodes: dict[str, AnyNode] = {}
        if not isinstance(tables, Mapping) or not tables:
            found.append(Finding(("nodes",), "there are none", "Write [nodes.<name>], each with its kind"))
            return None
        for name, table in tables.items():
            node = self._node(name, table, source, found)
            nodes[name] = _UNREAD if node is None else node
        if header is None:
            return None
        fields = {one.name: getattr(header, one.name) for one in attrs.fields(Header)}
        return MenuDefinition(**fields, nodes=nodes)

    def _node(self, name: str, table: Any, source: Source, found: list[Finding]) -> AnyNode | None:
        place = ("nodes", name)
        if not isinstance(table, Mapping):
            found.append(Finding(place, "must be a section", f"Write [nodes.{name}] and its keys below"))
            return None
        kind = table.get("kind")
        if not isinstance(kind, str) or kind not in self._kinds:
            problem = "is missing" if kind is None else f"there is no node of kind {kind!r}"
            fix = did_you_mean(str(kind or ""), self._kinds)
            found.append(Finding((*place, "kind"), problem, fix))
            return None
        raw = {key: value for key, value in table.items() if key != "kind"}
        node: AnyNode | None = self._filled(raw, self._kinds[kind], source, found, place, also_known=("kind",))
        return node

    def _filled(
        self,
        raw: Mapping[str, Any],
        kind: type[Any],
        source: Source,
        found: list[Finding],
        place: tuple[str, ...],
        *,
        also_known: tuple[str, ...] = ("nodes",),
    ) -> Any:
        value, findings = structure(
            raw, kind, folder=source.file.parent, environ={}, also_known=also_known, hooks={Wording: wording}
        )
        found += [Finding((*place, *one.path), one.problem, one.fix) for one in findings]
        return value


@frozen(kw_only=True)
class _Table:
    first: Any
    again: Any = ()
    no_input: Any = ()
    no_match: Any = ()
    help: Any = ()
    written: Any = field(default=())


def wording(raw: Any, *, is_read: bool = False) -> Wording:
    """Return what stands for a prompt in one language; raises ``Wrong``. *is_read*: it is what another one says where it is read."""
    if isinstance(raw, str | list):
        return Wording(_phrase(raw))
    if not isinstance(raw, Mapping):
        raise Wrong("this is no prompt", _HOW)
    known = [one.name for one in attrs.fields(_Table) if not (is_read and one.name == "written")]
    for key in raw:
        if key not in known:
            raise Wrong(f"unknown key {key!r}", did_you_mean(key, known))
    if "first" not in raw:
        raise Wrong("'first' is missing", _HOW)
    fields = {key: _read(key, value) for key, value in raw.items()}
    return Wording(fields.pop("first"), **fields)


def _read(key: str, raw: Any) -> Any:
    if key == "written":
        return wording(raw, is_read=True)
    return _several(raw) if key in ("no_input", "no_match") else _phrase(raw)


def _several(raw: Any) -> tuple[Any, ...]:
    return tuple(map(_phrase, raw)) if isinstance(raw, list) else (_phrase(raw),)


def _phrase(raw: Any) -> Any:
    segments: list[str | Audio] = []
    for one in raw if isinstance(raw, list) else [raw]:
        if isinstance(one, str):
            segments.append(one)
        elif (
            isinstance(one, Mapping)
            and one.keys() == {"audio", "text"}
            and all(isinstance(it, str) for it in one.values())
        ):
            if not _AUDIO.fullmatch(one["audio"]):
                raise Wrong(f"{one['audio']!r} is no file of the menu", "Write its name below the menu's folder")
            segments.append(Audio(one["audio"], one["text"]))
        else:
            raise Wrong("this is no prompt", _HOW)
    try:
        return phrase(segments)
    except ValueError as why:
        raise Wrong(str(why), "Correct the text") from None
