"""Conversations during one transaction: which one a message joins, and the entries that are added to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Final, TypeAlias

import orjson
from attrs import fields

from fernamt._store.pointers import Pointers, Span
from fernamt._store.statements import Batch, ConversationRow, Statements
from fernamt._store.tasks import Errand, errand_row
from fernamt._store.transaction import LostRace
from fernamt.model import (
    NOTHING,
    STATE_AFTER,
    Attachment,
    Blob,
    ConversationState,
    Json,
    Remote,
)

_DAY_US: Final = 86_400_000_000
_WHOLE: Final = attrgetter(*(column.name for column in fields(ConversationRow)))
_MOVED: Final = attrgetter("state", "last_n", "last_entry", "changed_at", "id")
Place: TypeAlias = tuple[int, int, str]
"""Where a message comes in: of whom (an address), on which channel, at which place there."""
_TOLD: Final = ConversationState.TOLD
"""Looked up once: a member of an enumeration costs as much as the rest of a comparison."""
EVERYBODY: Final = 0
"""Stands for the address at a place that is shared."""
NEW: Final = ""
"""No kind of entry: whoever subscribes to it is the core itself, which asks plugins where a new conversation goes."""


class Conversations:
    """The conversations that a transaction touches; :meth:`write` once at its end."""

    def __init__(self, do: Statements, batch: Batch, now_us: int) -> None:
        self._do = do
        self._batch = batch
        self._entries = batch.rows("insert entry")
        self._contents = batch.rows("insert content")
        self._now_us = now_us
        self._rows: dict[int, ConversationRow] = {}
        self._threads: dict[Place, int] = {}
        self._opened: dict[Place, int] = {}
        self._participants: set[tuple[int, int]] = set()
        self._new: set[int] = set()
        self._begun: dict[int, int] = {}
        """Those of which a plugin may say where they go, by the entry that says what they are about."""
        self._moved: set[int] = set()
        self._pointers = Pointers()

    # ---- look up
    def look_up(self, places: Sequence[Place], wanted: Iterable[int]) -> None:
        """Read and lock what stands at (address, channel, place), and the conversations that are *wanted*."""
        numbers = set(wanted)
        if places:
            self._threads = self._do.threads(places)
            numbers.update(self._threads.values())
        if numbers:
            self._rows = self._do.conversations(sorted(numbers))
            if linked := [row.id for row in self._rows.values() if row.linked]:
                self._pointers = self._do.pointers(linked)
                further = {
                    self._pointers.follow(one, n) for one in linked for n in (0, None, *self._pointers.firsts(one))
                }
                self._rows |= self._do.conversations(sorted(further - numbers))
                numbers |= further
            self._participants = self._do.participants(sorted(numbers))

    def get(self, number: int, n: int | None = 0) -> ConversationRow | None:
        """Return one that was looked up or is new, or where it goes on: see :meth:`Pointers.follow` for *n*."""
        return self._rows.get(self._pointers.follow(number, n))

    def row(self, number: int) -> ConversationRow | None:
        """Return one that was looked up or is new, as it is itself."""
        return self._rows.get(number)

    def spans(self, row: ConversationRow) -> tuple[Span, ...]:
        """Return the entries that are shown as this conversation."""
        return self._pointers.spans(row.id) if row.linked else (Span(row.id, 1, None),)

    def at(self, place: Place) -> ConversationRow | None:
        """Return the one that the next message there joins."""
        number = self._opened.get(place) or self._threads.get(place)
        return None if number is None else self.get(number, None)

    def includes(self, row: ConversationRow, address: int, customer: int) -> bool:
        """Say whether a person is the customer or takes part."""
        return (row.id, address) in self._participants or self.is_of(row, customer)

    def is_of(self, row: ConversationRow, customer: int) -> bool:
        """Say whether the conversation is this customer's, or of one that was merged with them."""
        if row.customer == customer:
            return True
        merged = self._do.pointers([row.customer, customer], customers=True)
        return merged.follow(row.customer) == merged.follow(customer)

    def goes_on(self, row: ConversationRow, reopen_days: float) -> bool:
        """Say whether a message still joins: it is not solved, or was not long ago."""
        return row.state != ConversationState.SOLVED or row.changed_at >= self._now_us - reopen_days * _DAY_US

    # ---- change
    def open(self, customer: int, place: Place | None) -> ConversationRow:
        """Return a new conversation, which the next message at *place* (address, channel, place) joins.

        Raises:
            LostRace: Another runner opened one there since we looked.
        """
        if place is not None and place in self._threads and self._do.threads([place]) != {place: self._threads[place]}:
            raise LostRace(f"somebody else opened a conversation for address {place[0]}")
        row = ConversationRow(self._do.next_id("conversation"), customer, changed_at=self._now_us)
        self._rows[row.id] = row
        self._do.topics.add(f"customer:{customer}")
        self._new.add(row.id)
        if place is not None:
            self._opened[place] = row.id
        return row

    def take_part(self, row: ConversationRow, address: int) -> None:
        """Let a person take part beside the customer."""
        if (row.id, address) not in self._participants:
            self._participants.add((row.id, address))
            self._batch.add("insert participant", (row.id, address))
            self._do.topics.add(f"address:{address}")

    def enter(self, row: ConversationRow, kind: str, *, author: int | None = None, channel: int | None = None) -> int:
        """Add an entry and return its number in the store; its number in the conversation is ``row.last_n`` then."""
        entry = self._do.next_id("entry")
        row.last_n += 1
        row.last_entry = entry
        row.changed_at = self._now_us
        self._do.topics.add(f"conversation:{row.id}")
        was_told, row.state = row.state == _TOLD, STATE_AFTER.get(kind, row.state)
        if row.id not in self._new:
            self._moved.add(row.id)
        if (was_told or row.last_n == 1) and row.state != _TOLD:
            self._begun[row.id] = row.last_n
        self._entries.append((entry, row.id, row.last_n, kind, self._now_us, author, channel))
        return entry

    def fill(
        self,
        entry: int,
        text: str,
        *,
        author: str | None = None,
        html: str = "",
        data: Mapping[str, Json] = NOTHING,
        attachments: Sequence[Attachment] = (),
        provider_id: str = "",
        key: str = "",
        raw: int | None = None,
    ) -> None:
        """Add the words of an entry; *author* only where it is no person: theirs stands in the log, as an address."""
        files = self._files(entry, attachments) if attachments else None
        words = orjson.dumps(dict(data)).decode() if data else None
        self._contents.append((entry, author, text, html or None, words, files, provider_id or None, key or None, raw))

    def _files(self, entry: int, attachments: Sequence[Attachment]) -> str:
        values = []
        for attachment in attachments:
            value: dict[str, str | int] = {"name": attachment.name, "type": attachment.media_type}
            if attachment.content_id:
                value["cid"] = attachment.content_id
            match attachment.content:
                case Blob(digest, size):
                    value |= {"digest": digest, "size": size}
                    self._batch.add("insert blob_ref", (digest, f"entry:{entry}"))
                case Remote(ref):
                    value["ref"] = ref
                case bytes():
                    raise TypeError("attachments are put into the blob store before they are written")
            values.append(value)
        return orjson.dumps(values).decode()

    def write(self) -> None:
        """Plan the rows of the conversations themselves: only now is known how far they moved."""
        self._batch.rows("insert conversation").extend([_WHOLE(self._rows[one]) for one in sorted(self._new)])
        self._batch.rows("move conversation").extend([_MOVED(self._rows[one]) for one in sorted(self._moved)])
        for place, number in self._opened.items():
            # A plain insert where there was nothing: of two runners the unique row stops one, who looks again and joins.
            self._batch.add("put thread" if place in self._threads else "insert thread", (*place, number))
        if wanted := self._do.subscribers(self._now_us):
            self._tell(wanted)

    def _tell(self, wanted: Mapping[str, Sequence[str]]) -> None:
        """Plan that subscribers are told: one task for a subscriber and a conversation, however many entries there are."""
        first: dict[tuple[str, int], int] = {}
        for _, conversation, n, kind, *_ in self._entries:
            for subscriber in wanted.get(kind, ()):
                first.setdefault((subscriber, conversation), n)
        errands = [
            Errand(
                owner=f"work:{subscriber.partition('.')[0]}",
                kind="tell",
                key=f"tell:{subscriber}:{conversation}",
                conversation=conversation,
                n=n,
                data={"subscriber": subscriber},
                due_us=self._now_us,
            )
            for (subscriber, conversation), n in first.items()
        ]
        for number, n in self._begun.items() if NEW in wanted else ():
            if self._rows[number].state == _TOLD:
                continue  # a machine answered a notice
            key = f"route:{number}"
            errands.append(Errand(owner="core", kind="route", key=key, conversation=number, n=n, due_us=self._now_us))
        for errand in sorted(errands, key=lambda one: one.key):
            self._batch.add("wake task", errand_row(self._do, errand, self._now_us))


def attachments_of(files: str | None) -> tuple[Attachment, ...]:
    """Read the attachments of an entry back."""
    return tuple(
        Attachment(
            name=value["name"],
            media_type=value["type"],
            content_id=value.get("cid", ""),
            content=Blob(value["digest"], value["size"]) if "digest" in value else Remote(value["ref"]),
        )
        for value in (orjson.loads(files) if files else ())
    )
