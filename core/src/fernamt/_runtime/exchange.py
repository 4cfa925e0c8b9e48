"""The live exchanges of all channels: which menus there are, and who is asked when something is looked up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from fernamt._runtime.dialogue import Dialogues
from fernamt._runtime.leading import Talk
from fernamt._runtime.pins import Pins
from fernamt._runtime.script import Scribe
from fernamt._runtime.turns import LooksUp, Turns
from fernamt._runtime.walk import pinned_menus
from fernamt._runtime.work import Worker
from fernamt._store.dialogues import OWNER
from fernamt._store.engine import Store
from fernamt._store.reception import Line
from fernamt._store.writer import Writes
from fernamt.connector import Blobs, Clock, Connector
from fernamt.outbound import Capabilities
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
        self._pins = Pins(self._menus, store)
        self._talks: dict[str, Talk] = {}
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

    def equip(
        self, turns: Turns, section: ChannelSection, connector: Connector, can: Callable[[], Capabilities]
    ) -> None:
        """Bring turns through *connector*, and lead whoever writes on the channel through its menu, if it names one."""
        turns.equip(connector)
        if section.menu:
            wait = timedelta(minutes=section.menu_wait_min)
            talk = Talk(line=turns.line, menu=section.menu, language=section.language, wait=wait, can=can)
            self._talks[section.id] = talk

    @property
    def leads(self) -> bool:
        """Whether any channel has a menu."""
        return bool(self._talks)

    def workers(self, **more: Any) -> list[Worker]:
        """Return what leads people through menus in writing; *more* is what every worker is given."""
        if not self._talks:
            return []
        dialogues = Dialogues(
            self._talks,
            pins=self._pins,
            scribe=self._scribe,
            store=self._store,
            look_up=self._look_up,
            clock=self._clock,
        )
        return [Worker(OWNER, dialogues.handlers(), store=self._store, **more)]

    async def stop(self) -> None:
        """End what is looked up and performed."""
        await asyncio.gather(*(turns.stop() for turns in self._made))
