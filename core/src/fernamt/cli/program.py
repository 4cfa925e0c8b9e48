"""The program: its commands, and what every ending of a command says."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from cyclopts import App, CycloptsError, Group

from fernamt.cli.backfill import backfill
from fernamt.cli.channels import channels
from fernamt.cli.check import check
from fernamt.cli.consent import consent, give, withdraw
from fernamt.cli.daemon import demo, run
from fernamt.cli.dev.command import dev
from fernamt.cli.erasure import erase
from fernamt.cli.export import export
from fernamt.cli.frame import called, frame
from fernamt.cli.inbox import inbox
from fernamt.cli.installing import add, remove
from fernamt.cli.links import merge, split, undo
from fernamt.cli.menus.command import check_menu, play_menu, show_menu, try_menu
from fernamt.cli.menus.starting import new_menu
from fernamt.cli.notices import cancel_run, new_notices, notices, results, show_run
from fernamt.cli.notify import notify
from fernamt.cli.outcome import DONE, USAGE, ending
from fernamt.cli.plugincheck import check_plugin
from fernamt.cli.plugininfo import info
from fernamt.cli.plugins import plugins
from fernamt.cli.quarantine import mark_done, quarantine, show_item
from fernamt.cli.replay import replay
from fernamt.cli.scaffold import connector
from fernamt.cli.screen import say
from fernamt.cli.show import show
from fernamt.cli.uncertain import settle, uncertain
from fernamt.cli.why import why
from fernamt.cli.work import work
from fernamt.cli.writing import note, reply, solve

_ABOUT: Final = "Customer service on every channel from one place."
_EPILOGUE: Final = (
    "A plugin's own commands: fernamt PLUGIN COMMAND.\n\n"
    "Exit codes: 0 done, 1 failed, 2 usage, 69 store or provider not reachable, 77 not allowed, 78 configuration."
)
_COMMANDS: Final[Mapping[str, tuple[Callable[..., int], ...]]] = {
    "At the desk": (inbox, show, reply, note, solve, merge, split, undo),
    "Notices to many": (notify, notices),
    "When something is unclear": (why, quarantine, uncertain, work),
    "The daemon": (run, check, channels, plugins, backfill, demo),
    "A person's rights": (consent, export, erase),
}
_AUTHORS: Final = "For authors of plugins"
_NEW: Final = "Make something of your own.\n\nExample: fernamt new connector acme --by webhook"
_MENU: Final = "Check, show, try and test a menu.\n\nExample: fernamt menu check reception.toml"
_BELOW: Final[tuple[tuple[str, str, Callable[..., int]], ...]] = (
    ("quarantine", "show", show_item),
    ("quarantine", "done", mark_done),
    ("uncertain", "settle", settle),
    ("consent", "show", consent),
    ("consent", "give", give),
    ("consent", "withdraw", withdraw),
    ("notices", "show", show_run),
    ("notices", "results", results),
    ("notices", "cancel", cancel_run),
    ("new", "connector", connector),
    ("new", "notices", new_notices),
    ("new", "menu", new_menu),
    ("menu", "check", check_menu),
    ("menu", "show", show_menu),
    ("menu", "try", try_menu),
    ("menu", "test", play_menu),
    ("plugins", "check", check_plugin),
    ("plugins", "info", info),
    ("plugins", "add", add),
    ("plugins", "remove", remove),
)


def program() -> App:
    """Return the program with the core's commands."""
    app = frame("fernamt", _ABOUT)
    app.help_epilogue = _EPILOGUE
    for at, (title, functions) in enumerate(_COMMANDS.items()):
        group = Group(title, sort_key=at)
        for place, function in enumerate(functions):
            app.command(function, group=group, sort_key=place, help_epilogue="")
    authors = Group(_AUTHORS, sort_key=len(_COMMANDS))
    new = frame("new", _NEW)
    new.group = (authors,)
    app.command(new)
    menu = frame("menu", _MENU)
    menu.group = (authors,)
    app.command(menu)
    for function in (dev, replay):
        app.command(function, group=authors, help_epilogue="")
    for above, name, function in _BELOW:
        app[above].command(function, name=name, help_epilogue="")
    return app


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code, whatever happens."""
    words = _options_last(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        return _run(words)
    except CycloptsError as why:
        say(f"{' '.join(str(why).split())}\nHelp: {_help_for(words)}")
        return USAGE
    except BrokenPipeError:
        # Whoever read it has seen enough. Without this Python complains once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except SystemExit as why:
        return why.code if isinstance(why.code, int) else DONE
    except BaseException as why:  # noqa: BLE001 - the last place where a person can be told in words
        if "-v" in words or "--verbose" in words:
            traceback.print_exception(why)
        code, text = ending(why)
        say(text)
        return code


def _run(words: Sequence[str]) -> int:
    app = program()
    if words and not words[0].startswith("-") and words[0] not in app:
        from fernamt.cli.plugincommand import call, is_plugin

        if is_plugin(words[0]):
            return call(words[0], words[1:])
    return called(app, words)


def _options_last(argv: Sequence[str]) -> list[str]:
    """Return the words with the options that stand before the command behind it: ``-c FILE inbox`` is meant like that."""
    words, first = list(argv), []
    while words and words[0].partition("=")[0] in {"-c", "--config", "-v", "--verbose"}:
        first.append(words.pop(0))
        if first[-1] in {"-c", "--config"} and words:
            first.append(words.pop(0))
    end = words.index("--") if "--" in words else len(words)
    return [*words[:end], *first, *words[end:]]


def _help_for(words: Sequence[str]) -> str:
    from fernamt.cli.plugincommand import is_plugin

    first, second = (*words, "-", "-")[:2]
    if (first, second) in {(above, name) for above, name, _ in _BELOW}:
        return f"fernamt {first} {second} --help"
    known = not first.startswith("-") and (first in program() or is_plugin(first))
    return f"fernamt {first} --help" if known else "fernamt --help"
