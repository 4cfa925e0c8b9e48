"""What a plugin may offer. Its offers are taken whole or not at all."""

from __future__ import annotations

import importlib
import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Final, TypeAlias, TypeVar, cast

from attrs import evolve, field, frozen

from fernamt.connector import Channel, Connector, ConnectorContext, PluginContext
from fernamt.effects import Effect, Job, Subscriber
from fernamt.errors import FernamtError
from fernamt.menu import Menu
from fernamt.services import Question

_S = TypeVar("_S")
_A = TypeVar("_A")
_K = TypeVar("_K")
_V = TypeVar("_V")
Factory: TypeAlias = Callable[[Channel[Any], ConnectorContext], Connector]
RunJob: TypeAlias = Callable[[Job, PluginContext[Any]], Awaitable[Sequence[Effect]]]
_Answers: TypeAlias = Callable[[Any, PluginContext[Any]], Awaitable[_A]]
Answer: TypeAlias = Callable[[Any, PluginContext[Any]], Awaitable[Any]]
_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_PREFIX: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


class OfferRefused(FernamtError):
    """A plugin offered something that cannot be taken; the text says what and why."""


class Registry:
    """What ``fernamt_register`` is given. Whatever it cannot take it refuses with :class:`OfferRefused`."""

    def __init__(self, plugin: str) -> None:
        self._offers = Offers(plugin=plugin)

    def settings(self, settings: type[object]) -> None:
        """Declare the attrs class of the plugin's own section ``[plugins.<name>]``."""
        if self._offers.settings is not None:
            raise OfferRefused("its settings were declared twice")
        self._offers = evolve(self._offers, settings=settings)

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
        plugin = self._offers.plugin
        if kind != plugin and not kind.startswith(f"{plugin}."):
            raise OfferRefused(f"kind {kind!r} must be {plugin!r} or begin with {plugin + '.'!r}")
        if isinstance(factory, str) and not all(factory.partition(":")):
            raise OfferRefused(f"factory {factory!r} must look like 'package.module:Class'")
        offer = ConnectorOffer(kind=kind, plugin=plugin, settings=settings, factory=factory, about=about)
        _put(self._offers.connectors, kind, offer, f"kind {kind!r}")

    def command(self, name: str, run: Callable[..., int]) -> None:
        """Offer a command ``fernamt <plugin> <name>``: a typed function that returns the exit code.

        It has no context. One that is about a channel reads its settings with ``channel_settings(config, channel, kinds)``.
        """
        _put(self._offers.commands, name, run, f"command {name!r}")

    def menu(self, name: str, menu: Menu) -> None:
        """Offer what can talk in turns; a channel chooses it with ``menu = "<plugin>.<name>"``."""
        _put(self._offers.menus, name, menu, _named("menu", name))

    def node(self, kind: str, node: type[Any]) -> None:
        """Offer a node for menus that others write: a frozen attrs class that is a :class:`fernamt.Node`, its fields the keys.

        The kind is the plugin's name, a dot and one more word; in TOML it stands as ``kind = "<plugin>.<word>"``.
        """
        plugin, dot, word = kind.partition(".")
        if plugin != self._offers.plugin or not dot or not _NAME.fullmatch(word):
            raise OfferRefused(f"node {kind!r} must be {self._offers.plugin!r}, a dot and a word")
        if not all(hasattr(node, one) for one in ("exits", "enter", "resume", "__attrs_attrs__")):
            raise OfferRefused(f"node {kind!r} must be an attrs class with exits, enter and resume")
        _put(self._offers.nodes, kind, node, f"node {kind!r}")

    def subscriber(self, name: str, subscriber: Subscriber, *, entries: Collection[str]) -> None:
        """Be told of entries of these kinds, in order within a conversation, each once, from the first start on.

        A plugin is not told of what it wrote itself. One that raises is told again later, with growing pauses; it holds up
        itself in that conversation, and nobody else.
        """
        if isinstance(entries, str) or not entries:
            raise OfferRefused(
                f"subscriber {name!r} must name the kinds of entries that it wants, such as {{'solved'}}"
            )
        offer = SubscriberOffer(subscriber, frozenset(entries))
        _put(self._offers.subscribers, name, offer, _named("subscriber", name))

    def job(self, name: str, run: RunJob) -> None:
        """Offer what a :class:`fernamt.Job` of that name runs: at least once, by one runner at a time.

        Its effects commit together with its end. ``ChannelError`` decides like ``send`` whether it is tried again; any other
        error is tried again with growing pauses, then parked for a person.
        """
        _put(self._offers.jobs, name, run, _named("job", name))

    def service(self, question: type[Question[_A]], answer: _Answers[_A], *, default: bool = False) -> None:
        """Answer questions of a type; of two plugins that do, both are refused. A *default* is asked where nobody else answers."""
        _put(self._offers.services, question, answer, f"service {question.__name__}")
        if default:
            self._offers.defaults.add(question)

    def tables(self, *, prefix: str, migrations: str) -> None:
        """Keep own tables: all names begin with *prefix*, a name in snake case that begins with the plugin's.

        They are used through ``context.tables``. The scripts of all versions run in one transaction when the daemon starts; if
        one fails, or changes anything outside *prefix*, or makes a foreign key to it, the plugin is refused and all else runs.

        Args:
            prefix: For instance ``csat``; the version table is ``<prefix>_version``.
            migrations: The package that holds the Alembic scripts themselves, ``fernamt_csat.migrations``; it needs no
                ``env.py``. They are written for SQLite and PostgreSQL, and end no transaction themselves.
        """
        plugin = self._offers.plugin.replace("-", "_")
        if self._offers.tables is not None:
            raise OfferRefused("its tables were declared twice")
        if not _PREFIX.fullmatch(prefix) or (prefix != plugin and not prefix.startswith(f"{plugin}_")):
            raise OfferRefused(f"the prefix {prefix!r} of its tables must be {plugin!r} or begin with {plugin + '_'!r}")
        self._offers = evolve(self._offers, tables=TablesOffer(prefix, migrations))


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
    connectors: dict[str, ConnectorOffer] = field(factory=dict)
    commands: dict[str, Callable[..., int]] = field(factory=dict)
    menus: dict[str, Menu] = field(factory=dict)
    nodes: dict[str, type[Any]] = field(factory=dict)
    subscribers: dict[str, SubscriberOffer] = field(factory=dict)
    jobs: dict[str, RunJob] = field(factory=dict)
    services: dict[type[Question[Any]], Answer] = field(factory=dict)
    defaults: set[type[Question[Any]]] = field(factory=set)
    """Those of the services that step back behind another plugin's."""
    tables: TablesOffer | None = None


class Draft(Registry):
    """The offers of one plugin on their way; nothing of it counts before :meth:`finished`."""

    def finished(self) -> Offers:
        """Return what was offered. What is offered later goes nowhere."""
        offers, self._offers = self._offers, Offers(plugin=self._offers.plugin)
        return offers


def _named(kind: str, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise OfferRefused(f"{kind} {name!r} must be lower-case letters and digits, joined by single hyphens")
    return f"{kind} {name!r}"


def _put(offered: dict[_K, _V], key: _K, offer: _V, what: str) -> None:
    if key in offered:
        raise OfferRefused(f"{what} was offered twice")
    offered[key] = offer
