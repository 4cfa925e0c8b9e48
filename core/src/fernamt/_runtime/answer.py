"""What comes out of one call of a connector's ``send``: an answer, or an error that is one."""

from __future__ import annotations

import asyncio

from fernamt.connector import Connector
from fernamt.outbound import OutboundMessage, Sent


async def answer_of(connector: Connector, message: OutboundMessage, *, within_s: float) -> Sent | Exception:
    """Let *connector* make one attempt and return what it returned or raised; ``TimeoutError`` after *within_s* seconds.

    Cancelled, it is cancelled, too, and nobody knows what became of the message.
    """
    try:
        async with asyncio.timeout(within_s):
            return await connector.send(message)
    except asyncio.CancelledError as why:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return RuntimeError(str(why))  # something inside was cancelled, not we
    except (Exception, SystemExit) as why:  # noqa: BLE001 - third-party code: whatever comes out is a result
        return why if isinstance(why, Exception) else RuntimeError(f"it wanted to exit: {why}")
