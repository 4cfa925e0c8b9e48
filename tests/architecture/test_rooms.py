"""The rooms of the house: one noun each, of a size that can be read at one sitting."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.architecture.workspace import CORE, MEMBERS, modules, package, relative

MAX_LINES = 400
BUDGET_LINES = 4500
GRAB_BAGS = {"common", "helper", "helpers", "misc", "tools", "util", "utils"}

# The contract and the pipeline are the layers from `model` to `_store` and `_runtime`. What stands above them is counted apart: the
# door (a list of names), the composition root, the commands, the kit for tests.
APART = ("__init__.py", "__main__.py", "app.py", "app/", "cli.py", "cli/", "testing/")

SOURCES = [file for member in MEMBERS for file in modules(package(member))]


def lines(file: Path) -> int:
    return len(file.read_text().splitlines())


def test_no_module_is_longer_than_four_hundred_lines() -> None:
    assert {relative(file): lines(file) for file in SOURCES if lines(file) > MAX_LINES} == {}


def test_the_contract_and_the_pipeline_stay_under_their_budget() -> None:
    core = package(CORE)
    counted = {file: lines(file) for file in modules(core) if not file.relative_to(core).as_posix().startswith(APART)}
    longest = sorted(counted, key=lambda file: -counted[file])[:5]

    assert sum(counted.values()) < BUDGET_LINES, "longest: " + ", ".join(f"{f.name} {counted[f]}" for f in longest)


def test_no_module_is_a_grab_bag() -> None:
    assert [relative(file) for file in SOURCES if GRAB_BAGS & {file.stem, file.parent.name}] == []


def test_a_class_is_named_for_its_job() -> None:
    found = [
        f"{relative(file)}: {node.name}"
        for file in SOURCES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ClassDef) and "manager" in node.name.lower()
    ]

    assert found == []
