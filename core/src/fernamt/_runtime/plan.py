"""What a configuration asks for, checked whole before anything is started: which plugins, which channels, with which settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from fernamt._runtime.installed import Installed, discover
from fernamt._runtime.loader import Loaded, PluginFailed, PluginFailure, load, wanted
from fernamt._store.engine import Store
from fernamt._store.plugin_tables import Owned, TablesRefused, migrate_tables
from fernamt._store.transaction import is_outage
from fernamt.connector import Channel
from fernamt.registry import Factory
from fernamt.settings import (
    ApiSettings,
    ChannelSection,
    ConfigErrors,
    Mistake,
    NoSettings,
    Settings,
    did_you_mean,
    read_settings,
    structure_section,
)


@frozen(kw_only=True)
class PlannedChannel:
    """A channel with what its plugin makes of it, or with the reason why it cannot run."""

    section: ChannelSection
    factory: Factory | None = None
    channel: Channel[Any] | None = None
    """What the connector is told of it; ``None``: it cannot run."""
    failure: PluginFailure | None = None

    @property
    def plugin(self) -> str:
        """Whose kind it is."""
        return self.section.kind.partition(".")[0]


@frozen(kw_only=True)
class Plan:
    """What shall run."""

    loaded: Loaded
    channels: tuple[PlannedChannel, ...]
    plugin_settings: Mapping[str, Any]
    api: ApiSettings = field(factory=ApiSettings)

    def migrated(self, store: Store) -> Plan:
        """Bring the tables of every plugin up to date, and return the plan without those whose tables cannot be. Blocks."""
        loaded = self.loaded
        declared = {name: offers.tables for name, offers in loaded.offers.items() if offers.tables is not None}
        for name, tables in declared.items():
            others = tuple(one.prefix for one in declared.values())
            try:
                migrate_tables(store, Owned(tables.prefix, others), tables.migrations)
            except KeyboardInterrupt:
                raise
            except BaseException as why:  # noqa: BLE001 - a plugin's border: SystemExit must not end the daemon either
                cause = TablesRefused(f"its tables cannot be migrated: {type(why).__name__}: {why}")
                away = isinstance(why, Exception) and is_outage(why)
                remedy = "Start the daemon again when the database answers" if away else ""
                loaded = loaded.without(name, why if isinstance(why, TablesRefused) else cause, remedy)
        return evolve(self, loaded=loaded, channels=tuple(_left(one, loaded) for one in self.channels))


def checked(path: Path) -> Settings:
    """Read a configuration, and look for every mistake in it at once: those that only its plugins see are told, too.

    Raises:
        ConfigErrors: There is at least one.
    """
    try:
        return read_settings(path)
    except ConfigErrors as why:
        if why.seen is None:
            raise
        try:
            plan(why.seen)
        except ConfigErrors as more:
            raise ConfigErrors(dict.fromkeys((*why.mistakes, *more.mistakes))) from None
        raise


def plan(settings: Settings, installed: tuple[Installed, ...] | None = None) -> Plan:
    """Import the named plugins and check every section.

    A plugin that fails takes its channels with it and nobody else's; a mistake in a section of a plugin that works is the
    operator's and stops the start.

    Raises:
        ConfigErrors: All mistakes of all sections.
    """
    loaded = load(wanted(settings), discover(beside=settings.file) if installed is None else installed)
    mistakes: list[Mistake] = []
    channels = [_channel(settings, section, loaded, mistakes) for section in settings.channels]
    plugin_settings = {}
    for name, offers in loaded.offers.items():
        options = settings.plugin_sections.get(name, {})
        try:
            plugin_settings[name] = structure_section(
                settings, f"plugins.{name}", options, offers.settings or NoSettings
            )
        except ConfigErrors as found:
            mistakes += found.mistakes
    api = ApiSettings()
    try:
        api = structure_section(settings, "api", settings.api, ApiSettings)
    except ConfigErrors as found:
        mistakes += found.mistakes
    if mistakes:
        raise ConfigErrors(mistakes)
    return Plan(loaded=loaded, channels=tuple(channels), plugin_settings=plugin_settings, api=api)


def _left(channel: PlannedChannel, loaded: Loaded) -> PlannedChannel:
    """Return the channel with the reason why it cannot run any more, if its plugin is not there any more."""
    if channel.failure is not None:
        return channel
    try:
        loaded.connector(channel.section.kind)
    except PluginFailed as why:
        return PlannedChannel(section=channel.section, failure=why.failure)
    return channel


def _channel(settings: Settings, section: ChannelSection, loaded: Loaded, mistakes: list[Mistake]) -> PlannedChannel:
    try:
        offer = loaded.connector(section.kind)
        own = structure_section(settings, f"channels.{section.id}", section.options, offer.settings)
        if section.menu and section.menu not in (offered := loaded.menus(section.menu.partition(".")[0])):
            fix = did_you_mean(section.menu, offered) or "That plugin offers no menu: remove the key"
            key = f"channels.{section.id}.menu"
            raise ConfigErrors([settings.mistake(key, f"there is no menu {section.menu!r}", fix)])
        url = f"{settings.public_url}/in/{section.id}/"
        told = Channel(id=section.id, name=section.name, kind=section.kind, settings=own, url=url)
        return PlannedChannel(section=section, factory=loaded.factory(section.kind), channel=told)
    except PluginFailed as why:
        return PlannedChannel(section=section, failure=why.failure)
    except ConfigErrors as found:
        mistakes += found.mistakes
        return PlannedChannel(section=section)
