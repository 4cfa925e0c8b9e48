"""What walks a person through a live exchange: a pure state machine, of which the core keeps the state."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol, TypeAlias

from attrs import frozen

from fernamt.model import Json
from fernamt.session import Action, Happened

MenuState: TypeAlias = Mapping[str, Json]
"""Small and JSON: it is stored with every turn."""


@frozen
class Step:
    """What follows from an event: the next state and what shall happen.

    The last action for the line says what is waited for (``Gather``, ``Record``, ``Transfer``, ``Hold``), or is ``HangUp``.
    With a ``LookUp``, of which there may be one, a ``Hold`` is added where nothing else is waited for. Of the effects a menu
    may ask for ``Reply``, ``AddEntry`` and ``Job``.
    """

    state: MenuState
    actions: tuple[Action, ...]


class Menu(Protocol):
    """A menu, or anything else that talks in turns. Pure: time comes with the events, answers of services are events."""

    @property
    def digest(self) -> str:
        """A hash of its content: a session goes on only with the very menu that it began with."""

    def step(self, state: MenuState | None, event: Happened, *, at: datetime, language: str) -> Step:
        """Return what follows.

        Args:
            state: What the last step returned; ``None`` at the start, where the event is :class:`fernamt.Started`.
            event: What happened on the line, or what a look-up brought.
            at: When it happened there: the only clock there is.
            language: Of the exchange, ``de`` or ``pt-BR``; empty: nobody knows.

        It may be asked twice about one event, and is asked once more when the line is gone: what it then wants to be said
        is dropped, what else it asks for is done. If it raises, or returns what cannot happen on a line, the caller hears an
        apology and the conversation gets a ``handover``.
        """
