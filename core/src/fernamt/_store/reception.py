"""The transaction of everything that comes in: look up by set, plan in memory, write by set.

One run serves many submissions. For each event it decides, in the order of arrival, whether it is a repeat, who wrote it,
which conversation it joins and which number its entry gets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, TypeAlias

import orjson
from attrs import field, frozen

from fernamt._store.engine import Transaction
from fernamt._store.names import Names
from fernamt._store.receipts import Fact, settle
from fernamt._store.statements import ConversationRow, Row
from fernamt.errors import ChannelError, FernamtError, OptedOut
from fernamt.inbound import (
    Accepted,
    Changed,
    Consent,
    Cursor,
    Fetch,
    Ignored,
    InboundEvent,
    Receipt,
    Received,
    Renamed,
    Unparsed,
)
from fernamt.model import (
    STATE_AFTER,
    Address,
    Attachment,
    Blob,
    ConversationId,
    ConversationState,
    Remote,
    microseconds,
)
from fernamt.session import SessionEvent

_DAY_US: Final = 86_400_000_000
_NO_ENTRY: Final = Accepted(conversation=None, n=None, repeat=False)
_NO_ENTRY_AGAIN: Final = Accepted(conversation=None, n=None, repeat=True)


@frozen(kw_only=True)
class Line:
    """What the store has to know of a channel."""

    number: int
    id: str
    reopen_days: float = 14.0


@frozen(kw_only=True)
class Submission:
    """What one call of ``Intake.accept`` brings: storable values, attachments in the blob store already."""

    line: Line
    events: tuple[InboundEvent, ...]
    raw: bytes | Blob | None = field(default=None, repr=False)
    cursor: Cursor | None = None


def key_hash(line: Line, key: str) -> bytes:
    """Return what identifies an event of a channel."""
    return blake2b(b"k%d:%s" % (line.number, key.encode()), digest_size=16).digest()


def id_hash(channel: int, provider_id: str) -> bytes:
    """Return what identifies a provider's id on a channel."""
    return blake2b(b"i%d:%s" % (channel, provider_id.encode()), digest_size=16).digest()


class Reception:
    """The writer's operation for submissions."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def __call__(
        self, tx: Transaction, payloads: Sequence[Submission]
    ) -> Sequence[tuple[Accepted, ...] | FernamtError]:
        """Store all of it; see :class:`fernamt._store.writer.Operation`."""
        plan = _Plan(tx, self._names)
        plan.look_up(payloads)
        accepted = [plan.take(submission) for submission in payloads]
        plan.write()
        return accepted


class _Plan:
    """What one transaction looked up and will write. Lives for one call."""

    def __init__(self, tx: Transaction, names: Names) -> None:
        self._tx = tx
        self._do = tx.do
        self._now = tx.now_us
        self._names = names
        self._known: dict[bytes, Row] = {}
        self._people: dict[str, tuple[int, int]] = {}
        self._threads: dict[tuple[int, int, str], int] = {}
        self._conversations: dict[int, ConversationRow] = {}
        self._participants: set[tuple[int, int]] = set()
        self._new_conversations: set[int] = set()
        self._moved: set[int] = set()
        self._raw: int | None = None
        self._facts: list[Fact] = []
        self._rows: dict[str, list[Row]] = {}

    # ---- look up
    def look_up(self, submissions: Sequence[Submission]) -> None:
        hashes: list[bytes] = []
        handles: list[str] = []
        tokens: list[int] = []
        for submission in submissions:
            line = submission.line
            for event in submission.events:
                if type(event) is Received:
                    hashes.append(key_hash(line, event.key))
                    handles.append(str(event.sender))
                    if event.aliases or event.cc:
                        handles += [str(person) for person in (*event.aliases, *event.cc)]
                    thread = event.thread
                    if thread.references:
                        for reference in thread.references:
                            hashes += (id_hash(line.number, reference), key_hash(line, reference))
                    if thread.token and (conversation := self._names.conversation_of(thread.token)):
                        tokens.append(conversation)
                else:
                    self._look_up_other(line, event, hashes, handles)
        self._known = self._do.known(hashes)
        self._people = self._do.addresses(handles)
        self._look_up_conversations(submissions, tokens)

    @staticmethod
    def _look_up_other(line: Line, event: InboundEvent, hashes: list[bytes], handles: list[str]) -> None:
        key = getattr(event, "key", "")
        if key:
            hashes.append(key_hash(line, key))
        if isinstance(event, Changed | Receipt) and event.id:
            hashes += (id_hash(line.number, event.id), key_hash(line, event.id))
        if isinstance(event, Changed) and event.sender is not None:
            handles.append(str(event.sender))
        elif isinstance(event, Consent):
            handles.append(str(event.address))
        elif isinstance(event, Renamed):
            handles += (str(event.old), str(event.new))

    def _look_up_conversations(self, submissions: Sequence[Submission], tokens: list[int]) -> None:
        keys = []
        wanted = set(tokens)
        for submission in submissions:
            for event in submission.events:
                if type(event) is not Received:
                    continue
                person = self._people.get(str(event.sender))
                if person is not None:
                    keys.append((person[0], submission.line.number, event.thread.place))
        if keys:
            self._threads = self._do.threads(keys)
            wanted.update(self._threads.values())
        if self._known:
            wanted.update(row[0] for row in self._known.values() if row[0] is not None)
        if wanted:
            self._conversations = self._do.conversations(sorted(wanted))
            self._participants = self._do.participants(sorted(wanted))

    # ---- plan
    def take(self, submission: Submission) -> tuple[Accepted, ...]:
        """Plan one submission and return what will be told to its caller."""
        self._raw = None
        accepted = tuple([self._take_event(submission, event) for event in submission.events])
        if submission.cursor is not None:
            self._add("put cursor", (submission.line.number, submission.cursor.name, submission.cursor.value))
        return accepted

    def _take_event(self, submission: Submission, event: InboundEvent) -> Accepted:
        if isinstance(event, Ignored):
            return _NO_ENTRY
        if isinstance(event, Fetch):
            return self._quarantine(submission, "Fetch events are not run by this version")
        digest = key_hash(submission.line, event.key)
        first = self._known.get(digest)
        if first is not None and not self._outlived(event, first):
            if first[0] is None:
                return _NO_ENTRY_AGAIN
            return Accepted(conversation=ConversationId(str(first[0])), n=first[1], repeat=True)
        if type(event) is Received:
            accepted = self._receive(submission, event, digest)
        else:
            accepted = _TAKE[type(event)](self, submission, event)
        conversation = None if accepted.conversation is None else int(accepted.conversation)
        row = (conversation, accepted.n, self._now)
        self._known[digest] = row
        self._add("insert known" if first is None else "put known", (digest, *row))
        return accepted

    def _outlived(self, event: InboundEvent, first: Row) -> bool:
        valid_s = event.key_valid_s if type(event) is Received else None
        return valid_s is not None and first[2] + valid_s * 1_000_000 < self._now

    def _receive(self, submission: Submission, event: Received, digest: bytes) -> Accepted:
        line = submission.line
        author, customer = self._person(event)
        row, follows = self._join(line, event, author, customer)
        if row.state == ConversationState.SOLVED:
            self._enter(row, "reopened", None, None)
        kind = "sent" if event.by_us else "received"
        entry = self._enter(row, kind, author, line.number)
        attachments = self._attachments(event.attachments, entry) if event.attachments else None
        self._add(
            "insert content",
            (
                entry,
                None,
                event.text,
                event.html or None,
                _data(event, follows),
                attachments,
                event.id or None,
                event.key,
                self._raw_of(submission),
            ),
        )
        if event.id and event.id != event.key:
            self._know(id_hash(line.number, event.id), row)
        for person in event.cc:
            self._take_part(row, self._address(person, "", "named in copy")[0])
        return Accepted(conversation=ConversationId(str(row.id)), n=row.last_n, repeat=False)

    def _know(self, digest: bytes, row: ConversationRow) -> None:
        """Remember a provider's id, unless another message had it before: the first one keeps it."""
        if digest not in self._known:
            self._known[digest] = known = (row.id, row.last_n, self._now)
            self._add("insert known", (digest, *known))

    def _person(self, event: Received) -> tuple[int, int]:
        for alias in event.aliases:
            known = self._people.get(str(alias))
            if known is not None and str(event.sender) not in self._people:
                self._people[str(event.sender)] = linked = (self._do.next_id("address"), known[1])
                self._add("insert address", (linked[0], str(event.sender), linked[1], "the provider", self._now))
        person = self._address(event.sender, event.sender_name, "wrote")
        for alias in event.aliases:
            if str(alias) not in self._people:
                self._people[str(alias)] = linked = (self._do.next_id("address"), person[1])
                self._add("insert address", (linked[0], str(alias), person[1], "the provider", self._now))
        return person

    def _address(self, address: Address, name: str, evidence: str) -> tuple[int, int]:
        handle = str(address)
        person = self._people.get(handle)
        if person is None:
            customer = self._do.next_id("customer")
            person = self._people[handle] = (self._do.next_id("address"), customer)
            self._add("insert customer", (customer, name, "", "", self._now))
            self._add("insert address", (person[0], handle, customer, evidence, self._now))
        return person

    def _join(self, line: Line, event: Received, author: int, customer: int) -> tuple[ConversationRow, int]:
        """Return the conversation that the event joins, and the one that it follows when that is over (else 0)."""
        found = self._belongs_to(line, event, author, customer)
        if found is not None:
            over_us = self._now - line.reopen_days * _DAY_US
            if found.state != ConversationState.SOLVED or found.changed_at >= over_us:
                if found.customer != customer:
                    self._take_part(found, author)
                return found, 0
        row = ConversationRow(
            id=self._do.next_id("conversation"),
            customer=customer,
            kind="support",
            state=ConversationState.OPEN,
            language="",
            last_n=0,
            last_entry=0,
            changed_at=self._now,
        )
        self._conversations[row.id] = row
        self._new_conversations.add(row.id)
        place = (author, line.number, event.thread.place)
        self._threads[place] = row.id
        self._add("put thread", (*place, row.id))
        return row, found.id if found is not None else 0

    def _belongs_to(self, line: Line, event: Received, author: int, customer: int) -> ConversationRow | None:
        thread = event.thread
        if thread.token:
            row = self._conversations.get(self._names.conversation_of(thread.token))
            if row is not None:
                return row
        for reference in thread.references:
            known = self._known.get(id_hash(line.number, reference)) or self._known.get(key_hash(line, reference))
            row = self._conversations.get(known[0]) if known else None
            if row is not None and (row.customer == customer or (row.id, author) in self._participants):
                return row
        return self._conversations.get(self._threads.get((author, line.number, thread.place), 0))

    def _take_part(self, row: ConversationRow, address: int) -> None:
        if (row.id, address) not in self._participants:
            self._participants.add((row.id, address))
            self._add("insert participant", (row.id, address))

    def _enter(self, row: ConversationRow, kind: str, author: int | None, channel: int | None) -> int:
        entry = self._do.next_id("entry")
        row.last_n += 1
        row.last_entry = entry
        row.changed_at = self._now
        row.state = STATE_AFTER.get(kind, row.state)
        if row.id not in self._new_conversations:
            self._moved.add(row.id)
        self._add("insert entry", (entry, row.id, row.last_n, kind, self._now, author, channel))
        return entry

    def _attachments(self, attachments: Sequence[Attachment], entry: int) -> str:
        values = []
        for attachment in attachments:
            value: dict[str, Any] = {"name": attachment.name, "type": attachment.media_type}
            if attachment.content_id:
                value["cid"] = attachment.content_id
            match attachment.content:
                case Blob(digest, size):
                    value |= {"digest": digest, "size": size}
                    self._add("insert blob_ref", (digest, f"entry:{entry}"))
                case Remote(ref):
                    value["ref"] = ref
                case bytes():
                    raise TypeError("attachments are put into the blob store before they are submitted")
            values.append(value)
        return orjson.dumps(values).decode()

    def _raw_of(self, submission: Submission) -> int | None:
        """Return the row of the submission's raw bytes: one, however many events were read from it."""
        if self._raw is None and submission.raw is not None:
            self._raw = self._keep_raw(submission.raw)
        return self._raw

    def _keep_raw(self, raw: bytes | Blob) -> int:
        number = self._do.next_id("raw")
        if isinstance(raw, Blob):
            self._add("insert raw", (number, None, raw.digest))
            self._add("insert blob_ref", (raw.digest, f"raw:{number}"))
        else:
            self._add("insert raw", (number, raw, None))
        return number

    # ---- the rarer events
    def _change(self, submission: Submission, event: Changed) -> Accepted:
        line = submission.line
        known = self._known.get(id_hash(line.number, event.id)) or self._known.get(key_hash(line, event.id))
        row = self._conversations.get(known[0]) if known else None
        if known is None or row is None:
            return self._quarantine(submission, f"a message was {event.kind} that is not known here")
        author = self._address(event.sender, "", "wrote")[0] if event.sender is not None else None
        entry = self._enter(row, event.kind, author, line.number)
        data = orjson.dumps({"of": known[1]}).decode()
        self._add(
            "insert content", (entry, None, event.text, None, data, None, None, event.key, self._raw_of(submission))
        )
        return Accepted(conversation=ConversationId(str(row.id)), n=row.last_n, repeat=False)

    def _receipt(self, submission: Submission, event: Receipt) -> Accepted:
        line = submission.line
        named = None
        if event.id:
            named = self._known.get(id_hash(line.number, event.id)) or self._known.get(key_hash(line, event.id))
        error = event.error
        self._facts.append(
            Fact(
                channel=line.number,
                state=event.state,
                at_us=microseconds(event.at) if event.at is not None else self._now,
                id_hash=id_hash(line.number, event.id) if event.id else b"",
                entry=(named[0], named[1]) if named and named[0] is not None else None,
                delivery=self._names.delivery_of(event.message_key) if event.message_key else 0,
                address=str(event.address) if event.address is not None else "",
                up_to_us=microseconds(event.up_to) if event.up_to is not None else 0,
                reason=error.reason if isinstance(error, ChannelError) else "",
                code=error.code if isinstance(error, ChannelError) else "",
                opted_out=isinstance(error, OptedOut),
            )
        )
        return _NO_ENTRY

    def _consent(self, submission: Submission, event: Consent) -> Accepted:
        address = self._address(event.address, "", "the provider")[0]
        row = (address, submission.line.number, event.scope, event.allowed, "the provider", self._now)
        self._add("put consent", row)
        return _NO_ENTRY

    def _rename(self, submission: Submission, event: Renamed) -> Accepted:
        old, new = self._people.get(str(event.old)), self._people.get(str(event.new))
        if old is not None and new is None:
            # The address keeps its number, so every thread of the person goes on under the new handle.
            self._people[str(event.new)] = self._people.pop(str(event.old))
            self._add("rename address", (str(event.new), old[0]))
        elif old is not None:
            return self._quarantine(submission, "a person was renamed to a handle that somebody else has here")
        return _NO_ENTRY

    def _unparsed(self, submission: Submission, event: Unparsed) -> Accepted:
        return self._quarantine(submission, event.reason, event.raw)

    def _session_event(self, submission: Submission, _event: SessionEvent) -> Accepted:
        return self._quarantine(submission, "session events are not run by this version")

    def _quarantine(self, submission: Submission, reason: str, raw: bytes = b"") -> Accepted:
        kept = self._keep_raw(raw) if raw else self._raw_of(submission)
        number = self._do.next_id("quarantine")
        self._add("insert quarantine", (number, submission.line.number, reason, kept, self._now, None))
        return _NO_ENTRY

    # ---- write
    def write(self) -> None:
        """Write what was planned, table by table."""
        for number in sorted(self._new_conversations):
            row = self._conversations[number]
            self._add(
                "insert conversation",
                (
                    row.id,
                    row.customer,
                    row.kind,
                    row.state,
                    row.language,
                    row.last_n,
                    row.last_entry,
                    row.changed_at,
                ),
            )
        for number in sorted(self._moved):
            row = self._conversations[number]
            self._add("move conversation", (row.state, row.last_n, row.last_entry, row.changed_at, row.id))
        for statement, rows in self._rows.items():
            self._do.many(statement, rows)
        if self._facts:
            settle(self._tx, self._facts, source="receipt")

    def _add(self, statement: str, row: Row) -> None:
        rows = self._rows.get(statement)
        if rows is None:
            self._rows[statement] = [row]
        else:
            rows.append(row)


_Take: TypeAlias = Callable[[_Plan, Submission, Any], Accepted]
_TAKE: Final[Mapping[type, _Take]] = {
    Changed: _Plan._change,  # noqa: SLF001
    Receipt: _Plan._receipt,  # noqa: SLF001
    Consent: _Plan._consent,  # noqa: SLF001
    Renamed: _Plan._rename,  # noqa: SLF001
    Unparsed: _Plan._unparsed,  # noqa: SLF001
    SessionEvent: _Plan._session_event,  # noqa: SLF001
}


def _data(event: Received, follows: int) -> str | None:
    """Return what else is known of a message, as JSON, or ``None`` if nothing is."""
    data: dict[str, Any] = {}
    if event.subject:
        data["subject"] = event.subject
    if event.sender_name:
        data["sender_name"] = event.sender_name
    if event.cc:
        data["cc"] = [str(person) for person in event.cc]
    if event.choice:
        data["choice"] = event.choice
    if event.at is not None:
        data["at"] = event.at.isoformat()
    if event.window_until is not None:
        data["window_until"] = event.window_until.isoformat()
    if event.automatic:
        data["automatic"] = True
    if event.part is not None:
        data["part"] = {"group": event.part.group, "number": event.part.number, "total": event.part.total}
    if follows:
        data["follows"] = follows
    return orjson.dumps(data).decode() if data else None
