"""Holding claims: taken when free, renewed at a third of the lease, and whatever runs under one stops when it is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeVar

import structlog

from fernamt._runtime.hub import Hub
from fernamt._store.claims import Claim, Renewal, Wish, renew, take
from fernamt._store.writer import Writes
from fernamt.errors import NotStored

LEASE_S: Final = 15.0
_ASK_EVERY_S: Final = 0.5
STOP_S: Final = 10.0
"""Third-party code that was cancelled and goes on for longer is left behind: nobody waits for it."""
_T = TypeVar("_T")
_log = structlog.get_logger()


class _Held:
    def __init__(self, claim: Claim, valid_until: float) -> None:
        self.claim = claim
        self.valid_until = valid_until
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def lose(self) -> None:
        if not self.lost.done():
            self.lost.set_result(None)


class Claims:
    """The claims of one runner. :meth:`renewing` has to run beside :meth:`hold`."""

    def __init__(self, writer: Writes, *, lease_s: float = LEASE_S, hub: Hub | None = None) -> None:
        self._writer = writer
        self._hub = hub or Hub()
        self._lease_s = lease_s
        self._owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._held: dict[str, _Held] = {}

    async def hold(self, key: str, body: Callable[[Claim], Awaitable[None]]) -> None:
        """Run *body* while this runner holds *key*; when the claim is lost, cancel it and wait for the next turn.

        Returns when *body* returns, and raises what it raises. Cancelled, the claim is given back.
        """
        while True:
            held = await self._taken(key)
            task = asyncio.ensure_future(body(held.claim))
            try:
                await asyncio.wait({task, held.lost}, return_when=asyncio.FIRST_COMPLETED)
                if task.done():
                    return task.result()
                _log.warning("claim_lost", key=key, fence=held.claim.fence)
            finally:
                try:
                    await stop_task(task)
                finally:  # who is cancelled while he waits for that must not renew it for ever
                    del self._held[key]
                    held.lost.cancel()
                    await self._give_back(held.claim)

    def holds(self, claim: Claim) -> bool:
        """Return whether *claim* is ours for sure, by our own clock: a process that was halted learns here that time passed."""
        held = self._held.get(claim.key)
        return held is not None and held.claim == claim and asyncio.get_running_loop().time() < held.valid_until

    async def _taken(self, key: str) -> _Held:
        loop, freed = asyncio.get_running_loop(), asyncio.Event()
        while True:
            freed.clear()
            asked_at = loop.time()
            pause_s = min(_ASK_EVERY_S, self._lease_s / 3)
            try:
                wish = Wish(key=key, owner=self._owner, lease_us=int(self._lease_s * 1_000_000))
                claim = await self._writer.write(take, wish)
            except NotStored as full:
                pause_s = full.after_s
            else:
                if claim is not None:
                    held = self._held[key] = _Held(claim, asked_at + self._lease_s)
                    return held
            with self._hub.waking(freed.set, f"claim:{key}"), contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await freed.wait()

    async def _give_back(self, claim: Claim) -> None:
        try:
            await asyncio.shield(self._writer.write(renew, Renewal(claim=claim, lease_us=0)))
        except NotStored:
            _log.info("claim_left_to_expire", key=claim.key)

    async def renewing(self) -> None:
        """Renew what is held, until cancelled. What nobody has renewed a sixth of the lease before its end is lost."""
        loop, tick_s = asyncio.get_running_loop(), self._lease_s / 6
        lease_us = int(self._lease_s * 1_000_000)
        while True:
            for _ in range(2):
                await asyncio.sleep(tick_s)
                for held in self._held.values():
                    if loop.time() + tick_s > held.valid_until:
                        held.lose()
            for held in self._held.values():
                asked = self._writer.write(renew, Renewal(claim=held.claim, lease_us=lease_us))
                asked.add_done_callback(partial(self._renewed, held, loop.time() + self._lease_s))

    def _renewed(self, held: _Held, valid_until: float, asked: asyncio.Future[bool]) -> None:
        """Take an answer whenever it comes: the store may be slow, or away for a while."""
        if asked.cancelled() or asked.exception() is not None:
            return
        if asked.result():
            held.valid_until = max(held.valid_until, valid_until)
        else:
            held.lose()


async def uncancelled(body: Callable[[], Awaitable[_T]]) -> _T:
    """Return what *body* returns; what it cancels inside itself, and that it wants to exit, is its own failure and not our end."""
    try:
        return await body()
    except asyncio.CancelledError as why:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise RuntimeError("something inside it was cancelled") from why
    except SystemExit as why:
        raise RuntimeError(f"it wanted to exit: {why}") from why


async def stop_task(task: asyncio.Future[None]) -> None:
    """Cancel a task and wait until it is over, or for :data:`STOP_S`; what it raises while it stops is logged."""
    if not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=STOP_S)
    if not task.done():
        _log.error("task_would_not_stop", task=getattr(task, "get_name", str)())
    elif not task.cancelled() and (why := task.exception()) is not None:
        _log.warning("task_failed", error=type(why).__name__, exc_info=why)
