"""The fake context: a clock that stands still, an intake that knows repeats, a log that keeps what it was given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from fernamt.errors import BadSignature, NotStored
from fernamt.inbound import Cursor, Ignored, Received
from fernamt.model import Address
from fernamt.testing import FakeContext


def received(key: str) -> Received:
    return Received(key=key, sender=Address("phone", "+49301"), text="Hallo")


async def test_who_sleeps_wakes_when_his_time_has_come_and_not_before() -> None:
    clock = FakeContext().clock
    began = clock.now()
    short, long = (asyncio.ensure_future(clock.sleep(seconds)) for seconds in (5, 60))
    await asyncio.sleep(0)

    clock.advance(5)
    await short

    assert clock.now() - began == timedelta(seconds=5)
    assert not long.done()
    clock.advance(55)
    await long
    assert clock.slept == [5, 60]


async def test_a_skewed_clock_runs_with_the_true_one_and_is_wrong_by_what_was_said() -> None:
    clock = FakeContext().clock
    theirs = clock.skewed(-90)
    sleeping = asyncio.ensure_future(theirs.sleep(5))
    await asyncio.sleep(0)

    clock.advance(5)
    await sleeping

    assert clock.now() - theirs.now() == timedelta(seconds=90)


async def test_the_intake_knows_repeats_refuses_when_told_to_and_keeps_cursors() -> None:
    context = FakeContext(cursors={"inbox": "7"})
    context.intake.refuse = 1
    with pytest.raises(NotStored):
        await context.intake.accept([received("a")])
    assert await context.cursor("inbox") == "7"

    [first] = await context.intake.accept([received("a")], cursor=Cursor("inbox", "8"))
    [again, other] = await context.intake.accept([received("a"), Ignored(reason="typing")])

    assert (first.repeat, again.repeat, other.repeat) == (False, True, False)
    assert context.intake.keys == ["a", ""]
    assert await context.cursor("inbox") == "8"


async def test_when_it_dies_what_was_committed_stays() -> None:
    context = FakeContext()
    context.intake.dies = True

    with pytest.raises(asyncio.CancelledError):
        await context.intake.accept([received("a")])

    assert context.intake.keys == ["a"]


def test_what_is_logged_is_kept_as_it_was_given() -> None:
    context = FakeContext()

    context.log.bind(channel="line").info("logged_in", token="t0ken")

    assert context.logged == [{"channel": "line", "event": "logged_in", "token": "t0ken", "level": "info"}]


def test_a_token_of_somebody_else_is_refused() -> None:
    context = FakeContext()

    assert context.unsign(context.sign("ann", valid=timedelta(days=1))) == "ann"
    with pytest.raises(BadSignature):
        context.unsign("ann.forged")


async def test_a_file_that_is_held_whole_is_found_out() -> None:
    async def whole() -> AsyncIterator[bytes]:
        yield bytes(65_537)

    with pytest.raises(AssertionError, match="a file is a stream"):
        await FakeContext().blobs.put(whole(), max_bytes=10**6)
