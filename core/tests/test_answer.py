"""One call of a connector: its answer, its error, or that its time is over."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fernamt._runtime.answer import answer_of
from fernamt.connector import Connector
from fernamt.errors import Rejected
from fernamt.model import Address
from fernamt.outbound import Capabilities, OutboundMessage, Sent

MESSAGE = OutboundMessage(key="k1", entry_key="e1", attempt=1, to=Address("phone", "+4930123456"), text="Hallo")
SOON_S, NEVER_S = 0.005, 60.0


class Sends:
    """A connector that does what a test says."""

    def __init__(self, body: Callable[[], Awaitable[Any]]) -> None:
        self._body = body

    def capabilities(self) -> Capabilities:
        return Capabilities()

    async def send(self, message: OutboundMessage) -> Sent:
        assert message is MESSAGE
        return await self._body()  # type: ignore[no-any-return]


def calling(body: Callable[[], Awaitable[Any]], within_s: float = NEVER_S) -> asyncio.Task[Sent | Exception]:
    connector: Connector = Sends(body)
    return asyncio.create_task(answer_of(connector, MESSAGE, within_s=within_s))


async def waiting() -> None:
    await asyncio.Event().wait()


async def test_an_answer_and_an_error_come_out_as_they_are() -> None:
    sent, refused = Sent(ids=("1",)), Rejected("no such number")

    async def takes() -> Sent:
        return sent

    async def refuses() -> Sent:
        raise refused

    assert await calling(takes) is sent
    assert await calling(refuses) is refused


async def test_when_its_time_is_over_a_call_is_ended_and_counts_as_too_late() -> None:
    ended = asyncio.Event()

    async def never() -> None:
        try:
            await waiting()
        finally:
            ended.set()

    assert isinstance(await calling(never, SOON_S), TimeoutError)
    assert ended.is_set()


async def test_an_answer_that_a_connector_saves_from_its_end_counts() -> None:
    async def stubborn() -> Sent:
        try:
            await waiting()
        except asyncio.CancelledError:
            return Sent(ids=("saved",))
        raise AssertionError

    assert await calling(stubborn, SOON_S) == Sent(ids=("saved",))


async def test_an_error_that_comes_of_its_end_counts() -> None:
    async def clumsy() -> None:
        try:
            await waiting()
        except asyncio.CancelledError:
            raise Rejected("it broke") from None

    assert isinstance(await calling(clumsy, SOON_S), Rejected)


async def test_what_cancels_itself_inside_and_what_wants_to_exit_has_failed() -> None:
    async def cancels() -> None:
        raise asyncio.CancelledError

    async def leaves() -> None:
        raise SystemExit(1)

    assert isinstance(await calling(cancels), RuntimeError)
    assert isinstance(await calling(leaves), RuntimeError)


@pytest.mark.parametrize("also_late", [False, True])
async def test_whoever_is_cancelled_from_outside_ends_so_even_when_its_time_is_over_too(also_late: bool) -> None:
    began = asyncio.Event()

    async def slow_to_end() -> None:
        try:
            began.set()
            await waiting()
        finally:
            task.cancel()

    async def plain() -> None:
        began.set()
        await waiting()

    task = calling(slow_to_end, SOON_S) if also_late else calling(plain)
    await began.wait()
    if not also_late:
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_was_answered_in_time_is_not_ended_later() -> None:
    async def takes() -> Sent:
        return Sent()

    later = asyncio.Event()
    await answer_of(Sends(takes), MESSAGE, within_s=SOON_S)
    asyncio.get_running_loop().call_later(2 * SOON_S, later.set)

    assert await later.wait()
