"""The drill in which the disk of the store runs full, in small."""

import json
import subprocess
import sys

import pytest

from tests.story.daemon import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NOT_HERE = 77


def test_a_full_disk_refuses_loses_nothing_and_is_got_over_without_a_restart() -> None:
    command = [sys.executable, str(ROOT / "drills" / "disk.py"), "--kills", "1"]

    done = subprocess.run(command, capture_output=True, text=True)

    if done.returncode == NOT_HERE:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    bad = ("lost", "doubled", "disordered", "provider_doubled", "stuck", "corrupt")
    assert {name: found[name] for name in bad} == dict.fromkeys(bad, 0)
    assert found["refused"] > 0
    assert found["back_s"] < 10
