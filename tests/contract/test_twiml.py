"""A telephone line and a menu of two strangers, in a daemon: every turn is on disk before it is heard, whatever dies."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode
from xml.sax.saxutils import unescape

import psycopg
import pytest
from attrs import define, field

from fernamt._runtime.clock import SystemClock
from fernamt._store.engine import Store
from fernamt.settings import read_settings
from fernamt.testing import free_port
from tests.story.daemon import Daemon, running, until
from tests.story.plugins import install

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PUBLIC = "https://calls.example.org"
TOKEN = "the provider's token"
LINE = '[channels.line]\nkind = "twiml"\ntoken = "file:token"\nmenu = "shop.main"\nlanguage = "en"\n'


def house(folder: Path, configuration: str = LINE, *, store: str = "sqlite:///calls.db") -> Daemon:
    """A daemon with the strangers' plugins, not started."""
    plugins = folder / "plugins"
    if not plugins.exists():
        for name in ("twiml", "shop"):
            install(plugins, name, (Path(__file__).parent / f"{name}.py").read_text())
    port = free_port()
    own = folder / f"daemon-{port}"
    own.mkdir()
    (own / "token").write_text(TOKEN)
    (own / "token").chmod(0o600)
    return Daemon(own, port, f'store = "{store}"\npublic_url = "{PUBLIC}"\n{configuration}', plugins)


@define
class Call:
    """The provider's side of one call."""

    daemon: Daemon
    sid: str
    caller: str = "+49301"
    requests: list[tuple[str, dict[str, str]]] = field(factory=list)
    answers: list[bytes] = field(factory=list)

    def ask(self, path: str = "voice", **form: str) -> bytes:
        """Make a request and remember it with its answer."""
        form = {"CallSid": self.sid, "From": self.caller, "To": "+49999", **form}
        answer = self.again(path, form)
        self.requests.append((path, form))
        self.answers.append(answer)
        return answer

    def again(self, path: str, form: dict[str, str], *, token: str = TOKEN) -> bytes:
        address = f"/in/line/{path}"
        signed = PUBLIC + address + "".join(name + value for name, value in sorted(form.items()))
        signature = base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()
        request = urllib.request.Request(
            self.daemon.url + address, data=urlencode(form).encode(), headers={"X-Signature": signature}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            whole: bytes = answer.read()
        return whole

    def press(self, keys: str) -> bytes:
        """Press keys where the last answer asked for them."""
        return self.ask(self._place("<Gather action=."), Digits=keys)

    def follow(self) -> bytes:
        """Come again when the pause is over."""
        return self.ask(self._place("<Redirect>"))

    def _place(self, tag: str) -> str:
        return re.split(tag + f"{PUBLIC}/in/line/", unescape(self.answers[-1].decode()))[1].split("<")[0].split('"')[0]

    def hang_up(self) -> bytes:
        return self.ask(CallStatus="completed")

    def heard(self) -> list[str]:
        return re.findall(r">([^<>]+)</Say>", self.answers[-1].decode())


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running(house(tmp_path_factory.mktemp("twiml"))) as daemon:
        yield daemon


def log(daemon: Daemon, caller: str) -> list[tuple[str, str]]:
    """The kinds and texts of a caller's entries."""
    store = Store.open(read_settings(daemon.file).store, SystemClock())
    with store.read() as connection:
        found = store.statements(connection).rows(
            "SELECT e.kind, c.text FROM entry e JOIN content c ON c.entry = e.id JOIN conversation v ON v.id = e.conversation"
            " JOIN address a ON a.customer = v.customer WHERE a.handle = ? ORDER BY e.n",
            (f"phone:{caller}",),
        )
    store.close()
    return [(kind, text) for kind, text in found]


def kinds(daemon: Daemon, caller: str) -> list[str]:
    return [kind for kind, _ in log(daemon, caller)]


def test_a_call_is_answered_turn_by_turn_and_every_repeat_in_any_order_gets_the_same_bytes(daemon: Daemon) -> None:
    call = Call(daemon, "CA1", caller="+49301")

    assert call.ask().startswith(b"<Response><Gather action=")
    call.press("9")
    assert call.heard() == ["once more: 1, 2 or 3"]
    call.press("2")
    assert call.heard() == ["we call you back"]
    assert call.answers[-1].endswith(b"<Hangup/></Response>")
    assert call.hang_up() == b""
    before = log(daemon, call.caller)

    order = [*range(len(call.requests))] * 3
    random.Random(7).shuffle(order)
    for at in order:
        assert call.again(*call.requests[at]) == call.answers[at]
    assert log(daemon, call.caller) == before
    assert [kind for kind, _ in before] == ["call", "step", "step", "note", "hung-up"]


def test_a_request_that_is_not_signed_moves_nothing(daemon: Daemon) -> None:
    call = Call(daemon, "CA2", caller="+49302")
    call.ask()

    with pytest.raises(urllib.error.HTTPError, match="403"):
        call.again("voice?turn=1", {"CallSid": "CA2", "From": call.caller, "Digits": "2"}, token="a guess")
    assert kinds(daemon, call.caller) == ["call"]


def test_a_quick_answer_of_another_plugin_is_heard_at_once(daemon: Daemon) -> None:
    call = Call(daemon, "CA3", caller="+49303")
    call.ask()
    call.press("1")

    assert call.heard() == ["one moment", "we are open"]


def test_a_slow_answer_is_fetched_by_the_poll(daemon: Daemon) -> None:
    call = Call(daemon, "CA4", caller="+49304")
    call.ask()
    call.press("4")
    assert call.heard() == ["one moment"]

    until(lambda: call.follow() != call.answers[-2] and call.heard() == ["we are open"])
    assert call.again(*call.requests[1]) == call.answers[1]


def test_a_pin_is_nowhere_in_the_store(daemon: Daemon) -> None:
    call = Call(daemon, "CA5", caller="+49305")
    call.ask()
    call.press("3")
    call.press("739154628")
    assert call.heard() == ["thank you"]

    kept = b"".join(file.read_bytes() for file in daemon.folder.rglob("*") if file.is_file())
    assert b"+49305" in kept
    assert b"739154628" not in kept


def test_a_menu_that_breaks_says_sorry_and_hands_over_to_an_agent(daemon: Daemon) -> None:
    call = Call(daemon, "CA6", caller="+49306")
    call.ask()
    call.press("5")

    assert call.heard() == ["Sorry, we cannot go on here just now. Somebody will take care of it. Goodbye."]
    [told] = [line["number"] for line in daemon.told("inbox") if call.caller in str(line)][:1]
    last = daemon.told("show", str(told))["entries"][-1]
    assert last["kind"] == "handover"
    assert last["text"] == "The menu shop.main could not go on: it failed with RuntimeError."


def test_silence_and_an_overtaken_answer(daemon: Daemon) -> None:
    call = Call(daemon, "CA7", caller="+49307")
    call.ask()
    call.follow()
    assert call.heard() == ["once more: 1, 2 or 3"]

    assert call.again("voice?turn=1", {"CallSid": "CA7", "From": call.caller, "Digits": "2"}) == call.answers[-1]
    assert kinds(daemon, call.caller) == ["call", "step"]


def test_a_call_goes_on_after_a_kill_from_the_turn_that_was_committed(tmp_path: Path) -> None:
    daemon = house(tmp_path)
    armed = daemon.folder / "armed"
    daemon.start("writer.committed", "1", str(armed))
    try:
        daemon.ready()
        call = Call(daemon, "CA1")
        call.ask()
        armed.touch()
        with pytest.raises(OSError, match=r".*"):
            call.press("9")
        daemon.died()

        armed.unlink()
        daemon.start()
        daemon.ready()
        call.press("9")
        assert call.heard() == ["once more: 1, 2 or 3"]
        assert [call.again(*request) for request in call.requests] == call.answers
        call.press("2")
        assert kinds(daemon, call.caller) == ["call", "step", "step", "note"]
    finally:
        daemon.stop()


@pytest.fixture
def database(postgres_server: str) -> Iterator[str]:
    """An empty database of one test."""
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE calls")
        yield f"{postgres_server.rpartition('/')[0]}/calls"
        connection.execute("DROP DATABASE calls WITH (FORCE)")


def test_two_runners_answer_one_call_and_one_goes_on_when_the_other_dies(tmp_path: Path, database: str) -> None:
    one, two = house(tmp_path, store=database), house(tmp_path, store=database)
    with running(one), running(two):
        call = Call(one, "CA1")
        call.ask()
        for daemon in (two, one, two):
            call.daemon = daemon
            call.press("9")
        for daemon in (one, two):
            call.daemon = daemon
            assert [call.again(*request) for request in call.requests] == call.answers

        one.kill()
        call.daemon = two
        call.press("2")
        assert call.heard() == ["we call you back"]
        call.hang_up()
        assert [call.again(*request) for request in call.requests] == call.answers
        assert kinds(two, call.caller) == ["call", "step", "step", "step", "step", "note", "hung-up"]
