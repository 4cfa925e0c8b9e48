"""Telephone lines: turns that are brought to them, and calls that we make."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from fernamt.connector import Dials, Performs
from fernamt.errors import ChannelError, Unreachable, Unsupported
from fernamt.outbound import Sent
from fernamt.session import HangUp
from fernamt.testing.rig import PATIENCE_S, Rig, said
from fernamt.testing.rule import Broken, NotApplicable, Rules
from fernamt.testing.rules import needs
from fernamt.testing.rules.ability import ACTIONS, turn_of
from fernamt.testing.trouble import Trouble

rule = RULES = Rules("ability")
_SESSION: Final = "session-of-the-kit-4711"
_DONE: Final = (Trouble.LOST_ANSWER, Trouble.CUT_SHORT, Trouble.NONSENSE, Trouble.FAILED)


@rule("perform-or-unsupported", "bronze", needs.can(Performs), needs.server)
async def perform_or_unsupported(rig: Rig) -> None:
    """Every action reaches the line, or is refused with Unsupported."""
    one: Any = rig.connector
    for action in ACTIONS:
        before = rig.provider.asked
        try:
            await one.perform(turn_of(action))
        except Unsupported:
            continue
        except Exception as why:
            raise Broken(
                f"{type(action).__name__} made perform raise {type(why).__name__}: tell the provider, or raise Unsupported"
            ) from why
        if rig.provider.asked == before:
            raise Broken(
                f"perform of {type(action).__name__} returned without asking the provider: tell it, or raise Unsupported"
            )


@rule("perform-in-trouble", "silver", needs.can(Performs), needs.server)
async def perform_in_trouble(rig: Rig) -> None:
    """What goes wrong while a turn is performed is said as in send, so that it is tried again only where that is right."""
    one: Any = rig.connector
    # Nobody listens at first: over a connection that stood, nothing would be certain.
    for trouble in sorted(rig.provider.troubles, key=lambda one: (one is not Trouble.NOT_THERE, one)):
        await rig.meet(trouble)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await one.perform(turn_of(HangUp()))
        except ChannelError as why:
            if trouble is Trouble.NOT_THERE and not (isinstance(why, Unreachable) and why.certain):
                raise Broken(
                    f"nobody listened at the provider, and perform {said(why)}: raise Unreachable(certain=True), so that the"
                    " turn is tried again"
                ) from why
        except Exception as why:
            raise Broken(
                f"in trouble ({trouble.value}) perform {said(why)}: raise one of fernamt's errors, as in send"
            ) from why


async def _dialled(rig: Rig) -> Sent | BaseException:
    one: Any = rig.connector
    try:
        async with asyncio.timeout(PATIENCE_S):
            found: Sent = await one.dial(rig.suite.recipient(), session=_SESSION)
            return found
    except Exception as why:  # noqa: BLE001 - a stranger's connector: what it raises is what is judged
        return why


@rule("dial-rings", "bronze", needs.can(Dials), needs.server)
async def dial_rings(rig: Rig) -> None:
    """A call is begun at the provider, and named by the provider's id."""
    before, found = rig.provider.asked, await _dialled(rig)
    if not isinstance(found, Sent):
        raise Broken(f"dial {said(found)} although the provider was well: a good answer must give Sent")
    if rig.provider.asked == before:
        raise Broken("dial returned Sent without asking the provider: begin the call there")
    if not found.ids or not all(found.ids):
        raise Broken(f"dial {said(found)}: return the provider's id of the call, its events name it")


@rule("dial-once", "bronze", needs.can(Dials), needs.server)
async def dial_once(rig: Rig) -> None:
    """One dial rings at most once, whatever the answer is."""
    await _dialled(rig)
    if not rig.provider.arrived:
        raise NotApplicable("the fake server does not count calls among what arrived")
    for trouble in _DONE:
        if trouble not in rig.provider.troubles:
            continue
        before = len(rig.provider.arrived)
        await rig.meet(trouble)
        await _dialled(rig)
        if (count := len(rig.provider.arrived) - before) > 1:
            raise Broken(
                f"one dial rang {count} times when the provider was in trouble ({trouble.value}): take every retry out of dial"
            )


@rule("dial-uncertain", "silver", needs.can(Dials), needs.knows(Trouble.LOST_ANSWER))
async def dial_uncertain(rig: Rig) -> None:
    """A dial whose answer was lost is uncertain: the telephone may be ringing."""
    await rig.meet(Trouble.LOST_ANSWER)
    found = await _dialled(rig)
    if not (isinstance(found, Unreachable) and not found.certain):
        raise Broken(
            f"the connection ended before the answer, and dial {said(found)}: raise Unreachable(certain=False), it may ring"
        )


@rule("dial-names-session", "silver", needs.can(Dials), needs.transcribes)
async def dial_names_session(rig: Rig) -> None:
    """The session goes along with a call, so that an uncertain dial is settled by the call's first event."""
    await _dialled(rig)
    if not any(_SESSION in one for one in rig.transcribed()):
        raise Broken(
            "the session did not reach the provider: put it into the address that the provider calls back, or into a field"
            " that its events repeat"
        )
