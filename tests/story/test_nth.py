"""The drill that breaks each call once, at every so many-th position: all of them are what `make drill DRILL=nth` runs."""

import json
import subprocess
import sys

import pytest

from tests.story.daemon import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize(("kind", "every"), [("store", 61), ("commit", 9), ("file", 15), ("network", 11)])
def test_a_call_that_fails_once_loses_doubles_and_blocks_nothing(kind: str, every: int) -> None:
    command = [sys.executable, str(ROOT / "drills" / "nth.py"), "--kind", kind, "--every", str(every)]

    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    bad = ("lost", "doubled", "disordered", "provider_doubled", "stuck", "failed")
    assert {name: found[name] for name in bad} == dict.fromkeys(bad, 0)
    assert found["positions"] > 1
