"""The distribution: what an operator sees before anything runs."""

from __future__ import annotations

import ast
import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import Distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from fernamt.testing.rig import Rig
from fernamt.testing.rule import Broken, NotApplicable, Rules
from fernamt.testing.rules.section import fields

rule = RULES = Rules("package")
_LOAD_S = 120.0
_LOUD = "socket.connect socket.getaddrinfo subprocess.Popen os.system os.remove"
_LOAD = """
import sys
from fernamt._runtime.loader import load
loud = []
sys.addaudithook(lambda event, given: loud.append(event) if event in %r.split() else None)
loaded = load([%r])
for one in loaded.failures:
    print("failure", one)
for one in loud:
    print("loud", one)
"""


def _distribution(rig: Rig) -> Distribution:
    if (found := rig.suite.distribution()) is None:
        raise NotApplicable("the plugin is not installed as a distribution")
    return found


async def _loaded(rig: Rig) -> list[tuple[str, str]]:
    """Load the plugin alone, in a process of its own; return what is to be said of it."""
    _distribution(rig)
    suite: Any = type(rig.suite)  # the type checker takes the hash of its instances for that of a class
    return await asyncio.to_thread(_load, suite, rig.offer.plugin)


@cache
def _load(suite: Any, plugin: str) -> list[tuple[str, str]]:
    """See :func:`_loaded`. Two rules ask, and the answer is the same for both."""
    done = subprocess.run(  # noqa: S603 - our own command line
        [sys.executable, "-c", _LOAD % (_LOUD, plugin)],
        capture_output=True,
        text=True,
        timeout=_LOAD_S,
        check=False,
        env=suite().environment(),
    )
    if done.returncode:
        return [("failure", " ".join(done.stderr.strip().splitlines()[-1:]))]
    return [(kind, said) for kind, _, said in (line.partition(" ") for line in done.stdout.splitlines())]


def _package(rig: Rig) -> Path:
    """Return the folder of the plugin's package."""
    names = [one.value.partition(":")[0] for one in _distribution(rig).entry_points if one.group == "fernamt"]
    spec = find_spec(names[0].partition(".")[0]) if names else None
    if spec is None or not spec.submodule_search_locations:
        raise NotApplicable("the plugin is a single module")
    return Path(spec.submodule_search_locations[0])


def _readme(rig: Rig) -> str:
    text = str(_distribution(rig).metadata.json.get("description", ""))
    if not text.strip():
        raise Broken("the distribution has no README: write one, and name it in pyproject.toml (readme = ...)")
    return text


@rule("loads-alone", "bronze")
async def loads_alone(rig: Rig) -> None:
    """It can be loaded where no other plugin is."""
    if failures := [said for kind, said in await _loaded(rig) if kind == "failure"]:
        raise Broken(f"alone it cannot be loaded ({failures[0]}): declare what it needs, and import no other plugin")


@rule("loads-quietly", "bronze")
async def loads_quietly(rig: Rig) -> None:
    """To import it and ask for its offers calls nobody and starts nothing."""
    if loud := [said for kind, said in await _loaded(rig) if kind == "loud"]:
        raise Broken(f"its import did {loud[0]}: do that in run, verify or send, when a channel needs it")


@rule("contract-range", "bronze")
async def contract_range(rig: Rig) -> None:
    """It says for which versions of the contract it was written, with an end."""
    wanted = [Requirement(one) for one in _distribution(rig).requires or ()]
    ours = [clause.operator for one in wanted if one.name == "fernamt" for clause in one.specifier]
    if not {"<", "<=", "==", "~="} & {*ours}:
        raise Broken(
            "its requirements name no last version of fernamt: write 'fernamt>=1,<2', so that a newer contract refuses it"
        )


@rule("licence", "bronze")
async def licence(rig: Rig) -> None:
    """It says under which licence it may be used."""
    said = _distribution(rig).metadata.json
    classified = [one for one in said.get("classifier", []) if one.startswith("License")]
    if not (said.get("license_expression") or said.get("license") or classified):
        raise Broken('its metadata name no licence: write license = "..." in pyproject.toml')


@rule("described", "bronze")
async def described(rig: Rig) -> None:
    """It says in a line what it is for, as a whole and for each kind."""
    summary, about = str(_distribution(rig).metadata.json.get("summary", "")), rig.offer.about
    for what, line in (("description in pyproject.toml", summary), ("about of its kind", about)):
        if not line.strip() or "\n" in line or len(line) > 120:
            raise Broken(f"the {what} is {line[:40]!r}: write one line of at most 120 characters, for people")


@rule("owner", "silver")
async def owner(rig: Rig) -> None:
    """Somebody can be told of a fault."""
    said = _distribution(rig).metadata.json
    if not any(said.get(name) for name in ("author", "author_email", "maintainer", "maintainer_email", "project_url")):
        raise Broken("its metadata name nobody: write authors = [...] or an address for issues in pyproject.toml")


@rule("readme", "bronze")
async def readme(rig: Rig) -> None:
    """Its README has an example that can be copied, the settings, and what it cannot do."""
    text = _readme(rig)
    headings = [one.lower() for one in re.findall(r"(?m)^#+ +(.+)$", text)]
    if not re.search(rf"(?s)```toml.*?kind = \"{re.escape(rig.offer.kind)}\".*?```", text):
        raise Broken(
            f"its README shows no section with kind = {rig.offer.kind!r}: add one in toml that an operator can copy"
        )
    for words in (("setting", "configur"), ("limit", "can")):
        if not any(word in one for one in headings for word in words):
            raise Broken(
                f"no heading of its README holds {' or '.join(map(repr, words))}: say there what an operator has to know of that"
            )


@rule("settings-named", "silver")
async def settings_named(rig: Rig) -> None:
    """Every key of a section stands in its README."""
    text = _readme(rig)
    for path, _, field in fields(rig.offer.settings):
        if f"`{field.alias}`" not in text and f"`{path}`" not in text:
            raise Broken(
                f"its README does not name the key `{path}`: generate the table, fernamt.testing.settings_table helps"
            )


@rule("typed", "bronze")
async def typed(rig: Rig) -> None:
    """Its types can be read by those who build on it."""
    if not (_package(rig) / "py.typed").is_file():
        raise Broken("there is no py.typed in its package: add the empty file")


@rule("public-door", "bronze")
async def public_door(rig: Rig) -> None:
    """It imports nothing of the core but fernamt and fernamt.testing."""
    folder = _package(rig)
    for file in sorted(folder.rglob("*.py")):
        for name in _imported(file):
            if name.startswith("fernamt.") and name != "fernamt.testing":
                raise Broken(
                    f"{file.relative_to(folder)} imports {name}, which may change any day: take it from fernamt"
                )


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""
