"""Asks the provider what became of the deliveries of one channel whose outcome nobody knows."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from attrs import evolve

from fernamt._runtime.fitting import fit, measures_of
from fernamt._runtime.sending import SEND_TIMEOUT_S, Sending
from fernamt._runtime.storable import storable_text
from fernamt._store.claims import Claim, ClaimLost
from fernamt._store.correspondence import Prepared, prepare
from fernamt._store.deliveries import OpenDelivery
from fernamt._store.engine import Store
from fernamt._store.names import Names
from fernamt._store.reconciliation import FIRST_ASKED_US, Inquiry, reconcile, unsettled
from fernamt._store.writer import Writes
from fernamt.connector import Reconciles
from fernamt.errors import NeedsLogin, NotStored
from fernamt.outbound import OutboundMessage, Sent

POLL_S: Final = 5.0
AT_ONCE: Final = 50
_log = structlog.get_logger()


class Reconciler:
    """Looks after one channel whose connector ``Reconciles``, under a claim: the same shape as ``Outbox``."""

    def __init__(self, sending: Sending, connector: Reconciles, *, store: Store, writer: Writes, names: Names) -> None:
        self._sending = sending
        self._connector = connector
        self._store = store
        self._writer = writer
        self._names = names
        self._log = _log.bind(channel=sending.line.id)

    async def run(self, claim: Claim) -> None:
        """Ask about what is due, until cancelled or the claim is lost."""
        while True:
            try:
                for delivery, message in await asyncio.to_thread(self._due):
                    state = await self._writer.write(reconcile, await self._asked(claim, delivery, message))
                    self._log.info("delivery_looked_up", delivery=delivery.id, state=state.value)
            except ClaimLost:
                return
            except NotStored as away:
                await self._store.clock.sleep(away.after_s)
            await self._store.clock.sleep(POLL_S)

    def _due(self) -> list[tuple[OpenDelivery, OutboundMessage]]:
        line, can = self._sending.line.number, self._sending.capabilities()
        with self._store.read() as connection:
            do = self._store.statements(connection)
            now_us = do.now_us()
            found = unsettled(do, line, asked_by_us=now_us, changed_by_us=now_us - FIRST_ASKED_US, limit=AT_ONCE)
            prepared = prepare(do, self._names, line, found)
        due = []
        for one in found:
            whole = prepared[one.id]
            # What it asked for is what was sent, whatever a window or a limit says by now.
            if isinstance(whole, Prepared):
                fitted = fit(whole.message, can, measures_of(self._sending.connector))
                message = whole.message if isinstance(fitted, str) else fitted[min(one.parts, len(fitted) - 1)]
                due.append((one, evolve(message, attempt=one.attempts)))
        return due

    async def _asked(self, claim: Claim, delivery: OpenDelivery, message: OutboundMessage) -> Inquiry:
        """Return what the provider says; that it says nothing leaves the delivery as it is."""
        inquiry = Inquiry(claim=claim, channel=self._sending.line.number, delivery=delivery.id)
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                answer = await self._connector.lookup(message)
        except NeedsLogin as why:
            self._sending.needs_login(why)
            return inquiry
        except Exception as why:  # noqa: BLE001 - third-party code: what it cannot tell stays uncertain
            self._log.warning("delivery_not_looked_up", delivery=delivery.id, error=type(why).__name__)
            return inquiry
        if isinstance(answer, Sent):
            return evolve(inquiry, sent=True, ids=tuple(storable_text(str(one)) for one in answer.ids))
        return evolve(inquiry, not_sent=answer == "not_sent" and self._sending.capabilities().full_lookup)
