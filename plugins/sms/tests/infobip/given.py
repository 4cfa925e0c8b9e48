"""An Infobip channel for the tests."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

from fernamt import Request, Secret
from fernamt_sms.infobip.connector import Infobip
from fernamt_sms.infobip.settings import InfobipSettings

from .. import lines
from ..lines import NOW, US, Given
from .fake import KEY, SECRET, FakeInfobip


def settings(**more: Any) -> InfobipSettings:
    """Return a right section."""
    said: dict[str, Any] = {
        "api": "https://abc123.api.infobip.com",
        "api_key": Secret(KEY),
        "call_secret": Secret(SECRET),
        "sender": US,
    }
    return InfobipSettings(**(said | more))


def call(said: Any = b"", *, path: str = "messages", behind: str = SECRET, at: datetime = NOW) -> Request:
    """Return a call of Infobip's, with a secret behind its address."""
    return lines.call(said, path=path, behind=behind, at=at)


def infobip(**more: Any) -> AbstractAsyncContextManager[Given[FakeInfobip, Infobip]]:
    """Give a channel at a fake Infobip."""
    return lines.given("sms.infobip", FakeInfobip(), Infobip, lambda url: settings(**({"api": url} | more)))
