"""Everything that is kept of a person, page by page: no more of it is in memory than a few hundred entries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson
import sqlalchemy as sa
from attrs import evolve, frozen

from fernamt._store.engine import Store
from fernamt._store.pointers import Span
from fernamt._store.tables import (
    address,
    consent,
    content,
    conversation,
    customer,
    entry,
    link,
    participant,
    piece,
    position,
    session,
)
from fernamt._store.views.channels import channel_names
from fernamt._store.views.conversation import EntryView, entries_within
from fernamt._store.views.people import Person
from fernamt.model import moment

_PAGE: Final = 200


@frozen(kw_only=True)
class Kept:
    """What is kept of a person beside the entries: JSON, but for times."""

    customers: tuple[Mapping[str, Any], ...]
    addresses: tuple[Mapping[str, Any], ...]
    consents: tuple[Mapping[str, Any], ...]
    pieces: tuple[Mapping[str, Any], ...]
    """What waits for the rest of its message, and is no entry yet."""
    links: tuple[Mapping[str, Any], ...]
    conversations: tuple[int, ...]
    """Theirs."""
    participations: tuple[int, ...]
    """Those of others in which they take part."""


def kept_of(connection: sa.Connection, person: Person) -> Kept:
    """Return what the store knows of a person, and where their entries are. Reads every conversation's row."""
    channels = channel_names(connection)

    def rows(wanted: sa.Select[Any]) -> tuple[Mapping[str, Any], ...]:
        return tuple(_plain(row._mapping, channels) for row in connection.execute(wanted))  # noqa: SLF001 - its name

    own = address.c.customer.in_(person.members)
    of_both = sa.or_(link.c.source.in_(person.members), link.c.target.in_(person.members))
    taken = sa.select(participant.c.conversation).join(address, address.c.id == participant.c.address).where(own)
    return Kept(
        customers=rows(sa.select(customer).where(customer.c.id.in_(person.members)).order_by(customer.c.id)),
        addresses=rows(sa.select(address).where(own).order_by(address.c.id)),
        consents=rows(
            sa.select(
                address.c.handle,
                consent.c.channel,
                consent.c.scope,
                consent.c.allowed,
                consent.c.author,
                consent.c.evidence,
                consent.c.at,
            )
            .join(address, address.c.id == consent.c.address)
            .where(own)
            .order_by(address.c.id, consent.c.id)
        ),
        pieces=tuple(
            {"handle": row.handle, "at": moment(row.at), "event": orjson.loads(row.event)}
            for row in connection.execute(
                sa.select(address.c.handle, piece.c.at, piece.c.event)
                .join(address, address.c.id == piece.c.address)
                .where(own, piece.c.entry.is_(None))
                .order_by(piece.c.id)
            )
        ),
        links=rows(sa.select(link).where(link.c.kind == "customer", of_both).order_by(link.c.id)),
        conversations=tuple(
            connection.scalars(
                sa.select(conversation.c.id)
                .where(conversation.c.customer.in_(person.members))
                .order_by(conversation.c.id)
            )
        ),
        participations=tuple(
            connection.scalars(
                sa.select(conversation.c.id)
                .where(conversation.c.id.in_(taken), conversation.c.customer.not_in(person.members))
                .order_by(conversation.c.id)
            )
        ),
    )


def head_of(connection: sa.Connection, number: int) -> Mapping[str, Any]:
    """Return what is kept of a conversation beside its entries: its row, its sessions, what plugins remember of it."""
    channels = channel_names(connection)
    row = connection.execute(sa.select(conversation).where(conversation.c.id == number)).one()
    calls = connection.execute(sa.select(session).where(session.c.conversation == number).order_by(session.c.id))
    memories = connection.execute(
        sa.select(position).where(position.c.conversation == number, position.c.memory != "{}")
    )
    return {
        **_plain(row._mapping, channels),  # noqa: SLF001 - its name
        "sessions": [_plain(one._mapping, channels) for one in calls],  # noqa: SLF001
        "memories": [{"subscriber": one.subscriber, "memory": orjson.loads(one.memory)} for one in memories],
    }


def entries_for(store: Store, number: int, person: Person, *, whole: bool) -> Iterator[EntryView]:
    """Yield a conversation's own entries; not *whole*: only those that the person wrote or was sent. Reads page by page."""
    first, mine = 1, {str(one) for one in person.addresses}
    while True:
        with store.read() as connection:
            page = list(entries_within(connection, Span(number, first, first + _PAGE - 1), channel_names(connection)))
        for view in page:
            if whole:
                yield view
                continue
            to_them = tuple(one for one in view.deliveries if str(one.to) in mine)
            if view.author in mine or to_them:
                yield evolve(view, deliveries=to_them)
        if not page:
            return
        first = page[-1].n + 1


def shared_raws(connection: sa.Connection, number: int, person: Person) -> set[int]:
    """Return the entries of a conversation that were read from bytes in which somebody else's message stood, too."""
    theirs = sa.select(conversation.c.id).where(conversation.c.customer.in_(person.members))
    mine = sa.union(
        *(
            sa.select(one.c.raw, entry.c.n)
            .join(entry, entry.c.id == one.c.entry)
            .where(entry.c.conversation == number, one.c.raw.is_not(None))
            for one in (content, piece)
        )
    ).cte("mine")
    others = (
        sa.select(mine.c.n)
        .join(content, content.c.raw == mine.c.raw)
        .join(entry, entry.c.id == content.c.entry)
        .where(entry.c.conversation.not_in(theirs))
    )
    return set(connection.scalars(others))


def _plain(row: Mapping[Any, Any], channels: Mapping[int, str]) -> Mapping[str, Any]:
    """Return a row with times as times, channels by their ids, and JSON read."""
    plain: dict[str, Any] = {}
    for name, value in row.items():
        match str(name):
            case "channel":
                plain["channel"] = channels.get(value, "")
            case "at" | "since" | "changed_at" | "ended_at" | "undone_at" if value is not None:
                plain[str(name)] = moment(value)
            case "state" if str(value).startswith("{"):
                plain["state"] = orjson.loads(value)
            case _:
                plain[str(name)] = value
    return plain
