"""The transaction of everything that comes in: look up by set, plan in memory, write by set.

One run serves many submissions. For each event it decides, in the order of arrival, whether it is a repeat, who wrote it,
which conversation it joins and which number its entry gets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from fernamt._store.acknowledgements import Acknowledgements
from fernamt._store.consents import PROVIDER, consent_row
from fernamt._store.conversations import EVERYBODY, Conversations, Place
from fernamt._store.details import details
from fernamt._store.names import Names, id_hash
from fernamt._store.opting import Opting, Optings
from fernamt._store.people import People
from fernamt._store.pieces import Pieces, Whole
from fernamt._store.receipts import Fact, fact_of, settle
from fernamt._store.sources import fetch_errand, media_errand
from fernamt._store.statements import Batch, ConversationRow, Row
from fernamt._store.submission import Line, Made, Submission, id_hashes, key_hash
from fernamt._store.tasks import errand_row
from fernamt._store.transaction import Transaction
from fernamt.inbound import (
    Accepted,
    Changed,
    Consent,
    Fetch,
    Ignored,
    InboundEvent,
    Receipt,
    Received,
    Renamed,
    Thread,
    Unparsed,
)
from fernamt.model import Blob, ConversationId, ConversationState, Json, Remote
from fernamt.session import SessionEvent

__all__ = ["Line", "Reception", "Submission", "key_hash"]
_NOTHING: Final = (None, None)
_NO_ENTRY: Final = Accepted(conversation=None, n=None, repeat=False)
_NO_ENTRY_AGAIN: Final = Accepted(conversation=None, n=None, repeat=True)


class Reception:
    """The writer's operation for submissions."""

    def __init__(self, names: Names) -> None:
        self.names = names

    def __call__(self, tx: Transaction, payloads: Sequence[Submission]) -> list[tuple[Accepted, ...]]:
        """Store all of it; see :class:`fernamt._store.writer.Operation`."""
        plan = _Plan(tx, self.names)
        digests = plan.look_up(payloads)
        accepted = [plan.take(submission, keys) for submission, keys in zip(payloads, digests, strict=True)]
        plan.write()
        return accepted

    def late(self, tx: Transaction, submission: Submission, whole: Whole) -> None:
        """Store a message of pieces that nobody waits for any more; its event is that of *submission*."""
        plan = _Plan(tx, self.names)
        plan.look_up([submission])
        plan.take_whole(submission, whole)
        plan.write()


class _Plan:
    """What one transaction looked up and will write. Lives for one call."""

    def __init__(self, tx: Transaction, names: Names) -> None:
        self._tx = tx
        self._do = tx.do
        self._now = tx.now_us
        self._names = names
        self._batch = Batch()
        self._people = People(tx.do, self._batch, tx.now_us)
        self._conversations = Conversations(tx.do, self._batch, tx.now_us)
        self._known: dict[bytes, Row] = {}
        self._pieces = Pieces(tx, self._batch, self._people, self._known)
        self._known_rows = self._batch.rows("insert known")
        self._id_rows = self._batch.rows("insert known id")
        self._raw_rows = self._batch.rows("insert raw")
        self._raw: int | None = None
        self._facts: list[Fact] = []
        self._acknowledged = Acknowledgements(tx, self._batch, self._conversations)
        self._optings = Optings(tx, names, self._batch, self._acknowledged)

    # ---- look up
    def look_up(self, submissions: Sequence[Submission]) -> list[list[bytes]]:
        """Read what is known of all of it, and return the hash of each event's key."""
        hashes: list[bytes] = []
        handles: list[str] = []
        digests = []
        pieces = []
        for submission in submissions:
            line = submission.line
            keys = [key_hash(line, getattr(event, "key", "")) for event in submission.events]
            digests.append(keys)
            hashes += keys
            for event in submission.events:
                if type(event) is Received:
                    handles.append(str(event.sender))
                    if event.aliases or event.cc or event.part:
                        handles += [str(person) for person in (*event.aliases, *event.cc)]
                        if event.part is not None:
                            pieces.append((line, event))
                    for reference in event.thread.references:
                        hashes += id_hashes(line, reference)
                else:
                    self._look_up_other(line, event, hashes, handles)
        self._known.update(self._do.known(hashes))
        self._people.look_up(handles)
        if pieces:
            submissions = [*submissions, *self._look_up_pieces(pieces)]
        self._look_up_conversations(submissions)
        return digests

    def _look_up_pieces(self, pieces: Sequence[tuple[Line, Received]]) -> list[Submission]:
        """Read what waits for these pieces, and what those say of where they belong."""
        hashes: list[bytes] = []
        handles: list[str] = []
        waiting = self._pieces.look_up(pieces)
        for line, event in waiting:
            handles += [str(person) for person in (*event.aliases, *event.cc)]
            for reference in (event.id, *event.thread.references):
                hashes += id_hashes(line, reference)
        self._known.update(self._do.known(hashes))
        self._people.look_up(handles)
        return [Submission(line=line, events=(event,)) for line, event in waiting]

    @staticmethod
    def _look_up_other(line: Line, event: InboundEvent, hashes: list[bytes], handles: list[str]) -> None:
        if isinstance(event, Changed | Receipt) and event.id:
            hashes += id_hashes(line, event.id)
        if isinstance(event, Changed) and event.sender is not None:
            handles.append(str(event.sender))
        elif isinstance(event, Consent):
            handles.append(str(event.address))
        elif isinstance(event, Renamed):
            handles += (str(event.old), str(event.new))

    def _look_up_conversations(self, submissions: Sequence[Submission]) -> None:
        places = []
        wanted = {row[0] for row in self._known.values() if row[0] is not None} if self._known else set()
        for submission in submissions:
            for event in submission.events:
                if type(event) is not Received:
                    continue
                person = self._people.known(event.sender)
                if person is not None or event.thread.shared:
                    places.append(_place(submission.line, event.thread, person[0] if person else EVERYBODY))
                if event.thread.token:
                    wanted.add(self._names.conversation_of(event.thread.token))
                if event.thread.hint:
                    wanted.add(self._names.hinted(event.thread.hint))
        self._conversations.look_up(places, wanted)

    # ---- plan
    def take(self, submission: Submission, digests: Sequence[bytes]) -> tuple[Accepted, ...]:
        """Plan one submission and return what will be told to its caller."""
        self._raw = None
        events = zip(submission.events, digests, strict=True)
        accepted = tuple([self._take_event(submission, event, digest) for event, digest in events])
        if submission.cursor is not None:
            self._batch.add("put cursor", (submission.line.number, submission.cursor.name, submission.cursor.value))
        return accepted

    def take_whole(self, submission: Submission, whole: Whole) -> None:
        """Plan a message that came in pieces."""
        self._pieces.store(submission, whole, self._receive)

    def _take_event(self, submission: Submission, event: InboundEvent, digest: bytes) -> Accepted:
        if type(event) is Ignored:
            return _NO_ENTRY
        if type(event) is Fetch:
            return self._fetch(submission, event)
        first = self._known.get(digest)
        if first is not None and not self._outlived(event, first):
            if first[0] is None:
                return _NO_ENTRY_AGAIN
            return Accepted(conversation=ConversationId(str(first[0])), n=first[1], repeat=True)
        if type(event) is Received and event.part is not None:
            raw = self._raw_of(submission)
            conversation, n = self._pieces.take(submission, event, digest, raw, self._receive)
        else:
            conversation, n = _TAKE[type(event)](self, submission, event)
        self._known[digest] = (conversation, n, self._now)
        rows = self._known_rows if first is None else self._batch.rows("put known")
        rows.append((digest, conversation, n, self._now))
        if conversation is None:
            return _NO_ENTRY
        return Accepted(conversation=ConversationId(str(conversation)), n=n, repeat=False)

    def _outlived(self, event: InboundEvent, first: Row) -> bool:
        valid_s = getattr(event, "key_valid_s", None)
        return valid_s is not None and first[2] + valid_s * 1_000_000 < self._now

    def _receive(self, submission: Submission, event: Received, raw: int | None = None) -> tuple[int, int]:
        line, conversations = submission.line, self._conversations
        author, customer = self._people.sender(event)
        row, follows = self._join(line, event, author, customer)
        is_new, state = not row.last_n, row.state
        if state == ConversationState.SOLVED and not event.silent:
            conversations.enter(row, "reopened")
        entry = conversations.enter(row, "sent" if event.by_us else "received", author=author, channel=line.number)
        if event.silent:
            row.state = state
        conversations.fill(
            entry,
            event.text,
            html=event.html,
            data=details(event, follows),
            attachments=event.attachments,
            provider_id=event.id,
            key=event.key,
            raw=raw or self._raw_of(submission),
        )
        if submission.line.brings_media and event.attachments:
            self._fetch_media(line, event, entry, row)
        if event.id and event.id != event.key:
            self._know(id_hash(line.number, event.id), row)
        if event.thread.learns and (references := event.thread.references):
            for one in dict.fromkeys((references[0], references[-1])):
                if key_hash(line, one) not in self._known:
                    self._know(id_hash(line.number, one), row)
        for person in event.cc:
            conversations.take_part(row, self._people.number(person, evidence="named in copy")[0])
        made = (row.id, row.last_n)
        if event.acknowledgement is not None and is_new and not (event.automatic or event.by_us):
            self._acknowledged.add(author, line.number, row, event.acknowledgement)
        return made

    def _know(self, digest: bytes, row: ConversationRow) -> None:
        """Remember a provider's id, unless another message had it before: the first one keeps it."""
        if digest not in self._known:
            self._known[digest] = known = (row.id, row.last_n, self._now)
            self._id_rows.append((digest, *known))

    def _join(self, line: Line, event: Received, author: int, customer: int) -> tuple[ConversationRow, int]:
        """Return the conversation that the event joins, and the one that it follows when that is over (else 0)."""
        place = _place(line, event.thread, author)
        found = self._belongs_to(line, event, author, customer, place)
        if found is not None and self._conversations.goes_on(found, line.reopen_days):
            if not self._conversations.includes(found, author, customer):
                self._conversations.take_part(found, author)
            return found, 0
        return self._conversations.open(customer, place), found.id if found is not None else 0

    def _belongs_to(
        self, line: Line, event: Received, author: int, customer: int, place: Place
    ) -> ConversationRow | None:
        thread, conversations = event.thread, self._conversations
        if thread.token:
            number = self._names.conversation_of(thread.token)
            named = (
                known[1] for one in thread.references if (known := self._known_by_id(line, one)) and known[0] == number
            )
            if (row := conversations.get(number, next(named, None))) is not None:
                return row
        for reference in thread.references:
            row = self._named(line, reference)
            if row is not None and conversations.includes(row, author, customer):
                return row
        hinted = conversations.get(self._names.hinted(thread.hint), None) if thread.hint else None
        if hinted is not None and conversations.includes(hinted, author, customer):
            return hinted
        return conversations.at(place)

    def _named(self, line: Line, provider_id: str) -> ConversationRow | None:
        known = self._known_by_id(line, provider_id)
        return None if known is None else self._conversations.get(*known[:2])

    def _known_by_id(self, line: Line, provider_id: str) -> Row | None:
        return next((it for one in id_hashes(line, provider_id) if (it := self._known.get(one)) and it[0]), None)

    def _raw_of(self, submission: Submission) -> int | None:
        """Return the row of the submission's raw bytes: one, however many events were read from it."""
        if self._raw is None and submission.raw is not None:
            self._raw = self._keep_raw(submission.raw)
        return self._raw

    def _keep_raw(self, raw: bytes | Blob) -> int:
        number = self._do.next_id("raw")
        if isinstance(raw, Blob):
            self._raw_rows.append((number, None, raw.digest))
            self._batch.add("insert blob_ref", (raw.digest, f"raw:{number}"))
        else:
            self._raw_rows.append((number, raw, None))
        return number

    # ---- what is still at the provider
    def _fetch(self, submission: Submission, event: Fetch) -> Accepted:
        if not submission.line.fetches:
            self._quarantine(submission, "a Fetch, and the connector lacks the ability Backfills: fetch(cursor)")
            return _NO_ENTRY
        errand = fetch_errand(submission.line.id, event.cursor, self._now)
        self._batch.add("fetch task", errand_row(self._do, errand, self._now))
        return _NO_ENTRY

    def _fetch_media(self, line: Line, event: Received, entry: int, row: ConversationRow) -> None:
        for at, file in enumerate(event.attachments):
            if isinstance(file.content, Remote):
                errand = media_errand(line.id, entry, at, row.id, row.last_n, self._now)
                self._batch.add("put task", errand_row(self._do, errand, self._now))

    # ---- the rarer events
    def _change(self, submission: Submission, event: Changed) -> Made:
        line, conversations = submission.line, self._conversations
        known, row = self._known_by_id(line, event.id), self._named(line, event.id)
        if known is None or row is None:
            return self._quarantine(submission, f"a message was {event.kind} that is not known here")
        author = self._people.number(event.sender, evidence="wrote")[0] if event.sender is not None else None
        entry = conversations.enter(row, event.kind, author=author, channel=line.number)
        raw = self._raw_of(submission)
        of: dict[str, Json] = {"of": known[1]} if row.id == known[0] else {"of": known[1], "in": known[0]}
        conversations.fill(entry, event.text, data=of, key=event.key, raw=raw)
        return row.id, row.last_n

    def _receipt(self, submission: Submission, event: Receipt) -> Made:
        line = submission.line
        known = self._known_by_id(line, event.id) if event.id else None
        self._facts.append(fact_of(event, line.number, self._names, known, self._now))
        return _NOTHING

    def _consent(self, submission: Submission, event: Consent) -> Made:
        address = self._people.number(event.address, evidence="the provider")[0]
        row = consent_row(
            self._do,
            address,
            submission.line.number,
            allowed=event.allowed,
            scope=event.scope,
            author=PROVIDER,
            evidence=event.evidence or "the provider",
            at_us=self._now,
        )
        self._batch.add("insert consent", row)
        return _NOTHING

    def _opt(self, submission: Submission, event: Opting) -> Made:
        address = self._people.number(event.address, evidence="wrote")[0]
        self._optings.take(address, submission.line.number, self._named(submission.line, event.of), event)
        return _NOTHING

    def _rename(self, submission: Submission, event: Renamed) -> Made:
        if self._people.rename(event.old, event.new):
            return _NOTHING
        return self._quarantine(submission, "a person was renamed to a handle that somebody else has here")

    def _unparsed(self, submission: Submission, event: Unparsed) -> Made:
        return self._quarantine(submission, event.reason, event.raw)

    def _session_event(self, submission: Submission, _event: SessionEvent) -> Made:
        return self._quarantine(submission, "session events are not run by this version")

    def _quarantine(self, submission: Submission, reason: str, raw: bytes = b"") -> Made:
        kept = self._keep_raw(raw) if raw else self._raw_of(submission)
        number = self._do.next_id("quarantine")
        self._batch.add("insert quarantine", (number, submission.line.number, reason, kept, self._now, None))
        return _NOTHING

    def write(self) -> None:
        """Write what was planned, table by table; receipts after it, for they may be about what it contains."""
        self._conversations.write()
        self._pieces.plan()
        self._batch.write(self._do)
        self._pieces.settle()
        if self._facts:
            settle(self._tx, self._facts, source="receipt")


_Take: TypeAlias = Callable[[_Plan, Submission, Any], Made]
_TAKE: Final[Mapping[type, _Take]] = {
    Received: _Plan._receive,  # noqa: SLF001
    Changed: _Plan._change,  # noqa: SLF001
    Receipt: _Plan._receipt,  # noqa: SLF001
    Consent: _Plan._consent,  # noqa: SLF001
    Opting: _Plan._opt,  # noqa: SLF001
    Renamed: _Plan._rename,  # noqa: SLF001
    Unparsed: _Plan._unparsed,  # noqa: SLF001
    SessionEvent: _Plan._session_event,  # noqa: SLF001
}


def _place(line: Line, thread: Thread, author: int) -> Place:
    """Return where the conversation is looked up that the next message joins."""
    # A connector that forgot the place must not put a whole channel into one conversation.
    return (EVERYBODY if thread.shared and thread.place else author, line.number, thread.place)
