"""What keeps the disk, the store and the process small while the daemon runs."""

from __future__ import annotations

import asyncio
import gc
from datetime import timedelta
from typing import Final

import structlog
from attrs import field, frozen

from fernamt._store.blobs import BlobStore
from fernamt._store.engine import Store
from fernamt._store.pruning import forget, forget_receipts, runs_over, unclaimed_receipts
from fernamt._store.writer import Writer
from fernamt.connector import Clock
from fernamt.errors import NotStored
from fernamt.model import microseconds

_EVERY_S: Final = 3600.0
RECEIPTS_WAIT: Final = timedelta(days=7)
"""So long a receipt waits for the message that it names: most meet it within a second, and what a look-up finds within a day."""
_log = structlog.get_logger()


@frozen
class Upkeep:
    """What is removed every hour."""

    blobs: BlobStore
    store: Store
    writer: Writer
    clock: Clock
    notices_kept: timedelta | None = field(kw_only=True)
    """Runs of notices that were over so long ago are forgotten; ``None``: none is."""

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self.clock.sleep(_EVERY_S)
            await self._sweep()
            await self._prune_receipts(microseconds(self.clock.now() - RECEIPTS_WAIT))
            if self.notices_kept is not None:
                await self._prune(microseconds(self.clock.now() - self.notices_kept))

    async def _sweep(self) -> None:
        """Remove content that nothing names."""
        try:
            swept = await asyncio.to_thread(self.blobs.sweep)
        except (NotStored, OSError) as why:
            _log.warning("blobs_not_swept", error=str(why))
        else:
            _log.info("blobs_swept", count=swept)

    async def _prune(self, before_us: int) -> None:
        """Forget the runs of notices that were over before that."""
        try:
            runs = await asyncio.to_thread(self._over, before_us)
            for run in runs:
                while await self.writer.write(forget, run):
                    pass
        except NotStored as why:
            _log.warning("notices_not_pruned", error=str(why))
        else:
            _log.info("notices_pruned", runs=len(runs))

    async def _prune_receipts(self, before_us: int) -> None:
        """Forget receipts from before that whose message never became known: another program with this account sent it."""
        count = 0
        try:
            while found := await asyncio.to_thread(self._unclaimed, before_us):
                await self.writer.write(forget_receipts, found)
                count += len(found)
        except NotStored as why:
            _log.warning("receipts_not_pruned", error=str(why))
        else:
            _log.info("receipts_pruned", count=count)

    def _unclaimed(self, before_us: int) -> tuple[int, ...]:
        with self.store.read() as connection:
            return unclaimed_receipts(connection, before_us)

    def _over(self, before_us: int) -> tuple[int, ...]:
        with self.store.read() as connection:
            return runs_over(connection, before_us)


def spare_the_collector() -> None:
    """Let the garbage collector look at less, and less often: a tenth of what a message costs.

    What the start made lives as long as the process, and what a message makes dies with it by its reference count.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
