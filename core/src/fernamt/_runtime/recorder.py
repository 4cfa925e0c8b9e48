"""What must be written, whatever else ends: again until the store takes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import structlog
from attrs import evolve

from fernamt._store.deliveries import Result, finish
from fernamt._store.writer import Operation, Writes
from fernamt.connector import Clock
from fernamt.errors import NotStored
from fernamt.model import DeliveryState

_P = TypeVar("_P")
_R = TypeVar("_R")
_log = structlog.get_logger()


async def written(writer: Writes, clock: Clock, operation: Operation[_P, _R], payload: _P) -> _R:
    """Write what must not be given up while the store is away. Cancelled, it may be written or not."""
    while True:
        try:
            return await writer.write(operation, payload)
        except NotStored as full:
            await clock.sleep(full.after_s)


async def recorded(writer: Writes, clock: Clock, results: Sequence[Result]) -> Sequence[DeliveryState]:
    """Record how attempts ended and return what each delivery then is; of what cannot be stored, at least the outcome."""
    try:
        return await written(writer, clock, finish, results)
    except Exception as why:  # noqa: BLE001 - what the store cannot take of one must not keep the others from it
        if len(results) > 1:
            return [state for one in results for state in await recorded(writer, clock, [one])]
        [result] = results
        if result.code or result.ids or result.reason != (failed := type(why).__name__):
            _log.exception("result_not_storable", delivery=result.delivery, error=failed)
            return await recorded(writer, clock, [evolve(result, ids=(), reason=failed, code="")])
        _log.exception("delivery_left_alone", delivery=result.delivery)
        return [DeliveryState.SENDING]
