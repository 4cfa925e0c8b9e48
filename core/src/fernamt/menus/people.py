"""The nodes behind which a person stands: at once, later, or by another way."""

from __future__ import annotations

from typing import ClassVar

from attrs import field, frozen
from attrs.validators import ge, gt, le

from fernamt.menus.node import BuiltIn, goes_on, leads_to
from fernamt.menus.nodes import Hearing
from fernamt.menus.wording import Prompts, prompts


@frozen(kw_only=True)
class RouteNode(BuiltIn):
    """Says who should take it, for the queue or the agent that follows. Kept as an entry ``route``."""

    kind: ClassVar[str] = "route"
    team: str = ""
    """Whose concern it is."""
    skills: tuple[str, ...] = ()
    """What whoever takes it must know: ``french``, ``solar``."""
    priority: int = field(default=0, validator=[ge(-9), le(9)])
    """Higher is sooner."""
    to: str = goes_on()
    """What comes next."""


@frozen(kw_only=True)
class TransferNode(BuiltIn):
    """Connects with somebody. On a channel of text the conversation is handed to an agent."""

    kind: ClassVar[str] = "transfer"
    number: str
    """A number, an address, or ``team:support``."""
    prompt: Prompts = field(factory=dict, converter=prompts)
    """What is said before."""
    timeout_s: float = field(default=30.0, validator=[gt(0), le(300)])
    """How long it rings."""
    busy: str = leads_to(instead="failed")
    """The line is busy."""
    no_answer: str = leads_to(instead="failed")
    """Nobody takes it."""
    failed: str = goes_on()
    """It cannot be done."""


@frozen(kw_only=True)
class QueueNode(BuiltIn):
    """Waits for an agent, says the place and about how long, and offers to call back and keep the place.

    Where it is read nobody has to wait: it is handed over at once, as a transfer to ``queue:<name>``.
    """

    kind: ClassVar[str] = "queue"
    queue: str
    """Which one. The place comes from the service that answers ``PlaceQuestion``."""
    prompt: Prompts = field(converter=prompts)
    """Said every time; ``{position}`` and ``{wait_minutes}`` are known. Where it is read only what is ``written``, else that a
    person takes over."""
    offer: Prompts = field(factory=dict, converter=prompts)
    """Said beside it once ``offer_after_s`` is over: *press 1, and we call you back*."""
    every_s: float = field(default=20.0, validator=[ge(5), le(120)])
    """How often the place is told."""
    offer_after_s: float = field(default=60.0, validator=[ge(0), le(3_600)])
    """When the call-back is offered."""
    longest_s: float = field(default=600.0, validator=[gt(0), le(3_600)])
    """How long anybody waits here at most."""
    priority: int = field(default=0, validator=[ge(-9), le(9)])
    """Beside that of a route."""
    timeout_s: float = field(default=20.0, validator=[gt(0), le(300)])
    """How long an agent's telephone rings."""
    callback: str = leads_to(instead="overflow")
    """Somebody took the offer."""
    overflow: str = goes_on()
    """Nobody was free in time."""
    failed: str = leads_to(instead="overflow")
    """There is no such service, or it did not answer."""


@frozen(kw_only=True)
class CallbackNode(Hearing):
    """Takes a number to call back. Kept as an entry ``callback``, with the time since when somebody waits."""

    kind: ClassVar[str] = "callback"
    prompt: Prompts = field(converter=prompts)
    """Asks whether the number of the caller, ``{number}``, is right: 1 or yes, 2 or no."""
    ask: Prompts = field(converter=prompts)
    """Asks for another number."""
    done: Prompts = field(converter=prompts)
    """Says when somebody calls."""
    slot: str = ""
    """A variable that says when; without it as soon as possible."""
    to: str = goes_on()
    """Once the number is kept; a known number is kept even if nobody answers any more."""
    no_input: str = leads_to()
    """There is no number, and nobody gave one."""
    no_match: str = leads_to(instead="no_input")
    """There is no number, and what was given is none."""


@frozen(kw_only=True)
class VoicemailNode(BuiltIn):
    """Records a message; on a channel of text it takes what is written. Kept as an entry ``voicemail``."""

    kind: ClassVar[str] = "voicemail"
    prompt: Prompts = field(converter=prompts)
    """What is said before the tone, and that it is recorded."""
    done: Prompts = field(converter=prompts)
    """What is said afterwards."""
    longest_s: float = field(default=120.0, validator=[gt(0), le(900)])
    """How long it may be."""
    to: str = goes_on()
    """Once it is kept."""
    failed: str = leads_to()
    """Nothing was said, or it cannot be recorded."""


@frozen(kw_only=True)
class TextbackNode(BuiltIn):
    """Writes to the caller, so that they can go on in writing, in the same conversation."""

    kind: ClassVar[str] = "textback"
    channel: str
    """The id of the channel by which it goes."""
    message: Prompts = field(converter=prompts)
    """What is written."""
    done: Prompts = field(factory=dict, converter=prompts)
    """What is said."""
    to: str = goes_on()
    """Once it is on its way."""
    failed: str = leads_to()
    """Nobody knows whom to write to."""
