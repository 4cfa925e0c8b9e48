"""What comes in by itself: a connector that polls, streams or binds."""

from __future__ import annotations

import asyncio
from typing import Any

from fernamt.connector import Receives
from fernamt.errors import ConfigError, NeedsLogin
from fernamt.inbound import Received
from fernamt.testing.rig import Rig, said
from fernamt.testing.rule import Broken, Rules
from fernamt.testing.rules import needs
from fernamt.testing.trouble import Trouble

rule = RULES = Rules("run")
_TEXTS = ("Anfang der Geschichte", "Mitte der Geschichte", "Ende der Geschichte")
_MANY = tuple(f"Nachricht Nummer {number:03}" for number in range(1, 41))
_CALM_S = 0.3
_CALM_MAX = 12
"""So often a provider may be asked in that time: what begins anew may need a few calls to find out."""
_STOP_S = 2.0
_DOWN = (Trouble.FAILED, Trouble.LOST_QUESTION, Trouble.NOT_THERE)


def _texts(rig: Rig) -> list[str]:
    """Return the texts that came, each once, in order."""
    found = [event.text.strip() for event in rig.context.intake.events if isinstance(event, Received)]
    return list(dict.fromkeys(found))


def _must_have(rig: Rig, texts: tuple[str, ...], when: str, what: str) -> None:
    if missing := [text for text in texts if not any(text in one for one in _texts(rig))]:
        raise Broken(f"{len(missing)} of {len(texts)} messages did not reach intake {when}: {what}")


async def _received(rig: Rig, count: int, when: str, what: str) -> None:
    """Run it under supervision until *count* messages are there."""
    async with rig.running() as task:
        try:
            await rig.received(task, count)
        except Broken as why:
            got = len(rig.context.intake.keys)
            raise Broken(f"{count - got} of {count} messages did not reach intake {when}: {what}") from why


@rule("brings-all", "bronze", needs.holds)
async def brings_all(rig: Rig) -> None:
    """Every message that comes while it runs reaches intake."""
    server: Any = rig.server
    async with rig.running() as task:
        await rig.came()
        await server.hold(*_TEXTS)
        await rig.received(task, len(_TEXTS))
    _must_have(rig, _TEXTS, "with its text", "hand over what stands in the message")


@rule("in-order", "bronze", needs.holds)
async def in_order(rig: Rig) -> None:
    """Messages reach intake in the order in which they came to the provider."""
    server: Any = rig.server
    await server.hold(*_TEXTS)
    async with rig.running() as task:
        await rig.received(task, len(_TEXTS))
    came = [text for one in _texts(rig) for text in _TEXTS if text in one]
    if came != [text for text in _TEXTS if text in came]:
        raise Broken(f"the messages reached intake in the order {came}: hand them over oldest first")


@rule("downtime", "bronze", needs.holds)
async def downtime(rig: Rig) -> None:
    """What came while nobody ran is received at the next start, however much it is."""
    server: Any = rig.server
    await server.hold(*_MANY)
    what = "go on where the cursor stands, page by page, never with the last few or those of a day"
    await _received(rig, len(_MANY), "that came while it did not run", what)


@rule("acknowledged-after-commit", "bronze", needs.holds)
async def acknowledged_after_commit(rig: Rig) -> None:
    """The provider is told, or the message moved, only when intake has it."""
    server: Any = rig.server
    await server.hold(*_TEXTS)
    rig.context.intake.hold = asyncio.Event()
    async with rig.running() as task:
        await rig.ticking({task, asyncio.ensure_future(_entered(rig))}, within_s=5)
    rig.context.intake.hold = None
    rig.restarted()
    what = "acknowledge, delete or move only behind await intake.accept(...)"
    await _received(rig, len(_TEXTS), "after a crash before the commit", what)


async def _entered(rig: Rig) -> None:
    await rig.context.intake.entered.wait()


@rule("not-stored-comes-again", "bronze", needs.holds)
async def not_stored_comes_again(rig: Rig) -> None:
    """What intake cannot take now is offered again."""
    server: Any = rig.server
    await server.hold(*_TEXTS)
    rig.context.intake.refuse = 2
    what = "on NotStored offer the same again after after_s seconds, or let it end run"
    await _received(rig, len(_TEXTS), "after intake raised NotStored twice", what)


@rule("repeat-same-key", "bronze", needs.holds)
async def repeat_same_key(rig: Rig) -> None:
    """What is read again after a crash has the keys that it had before."""
    server: Any = rig.server
    await server.hold(*_TEXTS)
    rig.context.intake.dies = True
    async with rig.running(supervised=False) as task:
        await rig.ticking({task}, within_s=5)
    rig.restarted()
    async with rig.running() as task:
        await rig.received(task, len(_TEXTS))
        await rig.asked_for(0.1)
    if len(keys := rig.context.intake.keys) > len(_TEXTS):
        raise Broken(
            f"{len(_TEXTS)} messages have {len(keys)} keys after a crash between commit and acknowledgement:"
            " make the key of the provider's own id, never of the time or a counter"
        )


@rule("poison-stops-nothing", "bronze", needs.poisons)
async def poison_stops_nothing(rig: Rig) -> None:
    """A message that nobody can read does not stop those behind it."""
    server: Any = rig.server
    await server.hold(_TEXTS[0])
    await server.hold_poison()
    await server.hold(_TEXTS[1])
    async with rig.running() as task:
        for _ in range(50):
            await rig.ticking({task}, within_s=0.1)
            if any(_TEXTS[1] in one for one in _texts(rig)):
                return
    raise Broken(
        "what stood behind a message that nobody can read did not reach intake: catch what goes wrong with one message,"
        " hand over Unparsed for it, and go on"
    )


@rule("poison-is-kept", "bronze", needs.poisons)
async def poison_is_kept(rig: Rig) -> None:
    """A message that nobody can read is kept and shown."""
    server: Any = rig.server
    await server.hold_poison()
    await server.hold(_TEXTS[0])
    async with rig.running() as task:
        for _ in range(20):
            await rig.ticking({task}, within_s=0.1)
            if any(_TEXTS[0] in one for one in _texts(rig)):
                break
        await rig.asked_for(0.1)
    events = rig.context.intake.events
    others = [one for one in events if not (isinstance(one, Received) and _TEXTS[0] in one.text)]
    if events and not others:
        raise Broken(
            "a message that nobody can read vanished: hand over Unparsed with its bytes, so that a person sees it"
        )


@rule("read-elsewhere", "bronze", needs.read_elsewhere)
async def read_elsewhere(rig: Rig) -> None:
    """What a colleague has read with the provider's own app is received all the same."""
    server: Any = rig.server
    await server.hold(*_TEXTS)
    await server.read_elsewhere()
    what = "never use the mark 'unread' as a cursor"
    await _received(rig, len(_TEXTS), "after somebody had read them with the provider's own app", what)


@rule("stops-in-time", "bronze", needs.can(Receives), needs.server)
async def stops_in_time(rig: Rig) -> None:
    """Cancelled, it ends at once."""
    task = asyncio.ensure_future(rig.run())
    await rig.came()
    if not await rig.stopped(task, within_s=_STOP_S):
        raise Broken(
            f"run went on for {_STOP_S:g} s after it was cancelled: let CancelledError through, and keep finally short"
        )


@rule("login-is-told", "bronze", needs.runs_into(Trouble.LOGIN))
async def login_is_told(rig: Rig) -> None:
    """A login that is not accepted stops the channel."""
    found = await _ended(rig, Trouble.LOGIN)
    if not isinstance(found, NeedsLogin):
        raise Broken(f"the provider did not accept the login, and run {_how(found)}: raise NeedsLogin")


def _how(found: BaseException | None) -> str:
    return said(found) if found is not None else "went on, or ended without a word"


async def _ended(rig: Rig, trouble: Trouble) -> BaseException | None:
    """Return what run raises when it starts in trouble, ``None`` if it goes on."""
    await rig.meet(trouble)
    async with rig.running(supervised=False) as task:
        await rig.ticking({task}, within_s=1.0)
        return task.exception() if task.done() and not task.cancelled() else None


@rule("outage-is-no-login", "silver", needs.can(Receives), needs.server)
async def outage_is_no_login(rig: Rig) -> None:
    """An outage of the provider does not stop the channel for good."""
    for trouble in (Trouble.NOT_THERE, Trouble.LOST_QUESTION, Trouble.FAILED, Trouble.NONSENSE, Trouble.THROTTLED):
        if trouble in rig.provider.troubles:
            found = await _ended(rig, trouble)
            if isinstance(found, NeedsLogin | ConfigError):
                raise Broken(
                    f"in trouble ({trouble.value}) run {said(found)}, which waits for a person: raise Unreachable, the channel"
                    " is then started again by itself"
                )


def _down(rig: Rig) -> Trouble:
    return next(one for one in _DOWN if one in rig.provider.troubles)


@rule("outage-passes", "silver", needs.holds, needs.runs_into(*_DOWN))
async def outage_passes(rig: Rig) -> None:
    """When the provider is back, messages come again by themselves."""
    server: Any = rig.server
    trouble = _down(rig)
    async with rig.running() as task:
        await rig.came()
        await rig.meet(trouble)
        await rig.ticking({task}, within_s=0.3)
        await rig.meet(None)
        await server.hold(*_TEXTS)
        try:
            await rig.received(task, len(_TEXTS))
        except Broken as why:
            raise Broken(
                f"after an outage ({trouble.value}) nothing came any more: let the error end run, it is started again;"
                " to return means that there is nothing more to run"
            ) from why


@rule("outage-is-calm", "silver", needs.runs_into(*_DOWN))
async def outage_is_calm(rig: Rig) -> None:
    """A provider in trouble is not called without a pause."""
    await rig.meet(_down(rig))
    async with rig.running(supervised=False):
        count = await rig.asked_for(_CALM_S)
    if count > _CALM_MAX:
        raise Broken(
            f"a provider in trouble was asked {count} times in {_CALM_S:g} s: let the error end run, the supervisor's pauses grow"
        )


@rule("outage-is-logged-once", "silver", needs.runs_into(*_DOWN))
async def outage_is_logged_once(rig: Rig) -> None:
    """An outage is told once, not at every attempt."""
    await rig.meet(_down(rig))
    async with rig.running() as task:
        await rig.ticking({task}, within_s=0.4)
    loud = [one for one in rig.context.logged if one.get("level") in {"warning", "error", "critical"}]
    if len(loud) > 1:
        raise Broken(
            f"one outage was logged {len(loud)} times ({loud[0].get('event')}): raise, and let the supervisor tell it once"
            " down and once up"
        )


@rule("polls-calmly", "bronze", needs.can(Receives), needs.server)
async def polls_calmly(rig: Rig) -> None:
    """Where nothing waits, the provider is asked at a steady, slow pace."""
    async with rig.running():
        await rig.came()
        count = await rig.asked_for(_CALM_S)
    if count > _CALM_MAX:
        raise Broken(
            f"with nothing waiting the provider was asked {count} times in {_CALM_S:g} s: pause between two polls, with"
            " context.clock.sleep"
        )


@rule("waits-for-intake", "silver", needs.holds)
async def waits_for_intake(rig: Rig) -> None:
    """While intake is full, it reads no further."""
    server: Any = rig.server
    await server.hold(*(text + str(number) for number in range(4) for text in _MANY))
    rig.context.intake.hold = asyncio.Event()
    async with rig.running() as task:
        await rig.ticking({task, asyncio.ensure_future(_entered(rig))}, within_s=5)
        count = await rig.asked_for(_CALM_S)
    if count > _CALM_MAX:
        raise Broken(
            f"while intake was full the provider was asked {count} times more: await intake.accept(..., wait=True) before"
            " you read on, so that memory has a limit"
        )


@rule("says-that-it-is-up", "silver", needs.can(Receives), needs.server)
async def says_that_it_is_up(rig: Rig) -> None:
    """It reports that the line stands, as soon as it does."""
    async with rig.running() as task:
        await rig.ticking({task, asyncio.ensure_future(rig.context.reported.wait())}, within_s=3)
    if not any(state == "up" for state, _ in rig.context.states):
        raise Broken("run did not report that it is up: call context.report_state('up') when the provider has answered")
