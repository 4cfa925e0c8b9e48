"""The drill that kills the daemon while mail comes in, in small: its figures at full length are what `make drill DRILL=mail` says."""

import json
import subprocess
import sys

import pytest

from plugins.email.tests.dovecot import need_programs
from tests.story.daemon import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_no_mail_is_lost_or_doubled_when_the_daemon_is_killed() -> None:
    need_programs({"dovecot": "dovecot-imapd", "doveadm": "dovecot-lmtpd", "openssl": "openssl"})
    command = [sys.executable, str(ROOT / "drills" / "mail.py"), "--kills", "4"]

    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert [found[name] for name in ("lost", "doubled", "left", "unaccounted", "quarantined")] == [0, 0, 0, 0, 0]
    assert found["by_imap"] > 0
    assert found["by_listener"] > 0
