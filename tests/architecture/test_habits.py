"""The habits of the workspace: its commands, and what happens to skipped and slow tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from conftest import ALONE
from tests.architecture.workspace import ROOT, settings

SCREEN_LINES = 24

TESTS = """
import pytest

@pytest.mark.slow
def test_written_first(): ...

def test_written_last(): ...

def test_server(): pytest.skip("server: no PostgreSQL here")

def test_kernel(): pytest.skip("needs a newer kernel")
"""


def pytest_in(folder: Path, *, ci: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(ROOT / "conftest.py", folder)
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "test_it.py").write_text(TESTS)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "test_it.py"],
        cwd=folder,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
    )


def test_a_skip_for_want_of_a_server_fails_in_ci(tmp_path: Path) -> None:
    done = pytest_in(tmp_path, ci="true")

    assert done.returncode == 1
    assert "test_server FAILED" in done.stdout
    assert "test_kernel SKIPPED" in done.stdout


def test_at_a_desk_it_stays_a_skip_and_slow_tests_run_last(tmp_path: Path) -> None:
    done = pytest_in(tmp_path, ci="")

    assert done.returncode == 0
    assert "test_server SKIPPED" in done.stdout
    assert done.stdout.index("test_written_last PASSED") < done.stdout.index("test_written_first PASSED")


def test_every_layer_of_tests_is_collected_and_the_deepest_comes_first() -> None:
    paths = settings(ROOT)["tool"]["pytest"]["testpaths"]

    assert paths[:2] == ["core/tests", "plugins"]
    assert {folder.name for folder in (ROOT / "tests").iterdir() if list(folder.glob("test_*.py"))} <= {
        Path(path).name for path in paths
    }


def test_the_tests_that_run_alone_are_there() -> None:
    assert [name for name in ALONE if not (ROOT / name).is_file()] == []


def test_make_alone_lists_its_targets_on_one_screen() -> None:
    listed = subprocess.run(["make", "-C", ROOT], capture_output=True, text=True, check=True).stdout

    assert len(listed.splitlines()) < SCREEN_LINES
    assert [name for name in ("run", "test", "check", "bench", "drill") if f"  make {name} " not in listed] == []


def test_ci_runs_every_test() -> None:
    script = (ROOT / ".ci" / "run").read_text()

    assert script.splitlines()[-2:] == ["export CI=true", "exec make test"]
