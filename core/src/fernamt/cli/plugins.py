"""`fernamt plugins`: what is installed, what is used, what it offers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import field, frozen

from fernamt.cli.options import COMMON, Common, Json
from fernamt.cli.outcome import DONE

if TYPE_CHECKING:
    from rich.table import Table

    from fernamt._runtime.installed import Installed
    from fernamt._runtime.loader import Loaded
    from fernamt.settings import Settings


@frozen(kw_only=True)
class Kind:
    """A kind of channel that a plugin offers."""

    kind: str
    about: str


@frozen(kw_only=True)
class PluginLine:
    """A plugin: as its metadata describes it, and, if the configuration names it, what came of importing it."""

    name: str
    distribution: str
    """Empty: it is named, and not installed."""
    version: str
    summary: str
    named: bool
    kinds: tuple[Kind, ...] = ()
    commands: tuple[str, ...] = ()
    menus: tuple[str, ...] = ()
    subscribers: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    """The types of the questions that it answers."""
    failure: str = field(default="")
    """Why it cannot be used, and the remedy; empty if it can, or was not imported."""


def plugins(*, json: Json = False, common: Common = COMMON) -> int:
    """List the installed plugins and what they offer.

    Only those that the configuration names are imported; of the others their metadata is shown.

    Example: fernamt plugins --json

    Args:
        json: Print a JSON array of objects with the keys name, distribution, version, summary, named, kinds (kind and about),
            commands, menus, subscribers, jobs, services and failure.
        common: What every command takes.
    """
    from fernamt._runtime.installed import discover
    from fernamt._runtime.loader import load, wanted
    from fernamt.cli.screen import say, show, show_json

    settings = _settings(common.config)
    installed = discover(beside=common.config)
    loaded = load(wanted(settings), installed) if settings is not None else None
    lines = described(installed, loaded)
    if json:
        show_json(lines)
    elif lines:
        show(_page(lines))
    else:
        say("No plugin is installed, so there are no channels. For e-mail: pip install fernamt-email")
    if settings is None:
        say(f"There is no {common.config}, so nothing is named yet and nothing was imported.")
    return DONE


def _settings(path: Path) -> Settings | None:
    """Return the settings; ``None`` if nobody named a file and there is none."""
    from fernamt.settings import read_settings

    if path == COMMON.config and not path.exists():
        return None
    return read_settings(path)


def described(installed: Sequence[Installed], loaded: Loaded | None) -> list[PluginLine]:
    """Return a line for each installed plugin, and for each that is named and not installed."""
    offers = loaded.offers if loaded else {}
    failures = {(one.name, one.distribution): one for one in loaded.faults} if loaded else {}
    lines = []
    for one in installed:
        failure = failures.pop((one.name, one.distribution or one.entry_point.value), None)
        offered = offers.get(one.name)
        lines.append(
            PluginLine(
                name=one.name,
                distribution=one.distribution,
                version=one.version,
                summary=one.summary,
                named=failure is not None or offered is not None,
                kinds=tuple(Kind(kind=it.kind, about=it.about) for it in offered.connectors.values())
                if offered
                else (),
                commands=tuple(sorted(offered.commands)) if offered else (),
                menus=tuple(sorted(offered.menus)) if offered else (),
                subscribers=tuple(sorted(offered.subscribers)) if offered else (),
                jobs=tuple(sorted(offered.jobs)) if offered else (),
                services=tuple(sorted(it.__name__ for it in offered.services)) if offered else (),
                failure=f"{failure.cause}. {failure.remedy}" if failure else "",
            )
        )
    for failure in failures.values():
        missing = PluginLine(
            name=failure.name,
            distribution="",
            version="",
            summary="",
            named=True,
            failure=f"{failure.cause}. {failure.remedy}",
        )
        lines.append(missing)
    return sorted(lines, key=lambda line: (line.name, line.distribution))


def _page(lines: Sequence[PluginLine]) -> Table:
    from rich.text import Text

    from fernamt.cli.screen import table
    from fernamt.cli.words import one_line

    page = table("plugin", "distribution", "version", "what", wide="what")
    page.columns[3].no_wrap, page.columns[3].overflow = False, "fold"
    for line in lines:
        what = Text()
        if line.failure:
            what.append("failed: ", "bold red").append(one_line(line.failure))
        elif line.named:
            offers = [f"{it.kind}: {it.about}" for it in line.kinds]
            offers += [f"fernamt {line.name} {command}" for command in line.commands]
            named = (
                ("menus", line.menus),
                ("subscribers", line.subscribers),
                ("jobs", line.jobs),
                ("answers", line.services),
            )
            offers += [f"{does}: {', '.join(names)}" for does, names in named if names]
            what.append("\n".join(map(one_line, offers)) or "no channels, no commands")
        else:
            what.append(f"not named, not imported. {one_line(line.summary)}".rstrip(), "dim")
        page.add_row(
            Text(one_line(line.name), "bold" if line.named else ""),
            Text(one_line(line.distribution) or "-"),
            Text(one_line(line.version) or "-"),
            what,
        )
    return page
