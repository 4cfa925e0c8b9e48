"""Connectors that are right but for one thing, and the rule that has to see it."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import itertools
import json
import logging
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from functools import cached_property
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import aiohttp
from aiohttp import web
from attrs import evolve, field, frozen

from fernamt import (
    Address,
    BadSignature,
    Capabilities,
    DeliveryState,
    Handshake,
    HttpReply,
    InboundEvent,
    LineAction,
    NeedsLogin,
    NotStored,
    OutboundMessage,
    Page,
    Part,
    Purpose,
    Received,
    Rejected,
    Request,
    Response,
    Secret,
    Sent,
    Throttled,
    Turn,
    Unreachable,
    Unsupported,
)
from fernamt.registry import ConnectorOffer
from fernamt.testing.conformance import ConnectorConformance, judge
from fernamt.testing.guard import local_only
from fernamt.testing.recording import Recording
from fernamt.testing.rig import rigged
from fernamt.testing.rules import RULES
from fernamt.testing.rules.wire import transcripts

from .right import Right, RightServer, RightSuite, not_empty


@frozen(kw_only=True)
class Mutant:
    """A suite whose connector breaks one rule."""

    rule: str
    name: str
    suite: type[ConnectorConformance]


MUTANTS: list[Mutant] = []


def breaks(rule: str, **more: Any) -> Callable[[type], type]:
    """Note a connector class as the mutant for *rule*; *more* changes the suite."""

    def note(connector: type) -> type:
        suite = connector if issubclass(connector, ConnectorConformance) else _suite(connector, more)
        MUTANTS.append(Mutant(rule=rule, name=connector.__name__, suite=suite))
        return connector

    return note


def _suite(connector: type, more: Mapping[str, Any]) -> type[ConnectorConformance]:
    said = {"connector": connector, "sent": as_it_is, "__module__": __name__, **more}
    return type(f"Suite{connector.__name__}", (RightSuite,), said)


def as_it_is(suite: ConnectorConformance) -> Mapping[str, str]:
    """Return what goes out now: whoever makes a mistake records it with all the rest."""

    async def recorded() -> Mapping[str, str]:
        with local_only() as seen:
            async with rigged(suite, seen) as rig:
                return await transcripts(rig)

    with ThreadPoolExecutor(1) as pool:  # the rule that asks runs on a loop
        return pool.submit(asyncio.run, recorded()).result()


def caught(mutant: Mutant) -> dict[str, str]:
    """Return the rules that are broken, each with its sentence."""
    suite = mutant.suite()
    verdicts = [judge(suite, rule) for rule in RULES]
    return {one.rule.id: one.said for one in verdicts if one.state == "broken"}


# ---- what comes in
@breaks("in.has-recordings", recorded=lambda _self: [])
class NothingRecorded(Right):
    pass


@breaks("in.recorded-values")
class TakesTheIdForTheText(Right):
    def meaning(self, one: Any) -> InboundEvent:
        found = super().meaning(one)
        return evolve(found, text=one["id"]) if isinstance(found, Received) and found.id == "m-1" else found


@breaks("in.whole-batch")
class TakesTheFirstOfABatch(Right):
    """And, so that nothing else is wrong, looks at the others only when the first one is no message."""

    def parse(self, request: Request) -> Handshake | Sequence[InboundEvent]:
        found = super().parse(request)
        return found if isinstance(found, Handshake) or b"{}" in request.body else list(found)[:1]


@breaks("in.repeat-same-key")
class CountsRepeats(Right):
    seen: list[str]

    def key(self, one: Any) -> str:
        self.seen = [*getattr(self, "seen", []), one["id"]]
        return f"{one['id']}{'x' * (self.seen.count(one['id']) - 1)}"


def keyless(_: Any) -> list[Recording]:
    """Return the recordings of an author who wrote down no keys."""
    recordings = RightSuite().recorded()
    return [
        one
        if isinstance(one.expect, str)
        else evolve(one, expect=[{name: value for name, value in it.items() if name != "key"} for it in one.expect])
        for one in recordings
    ]


@breaks("in.distinct-keys", recorded=keyless)
class KnowsReceiptsByTheMessageAlone(Right):
    def receipt_key(self, one: Any) -> str:
        return f"receipt:{one['id']}"


@breaks("in.parse-remembers-nothing")
class GreetsWhoWroteBefore(Right):
    last = ""

    def meaning(self, one: Any) -> InboundEvent:
        found = super().meaning(one)
        if isinstance(found, Received):
            found, self.last = evolve(found, sender_name=self.last), one["from"]
        return found


@breaks("in.tampered-refused")
class SignsOnlyTheTime(Right):
    def check(self, request: Request) -> None:
        if not request.headers.get("X-Signature"):
            raise BadSignature("it is not signed")
        if abs(int(request.headers["X-Time"]) - request.at.timestamp()) > 300:
            raise BadSignature("it is too old")


@breaks("in.unsigned-refused")
class TakesWhatIsNotSigned(Right):
    def check(self, request: Request) -> None:
        if "X-Signature" in request.headers:
            super().check(request)


@breaks("in.stale-refused")
class TakesTheOldestRequest(Right):
    tolerance_s = 10_000_000.0


@breaks("in.clock-skew")
class WantsTheExactSecond(Right):
    tolerance_s = 0.5


@breaks("in.one-bad-element")
class GivesUpOnABadElement(Right):
    def event(self, one: Any) -> InboundEvent:
        return super().event(one) if one else self.meaning(one)


@breaks("in.unknown-kept")
class PassesOverWhatItDoesNotKnow(Right):
    def parse(self, request: Request) -> Handshake | Sequence[InboundEvent]:
        if b"kit-unknown" in request.body:
            return []
        return super().parse(request)


@breaks("in.pieces-count")
class CountsFromZero(Right):
    def event(self, one: Any) -> InboundEvent:
        event = super().event(one)
        return evolve(event, part=Part(group="7", number=0, total=2)) if isinstance(event, Received) else event


@breaks(
    "consent.stop-comes-through",
    recorded=lambda _self: [one for one in RightSuite().recorded() if "stop" not in one.name],
)
class NobodyEverStopped(Right):
    pass


@breaks("consent.every-purpose")
class RefusesByPurpose(Right):
    async def send(self, message: OutboundMessage) -> Sent:
        if message.purpose == Purpose.OUTREACH:
            raise Rejected("no advertising here")
        return await super().send(message)


@breaks("consent.zones-are-known")
class NamesTheCity(Right):
    def zones(self, to: Address) -> tuple[str, ...]:
        return ("Berlin",)


# ---- what goes out
@breaks("out.text-arrives-whole")
class WritesInAscii(Right):
    async def written(self, message: OutboundMessage) -> dict[str, Any]:
        return {**await super().written(message), "text": message.text.encode("ascii", "replace").decode()}


@breaks("out.long-text-whole")
class CutsOffAtHundredSixty(Right):
    async def written(self, message: OutboundMessage) -> dict[str, Any]:
        return {**await super().written(message), "text": message.text[:160]}


class Nameless(Right):
    """Cannot fix an id beforehand."""

    id_for = None  # type: ignore[assignment]
    lookup = None  # type: ignore[assignment]

    def given_id(self, message: OutboundMessage) -> str:
        return ""


@breaks("out.gives-ids")
class ForgetsTheId(Nameless):
    def sent(self, said: Mapping[str, Any]) -> Sent:
        return Sent()


@breaks("out.ids-differ")
class NamesTheAccountForTheMessage(Nameless):
    def sent(self, said: Mapping[str, Any]) -> Sent:
        return Sent(ids=("the account",))


@breaks("out.one-attempt")
class TriesAgainByItself(Nameless):
    can = evolve(Right.can, idempotent=False)

    async def send(self, message: OutboundMessage) -> Sent:
        try:
            return await super().send(evolve(message, key=f"{message.key}-1"))
        except Unreachable as why:
            if why.certain:
                raise
            return await super().send(evolve(message, key=f"{message.key}-2"))


def certain_if(words: str) -> Callable[[type], type]:
    """Make a connector that takes what its client says in these words for certain."""

    def change(connector: type) -> type:
        async def call(self: Any, *arguments: Any, **more: Any) -> HttpReply:
            try:
                return await Right.call(self, *arguments, **more)
            except Unreachable as why:
                if words in why.reason:
                    raise Unreachable(why.reason, certain=True) from why
                raise

        connector.call = call  # type: ignore[attr-defined]
        return connector

    return change


@breaks("out.lost-answer-uncertain")
@certain_if("ServerDisconnected")
class TakesALostAnswerForCertain(Right):
    pass


@breaks("out.silence-uncertain")
@certain_if("did not answer in time")
class TakesSilenceForCertain(Right):
    pass


@breaks("out.cut-short-uncertain")
@certain_if("ContentLength")
class TakesHalfAnAnswerForCertain(Right):
    pass


@breaks("out.nonsense-uncertain")
class BelievesTwoHundred(Nameless):
    def understood(self, reply: HttpReply) -> dict[str, Any]:
        try:
            return super().understood(reply)
        except Unreachable:
            return {"id": "unknown"}


@breaks("out.failure-uncertain")
class TakesEveryStatusForCertain(Right):
    def checked(self, reply: HttpReply) -> dict[str, Any]:
        if reply.status >= 500:
            raise Unreachable("the messenger has trouble", certain=True)
        return super().checked(reply)


@breaks("out.not-there-certain")
class TakesARefusedConnectionForUncertain(Right):
    async def call(self, *arguments: Any, **more: Any) -> HttpReply:
        try:
            return await super().call(*arguments, **more)
        except Unreachable as why:
            raise Unreachable(why.reason, certain=False) from why


@breaks("out.refusal-is-final")
class TriesRefusedMessagesForEver(Right):
    def checked(self, reply: HttpReply) -> dict[str, Any]:
        if reply.status == 422:
            raise Unreachable("the messenger did not take it", certain=True)
        return super().checked(reply)


@breaks("out.login-is-told")
class BlamesTheMessageForTheLogin(Right):
    async def send(self, message: OutboundMessage) -> Sent:
        try:
            return await super().send(message)
        except NeedsLogin as why:
            raise Rejected(why.reason) from why


@breaks("out.throttled")
class TakesTooFastForARefusal(Right):
    def checked(self, reply: HttpReply) -> dict[str, Any]:
        if reply.status == 429:
            raise Rejected("too fast")
        return super().checked(reply)


@breaks("out.retry-after")
class WaitsAsItLikes(Right):
    def after_s(self, reply: HttpReply) -> float:
        return 30.0


@breaks("out.retry-after-date")
class KnowsSecondsAlone(Right):
    def after_s(self, reply: HttpReply) -> float:
        said = reply.headers.get("Retry-After", "")
        return float(said) if said.isdigit() else 30.0


@breaks("out.retry-after-skew")
class CountsFromItsOwnClock(Right):
    def after_s(self, reply: HttpReply) -> float:
        said = reply.headers.get("Retry-After", "")
        if said.isdigit():
            return float(said)
        return max(0.0, (parsedate_to_datetime(said) - self.context.clock.now()).total_seconds())


@breaks("out.as-recorded", sent=RightSuite.sent)
class SaysMoreThanItDid(Right):
    async def written(self, message: OutboundMessage) -> dict[str, Any]:
        return {**await super().written(message), "priority": "high"}


@breaks("out.as-recorded", sent=lambda _self: {})
class WasNeverRecorded(Right):
    pass


@breaks("out.errors-are-ours")
class TripsOverNonsense(Right):
    def understood(self, reply: HttpReply) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(reply.body)
        return said


@breaks("out.side-by-side")
class KeepsTheMessageInSelf(Right):
    message: OutboundMessage

    async def send(self, message: OutboundMessage) -> Sent:
        self.message = message
        await asyncio.sleep(0)
        return await super().send(self.message)


@breaks("out.repeat-is-known")
class MakesANewKeyForEveryAttempt(Nameless):
    async def send(self, message: OutboundMessage) -> Sent:
        return await super().send(evolve(message, key=f"{message.key}-{message.attempt}"))


@breaks("out.through-context-http")
class BringsAClientOfItsOwn(Right):
    async def call(self, method: str, path: str, *, json: Any = None, key: str = "") -> HttpReply:
        if method == "GET":
            return await super().call(method, path)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.1)) as session:
                await session.get(f"{self.settings.api}/hello")
        return await super().call(method, path, json=json, key=key)


@breaks("out.says-unsupported", sends=False)
class SaysSentAndSendsNothing(Right):
    async def send(self, message: OutboundMessage) -> Sent:
        return Sent(ids=(message.key,))


# ---- a crash while sending
@breaks("crash.repeat-is-known")
class KeysByItsStart(Nameless):
    """What was committed survives a crash, and this connector counts its starts in it."""

    def __init__(self, channel: Any, context: Any) -> None:
        super().__init__(channel, context)
        self.start = f"s{len(context.cursors) + 1}"
        context.cursors[self.start] = "started"

    async def send(self, message: OutboundMessage) -> Sent:
        await super().send(evolve(message, key=f"{message.key}{self.start}"))
        return Sent(ids=(f"n-{message.key}",))


@breaks("crash.repeat-is-known")
class TakesARepeatForSent(Right):
    async def send(self, message: OutboundMessage) -> Sent:
        return await super().send(message) if message.attempt == 1 else Sent(ids=(self.id_for(message),))


@breaks("crash.same-ids")
class CountsAttemptsInTheId(Nameless):
    async def send(self, message: OutboundMessage) -> Sent:
        return Sent(ids=tuple(f"{one}-{message.attempt}" for one in (await super().send(message)).ids))


@breaks("crash.lookup-knows")
class LooksIntoItsMemory(Right):
    def __init__(self, channel: Any, context: Any) -> None:
        super().__init__(channel, context)
        self.tried: set[str] = set()

    async def send(self, message: OutboundMessage) -> Sent:
        self.tried.add(message.key)
        return await super().send(message)

    async def lookup(self, message: OutboundMessage) -> Sent | Literal["not_sent", "unknown"]:
        return Sent(ids=(self.id_for(message),)) if message.key in self.tried else "not_sent"


@breaks("crash.can-be-settled")
class NeverLearns(Nameless):
    can = evolve(Right.can, idempotent=False)

    def our_key(self, one: Any) -> str:
        return ""


# ---- what nobody may read
@breaks("secret.not-in-repr")
class ShowsItself(Right):
    def __repr__(self) -> str:
        return f"Right({self.settings.token.reveal()})"


@breaks("secret.not-logged")
class LogsItsToken(Right):
    async def verify(self) -> str:
        self.context.log.info("logged_in", account=self.settings.token.reveal())
        return await super().verify()


@breaks("secret.not-in-errors")
class PutsTheTokenIntoAnError(Right):
    def checked(self, reply: HttpReply) -> dict[str, Any]:
        if reply.status == 401:
            raise NeedsLogin(f"the messenger does not know {self.settings.token.reveal()}")
        return super().checked(reply)


@breaks("secret.words-not-logged")
class LogsWhatItSends(Right):
    async def send(self, message: OutboundMessage) -> Sent:
        logging.getLogger("right").info("sending %s", message.text)
        self.context.log.info("message_sent", text=message.text)
        return await super().send(message)


@breaks("secret.words-not-in-errors")
class RepeatsTheWordsInAnError(Right):
    async def send(self, message: OutboundMessage) -> Sent:
        try:
            return await super().send(message)
        except Rejected as why:
            raise Rejected(f"{why.reason}: {message.text}") from why


# ---- settings
def section(rule: str, **changes: Any) -> None:
    """Note a mutant whose settings have another field instead of the right one."""
    fields = {
        "api": (str, field(validator=not_empty, metadata={"help": "Where the provider listens."})),
        "token": (Secret, field(metadata={"help": "What the provider gave us."})),
        "signed_with": (Secret, field(metadata={"help": "What the provider signs with."})),
        **changes,
    }
    body = {name: given for name, (_, given) in fields.items()}
    kinds = {name: kind for name, (kind, _) in fields.items()}
    settings = frozen(kw_only=True)(
        type("ChangedSettings", (), {**body, "__annotations__": kinds, "__module__": __name__})
    )
    MUTANTS.append(Mutant(rule=rule, name=f"Settings-{rule}", suite=_suite(Right, {"section": settings})))


section("settings.help", api=(str, field(validator=not_empty)))
section("settings.secrets-typed", backup_token=(str, field(default="", metadata={"help": "Another token."})))
section("settings.empty-refused", api=(str, field(metadata={"help": "Where the provider listens."})))


# ---- verify
@breaks("verify.offered")
class CannotBeAsked(Right):
    verify = None  # type: ignore[assignment]


@breaks("verify.round-trip")
class VerifiesWithoutAWord(Right):
    async def verify(self) -> str:
        await super().verify()
        return ""


@breaks("verify.login-is-told")
class VerifiesWithoutALogin(Right):
    async def verify(self) -> str:
        try:
            return await super().verify()
        except NeedsLogin:
            return "nobody"


@breaks("verify.outage-is-told")
class TakesAnOutageForAWrongLogin(Right):
    async def verify(self) -> str:
        try:
            return await super().verify()
        except Unreachable as why:
            raise NeedsLogin(why.reason) from why


@breaks("verify.sends-nothing")
class VerifiesWithAMessage(Right):
    async def verify(self) -> str:
        await self.call("POST", "/messages", json={"to": "us", "text": "test"})
        return await super().verify()


# ---- what comes in by itself
@breaks("run.brings-all")
class TakesTheIdForTheTextOfWhatWaits(Right):
    async def taken(self, waiting: list[Any]) -> None:
        short = [
            {**one, "text": one["id"][:4]} if len(waiting) <= 3 and "Ende" in one.get("text", "") else one
            for one in waiting
        ]
        await super().taken(short)


@breaks("run.in-order")
class TakesTheNewestFirst(Right):
    async def taken(self, waiting: list[Any]) -> None:
        await super().taken(waiting[::-1])


@breaks("run.downtime")
class TakesTheLastTen(Right):
    async def waiting(self) -> dict[str, Any]:
        said = self.checked(await self.call("GET", "/waiting?limit=1000"))
        self.whole = said["messages"]
        return {**said, "messages": said["messages"][-10:]}

    async def acknowledged(self, waiting: list[Any]) -> None:
        await super().acknowledged(self.whole)


@breaks("run.acknowledged-after-commit")
class AcknowledgesFirst(Right):
    async def taken(self, waiting: list[Any]) -> None:
        await self.acknowledged(waiting)
        while True:
            try:
                await self.context.intake.accept([self.event(one) for one in waiting], wait=True)
            except NotStored:
                continue
            return


@breaks("run.not-stored-comes-again")
class GoesOnWhenNothingWasStored(Right):
    async def taken(self, waiting: list[Any]) -> None:
        try:
            await super().taken(waiting)
        except NotStored:
            await self.acknowledged(waiting)


@breaks("run.repeat-same-key")
class NumbersWhatItReads(Right):
    async def taken(self, waiting: list[Any]) -> None:
        self.number = uuid4().hex
        await super().taken(waiting)

    def key(self, one: Any) -> str:
        return f"{getattr(self, 'number', '')}{one['id']}"


@breaks("run.poison-stops-nothing")
class StumblesOverPoison(Right):
    async def taken(self, waiting: list[Any]) -> None:
        for one in waiting:
            if "text" not in one:
                raise ValueError("a message without a text")
            await super().taken([one])


@breaks("run.poison-is-kept")
class ThrowsPoisonAway(Right):
    async def taken(self, waiting: list[Any]) -> None:
        good = [one for one in waiting if "text" in one]
        await self.context.intake.accept([self.event(one) for one in good], wait=True)
        await self.acknowledged(waiting)


@breaks("run.read-elsewhere")
class TakesWhatIsUnread(Right):
    async def waiting(self) -> dict[str, Any]:
        said = await super().waiting()
        return {**said, "messages": [one for one in said["messages"] if one["unread"]]}


@breaks("run.stops-in-time")
class EndsSlowly(Right):
    async def run(self) -> None:
        try:
            await super().run()
        except asyncio.CancelledError:
            await asyncio.sleep(2.5)
            raise


@breaks("run.login-is-told")
class TriesAWrongLoginForEver(Right):
    async def run(self) -> None:
        try:
            await super().run()
        except NeedsLogin as why:
            raise Unreachable(why.reason, certain=True) from why


@breaks("run.outage-is-no-login")
class TakesAnOutageOfRunForAWrongLogin(Right):
    async def run(self) -> None:
        try:
            await super().run()
        except Throttled as why:
            raise NeedsLogin(why.reason) from why


@breaks("run.outage-passes")
class EndsAtAnOutage(Right):
    async def run(self) -> None:
        with contextlib.suppress(Unreachable):
            await super().run()


@breaks("run.outage-is-calm")
class KnocksWithoutAPause(Right):
    async def polled(self) -> bool:
        try:
            return await super().polled()
        except Unreachable:
            await asyncio.sleep(0.002)
            return True


@breaks("run.outage-is-logged-once")
class ComplainsEveryTime(Right):
    async def polled(self) -> bool:
        try:
            return await super().polled()
        except Unreachable as why:
            self.context.log.warning("poll_failed", reason=why.reason)
            raise


@breaks("run.polls-calmly")
class PollsWithoutAPause(Right):
    async def pause(self) -> None:
        await asyncio.sleep(0.002)


@breaks("run.waits-for-intake")
class HandsOverInTheBackground(Right):
    async def run(self) -> None:
        self.pending: dict[str, asyncio.Task[None]] = {}
        try:
            await super().run()
        finally:
            tasks = {*self.pending.values()}
            for one in tasks:
                one.cancel()
            if tasks:
                await asyncio.wait(tasks)

    async def polled(self) -> bool:
        self.pending = {name: task for name, task in self.pending.items() if not task.done()}
        for task in self.pending.values():
            if task.done():
                task.result()
        limit = 5 + len(self.pending)
        said = self.checked(await self.call("GET", f"/waiting?limit={limit}"))
        new = [one for one in said["messages"] if one["id"] not in self.pending]
        if new:
            task = asyncio.ensure_future(self.taken(new))
            task.add_done_callback(lambda it: it.cancelled() or it.exception())
            self.pending |= {one["id"]: task for one in new}
            await asyncio.sleep(0.002)
        return bool(new)


@breaks("run.says-that-it-is-up")
class SaysNothingOfItself(Right):
    async def run(self) -> None:
        while True:
            if not await self.polled():
                await self.pause()


# ---- beginning and ending
@breaks("life.built-quietly")
class BeginsWhenItIsBuilt(Right):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        task = asyncio.ensure_future(asyncio.sleep(0.06))
        self.warm = task


@breaks("life.no-task-left")
class LeavesATask(Right):
    async def send(self, message: OutboundMessage) -> Sent:
        self.later = asyncio.ensure_future(asyncio.sleep(60))
        return await super().send(message)


@breaks("life.no-socket-left")
class LeavesASocket(Right):
    async def send(self, message: OutboundMessage) -> Sent:
        found = await super().send(message)
        if not hasattr(self, "kept"):
            self.kept = socket.socket()
            self.kept.bind(("127.0.0.1", 0))
        return found


@breaks("life.stays-here")
class CallsHome(Right):
    async def verify(self) -> str:
        with contextlib.suppress(OSError):
            await asyncio.open_connection("192.0.2.1", 80)
        return await super().verify()


@breaks("life.never-blocks")
class SleepsOnTheLoop(Right):
    async def verify(self) -> str:
        time.sleep(0.001)
        return await super().verify()


@breaks("life.starts-again")
class RunsOnlyOnce(Right):
    ran = 0

    async def run(self) -> None:
        self.ran += 1
        if self.ran > 1 and not self.failed:
            raise RuntimeError("it runs already")
        self.failed = True
        try:
            await super().run()
        except asyncio.CancelledError:
            self.failed = False
            raise

    failed = False


@breaks("life.capabilities-steady")
class ChangesItsMind(Right):
    asked = 0

    def capabilities(self) -> Capabilities:
        self.asked += 1
        return evolve(self.can, units_per_s=float(self.asked))


@breaks("life.cancelled-send-ends")
class CallsACancelledSendSent(Right):
    async def send(self, message: OutboundMessage) -> Sent:
        try:
            return await super().send(message)
        except asyncio.CancelledError:
            return Sent(ids=("unknown",))


# ---- abilities
@breaks("ability.id-steady")
class MakesAnIdForEveryAttempt(Right):
    def id_for(self, message: OutboundMessage) -> str:
        return f"right-{message.key}{'-again' * (message.attempt - 1)}"


@breaks("ability.id-is-sent")
class ForgetsTheIdThatItChose(Right):
    lookup = None  # type: ignore[assignment]

    def given_id(self, message: OutboundMessage) -> str:
        return ""


@breaks("ability.units-grow")
class CountsBackwards(Right):
    def units(self, message: OutboundMessage) -> int:
        return 1_000 - len(message.text)


@breaks("ability.lookup-finds")
class FindsNothing(Right):
    async def lookup(self, message: OutboundMessage) -> Sent | Literal["not_sent", "unknown"]:
        return "unknown"


@breaks("ability.lookup-honest")
class FindsEverything(Right):
    async def lookup(self, message: OutboundMessage) -> Sent | Literal["not_sent", "unknown"]:
        return Sent(ids=(self.id_for(message),))


@breaks("ability.backfill-brings-all")
class ReadsTheFirstPage(Right):
    async def fetch(self, cursor: str) -> Page:
        return evolve(await super().fetch(cursor), next="")


@breaks("ability.backfill-same-keys")
class NumbersTheHistory(Right):
    async def fetch(self, cursor: str) -> Page:
        page = await super().fetch(cursor)
        at = self.context.clock.now().isoformat()
        events = [evolve(one, key=f"{one.key}-{at}") for one in page.events if isinstance(one, Received)]
        return evolve(page, events=tuple(events))


@breaks("ability.media-whole")
class BringsHalfAFile(Right):
    async def fetch_media(self, ref: str) -> AsyncIterator[bytes]:
        async for piece in super().fetch_media(ref):
            yield piece[:30_000]


@breaks("ability.media-gone")
class TakesALostFileForAnOutage(Right):
    async def fetch_media(self, ref: str) -> AsyncIterator[bytes]:
        try:
            async for piece in super().fetch_media(ref):
                yield piece
        except Rejected as why:
            raise Unreachable(why.reason, certain=True) from why


@breaks("ability.turn-same-bytes")
class StampsItsAnswers(Right):
    def answer(self, turn: Turn) -> Response:
        found = super().answer(turn)
        return evolve(found, body=found.body + f"<!-- {self.context.clock.now()} -->".encode())


@breaks("ability.turn-or-unsupported")
class KnowsOnlyWhatItKnows(Right):
    def verb(self, action: LineAction) -> str:
        try:
            return super().verb(action)
        except Unsupported as why:
            raise KeyError(type(action).__name__) from why


@breaks("ability.turn-escapes")
class EscapesNothing(Right):
    def escaped(self, text: str) -> str:
        return text


def drops(name: str) -> Callable[[type], type]:
    """Make a connector that does not write one field of a message."""

    def change(connector: type) -> type:
        async def written(self: Any, message: OutboundMessage) -> dict[str, Any]:
            return {**await Right.written(self, message), name: []}

        connector.written = written  # type: ignore[attr-defined]
        return connector

    return change


@breaks("ability.buttons-arrive")
@drops("buttons")
class DropsButtons(Right):
    pass


@breaks("ability.template-arrives")
@drops("template")
class DropsTemplates(Right):
    pass


@breaks("ability.files-arrive")
@drops("files")
class DropsFiles(Right):
    pass


@breaks("ability.subject-arrives")
@drops("subject")
class DropsSubjects(Right):
    pass


@breaks("ability.receipts-recorded")
class ClaimsAReceiptThatNobodySaw(Right):
    can = evolve(Right.can, receipts=Right.can.receipts | {DeliveryState.SENT})


@breaks("ability.receipts-claimed")
class ForgetsToClaimAReceipt(Right):
    can = evolve(Right.can, receipts=Right.can.receipts - {DeliveryState.READ})


# ---- lines, small signs, handlers
@breaks("ability.perform-or-unsupported")
class LeavesOutWhatItCannot(Right):
    async def perform(self, turn: Turn) -> None:
        with contextlib.suppress(Unsupported):
            await super().perform(turn)


@breaks("ability.perform-in-trouble")
class TripsOverALine(Right):
    async def perform(self, turn: Turn) -> None:
        try:
            await super().perform(turn)
        except Unreachable as why:
            raise RuntimeError(why.reason) from why


@breaks("ability.dial-rings")
class ForgetsTheCall(Right):
    async def dial(self, to: Address, *, session: str) -> Sent:
        await super().dial(to, session=session)
        return Sent()


@breaks("ability.dial-once")
class RingsAgain(Right):
    async def dial(self, to: Address, *, session: str) -> Sent:
        try:
            return await super().dial(to, session=session)
        except Unreachable:
            return await super().dial(to, session=session)


@breaks("ability.dial-uncertain")
class IsSureThatNothingRings(Right):
    async def dial(self, to: Address, *, session: str) -> Sent:
        try:
            return await super().dial(to, session=session)
        except Unreachable as why:
            raise Unreachable(why.reason, certain=True) from why


@breaks("ability.dial-names-session")
class KeepsTheSessionToItself(Right):
    def named(self, session: str) -> str:
        return "a call"


@breaks("ability.routes-mountable")
class ServesWhereItIsCalled(Right):
    def routes(self) -> Sequence[web.RouteDef]:
        return [*super().routes(), web.get("events", self.widget)]


@breaks("ability.routes-sturdy")
class TripsOverStrangers(Right):
    def visitor(self, request: web.Request) -> str:
        return self.context.unsign(request.query["token"])


@breaks("ability.routes-believe-nobody")
class BelievesEverybody(Right):
    def visitor(self, request: web.Request) -> str:
        return "a visitor"


@breaks("ability.typing-is-shown")
class TypesInSecret(Right):
    async def show_typing(self, to: Address, *, reply_to: str) -> None:
        pass


@breaks("ability.typing-is-no-message")
class WritesThatItWrites(Right):
    async def show_typing(self, to: Address, *, reply_to: str) -> None:
        self.checked(await self.call("POST", "/messages", json={"to": to.value, "text": "..."}))


@breaks("ability.read-is-marked")
class ReadsInSecret(Right):
    async def mark_read(self, ids: Sequence[str]) -> None:
        pass


@breaks("ability.read-is-no-message")
class WritesThatItRead(Right):
    async def mark_read(self, ids: Sequence[str]) -> None:
        self.checked(await self.call("POST", "/messages", json={"to": "ann", "text": "Gelesen"}))


class NothingWaits(RightServer):
    """A fake server whose history nobody wrote."""

    hold = None  # type: ignore[assignment]


@breaks("ability.all-tried", server=lambda _self: NothingWaits())
class HasAHistoryThatNobodyTried(Right):
    pass


# ---- the distribution
PACKAGE = '''"""An imagined messenger."""

from attrs import field, frozen
from fernamt import Registry, hookimpl


@frozen(kw_only=True)
class S:
    api: str = field(metadata={"help": "Where the provider listens."})


@hookimpl
def fernamt_register(registry: Registry) -> None:
    registry.connector("right", settings=S, factory="nowhere:Nothing", about="An imagined messenger")
'''
README = """# right

```toml
[channels.line]
kind = "right"
api = "https://messenger.example"
```

## Settings

`api`, `token` and `signed_with`.

## Limits

It is imagined.
"""
METADATA = """Metadata-Version: 2.4
Name: fernamt-right
Version: 1.0
Summary: An imagined messenger
License-Expression: Apache-2.0
Author: Somebody
Requires-Dist: fernamt<2,>=1.0.0.dev0
"""
_packages = itertools.count(1)


class PackagedSuite(RightSuite):
    """The suite of a connector that is installed, in a folder of its own."""

    metadata = METADATA
    readme = README
    package = PACKAGE
    typed = True

    def about(self) -> str:
        return "An imagined messenger"

    def offer(self) -> ConnectorOffer:
        return evolve(super().offer(), about=self.about())

    @cached_property
    def installed(self) -> Path:
        folder, module = (
            Path(tempfile.mkdtemp(prefix="fernamt-right-")),
            f"fernamt_right_{next(_packages)}_{os.getpid()}",
        )
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        info = folder / "fernamt_right-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"{self.metadata}\n{self.readme}")
        (info / "entry_points.txt").write_text(f"[fernamt]\nright = {module}\n")
        (folder / module).mkdir()
        (folder / module / "__init__.py").write_text(self.package)
        if self.typed:
            (folder / module / "py.typed").touch()
        sys.path.append(str(folder))
        return folder

    def distribution(self) -> Distribution:
        return PathDistribution(self.installed / "fernamt_right-1.0.dist-info")

    def environment(self) -> Mapping[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.installed)}


@breaks("package.loads-alone")
class NeedsWhatItDoesNotDeclare(PackagedSuite):
    package = f"import fernamt_nobody\n{PACKAGE}"


@breaks("package.loads-quietly")
class CallsWhenItIsImported(PackagedSuite):
    package = f"import socket\nsocket.getaddrinfo('localhost', 80)\n{PACKAGE}"


@breaks("package.contract-range")
class IsForEveryContract(PackagedSuite):
    metadata = METADATA.replace("<2,", "")


@breaks("package.licence")
class HasNoLicence(PackagedSuite):
    metadata = METADATA.replace("License-Expression: Apache-2.0\n", "")


@breaks("package.described")
class SaysNothingOfItsKind(PackagedSuite):
    def about(self) -> str:
        return ""


@breaks("package.owner")
class BelongsToNobody(PackagedSuite):
    metadata = METADATA.replace("Author: Somebody\n", "")


@breaks("package.readme")
class HidesItsLimits(PackagedSuite):
    readme = README.partition("## Limits")[0]


@breaks("package.settings-named")
class HidesAKey(PackagedSuite):
    readme = README.replace("`signed_with`", "another one")


@breaks("package.typed")
class HidesItsTypes(PackagedSuite):
    typed = False


@breaks("package.public-door")
class GoesThroughTheBackDoor(PackagedSuite):
    package = f"from fernamt.inbound import Received\n{PACKAGE}"
