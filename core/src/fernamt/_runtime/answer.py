"""What comes out of one call of a connector's ``send``: an answer, or an error that is one."""

from __future__ import annotations

import asyncio

from fernamt._runtime.claims import uncancelled
from fernamt.connector import Connector
from fernamt.outbound import OutboundMessage, Sent


async def answer_of(connector: Connector, message: OutboundMessage, *, within_s: float) -> Sent | Exception:
    """Let *connector* make one attempt and return what it returned or raised; ``TimeoutError`` after *within_s* seconds.

    Cancelled, it is cancelled, too, and nobody knows what became of the message. To be called in a task.
    """
    task = asyncio.current_task()
    assert task is not None
    late: list[bool] = []
    # A bare timer: asyncio.timeout takes four times as long, as much as all else here together.
    timer = asyncio.get_running_loop().call_later(within_s, lambda: late.append(task.cancel()))
    try:
        return await uncancelled(lambda: connector.send(message))
    except asyncio.CancelledError:
        if not late or task.uncancel():
            raise
        return TimeoutError()
    except Exception as why:  # noqa: BLE001 - third-party code: whatever comes out is a result
        return why
    finally:
        timer.cancel()
