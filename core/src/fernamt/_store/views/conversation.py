"""One conversation with everything in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime

import orjson
import sqlalchemy as sa
from attrs import frozen

from fernamt._store.conversations import attachments_of
from fernamt._store.tables import address, content, conversation, customer, entry, participant
from fernamt._store.views.channels import channel_names
from fernamt._store.views.deliveries import DeliveryView, deliveries_where
from fernamt.model import NOTHING, Address, Attachment, ConversationState, Json, moment


@frozen(kw_only=True)
class EntryView:
    """One entry with all that hangs on it."""

    n: int
    kind: str
    at: datetime
    author: str
    """An address, ``agent:<name>``, ``plugin:<name>``, or empty: the core itself."""
    channel: str
    text: str
    attachments: tuple[Attachment, ...]
    data: Mapping[str, Json]
    provider_id: str
    has_raw: bool
    """The bytes that it was read from are kept: :func:`fernamt._store.views.raw.raw_of_entry`."""
    deliveries: tuple[DeliveryView, ...]


@frozen(kw_only=True)
class ConversationView:
    """A conversation from its first entry to its last."""

    number: int
    kind: str
    state: ConversationState
    customer: str
    """Their name; may be empty."""
    addresses: tuple[Address, ...]
    """All that are known to be the customer's."""
    participants: tuple[Address, ...]
    """The people beside the customer."""
    entries: tuple[EntryView, ...]

    @property
    def subject(self) -> str:
        """What the first entry was headed; may be empty."""
        return str(self.entries[0].data.get("subject", "")) if self.entries else ""


def conversation_view(connection: sa.Connection, number: int) -> ConversationView | None:
    """Return the whole conversation, ``None`` if there is none of this number."""
    row = connection.execute(
        sa.select(conversation, customer.c.name)
        .outerjoin(customer, customer.c.id == conversation.c.customer)
        .where(conversation.c.id == number)
    ).one_or_none()
    if row is None:
        return None
    own = sa.select(address.c.handle).where(address.c.customer == row.customer).order_by(address.c.id)
    others = (
        sa.select(address.c.handle)
        .join(participant, participant.c.address == address.c.id)
        .where(participant.c.conversation == number)
        .order_by(address.c.id)
    )
    return ConversationView(
        number=row.id,
        kind=row.kind,
        state=ConversationState(row.state),
        customer=row.name or "",
        addresses=tuple(map(Address.parse, connection.scalars(own))),
        participants=tuple(map(Address.parse, connection.scalars(others))),
        entries=_entries(connection, number),
    )


def _entries(connection: sa.Connection, number: int) -> tuple[EntryView, ...]:
    channels = channel_names(connection)
    deliveries: defaultdict[int, list[DeliveryView]] = defaultdict(list)
    for delivery in deliveries_where(connection, entry.c.conversation == number):
        deliveries[delivery.n].append(delivery)
    rows = connection.execute(
        sa.select(
            entry.c.n,
            entry.c.kind,
            entry.c.at,
            entry.c.channel,
            address.c.handle,
            content.c.author,
            content.c.text,
            content.c.data,
            content.c.attachments,
            content.c.provider_id,
            content.c.raw,
        )
        .outerjoin(content, content.c.entry == entry.c.id)
        .outerjoin(address, address.c.id == entry.c.author)
        .where(entry.c.conversation == number)
        .order_by(entry.c.n)
    )
    return tuple(
        EntryView(
            n=row.n,
            kind=row.kind,
            at=moment(row.at),
            author=row.handle or row.author or "",
            channel=channels.get(row.channel, ""),
            text=row.text or "",
            attachments=attachments_of(row.attachments),
            data=orjson.loads(row.data) if row.data else NOTHING,
            provider_id=row.provider_id or "",
            has_raw=row.raw is not None,
            deliveries=tuple(deliveries[row.n]),
        )
        for row in rows
    )


def exists(connection: sa.Connection, number: int) -> bool:
    """Return whether there is a conversation of this number."""
    return bool(connection.scalar(sa.select(sa.exists().where(conversation.c.id == number))))
