"""The directory of plugins says what is computed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.docs.blocks import ROOT

TIERS = json.loads((ROOT / "docs" / "plugins" / "tiers.json").read_text())


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", TIERS)
def test_a_plugin_has_the_tier_that_the_directory_says(name: str) -> None:
    command = [sys.executable, "-m", "fernamt", "plugins", "check", name, "--badge"]
    done = subprocess.run(command, capture_output=True, text=True)

    assert done.stdout.strip() == f"fernamt conformance: {TIERS[name]}", "call scripts/generate --tiers"
