"""Export: everything of a person, nothing of anybody else. On both engines."""

import json
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fernamt._store.desk import Composition, compose
from fernamt._store.engine import Store
from fernamt._store.links import Merge, merge
from fernamt._store.reception import Submission
from fernamt._store.views import export as pages
from fernamt.cli import main
from fernamt.cli.content import put
from fernamt.inbound import Consent, Received, Thread
from fernamt.model import Address, Attachment

from .stage import Bare

ANN, MOBILE = Address("email", "ann@example.org"), Address("phone", "+49301")
BOB = Address("email", "bob@example.org")


class Desk(Bare):
    """A store with one channel, and the command line in front of it."""

    def __init__(self, store: Store, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        super().__init__(store)
        self.folder = folder
        self.capsys = capsys
        self.line = self.channel("mail")

    def take(self, *events: Any, raw: bytes = b"raw") -> list[int]:
        accepted = self.run(self.reception, Submission(line=self.line, events=events, raw=raw))
        return [int(one.conversation or 0) for one in accepted]

    def mailed(self, text: str, sender: Address = ANN, **more: Any) -> int:
        raw = more.pop("raw", f"raw {text}".encode())
        [number] = self.take(Received(key=text, id=f"<{text}>", sender=sender, text=text, **more), raw=raw)
        return number

    def write(self, conversation: int, text: str, **more: Any) -> None:
        more.setdefault("kind", "sent")
        self.run(compose, Composition(conversation=conversation, author="agent:maria", text=text, **more))

    def exported(self, target: str, *words: str, code: int = 0) -> str:
        self.capsys.readouterr()
        ended = main(["export", "email:ann@example.org", "--to", target, *words])
        out, err = self.capsys.readouterr()
        assert ended == code, (out, err)
        return out if code == 0 else err


@pytest.fixture
def desk(
    store: Store, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Desk]:
    (tmp_path / "fernamt.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FERNAMT_STORE", store_url)
    desk = Desk(store, tmp_path, capsys)
    with closing(desk.session):
        yield desk


def filled(desk: Desk) -> tuple[int, int]:
    (desk.folder / "bill.pdf").write_bytes(b"a bill" * 20_000)
    file = put(desk.store, desk.folder / "bill.pdf")
    odd = Attachment(name="../../e vil\x00.pdf", media_type="application/pdf", content=file.content)
    own = desk.mailed("a lamp", sender_name="Ann", attachments=(odd,))
    desk.write(own, "which one?")
    desk.write(own, "a note", kind="note")
    desk.mailed("by telephone", MOBILE)
    bobs = desk.mailed("Bob's question", BOB, cc=(ANN,))
    thread = Thread(place="x", references=("<Bob's question>",))
    assert desk.mailed("Ann to Bob", thread=thread) == bobs
    desk.write(bobs, "to both", to=(BOB, ANN))
    desk.write(bobs, "Bob alone", to=(BOB,))
    desk.take(Consent(key="c", address=ANN, allowed=False))
    with desk.session.transaction() as tx:
        mobile, ann = (tx.do.addresses([str(one)])[str(one)][1] for one in (MOBILE, ANN))
    desk.run(merge, Merge(source=mobile, target=ann, by="agent:maria", customers=True))
    return own, bobs


def test_everything_of_a_person_over_all_addresses_is_written_and_nothing_of_others(desk: Desk) -> None:
    own, bobs = filled(desk)
    told = json.loads(desk.exported("ann", "--json"))
    folder = desk.folder / "ann"

    assert told["customer"] == 1
    assert (told["conversations"], told["participations"]) == ([own, own + 1], [bobs])
    person = json.loads((folder / "customer.json").read_text())
    assert [one["handle"] for one in person["addresses"]] == [str(ANN), str(MOBILE)]
    assert [(one["handle"], one["channel"], one["allowed"]) for one in person["consents"]] == [
        (str(ANN), "mail", False)
    ]
    assert [one["kind"] for one in person["links"]] == ["customer"]

    conversation = json.loads((folder / "conversations" / f"{own}.json").read_text())
    assert [entry["text"] for entry in conversation["entries"]] == ["a lamp", "which one?", "a note"]
    first = conversation["entries"][0]
    assert (folder / first["raw"]).read_bytes() == b"raw a lamp"
    [attachment] = first["attachments"]
    assert attachment["file"] == f"attachments/{own}-1-1-.._.._e_vil_.pdf"
    assert (folder / attachment["file"]).read_bytes() == b"a bill" * 20_000

    shared = json.loads((folder / "participations" / f"{bobs}.json").read_text())
    assert [entry["text"] for entry in shared["entries"]] == ["Ann to Bob", "to both"]
    assert [one["to"] for one in shared["entries"][1]["deliveries"]] == [str(ANN)]
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"Bob alone" not in everything
    assert b"Bob's question" not in everything
    assert all(path.stat().st_mode & 0o077 == 0 for path in [folder, *folder.rglob("*")])


def test_a_zip_file_holds_the_same(desk: Desk) -> None:
    filled(desk)
    desk.exported("ann")
    out = desk.exported("ann.zip")
    assert out == "ann.zip: customer 1, 6 entries, 3 files\n"
    with zipfile.ZipFile(desk.folder / "ann.zip") as archive:
        inside = {name: archive.read(name) for name in archive.namelist()}
    outside = {
        str(path.relative_to(desk.folder / "ann")): path.read_bytes()
        for path in (desk.folder / "ann").rglob("*")
        if path.is_file()
    }
    for kept in (inside, outside):
        kept["customer.json"] = kept["customer.json"].partition(b'"exported_at"')[0]
    assert inside == outside


def test_bytes_in_which_others_messages_stand_are_left_out(desk: Desk) -> None:
    events = [Received(key=str(one), sender=one, text=f"hello from {one.scheme}") for one in (ANN, BOB)]
    own, _ = desk.take(*events, raw=b"both")
    desk.exported("ann")
    [entry] = json.loads((desk.folder / "ann" / "conversations" / f"{own}.json").read_text())["entries"]
    assert (entry["raw"], entry["has_raw"]) == (None, True)
    assert not (desk.folder / "ann" / "raw").exists()


def test_a_long_conversation_is_written_page_by_page(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    own = desk.mailed("a lamp")
    for at in range(6):
        desk.write(own, f"note {at}", kind="note")
    monkeypatch.setattr(pages, "_PAGE", 3)
    desk.exported("ann")
    entries = json.loads((desk.folder / "ann" / "conversations" / f"{own}.json").read_text())["entries"]
    assert [entry["n"] for entry in entries] == [1, 2, 3, 4, 5, 6, 7]


def test_an_export_that_breaks_off_leaves_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.mailed("a lamp")

    def broken(*_values: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fernamt.cli.content.pour", broken)
    for target in ("ann", "ann.zip"):
        assert "No space left" in desk.exported(target, code=1)
    assert sorted(path.name for path in desk.folder.iterdir() if path.name.startswith("ann")) == []


def test_what_is_there_already_is_not_written_over(desk: Desk) -> None:
    desk.mailed("a lamp")
    (desk.folder / "ann").mkdir()
    assert "is there already" in desk.exported("ann", code=1)


def test_a_plugin_that_cannot_give_what_it_keeps_is_named(desk: Desk) -> None:
    desk.mailed("a lamp")
    (desk.folder / "fernamt.toml").write_text('[plugins]\nenabled = ["nobody"]\n')
    assert "Plugin nobody is missing from it" in desk.exported("ann", code=1)
    assert [*json.loads((desk.folder / "ann" / "customer.json").read_text())["failed_plugins"]] == ["nobody"]
