"""`fernamt dev` and `fernamt replay`, as an author uses them: a plugin that `fernamt new` made, in a process of its own."""

import json
import os
import queue
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

from fernamt.cli import main
from fernamt.cli.dev.customer import speaking, written
from fernamt.cli.dev.onefile import suite_of
from fernamt.cli.dev.place import Place
from fernamt.cli.dev.workpiece import opened
from fernamt.cli.outcome import Failure
from fernamt.cli.scaffold import By, Wish, rendered
from fernamt.testing import Recording

PATIENCE_S = 60.0
BROKEN = "\n\ndef (\n"


def made(folder: Path, by: By) -> Path:
    """Return the folder of a plugin that ``fernamt new`` would make."""
    for path, text in rendered(Wish(name="acme", by=by, about="Acme", author="Ann")).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, "utf-8")
    return folder


class Terminal:
    """A terminal in which ``fernamt dev`` runs."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fernamt", "dev", str(folder), "--port", "0", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        self.seen: list[str] = []
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def type(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def shows(self, pattern: str) -> str:
        """Return the next line in which *pattern* is found."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                line = self._lines.get(timeout=max(0.1, deadline - time.monotonic()))
            except queue.Empty:
                pytest.fail(f"{pattern!r} was not shown, but:\n{''.join(self.seen)}")
            self.seen.append(line)
            if re.search(pattern, line):
                return line

    def ended(self) -> int:
        self.type("/quit")
        return self.process.wait(timeout=PATIENCE_S)

    def closed(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


@pytest.fixture
def terminal(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Terminal]:
    terminal = Terminal(made(tmp_path / "fernamt-acme", request.param))
    yield terminal
    terminal.closed()


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("terminal", ["poll", "stream"], indirect=True)
def test_the_customer_writes_through_the_fake_server_and_is_answered(terminal: Terminal) -> None:
    terminal.type("Guten Tag 🙂")
    terminal.shows(r"customer  Guten Tag 🙂 +\(entry 1 of conversation 1\)")
    terminal.shows(r"desk  You wrote: Guten Tag 🙂 +\(sent\)")
    terminal.type("/reload")
    terminal.shows("reloaded")
    terminal.type("Noch da?")
    terminal.shows(r"desk  You wrote: Noch da\? +\(sent\)")
    assert terminal.ended() == 0


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("terminal", ["webhook"], indirect=True)
def test_while_a_save_is_broken_the_last_good_version_answers_and_the_place_is_told(terminal: Terminal) -> None:
    package = terminal.folder / "src" / "fernamt_acme"
    events, connector = package / "events.py", package / "connector.py"
    good, whole = events.read_text(), connector.read_text()
    url = terminal.shows("What goes by").split()[-1]
    terminal.type("Wo ist mein Paket? 🙂")
    terminal.shows(r"customer  Wo ist mein Paket\? 🙂 +\(entry 1 of conversation 1\)")
    terminal.shows(r"desk  You wrote: Wo ist mein Paket\? 🙂 +\(sent\)")
    check_the_inspector(url, terminal.folder)
    terminal.shows("reloaded")  # for the recording that was saved there

    events.write_text(good + BROKEN)
    line = len(good.splitlines()) + 3
    terminal.shows(
        rf"broken  src/fernamt_acme/events.py:{line}: SyntaxError.*\(the last good version goes on answering\)"
    )
    events.write_text(good)
    terminal.shows("reloaded")
    connector.write_text(
        whole.replace("        self._settings", '        raise KeyError("x")\n        self._settings', 1)
    )
    terminal.shows(r"broken  src/fernamt_acme/connector.py:\d+: KeyError.*goes on answering")
    terminal.type("Noch da?")
    terminal.shows(r"desk  You wrote: Noch da\? +\(sent\)")

    connector.write_text(whole)
    events.write_text(good.replace('text=_text(one["text"])', 'text=_text(one["text"]).upper()'))
    terminal.shows("reloaded")
    terminal.type("und jetzt?")
    terminal.shows(r"customer  UND JETZT\? +\(entry 1 of conversation 1\)")
    terminal.shows(r"desk  You wrote: UND JETZT\? +\(sent\)")
    terminal.type("/trouble refused")
    terminal.shows("every call to the provider ends with refused")
    terminal.type("/reply geht nicht")
    terminal.shows(r"desk  geht nicht +\(failed: Acme refused it")
    assert terminal.ended() == 0


def check_the_inspector(url: str, folder: Path) -> None:
    """The page shows what goes by to whoever has the token, and saves it masked."""
    page, _, _ = url.partition("?")

    def refused(address: str, **headers: str) -> int:
        try:
            urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=10).close()
        except urllib.error.HTTPError as why:
            with why:
                return why.code
        return 200

    assert refused(page) == 403
    assert refused(f"{page}?token=guessed") == 403
    assert refused(url, Host="attacker.example") == 403
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def shown(address: str, data: bytes | None = None) -> str:
        with browser.open(address, data=data, timeout=10) as answer:
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            return str(answer.read().decode())

    text = shown(url)
    assert re.search(r"Received \S+: Wo ist mein Paket", text)
    assert "<td></td>" not in text, "everything has its time"
    assert "attempt 1: sent" in text
    assert "/messages: 200" in text
    assert "token=" not in text
    found = re.search(r'<a href="(/_dev/\d+)">called', text)
    assert found is not None
    item = urllib.parse.urljoin(page, found[1])
    text = shown(item)
    assert "X-Signature" in text
    assert "Wo ist mein Paket?" in text
    assert "the-signature-of-the-tests" not in text
    assert "tests/recordings/0003-seen.json" in shown(f"{item}/save", b"")
    saved = (folder / "tests" / "recordings" / "0003-seen.json").read_text()
    assert "the-signature-of-the-tests" not in saved
    said = json.loads(saved)
    assert said["request"]["headers"]["X-Signature"] == "masked"
    assert said["expect"][0]["text"] == "Wo ist mein Paket? 🙂"


COURIER = """
import json
from attrs import frozen
from fernamt import Address, BadSignature, Received, Secret, Sent, Webhook, hookimpl

@frozen(kw_only=True)
class CourierSettings:
    api: str
    token: Secret
    pieces: int = 3

class Courier:
    def __init__(self, channel, context):
        self.settings, self.http = channel.settings, context.http

    async def send(self, message):
        await self.http.request("POST", self.settings.api, json={"text": message.text})
        return Sent()

    def webhooks(self):
        return [Webhook(path="events", verify=self.verify, parse=self.parse)]

    def verify(self, request):
        if request.headers.get("X-Pieces") != str(self.settings.pieces):
            raise BadSignature("not so many pieces")

    def parse(self, request):
        said = json.loads(request.body)
        return [Received(key=said["id"], id=said["id"], sender=Address("phone", "+49301"), text=said["text"])]

@hookimpl
def fernamt_register(registry):
    registry.connector("courier", settings=CourierSettings, factory=Courier, about="By courier")
"""


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_plugin_of_one_file_is_called_recorded_talked_to_and_reloaded(tmp_path: Path) -> None:
    file = tmp_path / "plugins.d" / "courier.py"
    file.parent.mkdir()
    # Called like a module that everybody needs: a file shadows nobody.
    (file.parent / "json.py").write_text("raise SystemExit")
    file.write_text(COURIER)
    terminal = Terminal(file, "--set", "pieces=2")
    try:
        assert "token = a secret" in terminal.shows(r"made up.*api = http://127")
        address = terminal.shows("its provider may call").split()[-1]
        url = terminal.shows("What goes by").split()[-1]
        body = json.dumps({"id": "c-1", "text": "Wo ist mein Paket?"}).encode()
        call = urllib.request.Request(address, body, {"X-Pieces": "2", "Content-Type": "application/json"})
        with urllib.request.urlopen(call, timeout=PATIENCE_S) as answer:
            assert answer.status == 200
        terminal.shows(r"customer  Wo ist mein Paket\? +\(entry 1 of conversation 1\)")
        terminal.shows(r"desk  You wrote: Wo ist mein Paket\? +\(sent\)")
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        with browser.open(url, timeout=10) as page:
            found = re.search(r'<a href="(/_dev/\d+)">called', page.read().decode())
        assert found is not None
        with browser.open(urllib.parse.urljoin(url, f"{found[1]}/save"), data=b"", timeout=10) as page:
            assert "recordings/0001-seen.json" in page.read().decode()
        terminal.shows("reloaded")
        terminal.type("Noch da?")
        terminal.shows(r"customer  Noch da\?")

        file.write_text(COURIER.replace("self.settings, self.http = ", "self.setings, self.http = nothing, "))
        terminal.shows(r"broken  courier.py:\d+: NameError.*the last good version goes on answering")
        terminal.type("Immer noch?")
        terminal.shows(r"desk  You wrote: Immer noch\? +\(sent\)")
        assert terminal.ended() == 0
    finally:
        terminal.closed()


@pytest.mark.parametrize(
    ("name", "source", "says"),
    [
        ("courier.py", f"{COURIER.partition('    registry.')[0]}    pass\n", "offers no kind of channel"),
        ("my-courier.py", COURIER, "is called like the plugin, NAME.py"),
        ("courier.txt", COURIER, "is called like the plugin, NAME.py"),
    ],
)
def test_a_file_that_nobody_can_talk_to_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, source: str, says: str
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / name).write_text(source)

    with pytest.raises(Failure, match=re.escape(says)):
        suite_of(tmp_path / name, tmp_path / "metadata", "")


def test_a_file_with_the_name_of_an_installed_plugin_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    (tmp_path / "fernamt_courier-1.dist-info").mkdir()
    (tmp_path / "fernamt_courier-1.dist-info" / "METADATA").write_text("Name: fernamt-courier\nVersion: 1\n")
    (tmp_path / "fernamt_courier-1.dist-info" / "entry_points.txt").write_text("[fernamt]\ncourier = courier\n")
    (tmp_path / "courier.py").write_text(COURIER)

    with pytest.raises(Failure, match="fernamt-courier 1 is installed and claims the name courier"):
        suite_of(tmp_path / "courier.py", tmp_path / "metadata", "")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            [""],
            "it has no pyproject.toml. Go into a plugin's folder, or name it, or a single file: fernamt dev FOLDER,",
        ),
        (["nowhere.py"], "there is no such folder or file"),
        (["courier.py", "--set", "api"], "--set api says no key and value: write --set KEY=VALUE."),
    ],
)
def test_what_is_no_plugin_is_refused_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    (tmp_path / "courier.py").write_text(COURIER)

    assert main(["dev", str(tmp_path / words[0]), *words[1:]]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("[project.entry-points.fernamt]", "[project.scripts]"), "offers no plugin: it needs [project.entry-points"),
        (('name = "fernamt-acme"', 'name = "fernamt-acme'), "pyproject.toml: Illegal character"),
    ],
)
def test_a_project_that_offers_nothing_is_told(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    folder = made(tmp_path / "fernamt-acme", "webhook")
    project = folder / "pyproject.toml"
    project.write_text(project.read_text().replace(*change))

    with pytest.raises(Failure, match=re.escape(says)):
        opened(Place(folder), tmp_path / "metadata")


# ---- what a customer writes
BODY = '{"events":[{"id":"m-1","nr":7,"from":"ann","text":"Guten Tag"}]}'
FORM = b"id=m-1&text=Guten+Tag&from=ann"
EXPECT = {"type": "Received", "key": "m-1", "sender": "acme:ann", "text": "Guten Tag"}


@pytest.mark.parametrize("body", [BODY.encode(), FORM])
def test_a_recording_lends_its_form_to_what_the_customer_writes(body: bytes) -> None:
    recording = Recording(body=body, expect=[EXPECT])

    said = [written(recording, "Größe 38 & mehr").body for _ in range(2)]

    assert said[0] != said[1], "every message has an id of its own"
    assert b"Guten" not in said[0]
    assert b"ann" in said[0]
    if body == FORM:
        assert urllib.parse.parse_qs(said[0].decode())["text"] == ["Größe 38 & mehr"]
    else:
        assert json.loads(said[0])["events"][0]["text"] == "Größe 38 & mehr"


def test_an_id_that_is_a_number_is_made_anew_as_a_number() -> None:
    recording = Recording(body=BODY.encode(), expect=[{**EXPECT, "key": "7"}])

    assert json.loads(written(recording, "x").body)["events"][0]["nr"] not in (7, "7")


def test_only_a_recording_of_one_message_with_words_will_do() -> None:
    no_words = Recording(name="1", body=b"{}", expect=[{"type": "Received", "key": "m-1"}])
    two = Recording(name="2", body=b"{}", expect=[EXPECT, EXPECT])
    shake = Recording(name="3", body=b"{}", expect="4711")
    good = Recording(name="4", body=b"{}", expect=[EXPECT])

    assert speaking([no_words, two, shake]) is None
    assert speaking([no_words, two, shake, good]) is good


# ---- replay
class Replayed:
    """What ``fernamt replay`` said."""

    def __init__(self, folder: Path, *words: str) -> None:
        command = [sys.executable, "-m", "fernamt", "replay", *words]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S)
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_recording_is_played_to_a_daemon_of_its_own(tmp_path: Path) -> None:
    folder = made(tmp_path / "fernamt-acme", "webhook")

    played = Replayed(folder, "tests/recordings/0001-text.json", "--times", "2", "--tamper")

    assert (played.code, played.err) == (0, "")
    assert [line.split(maxsplit=4)[1:] for line in played.out.splitlines()] == [
        ["tampered", "HTTP", "403", "refused, as it should be"],
        ["sent", "HTTP", "200", "entry 1 of conversation 1"],
        ["sent", "HTTP", "200", "nothing new"],
    ]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_connector_that_looks_at_no_signature_is_found_out(tmp_path: Path) -> None:
    folder = made(tmp_path / "fernamt-acme", "webhook")
    connector = folder / "src" / "fernamt_acme" / "connector.py"
    connector.write_text(connector.read_text().replace("raise BadSignature", "BadSignature"))

    played = Replayed(folder, "tests/recordings/0001-text.json", "--tamper", "--json")

    assert played.code == 1
    said = json.loads(played.out)
    assert (said["ok"], [(one["tampered"], one["ok"]) for one in said["played"]]) == (
        False,
        [(True, False), (False, True)],
    )


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_recording_is_played_to_the_daemon_that_runs(tmp_path: Path) -> None:
    folder = made(tmp_path / "plugin", "webhook")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "plugins.d").mkdir()
    (tmp_path / "plugins.d" / "acme.py").write_text("from fernamt_acme import fernamt_register\n")
    (tmp_path / "fernamt.toml").write_text(
        f'listen = "127.0.0.1:{port}"\npublic_url = "https://service.example.org"\n[channels.line]\nkind = "acme"\n'
        'api = "https://api.example.org"\ntoken = "env:ACME"\nsigned_with = "env:ACME"\n'
    )
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "ACME": "the secret of the running one"}
    words = [sys.executable, "-m", "fernamt"]
    recording = str(folder / "tests" / "recordings" / "0001-text.json")

    def replayed() -> subprocess.CompletedProcess[str]:
        command = [*words, "replay", recording, "--times", "2", "--tamper", "--json"]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE_S
        )

    with subprocess.Popen([*words, "run"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE) as daemon:
        assert daemon.stderr is not None
        assert any(b"daemon_ready" in line for line in daemon.stderr)
        done = replayed()
        daemon.terminate()
        daemon.communicate()
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["channel"] == "line"
    assert [(one["status"], one["made"]) for one in said["played"]] == [
        (403, []),
        (200, ["entry 1 of conversation 1"]),
        (200, ["nothing new"]),
    ]
    done = replayed()
    assert done.returncode == 69
    assert "Nobody answered. Does the daemon run?" in done.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "There is no file 1.json. A plugin's recordings are in tests/recordings"),
        ("{}", "1.json is no recording"),
        ("no json", "1.json is no recording"),
    ],
)
def test_what_cannot_be_replayed_is_told_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str | None, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / "1.json").write_text(text)

    assert main(["replay", "1.json"]) == 1
    assert says in capsys.readouterr().err
