"""Quiet hours: what nobody asked for waits until the morning of its recipient, seen in why, and replies never wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from fernamt._runtime.quiet import NEVER, quiet_until
from fernamt._store.channels import Entrance, enter
from fernamt._store.engine import Store
from fernamt._store.reception import Line
from fernamt._store.writer import Writer
from fernamt.inbound import Consent
from fernamt.model import Address, Purpose, moment
from fernamt.outbound import OutboundMessage
from fernamt.settings import ConfigErrors, QuietHours, read_settings

from .stage import Impatient
from .test_outbox import Post, Provider

BERLIN = QuietHours(zone="Europe/Berlin")
ANN = Address("phone", "+491701234567")


class Knowing(Provider):
    def __init__(self, *zones: str) -> None:
        super().__init__()
        self.known = zones

    def zones(self, to: Address) -> tuple[str, ...]:
        return self.known if to == ANN else ()


def message(purpose: Purpose, to: Address = ANN) -> OutboundMessage:
    return OutboundMessage(key="k", entry_key="e", attempt=1, to=to, text="t", purpose=purpose)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def until(
    now: str, hours: QuietHours = BERLIN, *zones: str, purpose: Purpose = Purpose.OUTREACH, to: Address = ANN
) -> str | None:
    end = quiet_until(hours, message(purpose, to), Knowing(*zones), at(now))
    return None if end is None else f"{end:%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-11-30 18:59", None),
        ("2026-11-30 19:00", "12-01 07:00"),
        ("2026-11-30 23:30", "12-01 07:00"),
        ("2026-12-01 06:59:59", "12-01 07:00"),
        ("2026-12-01 07:00", None),
        ("2026-07-01 18:00", "07-02 06:00"),
        ("2026-03-28 23:00", "03-29 06:00"),
        ("2026-10-24 22:00", "10-25 07:00"),
    ],
)
def test_outreach_waits_for_the_morning_of_the_house_where_nobody_knows_better(now: str, end: str | None) -> None:
    assert until(now) == end


@pytest.mark.parametrize(
    ("zones", "end"),
    [
        (("America/New_York",), "11-30 13:00"),
        (("Europe/London",), None),
        (("America/New_York", "America/Los_Angeles"), "11-30 16:00"),
        (("Nowhere/Nothing",), None),
        (("Nowhere/Nothing", "America/New_York"), "11-30 13:00"),
        (("", "../../etc/passwd"), None),
    ],
)
def test_the_zone_of_the_recipient_counts_and_of_several_the_quietest(zones: tuple[str, ...], end: str | None) -> None:
    assert until("2026-11-30 12:00", BERLIN, *zones) == end


def test_whom_the_channel_does_not_know_the_house_knows() -> None:
    assert until("2026-11-30 20:00", BERLIN, "America/New_York", to=Address("phone", "+1")) == "12-01 07:00"
    assert until("2026-11-30 20:00", BERLIN, "America/New_York") is None


def test_quiet_hours_may_lie_within_a_day() -> None:
    noon = QuietHours(begin="12:00", end="14:00", zone="UTC")
    assert [until(f"2026-11-30 {hour}:30", noon) for hour in (11, 12, 13, 14)] == [None, *["11-30 14:00"] * 2, None]


@pytest.mark.parametrize(
    ("purpose", "hours", "waits"),
    [
        (Purpose.REPLY, BERLIN, False),
        (Purpose.REPLY, evolve(BERLIN, notices=True), False),
        (Purpose.NOTICE, BERLIN, False),
        (Purpose.NOTICE, evolve(BERLIN, notices=True), True),
        (Purpose.OUTREACH, BERLIN, True),
        (Purpose.OUTREACH, NEVER, False),
    ],
)
def test_what_waits_depends_on_its_purpose(purpose: Purpose, hours: QuietHours, waits: bool) -> None:
    assert (until("2026-11-30 22:00", hours, purpose=purpose) is not None) == waits


def test_without_a_zone_this_machines_counts() -> None:
    hours, now = QuietHours(), datetime.now().astimezone().replace(hour=23, minute=0)
    end = quiet_until(hours, message(Purpose.OUTREACH), Provider(), now.astimezone(UTC))
    assert end is not None
    assert end.astimezone().strftime("%H:%M") == "08:00"


# ---- on the way out
@pytest.fixture
async def post(store: Store, writer: Writer) -> AsyncIterator[Post]:
    store.clock = Impatient()
    number = await writer.write(enter, Entrance(id="sms", kind="fake", label="SMS"))
    post = Post(store, writer, Line(number=number, id="sms"))
    yield post
    while post.running:
        await post.die()


async def start(post: Post, hours: QuietHours) -> None:
    outbox = post.open()
    outbox._sending = evolve(outbox._sending, quiet=hours)
    post.running.append(asyncio.create_task(outbox.run(await post.claim())))


def around(now: datetime) -> QuietHours:
    hour = timedelta(hours=1)
    return QuietHours(begin=f"{now - hour:%H:%M}", end=f"{now + hour:%H:%M}", zone="UTC")


async def test_outreach_is_held_until_then_and_goes_and_a_reply_passes_it(post: Post) -> None:
    conversation = await post.customer()
    [[handle]] = post.rows("SELECT handle FROM address")
    await post.receive(Consent(key="c", address=Address.parse(handle), allowed=True, scope="marketing"))
    now = datetime.now(UTC)
    await start(post, around(now))
    offer = await post.answer(conversation, "an offer", purpose=Purpose.OUTREACH)
    await post.until("outbox.refused")
    assert (post.state(offer), post.reason(offer)) == ("queued", "quiet hours where the recipient is")
    [[next_at, attempts]] = post.rows("SELECT next_at, attempts FROM delivery WHERE id = ?", offer)
    assert timedelta(minutes=58) < moment(next_at) - now <= timedelta(hours=1)
    assert attempts == 0
    await post.answer(conversation, "an answer")
    call = await post.called()
    assert call.message.text == "an answer"
    call.sent()
    await post.until()
    post.outbox._sending = evolve(post.outbox._sending, quiet=NEVER)
    await post.due()
    call = await post.called()
    assert call.message.text == "an offer"
    call.sent()
    await post.until()
    assert post.state(offer) == "sent"


async def test_who_stops_meanwhile_gets_it_neither_then_nor_later(post: Post) -> None:
    conversation = await post.customer()
    [[handle]] = post.rows("SELECT handle FROM address")
    await post.receive(Consent(key="c", address=Address.parse(handle), allowed=True, scope="marketing"))
    await start(post, around(datetime.now(UTC)))
    offer = await post.answer(conversation, purpose=Purpose.OUTREACH)
    await post.until("outbox.refused")
    await post.receive(Consent(key="d", address=Address.parse(handle), allowed=False))
    await post.due()
    await post.until("outbox.refused")
    assert (post.state(offer), post.reason(offer)) == ("refused", "the recipient opted out (the provider)")


# ---- settings
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('begin = "8pm"', "must be a time of the day, for instance 20:00"),
        ('end = "24:00"', "must be a time of the day, for instance 20:00"),
        ('zone = "Berlin"', "must be the name of a time zone, for instance Europe/Berlin"),
        ('zone = "../etc/passwd"', "must be the name of a time zone, for instance Europe/Berlin"),
    ],
)
def test_a_mistake_in_the_quiet_hours_is_told_with_its_remedy(tmp_path: Path, line: str, told: str) -> None:
    file = tmp_path / "fernamt.toml"
    file.write_text(f"[quiet_hours]\n{line}\n")
    with pytest.raises(ConfigErrors) as why:
        read_settings(file, environ={})
    assert told in str(why.value)


def test_the_quiet_hours_are_read(tmp_path: Path) -> None:
    file = tmp_path / "fernamt.toml"
    file.write_text('[quiet_hours]\nbegin = "19:30"\nzone = "Europe/Berlin"\nnotices = true\n')
    settings: Any = read_settings(file, environ={})
    assert settings.quiet_hours == QuietHours(begin="19:30", zone="Europe/Berlin", notices=True)
