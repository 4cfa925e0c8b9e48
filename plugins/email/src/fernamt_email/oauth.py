"""Access tokens for a mailbox (RFC 6749): refreshed before they end, one refresh at a time, never shown to anybody."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import orjson
from attrs import field, frozen

from fernamt import Clock, HttpReply, NeedsLogin, Unreachable
from fernamt_email.settings import OAuthSettings
from fernamt_email.token_file import TokenFile

EARLY_S: Final = 300.0
"""A token that ends sooner is renewed first; of one that lives less than an hour a tenth of its life."""
LIFE_S: Final = 3_600.0
"""Of a token of which the server does not say how long it lives."""
REQUEST_S: Final = 20.0
_TRANSIENT: Final = frozenset({"temporarily_unavailable", "server_error", "slow_down"})
_NAMED: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_CODE: Final = re.compile(r"AADSTS\d{4,8}")


class Posts(Protocol):
    """The part of ``Http`` that is needed."""

    async def request(
        self, method: str, url: str, *, form: Mapping[str, str] = ..., timeout_s: float = ...
    ) -> HttpReply: ...


@frozen(kw_only=True)
class Endpoints:
    """Where a provider gives out tokens, and what we ask for."""

    token: str
    authorize: str
    device: str
    """``""``: it has none for mail."""
    scope: str


@frozen(kw_only=True)
class Granted:
    """What a token server gave."""

    access: str = field(repr=False)
    refresh: str = field(default="", repr=False)
    """``""``: it gave none, the one that we have stays good."""
    life_s: float = LIFE_S


def endpoints(settings: OAuthSettings) -> Endpoints:
    """Return the addresses of the provider, or those that stand in the settings."""
    if settings.provider == "microsoft":
        base = f"https://login.microsoftonline.com/{settings.tenant}/oauth2/v2.0"
        delegated = (
            "https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send offline_access"
        )
        app = "https://outlook.office365.com/.default"
        known = (
            f"{base}/token",
            f"{base}/authorize",
            f"{base}/devicecode",
            app if settings.flow == "app" else delegated,
        )
    elif settings.provider == "google":
        base = "https://accounts.google.com/o/oauth2/v2/auth"
        known = ("https://oauth2.googleapis.com/token", base, "", "https://mail.google.com/")
    else:
        known = ("", "", "", "")
    return Endpoints(
        token=settings.token_url or known[0],
        authorize=settings.authorize_url or known[1],
        device=settings.device_url or known[2],
        scope=settings.scope or known[3],
    )


def client_of(settings: OAuthSettings) -> dict[str, str]:
    """Return who we are for the token server."""
    secret = {"client_secret": settings.client_secret.reveal()} if settings.client_secret else {}
    return {"client_id": settings.client_id, **secret}


class Tokens:
    """The tokens of one channel."""

    def __init__(self, settings: OAuthSettings, http: Posts, clock: Clock) -> None:
        self._settings = settings
        self._http = http
        self._clock = clock
        self._file = TokenFile(settings.token_file) if settings.token_file else None
        self._lock = asyncio.Lock()
        self._access = ""
        self._until: datetime | None = None

    async def access(self, *, refused: str = "") -> str:
        """Return a token that is good for a while.

        Args:
            refused: A token that a mail server did not take: it is not returned again.

        Raises:
            NeedsLogin: There is no consent, or it is over: a person has to act.
            Unreachable: The token server does not answer, so nothing is known of our consent.
        """
        async with self._lock:  # whoever comes second gets what the first one was given
            if not self._access or self._access == refused or self._until is None or self._clock.now() >= self._until:
                await self._renew()
            return self._access

    async def _renew(self) -> None:
        self._access = ""
        if self._settings.flow == "app" or self._file is None:
            granted = await self._granted(
                {"grant_type": "client_credentials", "scope": endpoints(self._settings).scope}
            )
        else:
            async with self._file.held():  # another process may renew, too, and some servers give a refresh token once
                refresh = await asyncio.to_thread(self._file.read)
                if not refresh:
                    raise NeedsLogin(f"there is no consent yet: {_connect()}")
                granted = await _whole(self._refreshed(self._file, refresh))
        self._access = granted.access
        early_s = min(EARLY_S, granted.life_s / 10)
        self._until = self._clock.now() + timedelta(seconds=granted.life_s - early_s)

    async def _refreshed(self, file: TokenFile, refresh: str) -> Granted:
        granted = await self._granted({"grant_type": "refresh_token", "refresh_token": refresh})
        if granted.refresh and granted.refresh != refresh:
            await asyncio.to_thread(file.write, granted.refresh)
        return granted

    async def _granted(self, asked: Mapping[str, str]) -> Granted:
        url = endpoints(self._settings).token
        try:
            reply = await self._http.request(
                "POST", url, form={**client_of(self._settings), **asked}, timeout_s=REQUEST_S
            )
        except Unreachable as why:
            raise Unreachable(
                f"the server that gives out tokens cannot be reached: {why.reason}", certain=True
            ) from why
        return granted_by(reply.status, reply.body)


async def _whole(renewal: Coroutine[Any, Any, Granted]) -> Granted:
    """Do all of it, whoever is cancelled: of a refresh token that is good for once the next one would be lost, and the consent."""
    task = asyncio.ensure_future(renewal)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])  # at most as long as one request
        if not task.cancelled():
            task.exception()
        raise


def granted_by(status: int, body: bytes) -> Granted:
    """Return what a token server gave. The text of an error holds its codes, nothing else of the answer.

    Raises:
        NeedsLogin: It refused: consent, client or secret are no longer good.
        Unreachable: It has trouble of its own, or talks nonsense.
    """
    told = _told(body)
    if status == 200 and (access := told.get("access_token")) and isinstance(access, str):
        refresh, life = told.get("refresh_token"), told.get("expires_in")
        return Granted(
            access=access,
            refresh=refresh if isinstance(refresh, str) else "",
            life_s=float(life) if isinstance(life, int | float) and life > 0 else LIFE_S,
        )
    error = _named(told.get("error"))
    if not 400 <= status < 500 or status in {404, 408, 429} or error in _TRANSIENT or not error:
        raise Unreachable(f"the server that gives out tokens said {status} {error}".rstrip(), certain=True)
    code = _CODE.search(str(told.get("error_description", "")))
    raise NeedsLogin(_meaning(error, code[0] if code else ""), code=code[0] if code else error)


def error_in(body: bytes) -> str:
    """Return the error that an answer names, ``""`` if none."""
    return _named(_told(body).get("error"))


def _meaning(error: str, code: str) -> str:
    if code in {"AADSTS7000222", "AADSTS7000215"} or error in {"invalid_client", "unauthorized_client"}:
        return f"the provider does not know our client_id or takes our client_secret no longer ({error}): renew it at the provider"
    if error == "invalid_grant":
        return f"the consent is over or was taken back ({error}): {_connect()}"
    return f"the provider gives no token ({error}): {_connect()}"


def _connect() -> str:
    return "give it again with: fernamt email connect CHANNEL"


def _named(value: object) -> str:
    return value if isinstance(value, str) and _NAMED.fullmatch(value) else ""


def _told(body: bytes) -> Mapping[str, object]:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}
