"""What a delivery needs to know of its conversation: the message to send, and for whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import orjson
from attrs import frozen

from fernamt._store.conversations import attachments_of
from fernamt._store.deliveries import OpenDelivery
from fernamt._store.names import Names
from fernamt._store.statements import Row, Statements
from fernamt.model import (
    Address,
    Button,
    Conversation,
    ConversationId,
    ConversationState,
    Customer,
    CustomerId,
    Template,
)
from fernamt.outbound import OutboundMessage

_REFERENCES_MAX: Final = 50


@frozen(kw_only=True)
class Prepared:
    """A message that is about to be sent, with what a policy may want to know."""

    message: OutboundMessage
    conversation: Conversation
    customer: Customer
    stopped: str
    """Why the recipient gets nothing on this channel; empty: it may be written to."""


def prepare(
    do: Statements, names: Names, channel: int, deliveries: Sequence[OpenDelivery]
) -> dict[int, Prepared | Exception]:
    """Return the messages of *deliveries* as they stand now, by delivery; of one that cannot be made, why.

    All of them together take a few statements, whatever their number.
    """
    known = _Known(do, channel, deliveries)
    found: dict[int, Prepared | Exception] = {}
    for delivery in deliveries:
        try:
            found[delivery.id] = known.prepared(names, delivery)
        except Exception as why:  # noqa: BLE001 - what is wrong in one row must not stop those behind it
            found[delivery.id] = why
    return found


class _Known:
    """What the store knows of some deliveries, read by sets."""

    def __init__(self, do: Statements, channel: int, deliveries: Sequence[OpenDelivery]) -> None:
        self._written = {
            row[0]: row[1:]
            for row in do.among(
                "SELECT d.id, c.text, c.html, c.data, c.attachments, e.n, a.handle FROM delivery d"
                " JOIN entry e ON e.id = d.entry JOIN content c ON c.entry = e.id JOIN address a ON a.id = d.address"
                " WHERE d.id IN {}",
                [one.id for one in deliveries],
            )
        }
        self._whose = whose(do, {one.conversation for one in deliveries})
        # Every reader sees every other, so that an answer may go to all.
        self._readers = _grouped(
            do.among(
                "SELECT d.entry, d.id, a.handle FROM delivery d JOIN address a ON a.id = d.address"
                " WHERE d.channel = ? AND d.entry IN {} ORDER BY d.id",
                sorted({one.entry for one in deliveries}),
                (channel,),
            )
        )
        self._stopped: dict[int, str] = dict(
            do.among(
                "SELECT address, evidence FROM consent WHERE channel = ? AND scope = '' AND NOT allowed AND address IN {}",
                sorted({one.address for one in deliveries}),
                (channel,),
            )
        )
        keys = sorted({(one.conversation, self._written[one.id][4]) for one in deliveries if one.id in self._written})
        received = do.earlier(keys, channel, "received", _REFERENCES_MAX)
        sent = do.earlier(keys, channel, "sent", _REFERENCES_MAX)
        words = {
            row[0]: row[1:]
            for row in do.among(
                "SELECT entry, provider_id, data FROM content WHERE entry IN {}", sorted({row[2] for row in received})
            )
        }
        ids = _grouped(
            do.among(
                "SELECT entry, ids FROM delivery WHERE channel = ? AND ids <> '[]' AND entry IN {} ORDER BY id",
                sorted({row[2] for row in sent}),
                (channel,),
            )
        )
        self._received = _by_key((row[:2], (row[3], *words.get(row[2], (None, None)))) for row in received)
        self._sent = _by_key(
            (row[:2], (row[3], one)) for row in sent for (found,) in ids[row[2]] for one in orjson.loads(found)
        )

    def prepared(self, names: Names, delivery: OpenDelivery) -> Prepared:
        text, html, data_json, files, n, handle = self._written[delivery.id]
        data: dict[str, Any] = orjson.loads(data_json) if data_json else {}
        key = delivery.conversation, n
        received = self._received[key]
        conversation, customer = self._whose[delivery.conversation]
        message = OutboundMessage(
            key=names.message_key(delivery.id),
            entry_key=names.entry_key(delivery.entry),
            attempt=delivery.attempts + 1,
            to=Address.parse(handle),
            text=text,
            html=html or "",
            subject=data.get("subject") or _subject(received),
            cc=tuple(Address.parse(one) for number, one in self._readers[delivery.entry] if number != delivery.id),
            attachments=attachments_of(files),
            buttons=tuple(Button(*button) for button in data.get("buttons", ())),
            template=_template(data.get("template")),
            reply_to=next((row[1] for row in received if row[1]), ""),
            references=_references(received, self._sent[key]),
            reply_token=names.reply_token(delivery.conversation),
            automatic=bool(data.get("automatic")),
            sent_ids=delivery.ids,
        )
        return Prepared(
            message=message, conversation=conversation, customer=customer, stopped=_stopped(self._stopped, delivery)
        )


def _grouped(rows: Iterable[Row]) -> defaultdict[Any, list[Row]]:
    """Return what stands behind the first value of each row, by that value."""
    grouped: defaultdict[Any, list[Row]] = defaultdict(list)
    for key, *rest in rows:
        grouped[key].append(tuple(rest))
    return grouped


def _by_key(pairs: Iterable[tuple[Row, Row]]) -> defaultdict[Row, list[Row]]:
    """Return the rows of each key, the latest (by their first value) first."""
    found: defaultdict[Row, list[Row]] = defaultdict(list)
    for key, row in pairs:
        found[key].append(row)
    for rows in found.values():
        rows.sort(key=lambda row: row[0], reverse=True)
    return found


def _template(words: list[str] | None) -> Template | None:
    return None if words is None else Template(name=words[0], language=words[1], values=tuple(words[2:]))


def _subject(received: list[Row]) -> str:
    """Return the subject that the customer used last, marked as answered once."""
    for _, _, data in received:
        subject = orjson.loads(data).get("subject", "") if data else ""
        if subject:
            return subject if subject.lower().startswith(("re:", "aw:")) else f"Re: {subject}"
    return ""


def _references(received: list[Row], sent: list[Row]) -> tuple[str, ...]:
    numbered = [(row[0], row[1]) for row in received if row[1]] + [(n, one) for n, one in sent]
    return tuple(dict.fromkeys(one for _, one in sorted(numbered, key=lambda pair: pair[0])))


def whose(do: Statements, numbers: Collection[int]) -> dict[int, tuple[Conversation, Customer]]:
    """Return conversations and their customers as plugins see them."""
    rows = do.among(
        "SELECT v.id, v.customer, v.kind, v.state, v.language, v.last_n, p.name, p.language, p.plan FROM conversation v"
        " JOIN customer p ON p.id = v.customer WHERE v.id IN {}",
        sorted(numbers),
    )
    handles = _grouped(
        do.among(
            "SELECT customer, handle FROM address WHERE customer IN {} ORDER BY id", sorted({row[1] for row in rows})
        )
    )
    return {
        number: (
            Conversation(
                id=ConversationId(str(number)),
                customer=CustomerId(str(customer)),
                kind=kind,
                state=ConversationState(state),
                language=language,
                last_n=last_n,
            ),
            Customer(
                id=CustomerId(str(customer)),
                name=name,
                addresses=tuple(Address.parse(one) for (one,) in handles[customer]),
                language=customer_language,
                plan=plan,
            ),
        )
        for number, customer, kind, state, language, last_n, name, customer_language, plan in rows
    }


def _stopped(evidence: Mapping[int, str], delivery: OpenDelivery) -> str:
    return f"the recipient opted out ({evidence[delivery.address]})" if delivery.address in evidence else ""
