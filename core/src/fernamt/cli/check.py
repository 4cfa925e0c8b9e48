"""`fernamt check`: would the daemon run with this configuration?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from attrs import frozen

from fernamt.cli.options import COMMON, Common, Json
from fernamt.cli.outcome import CONFIGURATION, DONE, UNREACHABLE

if TYPE_CHECKING:
    from rich.table import Table

    from fernamt._runtime.loader import PluginFailure
    from fernamt.settings import Mistake, Settings

_STYLES: Final = {"ok": "green", "new": "yellow", "skipped": "yellow", "failed": "bold red"}


@frozen(kw_only=True)
class Finding:
    """One thing that was looked at."""

    what: Literal["settings", "plugin", "menu", "channel", "store"]
    name: str
    state: Literal["ok", "new", "skipped", "failed"]
    text: str
    code: int = DONE
    """The exit code that this alone would give."""


def check(
    *,
    online: bool = False,
    json: Json = False,
    common: Common = COMMON,
) -> int:
    """Check the configuration, the plugins and the store.

    Nothing is started. All mistakes are told at once, each with its file and line, its key, and what to do.

    Example: fernamt check --online -c /etc/fernamt/fernamt.toml

    Args:
        online: Let every channel that can do so log in at its provider; one for mail also writes to itself and finds that.
        json: Print a JSON object with ok, mistakes (file, line, key, problem, fix) and findings (what, name, state, text, code).
        common: What every command takes.
    """
    from fernamt.cli.screen import say, show, show_json
    from fernamt.cli.words import harmless

    mistakes, findings = examine(common.config, online=online)
    code = CONFIGURATION if mistakes else max((one.code for one in findings), default=DONE)
    if json:
        show_json({"ok": code == DONE, "mistakes": mistakes, "findings": findings})
        return code
    for mistake in mistakes:
        show(harmless(str(mistake)))
    if findings:
        show(_page(findings))
    if code == DONE and not online:
        say("The providers were not asked: fernamt check --online")
    return code


def examine(path: Path, *, online: bool) -> tuple[tuple[Mistake, ...], list[Finding]]:
    """Return all mistakes of a configuration, and how everything that it names was found."""
    import asyncio

    from fernamt._runtime.installed import discover
    from fernamt._runtime.loader import load, wanted
    from fernamt._runtime.plan import checked, plan
    from fernamt.cli.words import counted
    from fernamt.settings import ConfigErrors

    try:
        settings = checked(path)
    except ConfigErrors as why:
        return why.mistakes, []
    loaded = load(wanted(settings), discover(beside=settings.file))
    findings = [
        Finding(what="plugin", name=name, state="ok", text=f"{one.distribution} {one.version}")
        for name, one in loaded.installed.items()
    ]
    findings += [
        Finding(what="plugin", name=one.name, state="failed", text=_said(one), code=CONFIGURATION)
        for one in loaded.failures
    ]
    findings += [
        Finding(what="menu", name=one.name, state="failed", text=_said(one), code=CONFIGURATION)
        for one in loaded.unread
    ]
    findings.append(_store(settings))
    try:
        planned = plan(settings)
    except ConfigErrors as why:
        return why.mistakes, findings
    known = {str(one) for one in loaded.failures}
    findings += [
        Finding(what="channel", name=one.section.id, state="failed", text=_said(one.failure), code=CONFIGURATION)
        for one in planned.channels
        if one.failure is not None and str(one.failure) not in known
    ]
    channels = counted(len(settings.channels), "channel")
    findings.insert(0, Finding(what="settings", name=str(settings.file), state="ok", text=channels))
    if online:
        findings += asyncio.run(_online(settings))
    return (), findings


def _said(failure: PluginFailure) -> str:
    origin = f"{failure.distribution} {failure.version}".strip() + ": " if failure.distribution else ""
    return f"{origin}{failure.cause}. {failure.remedy}"


def _store(settings: Settings) -> Finding:
    from fernamt._runtime.clock import SystemClock
    from fernamt._store.engine import Store
    from fernamt.errors import ConfigError, NotStored

    name = settings.store.partition(":")[0]
    try:
        store = Store.open(settings.store, SystemClock())
    except ConfigError as why:
        return Finding(what="store", name=name, state="failed", text=f"{why.problem}. {why.fix}", code=CONFIGURATION)
    place = store.url.database if store.is_sqlite else store.url.render_as_string(hide_password=True)
    try:
        if store.folder is not None and not Path(str(store.url.database)).exists():
            return _absent(name, store.folder)
        store.require_schema()
    except ConfigError as why:
        if isinstance(why.__cause__, NotStored):
            return Finding(what="store", name=name, state="failed", text=f"{why.problem}. {why.fix}", code=UNREACHABLE)
        return Finding(
            what="store", name=name, state="new", text=f"{why.problem}: the next start of the daemon sees to it"
        )
    finally:
        store.close()
    return Finding(what="store", name=name, state="ok", text=f"{place} can be used, its schema is ours")


def _absent(name: str, folder: Path) -> Finding:
    if os.access(folder, os.W_OK):
        return Finding(
            what="store", name=name, state="new", text="not there yet: the first start of the daemon makes it"
        )
    problem = f"the folder {folder} {'cannot be written' if folder.is_dir() else 'is not there'}"
    fix = "Make it, for the daemon's user, or name another place"
    return Finding(what="store", name=name, state="failed", text=f"{problem}. {fix}", code=CONFIGURATION)


async def _online(settings: Settings) -> list[Finding]:
    from fernamt._runtime import log
    from fernamt.app import verify_channels
    from fernamt.settings import LogSettings

    # What goes wrong is told below, in words.
    log.configure(LogSettings(format=settings.log.format, level="error"))
    findings = []
    async for channel, state, text in verify_channels(settings):
        code = UNREACHABLE if state == "failed" else DONE
        findings.append(Finding(what="channel", name=channel, state=_state(state), text=text, code=code))
    return findings


def _state(state: str) -> Literal["ok", "skipped", "failed"]:
    return "ok" if state == "ok" else "skipped" if state == "skipped" else "failed"


def _page(findings: Sequence[Finding]) -> Table:
    from rich.text import Text

    from fernamt.cli.screen import table
    from fernamt.cli.words import one_line

    page = table("", "", "", "", wide="")
    page.show_header = False
    page.columns[3].no_wrap, page.columns[3].overflow = False, "fold"
    for one in findings:
        page.add_row(
            Text(one.state, _STYLES[one.state]),
            Text(one.what, "dim"),
            Text(one_line(one.name), "bold"),
            one_line(one.text),
        )
    return page
