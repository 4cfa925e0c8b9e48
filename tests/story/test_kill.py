"""The drill that kills the daemon, in small: its figures at full length are what `make drill` says."""

import json
import subprocess
import sys

import pytest

from tests.story.daemon import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize(("store", "kills"), [("sqlite", 6), ("postgres", 6), ("postgres2", 3)])
def test_nothing_is_lost_doubled_or_disordered_when_the_daemon_is_killed(store: str, kills: int) -> None:
    command = [sys.executable, str(ROOT / "drills" / "kill.py"), "--store", store, "--kills", str(kills)]

    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert [found[name] for name in ("lost", "doubled", "disordered", "provider_doubled")] == [0, 0, 0, 0]
    assert found["received"] > 0
    assert found["answered"] > 0
