"""What walks a person through a live exchange: a pure state machine, of which the core keeps the state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeAlias

from attrs import frozen

from fernamt.model import Json
from fernamt.session import Action, Happened

MenuState: TypeAlias = Mapping[str, Json]
"""Small and JSON: it is stored with every turn."""


@frozen
class Step:
    """What follows from an event: the next state and what shall happen. The last action says what is waited for."""

    state: MenuState
    actions: tuple[Action, ...]


class Menu(Protocol):
    """A menu, or anything else that talks in turns. Pure: time comes with the events, answers of services are events."""

    @property
    def digest(self) -> str:
        """A hash of its content: a session goes on only with the very menu that it began with."""
        ...

    def step(self, state: MenuState | None, event: Happened, *, language: str) -> Step:
        """Return what follows. *state* is ``None`` at the start."""
        ...
