"""What a delivery needs to know of its conversation: the message to send, and for whom."""

from __future__ import annotations

from typing import Any, Final

import orjson
from attrs import frozen

from fernamt._store.conversations import attachments_of
from fernamt._store.deliveries import OpenDelivery
from fernamt._store.names import Names
from fernamt._store.statements import Statements
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


def prepare(do: Statements, names: Names, channel: int, delivery: OpenDelivery) -> Prepared:
    """Return the message of *delivery* as it stands now."""
    text, html, data_json, files, n, handle = do.rows(
        "SELECT c.text, c.html, c.data, c.attachments, e.n, a.handle FROM entry e JOIN content c ON c.entry = e.id"
        " JOIN address a ON a.id = ? WHERE e.id = ?",
        (delivery.address, delivery.entry),
    )[0]
    data: dict[str, Any] = orjson.loads(data_json) if data_json else {}
    to = Address.parse(handle)
    received = do.rows(
        "SELECT e.n, c.provider_id, c.data FROM entry e JOIN content c ON c.entry = e.id WHERE e.conversation = ?"
        f" AND e.channel = ? AND e.kind = 'received' AND e.n < ? ORDER BY e.n DESC LIMIT {_REFERENCES_MAX}",
        (delivery.conversation, channel, n),
    )
    conversation, customer = whose(do, delivery.conversation)
    message = OutboundMessage(
        key=names.message_key(delivery.id),
        entry_key=names.entry_key(delivery.entry),
        attempt=delivery.attempts + 1,
        to=to,
        text=text,
        html=html or "",
        subject=data.get("subject") or _subject(received),
        cc=_others(do, channel, delivery),
        attachments=attachments_of(files),
        buttons=tuple(Button(*button) for button in data.get("buttons", ())),
        template=_template(data.get("template")),
        reply_to=next((row[1] for row in received if row[1]), ""),
        references=_references(do, delivery.conversation, channel, n, received),
        reply_token=names.reply_token(delivery.conversation),
        automatic=bool(data.get("automatic")),
        sent_ids=delivery.ids,
    )
    return Prepared(
        message=message,
        conversation=conversation,
        customer=customer,
        stopped=_stopped(do, delivery.address, channel),
    )


def _others(do: Statements, channel: int, delivery: OpenDelivery) -> tuple[Address, ...]:
    """Return who else gets this entry: every reader sees every other, so that an answer may go to all."""
    rows = do.rows(
        "SELECT a.handle FROM delivery d JOIN address a ON a.id = d.address WHERE d.entry = ? AND d.channel = ?"
        " AND d.id <> ? ORDER BY d.id",
        (delivery.entry, channel, delivery.id),
    )
    return tuple(Address.parse(row[0]) for row in rows)


def _template(words: list[str] | None) -> Template | None:
    return None if words is None else Template(name=words[0], language=words[1], values=tuple(words[2:]))


def _subject(received: list[Any]) -> str:
    """Return the subject that the customer used last, marked as answered once."""
    for _, _, data in received:
        subject = orjson.loads(data).get("subject", "") if data else ""
        if subject:
            return subject if subject.lower().startswith(("re:", "aw:")) else f"Re: {subject}"
    return ""


def _references(do: Statements, conversation: int, channel: int, n: int, received: list[Any]) -> tuple[str, ...]:
    sent = do.rows(
        "SELECT e.n, d.ids FROM entry e JOIN delivery d ON d.entry = e.id WHERE e.conversation = ? AND d.channel = ?"
        f" AND e.n < ? ORDER BY e.n DESC LIMIT {_REFERENCES_MAX}",
        (conversation, channel, n),
    )
    numbered = [(row[0], row[1]) for row in received if row[1]]
    numbered += [(row[0], one) for row in sent for one in orjson.loads(row[1])]
    return tuple(dict.fromkeys(one for _, one in sorted(numbered, key=lambda pair: pair[0])))


def whose(do: Statements, number: int) -> tuple[Conversation, Customer]:
    """Return a conversation and its customer as plugins see them."""
    customer, kind, state, language, last_n, name, customer_language, plan = do.rows(
        "SELECT v.customer, v.kind, v.state, v.language, v.last_n, p.name, p.language, p.plan FROM conversation v"
        " JOIN customer p ON p.id = v.customer WHERE v.id = ?",
        (number,),
    )[0]
    addresses = do.rows("SELECT handle FROM address WHERE customer = ? ORDER BY id", (customer,))
    who = CustomerId(str(customer))
    return (
        Conversation(
            id=ConversationId(str(number)),
            customer=who,
            kind=kind,
            state=ConversationState(state),
            language=language,
            last_n=last_n,
        ),
        Customer(
            id=who,
            name=name,
            addresses=tuple(Address.parse(row[0]) for row in addresses),
            language=customer_language,
            plan=plan,
        ),
    )


def _stopped(do: Statements, address: int, channel: int) -> str:
    rows = do.rows(
        "SELECT evidence FROM consent WHERE address = ? AND channel = ? AND scope = '' AND NOT allowed",
        (address, channel),
    )
    return f"the recipient opted out ({rows[0][0]})" if rows else ""
