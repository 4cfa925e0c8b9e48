"""One conversation with everything in it."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime

import orjson
import sqlalchemy as sa
from attrs import frozen

from fernamt._store.conversations import attachments_of
from fernamt._store.names import ERASED
from fernamt._store.pointers import Pointers, Span
from fernamt._store.sources import media_key
from fernamt._store.tables import address, content, conversation, entry, participant, raw, task
from fernamt._store.views.channels import channel_names
from fernamt._store.views.deliveries import DeliveryView, deliveries_where
from fernamt._store.views.people import handle_of, person_of
from fernamt._store.views.pointers import pointers_of
from fernamt.model import NOTHING, Address, Attachment, ConversationState, Json, Remote, moment


@frozen(kw_only=True)
class RemoteView:
    """An attachment that is still at the provider."""

    at: int
    """Its place among the attachments."""
    state: str
    """``fetching``, ``parked``, ``left``: it is being fetched; a person decides whether that is tried again (``fernamt work``); nobody fetches it."""
    reason: str
    """Why it could not be fetched when that was last tried."""


@frozen(kw_only=True)
class EntryView:
    """One entry with all that hangs on it."""

    conversation: int
    """Its own: another one than is shown where conversations were merged or split."""
    n: int
    kind: str
    at: datetime
    author: str
    """An address, ``agent:<name>``, ``plugin:<name>``, ``erased``, or empty: the core itself."""
    channel: str
    text: str
    attachments: tuple[Attachment, ...]
    remote: tuple[RemoteView, ...]
    """Of the attachments those that are still at the provider."""
    data: Mapping[str, Json]
    provider_id: str
    has_raw: bool
    """The bytes that it was read from are kept: :func:`fernamt._store.views.raw.raw_of_entry`."""
    deliveries: tuple[DeliveryView, ...]


@frozen(kw_only=True)
class ConversationView:
    """A conversation from its first entry to its last, with what was merged into it and without what was split off."""

    number: int
    merged: tuple[int, ...]
    """The conversations that go on in this one."""
    kind: str
    state: ConversationState
    customer_number: int
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
    """Return the whole conversation, that which it was merged into; ``None`` if there is none of this number."""
    if not exists(connection, number):
        return None
    pointers = pointers_of(connection, [number])
    number, *merged = pointers.members(number)
    row = connection.execute(sa.select(conversation).where(conversation.c.id == number)).one()
    person = person_of(connection, row.customer)
    others = (
        sa.select(address.c.handle)
        .join(participant, participant.c.address == address.c.id)
        .where(participant.c.conversation.in_([number, *merged]), address.c.customer.not_in(person.members))
        .order_by(address.c.id)
    )
    return ConversationView(
        number=row.id,
        merged=tuple(merged),
        kind=row.kind,
        state=ConversationState(row.state),
        customer_number=person.number,
        customer=person.name,
        addresses=person.addresses,
        participants=tuple(dict.fromkeys(one for one in map(handle_of, connection.scalars(others)) if one is not None)),
        entries=entries_of(connection, pointers, number),
    )


def entries_of(connection: sa.Connection, pointers: Pointers, number: int) -> tuple[EntryView, ...]:
    """Return what is shown as a conversation: in the order of time, those of one conversation always in their own."""
    channels = channel_names(connection)
    runs = [entries_within(connection, span, channels) for span in pointers.spans(number)]
    return tuple(heapq.merge(*runs, key=lambda one: one.at))


def entries_within(connection: sa.Connection, span: Span, channels: Mapping[int, str]) -> Iterator[EntryView]:
    """Yield a run of entries of one conversation."""
    of_span = [entry.c.conversation == span.conversation, entry.c.n >= span.first, entry.c.n <= span.end]
    deliveries: defaultdict[int, list[DeliveryView]] = defaultdict(list)
    for delivery in deliveries_where(connection, sa.and_(*of_span)):
        deliveries[delivery.n].append(delivery)
    rows = connection.execute(
        sa.select(
            entry.c.id,
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
            raw.c.id.label("raw"),
        )
        .outerjoin(content, content.c.entry == entry.c.id)
        .outerjoin(raw, raw.c.id == content.c.raw)
        .outerjoin(address, address.c.id == entry.c.author)
        .where(*of_span)
        .order_by(entry.c.n)
    ).all()
    files = {row.id: attachments_of(row.attachments) for row in rows}
    remote = _remote(connection, files)
    for row in rows:
        yield EntryView(
            conversation=span.conversation,
            n=row.n,
            kind=row.kind,
            at=moment(row.at),
            author=_author(row.handle, row.author),
            channel=channels.get(row.channel, ""),
            text=row.text or "",
            attachments=files[row.id],
            remote=remote.get(row.id, ()),
            data=orjson.loads(row.data) if row.data else NOTHING,
            provider_id=row.provider_id or "",
            has_raw=row.raw is not None,
            deliveries=tuple(deliveries[row.n]),
        )


def _remote(
    connection: sa.Connection, files: Mapping[int, tuple[Attachment, ...]]
) -> dict[int, tuple[RemoteView, ...]]:
    """Return by entry how the fetching of its attachments stands."""
    there = {
        number: [at for at, file in enumerate(found) if isinstance(file.content, Remote)]
        for number, found in files.items()
    }
    keys = [media_key(number, at) for number, places in there.items() for at in places]
    if not keys:
        return {}
    planned = connection.execute(sa.select(task.c.key, task.c.due_at, task.c.reason).where(task.c.key.in_(keys)))
    by_key = {row.key: ("parked" if row.due_at is None else "fetching", row.reason) for row in planned}
    views = {}
    for number, places in there.items():
        standing = [(at, *by_key.get(media_key(number, at), ("left", ""))) for at in places]
        views[number] = tuple(RemoteView(at=at, state=state, reason=reason) for at, state, reason in standing)
    return views


def _author(handle: str | None, author: str | None) -> str:
    return (ERASED if handle_of(handle) is None else handle) if handle else author or ""


def exists(connection: sa.Connection, number: int) -> bool:
    """Return whether there is a conversation of this number."""
    return bool(connection.scalar(sa.select(sa.exists().where(conversation.c.id == number))))
