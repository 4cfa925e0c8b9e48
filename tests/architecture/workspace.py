"""The members of the workspace, as the folders and the tracked files say."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CORE = ROOT / "core"
PLUGINS = tuple(
    sorted(file.parent for kind in ("plugins", "examples") for file in ROOT.glob(f"{kind}/*/pyproject.toml"))
)
"""Those that are shipped, and the examples: strangers, held to the same rules."""
MEMBERS = (CORE, *PLUGINS)


def settings(folder: Path) -> dict[str, Any]:
    """Return the ``pyproject.toml`` of *folder*."""
    return tomllib.loads((folder / "pyproject.toml").read_text())


def package(member: Path) -> Path:
    """Return the one importable package that *member* ships."""
    name = settings(member)["project"]["name"].replace("-", "_")
    return member / "src" / str(name)


def modules(folder: Path) -> list[Path]:
    """Return the Python files below *folder*, in a stable order."""
    return sorted(folder.rglob("*.py"))


def relative(file: Path) -> str:
    """Return the path of *file* as it is written in the project."""
    return file.relative_to(ROOT).as_posix()


def text_files() -> list[Path]:
    """Return every file of the project that is text: tracked ones, and new ones that are not ignored."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, check=True, capture_output=True).stdout.decode().split("\0")
    files = sorted(ROOT / name for name in set(listed) if name)
    return [file for file in files if file.is_file() and b"\0" not in file.read_bytes()[:8192]]


def run_python(code: str) -> str:
    """Run *code* in an interpreter of its own and return what it prints."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
