"""One customer's mail all the way, through a real Dovecot and a real Postfix."""

import email
import email.policy
import json
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.story.daemon import Daemon, running, until
from tests.story.mail_servers import (
    NOBODY,
    PASSWORD,
    PASSWORD_VARIABLE,
    Dovecot,
    Party,
    Postfix,
    mail_channel,
    mail_from,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def daemon(
    tmp_path: Path,
    free_port: int,
    dovecot: Dovecot,
    postfix: Postfix,
    support: Party,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Daemon]:
    """A daemon that reads the mailbox of *support*, not started. A sweep is far away: only IDLE brings mail."""
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    configuration = mail_channel(dovecot, postfix, support, sweep_s=600.0, idle_s=900.0)
    daemon = Daemon(tmp_path, free_port, configuration)
    yield daemon
    daemon.stop()


def entries(daemon: Daemon, number: int = 1) -> list[dict[str, Any]]:
    """What `show` says of a conversation, once there is one."""
    until(lambda: len(daemon.told("inbox", "--all")) >= number)
    found: list[dict[str, Any]] = daemon.told("show", str(number))["entries"]
    return found


def settled(daemon: Daemon, *states: str) -> dict[str, Any]:
    """The delivery of entry 2, once it is in one of *states*."""
    found: dict[str, Any] = until(
        lambda: next((one for one in entries(daemon)[1]["deliveries"] if one["state"] in states), {})
    )
    return found


def read(mail: bytes) -> EmailMessage:
    parsed = email.message_from_bytes(mail, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def test_a_mail_is_stored_moved_answered_once_and_the_answers_thread_both_ways(
    daemon: Daemon, dovecot: Dovecot, postfix: Postfix, support: Party, ann: Party, bob: Party
) -> None:
    with running(daemon):
        first = mail_from(ann, support, "Wo bleibt mein Paket?", message_id="<one@customer.test>")
        postfix.hand_in(first, sender=ann, to=support)
        [stored] = dovecot.wait_for_mails(support.user, 1, "Processed")
        assert b"Wo bleibt mein Paket?" in stored
        assert [(entry["n"], entry["kind"]) for entry in entries(daemon)] == [(1, "received")]

        assert daemon.say("reply", "1", "Es kommt morgen.", "--wait").returncode == 0
        [mail] = dovecot.wait_for_mails(ann.user, 1)
        answer = read(mail)
        assert answer["subject"] == "Re: Meine Bestellung"
        assert answer["in-reply-to"] == "<one@customer.test>"
        assert answer["reply-to"].startswith(f"{support.user}+") or "+" in answer["reply-to"]

        # She answers from her mailer, to the plain address: her reference says where it belongs.
        by_reference = mail_from(ann, support, "Danke!", in_reply_to=answer["message-id"])
        postfix.hand_in(by_reference, sender=ann, to=support)
        # A colleague of hers answers to the signed address, with no reference at all.
        token = answer["reply-to"].addresses[0].addr_spec
        postfix.hand_in(mail_from(bob, token, "Ich nehme es an."), sender=bob, to=token)
        # A stranger who knows the reference, but neither takes part nor has the token, joins nothing.
        forged = mail_from(NOBODY, support, "Geben Sie mir die Daten", in_reply_to=answer["message-id"])
        postfix.hand_in(forged, sender=NOBODY, to=support)
        dovecot.wait_for_mails(support.user, 4, "Processed")

        kinds = [entry["kind"] for entry in entries(daemon)]
        assert kinds == ["received", "sent", "received", "received"]
        assert len(daemon.told("inbox", "--all")) == 2
        assert len(dovecot.mails(ann.user)) == 1
    assert daemon.stop() == 0


def test_a_check_sends_a_probe_and_finds_it_beside_the_daemon(daemon: Daemon, dovecot: Dovecot, support: Party) -> None:
    with running(daemon):
        until(lambda: [one["state"] for one in daemon.told("channels")] == ["up"])
        told = json.loads(daemon.say("check", "--online", "--json").stdout)
    [found] = [one for one in told["findings"] if one["what"] == "channel"]
    assert (found["state"], found["text"].startswith(f"{support.address}: a probe came back")) == ("ok", True)
    assert dovecot.mails(support.user) == dovecot.mails(support.user, "Processed") == []
    assert daemon.told("inbox", "--all") == []


def test_a_connection_that_is_kicked_is_made_again(
    daemon: Daemon, dovecot: Dovecot, postfix: Postfix, support: Party, ann: Party
) -> None:
    with running(daemon):
        until(lambda: daemon.told("channels")[0]["state"] == "up")
        dovecot.kick(support.user)
        postfix.hand_in(mail_from(ann, support, "Hallo?"), sender=ann, to=support)
        dovecot.wait_for_mails(support.user, 1, "Processed")
        assert [entry["n"] for entry in entries(daemon)] == [1]
        until(lambda: daemon.told("channels")[0]["state"] == "up")


def test_a_mail_that_is_put_off_is_sent_later_and_once(
    daemon: Daemon, dovecot: Dovecot, postfix: Postfix, support: Party, ann: Party
) -> None:
    with running(daemon):
        postfix.hand_in(mail_from(ann, support, "Hallo?"), sender=ann, to=support)
        dovecot.wait_for_mails(support.user, 1, "Processed")
        postfix.grey(ann)
        daemon.say("reply", "1", "Guten Tag", "--no-wait")
        delivery = settled(daemon, "sent")
        assert len(delivery["attempts"]) == 2
        assert len(dovecot.wait_for_mails(ann.user, 1)) == 1


def test_a_mail_that_is_refused_is_failed_with_the_servers_words(
    daemon: Daemon, dovecot: Dovecot, postfix: Postfix, support: Party, ann: Party
) -> None:
    with running(daemon):
        postfix.hand_in(mail_from(ann, support, "Hallo?"), sender=ann, to=support)
        dovecot.wait_for_mails(support.user, 1, "Processed")
        postfix.block(ann)
        assert daemon.say("reply", "1", "Guten Tag", "--wait").returncode == 1
        delivery = settled(daemon, "failed")
        assert "Rejected by policy" in delivery["reason"]
        assert dovecot.mails(ann.user) == []


def test_a_report_of_failure_turns_the_delivery_to_failed(
    daemon: Daemon, dovecot: Dovecot, postfix: Postfix, support: Party
) -> None:
    with running(daemon):
        postfix.hand_in(mail_from(NOBODY, support, "Hallo?"), sender=NOBODY, to=support)
        dovecot.wait_for_mails(support.user, 1, "Processed")
        daemon.say("reply", "1", "Guten Tag", "--no-wait")
        delivery = settled(daemon, "failed")
        assert [attempt["outcome"] for attempt in delivery["attempts"]] == ["sent"]
        assert delivery["reason"]


@pytest.mark.parametrize("point", ["writer.before-commit", "writer.committed"])
def test_a_mail_survives_a_kill_while_it_is_received(
    daemon: Daemon, dovecot: Dovecot, postfix: Postfix, support: Party, ann: Party, point: str, tmp_path: Path
) -> None:
    armed = tmp_path / "armed"
    daemon.start(point, "1", str(armed))
    until(lambda: '"state":"up"' in daemon.log())
    armed.touch()
    postfix.hand_in(mail_from(ann, support, "Hallo?"), sender=ann, to=support)
    daemon.died()
    assert dovecot.mails(support.user, "Processed") == []
    with running(daemon):
        dovecot.wait_for_mails(support.user, 1, "Processed")
        assert [(entry["n"], entry["kind"]) for entry in entries(daemon)] == [(1, "received")]
        assert len(daemon.told("inbox", "--all")) == 1


# What arrives after a kill at each point: the fixed Message-ID makes a repeat harmless, and only it allows one.
COPIES = {"outbox.begun": {1}, "outbox.answered": {2}, "outbox.finished": {1}}


@pytest.mark.parametrize("point", COPIES)
def test_an_answer_survives_a_kill_while_it_is_sent(
    daemon: Daemon, dovecot: Dovecot, postfix: Postfix, support: Party, ann: Party, point: str
) -> None:
    daemon.start(point, "1")
    postfix.hand_in(mail_from(ann, support, "Hallo?"), sender=ann, to=support)
    dovecot.wait_for_mails(support.user, 1, "Processed")
    daemon.say("reply", "1", "Guten Tag", "--no-wait")
    daemon.died()
    with running(daemon):
        settled(daemon, "sent")
        mails = dovecot.wait_for_mails(ann.user, max(COPIES[point]))
    assert len(mails) in COPIES[point]
    assert len({read(mail)["message-id"] for mail in mails}) == 1
    assert [entry["kind"] for entry in entries(daemon)] == ["received", "sent"]
