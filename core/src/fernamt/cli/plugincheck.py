"""`fernamt plugins check`: which rules of the conformance kit a plugin keeps, and the tier that follows."""

from __future__ import annotations

import difflib
import json as json_library
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import unquote, urlsplit

from attrs import field, frozen
from cyclopts import Parameter

from fernamt.cli.installing import install_command
from fernamt.cli.options import Json
from fernamt.cli.outcome import DONE, FAILED, USAGE, Failure

if TYPE_CHECKING:
    from rich.table import Table

_TIERS: Final = ("bronze", "silver")
_STYLES: Final = {"kept": "green", "broken": "bold red", "waived": "yellow", "not applicable": "dim"}
_PAGES: Final = Path(__file__).parents[1] / "testing" / "rules"
_QUALITY: Final = "quality.toml"
_RUN_S: Final = 900.0


@frozen(kw_only=True)
class RuleLine:
    """What became of one rule on one kind of channel."""

    kind: str
    rule: str
    tier: str
    about: str
    state: str
    """kept, broken, waived, not applicable."""
    said: str
    """Why, and what to do; empty if it is kept."""


@frozen(kw_only=True)
class Checked:
    """A distribution, and what the kit says of it."""

    distribution: str
    folder: Path
    rules: tuple[RuleLine, ...]
    untested: tuple[str, ...] = ()
    """Kinds that it offers and has no conformance class for."""
    trouble: str = ""
    """Why the tests did not run to their end; empty if they did."""
    tier: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "tier", self._tier())

    def _tier(self) -> str:
        reached = "none"
        if self.trouble or self.untested or not self.rules:
            return reached
        for tier in _TIERS:
            if any(one.state == "broken" for one in self.rules if one.tier == tier):
                break
            reached = tier
        return reached

    def badge(self) -> str:
        """Return the tier as a line for a README."""
        waived = len({one.rule for one in self.rules if one.state == "waived"})
        return f"fernamt conformance: {self.tier}{f' ({waived} waived)' if waived else ''}"


def check_plugin(
    name: str = "",
    *,
    json: Json = False,
    badge: bool = False,
    explain: Annotated[str, Parameter(name="--explain")] = "",
) -> int:
    """Run the conformance kit on a plugin, and compute its tier.

    Prints every rule: kept, broken, waived (with the sentence of its quality.toml) or not applicable (with the reason).

    Example: fernamt plugins check fernamt-email

    Args:
        name: A distribution that was installed from its source folder (pip install -e FOLDER), or that folder.
        json: Print a JSON object with distribution, folder, tier, untested, trouble and rules (kind, rule, tier, about, state,
            said).
        badge: Print only the tier, as a line for a README.
        explain: Print the page of a rule instead, for instance in.repeat-same-key.
    """
    from fernamt.cli.screen import say, show, show_json
    from fernamt.cli.words import counted, harmless

    if explain:
        page = page_of(explain)
        if not page:
            raise Failure(f"There is no rule {explain}.{_near(explain)} fernamt plugins check NAME lists all.", USAGE)
        show(harmless(page))
        return DONE
    if not name:
        say("Which plugin? fernamt plugins check fernamt-email, or the folder of its source")
        return USAGE
    checked = examined(name)
    code = DONE if checked.tier != "none" and not any(one.state == "broken" for one in checked.rules) else FAILED
    if json:
        show_json(checked)
    elif badge:
        show(checked.badge())
    else:
        if checked.rules:
            show(_page(checked.rules))
        if checked.trouble:
            say(checked.trouble)
        else:
            for kind in checked.untested:
                say(f"The kind {kind} has no conformance class, so there is no tier.")
        states = [one.state for one in checked.rules]
        told = ", ".join(f"{states.count(state)} {state}" for state in _STYLES if state in states)
        rules = f" Of {counted(len(states), 'rule')}: {told}." if states else ""
        say(f"{checked.distribution}: {checked.tier}.{rules}")
    return code


def page_of(rule: str) -> str:
    """Return the page of a rule, ``""`` if there is none."""
    file = _PAGES / f"{rule.partition('.')[0]}.md"
    if not re.fullmatch(r"[a-z]+\.[a-z-]+", rule) or not file.is_file():
        return ""
    parts = file.read_text("utf-8").split("\n## ")
    return next(
        (f"{rule}\n{part.partition(chr(10))[2].rstrip()}" for part in parts if part.startswith(f"{rule}\n")), ""
    )


def _near(rule: str) -> str:
    pages = [file.read_text("utf-8") for file in _PAGES.glob("*.md")]
    known = re.findall(r"(?m)^## ([a-z]+\.[a-z-]+)$", "\n".join(pages))
    return next((f" Did you mean {one!r}?" for one in difflib.get_close_matches(rule, known, n=1)), "")


def examined(name: str) -> Checked:
    """Run the conformance tests of a plugin in a process of their own; raises ``Failure``."""
    folder = _folder(name)
    distribution = _distribution(folder)
    _installed(distribution, folder)
    said = tomllib.loads((folder / _QUALITY).read_text("utf-8")) if (folder / _QUALITY).is_file() else {}
    tests = folder / said.get("conformance", "tests/test_conformance.py")
    if not tests.is_file():
        raise Failure(
            f"{distribution} has no conformance tests: write {tests}, with a subclass of fernamt.testing.ConnectorConformance,"
            f" or name another file in {folder / _QUALITY}. A package without channels has no tier;"
            " what proves its menus is fernamt.testing.MenuConformance"
        )
    verdicts, trouble = _run(folder, tests)
    lines = tuple(RuleLine(**{one.name: verdict[one.name] for one in RuleLine.__attrs_attrs__}) for verdict in verdicts)
    if not trouble and (unknown := sorted(_waived(said.get("waived", {})) - {one.rule for one in lines})):
        trouble = f"{folder / _QUALITY} waives {unknown[0]}, and there is no such rule: correct it."
    offered = _kinds(distribution)
    untested = tuple(sorted(offered - {one.kind for one in lines}))
    return Checked(distribution=distribution, folder=folder, rules=lines, untested=untested, trouble=trouble)


def _waived(said: Mapping[str, object]) -> set[str]:
    """Return the rules that are waived, for all kinds or for one."""
    return {rule for name, why in said.items() for rule in (why if isinstance(why, dict) else (name,))}


def _folder(name: str) -> Path:
    """Return the source folder of a distribution."""
    if Path(name).is_dir():
        return Path(name).resolve()
    try:
        said = metadata.distribution(name).read_text("direct_url.json")
    except (metadata.PackageNotFoundError, ValueError):
        if Path(name).suffix == ".py" or "/" in name:
            raise Failure(
                f"{name} is no folder: the rules are for a plugin with a pyproject.toml and tests. "
                "fernamt new connector NAME makes one; a single file is tried with fernamt dev FILE.",
                USAGE,
            ) from None
        raise Failure(
            f"{name} is not installed. Install it from its source first: {install_command('-e', 'FOLDER')}"
        ) from None
    url = urlsplit(json_library.loads(said).get("url", "") if said else "")
    folder = Path(unquote(url.path))
    if url.scheme != "file" or not folder.is_dir():
        raise Failure(
            f"{name} was not installed from its source, and its tests are there: name that folder, fernamt plugins check FOLDER"
        )
    return folder


def _distribution(folder: Path) -> str:
    return str(_project(folder)["name"])


def _installed(distribution: str, folder: Path) -> None:
    """Raise ``Failure`` if none of the plugins of the project is installed: the rules are tried on what is."""
    from fernamt._runtime.installed import discover

    names = set(_project(folder).get("entry-points", {}).get("fernamt", {}))
    if names and not names & {one.name for one in discover()}:
        command = install_command("-e", str(folder))
        raise Failure(f"{distribution} is not installed here, and that is what is checked. Install it first: {command}")


def _project(folder: Path) -> Mapping[str, Any]:
    try:
        project: Mapping[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
        project["name"]
    except (OSError, KeyError, tomllib.TOMLDecodeError) as why:
        raise Failure(
            f"{folder} is not the folder of a plugin: its pyproject.toml names no project. fernamt new connector NAME makes one.",
            USAGE,
        ) from why
    return project


def _run(folder: Path, tests: Path) -> tuple[Sequence[Mapping[str, Any]], str]:
    """Return the verdicts, and why there are not all of them."""
    with tempfile.TemporaryDirectory(prefix="fernamt-check-") as scratch:
        report = Path(scratch) / "report.json"
        words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "test_rule", f"--fernamt-report={report}"]
        try:
            done = subprocess.run(  # noqa: S603 - our own command line
                [sys.executable, *words, str(tests)],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=_RUN_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return (), f"The tests took longer than {_RUN_S:g} s. Run them by yourself: pytest {tests}"
        if "No module named pytest" in done.stderr:
            raise Failure("the rules are run by pytest, which is not installed: pip install pytest")
        verdicts = json_library.loads(report.read_text("utf-8")) if report.is_file() else []
        # 0: all kept; 1: something failed, which the verdicts say.
        failed = done.returncode not in {0, 1} or not verdicts
        return verdicts, _why_not(folder, tests, done.stdout + done.stderr) if failed else ""


def _why_not(folder: Path, tests: Path, shown: str) -> str:
    """Return why the tests did not run, and what to do."""
    last = " ".join(shown.strip().splitlines()[-3:])
    missing = re.search(r"No module named|Unknown config option|fixture .* not found", shown)
    if missing and (needed := _needed(folder)):
        return f"The tests did not run: {last}. Install what they need: {install_command(*needed)}"
    return f"The tests did not run: {last}. See them: pytest {tests}"


def _needed(folder: Path) -> Sequence[str]:
    """Return what an installer is told to bring what the tests of a plugin need; nothing if the plugin does not say it."""
    said = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
    extras, groups = said["project"].get("optional-dependencies", {}), said.get("dependency-groups", {})
    for name in ("dev", "test", "tests"):
        if name in extras:
            return "-e", f"{folder}[{name}]"
        if name in groups:
            # Not by --group, which pip knows since 25.1 only.
            return [one for one in groups[name] if isinstance(one, str)]
    return ()


def _kinds(distribution: str) -> set[str]:
    from fernamt._runtime.installed import discover
    from fernamt._runtime.loader import load

    names = [one.name for one in discover() if one.distribution == distribution]
    return {kind for offers in load(names).offers.values() for kind in offers.connectors}


def _page(lines: Sequence[RuleLine]) -> Table:
    from rich.text import Text

    from fernamt.cli.screen import table
    from fernamt.cli.words import one_line

    several = len({one.kind for one in lines}) > 1
    page = table("rule", "tier", "state", *(["kind"] if several else []), "", wide="")
    page.columns[-1].no_wrap, page.columns[-1].overflow = False, "fold"
    for one in sorted(lines, key=lambda it: (it.kind, _TIERS.index(it.tier), it.rule)):
        page.add_row(
            Text(one.rule, "bold"),
            one.tier,
            Text(one.state, _STYLES[one.state]),
            *([one.kind] if several else []),
            one_line(one.said or one.about),
        )
    return page
