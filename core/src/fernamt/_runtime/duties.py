"""Duties: what plugins do for an erasure, as durable tasks, and for an export, while it is made."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import structlog
from attrs import frozen

from fernamt._runtime.claims import uncancelled
from fernamt._runtime.equipment import Equipment
from fernamt._runtime.hooks import Plugins
from fernamt._runtime.http import ClientHttp
from fernamt._runtime.loader import Loaded
from fernamt._runtime.plan import Plan
from fernamt._runtime.work import Ending, Handler
from fernamt._store.blobs import open_blobs
from fernamt._store.engine import Store
from fernamt._store.erasure import list_beside, reapply
from fernamt._store.tasks import Task
from fernamt.connector import PluginContext
from fernamt.hookspecs import Subject
from fernamt.model import Address, CustomerId, Json
from fernamt.settings import Settings

EXPORT_S: Final = 300.0
"""A plugin that takes longer for an export has failed."""
_log = structlog.get_logger()


def erasing(loaded: Loaded) -> tuple[str, ...]:
    """Return the plugins that have something to erase, or that cannot be asked now: their duty waits until they can."""
    return tuple(sorted({*loaded.plugins.erasing, *(failure.name for failure in loaded.failures)}))


def eraser(plugins: Plugins, name: str, context: PluginContext[Any]) -> Handler:
    """Return what carries out the tasks of kind ``duty`` of one plugin: done when the plugin's duty has returned."""

    async def carry_out(task: Task) -> Ending:
        addresses = tuple(map(Address.parse, task.data["addresses"]))
        subject = Subject(customer=CustomerId(task.data["customer"]), addresses=addresses)
        if (duty := plugins.erase(subject).get(name)) is not None:
            await duty(context)
        return Ending()

    return carry_out


def erase_again(store: Store, loaded: Loaded) -> None:
    """Erase whoever a restored backup brought back, as the list beside the database says. Blocks; cheap where nobody came."""
    path = list_beside(store)
    if path is None or not path.exists():
        return
    try:
        done = reapply(store, path, plugins=erasing(loaded))
    except ValueError:
        _log.error("erase_list_unreadable", file=str(path))
    else:
        if done:
            _log.warning("erased_again", customers=len(done))


@frozen(kw_only=True)
class Collected:
    """What plugins gave for an export, and why some did not, by plugin."""

    given: Mapping[str, Mapping[str, Json]]
    failed: Mapping[str, str]


async def collect(settings: Settings, store: Store, planned: Plan, subject: Subject) -> Collected:
    """Run every plugin's duty of an export, with the plugin's context; a failure is told and stops no other."""
    http = ClientHttp(allow_private=frozenset(settings.http.allow_private))
    equipment = Equipment(planned, store=store, http=http, clock=store.clock, blobs=open_blobs(store))
    given: dict[str, Mapping[str, Json]] = {}
    failed = {failure.name: str(failure) for failure in planned.loaded.failures}
    try:
        for name, duty in sorted(planned.loaded.plugins.export(subject).items()):
            try:
                async with asyncio.timeout(EXPORT_S):
                    given[name] = dict(await uncancelled(partial(duty, equipment.context(name))))
            except Exception as why:  # noqa: BLE001 - a plugin's border: the others are still asked
                _log.error("duty_failed", plugin=name, exc_info=why)
                failed[name] = f"{type(why).__name__}: {why}"
    finally:
        await equipment.close()
    return Collected(given=given, failed=failed)
