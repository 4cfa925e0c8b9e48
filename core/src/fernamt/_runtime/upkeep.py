"""What keeps the disk and the process small while the daemon runs."""

from __future__ import annotations

import asyncio
import gc
from typing import Final

import structlog

from fernamt._store.blobs import BlobStore
from fernamt.connector import Clock
from fernamt.errors import NotStored

_SWEEP_EVERY_S: Final = 3600.0
_log = structlog.get_logger()


async def sweeping(blobs: BlobStore, clock: Clock) -> None:
    """Remove content that nothing names, every hour, until cancelled."""
    while True:
        await clock.sleep(_SWEEP_EVERY_S)
        try:
            swept = await asyncio.to_thread(blobs.sweep)
        except (NotStored, OSError) as why:
            _log.warning("blobs_not_swept", error=str(why))
        else:
            _log.info("blobs_swept", count=swept)


def spare_the_collector() -> None:
    """Let the garbage collector look at less, and less often: a tenth of what a message costs.

    What the start made lives as long as the process, and what a message makes dies with it by its reference count.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
