"""Whoever is written to unasked stops it: on the page behind the link, by a mail program's button, or by a mail."""

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fernamt import Address
from fernamt._runtime.clock import SystemClock
from fernamt._store.engine import Store
from fernamt._store.names import Names
from tests.story.daemon import Daemon, post, running, until
from tests.story.mail_servers import (
    PASSWORD,
    PASSWORD_VARIABLE,
    Dovecot,
    Party,
    Postfix,
    mail_channel,
    mail_from,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

ONE_CLICK = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(f"sqlite:///{tmp_path / 'fernamt.db'}", SystemClock())
    yield store
    store.close()


def token_for(store: Store, party: Party) -> str:
    """Return what stands in a mail to them: what the channel signs, with the store's own secret."""
    until = datetime.now(UTC) + timedelta(days=1)
    return Names(store.keys()).sign(f"stop:{Address('email', party.address)}", "channel:support-mail", until)


def stopped(daemon: Daemon, party: Party) -> bool:
    done = daemon.here("consent", f"email:{party.address}", "--json")
    said = json.loads(done.stdout) if done.returncode == 0 else []
    return [one["allowed"] for one in said if one["scope"] == "marketing"] == [False]


def page(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def test_outreach_is_stopped_on_the_page_by_the_button_and_by_a_mail(
    tmp_path: Path,
    free_port: int,
    dovecot: Dovecot,
    postfix: Postfix,
    support: Party,
    ann: Party,
    bob: Party,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    daemon = Daemon(tmp_path, free_port, mail_channel(dovecot, postfix, support, sweep_s=600.0))
    with running(daemon):
        by_page, by_mail = token_for(store, ann), token_for(store, bob)
        here = f"{daemon.url}/in/support-mail/unsubscribe?token="

        # A program that looks at links for its owner stops nothing; neither does a token that is not ours.
        status, shown = page(here + urllib.parse.quote(by_page))
        assert (status, ann.address in shown, '<form method="post">' in shown) == (200, True, True)
        [(name, value)] = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]+)">', shown)
        assert not stopped(daemon, ann)
        assert page(here + "x" + urllib.parse.quote(by_page))[0] == 404
        assert post(here + "x" + urllib.parse.quote(by_page), b"", ONE_CLICK) == 404

        # The form and the button of a mail program (RFC 8058) send the same.
        assert (name, value) == ("List-Unsubscribe", "One-Click")
        assert post(here + urllib.parse.quote(by_page), f"{name}={value}".encode(), ONE_CLICK) == 200
        assert (stopped(daemon, ann), stopped(daemon, bob)) == (True, False)

        # Programs without it write a mail (RFC 2369): nobody has to look at that.
        postfix.hand_in(mail_from(bob, support, "", subject=f"unsubscribe {by_mail}"), sender=bob, to=support)
        until(lambda: stopped(daemon, bob))
        dovecot.wait_for_mails(support.user, 1, "Processed")
        assert daemon.told("inbox", "--all") == []
        until(lambda: "1 consent" in daemon.told("channels")[0]["reason"])
