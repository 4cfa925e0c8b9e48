"""A Sinch channel for the tests."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

from fernamt import Request, Secret
from fernamt_sms.sinch.connector import Sinch
from fernamt_sms.sinch.settings import SinchSettings

from .. import lines
from ..lines import NOW, US, Given
from .fake import PLAN, SECRET, TOKEN, FakeSinch


def settings(**more: Any) -> SinchSettings:
    """Return a right section."""
    said: dict[str, Any] = {
        "plan": PLAN,
        "plan_token": Secret(TOKEN),
        "webhook_secret": Secret(SECRET),
        "sender": US,
    }
    return SinchSettings(**(said | more))


def call(said: Any = b"", *, path: str = "calls", at: datetime = NOW) -> Request:
    """Return a call of Sinch's, not signed."""
    return lines.call(said, path=path, at=at)


def sinch(**more: Any) -> AbstractAsyncContextManager[Given[FakeSinch, Sinch]]:
    """Give a channel at a fake Sinch."""
    return lines.given("sms.sinch", FakeSinch(), Sinch, lambda url: settings(**({"api": url} | more)))
