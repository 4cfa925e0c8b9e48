"""The page about menus on channels, followed word for word with real mail; a broken menu beside it; and a kill at every point."""

from __future__ import annotations

import email
import email.policy
import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.docs.blocks import blocks
from tests.story.daemon import ROOT, Daemon, running, until
from tests.story.mail_servers import PASSWORD, PASSWORD_VARIABLE, Dovecot, Party, Postfix, mail_channel, mail_from

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PAGE = ROOT / "docs" / "how-to" / "menu-on-a-channel.md"
POINTS = ("work.begun", "work.done", "work.ended", "outbox.begun", "outbox.answered", "outbox.finished")


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)


class Page:
    """What the page gives its reader."""

    def __init__(self) -> None:
        found = blocks(PAGE.name, PAGE.read_text("utf-8"))
        self.files = {one.role: one.text for one in found if one.language == "toml" and one.role}
        [section] = [one.text for one in found if one.language == "toml" and "[channels.support]" in one.text]
        self.keys = dict(re.findall(r"^(\w+) = (.+)$", section, re.MULTILINE))
        [self.question] = [one.text.strip() for one in found if one.language == "text" and not one.role]


class Customer:
    """Somebody who answers the last mail that came."""

    def __init__(self, dovecot: Dovecot, postfix: Postfix, me: Party, support: Party) -> None:
        self.dovecot, self.postfix, self.me, self.support = dovecot, postfix, me, support

    def mails(self) -> list[EmailMessage]:
        raw = self.dovecot.mails(self.me.user)
        return [email.message_from_bytes(one, policy=email.policy.default) for one in raw]

    def ids(self) -> set[str]:
        """Return the ids of what came: a mail that came twice has one."""
        return {str(one["message-id"]) for one in self.mails()}

    def writes(self, text: str) -> None:
        mails = self.mails()
        answered = str(mails[-1]["message-id"]) if mails else ""
        mail = mail_from(self.me, self.support, text, in_reply_to=answered)
        self.postfix.hand_in(mail, sender=self.me, to=self.support)

    def reads(self, count: int) -> str:
        self.dovecot.wait_for_mails(self.me.user, count)
        part = self.mails()[count - 1].get_body(("plain",))
        assert part is not None
        return str(part.get_content()).strip()


def entries(daemon: Daemon) -> list[dict[str, Any]]:
    until(lambda: daemon.told("inbox", "--all"))
    found: list[dict[str, Any]] = daemon.told("show", "1")["entries"]
    return found


def kinds(daemon: Daemon) -> list[str]:
    return [one["kind"] for one in entries(daemon)]


def made_up_for(daemon: Daemon, customer: Customer, done: int) -> None:
    """Return when what a kill left behind is done: so many answers are written and have come, and nobody is to be told.

    Who has not got the question yet does not answer it, but begins another conversation.
    """
    until(lambda: kinds(daemon).count("sent") == done)
    until(lambda: not [one for one in daemon.told("work") if one["kind"] == "tell"])
    until(lambda: len(customer.ids()) == done)


@contextmanager
def ended(daemon: Daemon) -> Iterator[None]:
    try:
        yield
    finally:
        daemon.stop()


def configured(folder: Path, port: int, channel: str, files: dict[str, str]) -> Daemon:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return Daemon(folder, port, channel)


def test_the_menu_of_the_page_answers_real_mail_until_a_person_takes_over(
    tmp_path: Path, free_port: int, dovecot: Dovecot, postfix: Postfix, support: Party, ann: Party
) -> None:
    page, customer = Page(), Customer(dovecot, postfix, ann, support)
    keys = {name: int(value) if value.isdigit() else value.strip('"') for name, value in page.keys.items()}
    channel = mail_channel(dovecot, postfix, support, channel="support", sweep_s=600.0, idle_s=900.0, **keys)
    daemon = configured(tmp_path, free_port, channel, page.files)
    checked = daemon.say("check")
    assert checked.returncode == 0, checked.stdout
    with running(daemon):
        customer.writes("Hello, I have a question.")
        assert customer.reads(1) == page.question
        # An answer that only sends the question back chooses nothing.
        customer.writes("".join(f"> {line}\n" for line in customer.reads(1).split("\n")))
        assert customer.reads(2).startswith("I did not understand that. What is it about?")
        customer.writes("2\n\nOn Monday Support wrote:\n> 1 Opening hours\n> 2 A person")
        assert customer.reads(3) == "Somebody of us will answer you."
        until(lambda: "handover" in kinds(daemon))
        assert daemon.say("reply", "1", "Hello, this is Maria.", "--wait").returncode == 0
        customer.writes("1")
        until(lambda: kinds(daemon)[-1] == "received")
        until(lambda: not daemon.told("work"))
        assert len(customer.mails()) == 4
    assert daemon.stop() == 0


def test_a_menu_with_a_mistake_is_named_and_its_customers_go_to_a_person(
    tmp_path: Path, free_port: int, dovecot: Dovecot, postfix: Postfix, support: Party, ann: Party
) -> None:
    page, customer = Page(), Customer(dovecot, postfix, ann, support)
    files = {
        **page.files,
        "menus.d/broken.toml": page.files["menus.d/front.toml"].replace('to = "person"', 'to = "nobody"'),
    }
    channel = mail_channel(dovecot, postfix, support, sweep_s=600.0, idle_s=900.0, menu="menus.broken", language="en")
    daemon = configured(tmp_path, free_port, channel, files)
    checked = daemon.say("check")
    assert checked.returncode == 78
    assert "menus.broken" in checked.stdout
    assert "there is no node 'nobody'" in checked.stdout
    with running(daemon):
        with urllib.request.urlopen(f"{daemon.url}/readyz", timeout=5) as ready:
            assert ready.read().decode() == "ready\nwithout menus.broken: fernamt check tells why\n"
        assert re.search(r"broken\.toml:[0-9]+: nodes\.reason\.options\.1\.to: there is no node 'nobody'", daemon.log())
        customer.writes("Hello, I have a question.")
        assert customer.reads(1).startswith("This cannot go on automatically just now.")
        until(lambda: "handover" in kinds(daemon))
        assert daemon.told("inbox")[0]["state"] == "open"
        customer.writes("Are you there?")
        until(lambda: kinds(daemon).count("received") == 2)
        until(lambda: not daemon.told("work"))
        assert len(customer.mails()) == 1


def test_a_kill_at_every_point_loses_no_answer_and_asks_nothing_twice(
    tmp_path: Path, free_port: int, dovecot: Dovecot, postfix: Postfix, support: Party, bob: Party
) -> None:
    page, customer = Page(), Customer(dovecot, postfix, bob, support)
    channel = mail_channel(
        dovecot, postfix, support, sweep_s=600.0, idle_s=900.0, menu="menus.front", language="en", automatic_per_day=50
    )
    daemon = configured(tmp_path, free_port, channel, page.files)
    with ended(daemon):
        for done, point in enumerate(POINTS):
            armed = tmp_path / f"armed-{done}"
            daemon.start(point, "1", str(armed))
            daemon.ready()
            if done:
                made_up_for(daemon, customer, done)
            armed.touch()
            # The hours end the menu, and the next mail begins it anew.
            customer.writes("hours" if done % 2 else "Hello")
            daemon.died()
        with running(daemon):
            until(lambda: kinds(daemon).count("sent") == len(POINTS))
            said = [one["text"] for one in entries(daemon) if one["kind"] == "sent"]
            goodbye = "We are here from Monday to Friday, 8 to 17.\nHave a nice day."
            assert said == [page.question, goodbye] * (len(POINTS) // 2)
            # An attempt whose end nobody saw is made again, with the same Message-ID.
            until(lambda: len(customer.ids()) == len(POINTS))
