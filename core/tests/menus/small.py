"""A small menu that is right, to be changed in one place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from fernamt import (
    Address,
    AskNode,
    BuiltMenu,
    Gather,
    HangUpNode,
    Happened,
    LookupNode,
    MenuDefinition,
    MenuNode,
    MenuState,
    Option,
    Say,
    SayNode,
    Started,
    Step,
    TransferNode,
    Variable,
    VoicemailNode,
)

NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)


def both(de: str, en: str = "") -> dict[str, str]:
    return {"de": de, "en": en or de}


NODES: dict[str, Any] = {
    "main": MenuNode(
        prompt=both("Was?", "What?"),
        options=(
            Option(
                key="1", label=both("Rechnung", "Invoice"), words={"de": ("mahnung",), "en": ("bill",)}, to="number"
            ),
            Option(key="2", label=both("Über uns", "About us"), to="about"),
            Option(key="3", label=both("Mensch", "Person"), to="person"),
        ),
    ),
    "about": SayNode(prompt=both("Wir sind wir.", "We are we."), to="main"),
    "number": AskNode(prompt=both("Nummer?", "Number?"), into="number_of_order", least=4, most=6, to="look"),
    "look": LookupNode(
        question="order", using={"number": "number_of_order"}, take={"state": "state"}, found="told", failed="person"
    ),
    "told": SayNode(prompt=both("Stand: {state}", "State: {state}"), to="bye"),
    "person": TransferNode(number="team:all", failed="message"),
    "message": VoicemailNode(
        prompt=both("Nach dem Ton", "After the tone"), done=both("Danke", "Thanks"), to="bye", failed="bye"
    ),
    "bye": HangUpNode(prompt=both("Tschüss", "Bye")),
}
SMALL = MenuDefinition(
    id="small",
    languages=("de", "en"),
    entry="main",
    fallback="person",
    variables={"number_of_order": Variable("digits", "personal"), "state": Variable("text")},
    nodes=NODES,
)


def changed(node: str = "", **fields: Any) -> MenuDefinition:
    """Return the menu with a node changed, or itself."""
    if not node:
        return attrs.evolve(SMALL, **fields)
    return attrs.evolve(SMALL, nodes={**NODES, node: attrs.evolve(NODES[node], **fields)})


def with_nodes(**nodes: Any) -> MenuDefinition:
    """Return the menu with other nodes under these names."""
    return attrs.evolve(SMALL, nodes={**NODES, **{name.replace("_", "-"): node for name, node in nodes.items()}})


class Caller:
    """Somebody who walks through a menu."""

    def __init__(
        self, menu: BuiltMenu | MenuDefinition, language: str = "de", caller: str = "+4930123456", **started: Any
    ) -> None:
        self.menu = menu if isinstance(menu, BuiltMenu) else BuiltMenu(menu)
        self.language = language
        self.at = NOW
        self.state: MenuState | None = None
        address = Address("phone", caller) if caller else None
        self.step: Step = self.does(Started("+49800", address, "line", "s1", **started))

    def does(self, *events: Happened, after_s: float = 1.0) -> Step:
        for event in events:
            self.at += timedelta(seconds=after_s)
            self.step = self.menu.step(self.state, event, at=self.at, language=self.language)
            self.state = self.step.state
        return self.step

    @property
    def node(self) -> str:
        assert self.state is not None
        return str(self.state["node"])

    @property
    def heard(self) -> str:
        said = [one.prompts for one in self.step.actions if isinstance(one, Say | Gather)]
        return " ".join(prompt.text for prompts in said for prompt in prompts)

    @property
    def end(self) -> str:
        assert self.state is not None
        return str(self.state.get("end", ""))
