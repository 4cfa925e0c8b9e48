"""Erasure: a person's words and identifiers go, the skeleton (numbers, kinds, times) stays, and so does a keyed hash.

It is done in short transactions, first the one after which nobody can be written to by mistake. Broken off anywhere, it is
done again from the start by the customer's number. It blocks: call it in a thread.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import orjson
from attrs import frozen

from fernamt._store.conversations import EVERYBODY
from fernamt._store.engine import Store
from fernamt._store.names import ERASED, Names
from fernamt._store.statements import Row, Statements
from fernamt._store.tasks import Errand, plan_tasks
from fernamt._store.transaction import Transaction, WriteSession

_PAGE: Final = 500
_T = TypeVar("_T")
_LINKS: Final = frozenset({"merged", "split", "undone"})
"""Entries whose data name nothing but links."""


@frozen(kw_only=True)
class Erased:
    """What an erasure did."""

    customers: tuple[int, ...]
    addresses: int
    conversations: int
    entries: int
    refused: int
    """Messages that were still to go to them."""
    quarantined: int
    digests: tuple[str, ...]
    """Blobs that they named; what nothing else names may go."""
    compact: bool
    """The database's file holds no remains; ``False``: somebody read while we wanted to truncate its log, or PostgreSQL."""


def erase(store: Store, customer: int, *, plugins: Collection[str]) -> Erased:
    """Erase a customer with all that were merged into one with them, and plan the duty of each of *plugins*.

    Raises:
        NotStored: The store was away; what was done stays done.
    """
    names = Names(store.keys())
    with contextlib.closing(store.session()) as session:
        return _Erasure(store, session, names, customer).run(plugins)


def write_list(path: Path, store: Store) -> int:
    """Add the store's erase list to the one at *path*, for the day on which a backup is restored; return how many it names."""
    known = read_list(path) if path.exists() else {}
    with store.read() as connection:
        known |= {bytes(row[0]): row[1] for row in store.statements(connection).rows("SELECT hash, at FROM erased")}
    new = path.with_name(f"{path.name}.new")
    new.touch(mode=0o600)
    with new.open("w") as file:
        file.writelines(f"{digest.hex()} {at_us}\n" for digest, at_us in known.items())
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    return len(known)


def read_list(path: Path) -> dict[bytes, int]:
    """Return hash -> time of a list; raises ``ValueError`` if it is none."""
    entries = {}
    for line in path.read_text().splitlines():
        digest, _, at_us = line.partition(" ")
        entries[bytes.fromhex(digest)] = int(at_us)
    return entries


def list_beside(store: Store) -> Path | None:
    """Return where the erase list of a store lies; ``None``: nowhere by itself, with PostgreSQL."""
    return None if store.folder is None else store.folder / f"{Path(str(store.url.database)).name}.erased"


def reapply(store: Store, path: Path, *, plugins: Collection[str]) -> list[Erased]:
    """Erase again whoever a backup brought back, and learn the whole list; raises ``ValueError`` if *path* is none."""
    known = read_list(path)
    done = [erase(store, customer, plugins=plugins) for customer in came_back(store, known)]
    with contextlib.closing(store.session()) as session:
        session.run(partial(_learn, known=known))
    return done


def _learn(tx: Transaction, known: Mapping[bytes, int]) -> None:
    for digest, at_us in sorted(known.items()):
        tx.do.one("INSERT INTO erased (hash, at) VALUES (?, ?) ON CONFLICT DO NOTHING", (digest, at_us))


def came_back(store: Store, known: Mapping[bytes, int]) -> list[int]:
    """Return the customers that an erase list names and that are here as they were before their erasure: from a backup."""
    names, found = Names(store.keys()), set()
    with store.read() as connection:
        do = store.statements(connection)
        have = {bytes(row[0]): row[1] for row in do.rows("SELECT hash, at FROM erased")}
        if all(have.get(digest, 0) >= at_us for digest, at_us in known.items()):
            return []
        for number, handle, customer, since in _paged(
            do, "SELECT id, handle, customer, since FROM address WHERE id > ?"
        ):
            del number
            if since < known.get(names.erased_hash(handle), 0):
                found.add(customer)
    return sorted(found)


def _paged(do: Statements, sql: str, *values: object) -> Iterator[Row]:
    last = 0
    while rows := do.rows(f"{sql} ORDER BY 1 LIMIT {_PAGE}", (*values, last)):
        yield from rows
        last = rows[-1][0]


class _Erasure:
    def __init__(self, store: Store, session: WriteSession, names: Names, customer: int) -> None:
        self._store = store
        self._session = session
        self._names = names
        with store.read() as connection:
            do = store.statements(connection)
            self._customers = list(do.pointers([customer], customers=True).members(customer))
            marks = _marks(self._customers)
            self._handles: dict[int, str] = dict(
                do.rows(f"SELECT id, handle FROM address WHERE customer IN ({marks})", self._customers)
            )
            self._own = [
                row[0] for row in do.rows(f"SELECT id FROM conversation WHERE customer IN ({marks})", self._customers)
            ]
        self._digests: set[str] = set()
        self._refused = self._entries = self._quarantined = 0

    def run(self, plugins: Collection[str]) -> Erased:
        addresses = sorted(self._handles)
        with self._store.read() as connection:
            do = self._store.statements(connection)
            shared = do.rows(
                f"SELECT DISTINCT conversation FROM participant WHERE address IN ({_marks(addresses)})", addresses
            )
            sent = do.rows(f"SELECT id FROM delivery WHERE address IN ({_marks(addresses)})", addresses)
        # First what is found by their addresses, as long as these are known: broken off, all this is done again.
        self._wipe_quarantine()
        for (conversation,) in shared:
            self._wipe(conversation, addresses)
        self._session.run(lambda tx: self._forget(tx, plugins))
        for conversation in self._own:
            self._wipe(conversation, ())
        for some in _chunks([row[0] for row in sent]):
            self._session.run(partial(_wipe_deliveries, deliveries=some))
        return Erased(
            customers=tuple(self._customers),
            addresses=len(addresses),
            conversations=len(self._own),
            entries=self._entries,
            refused=self._refused,
            quarantined=self._quarantined,
            digests=tuple(sorted(self._digests)),
            compact=self._store.truncate_log(),
        )

    def _forget(self, tx: Transaction, plugins: Collection[str]) -> None:
        """Turn addresses into marks, put them on the list, refuse what was to go to them, plan the plugins' duties."""
        do, now = tx.do, tx.now_us
        self._refused = do.one(
            "UPDATE delivery SET state = 'refused', reason = 'it was erased before it was sent', code = '', changed_at = ?"
            " WHERE state IN ('queued', 'sending') AND state = 'queued' AND (address IN (SELECT id FROM address WHERE"
            f" customer IN ({_marks(self._customers)})) OR conversation IN (SELECT id FROM conversation WHERE"
            f" customer IN ({_marks(self._customers)})))",
            (now, *self._customers, *self._customers),
        )
        known = {number: handle for number, handle in self._handles.items() if not handle.startswith(f"{ERASED}:")}
        for plugin in plugins if known else ():
            data = {"customer": str(self._customers[0]), "addresses": [*known.values()]}
            key = f"duty:erase:{plugin}:{self._customers[0]}:{now}"
            plan_tasks(tx, [Errand(owner=f"work:{plugin}", kind="duty", key=key, data=data, due_us=now)])
        for number, handle in sorted(known.items()):
            do.one(
                "INSERT INTO erased (hash, at) VALUES (?, ?) ON CONFLICT (hash) DO UPDATE SET at = excluded.at",
                (self._names.erased_hash(handle), now),
            )
            self._mark(tx, number, self._names.erased_mark(handle))
            do.one("DELETE FROM early_receipt WHERE address = ?", (handle,))
            do.one("DELETE FROM thread WHERE address = ?", (number,))
            do.one("UPDATE consent SET evidence = 'before the erasure' WHERE address = ?", (number,))
            self._drop_pieces(do, number)
        # Who writes next in a room of theirs begins a new conversation: theirs stays as it was left.
        do.one(
            "DELETE FROM thread WHERE address = ? AND conversation IN"
            f" (SELECT id FROM conversation WHERE customer IN ({_marks(self._customers)}))",
            (EVERYBODY, *self._customers),
        )
        for customer in self._customers:
            do.one("UPDATE customer SET name = '', language = '', plan = '' WHERE id = ?", (customer,))

    def _drop_pieces(self, do: Statements, address: int) -> None:
        """Delete what waits for the rest of its message; whoever gathers it finds nothing any more."""
        for number, raw in do.rows("SELECT id, raw FROM piece WHERE address = ? AND entry IS NULL", (address,)):
            self._drop_raw(do, raw)
            named = do.rows("SELECT digest FROM blob_ref WHERE owner = ?", (f"piece:{number}",))
            self._unref(do, f"piece:{number}", {row[0] for row in named})
            do.one("DELETE FROM piece WHERE id = ?", (number,))

    def _mark(self, tx: Transaction, number: int, mark: str) -> None:
        """Let a mark stand where the address stood. Whoever was erased before under the same one leaves it their consents."""
        for (older,) in tx.do.rows("SELECT id FROM address WHERE handle = ? AND id <> ?", (mark, number)):
            tx.do.one("UPDATE address SET handle = ? WHERE id = ?", (f"{mark}.{older}", older))
            tx.do.one("UPDATE consent SET address = ? WHERE address = ?", (number, older))
        tx.do.one("UPDATE address SET handle = ?, evidence = '' WHERE id = ?", (mark, number))

    def _wipe(self, conversation: int, authors: Sequence[int]) -> None:
        """Wipe a conversation: all of it, or what the *authors* wrote and where others name them."""
        first = 1
        while True:
            page = partial(self._wipe_page, conversation=conversation, authors=authors, first=first)
            last, count = self._session.run(page)
            self._entries += count
            if not last:
                break
            first = last + 1

    def _wipe_page(self, tx: Transaction, conversation: int, authors: Sequence[int], first: int) -> tuple[int, int]:
        do = tx.do
        rows = do.rows(
            "SELECT e.n, e.id, e.author, e.kind, c.raw, c.attachments, c.data FROM entry e"
            f" JOIN content c ON c.entry = e.id WHERE e.conversation = ? AND e.n >= ? ORDER BY e.n LIMIT {_PAGE}",
            (conversation, first),
        )
        gone = [row for row in rows if not authors or row[2] in authors]
        for _, entry, _, kind, raw, files, words in gone:
            digests = {one["digest"] for one in orjson.loads(files or "[]") if "digest" in one}
            self._unref(do, f"entry:{entry}", digests)
            for (one,) in [(raw,), *do.rows("SELECT raw FROM piece WHERE entry = ?", (entry,))]:
                self._drop_raw(do, one)
            do.one("DELETE FROM piece WHERE entry = ?", (entry,))
            if kind == "notice" and words:
                # The key of a run of one may be made of whom it was for.
                do.one("UPDATE notice_run SET key = '' WHERE id = ? AND total = 1", (orjson.loads(words).get("run"),))
            data = "data" if kind in _LINKS else "NULL"
            do.one(
                f"UPDATE content SET text = '', html = NULL, data = {data}, attachments = NULL, provider_id = NULL,"
                " key = NULL, raw = NULL WHERE entry = ?",
                (entry,),
            )
        for _, entry, author, _, _, _, data in rows if authors else ():
            if data and author not in authors:
                self._rename(do, entry, data)
        if not authors:
            entries = [row[1] for row in gone]
            deliveries = (
                do.rows(f"SELECT id FROM delivery WHERE entry IN ({_marks(entries)})", entries) if entries else []
            )
            _wipe_deliveries(tx, [row[0] for row in deliveries])
            if first == 1:
                self._wipe_work(do, conversation)
        return (rows[-1][0] if rows else 0), len(gone)

    def _rename(self, do: Statements, entry: int, data: str) -> None:
        """Take their addresses out of what another one's entry says of its readers."""
        changed = data
        for handle in self._handles.values():
            changed = changed.replace(
                orjson.dumps(handle).decode(), orjson.dumps(self._names.erased_mark(handle)).decode()
            )
        if changed != data:
            do.one("UPDATE content SET data = ? WHERE entry = ?", (changed, entry))

    def _wipe_work(self, do: Statements, conversation: int) -> None:
        """Take what plugins remember of a conversation, what they were going to do there, and what was said on the telephone."""
        do.one("UPDATE position SET memory = '{}' WHERE conversation = ?", (conversation,))
        do.one("DELETE FROM task WHERE conversation = ? AND kind <> 'duty'", (conversation,))
        for (session,) in do.rows("SELECT id FROM session WHERE conversation = ?", (conversation,)):
            do.one("UPDATE session SET state = '{}' WHERE id = ?", (session,))
            do.one("UPDATE turn SET actions = '[]' WHERE session = ?", (session,))

    def _wipe_quarantine(self) -> None:
        """Take out of the quarantine what names one of their addresses; what is too big to lie in a row is not searched."""
        values = [handle.partition(":")[2].removeprefix("+") for handle in self._handles.values()]
        needles = [value.encode() for value in values if len(value) > 4]
        with self._store.read() as connection:
            sql = "SELECT q.id, q.reason, r.id, r.body FROM quarantine q LEFT JOIN raw r ON r.id = q.raw WHERE q.id > ?"
            found = [
                (number, raw)
                for number, reason, raw, body in _paged(self._store.statements(connection), sql)
                if any(needle in reason.encode() or needle in bytes(body or b"") for needle in needles)
            ]
        for number, raw in found:
            self._session.run(partial(self._wipe_item, number=number, raw=raw))
        self._quarantined = len(found)

    def _wipe_item(self, tx: Transaction, number: int, raw: int | None) -> None:
        self._drop_raw(tx.do, raw)
        tx.do.one("UPDATE quarantine SET reason = 'erased', raw = NULL WHERE id = ?", (number,))

    def _drop_raw(self, do: Statements, raw: int | None) -> None:
        """Delete the bytes that something was read from, whatever else was read from them."""
        if raw is not None:
            for (digest,) in do.rows("SELECT digest FROM raw WHERE id = ?", (raw,)):
                self._unref(do, f"raw:{raw}", {digest} if digest else set())
            do.one("DELETE FROM raw WHERE id = ?", (raw,))

    def _unref(self, do: Statements, owner: str, digests: Collection[str]) -> None:
        for digest in sorted(digests):
            do.one("DELETE FROM blob_ref WHERE digest = ? AND owner = ?", (digest, owner))
        self._digests.update(digests)


def _wipe_deliveries(tx: Transaction, deliveries: Sequence[int]) -> None:
    """Take the words of providers out of deliveries: a reason may quote the message, an id the number it went to."""
    for number in deliveries:
        tx.do.one(
            "UPDATE delivery SET ids = '[]', reason = CASE state WHEN 'refused' THEN reason ELSE '' END WHERE id = ?",
            (number,),
        )
        tx.do.one("UPDATE attempt SET reason = '' WHERE delivery = ? AND reason <> ''", (number,))
        tx.do.one("UPDATE fact SET reason = '' WHERE delivery = ? AND reason <> ''", (number,))


def _marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values)) or "NULL"


def _chunks(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(values), _PAGE):
        yield values[start : start + _PAGE]
