"""The program around the commands: help, options, exit codes, and how what people read is written."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from fernamt._store.desk import NoSuchThing
from fernamt._store.views.deliveries import AttemptView, DeliveryView, FactView
from fernamt.cli import main, words
from fernamt.cli.outcome import Failure, ending
from fernamt.cli.screen import plain, say, show_json
from fernamt.cli.standing import history, standing
from fernamt.errors import ConfigError, NotStored
from fernamt.model import Address, Attachment, Blob, DeliveryState
from fernamt.settings import ConfigErrors, Mistake

CORE = [
    "inbox",
    "show",
    "reply",
    "note",
    "solve",
    "merge",
    "split",
    "undo",
    "quarantine",
    "uncertain",
    "export",
    "erase",
    "run",
    "check",
    "channels",
    "plugins",
    "demo",
]
BELOW = ["quarantine show", "quarantine done", "uncertain settle"]
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


# ---- help and usage
def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert [name for name in CORE if f"  {name}: " in out] == CORE
    assert "Exit codes: 0 done" in out


@pytest.mark.parametrize("command", [*CORE, *BELOW])
def test_every_command_has_an_example_and_explains_each_of_its_options(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command.split(), "--help"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert f"Example: fernamt {command}" in out
    assert "\x1b" not in out
    assert [line for line in out.splitlines() if len(line) > 100] == []
    options = [line for line in out.splitlines() if line.startswith(("  --", "  NUMBER", "  TEXT"))]
    assert [line for line in options if ": " not in line] == []


def test_no_help_speaks_of_what_is_common_to_all_as_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    main(["inbox", "--help"])
    assert "What every command takes" not in capsys.readouterr().out


def test_the_version_is_the_distribution_s(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("fernamt 1.")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["inbocks"], "Did you mean"),
        (["inbox", "--stat"], "--state"),
        (["show"], "NUMBER"),
        (["show", "x"], "NUMBER"),
        (["quarantine", "3"], "3"),
        (["new", "connector"], "Help: fernamt new connector --help"),
        (["plugins", "check", "--bogus"], "Help: fernamt plugins check --help"),
        (["--bogus"], "--bogus"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, list) else "",
)
def test_wrong_words_end_with_2_and_say_where_help_is(
    argv: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert "--help" in err


@pytest.mark.parametrize(
    "argv",
    [
        ["-c", "there.toml", "inbox"],
        ["--config=there.toml", "inbox"],
        ["-v", "-c", "there.toml", "inbox"],
        ["inbox", "-c", "there.toml"],
    ],
    ids=" ".join,
)
def test_options_of_every_command_may_stand_before_it(
    argv: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 78
    assert "there.toml: " in capsys.readouterr().err


def test_what_follows_two_hyphens_is_no_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["-c", "there.toml", "note", "1", "--", "-c"]) == 78
    assert "there.toml" in capsys.readouterr().err


def test_the_environment_names_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FERNAMT_CONFIG", str(tmp_path / "elsewhere.toml"))
    assert main(["channels"]) == 78
    assert "elsewhere.toml: " in capsys.readouterr().err


# ---- endings
@pytest.mark.parametrize(
    ("why", "code", "says"),
    [
        (Failure("No.", 2), 2, "No."),
        (NoSuchThing("There is none. fernamt inbox lists them."), 1, "There is none."),
        (
            ConfigErrors([Mistake(Path("f.toml"), 3, "a.b", "is wrong", "Mend it")]),
            78,
            "f.toml:3: a.b: is wrong. Mend it",
        ),
        (ConfigError("store", "is empty", fix="Start it"), 78, "[store] is empty. Start it"),
        (NotStored("the disk is full"), 69, "the disk is full. Nothing was written: try again."),
        (PermissionError(13, "Permission denied", "x.db"), 77, "x.db: Permission denied. Run this as"),
        (FileNotFoundError(2, "No such file or directory", "x"), 1, "x: No such file or directory."),
        (
            sa.exc.OperationalError("SELECT", {}, Exception("connection refused")),
            69,
            "cannot be reached: connection refused",
        ),
        (sa.exc.OperationalError("x", {}, Exception("database is locked")), 69, "The store is busy"),
        (sa.exc.OperationalError("x", {}, Exception("attempt to write a readonly database")), 77, "may not be written"),
        (KeyboardInterrupt(), 130, "Given up."),
        (ZeroDivisionError("division\nby zero"), 1, "Fernamt itself failed: ZeroDivisionError: division by zero."),
    ],
    ids=lambda value: f"{type(value).__name__}" if isinstance(value, BaseException) else str(value),
)
def test_every_ending_has_a_code_and_a_sentence(why: BaseException, code: int, says: str) -> None:
    found, text = ending(why)
    assert found == code
    assert says in text


def test_a_store_that_cannot_be_reached_is_no_mistake_of_the_configuration() -> None:
    why = ConfigError("store", "no answer", fix="Is its server up?")
    why.__cause__ = NotStored("no answer")
    assert ending(why)[0] == 69


def test_a_fault_shows_its_place_only_when_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("fernamt.settings.read_settings", broken)
    monkeypatch.setattr("fernamt.cli.access.read_settings", broken)
    assert main(["channels"]) == 1
    assert (
        capsys.readouterr().err
        == "Fernamt itself failed: ZeroDivisionError: oops. Run it again with -v and report it.\n"
    )
    assert main(["channels", "-v"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["inbox", "show 1", "reply 1 x", "channels", "quarantine", "uncertain"])
def test_without_a_store_every_command_says_how_to_make_one(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fernamt.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    assert main(command.split()) == 78
    assert "Start the daemon: fernamt run" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [tmp_path / "fernamt.toml"], "nothing was made by looking"


def test_a_store_that_does_not_answer_ends_with_69(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fernamt.toml").write_text("store = 'postgresql://nobody@127.0.0.1:1/none'")
    monkeypatch.chdir(tmp_path)
    assert main(["inbox"]) == 69
    out, err = capsys.readouterr()
    assert out == ""
    assert "Is its server up?" in err


# ---- as a process
def _run(*argv: str, cwd: Path, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "fernamt", *argv], cwd=cwd, capture_output=True, text=True, **more)


@pytest.mark.slow
def test_as_a_process_it_ends_with_the_code_and_one_sentence(tmp_path: Path) -> None:
    ran = _run("inbox", cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (78, "")
    assert ran.stderr.startswith("fernamt.toml: ")
    assert ran.stderr.count("\n") == 1


@pytest.mark.slow
def test_whoever_closes_the_pipe_early_gets_no_complaint(tmp_path: Path, sqlite_template: Path) -> None:
    (tmp_path / "fernamt.toml").write_text(f"store = 'sqlite:///{sqlite_template}'")
    ours, theirs = os.pipe()
    os.close(ours)
    argv = [sys.executable, "-m", "fernamt", "inbox", "--json"]
    ran = subprocess.run(argv, cwd=tmp_path, stdout=theirs, stderr=subprocess.PIPE, text=True)
    os.close(theirs)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.slow
def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = "import sys, fernamt.cli; fernamt.cli.main(['--help']); print(*sys.modules, file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    heavy = {"aiohttp", "sqlalchemy", "structlog", "alembic", "uvloop", "cattrs", "tenacity", "asyncio"}
    assert not heavy & set(ran.stderr.split())


# ---- words
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ä € 你 👩\u200d🔧", "plain ä € 你 👩\u200d🔧"),
        ("line\r\nline\n\ttab", "line\nline\n\ttab"),
        ("\x1b[31mred", "␛[31mred"),
        ("bell\x07 null\x00 delete\x7f", "bell␇ null␀ delete␡"),
        ("c1 \x9b31m \x85", "c1 \ufffd31m \ufffd"),
        ("over\rwrite", "over␍write"),
        ("a\u202eb\u2066c\u200fd\u061ce", "abcde"),
        ("lines\u2028and\u2029more", "lines\ufffdand\ufffdmore"),
        ("half \ud83d", "half \ufffd"),
        ("tag \U000e0041", "tag "),
    ],
)
def test_what_a_stranger_wrote_is_made_harmless(text: str, shown: str) -> None:
    assert words.harmless(text) == shown


def test_one_line_has_no_other_white_space() -> None:
    assert words.one_line(" a\n\n b\t\tc\u00a0d ") == "a b c d"


@pytest.mark.parametrize(
    ("seconds", "age", "ago"),
    [
        (-5, "now", "just now"),
        (0.9, "now", "just now"),
        (59, "59 s", "59 s ago"),
        (60, "1 min", "1 min ago"),
        (3_599, "59 min", "59 min ago"),
        (7_200, "2 h", "2 h ago"),
        (86_400 * 6.9, "6 d", "6 d ago"),
        (86_400 * 9, "13 Nov", "on 13 Nov"),
        (86_400 * 400, "18 Oct 2025", "on 18 Oct 2025"),
    ],
)
def test_ages_are_told_as_people_tell_them(seconds: float, age: str, ago: str) -> None:
    at = NOW - timedelta(seconds=seconds)
    assert (words.age(at, NOW), words.ago(at, NOW)) == (age, ago)


@pytest.mark.parametrize(
    ("seconds", "told"), [(-9, "now"), (0.5, "now"), (40, "in 40 s"), (240, "in 4 min"), (7_300, "in 2 h")]
)
def test_what_comes_is_told_as_people_tell_it(seconds: float, told: str) -> None:
    assert words.until(NOW + timedelta(seconds=seconds), NOW) == told


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (0, "0 B"),
        (1_023, "1023 B"),
        (1_024, "1.0 KB"),
        (123_456, "121 KB"),
        (1_048_576, "1.0 MB"),
        (50_000_000, "48 MB"),
        (2**31, "2.0 GB"),
    ],
)
def test_sizes_are_told_as_people_tell_them(count: int, told: str) -> None:
    assert words.size(count) == told


# ---- JSON
def test_json_means_the_same_and_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    text = 'a\x1b[31m \x9b \u202e \U000e0041 ä 👍\n\t"\\'
    show_json({"text": text})
    out = capsys.readouterr().out
    assert json.loads(out) == {"text": text}
    assert words.harmless(out) == out
    assert "ä 👍" in out


def test_values_become_plain_json() -> None:
    value = {
        "address": Address("email", "ann@example.org"),
        "at": NOW,
        "files": (Attachment(name="a", media_type="b/c", content=Blob("d" * 64, 7)),),
        "state": DeliveryState.SENT,
        "nothing": None,
    }
    assert plain(value) == {
        "address": "email:ann@example.org",
        "at": "2026-11-22T12:00:00+00:00",
        "files": [{"name": "a", "media_type": "b/c", "size": 7}],
        "state": "sent",
        "nothing": None,
    }


def test_remarks_go_to_stderr_and_are_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    say("a \x1b[31m b")
    assert capsys.readouterr() == ("", "a ␛[31m b\n")


# ---- where a delivery stands
def _delivery(state: DeliveryState, **more: Any) -> DeliveryView:
    values: dict[str, Any] = {
        "number": 7,
        "conversation": 12,
        "n": 3,
        "to": Address("email", "ann@example.org"),
        "channel": "mail",
        "channel_state": "up",
        "state": state,
        "reason": "",
        "code": "",
        "ids": (),
        "tried": 0,
        "next_at": NOW,
        "changed_at": NOW - timedelta(minutes=2),
        "text": "",
        "attempts": (),
        "facts": (),
    }
    return DeliveryView(**(values | more))


S = DeliveryState
STANDINGS = [
    (_delivery(S.QUEUED), "not tried yet"),
    (_delivery(S.QUEUED, channel_state="down"), "not tried yet. mail is down: see fernamt channels"),
    (_delivery(S.QUEUED, reason="at night", next_at=NOW + timedelta(hours=3)), "at night; asked again in 3 h"),
    (_delivery(S.QUEUED, tried=1, reason="no route"), "tried once: no route; again now"),
    (
        _delivery(S.QUEUED, tried=3, reason="busy", code="450", next_at=NOW + timedelta(seconds=241)),
        "tried 3 times: busy (450); again in 4 min",
    ),
    (_delivery(S.SENDING, tried=2), "attempt 2 began 2 min ago"),
    (
        _delivery(S.UNCERTAIN, reason="reset"),
        "reset; it may have arrived. Settle with: fernamt uncertain settle 7 --sent (or --again)",
    ),
    (_delivery(S.SENT), "accepted, 2 min ago"),
    (_delivery(S.SENT, ids=("<a>", "<b>")), "accepted as <a>, <b>, 2 min ago"),
    (
        _delivery(S.FAILED, reason="550 no such user.", code="550"),
        "550 no such user. It is not tried again: fernamt reply 12",
    ),
    (_delivery(S.REFUSED), "no reason was given. It is not tried again: fernamt reply 12"),
    (_delivery(S.DELIVERED), "2 min ago"),
    (_delivery(S.READ), "2 min ago"),
]


@pytest.mark.parametrize(("delivery", "told"), STANDINGS, ids=[f"{one.state}-{told[:30]}" for one, told in STANDINGS])
def test_a_delivery_says_where_it_stands_and_what_comes_next(delivery: DeliveryView, told: str) -> None:
    assert standing(delivery, NOW) == told


def test_the_history_is_told_in_the_order_of_time_and_not_twice() -> None:
    good = AttemptView(n=1, started_at=NOW, ended_at=NOW, outcome="sent", reason="", code="")
    bad = AttemptView(
        n=1, started_at=NOW - timedelta(days=3), ended_at=NOW, outcome="Throttled", reason="slow", code="429"
    )
    lost = AttemptView(n=2, started_at=NOW, ended_at=None, outcome="", reason="", code="")
    fact = FactView(state=S.SENT, at=NOW - timedelta(days=1), source="a person", reason="settled by agent:tom", code="")
    assert history(_delivery(S.SENT, attempts=(good,)), NOW) == []
    assert history(_delivery(S.QUEUED, attempts=(bad,), reason="slow"), NOW) == []
    minute = words.minute
    assert history(_delivery(S.SENT, attempts=(bad, lost), facts=(fact,)), NOW) == [
        f"{minute(bad.started_at, NOW)} attempt 1: Throttled, slow (429)",
        f"{minute(fact.at, NOW)} sent by a person, settled by agent:tom",
        f"{minute(NOW, NOW)} attempt 2: no result is known",
    ]
