"""What comes out of one call of a connector's ``send``: an answer, or an error that is one."""

from __future__ import annotations

import asyncio

from fernamt._runtime.claims import uncancelled
from fernamt.connector import Connector
from fernamt.outbound import OutboundMessage, Sent


async def answer_of(connector: Connector, message: OutboundMessage, *, within_s: float) -> Sent | Exception:
    """Let *connector* make one attempt and return what it returned or raised; ``TimeoutError`` after *within_s* seconds.

    Cancelled, it is cancelled, too, and nobody knows what became of the message.
    """
    try:
        async with asyncio.timeout(within_s):
            return await uncancelled(lambda: connector.send(message))
    except Exception as why:  # noqa: BLE001 - third-party code: whatever comes out is a result
        return why
