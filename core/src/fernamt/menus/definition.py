"""A menu as an author writes it: what it says, what it asks, where it leads. The same in Python and in TOML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

from attrs import field, frozen
from attrs.validators import ge, le, matches_re

from fernamt.errors import FernamtError
from fernamt.menus.node import BuiltIn, Node
from fernamt.menus.nodes import (
    AnswerNode,
    AskNode,
    BranchNode,
    ConsentNode,
    HangUpNode,
    HoursNode,
    LanguageNode,
    LookupNode,
    MenuNode,
    SayNode,
    SubMenuNode,
    SurveyNode,
)
from fernamt.menus.people import CallbackNode, QueueNode, RouteNode, TextbackNode, TransferNode, VoicemailNode
from fernamt.menus.variables import GIVEN, Variable
from fernamt.menus.wording import Style
from fernamt.settings.mistake import Finding

LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
NODES_MAX: Final = 500
AnyNode: TypeAlias = BuiltIn | Node
_ALL: Final[tuple[type[BuiltIn], ...]] = (
    SayNode, MenuNode, AskNode, HoursNode, BranchNode, LookupNode, AnswerNode, RouteNode, QueueNode, CallbackNode, VoicemailNode,
    TransferNode, TextbackNode, SurveyNode, ConsentNode, LanguageNode, HangUpNode, SubMenuNode,
)  # fmt: skip
KINDS: Final[Mapping[str, type[BuiltIn]]] = MappingProxyType({one.kind: one for one in _ALL})
"""The nodes that the core has, by kind."""
PERSONS: Final = (TransferNode, QueueNode, CallbackNode, VoicemailNode)
"""Nodes behind which a person stands, now or later."""
KEYS: Final[Mapping[str, str]] = MappingProxyType({"0": "operator", "*": "back", "#": "repeat"})


def _zone(_: object, __: object, value: str) -> None:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError("is no time zone, such as Europe/Berlin") from None


@frozen(kw_only=True)
class MenuLimits:
    """Where it ends for whoever walks in circles: then it goes to the fallback, and from there not for ever either."""

    steps: int = field(default=200, validator=[ge(10), le(10_000)])
    """So many nodes and events."""
    duration_s: float = field(default=1_800.0, validator=[ge(10), le(86_400)])
    """So long it takes. Waiting for a person does not count, and nothing does where it is read: people answer when they can."""
    errors: int = field(default=10, validator=[ge(1), le(100)])
    """So often it is silent, not understood, or a service fails."""


@frozen(kw_only=True)
class Header:
    """What a menu says of itself."""

    id: str = field(validator=matches_re(r"[a-z0-9]+(-[a-z0-9]+)*"))
    """Its name: small letters and digits, joined by hyphens."""
    version: str = "1"
    """For people; what a session is pinned to is its content."""
    languages: tuple[str, ...]
    """The first one counts where nobody knows better."""
    zone: str = field(default="Europe/Berlin", validator=_zone)
    """The time zone in which times are said."""
    calendar: str = "default"
    """By which ``hours`` asks."""
    currency: str = field(default="EUR", validator=matches_re(r"[A-Z]{3}"))
    """Of the amounts that it says."""
    entry: str
    """The node that it begins with."""
    top: str = ""
    """The node that ``top`` leads back to; without it the entry."""
    done: str = ""
    """Where ``@return`` leads if no other menu entered this one; without it the fallback."""
    fallback: str
    """The node behind which a person stands: where every exit leads that leads nowhere, and ``operator``."""
    keys: Mapping[str, str] = KEYS
    """What keys mean at every question, unless an option has them: ``repeat``, ``back``, ``top``, ``operator``, ``help``,
    ``language``."""
    limits: MenuLimits = MenuLimits()
    """See below."""
    variables: Mapping[str, Variable] = field(factory=dict)
    """What it collects."""


@frozen(kw_only=True)
class MenuDefinition(Header):
    """A menu: data, and nothing that runs. The fields of its header are the keys at the top of a file."""

    nodes: Mapping[str, AnyNode]
    """By name."""

    @property
    def known(self) -> Mapping[str, Variable]:
        """All variables, those that every menu has among them."""
        return {**GIVEN, **self.variables}

    def exits(self, name: str) -> Mapping[str, str]:
        """Return where the exits of a node lead; those that lead nowhere, to the fallback."""
        return {exit_name: target or "@operator" for exit_name, target in self.nodes[name].exits.items()}

    def next_nodes(self, name: str) -> Iterator[str]:
        """Yield the nodes that may follow directly."""
        for target in self.exits(name).values():
            if not target.startswith("@"):
                yield target
            elif target == "@operator":
                yield self.fallback
            elif target == "@top":
                yield self.top or self.entry
            elif target == "@return":
                yield self.done or self.fallback


class MenuMistakes(FernamtError):
    """A definition that cannot be a menu; *findings* has everything that is wrong with it."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        self.findings = findings
        super().__init__("\n".join(f"{'.'.join(one.path)}: {one.problem}. {one.fix}" for one in findings))


def kind_of(node: Any) -> str:
    """Return the kind of a node."""
    kind: str = getattr(node, "kind", type(node).__name__)
    return kind


STYLES_OF_TYPES: Final[Mapping[str, Style]] = {
    "text": "plain", "digits": "digits", "number": "number", "amount": "amount", "date": "date", "time": "time", "flag": "plain",
}  # fmt: skip
