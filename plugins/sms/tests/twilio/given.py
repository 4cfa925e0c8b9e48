"""A Twilio channel for the tests."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import urlencode

from multidict import CIMultiDict

from fernamt import Request, Secret
from fernamt_sms.twilio.connector import Twilio
from fernamt_sms.twilio.settings import TwilioSettings

from .. import lines
from ..lines import NOW, URL, US, Given
from .fake import ACCOUNT, TOKEN, FakeTwilio


def settings(**more: Any) -> TwilioSettings:
    """Return a right section."""
    said: dict[str, Any] = {"account_sid": ACCOUNT, "auth_token": Secret(TOKEN), "sender": US} | more
    return TwilioSettings(**said)


def call(
    form: Mapping[str, str] | bytes = b"",
    *,
    path: str = "sms",
    query: str = "",
    headers: Mapping[str, str] | None = None,
    url: str = URL,
) -> Request:
    """Return a call of Twilio's, not signed."""
    body = form if isinstance(form, bytes) else urlencode(form).encode()
    said = {"Content-Type": "application/x-www-form-urlencoded"} if headers is None else headers
    return Request(
        method="POST",
        url=f"{url}{path}{f'?{query}' if query else ''}",
        path="",
        query=dict(one.split("=", 1) for one in query.split("&") if one),
        headers=CIMultiDict(said),
        body=body,
        at=NOW,
    )


def twilio(**more: Any) -> AbstractAsyncContextManager[Given[FakeTwilio, Twilio]]:
    """Give a channel at a fake Twilio."""
    return lines.given("sms.twilio", FakeTwilio(), Twilio, lambda url: settings(api=url, **more))
