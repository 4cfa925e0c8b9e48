"""What an operator may write, and what the plugin offers."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import attrs
import pytest

import fernamt_email
from fernamt import Secret
from fernamt_email.settings import ImapSettings, ListenerSettings, MailSettings, OAuthSettings, SmtpSettings

SMTP = SmtpSettings(host="smtp.example.org", user="support", password=Secret("geheim"))
IMAP: dict[str, Any] = {
    "address": "support@example.org",
    "host": "imap.example.org",
    "user": "support",
    "password": Secret("geheim"),
    "smtp": SMTP,
}
TOKENS: dict[str, Any] = {"provider": "microsoft", "client_id": "our app", "token_file": Path("support.token")}
OAUTH = OAuthSettings(**TOKENS)
LISTENER: dict[str, Any] = {"address": "support@example.org", "port": 2525, "smtp": SMTP}


def test_the_shortest_sections_are_enough() -> None:
    assert ImapSettings(**IMAP).done_folder == "Processed"
    assert ListenerSettings(**LISTENER).host == "127.0.0.1"


@pytest.mark.parametrize(
    ("make", "changes", "said"),
    [
        pytest.param(ImapSettings, {"address": "support"}, "must look like support@example.org", id="no address"),
        pytest.param(ImapSettings, {"address": "a@b.org\r\nBcc: x@y.org"}, "must look like", id="a second line"),
        pytest.param(ImapSettings, {"aliases": ("example.org",)}, "@example.org for a whole domain", id="bare domain"),
        pytest.param(ImapSettings, {"sender_name": "Hilfe\nBcc: x"}, "must be one line", id="name of two lines"),
        pytest.param(ImapSettings, {"reply_delimiter": "++"}, "one of + - = _ . or empty", id="delimiter"),
        pytest.param(ImapSettings, {"security": "none"}, "only allowed to this machine itself", id="clear to others"),
        pytest.param(ImapSettings, {"security": "ssl"}, "'tls', 'starttls' or 'none'", id="unknown security"),
        pytest.param(ImapSettings, {"host": " "}, "host must not be empty", id="no host"),
        pytest.param(ImapSettings, {"port": 70_000}, "from 1 to 65535", id="port"),
        pytest.param(ImapSettings, {"idle_s": 1_740}, "idle_s is 1740", id="too long an IDLE"),
        pytest.param(ImapSettings, {"max_bytes": 10}, "max_bytes is 10", id="no mail fits"),
        pytest.param(ImapSettings, {"password": None}, "with a password or with a table oauth", id="no way in"),
        pytest.param(ImapSettings, {"oauth": OAUTH}, "with a password or with a table oauth", id="two ways in"),
        pytest.param(
            ListenerSettings,
            {"smtp": SmtpSettings(host="smtp.example.org", user="support")},
            "smtp.user has no password",
            id="no way out",
        ),
        pytest.param(ImapSettings, {"folders": ()}, "at least one folder", id="no folder"),
        pytest.param(ImapSettings, {"folders": ("INBOX", "INBOX")}, "none twice", id="a folder twice"),
        pytest.param(OAuthSettings, {"flow": "app", "client_secret": None}, "needs a client_secret", id="app alone"),
        pytest.param(OAuthSettings, {"token_file": None}, "token_file is missing", id="nowhere to keep it"),
        pytest.param(OAuthSettings, {"provider": "google", "flow": "device"}, "must be 'browser'", id="google"),
        pytest.param(OAuthSettings, {"provider": "other"}, "needs a token_url", id="unknown provider"),
        pytest.param(OAuthSettings, {"token_url": "http://example.org/t"}, "begin with https://", id="in clear"),
        pytest.param(ListenerSettings, {"protocol": "pop3"}, "'smtp' or 'lmtp'", id="protocol"),
        pytest.param(ListenerSettings, {"max_connections": 0}, "max_connections is 0", id="no connection"),
    ],
)
def test_a_wrong_value_is_refused_with_the_remedy(
    make: type[MailSettings | OAuthSettings], changes: dict[str, Any], said: str
) -> None:
    right = {ImapSettings: IMAP, ListenerSettings: LISTENER, OAuthSettings: TOKENS}[make]
    with pytest.raises(ValueError, match=re.escape(said)):
        make(**{**right, **changes})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"password": Secret("x")}, "user and password go together", id="password alone"),
        pytest.param({"security": "none"}, "only allowed to this machine itself", id="clear to others"),
        pytest.param({"timeout_s": 0}, "at least 0.1", id="no time"),
    ],
)
def test_a_wrong_smtp_section_is_refused_with_the_remedy(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        SmtpSettings(**{"host": "smtp.example.org", **changes})


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1"])
def test_this_machine_may_be_spoken_to_in_clear(host: str) -> None:
    assert SmtpSettings(host=host, security="none").security == "none"


def test_no_password_is_ever_shown() -> None:
    assert "geheim" not in repr(ImapSettings(**IMAP))


@pytest.mark.parametrize("section", [SmtpSettings, ImapSettings, ListenerSettings])
def test_every_field_says_what_it_is_for(section: type[Any]) -> None:
    assert [field.name for field in attrs.fields(section) if not field.metadata.get("help", "").endswith(".")] == []


class Recorder:
    """Stands for the registry."""

    def __init__(self) -> None:
        self.kinds: dict[str, tuple[type[Any], str]] = {}

    def connector(self, kind: str, *, settings: type[Any], factory: str, about: str) -> None:
        assert about
        self.kinds[kind] = (settings, factory)

    def command(self, name: str, run: Any) -> None:
        assert callable(run)


def test_both_kinds_are_offered_and_their_places_exist() -> None:
    recorder = Recorder()
    fernamt_email.fernamt_register(recorder)  # type: ignore[arg-type]  # the part of a registry that it uses
    assert {kind: settings for kind, (settings, _) in recorder.kinds.items()} == {
        "email.imap": ImapSettings,
        "email.listener": ListenerSettings,
    }
    for _, factory in recorder.kinds.values():
        module, _, name = factory.partition(":")
        assert callable(getattr(importlib.import_module(module), name))
