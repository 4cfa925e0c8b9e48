"""What a plugin may offer. Its offers are taken whole or not at all."""

from __future__ import annotations

import importlib
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias, TypeVar, cast

from attrs import field, frozen

from fernamt.connector import Channel, Connector, ConnectorContext, PluginContext
from fernamt.effects import Effect, Job, Subscriber
from fernamt.errors import FernamtError
from fernamt.menu import Menu
from fernamt.services import Question

_S = TypeVar("_S")
_A = TypeVar("_A")
Factory: TypeAlias = Callable[[Channel[Any], ConnectorContext], Connector]
RunJob: TypeAlias = Callable[[Job, PluginContext[Any]], Awaitable[Sequence[Effect]]]
Answer: TypeAlias = Callable[[Any, PluginContext[Any]], Awaitable[Any]]
_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_PREFIX: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


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

    def menu(self, name: str, menu: Menu) -> None:
        """Offer what can talk in turns; a channel chooses it with ``menu = "<plugin>.<name>"``."""
        ...

    def subscriber(self, name: str, subscriber: Subscriber, *, entries: Collection[str]) -> None:
        """Be told of entries of these kinds, in order within a conversation, each once, from the first start on.

        A plugin is not told of what it wrote itself. One that raises is told again later, with growing pauses; it holds up
        itself in that conversation, and nobody else.
        """
        ...

    def job(self, name: str, run: RunJob) -> None:
        """Offer what a :class:`fernamt.Job` of that name runs: at least once, by one runner at a time.

        Its effects commit together with its end. ``ChannelError`` decides like ``send`` whether it is tried again; any other
        error is tried again with growing pauses, then parked for a person.
        """
        ...

    def service(self, question: type[Question[_A]], answer: Callable[[Any, PluginContext[Any]], Awaitable[_A]]) -> None:
        """Answer questions of a type; of two plugins that do, both are refused."""
        ...

    def tables(self, *, prefix: str, migrations: str) -> None:
        """Keep own tables: all names begin with *prefix*, a name in snake case that begins with the plugin's.

        They are used through ``context.tables``. The scripts of all versions run in one transaction when the daemon starts; if
        one fails, or changes anything outside *prefix*, or makes a foreign key to it, the plugin is refused and all else runs.

        Args:
            prefix: For instance ``csat``; the version table is ``<prefix>_version``.
            migrations: The package that holds the Alembic scripts themselves, ``fernamt_csat.migrations``; it needs no
                ``env.py``. They are written for SQLite and PostgreSQL, and end no transaction themselves.
        """
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


@frozen
class SubscriberOffer:
    """A subscriber and the kinds of entries that it wants to be told of."""

    subscriber: Subscriber
    kinds: frozenset[str]


@frozen
class TablesOffer:
    """Tables of a plugin's own."""

    prefix: str
    migrations: str


@frozen(kw_only=True)
class Offers:
    """All that one plugin offers."""

    plugin: str
    settings: type[Any] | None = None
    connectors: Mapping[str, ConnectorOffer] = field(factory=dict)
    commands: Mapping[str, Callable[..., int]] = field(factory=dict)
    menus: Mapping[str, Menu] = field(factory=dict)
    subscribers: Mapping[str, SubscriberOffer] = field(factory=dict)
    jobs: Mapping[str, RunJob] = field(factory=dict)
    services: Mapping[type[Question[Any]], Answer] = field(factory=dict)
    tables: TablesOffer | None = None


class Draft:
    """Collects the offers of one plugin; nothing of it counts before :meth:`finished`."""

    def __init__(self, plugin: str) -> None:
        self._plugin = plugin
        self._settings: type[Any] | None = None
        self._connectors: dict[str, ConnectorOffer] = {}
        self._commands: dict[str, Callable[..., int]] = {}
        self._menus: dict[str, Menu] = {}
        self._subscribers: dict[str, SubscriberOffer] = {}
        self._jobs: dict[str, RunJob] = {}
        self._services: dict[type[Question[Any]], Answer] = {}
        self._tables: TablesOffer | None = None

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

    def menu(self, name: str, menu: Menu) -> None:
        """See :meth:`Registry.menu`."""
        self._menus[self._new("menu", name, self._menus)] = menu

    def subscriber(self, name: str, subscriber: Subscriber, *, entries: Collection[str]) -> None:
        """See :meth:`Registry.subscriber`."""
        if isinstance(entries, str) or not entries:
            raise OfferRefused(
                f"subscriber {name!r} must name the kinds of entries that it wants, such as {{'solved'}}"
            )
        offer = SubscriberOffer(subscriber, frozenset(entries))
        self._subscribers[self._new("subscriber", name, self._subscribers)] = offer

    def job(self, name: str, run: RunJob) -> None:
        """See :meth:`Registry.job`."""
        self._jobs[self._new("job", name, self._jobs)] = run

    def service(self, question: type[Question[_A]], answer: Callable[[Any, PluginContext[Any]], Awaitable[_A]]) -> None:
        """See :meth:`Registry.service`."""
        if question in self._services:
            raise OfferRefused(f"service {question.__name__} was offered twice")
        self._services[question] = answer

    def tables(self, *, prefix: str, migrations: str) -> None:
        """See :meth:`Registry.tables`."""
        plugin = self._plugin.replace("-", "_")
        if self._tables is not None:
            raise OfferRefused("its tables were declared twice")
        if not _PREFIX.fullmatch(prefix) or (prefix != plugin and not prefix.startswith(f"{plugin}_")):
            raise OfferRefused(f"the prefix {prefix!r} of its tables must be {plugin!r} or begin with {plugin + '_'!r}")
        self._tables = TablesOffer(prefix, migrations)

    def _new(self, kind: str, name: str, offered: Mapping[str, object]) -> str:
        if not _NAME.fullmatch(name):
            raise OfferRefused(f"{kind} {name!r} must be lower-case letters and digits, joined by single hyphens")
        if name in offered:
            raise OfferRefused(f"{kind} {name!r} was offered twice")
        return name

    def finished(self) -> Offers:
        """Return what was offered."""
        return Offers(
            plugin=self._plugin,
            settings=self._settings,
            connectors=self._connectors,
            commands=self._commands,
            menus=self._menus,
            subscribers=self._subscribers,
            jobs=self._jobs,
            services=self._services,
            tables=self._tables,
        )
