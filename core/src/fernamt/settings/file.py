"""The sections of ``fernamt.toml`` that are the core's own, and how a plugin's section becomes its class."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

import attrs
from attrs import Factory, field, frozen
from attrs.validators import ge, gt, le

from fernamt.model import ChannelId
from fernamt.settings.mistake import ConfigErrors, Finding, Mistake, Wrong, did_you_mean
from fernamt.settings.notices import NoticeReading
from fernamt.settings.prices import Prices, check_prices
from fernamt.settings.quiet import QuietHours
from fernamt.settings.secret import HOW_TO_REFER, resolve
from fernamt.settings.source import Lines, Source, line_of, read_source
from fernamt.settings.structure import structure
from fernamt.settings.wording import NoticeTemplate

_T = TypeVar("_T")
_EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})
_CHANNEL_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_MENU: Final = re.compile(r"[a-z][a-z0-9_-]*\.[a-z0-9-]+")
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_KIND: Final = re.compile(r"[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)?")

_QUIET: Final = QuietHours()
CORE_KEYS: Final = (
    "kind",
    "name",
    "enabled",
    "hold_s",
    "retry_for_h",
    "reopen_days",
    "media_max_mb",
    "menu",
    "menu_wait_min",
    "language",
    "prices",
)
"""The keys of ``[channels.<id>]`` that are the core's; every other one is the plugin's."""
_SECTIONS: Final = ("plugins", "channels", "notices", "api")
OVERRIDES: Final[Mapping[str, str]] = MappingProxyType(
    {"store": "FERNAMT_STORE", "public_url": "FERNAMT_PUBLIC_URL", "listen": "FERNAMT_LISTEN"}
)
"""The environment's name for the keys that it overrides."""


def _listen(_: object, __: object, value: str) -> None:
    host, _colon, port = value.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not bare or (":" in bare and bare == host) or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise ValueError("must be host:port, for instance 127.0.0.1:8080 or [::1]:8080")


def _public_url(_: object, __: object, value: str) -> None:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError("must be the address under which providers reach us, for instance https://service.example.org")


def _kind(_: object, __: object, value: str) -> None:
    if not _KIND.fullmatch(value):
        raise ValueError("must be the name of a plugin, or that name, a dot and one more word, for instance email.imap")


def _menu(_: object, __: object, value: str) -> None:
    if value and not _MENU.fullmatch(value):
        raise ValueError("must be the name of a plugin, a dot and one of its menus, for instance shop.main")


def _language(_: object, __: object, value: str) -> None:
    if value and not _LANGUAGE.fullmatch(value):
        raise ValueError("must be the tag of a language, for instance de or pt-BR")


@frozen(kw_only=True)
class LogSettings:
    """How the daemon logs. ``auto``: for people on a terminal, as JSON elsewhere."""

    format: Literal["auto", "json", "console"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


@frozen(kw_only=True)
class HttpSettings:
    """How plugins reach providers."""

    allow_private: tuple[str, ...] = ()
    """Hosts or ``host:port`` in the own network that may be called; every other private address is refused."""


@frozen(kw_only=True)
class NoSettings:
    """The class of a plugin's section when the plugin declares none: every key is unknown."""


@frozen(kw_only=True)
class ChannelSection:
    """One ``[channels.<id>]``; *options* are the plugin's own keys, as they stand in the file."""

    id: ChannelId
    kind: str = field(validator=_kind)
    name: str = field(default=Factory(lambda self: str(self.id), takes_self=True))
    """For people."""
    hold_s: float = field(default=300.0, validator=ge(0))
    """How long a retry may hold its lane."""
    retry_for_h: float = field(default=72.0, validator=gt(0))
    reopen_days: float = field(default=14.0, validator=ge(0))
    """How long after its solution a conversation is reopened by an answer."""
    menu: str = field(default="", validator=_menu)
    """Of whoever calls or writes here, ``<plugin>.<name>``."""
    menu_wait_min: float = field(default=1_440.0, validator=[gt(0), le(43_200)])
    """In writing an answer is waited for so long, and once more after it was asked again."""
    language: str = field(default="", validator=_language)
    """That they begin in."""
    media_max_mb: float = field(default=100.0, validator=gt(0))
    """A file that is fetched from the provider is at most so large."""
    prices: Mapping[str, str] = field(default=_EMPTY, validator=check_prices)
    """What a part costs: ``Prices.of`` reads it."""
    options: Mapping[str, object] = field(default=_EMPTY, repr=False)


@frozen(kw_only=True)
class Settings:
    """All that ``fernamt.toml`` and the environment say, except what only a plugin's class can check."""

    file: Path
    store: str = field(default="sqlite:///fernamt.db", repr=lambda store: repr(store.partition(":")[0]))
    """May contain a password: never log it. The path of an SQLite store is absolute."""
    listen_url: str = field(default="", repr=False)
    """The PostgreSQL server itself, where the store's address is a pooler's; may contain a password."""
    public_url: str = "http://127.0.0.1:8080"
    """Without a slash at the end."""
    listen: str = "127.0.0.1:8080"
    log: LogSettings = LogSettings()
    http: HttpSettings = HttpSettings()
    quiet_hours: QuietHours = _QUIET
    plugins_enabled: tuple[str, ...] = ()
    plugin_sections: Mapping[str, Mapping[str, object]] = field(default=_EMPTY, repr=False)
    channels: tuple[ChannelSection, ...] = ()
    notices: Mapping[str, NoticeTemplate] = _EMPTY
    """By their names."""
    notices_kept: timedelta | None = None
    """Runs of notices that were over so long ago are forgotten; ``None``: none is."""
    api: Mapping[str, object] = field(default=_EMPTY, repr=False)
    """``[api]`` as it stands in the file: only the daemon resolves its secrets."""
    _lines: Lines = field(default=_EMPTY, repr=False, eq=False)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of *listen*."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    def mistake(self, key: str, problem: str, fix: str) -> Mistake:
        """Return a mistake at the dotted *key*, with its line."""
        return Mistake(self.file, line_of(self._lines, key.split(".")), key, problem, fix)


@frozen(kw_only=True)
class _Top:
    store: str = "sqlite:///fernamt.db"
    listen_url: str = ""
    public_url: str = field(default="http://127.0.0.1:8080", validator=_public_url)
    listen: str = field(default="127.0.0.1:8080", validator=_listen)
    log: LogSettings = LogSettings()
    http: HttpSettings = HttpSettings()
    quiet_hours: QuietHours = _QUIET


@frozen(kw_only=True)
class _Plugins:
    enabled: tuple[str, ...] = ()


class _Reading:
    """One pass over a file: it goes on after a mistake, so that all of them are found."""

    def __init__(self, source: Source, environ: Mapping[str, str]) -> None:
        self.source = source
        self.environ = environ
        self.folder = source.file.absolute().parent
        self.found: list[Finding] = []
        self.elsewhere: list[Mistake] = []

    def settings(self) -> Settings:
        data = self.source.data
        top = self.top({key: value for key, value in data.items() if key not in _SECTIONS})
        plugins = self.table(data.get("plugins", {}), "plugins")
        sections = {name: self.table(value, "plugins", name) for name, value in plugins.items() if name != "enabled"}
        chosen = self.fill(_Plugins, {key: plugins[key] for key in plugins if key == "enabled"}, "plugins")
        enabled = tuple(dict.fromkeys(chosen.enabled)) if chosen else ()
        tables = {
            name: self.table(value, "channels", name)
            for name, value in self.table(data.get("channels", {}), "channels").items()
        }
        channels = [self.channel(name, table) for name, table in tables.items()]
        kinds = [kind for table in tables.values() if isinstance(kind := table.get("kind"), str)]
        menus = [menu for table in tables.values() if isinstance(menu := table.get("menu"), str)]
        self.unused(sections, {*enabled, *(name.partition(".")[0] for name in (*kinds, *menus))})
        notices = NoticeReading(self.source, tables)
        notices.read(data.get("notices", {}))
        self.found += notices.found
        self.elsewhere += notices.mistakes
        top = top or _Top()
        settings = Settings(
            file=self.source.file,
            store=top.store,
            listen_url=top.listen_url,
            public_url=top.public_url.rstrip("/"),
            listen=top.listen,
            log=top.log,
            http=top.http,
            quiet_hours=top.quiet_hours,
            plugins_enabled=enabled,
            plugin_sections=sections,
            channels=tuple(channel for channel in channels if channel is not None),
            notices=notices.templates,
            notices_kept=notices.kept,
            api=self.table(data.get("api", {}), "api"),
            lines=self.source.lines,
        )
        if self.found or self.elsewhere:
            raise ConfigErrors(self.mistakes(), seen=settings)
        return settings

    def top(self, raw: dict[str, Any]) -> _Top | None:
        raw |= {key: self.environ[name] for key, name in OVERRIDES.items() if name in self.environ}
        top = self.fill(_Top, raw, also_known=_SECTIONS)
        addresses = {"store": raw.get("store", _Top().store), "listen_url": raw.get("listen_url", "")}
        for key, address in addresses.items():
            if isinstance(address, str) and address:
                try:
                    addresses[key] = _store(
                        address, self.folder, self.environ, literal=OVERRIDES.get(key) in self.environ
                    )
                    if key == "listen_url" and not addresses[key].startswith("postgresql"):
                        raise Wrong("this is no PostgreSQL server", "Leave it away: only PostgreSQL needs it")
                except Wrong as why:
                    self.found.append(Finding((key,), why.problem, why.fix))
        return attrs.evolve(top, **addresses) if top else None

    def channel(self, name: str, table: Mapping[str, Any]) -> ChannelSection | None:
        if not _CHANNEL_ID.fullmatch(name):
            fix = "Write at most 63 small letters, digits and hyphens, for instance [channels.support-mail]"
            self.found.append(Finding(("channels", name), "this cannot be the id of a channel", fix))
        core = {key: table[key] for key in CORE_KEYS if key in table}
        enabled = core.pop("enabled", True)
        if not isinstance(enabled, bool):
            self.found.append(
                Finding(("channels", name, "enabled"), "must be true or false", "Write it without quotes")
            )
        if "kind" not in core:
            slip = get_close_matches("kind", list(table), n=1)
            fix = f"Is {slip[0]!r} meant to be it?" if slip else "Say what it is, for instance kind = 'email.imap'"
            self.found.append(Finding(("channels", name, "kind"), "is missing", fix))
            core["kind"] = "unknown"
        section = self.fill(ChannelSection, {**core, "id": name}, "channels", name)
        if section is None and isinstance(core["kind"], str) and _KIND.fullmatch(core["kind"]):
            # The other keys may be right or wrong: the plugin shall say so in the same round.
            section = ChannelSection(id=ChannelId(name), kind=core["kind"])
        if section is None or enabled is not True:
            return None
        return attrs.evolve(section, options={key: value for key, value in table.items() if key not in CORE_KEYS})

    def unused(self, sections: Mapping[str, object], used: set[str]) -> None:
        for name in sorted(sections.keys() - used):
            near = did_you_mean(name, used)
            fix = near if near.startswith("Did") else f"Add {name!r} to [plugins] enabled, or remove the section"
            self.found.append(Finding(("plugins", name), "no channel uses this plugin, and it is not enabled", fix))

    def table(self, raw: object, *path: str) -> Mapping[str, Any]:
        if isinstance(raw, Mapping):
            return raw
        self.found.append(Finding(path, "must be a section", f"Write [{'.'.join(path)}] and its keys below"))
        return _EMPTY

    def fill(self, cls: type[_T], raw: Mapping[str, object], *path: str, also_known: tuple[str, ...] = ()) -> _T | None:
        value, found = structure(raw, cls, folder=self.folder, environ=self.environ, also_known=also_known)
        self.found += [attrs.evolve(finding, path=(*path, *finding.path)) for finding in found]
        return value

    def mistakes(self) -> list[Mistake]:
        return self.elsewhere + [
            Mistake(Path("environment"), 0, name, finding.problem, finding.fix)
            if (name := OVERRIDES.get(".".join(finding.path), "")) in self.environ
            else self.source.mistake(finding)
            for finding in self.found
        ]


def read_settings(path: Path, *, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the file, and the few keys that the environment overrides. A plugin's keys are only collected.

    Raises:
        ConfigErrors: With every mistake that can be seen without a plugin: by file, line and key, with a remedy.
    """
    return _Reading(read_source(path), environ).settings()


def channel_settings(config: Path, channel: str, kinds: Mapping[str, type[_T]]) -> _T:
    """Return the settings of one channel, for a command of its plugin: ``fernamt <plugin> <command> <channel>``.

    Args:
        config: The configuration file.
        channel: The id of the channel.
        kinds: The kinds that the command is for, each with the class of its settings.

    Raises:
        ConfigErrors: With all mistakes of the file or of the section; there is no such channel, or it is of another kind.
    """
    settings = read_settings(config)
    found = _channel(settings, channel)
    if found.kind not in kinds:
        problem = f"it is of the kind {found.kind!r}"
        raise ConfigErrors([settings.mistake(f"channels.{channel}.kind", problem, f"This is for {', '.join(kinds)}")])
    return structure_section(settings, f"channels.{channel}", found.options, kinds[found.kind])


def channel_prices(config: Path, channel: str) -> Prices:
    """Return what a part costs on a channel, for a command of its plugin; raises ``ConfigErrors`` as ``channel_settings`` does."""
    return Prices.of(_channel(read_settings(config), channel).prices)


def _channel(settings: Settings, channel: str) -> ChannelSection:
    found = next((one for one in settings.channels if one.id == channel), None)
    if found is None:
        fix = did_you_mean(channel, [one.id for one in settings.channels]) or "fernamt channels lists those that ran"
        raise ConfigErrors([settings.mistake(f"channels.{channel}", "there is no such channel", fix)])
    return found


def structure_section(
    settings: Settings,
    section: str,
    options: Mapping[str, object],
    cls: type[_T],
    *,
    environ: Mapping[str, str] = os.environ,
) -> _T:
    """Return *options*, which stand in ``[<section>]``, as an instance of the plugin's class *cls*, secrets resolved.

    Raises:
        ConfigErrors: With all mistakes: unknown and missing keys, wrong types, what a validator refuses, secrets that are
            written literally or cannot be resolved.
    """
    known = CORE_KEYS if section.startswith("channels.") else ()
    folder = settings.file.absolute().parent
    value, found = structure(options, cls, folder=folder, environ=environ, also_known=known)
    if value is None:
        raise ConfigErrors(
            settings.mistake(".".join((section, *finding.path)), finding.problem, finding.fix) for finding in found
        )
    return value


def _store(text: str, folder: Path, environ: Mapping[str, str], *, literal: bool) -> str:
    """Return the store's address: references resolved, the path of an SQLite file absolute."""
    if text.partition(":")[0] in {"env", "file", "credential"}:
        text, literal = resolve(text, folder, environ).reveal(), True
    scheme, separator, rest = text.partition("://")
    if not separator or scheme.partition("+")[0] not in {"sqlite", "postgresql"}:
        raise Wrong("this is no store", "Write 'sqlite:///fernamt.db' or 'postgresql://user@host/name'")
    if scheme.startswith("sqlite"):
        name, question, query = rest.removeprefix("/").partition("?")
        if not name or name == ":memory:":
            raise Wrong("a store in memory would lose what was acknowledged", "Name a file: 'sqlite:///fernamt.db'")
        return f"{scheme}:///{folder / name}{question}{query}"
    if not literal and ":" in rest.partition("/")[0].rpartition("@")[0]:
        raise Wrong("a password does not stand in this file itself", f"{HOW_TO_REFER} for the whole address")
    return text
