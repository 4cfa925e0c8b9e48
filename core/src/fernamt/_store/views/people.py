"""People: who somebody is, over all customers that turned out to be the same one."""

from __future__ import annotations

import sqlalchemy as sa
from attrs import frozen

from fernamt._store.names import ERASED
from fernamt._store.tables import address, customer
from fernamt._store.views.pointers import pointers_of
from fernamt.model import Address


@frozen(kw_only=True)
class Person:
    """A customer with all that were merged into them."""

    number: int
    members: tuple[int, ...]
    """The numbers of all of them, that one first."""
    name: str
    """May be empty."""
    addresses: tuple[Address, ...]


def person_of(connection: sa.Connection, number: int) -> Person:
    """Return whom a customer's number means by now."""
    members = pointers_of(connection, [number], customers=True).members(number)
    names = {row.id: row.name for row in connection.execute(sa.select(customer).where(customer.c.id.in_(members)))}
    handles = connection.scalars(
        sa.select(address.c.handle).where(address.c.customer.in_(members)).order_by(address.c.id)
    )
    return Person(
        number=members[0],
        members=members,
        name=next(filter(None, map(names.get, members)), ""),
        addresses=tuple(one for one in map(handle_of, handles) if one is not None),
    )


def customer_of(connection: sa.Connection, number: int) -> int | None:
    """Return a customer's number if there is one of it."""
    return connection.scalar(sa.select(customer.c.id).where(customer.c.id == number))


def customer_at(connection: sa.Connection, handle: str) -> int | None:
    """Return whose address this is."""
    return connection.scalar(sa.select(address.c.customer).where(address.c.handle == handle))


def handle_of(handle: str | None) -> Address | None:
    """Return an address as it stands in the store, ``None``: it was erased."""
    return None if handle is None or handle.startswith(f"{ERASED}:") else Address.parse(handle)
