"""The drill in which every line breaks in another way each second, in small."""

import json
import os
import subprocess
import sys

import pytest

from tests.story.daemon import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_broken_lines_lose_double_disorder_and_block_nothing(store: str) -> None:
    command = [sys.executable, str(ROOT / "drills" / "wire.py"), "--store", store, "--kills", "4"]

    # What failed is tried again after a second, not after five: that it is, and in order, is looked at, and not how late.
    done = subprocess.run(command, env={**os.environ, "DRILL_RETRY_S": "1"}, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    bad = ("lost", "doubled", "disordered", "provider_doubled", "stuck")
    assert {name: found[name] for name in bad} == dict.fromkeys(bad, 0)
    assert found["received"] > 0
    assert found["connections"] > 0
