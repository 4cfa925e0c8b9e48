"""What goes out: one attempt, and what is said of it."""

from __future__ import annotations

import asyncio
from typing import Final

from attrs import evolve

from fernamt.errors import (
    ChannelError,
    NeedsLogin,
    OptedOut,
    Rejected,
    Throttled,
    Unreachable,
    Unsupported,
    WindowClosed,
)
from fernamt.outbound import Sent
from fernamt.testing.provider import FaultyProvider
from fernamt.testing.rig import WORDS, Rig, said
from fernamt.testing.rule import Broken, NotApplicable, Rules
from fernamt.testing.rules import needs
from fernamt.testing.trouble import Trouble

rule = RULES = Rules("out")
_FINAL: Final = (Rejected, Unsupported, OptedOut, WindowClosed)
_DONE: Final = (Trouble.LOST_ANSWER, Trouble.CUT_SHORT, Trouble.NONSENSE, Trouble.FAILED)
"""Troubles under which the provider did what it was asked for."""
_AFTER_S: Final = 17.0
_SOON_S: Final = (15.0, 20.0)
_LATER_S: Final = 120.0


@rule("text-arrives-whole", "bronze", needs.sends, needs.server)
async def text_arrives_whole(rig: Rig) -> None:
    """The text arrives as it was written."""
    message = rig.message()
    for part in rig.fitted(message):
        await rig.sent(part)
    arrived = "\n".join(rig.provider.arrived)
    if not all(word in arrived for word in WORDS.split()):
        raise Broken(
            f"of the text {WORDS!r} the provider got {arrived[:200]!r}: send all of it, in UTF-8, before you return Sent"
        )


@rule("long-text-whole", "bronze", needs.sends, needs.server)
async def long_text_whole(rig: Rig) -> None:
    """A text as long as the channel says that it takes arrives whole."""
    can = rig.can
    if can.max_units < 2:
        raise NotApplicable("it takes no text (max_units)")
    words = [f"Wort{number}" for number in range(min(can.max_units, 20_000) * 2 // 7)]
    for part in rig.fitted(rig.message(" ".join(words))):
        await rig.sent(part)
    arrived = "\n".join(rig.provider.arrived)
    for word in words:
        if word not in arrived:
            raise Broken(
                f"capabilities() allow {can.max_units} ({can.unit}) a message, and of a text of {len(words)} words the provider"
                f" did not get {word!r}: send all that fits, or correct max_units"
            )


@rule("gives-ids", "bronze", needs.sends, needs.server)
async def gives_ids(rig: Rig) -> None:
    """Sent names the provider's ids."""
    found = await rig.sent(rig.message())
    ids: tuple[object, ...] = found.ids
    if not ids or not all(isinstance(one, str) and one for one in ids):
        raise Broken(
            f"send returned the ids {found.ids!r}: return those of the provider as text, so that receipts find the message"
        )


@rule("ids-differ", "bronze", needs.sends, needs.server)
async def ids_differ(rig: Rig) -> None:
    """Two messages have two ids."""
    first = await rig.sent(rig.message())
    second = await rig.sent(rig.message("Noch eine Frage", key="k2", entry_key="e2"))
    if shared := {*first.ids} & {*second.ids}:
        raise Broken(f"two messages got the same id {shared.pop()!r}: return the provider's id of each message")


@rule("one-attempt", "bronze", needs.sends, needs.server)
async def one_attempt(rig: Rig) -> None:
    """One call of send makes at most one message, whatever the answer is."""
    if not (known := [one for one in _DONE if one in rig.provider.troubles]):
        raise NotApplicable("the fake server knows no trouble in which a message went out")
    for trouble in known:
        before = len(rig.provider.arrived)
        await rig.in_trouble(trouble)
        if (count := len(rig.provider.arrived) - before) > 1:
            raise Broken(
                f"one call of send brought {count} messages to the customer when the provider was in trouble ({trouble.value}):"
                " take every retry out of send, the core repeats what may be repeated"
            )


def _uncertain(found: Sent | BaseException, what: str) -> None:
    """Let pass what leaves the message uncertain."""
    if isinstance(found, Unreachable) and not found.certain:
        return
    if isinstance(found, Exception) and not isinstance(found, ChannelError):
        return  # counted as uncertain; out.errors-are-ours asks for more
    raise Broken(
        f"{what}, and send {said(found)}: nobody knows whether the message went out, so raise Unreachable(certain=False)"
    )


@rule("lost-answer-uncertain", "silver", needs.meets(Trouble.LOST_ANSWER))
async def lost_answer_uncertain(rig: Rig) -> None:
    """A connection that ends without an answer is uncertain."""
    _uncertain(await rig.in_trouble(Trouble.LOST_ANSWER), "the connection ended before the answer")


@rule("silence-uncertain", "silver", needs.meets(Trouble.SILENCE))
async def silence_uncertain(rig: Rig) -> None:
    """A provider that does not answer in time is uncertain."""
    _uncertain(await rig.in_trouble(Trouble.SILENCE), "the provider took the message and said nothing")


@rule("cut-short-uncertain", "silver", needs.meets(Trouble.CUT_SHORT))
async def cut_short_uncertain(rig: Rig) -> None:
    """Half an answer is uncertain."""
    _uncertain(await rig.in_trouble(Trouble.CUT_SHORT), "the answer ended in the middle")


@rule("nonsense-uncertain", "silver", needs.meets(Trouble.NONSENSE))
async def nonsense_uncertain(rig: Rig) -> None:
    """An answer that is none is uncertain."""
    _uncertain(
        await rig.in_trouble(Trouble.NONSENSE), "the answer was a page for people instead of the provider's own words"
    )


@rule("failure-uncertain", "silver", needs.meets(Trouble.FAILED))
async def failure_uncertain(rig: Rig) -> None:
    """An error of the provider's own is uncertain."""
    _uncertain(await rig.in_trouble(Trouble.FAILED), "the provider said that it had trouble of its own")


@rule("not-there-certain", "silver", needs.meets(Trouble.NOT_THERE))
async def not_there_certain(rig: Rig) -> None:
    """Where nobody listens, certainly nothing was sent."""
    found = await rig.in_trouble(Trouble.NOT_THERE)
    if not (isinstance(found, Unreachable) and found.certain):
        raise Broken(
            f"nobody listened at the provider, and send {said(found)}: raise Unreachable(certain=True), so that it is tried again"
        )


@rule("refusal-is-final", "silver", needs.meets(Trouble.REFUSED))
async def refusal_is_final(rig: Rig) -> None:
    """A message that the provider refuses is not tried again."""
    found = await rig.in_trouble(Trouble.REFUSED)
    if not isinstance(found, _FINAL):
        raise Broken(
            f"the provider refused the message for good, and send {said(found)}: raise Rejected with the provider's reason and code"
        )


@rule("login-is-told", "silver", needs.meets(Trouble.LOGIN))
async def login_is_told(rig: Rig) -> None:
    """A login that is not accepted stops the channel."""
    found = await rig.in_trouble(Trouble.LOGIN)
    if not isinstance(found, NeedsLogin):
        raise Broken(f"the provider did not accept the login, and send {said(found)}: raise NeedsLogin")


@rule("throttled", "silver", needs.meets(Trouble.THROTTLED))
async def throttled(rig: Rig) -> None:
    """Too fast is said as Throttled."""
    found = await rig.in_trouble(Trouble.THROTTLED)
    if not isinstance(found, Throttled):
        raise Broken(f"the provider said that we are too fast, and send {said(found)}: raise Throttled(after_s=...)")


@rule("retry-after", "silver", needs.meets(Trouble.THROTTLED))
async def retry_after(rig: Rig) -> None:
    """The provider says when to come again, and is heard."""
    found = await rig.in_trouble(Trouble.THROTTLED)
    if not isinstance(found, Throttled):
        raise NotApplicable("it does not raise Throttled (out.throttled)")
    if found.after_s != _AFTER_S:
        raise Broken(
            f"the provider asked to come again after 17 s, and send said after_s={found.after_s:g}: read Retry-After"
        )


async def _until(rig: Rig, off_s: float) -> Throttled:
    """Return what comes of a provider that says when to come again by a date, and whose clock is off by so much."""
    plain = await rig.in_trouble(Trouble.THROTTLED)
    if not isinstance(plain, Throttled) or plain.after_s != _AFTER_S:
        raise NotApplicable("it does not hear a number of seconds either (out.throttled, out.retry-after)")
    if isinstance(rig.server, FaultyProvider):
        rig.server.clock = rig.context.clock.skewed(off_s)
    elif off_s:
        raise NotApplicable("the fake server has no clock that can be off")
    found = await rig.in_trouble(Trouble.THROTTLED_UNTIL)
    if not isinstance(found, Throttled):
        raise Broken(
            f"the provider said by a date when to come again, and send {said(found)}: raise"
            " Throttled(after_s=reply.retry_after_s(30)), which reads both forms"
        )
    return found


@rule("retry-after-date", "silver", needs.meets(Trouble.THROTTLED), needs.meets(Trouble.THROTTLED_UNTIL))
async def retry_after_date(rig: Rig) -> None:
    """When to come again may be said as a date, and is heard."""
    found = await _until(rig, 0.0)
    if not _SOON_S[0] <= found.after_s <= _SOON_S[1]:
        raise Broken(
            f"the provider asked to come again at a date in 17 s, and send said after_s={found.after_s:g}: read Retry-After"
            " in both of its forms, reply.retry_after_s(30) does"
        )


@rule("retry-after-skew", "silver", needs.meets(Trouble.THROTTLED), needs.meets(Trouble.THROTTLED_UNTIL))
async def retry_after_skew(rig: Rig) -> None:
    """A date of a provider whose clock is off is heard as the provider means it."""
    for off_s in (-3600.0, 3600.0):
        found = await _until(rig, off_s)
        if not 0 <= found.after_s <= _LATER_S:
            raise Broken(
                f"a provider whose clock is off by {off_s:g} s asked to come again in 17 s, and send said"
                f" after_s={found.after_s:g}: count a date from the Date of the same answer, reply.retry_after_s(30) does"
            )


@rule("errors-are-ours", "silver", needs.sends, needs.server)
async def errors_are_ours(rig: Rig) -> None:
    """Whatever goes wrong is said with an error of fernamt."""
    for trouble in sorted(rig.provider.troubles):
        found = await rig.in_trouble(trouble)
        if not isinstance(found, Sent | ChannelError):
            raise Broken(
                f"in trouble ({trouble.value}) send {said(found)}: raise one of fernamt's errors, so that people read a reason"
            )


@rule("side-by-side", "silver", needs.sends, needs.server)
async def side_by_side(rig: Rig) -> None:
    """Sends that are under way at the same time do not mix."""
    texts = [f"Nachricht{number}zugleich" for number in range(max(2, min(rig.can.in_flight, 8)))]
    messages = [rig.message(text, key=f"k{at}", entry_key=f"e{at}") for at, text in enumerate(texts)]
    found = await asyncio.gather(*(rig.outcome(one) for one in messages))
    arrived = "\n".join(rig.provider.arrived)
    if not all(isinstance(one, Sent) for one in found) or any(text not in arrived for text in texts):
        raise Broken(
            f"of {len(texts)} messages that were sent at the same time not each arrived: keep nothing of a message in self"
        )


@rule("repeat-is-known", "silver", needs.sends, needs.server)
async def repeat_is_known(rig: Rig) -> None:
    """Who claims idempotent makes no second copy of a repeat."""
    if not rig.can.idempotent:
        raise NotApplicable("capabilities() do not claim idempotent")
    message = rig.message()
    for attempt in (1, 2):
        await rig.sent(evolve(message, attempt=attempt))
    if (count := len(rig.provider.arrived)) != 1:
        raise Broken(
            f"two attempts with one key made {count} messages: give message.key to the provider as its idempotency key,"
            " or take idempotent=True out of capabilities() (a fake server that knows keys is needed to prove it)"
        )


@rule("through-context-http", "silver", needs.sends, needs.server)
async def through_context_http(rig: Rig) -> None:
    """Requests go out by context.http."""
    if not isinstance(rig.server, FaultyProvider):
        raise NotApplicable("the provider does not speak HTTP")
    await rig.sent(rig.message())
    if len(rig.requests) < rig.server.asked:
        raise Broken(
            f"{rig.server.asked - len(rig.requests)} requests did not go out by context.http: use it, it has the time-outs,"
            " the refusal of private addresses and the knowledge of what is certain"
        )


@rule("says-unsupported", "bronze")
async def says_unsupported(rig: Rig) -> None:
    """A kind that sends nothing says so."""
    if rig.suite.sends:
        raise NotApplicable("this kind sends")
    found = await rig.outcome(rig.message())
    if not isinstance(found, Unsupported):
        raise Broken(f"this kind sends nothing, and send {said(found)}: raise Unsupported")
