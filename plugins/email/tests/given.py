"""What the tests of this plugin give a connector beside what the kit gives: a clock that nobody waits for, and a message."""

from __future__ import annotations

from typing import Any

from fernamt import Address, ChannelId, OutboundMessage
from fernamt.testing import FakeClock, FakeContext

CHANNEL = ChannelId("support-mail")


class HurriedClock(FakeClock):
    """Stands still; a sleep returns at once and is remembered."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(0)
        self.slept[-1] = seconds


def mail_context(**given: Any) -> FakeContext:
    """Return the context of a channel whose pauses take no time."""
    return FakeContext(clock=HurriedClock(), **given)


def message(**changes: Any) -> OutboundMessage:
    """Return an outbound message with what a test leaves open filled in."""
    values: dict[str, Any] = {
        "key": "k1",
        "entry_key": "e1",
        "attempt": 1,
        "to": Address("email", "ann@customer.test"),
        "text": "Guten Tag,\n\nIhre Bestellung ist unterwegs.\n",
        "subject": "Meine Bestellung",
    }
    return OutboundMessage(**{**values, **changes})
