"""What is shipped is what is tested: each wheel, alone with what it declares."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.architecture.workspace import CORE, MEMBERS, ROOT, package, settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

UV = Path(sys.executable).with_name("uv")

# What a test of any member may use; more is declared by the member itself, in its dependency group `test`.
TOOLS = ("hypothesis", "pytest", "pytest-asyncio", "pytest-timeout")

NO_TESTS_COLLECTED = 5

IMPORT_ALL = """
import importlib, pkgutil, {name} as package
for module in pkgutil.walk_packages(package.__path__, "{name}."):
    if not module.name.endswith((".__main__", ".migrations.env")):  # they run something when they are imported
        importlib.import_module(module.name)
print(package.__file__)
"""


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    return subprocess.run(
        command, cwd=cwd, env={**kept, "NO_COLOR": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def install(venv: Path, *what: str | Path) -> None:
    """Install from uv's cache, where everything lies since the environment was made; ask the network only if it does not."""
    command = ("pip", "install", "--quiet", "-p", venv, "-c", ROOT / "constraints.txt", *what)
    if run(UV, *command, "--offline", cwd=venv).returncode != 0:
        done = run(UV, *command, cwd=venv)
        assert done.returncode == 0, done.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Give the wheel of a member, built once from a copy of its folder."""

    @cache
    def built(member: Path) -> Path:
        place = tmp_path_factory.mktemp("wheel")
        source = shutil.copytree(member, place / member.name, ignore=shutil.ignore_patterns("tests"))
        done = run(UV, "build", "--quiet", "--wheel", "--no-sources", "--out-dir", place, source, cwd=place)
        assert done.returncode == 0, done.stdout
        [file] = place.glob("*.whl")
        return file

    return built


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_a_wheel_holds_one_typed_package_and_no_test(member: Path, wheel: Callable[[Path], Path]) -> None:
    names = [name for name in zipfile.ZipFile(wheel(member)).namelist() if ".dist-info/" not in name]
    shipped = package(member).name

    assert f"{shipped}/py.typed" in names
    assert {name.split("/")[0] for name in names} == {shipped}
    assert [name for name in names if "/tests/" in name] == []


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_its_tests_pass_with_only_its_own_dependencies(
    member: Path, wheel: Callable[[Path], Path], tmp_path: Path
) -> None:
    venv, desk = tmp_path / "venv", tmp_path / "desk"
    assert run(UV, "venv", "--quiet", "--seed", "-p", sys.executable, venv, cwd=tmp_path).returncode == 0
    declared = settings(member).get("dependency-groups", {}).get("test", [])
    install(venv, *TOOLS, *declared, *{wheel(CORE), wheel(member)})
    python = venv / "bin" / "python"

    imported = run(python, "-W", "error", "-c", IMPORT_ALL.format(name=package(member).name), cwd=tmp_path)
    assert imported.returncode == 0, imported.stdout
    assert Path(imported.stdout.strip()).is_relative_to(venv)

    if not (member / "tests").is_dir():
        return
    shutil.copytree(member / "tests", desk / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    for waivers in member.glob("quality.toml"):
        shutil.copy(waivers, desk)
    shutil.copy(ROOT / "pyproject.toml", desk)
    shutil.copy(ROOT / "conftest.py", desk)
    # The other engine, the simulation and the kit's rules import nothing that the rest does not, and take far longer than it.
    chosen = ("-m", "not slow", "-k", "not (postgres or simulation or conformance) or engine")
    done = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen, "tests", cwd=desk)
    expected = 0 if list((desk / "tests").rglob("test_*.py")) else NO_TESTS_COLLECTED
    assert done.returncode == expected, done.stdout
