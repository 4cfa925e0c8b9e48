"""What sending on one channel needs to know of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import frozen

from fernamt._runtime.quiet import NEVER
from fernamt._store.deliveries import Attempt
from fernamt._store.reception import Line
from fernamt.connector import Connector
from fernamt.errors import NeedsLogin
from fernamt.outbound import Capabilities, OutboundMessage
from fernamt.settings import QuietHours

SEND_TIMEOUT_S: Final = 120.0


@frozen(kw_only=True)
class Sending:
    """What sending on one channel needs."""

    line: Line
    connector: Connector
    capabilities: Callable[[], Capabilities]
    hold_s: float
    retry_for_h: float
    needs_login: Callable[[NeedsLogin], None]
    quiet: QuietHours = NEVER


@frozen
class Ready:
    """A message that may go, and its attempt."""

    attempt: Attempt
    message: OutboundMessage
