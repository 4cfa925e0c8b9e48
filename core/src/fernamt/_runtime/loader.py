"""The loader: imports only what is named, and isolates every way in which a plugin can fail."""

from __future__ import annotations

import importlib.metadata
import inspect
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NoReturn

import attrs
import pluggy
from attrs import field, frozen
from packaging.version import Version

from fernamt import hookspecs
from fernamt._runtime.hooks import Plugins
from fernamt._runtime.installed import Installed, OneFile, discover
from fernamt._runtime.menufolder import MenuFolder
from fernamt.errors import FernamtError
from fernamt.registry import ConnectorOffer, Draft, Factory, OfferRefused, Offers
from fernamt.settings import CORE_KEYS, Settings, did_you_mean
from fernamt.settings.structure import check_class

_OURS: Final = str(Path(hookspecs.__file__).parent)
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]*")


@frozen(kw_only=True)
class PluginFailure:
    """Why a plugin, or one kind of it, cannot be used, and what to do next."""

    name: str
    distribution: str
    version: str
    cause: str
    remedy: str
    error: BaseException | None = field(default=None, repr=False, eq=False)
    """For the log."""
    nodes: Mapping[str, type[Any]] = field(factory=dict, repr=False, eq=False)
    """Which it had offered before it failed: so that its author's own menu can be checked while it has mistakes."""

    def __str__(self) -> str:
        origin = f" ({' '.join(filter(None, (self.distribution, self.version)))})" if self.distribution else ""
        return f"plugin {self.name}{origin}: {self.cause}. {self.remedy}"


class PluginFailed(FernamtError):
    """Something of a plugin that was asked for cannot be used; *failure* says why."""

    def __init__(self, failure: PluginFailure) -> None:
        super().__init__(str(failure))
        self.failure = failure


@frozen(kw_only=True)
class Loaded:
    """What came of the plugins that were named."""

    plugins: Plugins
    offers: Mapping[str, Offers]
    """By plugin name."""
    failures: tuple[PluginFailure, ...]
    installed: Mapping[str, Installed]
    """The plugins that were loaded, by name."""
    unread: tuple[PluginFailure, ...] = ()
    """What is out of a plugin that is loaded: menus of the company's own, each by the name that a channel uses."""

    @property
    def faults(self) -> tuple[PluginFailure, ...]:
        """Everything that was asked for and cannot be used."""
        return (*self.failures, *self.unread)

    def without(self, name: str, why: BaseException, remedy: str = "") -> Loaded:
        """Return what is left when the plugin *name* turns out to be unusable."""
        one = self.installed[name]
        failed = _failed(one, _line(why) if isinstance(why, FernamtError) else _said(why), remedy or _report(one), why)
        return attrs.evolve(
            self,
            plugins=self.plugins.without(name),
            offers=MappingProxyType({other: it for other, it in self.offers.items() if other != name}),
            failures=(*self.failures, failed.failure),
        )

    def connector(self, kind: str) -> ConnectorOffer:
        """Return the offer of a kind of channel; raises ``PluginFailed``, with the cause why there is none."""
        name = kind.partition(".")[0]
        for failure in self.failures:
            if failure.name == name:
                raise PluginFailed(failure)
        if name not in self.offers:
            raise PluginFailed(_nobody(name, self.offers))
        if (offer := self.offers[name].connectors.get(kind)) is None:
            kinds = [kind for offers in self.offers.values() for kind in offers.connectors]
            raise _failed(self.installed[name], f"it offers no kind {kind!r}", did_you_mean(kind, kinds) or "Remove it")
        return offer

    def menus(self, plugin: str) -> tuple[str, ...]:
        """Return the names of a plugin's menus, with those that cannot be used.

        Raises:
            PluginFailed: Nothing is known of the plugin's menus, for it cannot be used.
        """
        for failure in self.failures:
            if failure.name == plugin:
                raise PluginFailed(failure)
        return (*(f"{plugin}.{name}" for name in self.offers[plugin].menus), *(one.name for one in self.unread))

    def factory(self, kind: str) -> Factory:
        """Return what makes a connector of this kind, importing its module; raises ``PluginFailed``."""
        offer = self.connector(kind)
        one = self.installed[offer.plugin]
        try:
            factory = offer.load()
        except KeyboardInterrupt:
            raise
        except BaseException as why:  # noqa: BLE001 - a plugin's border: SystemExit must not end the daemon either
            _broken_import(one, str(offer.factory).partition(":")[0], why)
        if not callable(factory):
            raise _failed(one, f"the factory of {kind!r} cannot be called", _report(one))
        return factory


def wanted(settings: Settings) -> tuple[str, ...]:
    """Return the names of the plugins that the settings use: those of the channels' kinds and menus, and the enabled ones."""
    named = [name for section in settings.channels for name in (section.kind, section.menu) if name]
    return tuple(sorted({name.partition(".")[0] for name in named} | {*settings.plugins_enabled}))


def load(
    names: Iterable[str], installed: Iterable[Installed] | None = None, *, core_version: str | None = None
) -> Loaded:
    """Import the plugins called *names* and take what they offer; one that fails stops no other.

    Args:
        names: Entry-point names; nothing else is imported.
        installed: What :func:`discover` found; it is called if this is ``None``.
        core_version: The version that a plugin's contract range must contain; our own if this is ``None``.
    """
    known = discover() if installed is None else tuple(installed)
    ours = Version(core_version or importlib.metadata.version("fernamt"))
    taken: dict[str, tuple[Installed, Any, Offers]] = {}
    failures = []
    for name in sorted(set(names)):
        claims = [one for one in known if one.name == name]
        try:
            if not claims:
                raise PluginFailed(_nobody(name, [one.name for one in known]))
            if len(claims) == 1:
                taken[name] = (claims[0], *_taken(claims[0], ours, [plugin for _, plugin, _ in taken.values()]))
        except PluginFailed as why:
            failures.append(why.failure)
        if len(claims) > 1:
            several = " and ".join(f"{one.distribution} {one.version}".rstrip() for one in claims)
            failures += [
                _failed(one, f"{several} claim the same name", "Uninstall one, or remove its file").failure
                for one in claims
            ]
    registered = _empty()
    # pluggy calls last what was registered first.
    for name, (_, plugin, _) in reversed(taken.items()):
        registered.register(plugin, name=name)
    unread = [one for installed, plugin, _ in taken.values() for one in _unread(installed, plugin)]
    return Loaded(
        plugins=Plugins(registered),
        unread=tuple(unread),
        offers=MappingProxyType({name: offers for name, (_, _, offers) in taken.items()}),
        failures=tuple(failures),
        installed=MappingProxyType({name: one for name, (one, _, _) in taken.items()}),
    )


def _unread(one: Installed, plugin: Any) -> Iterator[PluginFailure]:
    if not isinstance(one.entry_point, MenuFolder):
        return
    for file, why in plugin.unread.items():
        place = f"{one.distribution}/{file}"
        yield PluginFailure(
            name=f"{one.name}.{Path(file).stem}",
            distribution=place,
            version="",
            cause=_line(why),
            remedy=f"Correct it; fernamt menu check {place} tells everything",
        )


def load_one(name: str, installed: Iterable[Installed] | None = None) -> Offers:
    """Return what the one plugin called *name* offers, for a command; raises ``PluginFailed``."""
    loaded = load([name], installed)
    for failure in loaded.failures:
        raise PluginFailed(failure)
    return loaded.offers[name]


def _taken(one: Installed, ours: Version, others: list[Any]) -> tuple[Any, Offers]:
    if not _NAME.fullmatch(one.name):
        raise _failed(one, "its name is not made of small letters, digits, '-' and '_'", _report(one))
    if one.name == "core":
        raise _failed(one, "'core' is the core's own name", _report(one))
    if unfit := one.unfit(ours):
        raise _failed(one, *unfit)
    try:
        plugin = one.entry_point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as why:  # noqa: BLE001 - a plugin's border: SystemExit must not end the daemon either
        _broken_import(one, one.entry_point.value.partition(":")[0], why)
    if any(plugin is other for other in others):
        raise _failed(one, f"{one.entry_point.value!r} is the plugin of another name already", _report(one))
    return plugin, _offered(one, plugin)


def _offered(one: Installed, plugin: Any) -> Offers:
    draft = Draft(one.name)
    try:
        for implementation in _hooks_of(one, plugin):
            if implementation.name == "fernamt_register":
                implementation.function(*[draft for _ in implementation.arguments])
        offers = draft.finished()
        for kind, offer in offers.connectors.items():
            check_class(offer.settings)
            if clash := {it.alias for it in attrs.fields(offer.settings)}.intersection(CORE_KEYS):
                raise OfferRefused(
                    f"the settings of {kind!r} have keys that are the core's: {', '.join(sorted(clash))}"
                )
        for node in offers.nodes.values():
            check_class(node)
        if offers.settings is not None:
            check_class(offers.settings)
    except (PluginFailed, KeyboardInterrupt):
        raise
    except OfferRefused as why:
        raise _failed(one, str(why), _report(one), why) from None
    except BaseException as why:  # noqa: BLE001 - a plugin's border: SystemExit must not end the daemon either
        failed = _failed(one, f"fernamt_register failed: {_said(why)}", _report(one), why).failure
        raise PluginFailed(attrs.evolve(failed, nodes=draft.finished().nodes)) from None
    return offers


@frozen
class _Hook:
    name: str
    function: Any
    arguments: tuple[str, ...]


def _hooks_of(one: Installed, plugin: Any) -> list[_Hook]:
    """Return the hooks that the plugin implements, registered on trial: nothing remains of one that is refused."""
    trial = _empty()
    try:
        trial.register(plugin, name=one.name)
    except pluggy.PluginValidationError as why:
        declared = re.search(r"definition: (fernamt_\w+)(.*)", str(why))
        cause = f"{declared[1]}{declared[2]} takes what the hook does not give" if declared else _line(why)
        spec = getattr(hookspecs, declared[1]) if declared else hookspecs.fernamt_register
        fix = f"It may take: {', '.join(inspect.signature(spec).parameters) or 'nothing'}"
        raise _failed(one, cause, fix, why) from None
    hooks = []
    for caller in trial.get_hookcallers(plugin) or ():
        [found] = caller.get_hookimpls()
        if not caller.has_spec() and not found.optionalhook:
            names = [name for name in vars(hookspecs) if name.startswith("fernamt_")]
            raise _failed(one, f"there is no hook {caller.name!r}", did_you_mean(caller.name, names))
        if inspect.iscoroutinefunction(found.function) or inspect.isgeneratorfunction(found.function):
            raise _failed(one, f"{caller.name!r} must be a plain function, neither async nor a wrapper", _report(one))
        hooks.append(_Hook(caller.name, found.function, tuple(found.argnames)))
    if not hooks:
        raise _failed(one, "it marks nothing with @hookimpl", _report(one))
    return hooks


def _empty() -> pluggy.PluginManager:
    registered = pluggy.PluginManager(hookspecs.PROJECT)
    registered.add_hookspecs(hookspecs)
    return registered


def _broken_import(one: Installed, module: str, why: BaseException) -> NoReturn:
    again = f"Install {one.distribution} again, with its dependencies"
    if isinstance(one.entry_point, OneFile):
        again = "Install what it needs into the environment of fernamt"
    if isinstance(why, ModuleNotFoundError) and why.name:
        own = module == why.name or module.startswith(f"{why.name}.")
        cause = (
            f"its module {why.name!r} is not there" if own else f"it needs the module {why.name!r}, which is missing"
        )
        raise _failed(one, cause, again, why) from None
    if isinstance(why, SyntaxError):
        place = f"{Path(why.filename or module).name}, line {why.lineno}"
        raise _failed(one, f"{place} is no Python that this interpreter reads: {why.msg}", _report(one), why) from None
    raise _failed(one, f"importing {module!r} failed: {_said(why)}", _report(one), why) from None


def _nobody(name: str, known: Iterable[str]) -> PluginFailure:
    near = did_you_mean(name, set(known))
    remedy = near if near.startswith("Did") else f"Install its distribution, for instance: pip install fernamt-{name}"
    return PluginFailure(name=name, distribution="", version="", cause="it is not installed", remedy=remedy)


def _failed(one: Installed, cause: str, remedy: str, error: BaseException | None = None) -> PluginFailed:
    return PluginFailed(
        PluginFailure(
            name=one.name,
            distribution=one.distribution or one.entry_point.value,
            version=one.version,
            cause=cause,
            remedy=remedy,
            error=error,
        )
    )


def _report(one: Installed) -> str:
    if isinstance(one.entry_point, OneFile):
        return f"Correct {one.distribution}"
    if isinstance(one.entry_point, MenuFolder):
        return f"fernamt menu check {one.distribution}/NAME.toml tells everything"
    return f"Report it to its author{': ' + one.issues if one.issues else ', or use another version'}"


def _said(why: BaseException) -> str:
    frames = [frame for frame in traceback.extract_tb(why.__traceback__) if not frame.filename.startswith(_OURS)]
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(why).__name__}: {_line(why)}{place}"


def _line(why: BaseException) -> str:
    try:
        return " ".join(str(why).split())[:300]
    except Exception:  # noqa: BLE001 - even the text of a stranger's exception may raise
        return "(its text cannot be read)"
