"""A channel without a password: Dovecot and Postfix both let it in by a token, and ask the token server about it."""

import asyncio
import json
from pathlib import Path

import pytest

from plugins.email.tests.token_server import TokenServer
from tests.story.daemon import Daemon
from tests.story.mail_servers import Dovecot, Party, Postfix, mail_channel

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


async def test_a_mailbox_and_its_mail_server_are_opened_with_one_token(
    tmp_path: Path,
    free_port: int,
    dovecot: Dovecot,
    postfix: Postfix,
    support: Party,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("APP_SECRET", "of the app")
    async with TokenServer(support.user).listening(dovecot.introspection_port) as tokens:
        section = "".join(
            line for line in mail_channel(dovecot, postfix, support).splitlines(keepends=True) if "password" not in line
        )
        configuration = f"""[http]
allow_private = ["127.0.0.1"]
{section}
[channels.support-mail.oauth]
provider = "other"
flow = "app"
client_id = "our app"
client_secret = "env:APP_SECRET"
token_url = "{tokens.url}/token"
scope = "mail"
"""
        daemon = Daemon(tmp_path, free_port, configuration)

        checked = await asyncio.to_thread(daemon.say, "check", "--online", "--json")
        told = json.loads(checked.stdout)

    [found] = [one for one in told["findings"] if one["what"] == "channel"]
    assert (found["state"], "a probe came back" in found["text"]) == ("ok", True), found
    assert [form["grant_type"] for form in tokens.asked] == ["client_credentials"]
    assert dovecot.mails(support.user) == []
