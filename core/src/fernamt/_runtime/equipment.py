"""What the plugins of one daemon are given, each its own."""

from __future__ import annotations

from typing import Any

import structlog

from fernamt._runtime.context import Context
from fernamt._runtime.http import ClientHttp
from fernamt._runtime.plan import Plan
from fernamt._runtime.services import Services
from fernamt._store.engine import Store
from fernamt._store.plugin_tables import PluginTables, Turn
from fernamt.connector import Blobs, Clock


class Equipment:
    """Makes the contexts of a plan's plugins and of their channels."""

    def __init__(self, plan: Plan, *, store: Store, http: ClientHttp, clock: Clock, blobs: Blobs) -> None:
        self.plan = plan
        self._http = http
        self._clock = clock
        self._blobs = blobs
        self.services = Services(plan.loaded.offers, self.context)
        self._channels = [one.channel for one in plan.channels if one.channel is not None]
        turn = Turn(store)
        self._tables = {
            name: PluginTables(store, name, turn, declared=offers.tables is not None)
            for name, offers in plan.loaded.offers.items()
        }

    def context(self, plugin: str) -> Context:
        """Return what a plugin is given that is asked for itself, not for a channel."""
        return Context(**self.of(plugin))

    def of(self, plugin: str, channel: str = "") -> dict[str, Any]:
        """Return the fields of a :class:`Context`."""
        bound = {"plugin": plugin} | ({"channel": channel} if channel else {})
        return {
            "settings": self.plan.plugin_settings.get(plugin),
            "http": self._http,
            "log": structlog.get_logger(**bound),
            "clock": self._clock,
            "blobs": self._blobs,
            "tables": self._tables[plugin],
            "services": self.services,
            "channels": {one.id: one for one in self._channels if one.kind.partition(".")[0] == plugin},
        }

    async def close(self) -> None:
        """Take it all back."""
        for tables in self._tables.values():
            tables.close()
        await self._http.close()
