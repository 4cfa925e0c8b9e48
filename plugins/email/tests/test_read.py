"""``python -m fernamt_email.read``: mails in files of all sorts, as pages and as JSON, with counts and exit codes."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fernamt_email import mail_files, read
from fernamt_email.read import main

LAMP = (
    b"From: =?utf-8?Q?J=C3=B6rg?= <joerg@customer.example>\nTo: support@example.org\nSubject: Lampe\n"
    b"Date: Fri, 20 Nov 2026 11:00:00 +0100\nMessage-ID: <1@customer.example>\nIn-Reply-To: <a@example.org>\n"
    b"Content-Type: text/plain; charset=utf-8\n\nJa.\n\nAm 20.11.2026 um 10:00 schrieb Support:\n> eins\n> zwei\n> drei\n"
)
DOOR = b"From: ann@customer.example\nSubject: Door\nAuto-Submitted: auto-replied\n\nIt sticks.\n"
MANY_PARTS = b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\n\nhi\n" * 300 + b"--x--\n"


@pytest.fixture(autouse=True)
def in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")


def put(place: Path, content: bytes) -> str:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return str(place)


def objects(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> list[dict[str, Any]]:
    assert main([*words, "--json"]) == code
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_page_tells_the_mail_and_folds_what_was_said_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = put(tmp_path / "lamp.eml", LAMP)
    assert main([path]) == 0
    out, err = capsys.readouterr()
    assert out == (
        f"== {path}\n"
        "From:        Jörg <joerg@customer.example>\n"
        "To:          support@example.org\n"
        "Subject:     Lampe\n"
        "Date:        2026-11-20 10:00:00 UTC\n"
        "Message-ID:  <1@customer.example>\n"
        "Answers:     <a@example.org>\n"
        "\n"
        "Ja.\n\n[4 quoted lines; --full shows them]\n\n"
    )
    assert err.startswith("1 read, 0 unreadable, ")


def test_full_shows_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([put(tmp_path / "lamp.eml", LAMP), "--full"])
    assert "Am 20.11.2026 um 10:00 schrieb Support:\n> eins\n> zwei\n> drei\n" in capsys.readouterr().out


def test_who_works_in_german_reads_german(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    main([put(tmp_path / "lamp.eml", LAMP)])
    out = capsys.readouterr().out
    assert "Betreff:     Lampe\n" in out
    assert "[4 zitierte Zeilen; --full zeigt sie]" in out


def test_an_object_has_every_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = put(tmp_path / "lamp.eml", LAMP)
    [one] = objects(capsys, path)
    assert one == {
        "source": path,
        "id": "<1@customer.example>",
        "sender": "joerg@customer.example",
        "sender_name": "Jörg",
        "recipients": ["support@example.org"],
        "subject": "Lampe",
        "at": "2026-11-20T10:00:00+00:00",
        "references": ["<a@example.org>"],
        "text": "Ja.\n\nAm 20.11.2026 um 10:00 schrieb Support:\n> eins\n> zwei\n> drei\n",
        "folded": [{"first": 2, "end": 6, "kind": "quote"}],
        "html": "",
        "files": [],
        "automatic": False,
        "signed": False,
        "encrypted": False,
        "report": [],
    }


def test_flags_files_and_reports_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bounce = (
        b"From: MAILER-DAEMON@mx.example\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n"
        b"--b\nContent-Type: text/html\n\n<p>Sorry</p>\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx\n\n"
        b"Final-Recipient: rfc822; ann@customer.example\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 no such user\n"
        b"--b\nContent-Type: image/png\nContent-ID: <logo>\n\nx\n--b--\n"
    )
    main([put(tmp_path / "bounce.eml", bounce)])
    out = capsys.readouterr().out
    assert "Flags:       automatic, HTML\n" in out
    assert "Report:      ann@customer.example failed 5.1.1 550 no such user\n" in out
    assert "File:        file.png image/png 1 B in the page: logo\n" in out


def test_a_mailbox_file_is_read_mail_by_mail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quoted = b"From: cy@customer.example\n\n>From here on it is mine.\nFrom today on, too.\n"
    separator = b"From ann@customer.example Fri Nov 20 11:00:00 2026\n"
    path = put(tmp_path / "old.mbox", b"\n".join(separator + mail for mail in (LAMP, DOOR, quoted)))
    found = objects(capsys, path)
    assert [one["source"] for one in found] == [f"{path}#{n}" for n in (1, 2, 3)]
    assert [one["sender"] for one in found] == ["joerg@customer.example", "ann@customer.example", "cy@customer.example"]
    assert found[2]["text"] == "From here on it is mine.\nFrom today on, too.\n"


def test_a_folder_is_read_with_what_lies_below(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path / "box" / "cur" / "1700000000.M1.host:2,S", LAMP)
    put(tmp_path / "box" / "new" / "1700000001.M2.host", DOOR)
    put(tmp_path / "box" / "tmp" / "half", b"half")
    put(tmp_path / "box" / "dovecot-uidlist", b"3 V1")
    put(tmp_path / "box" / ".Sent" / "maildirfolder", b"")
    put(tmp_path / "box" / ".Sent" / "cur" / "1700000002.M4.host:2,S", DOOR)
    put(tmp_path / "box" / "dovecot-uidlist.log", b"3 V1")
    put(tmp_path / "mh" / "17", DOOR)
    put(tmp_path / "mh" / ".mh_sequences", b"cur: 17")
    put(tmp_path / "notes.pdf", b"%PDF")
    assert [Path(one["source"]).name for one in objects(capsys, str(tmp_path))] == [
        "1700000002.M4.host:2,S",
        "1700000000.M1.host:2,S",
        "1700000001.M2.host",
        "17",
    ]


def test_a_file_of_apple_mail_is_read_without_its_frame(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    framed = b"%d     \n" % len(DOOR) + DOOR + b"<?xml version='1.0'?><plist></plist>"
    assert [one["text"] for one in objects(capsys, put(tmp_path / "7.emlx", framed))] == ["It sticks.\n"]


def test_standard_input_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "fernamt_email.read", "-", "--json"], input=DOOR, capture_output=True, check=True
    )
    assert json.loads(ran.stdout)["subject"] == "Door"
    assert ran.stderr.startswith(b"1 read, 0 unreadable, ")


def test_what_cannot_be_read_is_told_with_its_reason_and_the_rest_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_files, "MAX_BYTES", 5_000)
    put(tmp_path / "a.eml", MANY_PARTS)
    put(tmp_path / "b.eml", b"From: a@b.example\n\n" + b"x" * 6_000)
    put(tmp_path / "c.msg", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest")
    put(tmp_path / "d.eml", b"\n")
    put(tmp_path / "e.eml", DOOR)
    put(tmp_path / "f.mbox", b"From a@b Fri Nov 20 11:00:00 2026\nSubject: x\n\n" + b"x\n" * 3_000)
    assert main([str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert f"== {tmp_path / 'a.eml'}\nthe mail has more than 200 parts\n" in out
    assert f"== {tmp_path / 'c.msg'}\nit is in Outlook's own format: save it there as .eml\n" in out
    assert "It sticks." in out
    assert err.startswith("1 read, 5 unreadable, ")
    assert "  2 x it is larger than 0 MB\n" in err
    assert "  1 x it is empty\n" in err
    assert [one.get("unreadable", "") for one in objects(capsys, str(tmp_path / "a.eml"), code=1)] == [
        "the mail has more than 200 parts"
    ]


def test_a_file_that_is_not_there_is_a_wrong_call_and_the_others_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "none.eml"), put(tmp_path / "door.eml", DOOR)]) == 2
    out, err = capsys.readouterr()
    assert f"{tmp_path / 'none.eml'}: cannot be opened: No such file or directory\n" in err
    assert "It sticks." in out


def test_without_a_file_the_command_says_how_it_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert "usage: python -m fernamt_email.read" in capsys.readouterr().err


def test_nothing_in_a_mail_steers_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nasty = "From: a@b.example\nSubject: x\u202ey\x9b31m\nContent-Type: text/html; charset=utf-8\n\n<p>\u2066a\x9bb\u202ec</p>\n"
    main([put(tmp_path / "nasty.eml", nasty.encode())])
    out = capsys.readouterr().out
    assert not set(out) & set("\x1b\x9b\u202e\u2066")
    assert out.count("\ufffd") >= 3


class Terminal(io.StringIO):
    """Keeps what a terminal was told."""

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_there_is_progress_while_the_output_goes_to_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path / "door.eml", DOOR)
    terminal = Terminal()
    monkeypatch.setattr(read, "_PROGRESS_S", 0.0)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", terminal)
        patched.setattr(sys, "stdout", io.StringIO())
        assert main([path]) == 0
    told = terminal.getvalue()
    assert "\r1 read, 0 unreadable" in told
    assert "\r\x1b[K1 read, 0 unreadable, " in told


def test_without_a_terminal_there_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([put(tmp_path / "door.eml", DOOR)])
    assert "\r" not in capsys.readouterr().err
