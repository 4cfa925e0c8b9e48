"""The rooms of the house: one noun each, of a size that can be read at one sitting."""

from __future__ import annotations

import ast
import io
import tokenize
from collections import Counter
from pathlib import Path

from tests.architecture.workspace import CORE, MEMBERS, modules, package, relative

MAX_LINES = 400
BUDGET_LINES = 4500
GRAB_BAGS = {"common", "helper", "helpers", "misc", "tools", "util", "utils"}

# What a plugin author meets and what a message passes, as docs/decisions/0009 says; the rest of the core is counted apart.
CONTRACT = (
    "connector",
    "effects",
    "errors",
    "hookspecs",
    "http",
    "inbound",
    "menu",
    "model",
    "outbound",
    "registry",
    "services",
    "session",
)
PIPELINE = (
    "claims",
    "clock",
    "context",
    "feed",
    "hooks",
    "hub",
    "intake",
    "outbox",
    "served",
    "storable",
    "supervisor",
    "web",
)
EQUIPMENT_LINES = 1600

SOURCES = [file for member in MEMBERS for file in modules(package(member))]


def lines(file: Path) -> int:
    return len(file.read_text().splitlines())


def test_no_module_is_longer_than_four_hundred_lines() -> None:
    assert {relative(file): lines(file) for file in SOURCES if lines(file) > MAX_LINES} == {}


def code_lines(file: Path) -> int:
    """Count the lines that hold code: blank lines, comments and docstrings cost a reader nothing."""
    source = file.read_text()
    words: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            words.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    code = {line for token in tokens if token.type not in skipped for line in range(token.start[0], token.end[0] + 1)}
    return len(code - words)


def room_of(file: Path) -> str:
    """Return which part of the core a module belongs to; empty: to none of the two that have a budget."""
    parts = file.relative_to(package(CORE)).parts
    if parts[0] == "_store":
        return "" if parts[1] in {"views", "migrations"} else "contract and pipeline"
    if file.stem in (PIPELINE if parts[0] == "_runtime" else CONTRACT if len(parts) == 1 else ()):
        return "contract and pipeline"
    return "equipment" if parts[0] in {"_runtime", "settings"} else ""


def rooms() -> dict[str, int]:
    """Return how many lines of code each part of the core has."""
    counted: Counter[str] = Counter()
    for file in modules(package(CORE)):
        counted[room_of(file)] += code_lines(file)
    return counted


def test_the_contract_and_the_pipeline_stay_under_their_budget() -> None:
    counted = rooms()

    assert counted["contract and pipeline"] < BUDGET_LINES, counted
    assert counted["equipment"] < EQUIPMENT_LINES, counted


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
