"""What a connector is handed: its intake, the way out, the clock, its cursors, tokens, and a way to say how it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeVar

from attrs import field, frozen
from structlog.typing import FilteringBoundLogger

from fernamt._runtime.feed import Feeds
from fernamt._runtime.intake import ChannelIntake
from fernamt._runtime.services import LOOK_UP_S, Services
from fernamt._store.engine import Store
from fernamt._store.names import Names
from fernamt._store.reception import Line
from fernamt.connector import Blobs, Channel, Clock, FeedItem, Tables
from fernamt.errors import Unsupported
from fernamt.http import Http
from fernamt.model import Address, ChannelId
from fernamt.services import Question
from fernamt.session import SessionEvent, Turn

_A = TypeVar("_A")


FOR_EVER: Final = datetime.max.replace(tzinfo=UTC)


@frozen(kw_only=True)
class Context:
    """A :class:`fernamt.PluginContext`."""

    settings: Any
    http: Http
    log: FilteringBoundLogger
    clock: Clock
    blobs: Blobs
    tables: Tables
    services: Services = field(repr=False)
    channels: Mapping[ChannelId, Channel[Any]] = field(repr=False)

    def channel(self, name: ChannelId) -> Channel[Any]:
        found = self.channels.get(name)
        if found is None:
            raise Unsupported(f"the plugin has no channel {name!r}, or not any more")
        return found

    async def look_up(self, question: Question[_A], *, timeout_s: float = LOOK_UP_S) -> _A:
        return await self.services.look_up(question, timeout_s=timeout_s)


@frozen(kw_only=True)
class ChannelContext(Context):
    """A :class:`fernamt.ConnectorContext`."""

    intake: ChannelIntake
    line: Line
    store: Store
    names: Names
    feeds: Feeds
    state_reported: Callable[[str, str], None]

    async def cursor(self, name: str) -> str:
        return await asyncio.to_thread(self._cursor, name)

    def _cursor(self, name: str) -> str:
        with self.store.read() as connection:
            rows = self.store.statements(connection).rows(
                "SELECT value FROM cursor WHERE channel = ? AND name = ?", (self.line.number, name)
            )
        return rows[0][0] if rows else ""

    def feed(self, reader: Address, *, since: str = "") -> AsyncIterator[FeedItem]:
        return self.feeds.feed(self.line, self.names, reader, since)

    async def turn(self, event: SessionEvent) -> Turn:
        return await self.intake.turn(event)

    def sign(self, value: str, *, valid: timedelta | None) -> str:
        until = FOR_EVER if valid is None else self.clock.now() + valid
        return self.names.sign(value, f"channel:{self.line.id}", until)

    def unsign(self, token: str) -> str:
        return self.names.unsign(token, f"channel:{self.line.id}", self.clock.now())

    def report_state(self, state: Literal["up", "degraded"], reason: str = "") -> None:
        self.state_reported(state, reason)
