"""What a delivery needs to know of its conversation: the message to send, and for whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, Final, TypeAlias

import orjson
from attrs import frozen

from fernamt._store.answered import answered_by, heard, references_of, subject_of, window_of
from fernamt._store.automatic import IS_AUTOMATIC, Before, automatic_before
from fernamt._store.consents import said_by, why_not
from fernamt._store.conversations import attachments_of
from fernamt._store.customers import grouped, whose
from fernamt._store.deliveries import OpenDelivery
from fernamt._store.names import ERASED, Names
from fernamt._store.opting import AUTHOR as CONFIRMING
from fernamt._store.statements import RECEIVED, SENT, Row, Statements
from fernamt.model import Address, Button, Conversation, Customer, Template
from fernamt.outbound import Capabilities, OutboundMessage

_REFERENCES_MAX: Final = 50
_N_MAX: Final = 2**31
_NOTHING_BEFORE: Final = Before()
_THREADED: Final = Capabilities()
_Place: TypeAlias = tuple[int, int]
"""A conversation, and the number of an entry there."""
_Tied: TypeAlias = Mapping[_Place, Sequence[_Place]]


@frozen(kw_only=True, slots=False)  # each message makes one
class Prepared:
    """A message that is about to be sent, with what a policy may want to know."""

    message: OutboundMessage
    whose: tuple[Conversation, Customer] | None
    """For policies, where there are any."""
    last_at: datetime | None
    """When the customer wrote last on this channel."""
    window_until: datetime | None
    """Until when the provider said then that we may answer freely."""
    stopped: str
    """Why the recipient gets nothing on this channel; empty: it may be written to."""
    automatic_today: int = 0
    """Of an automatic message: so many the recipient got within the 24 hours before it."""


def prepare(
    do: Statements,
    names: Names,
    channel: int,
    deliveries: Sequence[OpenDelivery],
    can: Capabilities = _THREADED,
    *,
    people: bool = False,
) -> dict[int, Prepared | Exception]:
    """Return the messages of *deliveries* as they stand now, by delivery; of one that cannot be made, why.

    All of them together take a few statements, whatever their number.

    Args:
        do: On a connection that reads.
        names: Makes keys and tokens.
        channel: Whose deliveries these are.
        deliveries: What is to be sent.
        can: What the channel wants to know of what was written before.
        people: With the conversation and the customer, for policies.
    """
    known = _Known(do, names, channel, deliveries, can, people=people)
    found: dict[int, Prepared | Exception] = {}
    for delivery in deliveries:
        try:
            found[delivery.id] = known.prepared(names, delivery)
        except Exception as why:  # noqa: BLE001 - what is wrong in one row must not stop those behind it
            found[delivery.id] = why
    return found


class _Known:
    """What the store knows of some deliveries, read by sets."""

    def __init__(
        self,
        do: Statements,
        names: Names,
        channel: int,
        deliveries: Sequence[OpenDelivery],
        can: Capabilities,
        *,
        people: bool,
    ) -> None:
        rows = do.among(
            "SELECT d.id, d.conversation, e.n, d.entry, a.handle, c.text, c.html, c.data, c.attachments, d.ids, d.parts_ids, c.author,"
            " v.language, p.language, p.linked, v.linked,"
            " EXISTS (SELECT 1 FROM delivery o WHERE o.entry = d.entry AND o.channel = d.channel AND o.id <> d.id)"
            " FROM delivery d JOIN entry e ON e.id = d.entry JOIN content c ON c.entry = e.id"
            " JOIN address a ON a.id = d.address JOIN conversation v ON v.id = d.conversation"
            " JOIN customer p ON p.id = v.customer WHERE d.id IN {}",
            [one.id for one in deliveries],
        )
        self._written = {row[0]: row[2:-3] for row in rows}
        self._whose = whose(do, {of for _, of, *_, is_merged, _, _ in rows if people or is_merged})
        # Every reader sees every other, so that an answer may go to all.
        self._readers = grouped(
            do.among(
                "SELECT d.entry, d.id, a.handle FROM delivery d JOIN address a ON a.id = d.address"
                " WHERE d.channel = ? AND d.entry IN {} ORDER BY d.id",
                sorted({entry for _, _, _, entry, *_, has_others in rows if has_others}),
                (channel,),
            )
        )
        self._said = said_by(do, names, channel, {handle for _, _, _, _, handle, *_ in rows})
        self._threads = can.threads
        looks_back = can.threads or can.quotes or can.subject or can.reply_window is not None
        back = rows if looks_back else ()
        tied = _tied(do, sorted({row[1:3] for row in back if row[-2]}))
        keys = sorted({*(row[1:3] for row in back), *(key for others in tied.values() for key in others)})
        self._received = _latest_first(do.earlier(RECEIVED, keys, channel, _REFERENCES_MAX), tied)
        self._sent = _latest_first(do.earlier(SENT, keys if can.threads else (), channel, _REFERENCES_MAX), tied)
        self._answered = answered_by(
            do, {row[4] for rows in self._received.values() for row in heard(rows)[:1]} if can.quotes else ()
        )
        automatic = {number for number, _, _, _, _, _, _, data, *_ in rows if IS_AUTOMATIC in (data or "")}
        self._before = automatic_before(do, channel, [one for one in deliveries if one.id in automatic])

    def prepared(self, names: Names, delivery: OpenDelivery) -> Prepared:
        n, _, handle, text, html, data_json, files, ids, parts_ids, author, language, theirs = self._written[
            delivery.id
        ]
        data: dict[str, Any] = orjson.loads(data_json) if data_json else {}
        key = delivery.conversation, n
        notice = "notice" in data
        received = self._received[key]
        spoken = heard(received)
        people = self._whose.get(delivery.conversation)
        language = language or (people[1].language if people else theirs)
        message = OutboundMessage(
            key=names.message_key(delivery.id, delivery.parts + 1),
            entry_key=names.entry_key(delivery.entry),
            attempt=delivery.attempts + 1,
            to=Address.parse(handle),
            text=text,
            html=html or "",
            subject=data.get("subject", "") if notice else data.get("subject") or subject_of(spoken),
            cc=self._others(delivery, data.get("bcc", ())) if delivery.entry in self._readers else (),
            attachments=attachments_of(files),
            buttons=tuple(Button(*button) for button in data["buttons"]) if "buttons" in data else (),
            template=_template(data.get("template")),
            reply_to=next((row[1] for row in spoken if row[1]), "") if self._threads and not notice else "",
            references=references_of(received, self._sent[key]) if self._threads and not notice else (),
            reply_token=names.reply_token(delivery.conversation) if self._threads else "",
            automatic=notice or bool(data.get("automatic")),
            purpose=delivery.purpose,
            author=author or "",
            language=data.get("language") or language,
            answered=self._answered.get(spoken[0][4]) if spoken and not notice else None,
            sent_ids=tuple(orjson.loads(ids)[parts_ids:]),
        )
        before = self._before.get(delivery.id, _NOTHING_BEFORE)
        stopped = why_not(self._said, handle, delivery.purpose)
        if author == CONFIRMING:  # who stopped messages hears that it was understood
            stopped, before = "", _NOTHING_BEFORE
        if handle.startswith(f"{ERASED}:"):
            stopped = "the recipient was erased"
        elif not (text or html or data_json or files):
            stopped = "its words were erased"
        elif before.machine:
            stopped = "a machine wrote last, and machines do not answer machines"
        last_at, window_until = window_of(received)
        return Prepared(
            message=message,
            whose=people,
            last_at=last_at,
            window_until=window_until,
            stopped=stopped,
            automatic_today=before.today,
        )

    def _others(self, delivery: OpenDelivery, hidden: Collection[str]) -> tuple[Address, ...]:
        """Return who else reads what is sent, but for whom nobody is to see."""
        readers = self._readers[delivery.entry]
        return tuple(Address.parse(one) for number, one in readers if number != delivery.id and one not in hidden)


def _tied(do: Statements, keys: Sequence[_Place]) -> _Tied:
    """Return what precedes entries elsewhere, in conversations that are shown with theirs."""
    pointers = do.pointers(sorted({conversation for conversation, _ in keys}))
    return {
        key: [(span.conversation, span.end) for span in pointers.spans(key[0]) if span.conversation != key[0]]
        for key in keys
    }


def _latest_first(rows: Sequence[Row], tied: _Tied) -> Mapping[_Place, list[Row]]:
    """Return what precedes each key as (number, what is known of it), the latest first.

    What is of the conversation itself counts as later than what was merged with it.
    """
    found: defaultdict[_Place, list[Row]] = defaultdict(list)
    for row in rows:
        found[row[:2]].append(row[2:])
    for key, others in tied.items():
        found[key] += [(row[0] - _N_MAX, *row[1:]) for other in others for row in found[other]]
    for known in found.values():
        known.sort(key=itemgetter(0), reverse=True)
    return found


def _template(words: list[str] | None) -> Template | None:
    return None if words is None else Template(name=words[0], language=words[1], values=tuple(words[2:]))
