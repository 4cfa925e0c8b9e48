"""`fernamt plugins add` and `remove`: pip or uv in the environment of this program; no plugin is imported."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from attrs import frozen
from cyclopts import Parameter

from fernamt.cli.options import COMMON, Common, Json
from fernamt.cli.outcome import DONE, FAILED, NOT_ALLOWED, USAGE, Failure

if TYPE_CHECKING:
    from fernamt._runtime.installed import Installed

_BARE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PREFIX: Final = "fernamt-"


@frozen(kw_only=True)
class Installation:
    """What was run, and which plugins there are more or less after it."""

    command: tuple[str, ...]
    code: int
    plugins: tuple[str, ...]
    problem: str
    """Why it is not as it was meant, and what to do; empty: all is well."""


def add(
    name: str,
    /,
    *options: Annotated[str, Parameter(allow_leading_hyphen=True)],
    exactly: bool = False,
    dry_run: bool = False,
    json: Json = False,
    common: Common = COMMON,
) -> int:
    """Install a plugin into the environment of this program.

    By pip, or by uv where there is no pip; the command is shown before it runs. The core itself is never changed by it: a
    plugin that needs another one is not installed.

    Example: fernamt plugins add fernamt-email

    Example: fernamt plugins add ./fernamt-acme-1.0-py3-none-any.whl -- --no-index

    Args:
        name: A distribution, with or without a version, a folder, a wheel, or an address.
        options: Behind --, options of the installer.
        exactly: Install a distribution whose name does not begin with fernamt-.
        dry_run: Only show the command.
        json: Print a JSON object with the keys command, code, plugins (the names that are new) and problem.
        common: What every command takes.
    """
    if _BARE.fullmatch(name) and not exactly and not name.startswith(_PREFIX) and not Path(name).exists():
        raise Failure(
            f"{name!r} could be anybody's package: plugins are mostly called {_PREFIX}NAME. "
            f"Try fernamt plugins add {_PREFIX}{name}, or --exactly if you mean {name!r}.",
            USAGE,
        )
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "the-core-stays.txt"
        kept.write_text(f"fernamt=={importlib.metadata.version('fernamt')}\n")
        command = [*_installer("install"), "-c", str(kept), *options, name]
        before = _plugins()
        code = _run(command, dry_run=dry_run)
    new = [one for one in _plugins() if (one.name, one.distribution, one.version) not in _keys(before)]
    problem = "" if dry_run else _problem_of_adding(name, code, new)
    told = Installation(command=tuple(command), code=code, plugins=tuple(one.name for one in new), problem=problem)
    first = next(iter(told.plugins), "")
    done = (
        f"{', '.join(told.plugins)} is installed. Write a channel of that kind into the configuration. "
        f'To see its kinds before: [plugins] enabled = ["{first}"], then fernamt plugins.'
    )
    return _end(told, done if told.plugins else "It was installed already.", json=json, quiet=dry_run)


def remove(
    name: str,
    /,
    *options: Annotated[str, Parameter(allow_leading_hyphen=True)],
    dry_run: bool = False,
    json: Json = False,
    common: Common = COMMON,
) -> int:
    """Uninstall a plugin from the environment of this program.

    Refused while the configuration uses it. It is not imported, so it works for a plugin that is broken.

    Example: fernamt plugins remove fernamt-email

    Args:
        name: Of the plugin, or of its distribution.
        options: Behind --, options of the installer.
        dry_run: Only show the command.
        json: Print a JSON object with the keys command, code, plugins (the names that are gone) and problem.
        common: What every command takes.
    """
    from fernamt._runtime.installed import OneFile
    from fernamt.cli.plugininfo import named, uses

    found = named(name, common.config)
    distributions = sorted({one.distribution for one in found})
    if len(distributions) > 1:
        raise Failure(f"{' and '.join(distributions)} both claim the name {name}: say which of them.", USAGE)
    [distribution] = distributions
    if isinstance(found[0].entry_point, OneFile):
        raise Failure(f"{name} is the file {found[0].entry_point.path}: delete it yourself.", USAGE)
    if not distribution:
        raise Failure(f"The metadata of {name} is damaged: nobody knows its distribution. Uninstall it with pip.")
    # A distribution may hold several plugins: all of them would go.
    names = [one.name for one in _plugins() if one.distribution == distribution]
    if used := uses(names, common.config):
        places = "\n".join(f"  {use}" for use in used)
        raise Failure(
            f"{distribution} stays: the configuration still uses it.\n{places}\nTake that out first.", NOT_ALLOWED
        )
    command = [*_installer("uninstall"), *options, distribution]
    code = _run(command, dry_run=dry_run)
    left = {one.name for one in _plugins() if one.distribution == distribution}
    gone = tuple(one for one in names if one not in left)
    problem = "" if dry_run or not (code or left) else f"{distribution} is still installed: the installer says why."
    told = Installation(command=tuple(command), code=code, plugins=gone, problem=problem)
    return _end(
        told, f"{distribution} is gone. A daemon that runs keeps it until its next start.", json=json, quiet=dry_run
    )


def install_command(*words: str) -> str:
    """Return what somebody types to install *words* into the environment of this program."""
    here = Path(sys.executable).parent
    if importlib.util.find_spec("pip") is not None:
        found = shutil.which("pip")
        pip = ["pip"] if found is not None and Path(found).parent == here else [sys.executable, "-m", "pip"]
        return shlex.join([*pip, "install", *words])
    return shlex.join(["uv", "pip", "install", "--python", sys.executable, *words])


def _end(told: Installation, done: str, *, json: bool, quiet: bool) -> int:
    from fernamt.cli.screen import say, show_json

    if json:
        show_json(told)
    if told.problem:
        say(told.problem)
        return FAILED
    if not quiet:
        say(done)
    return DONE


def _problem_of_adding(name: str, code: int, new: Sequence[Installed]) -> str:
    from packaging.version import Version

    ours = Version(importlib.metadata.version("fernamt"))
    if code:
        return f"{name} was not installed: the installer says why. The core stays at {ours}: a plugin that needs another one is refused."
    for one in new:
        if unfit := one.unfit(ours):
            return f"{one.distribution} {one.version} is installed, and refused: {unfit[0]}. {unfit[1]}"
    wanted = re.split(r"[\s\[<>=!~;@]", name)[0]
    known = {one.distribution.lower() for one in _plugins()}
    if not new and _BARE.fullmatch(wanted) and not Path(name).exists() and wanted.lower() not in known:
        return f"{wanted} is installed, but it is no plugin of fernamt. Uninstall it: {shlex.join([*_installer('uninstall'), wanted])}"
    return ""


def _keys(plugins: Sequence[Installed]) -> set[tuple[str, str, str]]:
    return {(one.name, one.distribution, one.version) for one in plugins}


def _plugins() -> tuple[Installed, ...]:
    from fernamt._runtime.installed import discover

    importlib.invalidate_caches()
    return discover()


def _installer(verb: str) -> list[str]:
    """Return the beginning of the command that installs, or uninstalls, in this environment."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", verb, "--quiet", *(["--yes"] if verb == "uninstall" else [])]
    beside = str(Path(sys.executable).parent)
    uv = shutil.which("uv", path=beside) or shutil.which("uv")
    if uv is None:
        raise Failure(f"There is neither pip nor uv for {sys.executable}. Install one: python -m ensurepip")
    return [uv, "pip", verb, "--quiet", "--python", sys.executable]


def _run(command: Sequence[str], *, dry_run: bool) -> int:
    """Show a command and run it, what it says on stderr; return its exit code."""
    from fernamt.cli.screen import say

    say(f"$ {shlex.join(command)}")
    if dry_run:
        return DONE
    done = subprocess.run(command, stdout=sys.stderr.fileno(), stdin=subprocess.DEVNULL, check=False)  # noqa: S603 - it was shown
    return done.returncode
