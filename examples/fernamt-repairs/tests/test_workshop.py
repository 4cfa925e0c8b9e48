"""The menu keeps every rule, callers see all of it in both languages, and it is there once the package is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from fernamt import BuiltMenu, read_menu
from fernamt.testing import MenuConformance
from fernamt_repairs import NODES, WORKSHOP, workshop

CALLS = Path(__file__).parent / "calls" / "workshop.calls.toml"


class TestWorkshop(MenuConformance):
    calls = CALLS

    def menu(self) -> BuiltMenu:
        return workshop()


def test_it_is_there_once_the_package_is_installed(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "fernamt", "menu", "test", "repairs.workshop", "--calls", CALLS, "--whole")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "15 callers, 0 problems; nodes 8 of 8, exits 16 of 16." in done.stderr


def test_its_node_is_written_like_any_other_in_the_menu_of_somebody_else(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(WORKSHOP.read_text("utf-8").replace("Kettenblatt", "Speiche"), "utf-8")

    assert read_menu(mine, nodes=NODES).definition.nodes["day"] == workshop().definition.nodes["day"]
