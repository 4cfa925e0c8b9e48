"""A core and a plugin of two contracts, both as built wheels: the plugin is refused by name, the daemon runs, and it can go."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fernamt.cli.scaffold import Wish, rendered
from tests.docs.blocks import ROOT

CONFIGURATION = """listen = "127.0.0.1:0"

[channels.line]
kind = "acme"
"""
_BUILD = "import sys, uv_build; print(uv_build.build_wheel(sys.argv[1]))"


class Desk:
    """An environment of its own, with the distributions of this one but the core and its plugins."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
        [site] = (folder / "env").glob("lib/python*/site-packages")
        others = [path for path in sys.path if path.endswith("site-packages")]
        (site / "outer.pth").write_text("\n".join(others))
        self.folder = folder
        self.site = site
        self.python = folder / "env" / "bin" / "python"

    def built(self, source: Path, old: str, new: str) -> Path:
        """Return the wheel of a project, whose pyproject.toml says *new* instead of *old*."""
        project = source / "pyproject.toml"
        said = project.read_text()
        assert old in said
        project.write_text(said.replace(old, new))
        tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        made = subprocess.run(
            [sys.executable, "-c", _BUILD, self.folder],
            cwd=source,
            env={**os.environ, "PATH": tools},
            check=True,
            capture_output=True,
            text=True,
        )
        return self.folder / made.stdout.split()[-1]

    def install(self, *wheels: Path) -> None:
        words = ["-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--force-reinstall"]
        subprocess.run([self.python, *words, *wheels], check=True, capture_output=True)

    def told(self, *words: str) -> tuple[int, str]:
        done = subprocess.run(
            [self.python, "-m", "fernamt", *words],
            cwd=self.folder,
            env={**os.environ, "COLUMNS": "300"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.returncode, done.stdout

    def logged(self) -> str:
        """Return what a daemon logs until it is ready; it must end well."""
        with subprocess.Popen(
            [self.python, "-m", "fernamt", "run"], cwd=self.folder, stderr=subprocess.PIPE, text=True
        ) as daemon:
            assert daemon.stderr is not None
            lines = []
            for line in daemon.stderr:
                lines.append(line)
                if "daemon_ready" in line:
                    break
            daemon.send_signal(signal.SIGTERM)
            daemon.communicate()
        assert daemon.returncode == 0, "".join(lines)
        return "".join(lines)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_plugin_of_another_contract_is_refused_by_name_and_the_daemon_runs(tmp_path: Path) -> None:
    """That of a core which is too old too is told by ``core/tests/test_cli_installing.py``, without building wheels."""
    core, contract, cause = "2.0", "fernamt>=1,<2", "it was written for fernamt<2,>=1, and this is 2.0"
    desk = Desk(tmp_path)
    ours = importlib.metadata.version("fernamt")
    sources = shutil.copytree(ROOT / "core", tmp_path / "core", ignore=shutil.ignore_patterns("tests", "__pycache__"))
    for path, text in rendered(Wish(name="acme", by="webhook", about="Acme", author="Ann")).items():
        (tmp_path / "acme" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "acme" / path).write_text(text)
    written_for = next(
        line.strip(' ",')
        for line in (tmp_path / "acme" / "pyproject.toml").read_text().splitlines()
        if "fernamt>=" in line
    )
    core_wheel = desk.built(sources, f'version = "{ours}"', f'version = "{core}"')
    wheel = desk.built(tmp_path / "acme", written_for, contract)
    desk.install(core_wheel)
    (tmp_path / "fernamt.toml").write_text(CONFIGURATION)

    code, said = desk.told("plugins", "add", str(wheel), "--", "--no-index")
    assert code == 1
    assert f"The core stays at {core}: a plugin that needs another one is refused." in said

    # Whoever installs it otherwise has it, and it is not imported.
    desk.install(wheel)
    code, said = desk.told("check")
    assert code == 78
    assert f"fernamt-acme 0.1.0: {cause}" in said
    assert f"plugin acme (fernamt-acme 0.1.0): {cause}" in desk.logged()
    code, said = desk.told("plugins", "info", "acme")
    assert code == 1
    assert f"refused       {cause}" in said
    (tmp_path / "fernamt.toml").unlink()
    code, said = desk.told("plugins", "remove", "acme")
    assert code == 0, said
    assert "fernamt-acme is gone" in said
    assert list(desk.site.glob("fernamt_acme*")) == []
