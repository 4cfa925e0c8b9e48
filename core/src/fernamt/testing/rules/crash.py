"""A crash at each step of sending: what was begun is known again by a connector that remembers nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from attrs import evolve

from fernamt.connector import ChoosesId, Reconciles
from fernamt.inbound import Receipt
from fernamt.outbound import OutboundMessage, Sent
from fernamt.testing.rig import Rig
from fernamt.testing.rule import Broken, NotApplicable, Rules
from fernamt.testing.rules import needs
from fernamt.testing.rules.inbound import meant_by
from fernamt.testing.trouble import Trouble

rule = RULES = Rules("crash")
_BEFORE: Final = "before the request went out"
_OUT: Final = "while the request was out"
_ANSWERED: Final = "between the answer and its commit"
_LOOKS: Final = 400


async def _crashes(rig: Rig) -> AsyncIterator[tuple[str, OutboundMessage, Sent | None]]:
    """Crash at each step, with a message of its own; the connector that follows has just been built.

    Yields the step, the message, and what ``send`` had returned.
    """
    steps = [_BEFORE, *([_OUT] if Trouble.SILENCE in rig.provider.troubles else []), _ANSWERED]
    for number, step in enumerate(steps, 1):
        message = rig.message(f"Absturz Nummer {number}", key=f"crash{number}", entry_key=f"crash{number}")
        found = None
        if step == _OUT:
            await _cut_off(rig, message)
        elif step == _ANSWERED:
            found = await rig.sent(message)
        rig.restarted()
        yield step, message, found


async def _cut_off(rig: Rig, message: OutboundMessage) -> None:
    """End a send as soon as the provider has the message, which says nothing for now."""
    before = len(rig.provider.arrived)
    await rig.meet(Trouble.SILENCE)
    task = asyncio.ensure_future(rig.connector.send(message))
    for _ in range(_LOOKS):
        if task.done() or len(rig.provider.arrived) > before:
            break
        await asyncio.sleep(0.005)
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()
    await rig.meet(None)


def _idempotent(rig: Rig) -> str:
    return "" if rig.can.idempotent else "capabilities() do not claim idempotent"


async def _knows_repeats(rig: Rig) -> None:
    """Raise ``NotApplicable`` if a repeat makes a second message even without a crash."""
    message = rig.message("Ohne Absturz", key="nocrash", entry_key="nocrash")
    for attempt in (1, 2):
        await rig.sent(evolve(message, attempt=attempt))
    if sum(message.text in one for one in rig.provider.arrived) > 1:
        raise NotApplicable("a repeat makes a second message without a crash, too (out.repeat-is-known)")


@rule("repeat-is-known", "silver", needs.sends, needs.server, _idempotent)
async def repeat_is_known(rig: Rig) -> None:
    """Wherever it crashed, the repeat makes one message of it: not none, and not two."""
    await _knows_repeats(rig)
    async for step, message, _ in _crashes(rig):
        await rig.sent(evolve(message, attempt=2))
        if (count := sum(message.text in one for one in rig.provider.arrived)) != 1:
            raise Broken(
                f"after a crash {step} the repeat made {count} messages: make the idempotency key of message.key alone, and"
                " let nothing that was in memory or the attempt decide, or take idempotent=True out of capabilities()"
            )


@rule("same-ids", "silver", needs.sends, needs.server, _idempotent)
async def same_ids(rig: Rig) -> None:
    """The repeat has the id that the message got before the crash, so that its receipts are known."""
    await _knows_repeats(rig)
    async for step, message, before in _crashes(rig):
        again = await rig.sent(evolve(message, attempt=2))
        if before is not None and before.ids and not {*before.ids} & {*again.ids}:
            raise Broken(
                f"a message had the id {before.ids[0]!r}, and after a crash {step} its repeat has {list(again.ids)}: return the"
                " provider's id as it is"
            )


@rule("lookup-knows", "silver", needs.can(Reconciles), needs.sends, needs.server)
async def lookup_knows(rig: Rig) -> None:
    """What the provider took before a crash is never called not sent."""
    async for step, message, before in _crashes(rig):
        one: Any = rig.connector
        found = await one.lookup(message)
        if found == "not_sent" and step != _BEFORE:
            raise Broken(
                f"the provider had the message, and after a crash {step} lookup said not_sent: ask the provider, whatever is"
                " in memory"
            )
        if before is not None and isinstance(found, Sent) and not {*before.ids} & {*found.ids}:
            raise Broken(
                f"a message had the id {list(before.ids)}, and after a crash {step} lookup named it {list(found.ids)}: return"
                " the id that send returns"
            )


@rule("can-be-settled", "silver", needs.sends, needs.server)
async def can_be_settled(rig: Rig) -> None:
    """There is a way to learn what became of a message whose sending was cut off."""
    if rig.can.idempotent or rig.has(ChoosesId) or rig.has(Reconciles):
        return
    for one in rig.recordings:
        if any(isinstance(event, Receipt) and event.message_key for event in await meant_by(rig, one)):
            return
    raise Broken(
        "after a crash nobody ever learns whether a message went out: give the provider message.key as an idempotency key"
        " (idempotent), fix the id beforehand (id_for), ask by the key (lookup), or let receipts say it (message_key)"
    )
