"""A Vonage channel for the tests."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from fernamt import Request, Secret
from fernamt_sms.vonage.connector import Vonage
from fernamt_sms.vonage.settings import VonageSettings

from .. import lines
from ..lines import US, Given
from .fake import KEY, SECRET, SIGNATURE, FakeVonage


def settings(**more: Any) -> VonageSettings:
    """Return a right section."""
    said: dict[str, Any] = {
        "account": KEY,
        "api_secret": Secret(SECRET),
        "signature_secret": Secret(SIGNATURE),
        "sender": US,
    }
    return VonageSettings(**(said | more))


def call(
    said: Any = b"",
    *,
    path: str = "messages",
    query: Mapping[str, str] | None = None,
    media_type: str = "application/json",
) -> Request:
    """Return a call of Vonage's, not signed."""
    return lines.call(said, path=path, query=query, media_type=media_type)


def vonage(**more: Any) -> AbstractAsyncContextManager[Given[FakeVonage, Vonage]]:
    """Give a channel at a fake Vonage, which speaks the API that the channel does."""
    there = FakeVonage(api=more.get("api", "messages"))
    return lines.given("sms.vonage", there, Vonage, lambda url: settings(messages_url=url, sms_url=url, **more))
