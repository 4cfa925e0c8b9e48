"""A Bird channel for the tests."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

from fernamt import Request, Secret
from fernamt_sms.messagebird.connector import MessageBird
from fernamt_sms.messagebird.settings import MessageBirdSettings

from .. import lines
from ..lines import NOW, US, Given
from .fake import KEY, SECRET, FakeBird


def settings(**more: Any) -> MessageBirdSettings:
    """Return a right section."""
    said: dict[str, Any] = {"api_key": Secret(KEY), "webhook_secret": Secret(SECRET), "sender": US}
    return MessageBirdSettings(**(said | more))


def call(said: Any = b"", *, at: datetime = NOW) -> Request:
    """Return a call of Bird's, not signed."""
    return lines.call(said, path="calls", at=at)


def messagebird(**more: Any) -> AbstractAsyncContextManager[Given[FakeBird, MessageBird]]:
    """Give a channel at a fake Bird."""
    return lines.given("sms.messagebird", FakeBird(), MessageBird, lambda url: settings(**({"api": url} | more)))
