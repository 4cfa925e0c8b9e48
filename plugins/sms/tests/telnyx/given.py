"""A Telnyx channel for the tests."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

from fernamt import Request, Secret
from fernamt_sms.telnyx.connector import Telnyx
from fernamt_sms.telnyx.settings import TelnyxSettings

from .. import lines
from ..lines import NOW, US, Given
from .fake import PRIVATE, TOKEN, FakeTelnyx, public


def settings(**more: Any) -> TelnyxSettings:
    """Return a right section."""
    said: dict[str, Any] = {"api_key": Secret(TOKEN), "verify_key": public(PRIVATE), "sender": US} | more
    return TelnyxSettings(**said)


def call(said: Any = b"", *, path: str = "messages", at: datetime = NOW) -> Request:
    """Return a call of Telnyx's, not signed."""
    return lines.call(said, path=path, at=at)


def telnyx(**more: Any) -> AbstractAsyncContextManager[Given[FakeTelnyx, Telnyx]]:
    """Give a channel at a fake Telnyx."""
    return lines.given("sms.telnyx", FakeTelnyx(), Telnyx, lambda url: settings(**({"api": url} | more)))
