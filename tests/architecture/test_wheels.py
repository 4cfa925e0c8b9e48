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

# Of the core, what can be another thing in another place: the commands, which reach every room as an operator does, and
# what reads its own files or meets its own dependencies by name. The rest is the same code, and was run where it stands.
FROM_ITS_WHEEL = (
    "test_cli*.py",
    "menus/test_cli_menu.py",
    "test_app.py",
    "test_engine.py",
    "test_http.py",
    "test_loader.py",
    "test_log.py",
    "test_plugin_tables.py",
    "test_settings.py",
    "test_web.py",
)

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

# What an import of the package or of a test names, wherever it stands: some are imported only by what needs them.
MISSING = """
import ast, importlib.util, sys
from pathlib import Path
package, tests = map(Path, sys.argv[1:])
named = set()
for file in [*package.rglob("*.py"), *tests.rglob("test_*.py"), *tests.rglob("conftest.py")]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            named |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            named.add(node.module.partition(".")[0])
print(*sorted(name for name in named if importlib.util.find_spec(name) is None))
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


@pytest.fixture(scope="session")
def base(wheel: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the environments of all members have in common, compiled once: the core with what it needs, and the tools."""
    venv = tmp_path_factory.mktemp("base") / "venv"
    assert run(UV, "venv", "--quiet", "--seed", "-p", sys.executable, venv, cwd=venv.parent).returncode == 0
    install(venv, *TOOLS, wheel(CORE))
    everything = f"{IMPORT_ALL.format(name='fernamt')}\nimport hypothesis, pytest_asyncio, pytest_timeout"
    imported = run(venv / "bin" / "python", "-c", everything, cwd=venv.parent)
    assert imported.returncode == 0, imported.stdout
    return venv


def environment(base: Path, venv: Path) -> None:
    """Make an environment of its own in the place *venv*, with what is in *base*."""
    assert run(UV, "venv", "--quiet", "-p", sys.executable, venv, cwd=venv.parent).returncode == 0
    [ours], [theirs] = (list(one.glob("lib/python*/site-packages")) for one in (venv, base))
    # Links, and no byte is copied: whoever installs another version writes a new file.
    shutil.copytree(
        theirs, ours, copy_function=os.link, dirs_exist_ok=True, ignore=shutil.ignore_patterns("_virtualenv*")
    )


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_a_wheel_holds_one_typed_package_whole_and_no_test(member: Path, wheel: Callable[[Path], Path]) -> None:
    names = [name for name in zipfile.ZipFile(wheel(member)).namelist() if ".dist-info/" not in name]
    shipped, source = package(member).name, member / "src"

    assert f"{shipped}/py.typed" in names
    assert {name.split("/")[0] for name in names} == {shipped}
    assert [name for name in names if "/tests/" in name] == []
    files = {file for file in source.rglob("*") if file.is_file() and file.parent.name != "__pycache__"}
    assert {name for name in names if not name.endswith("/")} == {file.relative_to(source).as_posix() for file in files}


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_it_and_its_tests_need_nothing_that_it_does_not_declare(
    member: Path, wheel: Callable[[Path], Path], base: Path, tmp_path: Path
) -> None:
    venv, desk = tmp_path / "venv", tmp_path / "desk"
    environment(base, venv)
    declared = settings(member).get("dependency-groups", {}).get("test", [])
    install(venv, *declared, *{wheel(CORE), wheel(member)})
    python = venv / "bin" / "python"
    desk.mkdir()

    imported = run(python, "-W", "error", "-c", IMPORT_ALL.format(name=package(member).name), cwd=tmp_path)
    assert imported.returncode == 0, imported.stdout
    assert Path(imported.stdout.strip()).is_relative_to(venv)

    if (member / "tests").is_dir():
        shutil.copytree(member / "tests", desk / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    missing = run(python, "-c", MISSING, Path(imported.stdout.strip()).parent, desk, cwd=desk)
    assert missing.stdout.split() == []

    if not (desk / "tests").is_dir():
        return
    for waivers in member.glob("quality.toml"):
        shutil.copy(waivers, desk)
    shutil.copy(ROOT / "pyproject.toml", desk)
    shutil.copy(ROOT / "conftest.py", desk)
    # The other engine, the simulation, the kit's rules and what Hypothesis makes up import nothing that the rest does not,
    # and take far longer than it.
    chosen = ("-m", "not slow and not hypothesis", "-k", "not (postgres or simulation or conformance) or engine")
    tests = [file for name in FROM_ITS_WHEEL for file in (desk / "tests").glob(name)] if member == CORE else ["tests"]
    done = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen, *tests, cwd=desk)
    expected = 0 if list((desk / "tests").rglob("test_*.py")) else NO_TESTS_COLLECTED
    assert done.returncode == expected, done.stdout
