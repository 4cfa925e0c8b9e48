"""Addresses and the customers they belong to, during one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from fernamt._store.names import handle_topic
from fernamt._store.statements import Batch, Statements
from fernamt.inbound import Received
from fernamt.model import Address


class People:
    """Who is known by which address; new ones become customers of their own."""

    def __init__(self, do: Statements, batch: Batch, now_us: int) -> None:
        self._do = do
        self._batch = batch
        self._customers = batch.rows("insert customer")
        self._addresses = batch.rows("insert address")
        self._now_us = now_us
        self._known: dict[str, tuple[int, int]] = {}

    def look_up(self, handles: Sequence[str]) -> None:
        """Read those that are known."""
        self._known |= self._do.addresses(handles)

    def known(self, address: Address) -> tuple[int, int] | None:
        """Return the numbers of the address and its customer, if it is known."""
        return self._known.get(str(address))

    def number(self, address: Address, name: str = "", *, evidence: str) -> tuple[int, int]:
        """Return the numbers of the address and its customer, who is new if the address is."""
        handle = str(address)
        person = self._known.get(handle)
        if person is None:
            customer = self._do.next_id("customer")
            self._customers.append((customer, name, "", "", self._now_us, False))
            person = self._link(handle, customer, evidence)
        return person

    def sender(self, event: Received) -> tuple[int, int]:
        """Return the numbers of who wrote, linked with the handles that the provider vouches for."""
        if not event.aliases:
            return self.number(event.sender, event.sender_name, evidence="wrote")
        vouched = next(filter(None, map(self.known, event.aliases)), None)
        if vouched is not None and str(event.sender) not in self._known:
            self._link(str(event.sender), vouched[1], "the provider")
        person = self.number(event.sender, event.sender_name, evidence="wrote")
        for alias in event.aliases:
            if str(alias) not in self._known:
                self._link(str(alias), person[1], "the provider")
        return person

    def rename(self, old: Address, new: Address) -> bool:
        """Give a person another handle; ``False``: somebody else has it.

        The address keeps its number, so every thread of the person goes on under the new handle.
        """
        person = self._known.get(str(old))
        if person is None:
            return True
        if str(new) in self._known:
            return False
        self._known[str(new)] = self._known.pop(str(old))
        self._batch.add("rename address", (str(new), person[0]))
        return True

    def _link(self, handle: str, customer: int, evidence: str) -> tuple[int, int]:
        self._do.topics.add(handle_topic(handle))
        self._known[handle] = person = (self._do.next_id("address"), customer)
        self._addresses.append((person[0], handle, customer, evidence, self._now_us))
        return person
