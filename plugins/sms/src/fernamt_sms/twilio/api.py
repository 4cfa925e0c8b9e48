"""The way out to Twilio, by HTTP, and what its answers mean."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from fernamt import Http, HttpReply, Rejected, Unreachable
from fernamt_sms.outcome import AGAIN_S, error
from fernamt_sms.twilio.codes import of_answer
from fernamt_sms.twilio.settings import TwilioSettings

_VERSION: Final = "/2010-04-01"
PAGE: Final = 1_000
"""So many messages are the largest page that Twilio gives."""
_MEDIA_MAX_BYTES: Final = 25 * 1_048_576
"""Twilio takes 5 MB; what it makes of a picture may be larger."""


class Api:
    """Calls one account. Errors as in ``send``."""

    def __init__(self, settings: TwilioSettings, http: Http) -> None:
        self._base = settings.api.rstrip("/")
        self._account = f"{_VERSION}/Accounts/{settings.account_sid}"
        self._http = http
        user, secret = settings.account_sid, settings.auth_token
        if settings.login_secret is not None:
            user, secret = settings.login_sid, settings.login_secret
        login = base64.b64encode(f"{user}:{secret.reveal()}".encode()).decode()
        self._headers = {"Authorization": f"Basic {login}"}

    async def account(self) -> Mapping[str, Any]:
        """Return what Twilio says of the account."""
        return _said(await self._get(f"{self._account}.json"))

    async def number(self, number: str) -> Mapping[str, Any] | None:
        """Return what Twilio says of a number of the account; ``None``: it has none such."""
        said = _said(await self._get(f"{self._account}/IncomingPhoneNumbers.json", PhoneNumber=number))
        return next(iter(_items(said, "incoming_phone_numbers")), None)

    async def send(self, fields: Sequence[tuple[str, str]]) -> Mapping[str, Any]:
        """Send a message, and return it as Twilio shows it."""
        said = _said(
            await self._http.request(
                "POST",
                f"{self._base}{self._account}/Messages.json",
                headers={**self._headers, "Content-Type": "application/x-www-form-urlencoded"},
                body=urlencode(fields).encode(),
            )
        )
        if not isinstance(said.get("sid"), str) or not said["sid"]:
            raise Unreachable("the answer has no sid", certain=False)
        return said

    async def messages(self, *, page: str = "", **query: str) -> tuple[Sequence[Mapping[str, Any]], str]:
        """Return messages, the newest first, and what to give as *page* for those before; ``""``: these were all."""
        path = page or f"{self._account}/Messages.json"
        said = _said(await self._get(path, **({} if page else {"PageSize": str(PAGE), **query})))
        following = said.get("next_page_uri")
        return _items(said, "messages"), following if isinstance(following, str) and following.startswith("/") else ""

    async def sent_between(
        self, start: datetime, end: datetime, *, page: str = ""
    ) -> tuple[Sequence[Mapping[str, Any]], str]:
        """Return the messages of the account between two times, both included: see :meth:`messages`."""
        return await self.messages(page=page, **{"DateSent>": _time(start), "DateSent<": _time(end)})

    async def media(self, message: str) -> Sequence[Mapping[str, Any]]:
        """Return what hangs on a message, by its SID; nothing, if the message was deleted."""
        reply = await self._get(f"{self._account}/Messages/{message}/Media.json")
        return () if reply.status == 404 else _items(_said(reply), "media_list")

    def address(self, uri: str) -> str:
        """Return the address of something that Twilio names by a path."""
        return f"{self._base}{uri.removesuffix('.json')}"

    def download(self, address: str) -> AsyncIterator[bytes]:
        """Yield a picture; raises ``Rejected`` where our login must not go."""
        if urlsplit(address)[:2] != urlsplit(self._base)[:2]:
            raise Rejected("the picture does not lie at Twilio")
        return self._http.download(address, headers=self._headers, max_bytes=_MEDIA_MAX_BYTES)

    async def _get(self, path: str, **query: str) -> HttpReply:
        return await self._http.request("GET", f"{self._base}{path}", headers=self._headers, query=query)


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _said(reply: HttpReply) -> Mapping[str, Any]:
    """Return what a good answer holds."""
    if reply.status not in {200, 201}:
        code = _code(reply)
        raise error(of_answer(reply.status, code), code or str(reply.status), after_s=reply.retry_after_s(AGAIN_S))
    said = reply.json()
    if not isinstance(said, Mapping):
        raise Unreachable("the answer is none of Twilio's", certain=False)
    return said


def _code(reply: HttpReply) -> str:
    try:
        said = reply.json()
    except Unreachable:
        return ""
    code = said.get("code") if isinstance(said, Mapping) else None
    return str(code) if isinstance(code, int) and not isinstance(code, bool) else ""


def _items(said: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    items = said.get(name)
    if not isinstance(items, list):
        raise Unreachable("the answer is none of Twilio's", certain=False)
    return [one for one in items if isinstance(one, Mapping)]
