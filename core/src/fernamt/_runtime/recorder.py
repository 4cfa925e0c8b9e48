"""What must be written, whatever else ends: again until the store takes it."""

from __future__ import annotations

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


async def recorded(writer: Writes, clock: Clock, result: Result) -> DeliveryState:
    """Record how an attempt ended and return what the delivery then is; of what cannot be stored, at least the outcome."""
    try:
        return await written(writer, clock, finish, result)
    except Exception as why:  # noqa: BLE001 - the outcome itself can be stored, whatever it is about the rest
        _log.exception("result_not_storable", delivery=result.delivery, error=type(why).__name__)
        return await written(writer, clock, finish, evolve(result, ids=(), reason=type(why).__name__, code=""))
