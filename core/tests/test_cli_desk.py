"""The commands that work on the store, as a person or a program calls them. On both engines."""

import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from fernamt._store.blobs import open_blobs
from fernamt._store.channels import Entrance, enter
from fernamt._store.claims import Wish, take
from fernamt._store.deliveries import Attempt, Beginning, Result, begin, finish, open_deliveries
from fernamt._store.engine import Store
from fernamt._store.names import Names
from fernamt._store.reception import Line, Reception, Submission
from fernamt.cli import main
from fernamt.cli.writing import follow
from fernamt.inbound import InboundEvent, Lines, Received, Thread, Unparsed
from fernamt.model import Address, Attachment, DeliveryState, Remote

ANN = Address("email", "ann@example.org")
NASTY = "red\x1b[31m title\x1b]0;pwned\x07 c1\x9b31m right\u202eto left\u2066"
DAY_US = 86_400_000_000
ON_SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Desk:
    """A store with a channel, and the command line in front of it."""

    def __init__(self, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
        self.store = store
        self.capsys = capsys
        self.reception = Reception(Names(store.keys()))
        self.session = store.session()
        self.line = Line(number=self.run(enter, Entrance(id="mail", kind="email", label="Mail")), id="mail")
        self.err = ""

    def run(self, operation: Callable[..., Any], payload: object) -> Any:
        with self.session.transaction() as tx:
            [result] = operation(tx, [payload])
        return result

    def take(self, *events: InboundEvent, raw: bytes | None = b"raw") -> int:
        accepted = self.run(self.reception, Submission(line=self.line, events=events, raw=raw))
        return int(accepted[-1].conversation or 0)

    def mailed(self, text: str = "Where is it?", sender: Address = ANN, **more: Any) -> int:
        return self.take(Received(key=f"{sender}{text}", sender=sender, text=text, **more))

    def attempt(self, delivery: int, state: DeliveryState, **more: Any) -> None:
        with self.store.read() as connection:
            queued = open_deliveries(self.store.statements(connection), self.line.number, 100)
        [one] = [one for one in queued if one.id == delivery]
        claim = self.run(take, Wish(key=f"test:{delivery}", owner="test", lease_us=1))
        assert self.run(begin, Beginning(claim=claim, channel=self.line.number, attempts=[Attempt(one)]))
        more.setdefault("outcome", "sent" if state == DeliveryState.SENT else "Unreachable")
        n = one.attempts + 1
        self.run(finish, [Result(channel=self.line.number, delivery=delivery, n=n, state=state, **more)])

    def called(self, *words: str, code: int = 0) -> str:
        """Run a command and return what it wrote to stdout; what it wrote to stderr is in ``err``."""
        self.capsys.readouterr()
        ended = main(words)
        out, self.err = self.capsys.readouterr()
        assert ended == code, (out, self.err)
        assert "Traceback" not in self.err
        return out

    def json(self, *words: str) -> Any:
        return json.loads(self.called(*words, "--json"))


@pytest.fixture
def desk(
    store: Store, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Desk]:
    (tmp_path / "fernamt.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FERNAMT_STORE", store_url)
    monkeypatch.setenv("LOGNAME", "maria")
    desk = Desk(store, capsys)
    with closing(desk.session):
        yield desk


# ---- inbox and show
def test_an_empty_inbox_says_the_next_step(desk: Desk) -> None:
    assert desk.called("inbox") == ""
    assert "fernamt channels" in desk.err
    assert desk.json("inbox") == []


def test_an_inbox_without_open_conversations_says_that_there_are_solved_ones(desk: Desk) -> None:
    number = desk.mailed()
    desk.called("solve", str(number))
    assert desk.called("inbox") == ""
    assert "1 conversation solved" in desk.err
    assert "fernamt inbox --all" in desk.err
    assert "Where is it?" in desk.called("inbox", "--all")


def test_the_inbox_names_customer_subject_state_and_channel(desk: Desk) -> None:
    desk.mailed(subject="The lamp", sender_name="Ann")
    heading, line = desk.called("inbox").splitlines()
    assert heading.split() == ["#", "customer", "subject", "state", "channel", "moved"]
    assert re.fullmatch(r"1  Ann +The lamp +open +mail +(now|\d+ s)", line)


def test_the_inbox_says_that_there_are_more(desk: Desk) -> None:
    for number in range(3):
        desk.mailed(sender=Address("email", f"{number}@example.org"))
    assert len(desk.called("inbox", "--limit", "2").splitlines()) == 3
    assert desk.err == "There are more: fernamt inbox --limit 4\n"
    assert len(desk.json("inbox", "-n", "2")) == 2


def test_the_kind_is_shown_where_it_is_not_always_support(desk: Desk) -> None:
    desk.mailed()
    assert "kind" not in desk.called("inbox")
    assert [line["kind"] for line in desk.json("inbox")] == ["support"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--state", "open"], 1),
        (["--state", "waiting"], 1),
        (["--state", "open", "--state", "waiting"], 2),
        (["--state", "solved"], 0),
        (["--channel", "mail"], 2),
    ],
    ids=str,
)
def test_the_inbox_is_narrowed(desk: Desk, words: list[str], found: int) -> None:
    desk.mailed()
    desk.called("reply", str(desk.mailed(sender=Address("email", "bob@example.org"))), "text")
    assert len(desk.json("inbox", *words)) == found


def test_a_channel_that_does_not_exist_is_told_with_the_one_that_was_meant(desk: Desk) -> None:
    desk.called("inbox", "--channel", "mial", code=1)
    assert desk.err == "There is no channel 'mial'. Did you mean 'mail'?\n"


def test_the_shapes_of_json_are_stable(desk: Desk) -> None:
    number = desk.mailed(subject="The lamp", attachments=(Attachment(name="a", media_type="b/c", content=Remote("r")),))
    desk.called("reply", str(number), "text")
    desk.take(Unparsed(key="u", reason="what is this", raw=b"{}"))
    [line] = desk.json("inbox")
    assert list(line) == (
        [
            "number",
            "kind",
            "state",
            "customer",
            "address",
            "subject",
            "text",
            "author",
            "channel",
            "entries",
            "at",
            "waiting",
            "uncertain",
            "failed",
        ]
    )
    shown = desk.json("show", str(number))
    assert list(shown) == [
        "number",
        "merged",
        "kind",
        "state",
        "customer_number",
        "customer",
        "addresses",
        "participants",
        "entries",
        "subject",
    ]
    received, sent = shown["entries"]
    assert list(received) == [
        "conversation",
        "n",
        "kind",
        "at",
        "author",
        "channel",
        "text",
        "attachments",
        "remote",
        "data",
        "provider_id",
        "has_raw",
        "deliveries",
    ]
    assert received["attachments"] == [{"name": "a", "media_type": "b/c", "size": None}]
    [delivery] = sent["deliveries"]
    assert list(delivery) == [
        "number",
        "conversation",
        "n",
        "to",
        "channel",
        "channel_state",
        "state",
        "reason",
        "code",
        "ids",
        "tried",
        "next_at",
        "changed_at",
        "text",
        "attempts",
        "facts",
    ]
    [channel] = desk.json("channels")
    assert list(channel) == ["id", "label", "kind", "state", "reason", "since", "queued", "uncertain", "newest_at"]
    [item] = desk.json("quarantine")
    assert list(item) == ["number", "channel", "reason", "at", "settled_at", "size", "has_raw"]
    assert desk.json("quarantine", "show", str(item["number"])) == item
    assert desk.json("uncertain") == []


def test_times_in_json_are_utc_in_iso_8601(desk: Desk) -> None:
    desk.mailed()
    [line] = desk.json("inbox")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", line["at"])


def test_show_tells_the_whole_conversation(desk: Desk) -> None:
    number = desk.mailed("First line\n\n> quoted", subject="The lamp", sender_name="Ann")
    desk.called("note", str(number), "look at this")
    desk.called("reply", str(number), "Thank you", "--cc", "email:bob@example.org")
    out = desk.called("show", str(number))
    assert out.startswith(f"#{number}  The lamp  waiting\nAnn  email:ann@example.org  customer 1\n")
    assert re.search(r"\n  1  received  Ann <email:ann@example.org>  mail, ", out)
    assert "\n     First line\n\n     > quoted\n" in out
    assert re.search(r"\n  2  note  agent:maria  ", out)
    assert re.search(r"\n  3  sent  agent:maria  mail, ", out)
    assert "\n     to  email:ann@example.org  queued  not tried yet. mail is starting: see fernamt channels\n" in out
    assert "\n     to  email:bob@example.org  queued  " in out


def test_show_folds_what_its_reader_knows_until_all_is_asked_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    quoted = "On Monday Ann wrote:\n> one\n> two\n> three"
    number = desk.mailed(f"Thanks!\n\n{quoted}\n\nBye", folded=(Lines(2, 6),), marks=("signed",))
    assert "\n     signed, not verified\n     Thanks!" in desk.called("show", str(number))
    assert "\n     Thanks!\n\n     [4 quoted lines; --full shows them]\n\n     Bye\n" in desk.called(
        "show", str(number)
    )
    assert "\n     > two\n" in desk.called("show", str(number), "--full")
    [entry] = desk.json("show", str(number))["entries"]
    assert (entry["text"], entry["data"]["folded"]) == (f"Thanks!\n\n{quoted}\n\nBye", [[2, 6, "quote"]])


def test_show_tells_what_the_provider_said_of_a_message(desk: Desk) -> None:
    number = desk.mailed("Win a prize", marks=("spam", "dmarc=fail"))

    assert "\n     spam, dmarc=fail\n     Win a prize" in desk.called("show", str(number))
    assert json.loads(desk.called("show", str(number), "--json"))["entries"][0]["data"]["marks"] == [
        "spam",
        "dmarc=fail",
    ]


def test_show_says_what_became_of_an_answer_and_what_comes_next(desk: Desk) -> None:
    number = desk.mailed()
    cc = [f"email:{name}@example.org" for name in ("bob", "eve", "joe", "kim")]
    sent = desk.json("reply", str(number), "text", *(word for one in cc for word in ("--cc", one)))
    first, second, third, fourth, _ = (delivery["number"] for delivery in sent["deliveries"])
    desk.attempt(first, DeliveryState.SENT, ids=("<x@y>",))
    desk.attempt(second, DeliveryState.UNCERTAIN, reason="reset after DATA")
    desk.attempt(third, DeliveryState.FAILED, reason="no such user", code="550")
    desk.attempt(fourth, DeliveryState.QUEUED, reason="no connection", after_us=2 * DAY_US)
    desk.attempt(fourth, DeliveryState.QUEUED, reason="still none", after_us=2 * DAY_US)
    out = desk.called("show", str(number))
    assert "email:ann@example.org  sent  accepted as <x@y>, " in out
    assert (
        f"uncertain  reset after DATA; it may have arrived. Settle with: fernamt uncertain settle {second} --sent"
        in out
    )
    assert f"failed  no such user (550). It is not tried again: fernamt reply {number}\n" in out
    assert re.search(r"queued  tried 2 times: still none; again in \d d\.", out)
    assert re.search(r"attempt 1: Unreachable, no connection\n", out)
    assert "kim@example.org  queued  not tried yet" in out


@pytest.mark.parametrize("words", [["show", "99"], ["show", "99", "--raw", "1"], ["reply", "99", "x"], ["solve", "99"]])
def test_a_conversation_that_does_not_exist_is_told_with_the_next_step(desk: Desk, words: list[str]) -> None:
    assert desk.called(*words, code=1) == ""
    assert desk.err == "There is no conversation 99. fernamt inbox lists them.\n"


def test_nothing_that_a_customer_wrote_steers_the_terminal(desk: Desk) -> None:
    file = Attachment(name=NASTY, media_type=NASTY, content=Remote("r"))
    number = desk.mailed(NASTY, subject=NASTY, sender_name=NASTY, attachments=(file,), sender=Address("email", NASTY))
    desk.take(Unparsed(key="u", reason=NASTY, raw=NASTY.encode()))
    [delivery] = desk.json("reply", str(number), NASTY)["deliveries"]
    desk.attempt(delivery["number"], DeliveryState.UNCERTAIN, reason=NASTY, code=NASTY)
    lists = (["inbox"], ["show", str(number)], ["channels"], ["quarantine"], ["uncertain"])
    for words in (*lists, *([*words, "--json"] for words in lists)):
        out = desk.called(*words)
        assert not UNSAFE.search(out), words
        assert not UNSAFE.search(desk.err)
    shown = desk.json("show", str(number))
    assert shown["entries"][0]["text"] == NASTY, "JSON keeps every character"


@ON_SQLITE
def test_show_raw_gives_the_original_bytes(desk: Desk) -> None:
    number = desk.take(Received(key="k", sender=ANN), raw=b"\x1b[31m\xff\x00raw\r\n")
    ran = subprocess.run([sys.executable, "-m", "fernamt", "show", str(number), "--raw", "1"], capture_output=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"\x1b[31m\xff\x00raw\r\n", b"")


def test_an_entry_without_raw_bytes_says_so(desk: Desk) -> None:
    number = desk.mailed()
    desk.called("note", str(number), "text")
    desk.called("show", str(number), "--raw", "2", code=1)
    assert "no bytes are kept" in desk.err


def test_an_attachment_is_saved_whole_and_never_over_another_file(desk: Desk, tmp_path: Path) -> None:
    content, path = b"\x00\x01" * 100_000, tmp_path / "saved"
    (tmp_path / "form.bin").write_bytes(content)
    number = desk.mailed()
    desk.called("reply", str(number), "text", "--attach", "form.bin")
    words = ["show", str(number), "--save-attachment", "2", "form.bin", str(path)]
    desk.called(*words)
    assert path.read_bytes() == content
    assert desk.err == f"{path}: 195 KB\n"
    desk.called(*words, code=1)
    assert "is there already" in desk.err


@ON_SQLITE
@pytest.mark.parametrize(
    ("entry", "name", "says"),
    [
        ("1", "a", "has no file 'a'. It has none."),
        ("2", "a", "It has: b"),
        ("9", "b", "There is no entry 9"),
        ("3", "c", "provider"),
    ],
)
def test_an_attachment_that_is_not_there_is_told(desk: Desk, tmp_path: Path, entry: str, name: str, says: str) -> None:
    (tmp_path / "b").write_text("x")
    number = desk.mailed()
    desk.called("reply", str(number), "text", "--attach", "b")
    desk.mailed("again", attachments=(Attachment(name="c", media_type="d/e", content=Remote("r")),))
    desk.called("show", str(number), "--save-attachment", entry, name, str(tmp_path / "out"), code=1)
    assert says in desk.err
    assert not (tmp_path / "out").exists()


def test_an_attachment_that_was_erased_leaves_no_half_file(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "b").write_text("x")
    number = desk.mailed()
    desk.called("reply", str(number), "text", "--attach", "b")
    with desk.session.transaction() as tx:
        tx.do.one("DELETE FROM blob_chunk")
    for file in tmp_path.glob("*.blobs/*/*"):
        file.unlink()
    desk.called("show", str(number), "--save-attachment", "2", "b", str(tmp_path / "out"), code=1)
    assert "erased" in desk.err
    assert not (tmp_path / "out").exists()


# ---- reply, note, solve
def test_a_reply_goes_to_whoever_wrote_last(desk: Desk) -> None:
    number = desk.mailed()
    out = desk.called("reply", str(number), "Thank you")
    assert out.startswith(f"Entry 2 of conversation {number} to email:ann@example.org: queued, ")
    assert desk.err == "No daemon works on this store, so nothing is sent yet. Start it with: fernamt run\n"
    answer = desk.json("show", str(number))["entries"][1]
    assert (answer["kind"], answer["author"], answer["text"]) == ("sent", "agent:maria", "Thank you")


def test_a_reply_goes_to_whom_it_is_told_and_by_whom(desk: Desk) -> None:
    number = desk.mailed()
    told = desk.json(
        *("reply", str(number), "Hello", "--to", "email:bob@example.org", "--cc", "email:eve@example.org"),
        *("--channel", "mail", "--as", "tom"),
    )
    assert [one["to"] for one in told["deliveries"]] == ["email:bob@example.org", "email:eve@example.org"]
    assert (told["conversation"], told["n"]) == (number, 2)
    assert desk.json("show", str(number))["entries"][1]["author"] == "agent:tom"


def test_a_text_comes_from_a_file_or_from_stdin(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    number = str(desk.mailed())
    (tmp_path / "text").write_bytes("\ufeffGrüße\r\naus der Datei\n".encode())
    desk.called("reply", number, "--file", "text")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("Grüße\nvon der Leitung\n".encode())))
    desk.called("note", number)
    texts = [entry["text"] for entry in desk.json("show", number)["entries"]]
    assert texts[1:] == ["Grüße\naus der Datei", "Grüße\nvon der Leitung"]


@ON_SQLITE
@pytest.mark.parametrize(
    ("words", "stdin", "says"),
    [
        (["reply", "1", " \n "], b"", "The text is empty"),
        (["note", "1"], b"", "The text is empty"),
        (["note", "1"], b"\xff\xfe", "not UTF-8"),
        (["note", "1"], b"x" * 1_048_577, "longer than 1 MB"),
        (["reply", "1", "x", "--file", "y"], b"", "not both"),
        (["reply", "1", "x", "--to", "ann"], b"", "scheme:value"),
        (["reply", "1", "x", "--as", "a\x1bb"], b"", "Say who writes this"),
        (["reply", "one", "x"], b"", "NUMBER"),
        (["inbox", "--limit", "0"], b"", "at least 1"),
        (["inbox", "--state", "closed"], b"", "closed"),
        (["uncertain", "settle", "1"], b"", "one of the two"),
        (["uncertain", "settle", "1", "--sent", "--again"], b"", "one of the two"),
    ],
    ids=[
        *(
            "empty text",
            "nothing on stdin",
            "not UTF-8",
            "too long",
            "text and file",
            "no address",
            "no name",
            "no number",
        ),
        *("no limit", "no such state", "no verdict", "two verdicts"),
    ],
)
def test_wrong_usage_ends_with_2_and_writes_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, words: list[str], stdin: bytes, says: str
) -> None:
    number = desk.mailed()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
    assert desk.called(*words, code=2) == ""
    assert says in desk.err
    assert len(desk.json("show", str(number))["entries"]) == 1


@ON_SQLITE
@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--attach", "nowhere"], 1, "There is no file nowhere"),
        (["--file", "nowhere"], 1, "nowhere: No such file"),
        (["--channel", "nowhere", "text"], 1, "There is no channel 'nowhere'. fernamt channels lists them."),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_is_not_there_is_told(desk: Desk, words: list[str], code: int, says: str) -> None:
    number = desk.mailed()
    desk.called("reply", str(number), *words, *([] if "text" in words or "--file" in words else ["text"]), code=code)
    assert says in desk.err


def test_characters_that_no_store_takes_are_replaced(desk: Desk) -> None:
    number = str(desk.mailed())
    desk.called("note", number, "nul\x00 and half\udc80")
    assert desk.json("show", number)["entries"][1]["text"] == "nul\ufffd and half?"


def test_a_note_is_not_sent_and_a_solution_may_be_silent(desk: Desk) -> None:
    number = str(desk.mailed())
    assert desk.called("note", number, "text") == f"Entry 2 of conversation {number}: note\n"
    assert desk.called("solve", number) == f"Entry 3 of conversation {number}: solved\n"
    shown = desk.json("show", number)
    assert [entry["deliveries"] for entry in shown["entries"]] == [[], [], []]
    assert shown["state"] == "solved"


def _follow(desk: Desk, *steps: Callable[[int], None], wait_s: float = 15.0) -> tuple[str, int]:
    """Follow a new delivery, with one of *steps* in every pause; return its state at the end, and how many pauses there were."""
    [delivery] = desk.json("reply", str(desk.mailed()), "text")["deliveries"]
    desk.run(take, Wish(key="channel:mail", owner="a daemon", lease_us=60_000_000))
    left, pauses = list(steps), []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if left:
            left.pop(0)(delivery["number"])

    [view] = follow(desk.store, (delivery["number"],), wait_s=wait_s, pause=pause)
    return view.state, len(pauses)


def test_a_reply_is_followed_until_it_is_sent(desk: Desk) -> None:
    nothing = lambda _delivery: None  # noqa: E731
    assert _follow(desk, nothing, lambda delivery: desk.attempt(delivery, DeliveryState.SENT)) == ("sent", 2)


def test_a_reply_that_is_tried_again_later_is_not_waited_for(desk: Desk) -> None:
    again = lambda delivery: desk.attempt(delivery, DeliveryState.QUEUED, reason="no connection", after_us=2 * DAY_US)  # noqa: E731
    assert _follow(desk, again) == ("queued", 1)


def test_a_reply_that_nobody_sends_is_waited_for_in_vain(desk: Desk) -> None:
    assert _follow(desk, wait_s=1.0) == ("queued", 5)


def test_without_a_daemon_nobody_waits(desk: Desk) -> None:
    [delivery] = desk.json("reply", str(desk.mailed()), "text", "--wait")["deliveries"]
    assert delivery["state"] == "queued"


def test_a_reply_whose_sending_went_wrong_ends_with_1(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    number = desk.mailed()

    def at_once(store: Store, numbers: tuple[int, ...], *, wait_s: float) -> object:
        desk.attempt(numbers[0], DeliveryState.FAILED, reason="no such user")
        return follow(store, numbers, wait_s=wait_s)

    monkeypatch.setattr("fernamt.cli.writing.follow", at_once)
    assert "failed, no such user." in desk.called("reply", str(number), "text", code=1)


# ---- channels, quarantine, uncertain
def test_the_channels_are_listed_and_a_missing_daemon_is_told(desk: Desk) -> None:
    desk.called("reply", str(desk.mailed()), "text")
    heading, line = desk.called("channels").splitlines()
    assert heading.split() == ["channel", "kind", "state", "since", "queued", "uncertain", "newest"]
    assert line.split()[:3] == ["mail", "email", "starting"]
    assert "No daemon works on this store" in desk.err
    desk.run(take, Wish(key="channel:mail", owner="a daemon", lease_us=60_000_000))
    desk.called("channels")
    assert desk.err == ""


def test_the_quarantine_is_listed_looked_at_and_emptied(desk: Desk) -> None:
    assert desk.called("quarantine") == ""
    assert desk.err == "The quarantine is empty.\n"
    desk.take(Unparsed(key="u", reason="what is this", raw=b"{}"))
    assert re.search(r"\n1  mail +what is this +2 B ", desk.called("quarantine"))
    assert desk.called("quarantine", "done", "1") == "Item 1 of the quarantine: done\n"
    desk.called("quarantine", "done", "1", code=1)
    assert "fernamt quarantine lists it" in desk.err
    desk.called("quarantine", "show", "9", code=1)
    assert "nothing under 9" in desk.err
    assert desk.json("quarantine") == []


def test_an_uncertain_delivery_is_listed_and_settled(desk: Desk) -> None:
    assert desk.called("uncertain") == ""
    assert desk.err == "Nothing is uncertain.\n"
    number = desk.mailed()
    sent = desk.json("reply", str(number), "The answer", "--cc", "email:bob@example.org")
    first, second = (delivery["number"] for delivery in sent["deliveries"])
    for delivery in (first, second):
        desk.attempt(delivery, DeliveryState.UNCERTAIN, reason="reset after DATA")
    out = desk.called("uncertain")
    assert f"  {first}  to email:ann@example.org  #{number}, entry 2, mail, " in out
    assert "     reset after DATA\n     The answer\n" in out
    assert f"fernamt uncertain settle {first} --sent (or --again)" in desk.err
    assert desk.called("uncertain", "settle", str(first), "--sent") == f"Delivery {first}: sent\n"
    assert desk.called("uncertain", "settle", str(second), "--again", "--as", "tom") == f"Delivery {second}: queued\n"
    assert "No daemon works" in desk.err
    desk.called("uncertain", "settle", str(first), "--sent", code=1)
    assert "is sent. fernamt uncertain lists those to settle." in desk.err
    assert desk.json("uncertain") == []


# ---- why
def _lane(desk: Desk) -> tuple[int, int]:
    number = desk.mailed()
    answers = [desk.json("reply", str(number), text)["deliveries"][0]["number"] for text in ("first", "second")]
    return answers[0], answers[1]


def test_why_tells_what_was_tried_what_it_waits_for_and_what_to_do(desk: Desk) -> None:
    first, second = _lane(desk)
    desk.attempt(first, DeliveryState.QUEUED, reason="greylisted", code="450", after_us=DAY_US)
    out = desk.called("why", str(first))
    assert out.startswith(
        f"Delivery {first}  queued\nto email:ann@example.org, #1, entry 2, mail\nIt waits. greylisted (450)."
    )
    assert re.search(r"\nWhat happened\n  \d\d:\d\d attempt 1: Unreachable, greylisted \(450\)\n", out)
    assert "\nWhat it waits for\n  The next try is in 23 h, at " in out
    assert "  No daemon works on this store.\n" in out
    assert "\nWhat you can do\n  Start the daemon: fernamt run\n" in out
    assert f"  Delivery {first} to the same person goes first: fernamt why {first}\n" in desk.called("why", str(second))


def test_why_names_the_channel_that_is_not_up_and_the_opt_out(desk: Desk) -> None:
    first, _ = _lane(desk)
    desk.run(take, Wish(key="channel:mail", owner="somebody", lease_us=DAY_US))
    with desk.session.transaction() as tx:
        tx.do.one("UPDATE channel SET state = 'needs-login', reason = 'the password is wrong'")
        tx.do.many("insert consent", [(1, 1, desk.line.number, "", False, "customer", "STOP", 0)])
    found = desk.json("why", str(first))
    assert found["waits_for"] == [
        {"kind": "stopped", "delivery": None, "reason": "STOP"},
        {"kind": "channel", "delivery": None, "reason": "needs-login: the password is wrong"},
    ]
    assert found["next_steps"] == ["See what is wrong with the channel: fernamt channels"]
    out = desk.called("why", str(first))
    assert "The recipient opted out (STOP): it will be refused.\n" in out
    assert "mail is needs-login: the password is wrong\n" in out


WHY_STEPS = {
    DeliveryState.UNCERTAIN: "fernamt uncertain settle {0} --sent",
    DeliveryState.FAILED: "Write again, perhaps on another channel: fernamt reply 1",
    DeliveryState.SENT: "",
}


@pytest.mark.parametrize("state", WHY_STEPS)
def test_why_says_the_next_step_for_each_end(desk: Desk, state: DeliveryState) -> None:
    first, _ = _lane(desk)
    desk.attempt(first, state, reason="so it was")
    found = desk.json("why", str(first))
    assert (found["state"], found["waits_for"]) == (state, [])
    assert WHY_STEPS[state].format(first) in "".join(found["next_steps"])
    assert ("What you can do" in desk.called("why", str(first))) is bool(WHY_STEPS[state])


def test_why_of_what_does_not_exist_says_where_numbers_are(desk: Desk) -> None:
    desk.called("why", "99", code=1)
    assert "There is no delivery 99. fernamt show CONVERSATION gives the numbers." in desk.err


# ---- on a terminal
def _on_a_terminal(*words: str, columns: int) -> str:
    """Return what a command writes to a terminal of this width."""
    ours, theirs = pty.openpty()
    environ = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color"}
    environ.pop("NO_COLOR", None)
    with subprocess.Popen([sys.executable, "-m", "fernamt", *words], stdout=theirs, stderr=theirs, env=environ) as ran:
        os.close(theirs)
        written = b""
        while chunk := _read(ours):
            written += chunk
    os.close(ours)
    assert ran.returncode == 0, written
    return written.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # the other end is closed
        return b""


@pytest.mark.slow
@ON_SQLITE
@pytest.mark.parametrize("columns", [60, 120])
def test_on_a_terminal_every_line_of_the_inbox_fits_and_has_colours(desk: Desk, columns: int) -> None:
    texts = ["你好，我的订单在哪里？" * 20, "Gru\u0308\u00dfe e\u0301" * 40, "📦👩\u200d🔧🇩🇪" * 40, NASTY * 5]
    for number, text in enumerate(texts):
        desk.mailed(text, sender=Address("email", f"{number}@example.org"), subject=text, sender_name=text)
    written = _on_a_terminal("inbox", columns=columns)
    assert "\x1b[1;33mopen" in written
    plain = re.sub("\x1b\\[[0-9;]*m", "", written)
    assert not UNSAFE.search(plain)
    lines = plain.splitlines()
    assert len(lines) == len(texts) + 3
    assert {cell_len(line) for line in lines[: len(texts) + 1]} == {columns}


@pytest.mark.slow
@ON_SQLITE
def test_raw_bytes_on_a_terminal_are_made_harmless(desk: Desk) -> None:
    number = desk.take(Received(key="k", sender=ANN), raw="Grüße \x1b[2J".encode() + b"\xff")
    written = _on_a_terminal("show", str(number), "--raw", "1", columns=80)
    assert written.startswith("Grüße ␛[2J\ufffd\n")


def test_the_blob_store_of_the_commands_is_the_daemon_s(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "b").write_text("x")
    desk.called("reply", str(desk.mailed()), "text", "--attach", "b")
    assert open_blobs(desk.store).sweep() == 0


# ---- merge, split, undo
def test_conversations_are_merged_shown_as_one_and_parted_again(desk: Desk) -> None:
    lamp, broken = desk.mailed("a lamp", thread=Thread(place="a")), desk.mailed("it broke", thread=Thread(place="b"))
    made = desk.json("merge", str(broken), str(lamp))
    assert made == {"link": 1, "kind": "conversation", "source": broken, "target": lamp, "stays": 0}

    shown = desk.called("show", str(broken))
    assert f"together with #{broken}" in shown
    assert f"{broken}/1  received" in shown
    assert f"#{broken} goes on here. Taken back with: fernamt undo 1" in shown
    assert desk.called("note", str(broken), "seen") == f"Entry 3 of conversation {lamp}: note\n"
    assert len(desk.json("inbox")) == 1
    out = desk.called("undo", "1")
    assert out == (
        f"The merge of {broken} and {lamp} is taken back. Conversation {lamp} keeps the 1 entry that came to it meanwhile.\n"
    )
    assert len(desk.json("inbox")) == 2


def test_a_conversation_is_split_and_the_rest_has_a_number_of_its_own(desk: Desk) -> None:
    number = desk.mailed("a lamp")
    desk.called("note", str(number), "and a bill")
    apart = desk.json("split", str(number), "2")["target"]
    assert f"{number}/2  note" in desk.called("show", str(apart))
    assert f"this went to #{apart}" in desk.called("show", str(number))
    desk.called("split", str(number), "2", code=1)
    assert "is split at entry 2 already" in desk.err


def test_customers_are_merged_by_number_or_address(desk: Desk) -> None:
    ann, work = desk.mailed("a"), desk.mailed("b", sender=Address("phone", "+49301"))
    target = desk.json("show", str(ann))["customer_number"]
    out = desk.called("merge", "--customers", "phone:+49301", str(target))
    assert out == f"Customer {target + 1} goes on in {target}. Taken back with: fernamt undo 1\n"
    assert desk.json("show", str(work))["addresses"] == ["email:ann@example.org", "phone:+49301"]


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("merge", "1", "1"), 1, "Conversation 1 is that one: there is nothing to merge."),
        (("merge", "1", "99"), 1, "There is no conversation 99. fernamt inbox lists"),
        (("merge", "one", "2"), 2, "'one' is no number."),
        (("merge", "--customers", "email:eve@example.org", "1"), 1, "There is no customer email:eve@example.org."),
        (("split", "1", "1"), 1, "it can be split from entry 2 on"),
        (("undo", "5"), 1, "There is no link 5: fernamt show names"),
    ],
)
def test_what_cannot_be_linked_says_why(desk: Desk, words: tuple[str, ...], code: int, why: str) -> None:
    desk.mailed()
    desk.called(*words, code=code)
    assert why in desk.err


# ---- erase
def test_a_person_is_erased_after_being_asked_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    number = desk.mailed("a secret", sender_name="Ann")
    monkeypatch.setattr("sys.stdin", io.StringIO("1\n"))
    desk.called("erase", "email:ann@example.org", code=2)
    assert "say --yes" in desk.err

    out = ""
    for typed, code in (("no\n", 1), ("1\n", 0)):
        asked = io.StringIO(typed)
        asked.isatty = lambda: True  # type: ignore[method-assign]  # a stand-in for a terminal
        monkeypatch.setattr("sys.stdin", asked)
        out = desk.called("erase", "email:ann@example.org", code=code)
        assert "Customer 1, Ann, email:ann@example.org: all that they wrote goes." in desk.err
    assert out == "Erased: customer 1, 1 address, 1 entry.\n"
    shown = desk.called("show", str(number))
    assert ("secret" in shown, "Ann" in shown, "erased" in shown) == (False, False, True)


def test_what_an_erasure_did_is_told_as_json_and_its_list_is_kept(desk: Desk, tmp_path: Path) -> None:
    desk.mailed("a secret")
    told = desk.json("erase", "1", "--yes", "--list", str(tmp_path / "list"))
    assert told == {
        "customers": [1],
        "addresses": 1,
        "conversations": 1,
        "entries": 1,
        "refused": 0,
        "quarantined": 0,
        "compact": desk.store.is_sqlite,
        "files": 0,
        "files_left": 0,
        "duties": [],
        "list": str(tmp_path / "list"),
    }
    assert desk.json("erase", "--reapply", str(tmp_path / "list")) == []
    assert "There is no customer email:ann@example.org" in (desk.called("erase", str(ANN), code=1), desk.err)[1]


@pytest.mark.parametrize(
    ("words", "why"),
    [((), "Say whom to erase"), (("1", "--reapply", "x"), "Say whom to erase"), (("one", "--yes"), "is no number")],
)
def test_an_erasure_without_a_person_is_a_mistake(desk: Desk, words: tuple[str, ...], why: str) -> None:
    desk.called("erase", *words, code=2)
    assert why in desk.err


def test_what_is_no_erase_list_is_refused(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"\xff\xfe what is this")
    desk.called("erase", "--reapply", str(tmp_path / "list"), code=1)
    assert "is no erase list" in desk.err
