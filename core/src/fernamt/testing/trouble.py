"""What can go wrong between a connector and its provider, and what a fake server has to do to be used by the kit."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum
from types import TracebackType
from typing import Protocol, Self, runtime_checkable


class Trouble(StrEnum):
    """How every call to a provider ends."""

    NOT_THERE = "not-there"
    """Nobody listens: nothing can have been done."""
    LOST_QUESTION = "lost-question"
    """It was not done, the connection ends without an answer. From outside the same as the next one."""
    LOST_ANSWER = "lost-answer"
    """It was done, the connection ends without an answer."""
    SILENCE = "silence"
    """It was done, and nothing comes for a minute."""
    CUT_SHORT = "cut-short"
    """It was done, and the answer ends in the middle."""
    NONSENSE = "nonsense"
    """It was done, and the answer is none: a page for people where a machine's words should be."""
    FAILED = "failed"
    """An error of the provider's own that does not say whether it was done; it was."""
    THROTTLED = "throttled"
    """Too fast; nothing was done, and it may be tried again after 17 seconds, if the protocol can say so."""
    THROTTLED_UNTIL = "throttled-until"
    """The same, said as a date: 17 seconds after the provider's own time, which its answer says, too."""
    REFUSED = "refused"
    """This message is wrong for good."""
    LOGIN = "login"
    """The login is not accepted any more."""


class FakeServer(Protocol):
    """The other side of a connector's tests: :class:`FaultyProvider` is one for HTTP, a plugin may bring another.

    Entered once for every rule, so a new one has no past. It listens on loopback.
    """

    @property
    def troubles(self) -> Collection[Trouble]:
        """Those that its protocol knows; rules about the others do not apply."""
        ...

    @property
    def asked(self) -> int:
        """How often a connector came: requests, or connections where that says more."""
        ...

    @property
    def arrived(self) -> Sequence[str]:
        """What reached customers, in order: of each message all words that they can read."""
        ...

    async def meet(self, trouble: Trouble | None) -> None:
        """End every call from now on like that; ``None``: well again. Connections that stand may be cut."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


@runtime_checkable
class Holds(Protocol):
    """A fake server at which messages wait for us: for connectors that poll, stream or fetch."""

    async def hold(self, *texts: str) -> None:
        """Let a message with each of these texts wait, in this order, behind those that wait already."""
        ...


@runtime_checkable
class Poisons(Holds, Protocol):
    """A fake server at which a message can wait that nobody can read."""

    async def hold_poison(self) -> None:
        """Let something wait, behind what waits already, that is no message by the provider's own documentation."""
        ...


@runtime_checkable
class ReadElsewhere(Holds, Protocol):
    """A fake server whose messages can be read with the provider's own app."""

    async def read_elsewhere(self) -> None:
        """Mark all that waits as read, as a colleague does on a telephone."""
        ...


@runtime_checkable
class Puts(Holds, Protocol):
    """A fake server at which a recording can wait."""

    async def put(self, content: bytes) -> None:
        """Let the body of a recording wait, as it came."""
        ...


@runtime_checkable
class HoldsHistory(Protocol):
    """A fake server with a history that can be asked for, while nothing waits there: for ``Backfills`` without ``run``."""

    async def hold_history(self, *texts: str) -> None:
        """Let a message with each of these texts have come, in this order, behind those that had come already."""
        ...


@runtime_checkable
class Transcribes(Protocol):
    """A fake server that keeps what it was asked, word for word."""

    def transcript(self) -> Sequence[str]:
        """Return everything that was asked so far, a text each, in order.

        Nothing in it differs from run to run: no ports, no boundaries made by chance, no times of the real clock.
        """
        ...


@runtime_checkable
class HoldsMedia(Protocol):
    """A fake server that has files for us."""

    async def hold_media(self, content: bytes) -> str:
        """Keep a file, and return what a message names it by: the *ref* of a :class:`fernamt.Remote`."""
        ...

    async def lose_media(self) -> None:
        """Forget every file."""
        ...
