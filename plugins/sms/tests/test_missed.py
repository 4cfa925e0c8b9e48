"""What came while nobody could reach us is handed over once, in order, however long that was."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from fernamt import Ignored, InboundEvent, Received, Rejected
from fernamt.testing import FakeContext
from fernamt_sms.missed import Missed
from fernamt_sms.number import sender

EVERY_S = 900.0


class Provider:
    """Keeps messages, and notes what it is asked for."""

    def __init__(self, context: FakeContext) -> None:
        self.context = context
        self.kept: list[tuple[datetime, InboundEvent]] = []
        self.asked: list[tuple[datetime, datetime]] = []

    def came(self, key: str, *, ago: timedelta = timedelta()) -> None:
        event = Received(key=key, sender=sender("+4915112345678"), text=key)
        self.kept.append((self.context.clock.now() - ago, event))
        self.kept.sort(key=lambda it: it[0])

    async def read(self, start: datetime, end: datetime) -> Sequence[InboundEvent]:
        self.asked.append((start, end))
        return [event for at, event in self.kept if start <= at < end]


def given(**more: Any) -> tuple[Provider, Missed]:
    context = FakeContext()
    provider = Provider(context)
    said: dict[str, Any] = {"every_s": EVERY_S, "kept": timedelta(days=14), "width": timedelta(days=1)} | more
    return provider, Missed(read=provider.read, context=context, **said)


async def looked(provider: Provider, missed: Missed, *, times: int = 1) -> None:
    """Let it look so many times."""
    clock = provider.context.clock
    running = asyncio.create_task(missed.watch())
    for _ in range(times):
        before = len(clock.slept)
        while len(clock.slept) == before and not running.done():
            await asyncio.sleep(0)
        clock.advance(EVERY_S)
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled()


def texts(provider: Provider) -> list[str]:
    return [event.text for event in provider.context.intake.events if isinstance(event, Received)]


async def test_a_message_is_handed_over_once_though_it_is_seen_again() -> None:
    provider, missed = given()
    provider.came("eins", ago=timedelta(hours=2))
    provider.came("zwei")
    await looked(provider, missed, times=3)
    assert texts(provider) == ["eins", "zwei"]


async def test_a_message_that_the_provider_shows_late_is_seen_too() -> None:
    provider, missed = given()
    await looked(provider, missed, times=2)
    provider.came("spät", ago=timedelta(minutes=25))
    await looked(provider, missed)
    assert texts(provider) == ["spät"]


async def test_a_long_outage_is_caught_up_piece_by_piece_in_order() -> None:
    provider, missed = given()
    await looked(provider, missed)
    for number in range(10):
        provider.came(f"Nachricht {number}")
        provider.context.clock.advance(20 * 3600)
    await looked(provider, missed)
    assert texts(provider) == [f"Nachricht {number}" for number in range(10)]
    assert all(end - start <= timedelta(days=1, minutes=30) for start, end in provider.asked)


async def test_what_the_provider_does_not_keep_any_more_is_not_asked_for() -> None:
    provider, missed = given()
    await looked(provider, missed)
    provider.context.clock.advance(86_400 * 100)
    now, provider.asked = provider.context.clock.now(), []
    await looked(provider, missed)
    assert provider.asked[0][0] == now - timedelta(days=14)


async def test_a_provider_whose_clock_is_ahead_loses_nothing() -> None:
    provider, missed = given()
    provider.came("morgen", ago=timedelta(minutes=-20))
    await looked(provider, missed)
    assert texts(provider) == ["morgen"]


async def test_what_is_of_no_interest_is_not_handed_over() -> None:
    provider, missed = given()
    provider.kept.append((provider.context.clock.now(), Ignored(reason="x")))
    await looked(provider, missed)
    assert provider.context.intake.events == []


async def test_the_history_is_read_from_its_beginning_to_its_end_in_order() -> None:
    provider, missed = given()
    for days in (13, 5, 0):
        provider.came(f"vor {days}", ago=timedelta(days=days))
    found, cursor = list[Any](), ""
    for _ in range(20):
        page = await missed.page(cursor)
        found += page.events
        cursor = page.next
        if not cursor:
            break
    assert [event.text for event in found] == ["vor 13", "vor 5", "vor 0"]


@pytest.mark.parametrize("cursor", ["x", "2026-13-01", "0001-01-01T00:00:00+14:00"])
async def test_a_place_in_the_history_that_nobody_gave_out_is_refused(cursor: str) -> None:
    with pytest.raises(Rejected, match="no place in the history"):
        await given()[1].page(cursor)
