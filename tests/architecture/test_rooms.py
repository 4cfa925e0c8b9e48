"""The rooms of the house: one noun each, of a size that can be read at one sitting."""

from __future__ import annotations

import ast
import io
import tokenize
from collections import Counter
from pathlib import Path

from tests.architecture.workspace import CORE, MEMBERS, modules, package, relative

MAX_LINES = 400
CONTRACT_AND_PIPELINE = 4_500
GRAB_BAGS = {"common", "helper", "helpers", "misc", "tools", "util", "utils"}

# Which module belongs where, and how many lines of code each part may have: docs/decisions/0009 says why these.
ROOMS = {
    "contract": (
        910,
        "connector effects errors hookspecs http inbound menu model outbound registry services session",
    ),
    "the way of a message": (
        3_589,
        (
            "_runtime/answer _runtime/claims _runtime/context _runtime/hooks _runtime/intake _runtime/lanes"
            " _runtime/outbox _runtime/outcome _runtime/queue _runtime/recorder _runtime/sending"
            " _runtime/storable _runtime/web _store/blobs _store/claims"
            " _store/conversations _store/correspondence _store/deliveries _store/desk _store/details _store/names"
            " _store/people _store/postgres _store/receipts _store/reception _store/refusals _store/sqlite"
            " _store/statements _store/submission _store/transaction _store/writer"
        ),
    ),
    "built upon it": (
        4_150,
        (
            "_runtime/consent_words _runtime/duties _runtime/effects _runtime/exchange _runtime/feed _runtime/fitting _runtime/gathering _runtime/hub _runtime/marking"
            " _runtime/minutes _runtime/performing _runtime/quiet _runtime/rate _runtime/reconciler _runtime/script _runtime/served _runtime/services _runtime/sources"
            " _runtime/teller _runtime/turns _runtime/walk _runtime/work _store/acknowledgements _store/answered _store/automatic _store/consents _store/customers _store/effects _store/erasure _store/feed"
            " _store/hints _store/links _store/opting _store/piece_events _store/pieces _store/plugin_tables _store/pointers _store/reading _store/reconciliation _store/sessions _store/sources"
            " _store/subscriptions _store/tasks _store/verdicts"
        ),
    ),
    "notices": (
        720,
        "_runtime/notice_rows _store/notices _store/pruning settings/notices settings/wording",
    ),
    "menus": (
        3_100,
        (
            "menus/checks menus/definition menus/engine menus/heard menus/linting menus/loading menus/node menus/nodes menus/people"
            " menus/questions menus/spoken menus/stations/building menus/stations/collecting menus/stations/foreign"
            " menus/stations/listening menus/stations/people menus/stations/querying menus/stations/station menus/stations/talking menus/variables"
            " menus/walk menus/wording menus/writing"
        ),
    ),
    "menus in writing": (
        820,
        "_runtime/dialogue _runtime/in_writing _runtime/leading _runtime/pins _store/dialogues",
    ),
    "equipment": (
        2_310,
        (
            "_runtime/abilities _runtime/clock _runtime/equipment _runtime/fixed_response _runtime/http _runtime/installed _runtime/loader _runtime/log _runtime/menufolder _runtime/plan _runtime/reachable"
            " _runtime/redact _runtime/supervisor _runtime/systemd _runtime/upkeep _store/channels _store/engine _store/lock settings/file settings/mistake settings/prices settings/quiet settings/secret settings/source"
            " settings/structure"
        ),
    ),
}
APART = {"app", "api", "cli", "testing", "views", "tables", "migrations", "__main__"}
"""The composition root, the API, the commands, what commands show, the kit, the schema and its history."""

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


def named() -> dict[str, Path]:
    """Return the modules that must have a room, by their place in the package."""
    found = {file.relative_to(package(CORE)).with_suffix("").as_posix(): file for file in modules(package(CORE))}
    return {name: file for name, file in found.items() if not APART & {*name.split("/")} and "__init__" not in name}


def test_every_module_has_one_room() -> None:
    counted = Counter(name for _, names in ROOMS.values() for name in names.split())

    assert {name for name, count in counted.items() if count > 1} == set()
    assert set(counted) ^ set(named()) == set()


def test_every_room_stays_under_its_budget() -> None:
    files = named()
    lines_of = {room: sum(code_lines(files[name]) for name in names.split()) for room, (_, names) in ROOMS.items()}

    assert {room: count for room, count in lines_of.items() if count >= ROOMS[room][0]} == {}
    assert ROOMS["contract"][0] + ROOMS["the way of a message"][0] < CONTRACT_AND_PIPELINE


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
