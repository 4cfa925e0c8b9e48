"""Machines meet machines, through a real Dovecot and a real Postfix: what they report is understood, and no two of them talk for ever."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.story.daemon import Daemon, running, until
from tests.story.mail_servers import (
    BEYOND,
    PASSWORD,
    PASSWORD_VARIABLE,
    Dovecot,
    Party,
    Postfix,
    mail_channel,
    mail_from,
)
from tests.story.plugins import install

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

TALKATIVE = """
from fernamt import Reply, hookimpl


def answer(told):
    return [Reply(text="Danke, wir melden uns.")]


@hookimpl
def fernamt_register(registry):
    registry.subscriber("answer", answer, entries={"received"})
"""


@pytest.fixture
def daemon(
    tmp_path: Path, free_port: int, dovecot: Dovecot, postfix: Postfix, support: Party, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Daemon]:
    """A daemon that answers every mail at once, by a plugin that knows nothing of loops."""
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    install(tmp_path, "talkative", TALKATIVE)
    channel = mail_channel(dovecot, postfix, support, house_language="de", automatic_per_day=2)
    daemon = Daemon(tmp_path, free_port, f'[plugins]\nenabled = ["talkative"]\n{channel}', tmp_path)
    yield daemon
    daemon.stop()


def inbox(daemon: Daemon) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = daemon.told("inbox", "--all")
    return found


def entries(daemon: Daemon, number: int = 1) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = daemon.told("show", str(number))["entries"]
    return found


def states(daemon: Daemon, number: int = 1) -> list[str]:
    return [one["state"] for entry in entries(daemon, number) for one in entry["deliveries"]]


def at_rest(daemon: Daemon, conversations: int) -> list[str]:
    """The states of all deliveries, once nothing moves any more."""

    def look() -> list[str]:
        if len(inbox(daemon)) < conversations:
            return []
        found = [one for number in range(1, conversations + 1) for one in states(daemon, number)]
        return found if len(found) >= conversations and not {"queued", "sending"} & {*found} else []

    return until(look)


def test_an_out_of_office_note_gets_no_answer(
    daemon: Daemon, dovecot: Dovecot, postfix: Postfix, support: Party, ann: Party
) -> None:
    with running(daemon):
        postfix.hand_in(mail_from(ann, support, "Hallo?"), sender=ann, to=support)
        [answer] = dovecot.wait_for_mails(ann.user, 1)
        sent = email.message_from_bytes(answer, policy=email.policy.default)
        assert (sent["auto-submitted"], sent["return-path"]) == ("auto-replied", "<>")
        away = mail_from(ann, support, "Ich bin im Urlaub.", subject="Abwesend", in_reply_to=str(sent["message-id"]))
        postfix.hand_in(b"Auto-Submitted: auto-replied\r\n" + away, sender=ann, to=support)
        until(lambda: states(daemon)[1:])
        assert at_rest(daemon, 1) == ["sent", "refused"]
        assert len(dovecot.mails(ann.user)) == 1
        assert inbox(daemon)[0]["state"] == "waiting"


def test_a_machine_that_marks_nothing_and_loses_the_thread_is_left_alone_after_a_while(
    daemon: Daemon, dovecot: Dovecot, postfix: Postfix, support: Party, ann: Party
) -> None:
    with running(daemon):
        for number in range(1, 4):  # it answers each of ours with a new mail, and the last one with none
            postfix.hand_in(mail_from(ann, support, "Bitte warten", subject=f"Ticket {number}"), sender=ann, to=support)
            if number < 3:
                dovecot.wait_for_mails(ann.user, number)
        assert at_rest(daemon, 3) == ["sent", "sent", "refused"]
        assert len(dovecot.mails(ann.user)) == 2


def test_who_writes_first_hears_its_number_once_and_no_machine_does(
    tmp_path: Path,
    free_port: int,
    dovecot: Dovecot,
    postfix: Postfix,
    support: Party,
    ann: Party,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    channel = mail_channel(dovecot, postfix, support, acknowledge=True, sent_folder="Sent")
    daemon = Daemon(tmp_path, free_port, channel)
    with running(daemon):
        postfix.hand_in(mail_from(ann, support, "Wo ist mein Paket?", subject="Geheim"), sender=ann, to=support)
        [told] = dovecot.wait_for_mails(ann.user, 1)
        mail = email.message_from_bytes(told, policy=email.policy.default)
        assert (mail["subject"], mail["auto-submitted"]) == ("Ihre Nachricht ist angekommen (#1)", "auto-replied")
        assert b"Geheim" not in told
        postfix.hand_in(mail_from(ann, support, "Noch eine Frage"), sender=ann, to=support)
        dovecot.wait_for_mails(support.user, 2, "Processed")
        assert daemon.say("reply", "2", "Morgen.", "--wait").returncode == 0
        dovecot.wait_for_mails(ann.user, 2)
        until(lambda: len(dovecot.mails(support.user, "Sent")) == 2)
        assert [one["state"] for one in sorted(inbox(daemon), key=lambda one: int(one["number"]))] == [
            "open",
            "waiting",
        ]


# What becomes of a mail that Postfix took from us: the reply of the next server, the state that follows, and the words for it.
REPORTS = [
    ("550 5.1.1 User unknown", "failed", "Das Postfach gibt es nicht"),
    ("552 5.2.2 Mailbox full", "failed", "Das Postfach ist voll"),
    ("554 5.7.1 Relay access denied", "failed", "lehnt unsere E-Mail ab"),
    ("550 5.1.2 Host not found", "failed", "Die Domain der Adresse nimmt keine E-Mail an"),
    ("451 4.3.2 Try again later", "sent", "Sie ist verspätet"),
]


def test_what_a_real_mail_server_reports_of_each_recipient_is_told_in_a_sentence(
    daemon: Daemon, dovecot: Dovecot, postfix: Postfix, support: Party
) -> None:
    everybody = [Party(f"carl-{reply[4:9]}", BEYOND) for reply, *_ in REPORTS]
    for carl, (reply, *_) in zip(everybody, REPORTS, strict=True):
        postfix.beyond_says(carl, reply)
    with running(daemon):
        first = everybody[0]
        postfix.hand_in(mail_from(first, support, "Hallo?"), sender=first, to=support)
        dovecot.wait_for_mails(support.user, 1, "Processed")
        until(lambda: inbox(daemon))
        to = [word for one in everybody for word in ("--to", f"email:{one.address}")]
        daemon.say("reply", "1", "Guten Tag", "--no-wait", *to)
        dovecot.wait_for_mails(support.user, 1 + len(REPORTS), "Processed", within_s=60)

        def told() -> dict[str, dict[str, Any]]:
            deliveries = [one for entry in entries(daemon) for one in entry["deliveries"] if one["text"] == "Guten Tag"]
            found = {one["to"]: one for one in deliveries if one["reason"]}
            return found if len(found) == len(REPORTS) else {}

        found = until(told, within_s=60)
        for carl, (_, state, said) in zip(everybody, REPORTS, strict=True):
            delivery = found[f"email:{carl.address}"]
            assert (delivery["state"], said in delivery["reason"]) == (state, True), delivery
        assert len(inbox(daemon)) == 1
