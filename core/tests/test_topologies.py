"""The same life on SQLite, on PostgreSQL, and on PostgreSQL with two runners ends in the same store."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from fernamt._runtime import log, outbox, outcome
from fernamt._runtime.redact import Redactor
from fernamt._store.desk import Composition, compose
from fernamt._store.verdicts import Verdict, decide
from fernamt.app import App
from fernamt.model import ChannelId
from fernamt.settings import ChannelSection, Settings

# A stranger's line: its provider posts events as JSON, and answers a message as its text says.
PLUGIN = """
import json
from attrs import frozen
from fernamt import (Address, Capabilities, Changed, Consent, DeliveryState, Ignored, OptedOut, Part, Receipt, Received, Rejected, Renamed,
    Sent, Thread, Throttled, Unparsable, Unparsed, Unreachable, Webhook, hookimpl)

TRIED = {}

@frozen
class NoKeys: ...

class Line:
    def __init__(self, channel, context): ...

    def capabilities(self):
        return Capabilities(in_flight=4, opt_out_words=True)

    def webhooks(self):
        return [Webhook(path="hook", verify=lambda request: None, parse=self.read)]

    def read(self, request):
        try:
            return [self.event(**one) for one in json.loads(request.body)]
        except ValueError as why:
            raise Unparsable("no JSON") from why

    def event(self, kind, **words):
        for name in ("sender", "address", "old", "new"):
            if name in words:
                words[name] = Address("phone", words[name])
        if "refs" in words:
            words["thread"] = Thread(references=tuple(words.pop("refs")))
        if "part" in words:
            words["part"] = Part(**words["part"])
        if "state" in words:
            words["state"] = DeliveryState(words["state"])
        kinds = dict(received=Received, changed=Changed, receipt=Receipt, consent=Consent, renamed=Renamed, unparsed=Unparsed)
        if kind == "ignored":
            return Ignored(**words)
        return kinds[kind](**words) if kind != "changed" else Changed(kind="edited", **words)

    async def send(self, message):
        tried = TRIED[message.key] = TRIED.get(message.key, 0) + 1
        errors = {
            "rejected": Rejected("no such number", code="404"),
            "opted out": OptedOut("STOP"),
            "lost": Unreachable("reset", certain=False),
            "throttled once": Throttled("slowly", after_s=0.0),
            "away once": Unreachable("refused", certain=True),
        }
        why = errors.get(message.text)
        if why is not None and (tried == 1 or "once" not in message.text):
            raise why
        return Sent(ids=("p-" + message.text,))

@hookimpl
def fernamt_register(registry):
    registry.connector("topo", settings=NoKeys, factory=Line, about="a line")
"""
ANN, BOB, EVE = "+49301", "+49302", "+49303"


def received(key: str, sender: str, **more: Any) -> dict[str, Any]:
    return {"kind": "received", "key": key, "id": key, "sender": sender, "text": key, **more}


class Runners:
    """One or two daemons on one store, and everybody outside."""

    def __init__(self, apps: Sequence[App]) -> None:
        self.apps = list(apps)
        self.turn = 0

    @property
    def app(self) -> App:
        """The one whose turn it is: whatever comes in goes to one, then to the other."""
        self.turn += 1
        return self.apps[self.turn % len(self.apps)]

    async def post(self, *events: dict[str, Any], body: bytes = b"", status: int = 200) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"http://127.0.0.1:{self.app.port}/in/line/hook", data=body or orjson.dumps(list(events))
            ) as answer,
        ):
            assert answer.status == status

    async def reply(self, customer: str, text: str, **more: Any) -> int:
        """Write to a customer and return the delivery, as soon as it is at rest."""
        [(conversation,)] = self.rows(
            "SELECT max(v.id) FROM conversation v JOIN entry e ON e.conversation = v.id JOIN address a ON a.id = e.author"
            " WHERE a.handle = ?",
            f"phone:{customer}",
        )
        written = Composition(conversation=conversation, kind="sent", author="agent:maria", text=text, **more)
        composed = await self.app._writer.write(compose, written)
        assert not isinstance(composed, Exception)
        await self.rest()
        return composed.deliveries[0]

    async def rest(self) -> None:
        while self.rows("SELECT 1 FROM delivery WHERE state IN ('queued', 'sending')"):
            await asyncio.sleep(0.005)

    async def settle(self, delivery: int, *, sent: bool) -> None:
        state = await self.app._writer.write(decide, Verdict(delivery=delivery, sent=sent, by="maria"))
        assert not isinstance(state, Exception)
        await self.rest()

    async def change(self, sql: str) -> None:
        await self.app._writer.write(lambda tx, payloads: [tx.do.one(sql) for _ in payloads], None)

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self.apps[0]._store.read() as connection:
            return [tuple(row) for row in self.apps[0]._store.statements(connection).rows(sql, values)]

    def told(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return all that the store says of it, without numbers and times."""
        who = "JOIN customer p ON p.id = v.customer JOIN address a ON a.customer = p.id"
        return {
            "entries": self.rows(
                f"SELECT a.handle, e.n, e.kind, c.text FROM entry e JOIN content c ON c.entry = e.id"
                f" JOIN conversation v ON v.id = e.conversation {who} ORDER BY a.handle, v.id, e.n"
            ),
            "conversations": self.rows(
                f"SELECT a.handle, v.state, v.last_n FROM conversation v {who} ORDER BY 1, v.id"
            ),
            "deliveries": self.rows(
                "SELECT c.text, d.state, d.attempts, d.reason, d.ids FROM delivery d JOIN content c ON c.entry = d.entry"
                " ORDER BY d.id"
            ),
            "attempts": self.rows(
                "SELECT c.text, t.n, t.outcome FROM attempt t JOIN delivery d ON d.id = t.delivery"
                " JOIN content c ON c.entry = d.entry ORDER BY d.id, t.n"
            ),
            "facts": self.rows(
                "SELECT c.text, f.state, f.source FROM fact f JOIN delivery d ON d.id = f.delivery"
                " JOIN content c ON c.entry = d.entry ORDER BY d.id, f.state"
            ),
            "consents": self.rows(
                "SELECT a.handle, n.allowed, n.evidence FROM consent n JOIN address a ON a.id = n.address ORDER BY n.id"
            ),
            "quarantine": self.rows("SELECT reason FROM quarantine ORDER BY reason"),
            "open": self.rows("SELECT count(*) FROM early_receipt"),
        }


TOPOLOGIES = {"sqlite": ("sqlite", 1), "postgres": ("postgres", 1), "postgres, two runners": ("postgres", 2)}


@pytest.fixture
async def runners(
    store_url: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Runners]:
    info = tmp_path / "fernamt_topo-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fernamt-topo\nVersion: 1.0\nRequires-Dist: fernamt\n")
    (info / "entry_points.txt").write_text("[fernamt]\ntopo = topo_of_a_test\n")
    (tmp_path / "topo_of_a_test.py").write_text(PLUGIN)
    monkeypatch.delitem(sys.modules, "topo_of_a_test", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(log, "configure", lambda _settings: Redactor())
    monkeypatch.setattr(outbox, "POLL_S", 0.02)
    monkeypatch.setattr(outcome, "retry_wait_s", lambda _attempt: 0.0)
    settings = Settings(
        file=tmp_path / "fernamt.toml",
        store=store_url,
        listen="127.0.0.1:0",
        channels=(ChannelSection(id=ChannelId("line"), kind="topo", options={}),),
    )
    async with contextlib.AsyncExitStack() as stack:
        apps = []
        for _ in range(count):
            app = App.from_settings(settings, lease_s=0.6)
            stack.push_async_callback(app.stop)
            await app.start()
            apps.append(app)
        yield Runners(apps)


@pytest.mark.parametrize(("store_url", "count"), TOPOLOGIES.values(), ids=TOPOLOGIES, indirect=["store_url"])
async def test_the_same_life_ends_in_the_same_store(runners: Runners) -> None:
    # Customers: two at once, repeats at the other runner, an answer by reference, junk between.
    await asyncio.gather(runners.post(received("a1", ANN)), runners.post(received("b1", BOB)))
    await runners.post(received("a1", ANN), received("a2", ANN), {"kind": "ignored", "reason": "typing"})
    await runners.post(received("a2", ANN))
    await runners.post({"kind": "unparsed", "key": "u1", "reason": "half a message"}, received("b2", BOB))
    await runners.post(body=b"<html>")
    await runners.post({"kind": "changed", "key": "c1", "id": "a2", "text": "a2, better", "sender": ANN})

    # Answers, one for each way in which a provider may take them.
    for text in ("hello", "throttled once", "away once", "rejected"):
        await runners.reply(ANN, text)
    lost = await runners.reply(ANN, "lost")
    await runners.settle(lost, sent=True)
    await runners.reply(BOB, "hello bob")
    await runners.post(received("b3", BOB, refs=["p-hello bob"]))

    # Receipts: late, doubled, against each other, before their message, and about nobody.
    for state, key in (("delivered", "r1"), ("sent", "r2"), ("delivered", "r1"), ("read", "r3"), ("failed", "r4")):
        await runners.post({"kind": "receipt", "key": key, "id": "p-hello", "state": state})
    await runners.post({"kind": "receipt", "key": "r5", "id": "p-later", "state": "delivered"})
    await runners.reply(ANN, "later")
    await runners.post({"kind": "receipt", "key": "r6", "id": "p-never", "state": "delivered"})

    # Who wants nothing more gets nothing more.
    await runners.reply(BOB, "opted out")
    await runners.reply(BOB, "after that")
    await runners.post({"kind": "consent", "key": "s1", "address": BOB, "allowed": True})
    await runners.reply(BOB, "welcome back")

    # Whoever holds the channel goes; the next one goes on.
    if len(runners.apps) > 1:
        await runners.apps.pop(0).stop()
    await runners.reply(ANN, "goodbye")
    await runners.post({"kind": "renamed", "key": "n1", "old": ANN, "new": EVE}, received("e1", EVE))

    told = runners.told()
    assert told["entries"] == [
        *[(f"phone:{BOB}", n, kind, text) for n, (kind, text) in enumerate(BOBS, 1)],
        *[(f"phone:{EVE}", n, kind, text) for n, (kind, text) in enumerate(ANNS, 1)],
    ]
    assert told["conversations"] == [(f"phone:{BOB}", "waiting", len(BOBS)), (f"phone:{EVE}", "open", len(ANNS))]
    assert {text: (state, tries) for text, state, tries, _, _ in told["deliveries"]} == DELIVERIES
    assert told["attempts"] == ATTEMPTS
    assert told["facts"] == FACTS
    assert told["consents"] == [(f"phone:{BOB}", False, "STOP"), (f"phone:{BOB}", True, "the provider")]
    assert [reason for (reason,) in told["quarantine"]] == ["half a message", "no JSON"]
    assert told["open"] == [(1,)]


@pytest.mark.parametrize(("store_url", "count"), TOPOLOGIES.values(), ids=TOPOLOGIES, indirect=["store_url"])
async def test_pieces_and_words_are_found_by_whichever_runner_gets_them(runners: Runners) -> None:
    def piece(key: str, number: int, group: str) -> dict[str, Any]:
        return received(key, BOB, part={"group": group, "number": number, "total": 2})

    await runners.post(piece("p2", 2, "7"))
    await runners.post(piece("p1", 1, "7"))
    await runners.post(piece("p1", 1, "7"))
    await runners.post(piece("q1", 1, "8"))
    for table, column in (("piece", "at"), ("task", "due_at")):
        await runners.change(f"UPDATE {table} SET {column} = 1")
    while len(runners.told()["entries"]) < 2:
        await asyncio.sleep(0.005)
    await runners.post({**received("s1", BOB), "text": "Stopp!"})
    await runners.rest()
    await runners.reply(BOB, "after that")
    told = runners.told()
    confirmed = "Sie bekommen hier keine Nachrichten mehr. Mit START melden Sie sich wieder an."
    said = [
        ("received", "p1p2"),
        ("received", "q1[…]"),
        ("received", "Stopp!"),
        ("sent", confirmed),
        ("sent", "after that"),
    ]
    assert told["entries"] == [(f"phone:{BOB}", n, kind, text) for n, (kind, text) in enumerate(said, 1)]
    assert [row[:4] for row in told["deliveries"]] == [
        (confirmed, "sent", 1, ""),
        ("after that", "refused", 0, "the recipient opted out (wrote STOPP)"),
    ]
    assert [(bool(allowed), evidence) for _, allowed, evidence in told["consents"]] == [(False, "wrote STOPP")]
    assert runners.rows("SELECT count(*) FROM piece WHERE entry IS NULL") == [(0,)]
    assert runners.rows("SELECT count(*) FROM task") == [(0,)]


BOBS = [
    ("received", "b1"),
    ("received", "b2"),
    ("sent", "hello bob"),
    ("received", "b3"),
    ("sent", "opted out"),
    ("sent", "after that"),
    ("sent", "welcome back"),
]
ANNS = [
    ("received", "a1"),
    ("received", "a2"),
    ("edited", "a2, better"),
    ("sent", "hello"),
    ("sent", "throttled once"),
    ("sent", "away once"),
    ("sent", "rejected"),
    ("sent", "lost"),
    ("sent", "later"),
    ("sent", "goodbye"),
    ("received", "e1"),
]
DELIVERIES = {
    "hello": ("read", 1),
    "throttled once": ("sent", 2),
    "away once": ("sent", 2),
    "rejected": ("failed", 1),
    "lost": ("sent", 1),
    "hello bob": ("sent", 1),
    "later": ("delivered", 1),
    "opted out": ("failed", 1),
    "after that": ("refused", 0),
    "welcome back": ("sent", 1),
    "goodbye": ("sent", 1),
}
ATTEMPTS = [
    ("hello", 1, "sent"),
    ("throttled once", 1, "Throttled"),
    ("throttled once", 2, "sent"),
    ("away once", 1, "Unreachable"),
    ("away once", 2, "sent"),
    ("rejected", 1, "Rejected"),
    ("lost", 1, "uncertain"),
    ("hello bob", 1, "sent"),
    ("later", 1, "sent"),
    ("opted out", 1, "OptedOut"),
    ("welcome back", 1, "sent"),
    ("goodbye", 1, "sent"),
]
FACTS = [
    ("hello", "delivered", "receipt"),
    ("hello", "failed", "receipt"),
    ("hello", "read", "receipt"),
    ("hello", "sent", "receipt"),
    ("lost", "sent", "a person"),
    ("later", "delivered", "receipt"),
]
