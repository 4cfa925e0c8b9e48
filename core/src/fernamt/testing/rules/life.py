"""Beginning, ending, and what a connector does to the process around it."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from contextvars import ContextVar
from typing import Any
from weakref import WeakSet

from fernamt.connector import Describes, Receives, Verifies
from fernamt.outbound import Capabilities, Sent
from fernamt.testing.rig import Rig, said
from fernamt.testing.rule import Broken, NotApplicable, Rules
from fernamt.testing.rules import needs
from fernamt.testing.trouble import Trouble

rule = RULES = Rules("life")
_CANCEL_S = 2.0
_SETTLE = 50
_of_the_connector = ContextVar("of_the_connector", default=False)
"""What is begun by the fake server does not have it."""


async def _worked(rig: Rig) -> None:
    """Let the connector do what it can for a moment, and end it."""
    if rig.has(Receives):
        async with rig.running() as task:
            with suppress(Broken):
                await rig.came()
            await rig.ticking({task}, within_s=0.1)
    if rig.suite.sends:
        await rig.outcome(rig.message())
    if isinstance(rig.connector, Verifies):
        with suppress(Exception):
            await rig.connector.verify()


@rule("built-quietly", "bronze")
async def built_quietly(rig: Rig) -> None:
    """To construct a connector does nothing yet."""
    before = asyncio.all_tasks()
    rig.another()
    await asyncio.sleep(0.05)
    if rig.seen.outside or rig.requests or (rig.server is not None and rig.server.asked):
        raise Broken("construction called the provider: do that in run, verify or send")
    if asyncio.all_tasks() - before:
        raise Broken("construction began a task: begin it in run, which owns it and ends it")


@rule("no-task-left", "bronze")
async def no_task_left(rig: Rig) -> None:
    """What it began has ended when it has."""
    loop, begun = asyncio.get_running_loop(), WeakSet[asyncio.Task[Any]]()

    def begin(loop: asyncio.AbstractEventLoop, coroutine: Any, **more: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coroutine, loop=loop, **more)
        if _of_the_connector.get():
            begun.add(task)
        return task

    loop.set_task_factory(begin)
    _of_the_connector.set(True)
    await _worked(rig)
    loop.set_task_factory(None)
    left = []
    for _ in range(_SETTLE):
        if not (left := [one for one in begun if not one.done()]):
            return
        await asyncio.sleep(0.01)
    names = ", ".join(sorted(getattr(one.get_coro(), "__qualname__", one.get_name()) for one in left))
    raise Broken(f"{len(left)} tasks were left when all had ended ({names}): await or cancel each where it was begun")


@rule("no-socket-left", "bronze")
async def no_socket_left(rig: Rig) -> None:
    """Every connection that it opened is closed when it has ended."""
    ours = {id(one) for one in rig.seen.sockets}
    await _worked(rig)
    await rig.http.close()
    left = []
    gc.collect()
    for _ in range(_SETTLE):
        left = [one for one in rig.seen.sockets if id(one) not in ours and one.fileno() != -1]
        if not left:
            return
        await asyncio.sleep(0.01)
    raise Broken(f"{len(left)} sockets were left open when all had ended: close them in a finally or an async with")


@rule("stays-here", "bronze")
async def stays_here(rig: Rig) -> None:
    """It calls nobody but the provider of its settings."""
    await _worked(rig)
    if rig.seen.outside:
        raise Broken(
            f"it wanted to reach {rig.seen.outside[0]}, which is not the provider of its settings: let the address come"
            " from the settings"
        )


@rule("never-blocks", "bronze")
async def never_blocks(rig: Rig) -> None:
    """It never holds up the event loop, on which all other channels live."""
    await _worked(rig)
    if rig.seen.blocking:
        raise Broken(f"{rig.seen.blocking[0]} ran on the event loop: use the async way, or asyncio.to_thread")


@rule("starts-again", "bronze", needs.can(Receives), needs.server)
async def starts_again(rig: Rig) -> None:
    """The same connector can be run again after it was stopped."""
    for number in ("first", "second"):
        before = rig.provider.asked
        async with rig.running(supervised=False) as task:
            await rig.ticking({task}, within_s=0.2)
            if task.done() and not task.cancelled() and (why := task.exception()) is not None:
                raise Broken(
                    f"the {number} run {said(why)}: leave nothing behind that stands in the way of the next one"
                )
        if number == "second" and rig.provider.asked == before and not rig.context.states:
            raise Broken("the second run did nothing: begin anew whenever run is called")


@rule("capabilities-steady", "bronze", needs.can(Describes))
async def capabilities_steady(rig: Rig) -> None:
    """It says the same of itself whenever it is asked."""
    assert isinstance(rig.connector, Describes)
    first, second = rig.connector.capabilities(), rig.connector.capabilities()
    if not isinstance(first, Capabilities):
        raise Broken(f"capabilities() returned {type(first).__name__}: return fernamt.Capabilities")
    if first != second:
        raise Broken(
            "capabilities() returned two different documents in a row: a split message needs them to be the same"
        )


@rule("cancelled-send-ends", "silver", needs.meets(Trouble.SILENCE))
async def cancelled_send_ends(rig: Rig) -> None:
    """A send that is cancelled ends at once, and does not call itself sent."""
    await rig.meet(Trouble.SILENCE)
    task = asyncio.ensure_future(rig.connector.send(rig.message()))
    for _ in range(100):
        if rig.provider.asked or task.done():
            break
        await asyncio.sleep(0.005)
    if task.done():
        raise NotApplicable("send ended before it could be cancelled")
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=_CANCEL_S)
    if not done:
        raise Broken(f"send went on for {_CANCEL_S:g} s after it was cancelled: let CancelledError through")
    if not task.cancelled() and task.exception() is None and isinstance(task.result(), Sent):
        raise Broken(
            "a send that was cancelled returned Sent: let CancelledError through, nobody knows what became of it"
        )
