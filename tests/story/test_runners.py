"""The drills of several runners and of the database, in small: their figures at full length are what `make drill` says."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.story.daemon import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def found(drill: str, *words: str) -> dict[str, Any]:
    command = [sys.executable, str(ROOT / "drills" / f"{drill}.py"), *words]
    done = subprocess.run(command, capture_output=True, text=True)
    # Beside other tests a machine may be slow: how fast it has to be is asked where the drill has it for itself.
    assert done.stdout, done.stderr[-3000:]
    line: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert [line[name] for name in ("lost", "doubled", "disordered", "provider_doubled")] == [0, 0, 0, 0]
    assert line["received"] > 0
    assert line["answered"] > 0
    return line


def test_a_runner_that_was_halted_past_its_lease_writes_nothing_and_another_has_taken_over() -> None:
    line = found("stale", "--kills", "2")
    assert line["stale_writes"] == 0
    assert 0 < line["take_over_s"] <= 5 * line["lease_s"]


def test_the_database_may_be_killed_and_the_daemon_goes_on() -> None:
    assert 0 < found("database", "--kills", "2")["again_s"] <= 60
