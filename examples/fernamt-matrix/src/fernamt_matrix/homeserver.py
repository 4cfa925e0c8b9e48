"""The client API of a homeserver, as far as we need it, and what its errors mean."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from fernamt import (
    ChannelError,
    Http,
    HttpReply,
    NeedsLogin,
    Rejected,
    Secret,
    Throttled,
    Unreachable,
    Unsupported,
)

_API: Final = "/_matrix/client/v3"
_AGAIN_S: Final = 30.0
_FULL_S: Final = 3600.0
"""A homeserver that has reached a limit of its operator's does not recover in seconds."""
UPLOAD_S: Final = 110.0

_LOGIN: Final[Mapping[str, str]] = {
    "M_UNKNOWN_TOKEN": "the homeserver does not know our as_token: is the registration loaded?",
    "M_MISSING_TOKEN": "the homeserver saw no as_token",
    "M_EXCLUSIVE": "the user is not in the registration's namespace",
    "M_USER_DEACTIVATED": "our user was deactivated",
    "M_USER_LOCKED": "our user is locked",
    "M_USER_SUSPENDED": "our user is suspended",
    "M_CONSENT_NOT_GIVEN": "our user has to accept the homeserver's terms",
}
_REFUSED: Final[Mapping[str, str]] = {
    "M_FORBIDDEN": "we may not do that in this room, or are not in it any more",
    "M_NOT_FOUND": "the homeserver does not know the room, user or file",
    "M_TOO_LARGE": "it is larger than the homeserver takes",
    "M_GUEST_ACCESS_FORBIDDEN": "the room lets no guests in",
    "M_UNSUPPORTED_ROOM_VERSION": "the homeserver does not know the version of this room",
    "M_INCOMPATIBLE_ROOM_VERSION": "the homeserver does not know the version of this room",
    "M_INVALID_PARAM": "the homeserver cannot do this with that user",
}


class Homeserver:
    """Speaks to one homeserver as one application service."""

    def __init__(self, base: str, token: Secret, http: Http) -> None:
        self._base = base.rstrip("/")
        self._token = token
        self._http = http

    async def get(self, *path: str, **query: str) -> Any:
        """Return what stands there; ``None`` if nothing does. Raises as :meth:`call`."""
        reply = await self._ask("GET", path, query=query)
        if reply.status == 404 and errcode(reply) != "M_UNRECOGNIZED":
            return None
        return _said(reply)

    async def call(self, method: str, *path: str, json: Any = None) -> Any:
        """Change something and return what the homeserver says.

        Raises:
            ChannelError: See :func:`error_of`.
        """
        return _said(await self._ask(method, path, json={} if json is None else json))

    async def ping(self, service: str) -> str:
        """Let the homeserver call us; return why it could not, or ``""``."""
        path = f"/_matrix/client/v1/appservice/{quote(service, safe='')}/ping"
        reply = await self._http.request(
            "POST", f"{self._base}{path}", headers=self._headers(), json={"transaction_id": "ping"}, timeout_s=60.0
        )
        match errcode(reply):
            case "":
                _said(reply)
                return ""
            case "M_BAD_STATUS":
                return "we refuse the homeserver's hs_token: it has another one"
            case "M_CONNECTION_FAILED" | "M_CONNECTION_TIMEOUT" | "M_URL_NOT_SET":
                return "the homeserver cannot call us at the url of its registration"
            case "M_UNRECOGNIZED":
                return ""  # it is older than this question
            case _:
                raise error_of(reply)

    async def upload(self, content: AsyncIterator[bytes], *, size: int, name: str, media_type: str) -> str:
        """Bring a file there and return its address. Nobody sees it before a message names it."""
        reply = await self._http.request(
            "POST",
            f"{self._base}/_matrix/media/v3/upload",
            query={"filename": name},
            headers=self._headers() | {"Content-Type": media_type, "Content-Length": str(size)},
            body=content,
            timeout_s=UPLOAD_S,
        )
        return str(_said(reply)["content_uri"])

    def download(self, address: str, *, max_bytes: int) -> AsyncIterator[bytes]:
        """Yield the file at ``mxc://server/id``; raises ``Rejected`` if that is no such address."""
        server, slash, media = address.removeprefix("mxc://").partition("/")
        if not address.startswith("mxc://") or not slash or not server or not media:
            raise Rejected("this is no address of a file on a homeserver")
        path = f"/_matrix/client/v1/media/download/{quote(server, safe='')}/{quote(media, safe='')}"
        return self._http.download(f"{self._base}{path}", headers=self._headers(), max_bytes=max_bytes)

    async def _ask(
        self, method: str, path: tuple[str, ...], *, query: Mapping[str, str] | None = None, json: Any = None
    ) -> HttpReply:
        url = f"{self._base}{_API}/{'/'.join(quote(one, safe='') for one in path)}"
        return await self._http.request(method, url, headers=self._headers(), query=query or {}, json=json)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token.reveal()}"}


def errcode(reply: HttpReply) -> str:
    """Return the error that a reply names; ``""``: none, or the page is not the homeserver's own."""
    if reply.status < 400:
        return ""
    try:
        said = reply.json()
    except Unreachable:
        return ""
    code = said.get("errcode") if isinstance(said, Mapping) else None
    return code if isinstance(code, str) else ""


def _said(reply: HttpReply) -> Any:
    if reply.status != 200:
        raise error_of(reply)
    return reply.json()


def error_of(reply: HttpReply) -> ChannelError:
    """Return what a reply that is no success means for what was asked."""
    code = errcode(reply)
    if reply.status == 429 or code == "M_LIMIT_EXCEEDED":
        return Throttled("the homeserver wants us to be slower", after_s=_after_s(reply), code=code)
    if code == "M_RESOURCE_LIMIT_EXCEEDED":
        return Throttled("the homeserver has reached a limit of its operator's", after_s=_FULL_S, code=code)
    if code in _LOGIN or reply.status == 401:
        return NeedsLogin(_LOGIN.get(code, "the homeserver does not accept us"), code=code)
    if reply.status >= 500:
        return Unreachable("the homeserver has trouble", certain=False, code=code or str(reply.status))
    if code == "M_UNRECOGNIZED":
        return Unsupported("the homeserver cannot do that", code=code)
    if reply.status >= 400:
        return Rejected(_REFUSED.get(code, "the homeserver refused it"), code=code or str(reply.status))
    return Unreachable("what answers there is no homeserver", certain=False, code=str(reply.status))


def _after_s(reply: HttpReply) -> float:
    """Return how long to wait: the header counts, the older field in the body is the second choice (RFC 9110, 10.2.3)."""
    try:
        said = reply.json()
    except Unreachable:
        return reply.retry_after_s(_AGAIN_S)
    waits_ms = said.get("retry_after_ms") if isinstance(said, Mapping) else None
    return reply.retry_after_s(waits_ms / 1000 if isinstance(waits_ms, int | float) else _AGAIN_S)
