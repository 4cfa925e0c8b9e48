"""A provider of a simulated world: answers late or never, refuses, throttles, keeps copies, and sends receipts as it likes."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Final, Literal

from attrs import frozen

from fernamt._store.reception import Line
from fernamt.errors import ChannelError, NeedsLogin, OptedOut, Rejected, Throttled, Unreachable
from fernamt.inbound import Receipt
from fernamt.model import DeliveryState, moment
from fernamt.outbound import Capabilities, OutboundMessage, Sent

from .model import Broken, certain

if TYPE_CHECKING:
    from .runner import Runner
    from .world import World

_FATES: Final = {
    "sent": 48,
    "sent late": 10,
    "answer lost": 7,
    "silent": 1,
    "failed somehow": 4,
    "unreachable": 12,
    "throttled": 5,
    "rejected": 4,
    "opted out": 1,
    "needs login": 1,
    "connector fails": 2,
}
_TAKES_IT: Final = {"sent", "sent late", "answer lost", "silent"}
_STORIES: Final = (
    (),
    (),
    ("delivered",),
    ("delivered", "read"),
    ("read", "delivered"),
    ("delivered", "delivered"),
    ("failed",),
    ("delivered", "failed"),
    ("failed", "delivered"),
    ("sent", "read"),
)


@frozen
class Copy:
    """Something that the recipient got."""

    id: str
    delivery: int
    at_s: float


class Provider:
    """The other end of one channel."""

    def __init__(self, world: World, line: Line, capabilities: Capabilities) -> None:
        self.world = world
        self.line = line
        self.capabilities = capabilities
        self.copies: list[Copy] = []
        self.down_until_s = 0.0
        self._by_key: dict[str, Copy] = {}
        self._calls: Counter[int] = Counter()

    async def call(self, runner: Runner, message: OutboundMessage) -> Sent:
        """Answer a call of ``send``. What happens here goes on when the caller dies."""
        world = self.world
        delivery = world.names.delivery_of(message.key)
        self._calls[delivery] += 1
        number = self._calls[delivery]
        dice = world.dice("call", self.line.id, delivery, number)
        fate = dice.choices(list(_FATES), list(_FATES.values()))[0] if world.has("provider") else "sent"
        if world.has("provider") and world.loop.now_s < self.down_until_s:
            fate = "unreachable"
        world.say(runner.name, f"sends {delivery} attempt {message.attempt} ({self.line.id}): {fate}")
        try:
            world.model.called(delivery, message.attempt, idempotent=self.capabilities.idempotent)
        except Broken as why:
            world.ends(why)  # raised, it would be taken for a failure of the connector
        reply: asyncio.Future[Sent] = world.loop.create_future()
        way_s = dice.uniform(0.001, 0.3)
        back_s = dice.uniform(5, 60) if fate == "sent late" else dice.uniform(0.001, 0.5)
        if world.calm or not world.has("delays"):
            way_s = back_s = 0.01
        world.later(way_s, lambda: self._arrived(delivery, message, number, fate, reply, back_s))
        try:
            return await reply
        except ChannelError as why:
            if not runner.dead and certain(why):
                world.model.certainly_not(delivery, message.attempt)
            raise

    async def asked(self, runner: Runner, message: OutboundMessage) -> Sent | Literal["not_sent", "unknown"]:
        """Say what is known of a message: this view is complete, but may not be had."""
        world = self.world
        delivery = world.names.delivery_of(message.key)
        dice = world.dice("asked", delivery, len(world.trace))
        await asyncio.sleep(dice.uniform(0.01, 0.5))
        if world.has("provider") and dice.random() < 0.3:
            return "unknown"
        copy = self._by_key.get(message.key)
        world.say(runner.name, f"asks for {delivery}: {copy}")
        if copy is not None:
            return Sent(ids=(copy.id,))
        world.model.looked_up(delivery)
        return "not_sent"

    def _arrived(
        self,
        delivery: int,
        message: OutboundMessage,
        number: int,
        fate: str,
        reply: asyncio.Future[Sent],
        back_s: float,
    ) -> None:
        world = self.world
        dice = world.dice("fate", self.line.id, delivery, number)
        known = self._by_key.get(message.key) if self.capabilities.idempotent else None
        if known is not None and fate in {"rejected", "opted out"}:
            fate = "sent"  # it honours the key: the first one's answer
        if known is None and (fate in _TAKES_IT or (fate == "connector fails" and dice.random() < 0.5)):
            known = Copy(f"{self.line.id}-{delivery}-{number}", delivery, world.loop.now_s)
            self.copies.append(known)
            self._by_key[message.key] = known
            world.say(self.line.id, f"has {known.id}")
            self._receipts(known, message)
        answer = self._answer(fate, known, dice)
        if answer is not None:
            world.model.answered(delivery, message.attempt, answer)
            world.later(back_s, lambda: _replied(reply, answer))

    def _answer(self, fate: str, copy: Copy | None, dice: Random) -> Sent | Exception | None:
        """Return what the caller hears; ``None``: nothing, ever."""
        match fate:
            case "sent" | "sent late":
                assert copy is not None
                return Sent(ids=(copy.id,) if dice.random() < 0.9 else ())
            case "silent":
                return None
            case "failed somehow" if dice.random() < 0.5:
                return TimeoutError()
            case "throttled":
                return Throttled("429", after_s=dice.choice((0.5, 3.0, 20.0)))
            case "needs login":
                self.world.somebody_logs_in(self.line.id)
                return NeedsLogin("401")
            case "connector fails":
                return RuntimeError("a bug in the connector")
            case _:
                pass
        return {
            "answer lost": Unreachable("reset after the first byte", certain=False),
            "failed somehow": Unreachable("502", certain=False),
            "unreachable": Unreachable("connection refused", certain=True),
            "rejected": Rejected("no such number"),
            "opted out": OptedOut("STOP"),
        }[fate]

    def _receipts(self, copy: Copy, message: OutboundMessage) -> None:
        world = self.world
        if not world.has("receipts"):
            return
        dice = world.dice("receipts", copy.id)
        for place, state in enumerate(dice.choice(_STORIES)):
            after_s = dice.choice((0.0, dice.uniform(0, 1), dice.uniform(0, 30)))
            naming = dice.choice(("id", "id", "id", "key", "both", "up to"))
            if naming == "up to" and state == "failed":
                naming = "id"
            receipt = Receipt(
                key=f"receipt {copy.id} {place}",
                state=DeliveryState(state),
                id=copy.id if naming in {"id", "both"} else "",
                message_key=message.key if naming in {"key", "both"} else "",
                address=message.to if naming == "up to" else None,
                up_to=moment(world.now_us()) if naming == "up to" else None,
                error=Rejected("not delivered") if state == "failed" else None,
            )
            world.model.receipt_sent(receipt, copy.delivery)
            for again_s in (0.0, dice.uniform(0, 20))[: dice.choice((1, 1, 2))]:
                world.later(after_s + again_s, lambda it=receipt: world.offer(self, (it,)))  # type: ignore[misc]


def _replied(reply: asyncio.Future[Sent], answer: Sent | Exception) -> None:
    if reply.done():
        return
    if isinstance(answer, Sent):
        reply.set_result(answer)
    else:
        reply.set_exception(answer)
