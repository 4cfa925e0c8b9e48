"""What Infobip's own library makes of JSON: in a process of its own, in an environment that ``scripts/servers`` installs."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[4]
PYTHON: Final = ROOT / ".servers" / "infobip" / "bin" / "python"


@cache
def _installed() -> None:
    script = ROOT / "scripts" / "servers"
    if not script.exists():
        pytest.skip("server: this is no checkout: Infobip's library is not here")
    done = subprocess.run([script, "infobip"], capture_output=True, text=True)
    if done.returncode or not PYTHON.exists():
        pytest.skip(f"server: Infobip's library could not be installed: {done.stderr[-300:]}")


def as_their_library_knows(*values: tuple[str, Any]) -> list[dict[str, Any]]:
    """Return each value, given with the name of its model, as it comes back from the library; skips where that cannot be had."""
    _installed()
    lines = "".join(f"{json.dumps(one)}\n" for one in values)
    script = Path(__file__).with_name("library.py")
    done = subprocess.run([PYTHON, script], input=lines, capture_output=True, text=True, check=True)
    return [json.loads(one) for one in done.stdout.splitlines()]
