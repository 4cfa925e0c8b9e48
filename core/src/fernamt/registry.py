"""What a plugin may offer. Its offers are taken whole or not at all."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias, TypeVar, cast

from attrs import field, frozen

from fernamt.connector import Channel, Connector, ConnectorContext
from fernamt.errors import FernamtError

_S = TypeVar("_S")
Factory: TypeAlias = Callable[[Channel[Any], ConnectorContext], Connector]


class OfferRefused(FernamtError):
    """A plugin offered something that cannot be taken; the text says what and why."""


class Registry(Protocol):
    """What ``fernamt_register`` is given."""

    def settings(self, settings: type[object]) -> None:
        """Declare the attrs class of the plugin's own section ``[plugins.<name>]``."""
        ...

    def connector(
        self,
        kind: str,
        *,
        settings: type[_S],
        factory: str | Callable[[Channel[_S], ConnectorContext], Connector],
        about: str,
    ) -> None:
        """Offer a kind of channel.

        Args:
            kind: The plugin's entry-point name, or that name, a dot and one more word (``email.imap``).
            settings: The attrs class of a channel's section; its fields are the keys that an operator writes.
            factory: The connector's class, or its place ``"package.module:Class"``, imported only when a channel needs it.
            about: One line for ``fernamt plugins``.

        Raises:
            OfferRefused: The kind is not the plugin's own, or it was offered before.
        """
        ...

    def command(self, name: str, run: Callable[..., int]) -> None:
        """Offer a command ``fernamt <plugin> <name>``: a typed function that returns the exit code."""
        ...


@frozen(kw_only=True)
class ConnectorOffer:
    """One kind of channel that somebody offers."""

    kind: str
    plugin: str
    settings: type[Any]
    factory: str | Factory
    about: str

    def load(self) -> Factory:
        """Return the factory, importing its module if only its place is known. Raises whatever that import raises."""
        if not isinstance(self.factory, str):
            return self.factory
        module, _, name = self.factory.partition(":")
        return cast("Factory", getattr(importlib.import_module(module), name))


@frozen(kw_only=True)
class Offers:
    """All that one plugin offers."""

    plugin: str
    settings: type[Any] | None = None
    connectors: Mapping[str, ConnectorOffer] = field(factory=dict)
    commands: Mapping[str, Callable[..., int]] = field(factory=dict)


class Draft:
    """Collects the offers of one plugin; nothing of it counts before :meth:`finished`."""

    def __init__(self, plugin: str) -> None:
        self._plugin = plugin
        self._settings: type[Any] | None = None
        self._connectors: dict[str, ConnectorOffer] = {}
        self._commands: dict[str, Callable[..., int]] = {}

    def settings(self, settings: type[object]) -> None:
        """See :meth:`Registry.settings`."""
        if self._settings is not None:
            raise OfferRefused("its settings were declared twice")
        self._settings = settings

    def connector(
        self,
        kind: str,
        *,
        settings: type[_S],
        factory: str | Callable[[Channel[_S], ConnectorContext], Connector],
        about: str,
    ) -> None:
        """See :meth:`Registry.connector`."""
        if kind != self._plugin and not kind.startswith(f"{self._plugin}."):
            raise OfferRefused(f"kind {kind!r} must be {self._plugin!r} or begin with {self._plugin + '.'!r}")
        if kind in self._connectors:
            raise OfferRefused(f"kind {kind!r} was offered twice")
        if isinstance(factory, str) and not all(factory.partition(":")):
            raise OfferRefused(f"factory {factory!r} must look like 'package.module:Class'")
        self._connectors[kind] = ConnectorOffer(
            kind=kind, plugin=self._plugin, settings=settings, factory=factory, about=about
        )

    def command(self, name: str, run: Callable[..., int]) -> None:
        """See :meth:`Registry.command`."""
        if name in self._commands:
            raise OfferRefused(f"command {name!r} was offered twice")
        self._commands[name] = run

    def finished(self) -> Offers:
        """Return what was offered."""
        return Offers(
            plugin=self._plugin, settings=self._settings, connectors=self._connectors, commands=self._commands
        )
