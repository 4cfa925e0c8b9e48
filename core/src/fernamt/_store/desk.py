"""What people and their tools write into a conversation: answers, notes, decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson
from attrs import frozen

from fernamt._store.automatic import IS_SILENT
from fernamt._store.conversations import Conversations
from fernamt._store.people import People
from fernamt._store.pointers import Span
from fernamt._store.statements import Batch
from fernamt._store.transaction import Transaction
from fernamt.errors import FernamtError
from fernamt.model import NOTHING, Address, Attachment, Button, DeliveryState, Json, Purpose, Template


class NoSuchThing(FernamtError):
    """What was named is not there, or not in a state in which this could be done to it; the text says the next step."""


@frozen(kw_only=True)
class Composition:
    """An entry that somebody writes. Of kind ``sent`` it is delivered: to *to*, or to whoever wrote last."""

    conversation: int
    kind: str
    author: str
    """``agent:<name>`` or ``plugin:<name>``."""
    text: str = ""
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    """They get it, and nobody else sees that."""
    to_all: bool = False
    """In copy to everybody who is named in what is answered, too."""
    channel: str = ""
    """The id of a channel; empty: where the customer wrote last."""
    attachments: tuple[Attachment, ...] = ()
    """Their content is in the blob store."""
    buttons: tuple[Button, ...] = ()
    template: Template | None = None
    """Used when the reply window is closed."""
    automatic: bool = False
    """Written by a machine."""
    purpose: Purpose = Purpose.REPLY
    data: Mapping[str, Json] = NOTHING


@frozen(kw_only=True)
class Composed:
    """What was written: the entry's number, and a delivery for each recipient."""

    conversation: int
    n: int
    deliveries: tuple[int, ...] = ()


def compose(tx: Transaction, payloads: Sequence[Composition]) -> list[Composed | FernamtError]:
    """Write each entry with its deliveries."""
    batch = Batch()
    people, conversations = People(tx.do, batch, tx.now_us), Conversations(tx.do, batch, tx.now_us)
    conversations.look_up((), {payload.conversation for payload in payloads})
    people.look_up([str(person) for payload in payloads for person in (*payload.to, *payload.cc, *payload.bcc)])
    results: list[Composed | FernamtError] = []
    for payload in payloads:
        try:
            results.append(_composed(tx, payload, batch, people, conversations))
        except NoSuchThing as why:
            results.append(why)
    conversations.write()
    batch.write(tx.do)
    return results


def _composed(
    tx: Transaction, composition: Composition, batch: Batch, people: People, conversations: Conversations
) -> Composed:
    row = conversations.get(composition.conversation)
    if row is None:
        raise NoSuchThing(f"There is no conversation {composition.conversation}. fernamt inbox lists them.")
    channel, recipients = (
        _route(tx, composition, people, conversations.spans(row)) if composition.kind == "sent" else (None, [])
    )
    entry = conversations.enter(row, composition.kind, channel=channel)
    conversations.fill(
        entry,
        composition.text,
        author=composition.author,
        data=_data(composition),
        attachments=composition.attachments,
    )
    deliveries = []
    for address in recipients:
        number, now = tx.do.next_id("delivery"), tx.now_us
        deliveries.append(number)
        queued = (number, entry, row.id, channel, address, DeliveryState.QUEUED, 0, now, None, now, now)
        tx.topics.add(f"send:{channel}")
        batch.add("insert delivery", (*queued, "[]", "", "", composition.purpose, 0, 0, 1))
    return Composed(conversation=row.id, n=row.last_n, deliveries=tuple(deliveries))


def _data(composition: Composition) -> dict[str, Json]:
    """Return what an entry keeps beside its words; :mod:`fernamt._store.correspondence` reads it back."""
    data = dict(composition.data)
    if composition.cc:
        data["cc"] = [str(person) for person in composition.cc]
    if composition.bcc:
        data["bcc"] = [str(person) for person in composition.bcc]
    if composition.buttons:
        data["buttons"] = [[button.label, button.value] for button in composition.buttons]
    if composition.template is not None:
        data["template"] = [composition.template.name, composition.template.language, *composition.template.values]
    if composition.automatic:
        data["automatic"] = True
    return data


def _route(tx: Transaction, composition: Composition, people: People, spans: Sequence[Span]) -> tuple[int, list[int]]:
    """Return the channel and the addresses that an answer goes to."""
    received = [
        row
        for span in spans
        for row in tx.do.rows(
            "SELECT e.channel, e.author, c.data IS NULL OR c.data NOT LIKE ?, e.at, c.data FROM entry e JOIN content c ON c.entry = e.id"
            " WHERE e.conversation = ? AND e.n >= ? AND e.n <= ? AND e.kind = 'received' AND e.author IS NOT NULL"
            " ORDER BY 3 DESC, e.n DESC LIMIT 1",
            (f"%{IS_SILENT}%", span.conversation, span.first, span.end),
        )
    ]
    # Whoever only had a machine answer for them did not write last, as long as anybody else did.
    channel, author, _, _, words = max(received, key=lambda row: row[2:4], default=(0, 0, 0, 0, None))
    if composition.channel:
        found = tx.do.rows("SELECT id FROM channel WHERE name = ?", (composition.channel,))
        if not found:
            raise NoSuchThing(f"There is no channel {composition.channel!r}. fernamt channels lists them.")
        channel = found[0][0]
    if not channel or not (author or composition.to):
        missing = "a recipient" if channel else "a channel and a recipient"
        raise NoSuchThing(f"Nobody has written in this conversation yet: name {missing}.")
    named = _named(words) if composition.to_all else ()
    people.look_up([str(one) for one in named])
    others = (*composition.cc, *named, *composition.bcc)
    to, cc = ([people.number(one, evidence="an agent")[0] for one in some] for some in (composition.to, others))
    return channel, list(dict.fromkeys([*(to or [author]), *cc]))


def _named(words: str | None) -> tuple[Address, ...]:
    """Return who was named beside us in what is answered."""
    return tuple(Address.parse(one) for one in orjson.loads(words or "{}").get("cc", ()))
