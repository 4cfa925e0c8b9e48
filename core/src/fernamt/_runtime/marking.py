"""Providers are told what people have read: once, best effort, in nobody's way."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Final

import structlog

from fernamt._runtime.claims import uncancelled
from fernamt._runtime.work import Ending, Handler
from fernamt._store.engine import Store
from fernamt._store.reading import note_read, read_ids
from fernamt._store.reception import Line
from fernamt._store.tasks import Task
from fernamt.connector import Connector, MarksRead

MARK_S: Final = 10.0
"""A provider that has not taken it by then is not told."""
_log = structlog.get_logger()


def reading(channels: Collection[str]) -> Handler:
    """Return what is told when a person may have read something; *channels* can mark."""

    async def tell(task: Task) -> Ending:
        return Ending(lambda tx: note_read(tx, task.conversation or 0, channels))

    return tell


def marking(line: Line, connector: Connector, store: Store) -> Mapping[str, Handler]:
    """Return what carries out the ``read`` tasks of a channel, by kind; nothing if its connector cannot."""
    if not isinstance(connector, MarksRead):
        return {}

    def ids_of(task: Task) -> list[str]:
        with store.read() as connection:
            return read_ids(store.statements(connection), line.number, task)

    async def mark(task: Task) -> Ending:
        try:
            if ids := await asyncio.to_thread(ids_of, task):
                async with asyncio.timeout(MARK_S):
                    await uncancelled(lambda: connector.mark_read(ids))
        except Exception as why:  # noqa: BLE001 - best effort: whatever goes wrong, nothing else suffers from it
            _log.info("not_marked_read", channel=line.id, error=type(why).__name__)
        return Ending()

    return {"read": mark}
