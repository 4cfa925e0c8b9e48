"""Who may know whom: the contracts of import-linter, that they are complete, and what they cannot see."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.workspace import MEMBERS, PLUGINS, ROOT, modules, package, relative, run_python, settings

# One planted import for each contract, in the order of pyproject.toml.
PLANTED = {
    "core/src/fernamt/model.py": ("import fernamt.registry", "Imports in the core go down only"),
    "core/src/fernamt/registry.py": ("import fernamt_sms", "The core imports no plugin"),
    "plugins/sms/src/fernamt_sms/__init__.py": ("import fernamt_social", "Plugins do not know each other"),
    "plugins/social/src/fernamt_social/__init__.py": (
        "import fernamt.model",
        "A plugin enters by a public door: fernamt or fernamt.testing",
    ),
    "core/src/fernamt/session.py": ("import aiohttp", "The pure rooms do no I/O and know no framework"),
}


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    sources = os.pathsep.join(str(root / relative(member) / "src") for member in MEMBERS)
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--config", root / "pyproject.toml"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": sources},
        capture_output=True,
        text=True,
    )


def test_every_plugin_folder_is_under_contract() -> None:
    config = settings(ROOT)["tool"]["importlinter"]
    plugins = {package(plugin).name for plugin in PLUGINS}
    by_name = {contract["name"]: contract for contract in config["contracts"]}

    assert set(config["root_packages"]) == plugins | {"fernamt"}
    assert set(by_name["The core imports no plugin"]["forbidden_modules"]) == plugins
    assert set(by_name["Plugins do not know each other"]["modules"]) == plugins


def test_every_contract_holds() -> None:
    done = lint_imports(ROOT)

    assert done.returncode == 0, done.stdout


def test_every_contract_catches_an_import_that_it_forbids(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for member in MEMBERS:
        shutil.copytree(member / "src", tmp_path / relative(member) / "src")
    for name, (line, _) in PLANTED.items():
        with (tmp_path / name).open("a") as file:
            file.write(f"\n{line}\n")

    report = lint_imports(tmp_path).stdout

    assert [contract for _, contract in PLANTED.values() if f"{contract} BROKEN" not in report] == []


def test_importing_the_core_loads_no_plugin() -> None:
    found = run_python("import fernamt, fernamt.testing, sys; print([m for m in sys.modules if m[:8] == 'fernamt_'])")

    assert found == "[]"


def test_the_door_opens_without_the_heavy_libraries() -> None:
    heavy = {"aiohttp", "alembic", "rich", "sqlalchemy", "structlog", "tenacity"}

    assert run_python(f"import fernamt, sys; print(*{heavy} & set(sys.modules))") == ""


def test_the_door_and_the_commands_open_without_what_menus_are_made_of() -> None:
    opened = "import fernamt.cli.program, sys; fernamt.cli.program.program()"

    assert run_python(f"{opened}; print(*[m for m in sys.modules if m.startswith('fernamt.menus')])") == ""


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)
def test_the_tests_of_a_plugin_enter_by_the_public_door_too(plugin: Path) -> None:
    inner = [
        f"{relative(file)}: {name}"
        for file in modules(plugin / "tests")
        for node in ast.walk(ast.parse(file.read_text()))
        for name in imported(node)
        if name.startswith("fernamt.") and name != "fernamt.testing"
    ]

    assert inner == []


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return []
