"""The live exchanges of all channels: which menus there are, and who is asked when something is looked up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from fernamt._runtime.script import Scribe
from fernamt._runtime.turns import LooksUp, Turns
from fernamt._runtime.walk import pinned_menus
from fernamt._store.engine import Store
from fernamt._store.reception import Line
from fernamt._store.writer import Writes
from fernamt.connector import Blobs, Clock
from fernamt.registry import Offers
from fernamt.services import CustomerCard, FaqQuestion, HoursQuestion, Question
from fernamt.settings import ChannelSection


class Exchange:
    """Gives each channel what runs its live exchanges."""

    def __init__(
        self,
        offers: Mapping[str, Offers],
        *,
        store: Store,
        writer: Writes,
        blobs: Blobs,
        look_up: LooksUp,
        clock: Clock,
    ) -> None:
        """*offers* are those of the plugins that were loaded, by name."""
        self._menus = pinned_menus(offers)
        asked: Iterable[type[Question[Any]]] = (kind for offer in offers.values() for kind in offer.services)
        self._scribe = Scribe({FaqQuestion, HoursQuestion, CustomerCard, *asked})
        self._store = store
        self._writer = writer
        self._blobs = blobs
        self._look_up = look_up
        self._clock = clock
        self._made: list[Turns] = []

    def turns(self, line: Line, section: ChannelSection) -> Turns:
        """Return what runs the exchanges of a channel."""
        turns = Turns(
            line,
            menus=self._menus,
            menu=section.menu,
            language=section.language,
            scribe=self._scribe,
            store=self._store,
            writer=self._writer,
            blobs=self._blobs,
            look_up=self._look_up,
            clock=self._clock,
        )
        self._made.append(turns)
        return turns

    async def stop(self) -> None:
        """End what is looked up and performed."""
        await asyncio.gather(*(turns.stop() for turns in self._made))
