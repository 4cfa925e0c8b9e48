"""What people write: an entry, a delivery for each recipient, and a sentence with the next step where it cannot be."""

from collections.abc import Iterator
from typing import Any

import pytest

from fernamt._store.desk import Composed, Composition, NoSuchThing, compose
from fernamt._store.engine import Store
from fernamt._store.names import Names
from fernamt._store.reception import Line, Reception, Submission
from fernamt._store.verdicts import release
from fernamt.inbound import Received, Thread, Unparsed
from fernamt.model import Address, Attachment, Blob

ANN, BOB, EVE = (Address("email", f"{name}@example.org") for name in ("ann", "bob", "eve"))
MAIL, CHAT = Line(number=1, id="mail"), Line(number=2, id="chat")


class Desk:
    """A store in which Ann wrote by mail (conversation 1) and Bob by chat (conversation 2)."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.session = store.session()
        reception = Reception(Names(store.keys()))
        letter = Received(key="m1", sender=ANN, text="?", thread=Thread(place="m1"))
        with self.session.transaction() as tx:
            for one in (MAIL, CHAT):
                tx.do.one("INSERT INTO channel VALUES (?, ?, 'fake', '', 'up', '', 0)", (one.number, one.id))
            reception(tx, [Submission(line=MAIL, events=(letter,))])
            reception(tx, [Submission(line=CHAT, events=(Received(key="c1", sender=BOB, text="!"),))])
            reception(tx, [Submission(line=MAIL, events=(Unparsed(key="u1", reason="what is this"),))])

    def run(self, operation: Any, *payloads: Any) -> list[Any]:
        with self.session.transaction() as tx:
            return list(operation(tx, payloads))

    def write(self, conversation: int = 1, kind: str = "sent", **more: Any) -> Any:
        written = Composition(conversation=conversation, kind=kind, author="agent:maria", **more)
        return self.run(compose, written)[0]

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self.store.read() as connection:
            return [tuple(row) for row in self.store.statements(connection).rows(sql, values)]

    def recipients(self, composed: Composed) -> list[tuple[str, int]]:
        return [
            (handle.partition(":")[2].partition("@")[0], channel)
            for number in composed.deliveries
            for handle, channel in self.rows(
                "SELECT a.handle, d.channel FROM delivery d JOIN address a ON a.id = d.address WHERE d.id = ?", number
            )
        ]


@pytest.fixture
def desk(store: Store) -> Iterator[Desk]:
    desk = Desk(store)
    yield desk
    desk.session.close()


def test_an_answer_goes_where_it_is_meant_to(desk: Desk) -> None:
    cases: list[tuple[dict[str, Any], list[tuple[str, int]]]] = [
        ({"conversation": 1}, [("ann", 1)]),
        ({"conversation": 2}, [("bob", 2)]),
        ({"to": (EVE,)}, [("eve", 1)]),
        ({"to": (EVE, BOB)}, [("eve", 1), ("bob", 1)]),
        ({"cc": (BOB,)}, [("ann", 1), ("bob", 1)]),
        ({"cc": (ANN, BOB, BOB)}, [("ann", 1), ("bob", 1)]),  # nobody gets it twice
        ({"to": (ANN, ANN), "cc": (ANN,)}, [("ann", 1)]),
        ({"channel": "chat"}, [("ann", 2)]),
    ]
    assert [desk.recipients(desk.write(**words)) for words, _ in cases] == [wanted for _, wanted in cases]
    assert desk.rows("SELECT count(*) FROM address") == [(3,)]


def test_an_answer_follows_the_customer_to_the_channel_where_they_wrote_last(desk: Desk) -> None:
    token = Names(desk.store.keys()).reply_token(1)
    event = Received(key="c2", sender=BOB, text="hier geht es weiter", thread=Thread(token=token))
    desk.run(Reception(Names(desk.store.keys())), Submission(line=CHAT, events=(event,)))
    assert desk.recipients(desk.write()) == [("bob", 2)]


IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    ({"conversation": 99}, "There is no conversation 99. fernamt inbox lists them."),
    ({"conversation": 99, "kind": "note"}, "There is no conversation 99. fernamt inbox lists them."),
    ({"channel": "fax"}, "There is no channel 'fax'. fernamt channels lists them."),
]


def test_what_cannot_be_written_says_the_next_step_and_leaves_nothing(desk: Desk) -> None:
    before = desk.rows("SELECT count(*), max(id) FROM entry")
    for words, sentence in IMPOSSIBLE:
        refused = desk.write(**words)
        assert isinstance(refused, NoSuchThing)
        assert str(refused) == sentence
    assert desk.rows("SELECT count(*), max(id) FROM entry") == before
    assert desk.rows("SELECT last_n FROM conversation ORDER BY id") == [(1,), (1,)]


def test_one_that_cannot_be_written_does_not_hinder_its_neighbours(desk: Desk) -> None:
    written = [Composition(conversation=number, kind="note", author="agent:maria") for number in (1, 99, 1, 2)]
    results = desk.run(compose, *written)
    assert [one.n if isinstance(one, Composed) else None for one in results] == [2, None, 3, 2]
    assert desk.rows("SELECT conversation, n FROM entry ORDER BY conversation, n") == [
        (1, 1),
        (1, 2),
        (1, 3),
        (2, 1),
        (2, 2),
    ]


@pytest.mark.parametrize("kind", ["note", "solved", "reopened", "csat.answer"])
def test_only_an_answer_is_delivered(desk: Desk, kind: str) -> None:
    composed = desk.write(kind=kind, text="hm")
    assert (composed.n, composed.deliveries) == (2, ())
    assert desk.rows("SELECT kind, author, channel FROM entry WHERE n = 2") == [(kind, None, None)]
    assert desk.rows("SELECT author, text FROM content WHERE author IS NOT NULL") == [("agent:maria", "hm")]


def test_an_attachment_is_named_and_its_blob_referred_to(desk: Desk) -> None:
    blob = Blob("cd" * 32, 3)
    desk.write(attachments=(Attachment(name="Vertrag.pdf", media_type="application/pdf", content=blob),))
    [(entry,)] = desk.rows("SELECT id FROM entry WHERE kind = 'sent'")
    assert desk.rows("SELECT digest, owner FROM blob_ref") == [(blob.digest, f"entry:{entry}")]


def test_what_is_written_moves_its_conversation_up(desk: Desk) -> None:
    desk.write(conversation=1, kind="note")
    assert desk.rows("SELECT id FROM conversation ORDER BY last_entry DESC") == [(1,), (2,)]
    desk.write(conversation=2, kind="note")
    assert desk.rows("SELECT id FROM conversation ORDER BY last_entry DESC") == [(2,), (1,)]


def test_what_is_quarantined_is_released_once_and_its_bytes_stay(desk: Desk) -> None:
    assert desk.run(release, 1) == [None]
    again, nothing = desk.run(release, 1, 7)
    assert "nothing open under 1" in str(again)
    assert "nothing open under 7" in str(nothing)
    assert desk.rows("SELECT count(*) FROM quarantine WHERE settled_at IS NOT NULL") == [(1,)]
