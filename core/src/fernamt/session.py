"""A live exchange with turns, such as a telephone call: what happened on the line, and what shall happen there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from attrs import field, frozen

from fernamt.effects import Effect
from fernamt.model import Address, Attachment, Button, ChannelId
from fernamt.services import Question


@frozen(kw_only=True)
class Prompt:
    """Something to say. *text* is always there: it is what a text channel shows; *audio* names a recording."""

    text: str
    language: str
    audio: str = ""


# What happened on the line.
@frozen
class Started:
    """The exchange began; *called* is the number or page that was reached. What a connector leaves away, the core fills in."""

    called: str
    caller: Address | None = None
    channel: str = ""
    session: str = ""
    written: bool = field(default=False, kw_only=True)
    """It is read and typed, not heard and spoken."""


@frozen
class Pressed:
    """Keys of a telephone, in the order in which they were pressed."""

    keys: str


@frozen
class Said:
    """Recognised speech; *confidence* is between 0 and 1."""

    text: str
    confidence: float = 1.0


@frozen
class Silence:
    """Nothing was pressed or said in time."""


@frozen
class Finished:
    """Everything that was asked for has been played."""


@frozen
class Recorded:
    """The caller's words, as a file."""

    recording: Attachment


@frozen
class Transferred:
    """How a transfer ended: ``answered``, ``busy``, ``no-answer`` or ``failed``."""

    outcome: str


@frozen
class HungUp:
    """The line is gone; *by* is ``caller``, ``us`` or ``network``."""

    by: str


@frozen
class Polled:
    """Nothing happened: the provider wants the current turn, and no step is made."""


@frozen
class LookedUp:
    """The answer to a :class:`LookUp`, of the type that its question names."""

    answer: object


@frozen
class LookUpFailed:
    """A :class:`LookUp` brought nothing: nobody offers it, it failed, or it took too long."""

    reason: str


Happened: TypeAlias = (
    Started | Pressed | Said | Silence | Finished | Recorded | Transferred | LookedUp | LookUpFailed | HungUp | Polled
)


# What shall happen there.
@frozen
class Say:
    """Play the prompts, then go on."""

    prompts: tuple[Prompt, ...]


@frozen(kw_only=True)
class Gather:
    """Play the prompts and wait for keys or words."""

    prompts: tuple[Prompt, ...]
    max_keys: int = 0
    """0: no keys are wanted."""
    end_key: str = "#"
    hints: tuple[str, ...] = ()
    speech: bool = False
    barge_in: bool = True
    first_timeout_s: float = 5.0
    next_timeout_s: float = 3.0
    sensitive: bool = False
    """Never logged, recorded or stored in clear."""
    buttons: tuple[Button, ...] = ()
    """The choices where they are read: as buttons, or numbered by their values, which come back as ``Pressed``."""


@frozen(kw_only=True)
class Record:
    """Record what the caller says."""

    max_s: float
    end_key: str = "#"


@frozen(kw_only=True)
class Transfer:
    """Connect the caller with *to*."""

    to: str
    timeout_s: float = 30.0


@frozen(kw_only=True)
class Hold:
    """Keep the line; ``Performs.perform`` or a poll after *poll_s* seconds brings the next turn."""

    prompts: tuple[Prompt, ...] = ()
    poll_s: float = 10.0


@frozen
class HangUp:
    """End the exchange."""

    reason: str = "done"


LineAction: TypeAlias = Say | Gather | Record | Transfer | Hold | HangUp


@frozen(kw_only=True)
class LookUp:
    """Ask a service. The core asks; the answer comes back as :class:`LookedUp` or :class:`LookUpFailed`."""

    question: Question[Any]
    timeout_s: float = 4.0


Action: TypeAlias = LineAction | LookUp | Effect


@frozen(kw_only=True)
class SessionEvent:
    """Something happened in a live exchange. *key* is the same on every repeat of this event."""

    key: str
    session: str
    """The provider's id of the call; ours, when we dialled."""
    turn: int | None = None
    """The turn that it answers: an overtaken one makes no step and gets the current turn."""
    address: Address
    at: datetime
    """When it happened there: time-outs are judged by it."""
    what: Happened


@frozen(kw_only=True)
class Session:
    """The identity of a live exchange; *id* is ours, *call_id* the provider's."""

    id: str
    call_id: str
    channel: ChannelId
    address: Address
    language: str
    version: int


@frozen(kw_only=True)
class Turn:
    """What shall happen now: committed actions. A repeat gives the same; while the exchange lives it is never empty."""

    session: Session
    n: int
    """Put it into call-back addresses: it comes back as ``SessionEvent.turn``."""
    actions: tuple[LineAction, ...]


# Audio in our hands.
@frozen
class Key:
    """A key that the caller pressed."""

    key: str


Heard: TypeAlias = Key | bytes
"""A key, or 20 ms of 16-bit mono PCM."""


class Call(Protocol):
    """A telephone line with audio, written by a connector and driven by the core."""

    @property
    def session(self) -> str: ...
    @property
    def caller(self) -> Address: ...
    @property
    def called(self) -> str: ...
    @property
    def rate(self) -> int:
        """Samples a second."""

    async def answer(self) -> None:
        """Take the call."""

    async def play(self, audio: AsyncIterator[bytes]) -> None:
        """Return when the audio was heard; cancelling silences it at once."""

    def heard(self) -> AsyncIterator[Heard]:
        """Yield until the line ends, which is the only sign of a hang-up."""

    async def transfer(self, to: str, *, timeout_s: float) -> str:
        """Connect the caller with *to* and return a ``Transferred.outcome``."""

    async def hang_up(self) -> None:
        """End the call; may be called twice."""
