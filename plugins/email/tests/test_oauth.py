"""Access without a password, on a real Dovecot and against a token server of our own."""

from __future__ import annotations

import asyncio
import urllib.parse
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from fernamt import HttpReply, NeedsLogin, Secret, Unreachable
from fernamt.testing import FakeContext, loopback_http
from fernamt_email.connect import connect
from fernamt_email.consent import by_browser, by_device
from fernamt_email.oauth import Tokens, granted_by
from fernamt_email.settings import SmtpSettings
from fernamt_email.token_file import TokenFile

from .dovecot import Dovecot
from .given import mail_context, message
from .sink import Sink
from .test_imap import ids, imap, mail, moved, names, running
from .token_server import TokenServer

APP = {"flow": "app", "client_secret": Secret("of the app")}


@pytest.fixture
async def context() -> AsyncIterator[FakeContext]:
    async with loopback_http() as http:
        yield mail_context(http=http)


@pytest.fixture
async def tokens_of() -> AsyncIterator[TokenServer]:
    async with TokenServer("nobody").listening() as server:
        yield server


def consented(tmp_path: Path, token: str = "first consent") -> Path:
    file = tmp_path / "support.token"
    TokenFile(file).write(token)
    return file


# ---- tokens
async def test_a_token_is_fetched_once_and_renewed_before_it_ends(
    context: FakeContext, tokens_of: TokenServer, tmp_path: Path
) -> None:
    tokens = Tokens(tokens_of.settings(token_file=consented(tmp_path)), context.http, context.clock)
    assert await asyncio.gather(*(tokens.access() for _ in range(5))) == ["access-token-1"] * 5
    context.clock.advance(3_600 - 301)
    assert await tokens.access() == "access-token-1"
    context.clock.advance(2)
    assert await asyncio.gather(*(tokens.access() for _ in range(5))) == ["access-token-2"] * 5
    assert [form["grant_type"] for form in tokens_of.asked] == ["refresh_token"] * 2


async def test_a_short_lived_token_is_not_renewed_at_every_turn(
    context: FakeContext, tokens_of: TokenServer, tmp_path: Path
) -> None:
    tokens_of.life_s = 60.0
    tokens = Tokens(tokens_of.settings(token_file=consented(tmp_path)), context.http, context.clock)
    assert [await tokens.access() for _ in range(3)] == ["access-token-1"] * 3


async def test_two_processes_renew_one_after_the_other_if_each_consent_is_good_for_once(
    context: FakeContext, tokens_of: TokenServer, tmp_path: Path
) -> None:
    tokens_of.rotates = True
    settings = tokens_of.settings(token_file=consented(tmp_path))
    one, other = (Tokens(settings, context.http, context.clock) for _ in range(2))
    assert {await one.access(), *await asyncio.gather(one.access(refused="access-token-1"), other.access())} == {
        f"access-token-{n}" for n in (1, 2, 3)
    }
    assert tokens_of.refresh == TokenFile(tmp_path / "support.token").read() == "refresh-token-3"


async def test_whoever_is_cancelled_while_waiting_for_the_lock_does_not_keep_it(tmp_path: Path) -> None:
    file = TokenFile(consented(tmp_path))

    async def hold() -> None:
        async with file.held():
            pass

    async with file.held():
        waiting = [asyncio.ensure_future(hold()) for _ in range(3)]
        await asyncio.sleep(0)
        for one in waiting:
            one.cancel()
        await asyncio.wait(waiting)
    async with asyncio.timeout(20):
        await hold()


class Slow:
    """An ``Http`` whose answers are on their way until they are let go."""

    def __init__(self, http: Any) -> None:
        self._http = http
        self.answered, self.arrives = asyncio.Event(), asyncio.Event()

    async def request(self, method: str, url: str, **given: Any) -> HttpReply:
        reply: HttpReply = await self._http.request(method, url, **given)
        self.answered.set()
        await self.arrives.wait()
        return reply


async def test_a_consent_that_is_good_for_once_is_kept_though_nobody_waits_for_it_any_more(
    context: FakeContext, tokens_of: TokenServer, tmp_path: Path
) -> None:
    tokens_of.rotates = True
    http = Slow(context.http)
    tokens = Tokens(tokens_of.settings(token_file=consented(tmp_path)), http, context.clock)
    asking = asyncio.ensure_future(tokens.access())
    await http.answered.wait()
    asking.cancel()
    await asyncio.sleep(0)
    http.arrives.set()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert TokenFile(tmp_path / "support.token").read() == tokens_of.refresh == "refresh-token-1"
    assert await tokens.access() == "access-token-2"


@pytest.mark.parametrize(
    ("status", "body", "error", "said"),
    [
        pytest.param(400, {"error": "invalid_grant"}, NeedsLogin, "fernamt email connect", id="consent taken back"),
        pytest.param(
            401,
            {"error": "invalid_client", "error_description": "AADSTS7000222: expired. SECRET WORDS"},
            NeedsLogin,
            "client_secret",
            id="secret ran out",
        ),
        pytest.param(400, {"error": "consent_required"}, NeedsLogin, "consent_required", id="no consent"),
        pytest.param(503, {"error": "server_error"}, Unreachable, "503", id="trouble there"),
        pytest.param(429, {"error": "too_many"}, Unreachable, "429", id="too often"),
        pytest.param(400, {"error": "temporarily_unavailable"}, Unreachable, "temporarily", id="for a moment"),
        pytest.param(404, "SECRET WORDS", Unreachable, "404", id="somebody else answers"),
        pytest.param(200, {"token_type": "SECRET WORDS"}, Unreachable, "200", id="nonsense"),
        pytest.param(400, {"error": "SECRET WORDS"}, Unreachable, "400", id="no code of an error"),
    ],
)
async def test_what_a_token_server_says_tells_who_has_to_act(
    context: FakeContext, tokens_of: TokenServer, status: int, body: object, error: type[Exception], said: str
) -> None:
    tokens_of.refuses.append((status, body))
    with pytest.raises(error, match=said) as caught:
        await Tokens(tokens_of.settings(**APP), context.http, context.clock).access()
    assert "SECRET WORDS" not in str(caught.value)


async def test_a_token_server_that_is_not_there_is_no_missing_consent(context: FakeContext, tmp_path: Path) -> None:
    async with TokenServer("nobody").listening() as server:
        settings = server.settings(token_file=consented(tmp_path))
    with pytest.raises(Unreachable) as caught:
        await Tokens(settings, context.http, context.clock).access()
    assert caught.value.certain


async def test_before_the_consent_the_next_step_is_told(
    context: FakeContext, tokens_of: TokenServer, tmp_path: Path
) -> None:
    tokens = Tokens(tokens_of.settings(token_file=tmp_path / "none"), context.http, context.clock)
    with pytest.raises(NeedsLogin, match="fernamt email connect"):
        await tokens.access()


# ---- the file
def test_the_file_is_for_its_owner_only_and_one_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = consented(tmp_path, "a secret")
    assert (file.stat().st_mode & 0o777, TokenFile(file).read()) == (0o600, "a secret")
    assert [one.name for one in tmp_path.iterdir()] == ["support.token"]
    file.chmod(0o640)
    with pytest.raises(NeedsLogin, match="chmod 600"):
        TokenFile(file).read()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"refresh_token": 7}', b"\xff"])
def test_a_file_that_holds_something_else_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "support.token"
    file.touch(0o600)
    file.write_bytes(content)
    with pytest.raises(NeedsLogin, match=r"support\.token"):
        TokenFile(file).read()


def test_a_folder_that_is_not_there_keeps_the_old_token(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="cannot be written"):
        TokenFile(tmp_path / "nowhere" / "support.token").write("new")


# ---- consent
async def test_somebody_consents_on_another_device(context: FakeContext, tokens_of: TokenServer) -> None:
    tokens_of.refuses = [(400, {"error": "authorization_pending"})] * 2
    shown: list[tuple[str, str]] = []
    granted = await by_device(tokens_of.settings(**APP), context.http, lambda url, code: shown.append((url, code)))
    assert (granted.access, granted.refresh) == ("access-token-1", "first consent")
    assert shown == [(f"{tokens_of.url}/here", "ABCD-1234")]
    assert "first consent" not in repr(granted)


async def test_a_provider_that_is_away_for_a_moment_ends_no_consent(
    context: FakeContext, tokens_of: TokenServer
) -> None:
    class Flaky:
        failed = False

        async def request(self, method: str, url: str, **given: Any) -> HttpReply:
            if url.endswith("/token") and not self.failed:
                self.failed = True
                raise Unreachable("no network", certain=True)
            return await context.http.request(method, url, **given)

    granted = await by_device(tokens_of.settings(flow="device", token_file=Path("t")), Flaky(), lambda *_: None)
    assert granted.access == "access-token-1"


async def test_who_refuses_on_the_device_is_believed(context: FakeContext, tokens_of: TokenServer) -> None:
    tokens_of.refuses = [(400, {"error": "access_denied"})]
    with pytest.raises(NeedsLogin, match="access_denied"):
        await by_device(tokens_of.settings(**APP), context.http, lambda _url, _code: None)


async def browsed(context: FakeContext, server: TokenServer, **answers: str) -> Any:
    """Consent as a browser does: go where we are sent, come back with *answers*."""
    loop, went = asyncio.get_running_loop(), []

    async def come_back(url: str) -> None:
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
        assert asked["code_challenge_method"] == "S256"
        async with aiohttp.ClientSession() as session:
            for state in ("of another page", asked["state"]):
                query = {"state": state, **answers}
                async with session.get(asked["redirect_uri"], params=query) as page:
                    assert page.status == (200 if state == asked["state"] else 404)

    def shown(url: str) -> None:
        went.append(loop.create_task(come_back(url)))

    try:
        return await by_browser(server.settings(**APP), context.http, shown, user="support@support.test")
    finally:
        await asyncio.gather(*went)


async def test_somebody_consents_in_a_browser(context: FakeContext, tokens_of: TokenServer) -> None:
    granted = await browsed(context, tokens_of, code="a code")
    assert granted.refresh == "first consent"
    assert len(tokens_of.asked[-1]["code_verifier"]) >= 43


async def test_who_refuses_in_the_browser_is_believed(context: FakeContext, tokens_of: TokenServer) -> None:
    with pytest.raises(NeedsLogin, match="access_denied"):
        await browsed(context, tokens_of, error="access_denied")


async def test_the_command_keeps_the_consent_and_says_the_next_step_in_both_languages(
    tokens_of: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "fernamt.toml"
    config.write_text(
        f"""[channels.support-mail]
kind = "email.imap"
address = "support@support.test"
host = "127.0.0.1"
user = "support@support.test"
smtp = {{ host = "127.0.0.1", user = "support@support.test" }}
[channels.support-mail.oauth]
provider = "other"
flow = "device"
client_id = "our app"
token_file = "support.token"
token_url = "{tokens_of.url}/token"
device_url = "{tokens_of.url}/device"
scope = "mail"
"""
    )
    for tongue, said in (("de_DE.UTF-8", "Die Zustimmung liegt in"), ("C.UTF-8", "The consent is in")):
        monkeypatch.setenv("LC_ALL", tongue)
        assert await asyncio.to_thread(connect, "support-mail", config=config) == 0
        out = capsys.readouterr().out
        assert said in out
        assert "ABCD-1234" in out
        assert "first consent" not in out
    assert TokenFile(tmp_path / "support.token").read() == "first consent"
    tokens_of.refuses = [(400, {"error": "access_denied"})]
    assert await asyncio.to_thread(connect, "support-mail", config=config) == 1


# ---- on real servers
@pytest.fixture
async def provider(dovecot: Dovecot, user: str) -> AsyncIterator[TokenServer]:
    """The token server that Dovecot believes."""
    async with TokenServer(user).listening(dovecot.introspection_port) as server:
        yield server


def with_tokens(provider: TokenServer, sink: Sink | None = None) -> dict[str, Any]:
    port = sink.port if sink else 25
    smtp = SmtpSettings(host="127.0.0.1", port=port, security="none", user="out" if sink else "")
    return {"password": None, "oauth": provider.settings(**APP), "smtp": smtp}


@pytest.mark.slow
@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
async def test_a_mailbox_is_opened_with_a_token(
    context: FakeContext,
    dovecot: Dovecot,
    user: str,
    provider: TokenServer,
    mechanism: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from imapclient import IMAPClient

    has = IMAPClient.has_capability
    monkeypatch.setattr(
        IMAPClient,
        "has_capability",
        lambda self, name: name == f"AUTH={mechanism}" if name.startswith("AUTH=") else has(self, name),
    )
    dovecot.deliver(user, mail(1))
    async with running(context, dovecot, user, **with_tokens(provider)):
        await moved(dovecot, user, 1)
    assert ids(context.intake) == names(1)
    assert provider.asked[0]["grant_type"] == "client_credentials"


@pytest.mark.slow
async def test_a_token_that_the_server_ended_early_is_renewed_once(
    context: FakeContext, dovecot: Dovecot, user: str, provider: TokenServer
) -> None:
    channel = imap(context, dovecot, user, **with_tokens(provider))
    await channel.fetch("")
    provider.take_back()
    await channel.fetch("")
    assert provider.given == 2


@pytest.mark.slow
async def test_a_token_that_is_good_for_another_mailbox_needs_a_login_after_one_renewal(
    context: FakeContext, dovecot: Dovecot, user: str, provider: TokenServer
) -> None:
    provider.user = "somebody-else"
    with pytest.raises(NeedsLogin) as caught:
        await imap(context, dovecot, user, **with_tokens(provider)).run()
    assert provider.given == 2
    assert "fernamt email connect" in str(caught.value)
    assert "access-token" not in str(caught.value)
    assert context.states == []


@pytest.mark.slow
async def test_without_the_token_server_the_mailbox_is_out_of_reach_and_needs_no_login(
    context: FakeContext, dovecot: Dovecot, user: str
) -> None:
    async with TokenServer(user).listening() as gone:
        settings = with_tokens(gone)
    with pytest.raises(Unreachable):
        await imap(context, dovecot, user, **settings).run()


async def test_an_answer_is_sent_with_a_token(context: FakeContext, tokens_of: TokenServer) -> None:
    from fernamt import Channel
    from fernamt_email.imap import Imap
    from fernamt_email.settings import ImapSettings

    from .given import CHANNEL

    async with Sink(token="access-token-2").listening() as sink:
        values: dict[str, Any] = {
            "address": "support@support.test",
            "host": "127.0.0.1",
            "security": "none",
            "user": "support",
        }
        settings = ImapSettings(**values, **with_tokens(tokens_of, sink))
        channel = Imap(Channel(id=CHANNEL, name="", kind="email.imap", settings=settings, url=""), context)
        await channel.send(message())
        assert (len(sink.mails), tokens_of.given) == (1, 2)
        sink.token = "another one"
        with pytest.raises(NeedsLogin):
            await channel.send(message())
        assert tokens_of.given == 3


def test_a_token_is_never_shown() -> None:
    granted = granted_by(200, b'{"access_token": "hidden one", "refresh_token": "hidden two"}')
    assert "hidden" not in repr(granted)
