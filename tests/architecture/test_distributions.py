"""What a distribution declares, and what a tracked file may say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.architecture.workspace import CORE, MEMBERS, PLUGINS, ROOT, package, relative, settings, text_files

# The core stays small: a new name in this list is a decision, and has a page in docs/decisions.
AGREED = {
    "aiohttp",
    "alembic",
    "attrs",
    "cattrs",
    "cyclopts",
    "nh3",
    "regex",
    "orjson",
    "packaging",
    "pluggy",
    "rich",
    "sqlalchemy",
    "structlog",
    "tenacity",
    "uvloop",
}

# Written in pieces, so that this file does not say them.
REGISTRIES = ["py" + "pi.org", "python" + "hosted", "registry." + "npm", "npm" + "js.org", "deb.deb" + "ian.org"]
REGISTRY = re.compile("|".join(map(re.escape, [*REGISTRIES, "proxy." + "golang"])))
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|root|farm)/")


def requirements(member: Path) -> dict[str, Requirement]:
    declared = [Requirement(line) for line in settings(member)["project"]["dependencies"]]
    return {requirement.name: requirement for requirement in declared}


def test_the_core_depends_on_the_agreed_libraries_and_no_other() -> None:
    assert set(requirements(CORE)) == AGREED


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)
def test_a_plugin_names_the_range_of_the_contract_that_it_was_written_for(plugin: Path) -> None:
    bounds = {clause.operator for clause in requirements(plugin)["fernamt"].specifier}

    assert bounds == {">=", "<"}


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_every_dependency_has_a_lower_bound(member: Path) -> None:
    loose = [name for name, requirement in requirements(member).items() if ">=" not in str(requirement.specifier)]

    assert loose == []


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_every_member_ships_types_and_has_the_same_frame(member: Path) -> None:
    project = settings(member)

    assert (package(member) / "py.typed").is_file()
    assert (member / "README.md").is_file()
    assert project["build-system"] == settings(CORE)["build-system"]
    assert project["project"]["requires-python"] == ">=3.11"
    assert project["project"]["license"] == "Apache-2.0"


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)
def test_a_plugin_is_found_under_the_name_of_its_package(plugin: Path) -> None:
    offered = settings(plugin)["project"].get("entry-points", {}).get("fernamt", {})

    assert set(offered.items()) <= {(plugin.name.removeprefix("fernamt-"), package(plugin).name)}


def test_constraints_pin_versions_and_name_no_place() -> None:
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]

    assert pins
    assert [pin for pin in pins if not re.fullmatch(r"[a-z0-9-]+==[0-9][\w.+]*", pin)] == []


def test_no_file_names_a_registry_or_a_path_of_somebodys_machine() -> None:
    found = [
        f"{relative(file)}:{number}: {line.strip()}"
        for file in text_files()
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1)
        if REGISTRY.search(line) or MACHINE_PATH.search(line)
    ]

    assert found == []
