"""`fernamt plugins info`: one plugin as its metadata describes it, whether or not it can be imported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from fernamt.cli.options import COMMON, Common, Json
from fernamt.cli.outcome import DONE, FAILED, Failure

if TYPE_CHECKING:
    from fernamt._runtime.installed import Installed


@frozen(kw_only=True)
class Use:
    """A place of the configuration that needs a plugin."""

    file: Path
    line: int
    key: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.key}"


@frozen(kw_only=True)
class PluginInfo:
    """What is known of an installed plugin without importing it."""

    name: str
    distribution: str
    version: str
    summary: str
    module: str
    requires: tuple[str, ...]
    problem: str
    """Why this core refuses it, and the remedy; empty: it does not."""
    issues: str
    place: str
    """The folder or the file where it is."""
    used_by: tuple[Use, ...]


def info(name: str, /, *, json: Json = False, common: Common = COMMON) -> int:
    """Show one plugin: where it is, what it needs, and what uses it.

    Nothing is imported, so it works for a plugin that is broken.

    Example: fernamt plugins info email

    Args:
        name: Of the plugin, or of its distribution.
        json: Print a JSON array of objects, one for each plugin of that name, with the keys name, distribution, version, summary,
            module, requires, problem, issues, place and used_by (file, line, key).
        common: What every command takes.
    """
    from fernamt.cli.screen import show, show_json

    told = [_told(one, common.config) for one in named(name, common.config)]
    if json:
        show_json(told)
    else:
        show(*(_page(one) for one in told))
    return FAILED if any(one.problem for one in told) else DONE


def named(name: str, configuration: Path) -> tuple[Installed, ...]:
    """Return the plugins called *name*, or those of the distribution *name*; raises ``Failure`` if there is none."""
    from packaging.utils import canonicalize_name

    from fernamt._runtime.installed import discover
    from fernamt.settings import did_you_mean

    installed = discover(beside=configuration)
    found = [one for one in installed if one.name == name]
    found = found or [one for one in installed if canonicalize_name(one.distribution) == canonicalize_name(name)]
    if not found:
        near = did_you_mean(name, {one.name for one in installed} | {one.distribution for one in installed})
        raise Failure(f"There is no plugin {name} here. {near or 'None is installed.'}")
    return tuple(found)


def uses(names: Sequence[str], configuration: Path) -> tuple[Use, ...]:
    """Return where the configuration needs one of the plugins; other mistakes in it do not matter.

    No file at the default place: nothing is used. Raises ``ConfigErrors`` if the file is no TOML.
    """
    from fernamt.settings.source import line_of, read_source

    if configuration == COMMON.config and not configuration.exists():
        return ()
    source = read_source(configuration)

    def use(*path: str) -> Use:
        return Use(file=configuration, line=line_of(source.lines, path), key=".".join(path))

    found = []
    for channel, section in _table(source.data.get("channels")).items():
        for key in ("kind", "menu"):
            said = _table(section).get(key)
            if isinstance(said, str) and said.partition(".")[0] in names:
                found.append(use("channels", channel, key))
    plugins = _table(source.data.get("plugins"))
    enabled = plugins.get("enabled")
    if isinstance(enabled, list) and set(names).intersection(one for one in enabled if isinstance(one, str)):
        found.append(use("plugins", "enabled"))
    found += [use("plugins", name) for name in names if name in plugins]
    return tuple(found)


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _told(one: Installed, configuration: Path) -> PluginInfo:
    import importlib.metadata

    from packaging.version import Version

    from fernamt._runtime.installed import OneFile
    from fernamt._runtime.menufolder import MenuFolder

    unfit = one.unfit(Version(importlib.metadata.version("fernamt")))
    if isinstance(one.entry_point, OneFile | MenuFolder):
        place = one.entry_point.path
    else:
        place = Path(str(one.entry_point.dist.locate_file(""))) if one.entry_point.dist else Path()
    return PluginInfo(
        name=one.name,
        distribution=one.distribution,
        version=one.version,
        summary=one.summary,
        module=one.entry_point.value,
        requires=one.requires,
        problem=f"{unfit[0]}. {unfit[1]}" if unfit else "",
        issues=one.issues,
        place=str(place),
        used_by=uses([one.name], configuration),
    )


def _page(one: PluginInfo) -> Any:
    from rich.text import Text

    from fernamt.cli.screen import table
    from fernamt.cli.words import one_line

    page = table("", "", wide="")
    page.show_header = False
    page.columns[1].no_wrap, page.columns[1].overflow = False, "fold"
    said = f"{one.distribution} {one.version}".strip()
    rows = [
        ("plugin", one.name, "bold"),
        ("distribution", f"{said}: {one.summary}" if one.summary else said, ""),
        ("place", one.place, ""),
        ("module", one.module, ""),
        ("needs", ", ".join(one.requires), ""),
        ("refused", one.problem, "bold red"),
        ("faults go to", one.issues, ""),
        ("used by", "\n".join(map(str, one.used_by)) or "nothing in the configuration", "" if one.used_by else "dim"),
    ]
    for what, text, style in rows:
        if text:
            page.add_row(Text(what, "dim"), Text("\n".join(map(one_line, text.split("\n"))), style))
    return page
