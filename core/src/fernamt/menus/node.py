"""What every node has in common, and what a plugin's own node is: data with two pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Final, Protocol, TypeAlias, runtime_checkable

import attrs
from attrs import field, frozen

from fernamt.menus.wording import Miss, Phrase, Segment, Style, Value, Wording, joined, spoken_as
from fernamt.model import NOTHING, Json
from fernamt.session import Action, Happened, Prompt

RESERVED: Final = ("repeat", "back", "top", "operator", "help", "language")
RETURN: Final = "@return"
TARGETS: Final = (*(f"@{one}" for one in RESERVED), RETURN)
"""Where an exit may lead beside a node. ``@return`` leaves a menu that another one entered."""
MEMORY_MAX_BYTES: Final = 2_048


def leads_to(*, instead: str = "") -> Any:
    """Declare an exit: the field holds the name of the next node. Empty: where the exit *instead* leads, else the fallback."""
    return field(default="", metadata={"exit": instead})


def goes_on() -> Any:
    """Declare an exit that must be set."""
    return field(metadata={"exit": ""})


@frozen(kw_only=True)
class BuiltIn:
    """A node of the core's."""

    kind: ClassVar[str]

    @property
    def exits(self) -> Mapping[str, str]:
        """Every way out by its name, and the node that it leads to; empty: the menu's fallback."""
        return {name: self.leads(name) for name in exit_names(type(self))}

    def leads(self, name: str) -> str:
        """Return where the exit leads."""
        target: str = getattr(self, name)
        instead: str = attrs.fields_dict(type(self))[name].metadata["exit"]
        return target or (self.leads(instead) if instead else "")


def exit_names(kind: type[Any]) -> tuple[str, ...]:
    """Return the names of the exits that the fields of a class of nodes declare."""
    return tuple(one.name for one in attrs.fields(kind) if "exit" in one.metadata)


@frozen(kw_only=True)
class Visit:
    """What a plugin's node is told."""

    language: str
    at: datetime
    """When it happened: the only clock there is."""
    written: bool
    """It is read and typed, not heard and spoken."""
    values: Mapping[str, Json] = field(repr=False)
    """What the menu knows; of what is secret, only what the same step has heard."""
    memory: Json = field(default=None, repr=False)
    """What the node kept when it last stayed."""

    render: Callable[[Phrase], tuple[Prompt, ...]] | None = field(default=None, repr=False, eq=False)
    """How the menu says a phrase with its variables; the core gives it. Without it, as in a test, they are said as they are."""

    said: Callable[[Any, Style], str] | None = field(default=None, repr=False, eq=False)
    """How the menu says a value; likewise."""
    meant: Callable[[Happened], str] | None = field(default=None, repr=False, eq=False)
    """What callers may do at every question; likewise."""

    def everywhere(self, event: Happened) -> str:
        """Return what somebody wants that can be had at every question, such as a person or the way back; empty: nothing of it.

        It is an exit, ``@operator`` or ``@back``, by which every node may leave, although it names it nowhere.
        """
        return "" if self.meant is None else self.meant(event)

    def words(self, value: Json, style: Style) -> str:
        """Return a value as the menu says it here: ``visit.words("2026-12-24", "date")``."""
        return str(value) if self.said is None else self.said(value, style)

    def says(self, said: Mapping[str, Wording], miss: Miss = "", count: int = 0) -> tuple[Prompt, ...]:
        """Return what a prompt of the node says here, as the core's nodes do.

        A field ``Mapping[str, Wording]`` is written like any prompt, and ``fernamt menu check`` wants it in every language. *miss*
        is ``no_input`` or ``no_match`` the *count*-th time; without one, *count* is how often it was said before.
        """
        language = self.language if self.language in said else next(iter(said))
        phrase = said[language].chosen(miss, count, written=self.written)
        if self.render is not None:
            return self.render(phrase)
        return joined([self._plain(one) for one in phrase])

    def _plain(self, segment: Segment) -> Prompt:
        if isinstance(segment, Value):
            return Prompt(text=str(self.values.get(segment.name, "")), language=self.language)
        return spoken_as(segment, self.language, written=self.written)

    def prompt(self, said: Mapping[str, str]) -> Prompt:
        """Return the text in this language, else the first one."""
        language = self.language if self.language in said else next(iter(said))
        return Prompt(text=said[language], language=language)


@frozen
class Stay:
    """Wait here: the last action says for what, and what comes then is handed to ``resume``."""

    actions: tuple[Action, ...]
    memory: Json = field(default=None, repr=False, kw_only=True)
    """At most 2 KB of JSON."""


@frozen
class Leave:
    """Go on by one of the node's exits."""

    by: str
    """One of its own, or what :meth:`Visit.everywhere` returned."""
    actions: tuple[Action, ...] = field(default=(), kw_only=True)
    """Only what is said, and effects: nothing that waits."""
    values: Mapping[str, Json] = field(default=NOTHING, repr=False, kw_only=True)
    """Variables of the menu that are known from now on; one that the menu does not have is a mistake of the node."""


Outcome: TypeAlias = Stay | Leave


@runtime_checkable
class Node(Protocol):
    """A plugin's own node: a frozen attrs class, registered with :meth:`fernamt.Registry.node`; its fields are keys in TOML.

    Pictures of a menu show the class attribute ``kind``, if it has one, else the name of the class.

    Pure, and asked again about the same event after a crash or a lost race. If it raises, or returns what it must not, the
    menu goes on by its exit ``failed``, or to the fallback.
    """

    @property
    def exits(self) -> Mapping[str, str]:
        """The name of every way out, and the node that it leads to."""

    def enter(self, visit: Visit) -> Outcome:
        """Somebody comes here."""

    def resume(self, visit: Visit, event: Happened) -> Outcome:
        """Something happened while the node stayed. A hang-up is not told."""
