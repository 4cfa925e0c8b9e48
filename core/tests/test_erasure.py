"""Erasure: what it takes, what it leaves, and that it is done again where a backup brings somebody back. On both engines."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from fernamt._runtime.clock import SystemClock
from fernamt._store.blobs import open_blobs
from fernamt._store.claims import Wish, take
from fernamt._store.correspondence import Prepared, prepare
from fernamt._store.deliveries import Attempt, Beginning, Result, begin, finish, open_deliveries
from fernamt._store.desk import Composition, compose
from fernamt._store.engine import Store
from fernamt._store.erasure import Erased, _Erasure, came_back, erase, list_beside, read_list, reapply, write_list
from fernamt._store.links import Merge, merge
from fernamt._store.reception import Submission
from fernamt._store.views.conversation import ConversationView, conversation_view
from fernamt.inbound import Consent, Received, Thread, Unparsed
from fernamt.model import Address, Attachment, Blob, DeliveryState

from .stage import Bare

ANN = Address("email", "ann.jackdaw@example.org")
ANN_MOBILE = Address("phone", "+4915788123456")
BOB = Address("email", "bob@example.org")
SECRETS = ("jackdaw", "15788123456", "Wagtail", "kingfisher", "nightjar", "dunnock", "whinchat")
"""Ann's name, her addresses, and words of hers, of ours to her, of a provider's about her."""


class Desk(Bare):
    """A store in which Ann and Bob wrote."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.mail = self.channel("mail")

    def take(self, *events: Any, raw: bytes | Blob = b"raw") -> int:
        accepted = self.run(self.reception, Submission(line=self.mail, events=events, raw=raw))
        return int(accepted[-1].conversation or 0)

    def mailed(self, text: str, sender: Address = ANN, **more: Any) -> int:
        raw = more.pop("raw", f"raw of {text}".encode())
        more.setdefault("thread", Thread(place=f"place of {sender.value}"))
        return self.take(Received(key=text, id=f"<{text}>", sender=sender, text=text, **more), raw=raw)

    def write(self, conversation: int, text: str, **more: Any) -> tuple[int, ...]:
        more.setdefault("kind", "sent")
        composition = Composition(conversation=conversation, author="agent:maria", text=text, **more)
        numbers: tuple[int, ...] = self.run(compose, composition).deliveries
        return numbers

    def sent(self, delivery: int, reason: str, state: DeliveryState = DeliveryState.FAILED) -> None:
        with self.store.read() as connection:
            [one] = [
                one
                for one in open_deliveries(self.store.statements(connection), self.mail.number, 100)
                if one.id == delivery
            ]
        claim = self.run(take, Wish(key=f"t{delivery}", owner="t", lease_us=1))
        assert self.run(begin, Beginning(claim=claim, channel=self.mail.number, attempts=[Attempt(one)]))
        end = Result(channel=self.mail.number, delivery=delivery, n=1, state=state, outcome="x", reason=reason)
        self.run(finish, [end])

    def stopped(self, delivery: int) -> str:
        """Return why a delivery would not be sent now."""
        with self.store.read() as connection:
            do = self.store.statements(connection)
            found = prepare(do, self.names, self.mail.number, open_deliveries(do, self.mail.number, 100))[delivery]
        assert isinstance(found, Prepared), found
        return found.stopped

    def view(self, number: int) -> ConversationView:
        with self.store.read() as connection:
            found = conversation_view(connection, number)
        assert found is not None
        return found

    def erase(self, conversation: int, **more: Any) -> Erased:
        return erase(self.store, self.view(conversation).customer_number, plugins=(), **more)

    def dump(self) -> bytes:
        """Return all bytes of the database: its files, or what PostgreSQL dumps."""
        if self.store.is_sqlite:
            path = Path(str(self.store.url.database))
            return b"".join(one.read_bytes() for one in sorted(path.parent.glob(f"{path.name}*")) if one.is_file())
        tables = self.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        return b"\n".join(
            str(self.rows(f"SELECT * FROM {name}")).encode()
            + b"".join(
                bytes(value)
                for row in self.rows(f"SELECT * FROM {name}")
                for value in row
                if isinstance(value, bytes | memoryview)
            )
            for (name,) in tables
        )


@pytest.fixture
def desk(store: Store) -> Iterator[Desk]:
    desk = Desk(store)
    with closing(desk.session):
        yield desk


async def _chunks(content: bytes) -> AsyncIterator[bytes]:
    yield content


def put(store: Store, content: bytes) -> Blob:
    return asyncio.run(open_blobs(store).put(_chunks(content), max_bytes=10_000_000))


def filled(desk: Desk) -> tuple[int, int]:
    """Let Ann write on two addresses, get answers, and take part with Bob; return her conversation and his."""
    file = put(desk.store, b"whinchat" * 20_000)
    attachment = Attachment(name="nightjar.pdf", media_type="application/pdf", content=file)
    own = desk.mailed(
        "kingfisher", sender_name="Wagtail", subject="dunnock", html="<b>kingfisher</b>", attachments=(attachment,)
    )
    desk.mailed("kingfisher on the telephone", ANN_MOBILE, raw=put(desk.store, b"kingfisher" * 20_000))
    [answer] = desk.write(own, "dear Wagtail, nightjar")
    desk.sent(answer, "550 jackdaw is unknown here")
    [uncertain] = desk.write(own, "nightjar again")
    desk.sent(uncertain, "reset while dunnock", DeliveryState.UNCERTAIN)
    desk.write(own, "a note about whinchat", kind="note")
    shared = desk.mailed("Bob's question", BOB, cc=(ANN,))
    thread = Thread(place="x", references=("<Bob's question>",))
    assert desk.mailed("kingfisher in Bob's", ANN, sender_name="Wagtail", thread=thread) == shared
    desk.mailed("Bob again", BOB)
    desk.take(Unparsed(key="u", reason="what is jackdaw", raw=b'{"from": "ann.jackdaw@example.org"'))
    with desk.session.transaction() as tx:
        mobile = tx.do.addresses([str(ANN_MOBILE)])[str(ANN_MOBILE)]
        owner = tx.do.addresses([str(ANN)])[str(ANN)]
        tx.do.one("INSERT INTO position VALUES ('p.s', ?, 1, ?)", (own, '{"said": "kingfisher"}'))
        tx.do.one(
            "INSERT INTO task (id, owner, kind, key, conversation, data, tries, reason, since)"
            " VALUES (1, 'work:p', 'job', 'job:1', ?, '\"kingfisher\"', 0, 'dunnock', 0)",
            (own,),
        )
        tx.do.one(
            "INSERT INTO early_receipt (id, hash, address, state, at, reason, code, opted_out)"
            " VALUES (1, ?, ?, 'sent', 0, 'dunnock', '', ?)",
            (b"x", str(ANN), False),
        )
    desk.run(merge, Merge(source=mobile[1], target=owner[1], by="agent:maria", customers=True))
    return own, shared


def grown_old(desk: Desk) -> None:
    """Let all blobs be as old as they may be."""
    if desk.store.folder is None:
        desk.sql("UPDATE blob_chunk SET stored_at = 0")
        return
    for path in desk.store.folder.glob("*.blobs/*/*"):
        os.utime(path, (0, 0))


def test_no_word_and_no_identifier_of_an_erased_person_is_left_in_the_database(desk: Desk) -> None:
    own, shared = filled(desk)
    before = desk.dump()
    assert [word for word in SECRETS if word.encode() not in before] == []

    done = desk.erase(own)

    assert (done.addresses, done.conversations, done.refused, done.quarantined) == (2, 2, 0, 1)
    assert done.compact is desk.store.is_sqlite
    grown_old(desk)
    open_blobs(desk.store).sweep(done.digests)
    after = desk.dump()
    assert [word for word in SECRETS if word.encode() in after] == []
    assert b"Bob again" in after
    assert desk.view(shared).entries[0].text == "Bob's question"


def test_the_skeleton_of_what_was_erased_stays_and_can_be_read(desk: Desk) -> None:
    own, shared = filled(desk)
    before, bobs = desk.view(own), desk.view(shared)
    desk.erase(own)

    view = desk.view(own)
    assert [(e.n, e.kind, e.at, e.channel) for e in view.entries] == [
        (e.n, e.kind, e.at, e.channel) for e in before.entries
    ]
    assert {e.text for e in view.entries} == {""}
    assert [e.author for e in view.entries] == ["erased", "agent:maria", "agent:maria", "agent:maria"]
    assert (view.customer, view.addresses, view.state) == ("", (), before.state)
    assert [one.to for entry in view.entries for one in entry.deliveries] == [None, None]
    assert not any(entry.has_raw or entry.attachments or entry.data or entry.provider_id for entry in view.entries)
    # Of others' conversations it takes what the person wrote, and the names that others gave it.
    view = desk.view(shared)
    assert [entry.text for entry in view.entries] == ["Bob's question", "", "Bob again"]
    assert (view.customer_number, view.addresses) == (bobs.customer_number, (BOB,))
    assert view.entries[0].data == {"cc": [desk.names.erased_mark(str(ANN))]}


def test_what_was_to_go_to_them_is_refused_and_an_attempt_under_way_is_not_repeated(desk: Desk) -> None:
    own = desk.mailed("kingfisher")
    [waits] = desk.write(own, "nightjar")
    bobs = desk.mailed("hello", BOB)
    [to_bob] = desk.write(bobs, "hello Bob")

    assert desk.erase(own).refused == 1
    states = dict(desk.rows("SELECT id, state FROM delivery"))
    assert states == {waits: "refused", to_bob: "queued"}
    [reason] = desk.rows("SELECT reason FROM delivery WHERE id = ?", waits)
    assert reason == ("it was erased before it was sent",)


def test_whoever_writes_again_after_an_erasure_is_somebody_new_and_a_repeat_is_still_one(desk: Desk) -> None:
    own = desk.mailed("kingfisher")
    desk.erase(own)

    again = desk.mailed("hello again")
    assert again != own
    assert desk.view(again).customer_number != desk.view(own).customer_number
    [known] = desk.rows("SELECT count(*) FROM known")
    desk.mailed("kingfisher")
    assert desk.rows("SELECT count(*) FROM known") == [known]
    assert [entry.text for entry in desk.view(again).entries] == ["hello again"]


def test_a_room_that_an_erased_person_began_begins_anew_for_the_others(desk: Desk) -> None:
    room, other = (Thread(place=f"kingfisher's {what}", shared=True) for what in ("room", "other room"))
    began = desk.mailed("kingfisher", ANN, thread=room)
    assert desk.mailed("yes", BOB, thread=room) == began
    guest = desk.mailed("hello", BOB, thread=other)
    assert desk.mailed("kingfisher again", ANN, thread=other) == guest

    desk.erase(began)

    assert "kingfisher" not in str(desk.rows("SELECT place FROM thread WHERE conversation = ?", began))
    assert desk.mailed("anybody?", BOB, thread=room) not in (began, guest)
    assert desk.mailed("still here", BOB, thread=other) == guest


def test_an_erasure_that_broke_off_is_finished_by_doing_it_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    own, _ = filled(desk)
    number = desk.view(own).customer_number
    wiped = "fernamt._store.erasure._Erasure._wipe"

    with monkeypatch.context() as patch:
        whole = _Erasure._wipe

        def broken(self: Any, conversation: int, authors: Any) -> None:
            if not authors:
                raise ConnectionError
            whole(self, conversation, authors)

        patch.setattr(wiped, broken)
        with pytest.raises(ConnectionError):
            erase(desk.store, number, plugins=("crm",))
    assert desk.view(own).addresses == ()
    erase(desk.store, number, plugins=("crm",))
    with desk.session.transaction() as tx:
        duties = tx.do.rows("SELECT owner, kind, data FROM task")
        tx.do.one("DELETE FROM task")
    [(owner, kind, data)] = duties
    assert (owner, kind) == ("work:crm", "duty")
    assert orjson.loads(data) == {"customer": str(number), "addresses": [str(ANN), str(ANN_MOBILE)]}
    erase(desk.store, number, plugins=())
    grown_old(desk)
    open_blobs(desk.store).sweep()
    after = desk.dump()
    assert [word for word in SECRETS if word.encode() in after] == []


def test_blobs_that_nothing_else_names_go_with_them(desk: Desk) -> None:
    hers, shared = put(desk.store, b"her picture" * 10_000), put(desk.store, b"a leaflet" * 10_000)
    files = [Attachment(name="a", media_type="image/png", content=one) for one in (hers, shared)]
    own = desk.mailed("two files", attachments=tuple(files))
    desk.mailed("the leaflet", BOB, attachments=(files[1],))
    done = desk.erase(own)
    blobs = open_blobs(desk.store)

    assert set(done.digests) == {hers.digest, shared.digest}
    assert blobs.sweep(done.digests) == 0  # too young: somebody may be about to name them
    grown_old(desk)
    assert blobs.sweep(done.digests) == 1

    async def read(blob: Blob) -> bytes:
        return b"".join([chunk async for chunk in blobs.open(blob)])

    assert asyncio.run(read(shared)) == b"a leaflet" * 10_000
    with pytest.raises(FileNotFoundError):
        asyncio.run(read(hers))


def test_a_thousand_strangers_leave_no_trace_of_the_one_who_is_erased(desk: Desk) -> None:
    """The pages of an index are split and filled anew: what stood there before must not stand in their free places."""
    for start in range(0, 1000, 100):
        events = [
            Received(
                key=f"{n}", sender=Address("email", f"{n * 7919 % 1000:03}-redstart@example.org"), text=f"wryneck{n:04}"
            )
            for n in range(start, start + 100)
        ]
        desk.take(*events)
    [(customer, conversation)] = desk.rows(
        "SELECT a.customer, c.id FROM address a JOIN conversation c ON c.customer = a.customer WHERE a.handle = ?",
        "email:500-redstart@example.org",
    )
    del customer
    [(text,)] = [(entry.text,) for entry in desk.view(conversation).entries]
    desk.erase(conversation)

    after = desk.dump()
    assert (b"500-redstart" in after, text.encode() in after) == (False, False)
    assert b"499-redstart" in after


# ---- the lists
def test_whoever_a_backup_brings_back_is_erased_again(desk: Desk, tmp_path: Path) -> None:
    own, bobs = desk.mailed("kingfisher"), desk.mailed("hello", BOB)
    kept = copy_of(desk, tmp_path)
    done = desk.erase(own)
    path = tmp_path / "erased.txt"
    assert write_list(path, desk.store) == done.addresses
    assert path.stat().st_mode & 0o777 == 0o600
    assert ANN.value not in path.read_text()
    later = desk.mailed("hello again")
    assert reapply(desk.store, path, plugins=()) == []

    back = restored(desk, kept)
    assert [entry.text for entry in back.view(own).entries] == ["kingfisher"]
    assert len(came_back(back.store, read_list(path))) == 1
    [again] = reapply(back.store, path, plugins=())
    assert again.conversations == 1
    assert [entry.text for entry in back.view(own).entries] == [""]
    assert [entry.text for entry in back.view(bobs).entries] == ["hello"]
    assert reapply(back.store, path, plugins=()) == []
    back.session.close()
    back.store.close()
    del later


def copy_of(desk: Desk, folder: Path) -> Path:
    """Return a backup: a copy of the file, or a dump."""
    path = folder / "backup"
    if desk.store.is_sqlite:
        assert desk.store.truncate_log()
        shutil.copy(str(desk.store.url.database), path)
    else:
        tables = ("customer", "address", "conversation", "entry", "content", "thread", "known")
        with desk.session.transaction() as tx:
            path.write_bytes(orjson.dumps(dict.fromkeys(tables, 0)))
            for name in tables:
                tx.do.one(f"CREATE TABLE kept_{name} AS SELECT * FROM {name}")
    return path


def restored(desk: Desk, backup: Path) -> Desk:
    desk.session.close()
    if desk.store.is_sqlite:
        desk.store.close()
        path = Path(str(desk.store.url.database))
        for one in path.parent.glob(f"{path.name}*"):
            one.unlink()
        shutil.copy(backup, path)
        return Desk(Store.open(str(desk.store.url), SystemClock()))
    with closing(desk.store.session()) as session, session.transaction() as tx:
        tx.do.one("DELETE FROM erased")
        for name in orjson.loads(backup.read_bytes()):
            tx.do.one(f"DELETE FROM {name}")
            tx.do.one(f"INSERT INTO {name} SELECT * FROM kept_{name}")
            tx.do.one(f"DROP TABLE kept_{name}")
    return Desk(Store.open(desk.store.url.render_as_string(hide_password=False), SystemClock()))


def test_a_list_keeps_what_only_it_knows(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text(f"{'ab' * 16} 5\n")
    desk.erase(desk.mailed("kingfisher"))
    assert write_list(path, desk.store) == 2
    assert read_list(path)[b"\xab" * 16] == 5
    path.write_text("what is this\n")
    with pytest.raises(ValueError, match="int"):
        read_list(path)


def test_a_list_lies_beside_a_database_that_is_a_file(desk: Desk) -> None:
    beside = list_beside(desk.store)
    assert (beside and beside.name) == ("fernamt.db.erased" if desk.store.is_sqlite else None)


def test_a_stop_outlives_every_erasure(desk: Desk) -> None:
    """Twice erased, with a stop given the first time: the mark that is looked for carries it."""
    for text in ("first", "second"):
        number = desk.mailed(text)
        if text == "first":
            desk.take(Consent(key="c", address=ANN, allowed=False))
        desk.erase(number)
    [stop] = desk.rows(
        "SELECT k.allowed, k.evidence FROM consent k JOIN address a ON a.id = k.address WHERE a.handle = ?",
        desk.names.erased_mark(str(ANN)),
    )
    assert (bool(stop[0]), stop[1]) == (False, "before the erasure")

    bobs = desk.mailed("hello", BOB)
    [to_ann] = desk.write(bobs, "an offer", to=(ANN,))
    assert desk.stopped(to_ann) == "the recipient opted out (before the erasure)"
    desk.take(Consent(key="d", address=ANN, allowed=True))
    assert desk.stopped(to_ann) == ""


def test_nothing_is_sent_to_whoever_was_erased_while_it_was_on_its_way(desk: Desk) -> None:
    own, bobs = desk.mailed("kingfisher"), desk.mailed("hello", BOB)
    [to_ann] = desk.write(own, "nightjar")
    [to_bob] = desk.write(own, "nightjar", to=(BOB,))
    [bobs_own] = desk.write(bobs, "hello Bob")
    desk.sql("UPDATE delivery SET state = 'sending'")
    desk.erase(own)
    desk.sql("UPDATE delivery SET state = 'queued'")  # as after a try that did not happen
    assert desk.stopped(to_ann) == "the recipient was erased"
    assert desk.stopped(to_bob) == "its words were erased"
    assert desk.stopped(bobs_own) == ""
