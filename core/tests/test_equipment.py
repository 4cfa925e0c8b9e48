"""What a plugin is given: its own channels, and nobody else's."""

from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import pytest

from fernamt._runtime.clock import SystemClock
from fernamt._runtime.equipment import Equipment
from fernamt._runtime.http import ClientHttp
from fernamt._runtime.loader import Loaded
from fernamt._runtime.plan import Plan, PlannedChannel
from fernamt._store.blobs import open_blobs
from fernamt._store.engine import Store
from fernamt.connector import Channel
from fernamt.errors import Unsupported
from fernamt.model import ChannelId
from fernamt.registry import Offers
from fernamt.settings import ChannelSection


def planned(name: str, kind: str, settings: Any = None) -> PlannedChannel:
    section = ChannelSection(id=ChannelId(name), kind=kind, options={})
    channel = Channel(id=section.id, name="", kind=kind, settings=settings, url="")
    return PlannedChannel(section=section, channel=channel if settings else None)


async def test_a_plugin_reaches_its_own_channels_and_no_other(tmp_path: Path) -> None:
    channels = (planned("a", "one", "A"), planned("b", "one.more", "B"), planned("c", "two", "C"), planned("d", "one"))
    loaded = Loaded(plugins=cast("Any", None), offers={"one": Offers(plugin="one")}, failures=(), installed={})
    store = Store.open(f"sqlite:///{tmp_path}/s.db", SystemClock())
    plan = Plan(loaded=loaded, channels=channels, plugin_settings=MappingProxyType({}))
    equipment = Equipment(plan, store=store, http=ClientHttp(), clock=store.clock, blobs=open_blobs(store))
    try:
        context = equipment.context("one")
        assert [context.channel(ChannelId(name)).settings for name in "ab"] == ["A", "B"]
        for name in "cdx":
            with pytest.raises(Unsupported, match=f"no channel '{name}'"):
                context.channel(ChannelId(name))
    finally:
        await equipment.close()
        store.close()
