"""The shipped reception in writing: over real mail and over SMS, with a kill, a person who takes over, STOP, and no loop."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from plugins.sms.tests.smpp.smsc import PASSWORD as SMSC_PASSWORD
from plugins.sms.tests.smpp.smsc import SYSTEM_ID, US, Smsc, from_ann
from tests.story.daemon import Daemon, running, until
from tests.story.mail_servers import PASSWORD, PASSWORD_VARIABLE, Dovecot, Party, Postfix, mail_channel, mail_from

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

MENU = 'menu = "voice_ivr.reception"\nlanguage = "de"\n'


def entries(daemon: Daemon, number: int = 1) -> list[dict[str, Any]]:
    until(lambda: len(daemon.told("inbox", "--all")) >= number)
    found: list[dict[str, Any]] = daemon.told("show", str(number))["entries"]
    return found


def kinds(daemon: Daemon) -> list[str]:
    return [one["kind"] for one in entries(daemon)]


def test_a_customer_is_led_by_mail_to_a_person_who_sees_what_was_collected(
    tmp_path: Path,
    free_port: int,
    dovecot: Dovecot,
    postfix: Postfix,
    support: Party,
    ann: Party,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    channel = mail_channel(
        dovecot,
        postfix,
        support,
        sweep_s=600.0,
        idle_s=900.0,
        menu="voice_ivr.reception",
        language="de",
        automatic_per_day=20,
    )
    daemon = Daemon(tmp_path, free_port, channel)

    def writes(text: str, **more: Any) -> None:
        answered = dovecot.mails(ann.user)
        if answered:
            more["in_reply_to"] = email.message_from_bytes(answered[-1], policy=email.policy.default)["message-id"]
        postfix.hand_in(mail_from(ann, support, text, **more), sender=ann, to=support)

    def reads(count: int) -> str:
        mails = dovecot.wait_for_mails(ann.user, count)
        part = email.message_from_bytes(mails[count - 1], policy=email.policy.default).get_body(("plain",))
        assert part is not None
        return str(part.get_content())

    # It is killed when the step is made and nothing of it is committed: the same step is made by the next one.
    daemon.start("work.done", "1")
    writes("Guten Tag, ich habe ein Anliegen.")
    daemon.died()
    with running(daemon):
        assert "1 Deutsch" in reads(1)
        writes("1")
        assert "1 Meine Bestellung\n2 Eine Frage\n3 Eine Abteilung" in reads(2)
        writes("eine Abteilung bitte")
        reads(3)
        writes("2")
        until(lambda: "handover" in kinds(daemon))
        [collected] = [one for one in entries(daemon) if one["kind"] == "menu"]
        assert collected["text"] == "team: service" or "service" in str(entries(daemon))
        assert daemon.say("reply", "1", "Guten Tag, hier ist Maria.", "--wait").returncode == 0
        said = len(dovecot.mails(ann.user))
        writes("Danke!")
        until(lambda: kinds(daemon)[-1] == "received")
        until(lambda: not daemon.told("work"))
        assert len(dovecot.mails(ann.user)) == said
    assert daemon.stop() == 0


SMS = """
[channels.sms]
kind = "sms.smpp"
host = "127.0.0.1"
port = {port}
security = "none"
system_id = "{system_id}"
password = "file:{folder}/password"
sender = "+{us}"
answer_s = 2.0
"""


async def test_a_customer_is_led_by_sms_and_stop_ends_it(tmp_path: Path, free_port: int) -> None:
    (tmp_path / "password").write_text(SMSC_PASSWORD)
    (tmp_path / "password").chmod(0o600)
    async with Smsc() as smsc:
        said = SMS.format(port=smsc.port, system_id=SYSTEM_ID, us=US, folder=tmp_path) + MENU
        daemon = Daemon(tmp_path, free_port, said)

        await asyncio.to_thread(daemon.start)
        try:
            await asyncio.to_thread(daemon.ready)
            await asyncio.to_thread(stopped_in_the_middle, daemon, smsc, asyncio.get_running_loop())
            assert await asyncio.to_thread(daemon.stop) == 0
        finally:
            await asyncio.to_thread(daemon.kill)
    assert max(Counter(smsc.arrived).values()) == 1


def stopped_in_the_middle(daemon: Daemon, smsc: Smsc, loop: asyncio.AbstractEventLoop) -> None:
    def writes(text: str) -> None:
        loop.call_soon_threadsafe(smsc.bring, from_ann(text))

    def sent() -> list[dict[str, Any]]:
        return [one for one in entries(daemon) if one["kind"] == "sent"]

    def until_said(words: str) -> None:
        until(lambda: any(words in one["text"] for one in sent()))

    writes("Hallo")
    until_said("1 Deutsch")
    writes("Deutsch")
    until_said("1 Meine Bestellung")
    writes("STOP")
    until_said("keine Nachrichten mehr")
    assert daemon.told("work") == []
    before = len(sent())
    writes("3")
    until(lambda: any(one["text"] == "3" for one in entries(daemon)))
    # It is for a person to read: the menu has been told of it when nothing is to be done any more.
    until(lambda: daemon.told("work") == [])
    assert len(sent()) == before
    assert daemon.told("inbox")[0]["state"] == "open"
