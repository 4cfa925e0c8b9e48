"""A provider's calls to us, as providers make them: repeated, out of order, late, and again until somebody says yes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self

import aiohttp
from attrs import field, frozen
from attrs.validators import ge, gt

_AGAIN_S: Final = 0.05
_TIMEOUT_S: Final = 10.0
_NO_HEADERS: Final[Mapping[str, str]] = {}


@frozen(kw_only=True)
class WebhookFaults:
    """How a provider's webhooks misbehave. ``WebhookFaults()`` do not."""

    duplicates: int = field(default=0, validator=ge(0))
    """Each is sent so many times more, the repeats after all others of its group."""
    reversed_by: int = field(default=1, validator=gt(0))
    """They are held until so many wait, and these go in reverse order."""
    delay_s: float = field(default=0.0, validator=ge(0))
    """Each group starts so much later."""
    gives_up_after: int = field(default=100, validator=gt(0))
    """So often a call is made at most until its answer is a 2xx."""


class FaultyWebhooks:
    """Calls *url* while it is entered; :meth:`tell` plans a call, :meth:`settled` waits for all of them.

    *headers* makes the headers for a body: signatures. Like a provider it calls again, with the same bytes, what was not
    answered with a 2xx.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Callable[[bytes], Mapping[str, str]] = lambda _body: _NO_HEADERS,
        faults: WebhookFaults = WebhookFaults(),
    ) -> None:
        self.faults = faults
        """May be replaced at any time; groups that are formed later follow it."""
        self.statuses: list[tuple[bytes, int]] = []
        """Every answer so far, to which bytes; 0: there was none."""
        self.given_up: list[bytes] = []
        self._url = url
        self._headers = headers
        self._held: list[bytes] = []
        self._groups: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None

    def tell(self, *bodies: bytes) -> None:
        """Plan a call for each body. Returns at once; there is one call at a time."""
        for body in bodies:
            self._held.append(body)
            if len(self._held) >= self.faults.reversed_by:
                self._release()

    async def settled(self) -> None:
        """Let go what is held, and return when every call was answered with a 2xx, or was given up."""
        self._release()
        while self._groups:
            await asyncio.gather(*self._groups)

    def _release(self) -> None:
        held, self._held = self._held, []
        if held:
            ordered = held if self.faults.reversed_by == 1 else held[::-1]
            task = asyncio.create_task(self._deliver(ordered * (1 + self.faults.duplicates), self.faults))
            self._groups.add(task)
            task.add_done_callback(self._groups.discard)

    async def _deliver(self, bodies: list[bytes], faults: WebhookFaults) -> None:
        await asyncio.sleep(faults.delay_s)
        async with self._turn:
            for body in bodies:
                if not await self._taken(body, faults.gives_up_after):
                    self.given_up.append(body)

    async def _taken(self, body: bytes, times: int) -> bool:
        for _ in range(times):
            status = await self._call(body)
            self.statuses.append((body, status))
            if 200 <= status < 300:
                return True
            await asyncio.sleep(_AGAIN_S)
        return False

    async def _call(self, body: bytes) -> int:
        assert self._session is not None
        try:
            async with self._session.post(self._url, data=body, headers=self._headers(body)) as answer:
                await answer.read()
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return 0

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, why: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        for task in tuple(self._groups):
            task.cancel()
        if self._groups:
            await asyncio.wait(tuple(self._groups))
        await self._session.close()
